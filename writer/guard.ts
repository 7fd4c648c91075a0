import type { NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import { backoffMillis } from "../platform/backoff.ts"
import type { Batch } from "./batch.ts"
import type { WriterConfig } from "./config.ts"
import { describeStream } from "./consumer.ts"
import { batchOf } from "./encode.ts"
import { addTraffic, isHalted, mostlyPoison, type Traffic } from "./halt.ts"
import { recordPause, type WriterMetrics } from "./metrics.ts"
import { newestMessages } from "./newest.ts"
import type { Processor } from "./processors/processor.ts"
import type { Progress } from "./progress.ts"
import { deadLettersOf } from "./store/deadletter.ts"
import type { Store } from "./store/store.ts"

/** What outlives a session: a lost connection must not make the writer forget what it halted for. */
export interface GuardMemory {
  traffic: Traffic
}

/** Messages that are about to get their outcome. */
export interface Counts {
  /** Their highest sequence. */
  readonly last: number
  readonly messages: number
  /** How many of them are about to become dead letters, and why the first is. */
  readonly poison: number
  readonly reason: string | undefined
}

/** How to wait: so many milliseconds, until it makes no sense any more. */
export interface Waiting<E> {
  readonly pause: (millis: number) => Effect.Effect<void, E>
  readonly stopping: () => boolean
}

export interface Guard {
  /** Waits while most of the traffic, these messages included, is poison. They are held meanwhile: neither written nor acked. */
  readonly admit: <E>(counts: Counts, waiting: Waiting<E>) => Effect.Effect<void, E>
  /** So many messages were written, or dropped on purpose. */
  readonly passed: (messages: number) => void
}

/** Newest messages that are looked at to see whether the trouble is over. */
const sampleSize = 20
const probeWait = { initialMillis: 1_000, maxMillis: 30_000 }

const indicesOf = ({ outcomes }: Batch, wanted: (poison: boolean) => boolean) =>
  outcomes.flatMap((outcome, index) => (wanted(deadLettersOf(outcome).length > 0) ? [index] : []))

/**
 * Halts the writer when most of the traffic is poison, and lets it go on when the newest messages of the stream are fine again:
 * then what lies before them is what a bad producer left behind, which becomes dead letters as ever, each with its bytes.
 * Another mapping or table repairs the newest messages as well as those that are held.
 */
export const makeGuard = (context: {
  readonly connection: NatsConnection
  readonly config: WriterConfig
  /** Of the durable. */
  readonly filterSubjects: ReadonlyArray<string>
  readonly processor: Processor
  readonly store: Store["Service"]
  readonly progress: Progress
  readonly metrics: WriterMetrics
  readonly memory: GuardMemory
}): Guard => {
  const { connection, config, filterSubjects, processor, store, progress, metrics, memory } = context
  const { stream } = config
  const domain = config.nats.jetstreamDomain
  const threshold = config.errors.haltThreshold
  /** Up to this sequence nothing is counted: it is known that better messages follow. */
  let knownTo = 0

  /** The stream's last sequence when the newest messages can be written, else undefined. */
  const probe = Effect.gen(function* () {
    const lastSequence = (yield* describeStream(connection, { stream, domain })).state.last_seq
    const options = { stream, domain, subjects: filterSubjects, lastSequence, count: sampleSize }
    const newest = yield* newestMessages(connection, options)
    if (newest.length === 0) return undefined
    const batch = batchOf(processor, newest)
    const fine = indicesOf(batch, (poison) => !poison)
    let refused = 0
    if (fine.length > 0 && !(yield* store.accepts(batch, fine))) {
      for (const index of fine) if (!(yield* store.accepts(batch, [index]))) refused++
    }
    const poison = newest.length - fine.length + refused
    return mostlyPoison(newest.length, poison, threshold) ? undefined : lastSequence
  })

  const halt = Effect.fnUntraced(function* <E>(
    reason: string | undefined,
    { pause, stopping }: Waiting<E>
  ): Effect.fn.Return<void, E> {
    let said: string | undefined
    for (let probes = 0; !stopping(); probes++) {
      const result = yield* Effect.result(probe)
      if (result._tag === "Success" && result.success !== undefined) {
        knownTo = result.success
        memory.traffic = []
        metrics.paused.reset()
        progress.enter("Running")
        yield* Effect.logInfo("the newest messages can be written: going on", { deadLettersUpTo: knownTo })
        return
      }
      recordPause(metrics, "HaltedByThreshold")
      const message =
        `most messages of stream ${stream} can't be written${reason === undefined ? "" : ` (${reason})`}: nothing becomes a dead letter ` +
        `until the newest ones can; fix the producer, the mapping or the table, or raise errors.haltThreshold`
      if (progress.enter("Stalled", "HaltedByThreshold", message)) {
        yield* Effect.logWarning(message, { reason: "HaltedByThreshold" })
      }
      if (result._tag === "Failure" && result.failure.message !== said) {
        said = result.failure.message
        yield* Effect.logWarning(`whether the newest messages can be written is not known: ${said}`)
      }
      yield* pause(backoffMillis(probes, probeWait.initialMillis, probeWait.maxMillis))
    }
  })

  const add = (messages: number, poison: number) =>
    addTraffic(memory.traffic, threshold, performance.now(), messages, poison)
  return {
    admit: ({ last, messages, poison, reason }, waiting) =>
      Effect.suspend(() => {
        if (poison === 0 || last <= knownTo) return Effect.void
        const traffic = add(messages, poison)
        const halted = isHalted(traffic, threshold)
        memory.traffic = halted ? traffic : add(poison, poison)
        return halted ? halt(reason, waiting) : Effect.void
      }),
    passed: (messages) => {
      memory.traffic = add(messages, 0)
    }
  }
}
