import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Change, KubeError, type KubeObject } from "../kube.ts"
import { reflect, type Source, Store } from "./reflector.ts"
import type { WatchEvent } from "./rest.ts"

const object = (name: string, uid: string, resourceVersion: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "demo", uid, resourceVersion }
})

const event = (type: WatchEvent["type"], of: KubeObject): WatchEvent => ({ type, object: of })

const brief = (changes: ReadonlyArray<Change>) =>
  changes.map(({ type, object: { metadata } }) => `${type} ${metadata.name} ${metadata.uid}`)

const error = (reason: KubeError["reason"]) => new KubeError({ reason, operation: "test", detail: reason })

it("store: a list tells what is new, what differs, what is made anew and what is missing", () => {
  const store = new Store()
  assert.deepStrictEqual(brief(store.replace([object("a", "1", "1"), object("b", "2", "2"), object("c", "3", "3")])), [
    "Applied a 1",
    "Applied b 2",
    "Applied c 3"
  ])
  const next = [object("b", "2", "2"), object("c", "4", "5"), object("d", "6", "6")]
  assert.deepStrictEqual(brief(store.replace(next)), ["Deleted a 1", "Deleted c 3", "Applied c 4", "Applied d 6"])
  assert.deepStrictEqual(brief(store.replace(next)), [])
})

it("store: events tell changes once; a name under another uid was deleted before", () => {
  const store = new Store()
  const told = (...events: ReadonlyArray<WatchEvent>) => brief(events.flatMap((each) => store.advance(each)))
  assert.deepStrictEqual(told(event("ADDED", object("a", "1", "1"))), ["Applied a 1"])
  assert.deepStrictEqual(told(event("ADDED", object("a", "1", "1"))), [], "known already")
  assert.deepStrictEqual(told(event("BOOKMARK", object("", "", "7"))), [])
  assert.deepStrictEqual(told(event("MODIFIED", object("a", "2", "8"))), ["Deleted a 1", "Applied a 2"])
  assert.deepStrictEqual(told(event("DELETED", object("a", "2", "9"))), ["Deleted a 2"])
  assert.deepStrictEqual(told(event("DELETED", object("a", "2", "9"))), [], "gone already")
})

/** Reflects a source of which each list and each watch is as scripted (the last for ever), and logs what is asked of it. */
const scripted = Effect.fnUntraced(function* (
  lists: ReadonlyArray<KubeError | string>,
  watches: ReadonlyArray<Stream.Stream<WatchEvent, KubeError>>
) {
  const log: Array<string> = []
  let listed = 0
  let watched = 0
  const source: Source = {
    name: "watch test",
    list: Effect.suspend(() => {
      const answer = lists[Math.min(listed++, lists.length - 1)]!
      log.push("list")
      return typeof answer === "string" ? Effect.succeed({ items: [], resourceVersion: answer }) : Effect.fail(answer)
    }),
    watch: (resourceVersion) => {
      log.push(`watch ${resourceVersion}`)
      return watches[Math.min(watched++, watches.length - 1)]!
    }
  }
  const fiber = yield* Effect.forkChild(Stream.runDrain(reflect(source)))
  yield* TestClock.adjust(0)
  return { log, fiber }
})

const closedAfter = (duration: "1 second" | "10 seconds") =>
  Stream.fromEffectDrain(Effect.sleep(duration)) as Stream.Stream<WatchEvent>

it.effect("a watch the server closes is opened again at once, without a list", () =>
  Effect.gen(function* () {
    const { log } = yield* scripted(["1"], [closedAfter("10 seconds")])
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(log, ["list", "watch 1", "watch 1"])
  })
)

it.effect("one that it closes sooner waits, and longer each time up to 30 s, until an event comes", () =>
  Effect.gen(function* () {
    const bookmark = Stream.make(event("BOOKMARK", object("", "", "9"))).pipe(Stream.concat(closedAfter("1 second")))
    const short = closedAfter("1 second")
    const { log } = yield* scripted(["1"], [short, short, short, short, short, short, short, bookmark, short])
    const times: Array<number> = []
    for (let second = 0.5, seen = log.length; second <= 200 && log.length < 10; second += 0.5) {
      yield* TestClock.adjust("500 millis")
      if (log.length > seen) times.push(second - (times.length + 1))
      seen = log.length
    }
    const waits = times.map((time, index) => time - (times[index - 1] ?? 0))
    for (const [index, cap] of [1, 2, 4, 8, 16, 30, 30, 1].entries()) {
      assert.isAtLeast(waits[index]!, cap / 2 - 0.5, `wait ${index}`)
      assert.isAtMost(waits[index]!, cap + 0.5, `wait ${index}`)
    }
    assert.strictEqual(log.at(-1), "watch 9")
  })
)

it.effect("after an error it goes on from its place, after one that loses the place it lists anew", () =>
  Effect.gen(function* () {
    const reasons = ["Unreachable", "Unavailable", "Gone", "Invalid"] as const
    const { log } = yield* scripted(
      ["1", "2", "3"],
      [...reasons.map((reason) => Stream.fail(error(reason))), Stream.never]
    )
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(log, ["list", "watch 1", "watch 1", "watch 1", "list", "watch 2", "list", "watch 3"])
  })
)

it.effect("a list that fails is tried again", () =>
  Effect.gen(function* () {
    const { log } = yield* scripted([error("Unavailable"), error("NotFound"), "1"], [Stream.never])
    assert.deepStrictEqual(log, ["list"])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(log, ["list", "list"])
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(log, ["list", "list", "list", "watch 1"])
  })
)

it.effect("nothing is asked any more once it is interrupted", () =>
  Effect.gen(function* () {
    const { log, fiber } = yield* scripted([error("Unavailable")], [Stream.never])
    yield* Fiber.interrupt(fiber)
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(log, ["list"])
  })
)
