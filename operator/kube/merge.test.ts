import { assert, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isDeepStrictEqual } from "node:util"
import { applyFields, flatten, type Fields, type Owners, unflatten } from "./merge.ts"

// Through text and back, because -0 is 0 in JSON and its maps have a prototype.
const json = fc
  .dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)

interface State {
  readonly fields: Fields
  readonly owners: Owners
}

const empty: State = { fields: new Map(), owners: new Map() }
const apply = ({ fields, owners }: State, manager: string, wanted: unknown) =>
  applyFields(fields, owners, manager, flatten(wanted))

it("property: flattening loses nothing", () => {
  fc.assert(fc.property(json, (value) => assert.deepEqual(unflatten(flatten(value)), value)))
})

it("lists the API merges by key are flattened by it and come back as lists", () => {
  const object = {
    metadata: { finalizers: ["a/b", "c"], ownerReferences: [{ uid: "1", name: "x" }] },
    status: { conditions: [{ type: "Ready", status: "True" }] },
    spec: { conditions: [{ type: "Ready" }] }
  }
  assert.sameMembers(
    [...flatten(object).keys()],
    [
      "/metadata/finalizers/a~1b",
      "/metadata/finalizers/c",
      "/metadata/ownerReferences/1/uid",
      "/metadata/ownerReferences/1/name",
      "/status/conditions/Ready/type",
      "/status/conditions/Ready/status",
      "/spec/conditions"
    ]
  )
  assert.deepEqual(unflatten(flatten(object)), object)
  const odd = { metadata: { finalizers: [], ownerReferences: [null] }, status: { conditions: [{ status: "True" }] } }
  assert.deepEqual(unflatten(flatten(odd)), odd)
})

it("property: what is applied is there, and applying it again changes nothing", () => {
  fc.assert(
    fc.property(json, json, (before, wanted) => {
      const live = apply(empty, "other", before)
      const once = apply(live, "us", wanted)
      for (const [pointer, leaf] of flatten(wanted)) {
        // An empty map is satisfied by a map with something in it.
        const isEmptyMap = typeof leaf === "object" && leaf !== null && !Array.isArray(leaf)
        if (!isEmptyMap) assert.deepEqual(once.fields.get(pointer), leaf)
      }
      assert.isTrue(isDeepStrictEqual(apply(once, "us", wanted), once))
    })
  )
})

it("property: managers that never touch the same field each find exactly what they applied last", () => {
  const managers = ["a", "b", "c"]
  const steps = fc.array(
    fc.record({ manager: fc.constantFrom(...managers), wanted: fc.dictionary(fc.string(), fc.nat(), { minKeys: 1 }) })
  )
  fc.assert(
    fc.property(steps, (all) => {
      const last = new Map<string, unknown>()
      let state = empty
      for (const { manager, wanted } of all) {
        state = apply(state, manager, { [manager]: wanted })
        last.set(manager, wanted)
      }
      assert.deepEqual(unflatten(state.fields), Object.fromEntries(last))
    })
  )
})

it("a map that is replaced by a scalar or a list goes with all below it, and the other way round", () => {
  const maps = apply(empty, "us", { spec: { a: { b: 1, c: { d: 2 } } } })
  const scalar = apply(maps, "other", { spec: { a: "x" } })
  assert.deepEqual(unflatten(scalar.fields), { spec: { a: "x" } })
  assert.deepEqual(unflatten(apply(scalar, "third", { spec: { a: { e: 3 } } }).fields), { spec: { a: { e: 3 } } })
})

it("a map that nobody applies any more goes whole, one that somebody still applies keeps what was filled in", () => {
  const applied = apply(empty, "us", { spec: { a: { x: 1 }, b: { x: 1, y: 1 } } })
  const defaulted = { ...applied, fields: new Map([...applied.fields, ["/spec/a/default", 0], ["/spec/b/default", 0]]) }
  const next = apply(defaulted, "us", { spec: { b: { y: 1 } } })
  assert.deepEqual(unflatten(next.fields), { spec: { b: { y: 1, default: 0 } } })
})
