import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { makeWorkQueue } from "./queue.ts"

const settle = TestClock.adjust(0)

it.effect("a key waits once however often it is added", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    const seen: Array<string> = []
    for (const key of ["a", "b", "a", "a"]) yield* queue.add(key)
    assert.deepStrictEqual(yield* queue.counters, { depth: 2, adds: 2, retries: 0 })
    yield* Effect.forkChild(queue.run((key) => Effect.sync(() => void seen.push(key)), 4))
    yield* settle
    assert.deepStrictEqual(seen, ["a", "b"])
    assert.deepStrictEqual(yield* queue.counters, { depth: 0, adds: 2, retries: 0 })
  })
)

it.effect("a key added while it is worked on runs once more, afterwards", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    const gate = yield* Deferred.make<void>()
    const log: Array<string> = []
    const worker = (key: string) =>
      Effect.sync(() => void log.push(`start ${key}`)).pipe(
        Effect.andThen(Deferred.await(gate)),
        Effect.andThen(Effect.sync(() => void log.push(`end ${key}`)))
      )
    yield* Effect.forkChild(queue.run(worker, 4))
    yield* queue.add("a")
    yield* settle
    yield* queue.add("a")
    yield* queue.add("a")
    yield* settle
    assert.deepStrictEqual(log, ["start a"])
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    assert.deepStrictEqual(log, ["start a", "end a", "start a", "end a"])
  })
)

it.effect("as many keys at once as there are workers, and a slow key does not hold up the others", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    const done: Array<string> = []
    let running = 0
    let most = 0
    const worker = (key: string) =>
      Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* Effect.sleep(key === "slow" ? "1 hour" : "1 second")
        running--
        done.push(key)
      })
    yield* Effect.forkChild(queue.run(worker, 2))
    for (const key of ["slow", "b", "c", "d"]) yield* queue.add(key)
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(done, ["b", "c", "d"])
    assert.strictEqual(most, 2)
  })
)

it.effect("addAfter waits, and the earliest of several calls counts", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    const seen: Array<string> = []
    yield* Effect.forkChild(queue.run((key) => Effect.sync(() => void seen.push(key)), 4))
    yield* queue.addAfter("a", 5_000)
    yield* queue.addAfter("a", 2_000)
    yield* queue.addAfter("a", 9_000)
    yield* TestClock.adjust("1999 millis")
    assert.deepStrictEqual(seen, [])
    yield* TestClock.adjust("1 millis")
    assert.deepStrictEqual(seen, ["a"])
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(seen, ["a"])
    yield* queue.addAfter("a", 1_000)
    yield* TestClock.adjust("1 seconds")
    assert.deepStrictEqual(seen, ["a", "a"])
  })
)

it.effect("retries wait 1 s, doubling to 5 min with jitter, and anew after forget", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    let runs = 0
    yield* Effect.forkChild(queue.run(() => Effect.sync(() => void runs++), 4))
    const waitsBetween = (least: number, most: number) =>
      Effect.gen(function* () {
        const before = runs
        yield* queue.retry("a")
        yield* TestClock.adjust(least - 1)
        assert.strictEqual(runs, before, `nothing before ${least} ms`)
        yield* TestClock.adjust(most - least + 1)
        assert.strictEqual(runs, before + 1, `once until ${most} ms`)
      })
    for (let seconds = 1; seconds <= 256; seconds *= 2) yield* waitsBetween(seconds * 500, seconds * 1_000)
    for (let time = 0; time < 3; time++) yield* waitsBetween(150_000, 300_000)
    yield* queue.forget("a")
    yield* waitsBetween(500, 1_000)
    assert.strictEqual((yield* queue.counters).retries, 13)
  })
)

it.effect("nothing waits after the queue's scope is closed", () =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    yield* Effect.scoped(
      Effect.gen(function* () {
        const queue = yield* makeWorkQueue
        const fiber = yield* Effect.forkChild(queue.run((key) => Effect.sync(() => void seen.push(key)), 1))
        yield* queue.addAfter("a", 1_000)
        yield* Fiber.interrupt(fiber)
      })
    )
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(seen, [])
  })
)

it.effect("property: every add is followed by a run, and no key runs twice at once", () =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ key: fc.constantFrom("a", "b", "c"), gap: fc.nat(20) }), { maxLength: 40 }),
        (adds) =>
          Effect.gen(function* () {
            const queue = yield* makeWorkQueue
            const lastStart = new Map<string, number>()
            const lastAdd = new Map<string, number>()
            const running = new Set<string>()
            let time = 0
            const worker = (key: string) =>
              Effect.gen(function* () {
                assert.isFalse(running.has(key), `${key} runs twice at once`)
                running.add(key)
                lastStart.set(key, time++)
                yield* Effect.sleep("7 millis")
                running.delete(key)
              })
            yield* Effect.forkChild(queue.run(worker, 2))
            for (const { key, gap } of adds) {
              lastAdd.set(key, time++)
              yield* queue.add(key)
              yield* TestClock.adjust(gap)
            }
            yield* TestClock.adjust("1 second")
            for (const [key, at] of lastAdd) assert.isAbove(lastStart.get(key) ?? -1, at)
          }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
      ),
      { numRuns: 60 }
    )
  )
)

it.effect("drained: what is worked on ends, and nothing begins any more", () =>
  Effect.gen(function* () {
    const queue = yield* makeWorkQueue
    const log: Array<string> = []
    const worker = (key: string) =>
      Effect.sleep(key === "slow" ? "2 seconds" : "1 second").pipe(
        Effect.andThen(Effect.sync(() => void log.push(key)))
      )
    yield* Effect.forkChild(queue.run(worker, 2))
    for (const key of ["slow", "a", "b"]) yield* queue.add(key)
    yield* queue.addAfter("c", 500)
    yield* settle
    const drained = yield* Effect.forkChild(queue.drain)
    yield* queue.add("a")
    yield* TestClock.adjust("1999 millis")
    assert.deepStrictEqual([log, drained.pollUnsafe()], [["a"], undefined])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(drained)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(log, ["a", "slow"])
    yield* queue.drain
  })
)
