import { Context, Effect } from "effect"

/**
 * Passed right before each request to Kubernetes or JetStream: goes on while this process may act, and waits for ever when it
 * may not any more. That the lead is lost is noticed by a timer, and a process that was frozen for a while (a stopped virtual
 * machine, a starved node) may go on with its work before its timers: what it took up as the leader must not go out then.
 */
export const Fence = Context.Reference<Effect.Effect<void>>("operator/Fence", { defaultValue: () => Effect.void })

export const passFence: Effect.Effect<void> = Effect.flatten(Fence)
