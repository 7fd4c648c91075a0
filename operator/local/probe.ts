import { Deferred, Effect } from "effect"
import type { Probe } from "./pod-spec.ts"

/** One request, as a kubelet makes it: any status from 200 to 399 is a success. */
const ask = (probe: Probe, port: number): Effect.Effect<boolean> =>
  Effect.promise(async (interrupted) => {
    const signal = AbortSignal.any([interrupted, AbortSignal.timeout(probe.timeoutSeconds * 1000)])
    try {
      const response = await fetch(`http://127.0.0.1:${port}${probe.httpGet.path}`, { signal, redirect: "manual" })
      await response.body?.cancel()
      return response.status >= 200 && response.status < 400
    } catch {
      return false
    }
  })

/** Wait between probes until the first one passes: a container that has just started should not wait for a whole period. */
const eagerMillis = 200

/** Probes for ever and tells every change of the verdict, which is `initial` at first. */
export const watchProbe = Effect.fnUntraced(function* (
  probe: Probe,
  port: number,
  initial: boolean,
  onChange: (passes: boolean) => Effect.Effect<unknown>
) {
  yield* Effect.sleep(probe.initialDelaySeconds * 1000)
  let verdict = initial
  let hasPassed = false
  let against = 0
  for (;;) {
    const passes = yield* ask(probe, port)
    hasPassed ||= passes
    against = passes === verdict ? 0 : against + 1
    if (against >= (passes ? probe.successThreshold : probe.failureThreshold)) {
      verdict = passes
      against = 0
      yield* onChange(passes)
    }
    yield* Effect.sleep(hasPassed || initial ? probe.periodSeconds * 1000 : eagerMillis)
  }
})

/** Returns when the probe has failed. */
export const awaitFailure = Effect.fnUntraced(function* (probe: Probe, port: number) {
  const failed = yield* Deferred.make<void>()
  yield* Effect.raceFirst(
    Deferred.await(failed),
    watchProbe(probe, port, true, () => Deferred.succeed(failed, undefined))
  )
})
