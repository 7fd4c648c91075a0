import { Clock, Deferred, Effect, FiberMap, Queue, type Scope } from "effect"
import { backoffMillis } from "../platform/backoff.ts"

const firstRetryMillis = 1_000
const longestRetryMillis = 5 * 60_000

export interface Counters {
  /** Keys that wait for a worker now. */
  readonly depth: number
  /** Keys taken up to be worked on since the start; one that waits already is not counted again. */
  readonly adds: number
  readonly retries: number
}

/** Keys to be worked on. A key is never with two workers at once, and waits at most once however often it is added. */
export interface WorkQueue {
  /** Hands the key to a worker, again after the present run if it is being worked on. */
  readonly add: (key: string) => Effect.Effect<void>
  /** Adds the key in `millis`. Of several such calls the earliest counts. */
  readonly addAfter: (key: string, millis: number) => Effect.Effect<void>
  /** Adds the key after a wait that doubles with each call, from 1 s to 5 min (each with jitter), until `forget`. */
  readonly retry: (key: string) => Effect.Effect<void>
  /** The key is well: its next `retry` waits 1 s. */
  readonly forget: (key: string) => Effect.Effect<void>
  readonly counters: Effect.Effect<Counters>
  /** Works on the keys with `workers` at a time, until interrupted. */
  readonly run: <R>(
    worker: (key: string) => Effect.Effect<void, never, R>,
    workers: number
  ) => Effect.Effect<never, never, R>
  /** Hands out no key any more, and waits until those that are worked on are done. */
  readonly drain: Effect.Effect<void>
}

/** A queue whose waiting keys are dropped with the scope. */
export const makeWorkQueue: Effect.Effect<WorkQueue, never, Scope.Scope> = Effect.gen(function* () {
  const ready = yield* Queue.unbounded<string>()
  const timers = yield* FiberMap.make<string>()
  const due = new Map<string, number>()
  const waiting = new Set<string>()
  const running = new Set<string>()
  const dirty = new Set<string>()
  const failures = new Map<string, number>()
  const drained = yield* Deferred.make<void>()
  let draining = false
  let adds = 0
  let retries = 0

  const add = (key: string) =>
    Effect.sync(() => {
      if (waiting.has(key) || dirty.has(key)) return
      adds++
      if (running.has(key)) {
        dirty.add(key)
        return
      }
      waiting.add(key)
      Queue.offerUnsafe(ready, key)
    })

  const addAfter = Effect.fnUntraced(function* (key: string, millis: number) {
    const at = (yield* Clock.currentTimeMillis) + millis
    if ((due.get(key) ?? Infinity) <= at) return
    due.set(key, at)
    const timer = Effect.sleep(millis).pipe(
      Effect.andThen(Effect.sync(() => due.delete(key))),
      Effect.andThen(add(key))
    )
    yield* FiberMap.run(timers, key, timer)
  })

  const retry = (key: string) =>
    Effect.suspend(() => {
      const attempt = failures.get(key) ?? 0
      failures.set(key, attempt + 1)
      retries++
      return addAfter(key, backoffMillis(attempt, firstRetryMillis, longestRetryMillis))
    })

  const done = (key: string) =>
    Effect.sync(() => {
      running.delete(key)
      if (draining && running.size === 0) Deferred.doneUnsafe(drained, Effect.void)
      if (!dirty.delete(key)) return
      waiting.add(key)
      Queue.offerUnsafe(ready, key)
    })

  const run: WorkQueue["run"] = (worker, workers) => {
    const one = Queue.take(ready).pipe(
      Effect.tap((key) =>
        Effect.suspend(() => {
          if (draining) return Effect.never
          waiting.delete(key)
          running.add(key)
          return Effect.void
        })
      ),
      Effect.flatMap((key) => Effect.ensuring(worker(key), done(key)))
    )
    return Effect.all(
      Array.from({ length: workers }, () => Effect.forever(one)),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.andThen(Effect.never))
  }

  return {
    add,
    addAfter,
    retry,
    forget: (key) => Effect.sync(() => void failures.delete(key)),
    counters: Effect.sync(() => ({ depth: waiting.size, adds, retries })),
    run,
    drain: Effect.suspend(() => {
      draining = true
      return running.size === 0 ? Effect.void : Deferred.await(drained)
    })
  }
})
