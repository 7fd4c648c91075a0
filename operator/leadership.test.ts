import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Metrics } from "../platform/metrics.ts"
import type { LeaseRecord } from "./election.ts"
import { Kube, KubeError, Leases } from "./kube.ts"
import { layerMemory } from "./kube/memory.ts"
import { lead } from "./leadership.ts"
import { OperatorMetrics } from "./metrics.ts"

/** The election over the API in memory, in a time that the test makes. Two of its processes: `leadership.kube.test.ts`. */

const lease = { namespace: "system", name: "operator" }

const record = Effect.flatMap(Kube, (kube) =>
  Effect.map(kube.get(Leases, lease), (found) => found?.["spec"] as LeaseRecord | undefined)
)

/** A candidate with a Kube that can be broken, or frozen so that it never answers. */
const candidate = Effect.fnUntraced(function* (identity: string) {
  const kube = yield* Kube
  const metrics = yield* Layer.build(OperatorMetrics.layer.pipe(Layer.provideMerge(Metrics.layer())))
  const scope = yield* Scope.fork(yield* Effect.scope)
  const standsBy: Array<string> = []
  let fault: Effect.Effect<never, KubeError> | undefined
  const faulty = Kube.of({
    ...kube,
    get: (...args) => fault ?? kube.get(...args),
    apply: (...args) => fault ?? kube.apply(...args)
  })
  const leading = yield* Deferred.make<void>()
  const fiber = yield* lead({ lease, identity }, (holder) => standsBy.push(holder)).pipe(
    Effect.tap(() => Deferred.succeed(leading, undefined)),
    Effect.flatMap(({ lost }) => lost),
    Scope.provide(scope),
    Effect.provideService(Kube, faulty),
    Effect.provide(metrics),
    Effect.flip,
    Effect.forkScoped({ startImmediately: true })
  )
  const exposition = Effect.flatMap(Metrics, ({ exposition }) => exposition).pipe(Effect.provide(metrics))
  return {
    standsBy,
    leads: Deferred.isDone(leading),
    lost: Effect.sync(() => fiber.pollUnsafe() !== undefined),
    why: Effect.map(Fiber.join(fiber), ({ message }) => message),
    master: Effect.map(exposition, (text) => /leader_election_master_status\{name="operator"\} (\d)/.exec(text)?.[1]),
    become: (next: typeof fault) => Effect.sync(() => (fault = next)),
    end: Effect.andThen(Fiber.interrupt(fiber), Scope.close(scope, Exit.void))
  }
})

const unreachable = Effect.fail(new KubeError({ reason: "Unreachable", operation: "get Lease", detail: "refused" }))

const memory = Effect.provide(layerMemory([]))

it.effect("the first leads, the other stands by; what is released is taken at the next attempt", () =>
  Effect.gen(function* () {
    const a = yield* candidate("a")
    const b = yield* candidate("b")
    assert.isTrue(yield* a.leads)
    assert.deepStrictEqual([yield* a.master, yield* b.master], ["1", "0"])
    yield* TestClock.adjust("1 minute")
    assert.isFalse(yield* b.leads)
    assert.deepStrictEqual([...new Set(b.standsBy)], ["a"])
    yield* a.end
    assert.deepInclude(yield* record, { holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 0 })
    yield* TestClock.adjust("2 seconds")
    assert.isTrue(yield* b.leads)
    assert.strictEqual(yield* b.master, "1")
    assert.deepInclude(yield* record, { holderIdentity: "b", leaseDurationSeconds: 15, leaseTransitions: 1 })
  }).pipe(memory, Effect.scoped)
)

for (const [name, fault, detail] of [
  ["is refused", unreachable, "get Lease: refused"],
  ["is not answered", Effect.never, "no answer within"]
] as const) {
  it.effect(`a leader that ${name} leads for 10 s, and the other takes over after 15 s`, () =>
    Effect.gen(function* () {
      const a = yield* candidate("a")
      const b = yield* candidate("b")
      yield* a.become(fault)
      yield* TestClock.adjust("9999 millis")
      assert.isFalse(yield* a.lost)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* a.lost)
      assert.include(yield* a.why, detail)
      assert.strictEqual(yield* a.master, "0")
      assert.isFalse(yield* b.leads)
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(yield* b.leads)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(yield* b.leads)
      yield* a.become(undefined) // the test's end would wait for an answer in a time that stands still
    }).pipe(memory, Effect.scoped)
  )
}

it.effect("a short outage changes nothing, for the leader nor for the other", () =>
  Effect.gen(function* () {
    const a = yield* candidate("a")
    const b = yield* candidate("b")
    for (const each of [a, b]) yield* each.become(unreachable)
    yield* TestClock.adjust("7 seconds")
    for (const each of [a, b]) yield* each.become(undefined)
    yield* TestClock.adjust("1 minute")
    assert.isFalse(yield* a.lost)
    assert.isFalse(yield* b.leads)
    assert.deepInclude(yield* record, { holderIdentity: "a", leaseTransitions: 0 })
  }).pipe(memory, Effect.scoped)
)

it.effect("a leader whose Lease another has taken ends at its next look", () =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const a = yield* candidate("a")
    const spec = { ...(yield* record), holderIdentity: "thief" }
    yield* kube.apply({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: lease, spec })
    yield* TestClock.adjust("2 seconds")
    assert.isTrue(yield* a.lost)
    assert.include(yield* a.why, '"thief" holds it')
    yield* a.end
    assert.deepInclude(yield* record, { holderIdentity: "thief" }, "it is not a's to release")
  }).pipe(memory, Effect.scoped)
)
