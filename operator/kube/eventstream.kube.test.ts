import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { randomUUID } from "node:crypto"
import { inject } from "vitest"
import { admit } from "../../crds/admission.ts"
import {
  arbitraryEventStream,
  type EventStreamJson,
  mutatedEventStream,
  validEventStream
} from "../../testing/arbitrary-eventstream.ts"
import { EventStreams, Kube, type KubeError, type KubeObject } from "../kube.ts"
import { layerMemory } from "./memory.ts"
import { collectionPath, objectPath } from "./requests.ts"
import { type Endpoint, request } from "./rest.ts"
import { connect, makeServer } from "./server.ts"

/** An API server that has the CRD and `Kube` in memory judge EventStreams alike, and fill in the same defaults. */

const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])

/** Nothing is stored, so that thousands of cases cost no cleaning up. Strict is what kubectl asks for. */
const manager = "test"
const dryRun = "dryRun=All&fieldValidation=Strict"

type Judged = Effect.Effect<KubeObject, KubeError>

const onServer = (endpoint: Endpoint, object: EventStreamJson): Judged =>
  request(endpoint, {
    operation: "create",
    method: "POST",
    path: `${collectionPath(EventStreams, "default")}?${dryRun}`,
    body: object
  })

const inMemory = (object: EventStreamJson): Judged =>
  Effect.flatMap(Kube, (kube) => kube.create({ ...object })).pipe(Effect.provide(memory))

const said = (result: Result.Result<KubeObject, KubeError>) =>
  Result.isFailure(result) ? result.failure.message : "accepted"

/** Fails the test unless both refuse, or both accept with the same spec. */
const judgeAlike = Effect.fnUntraced(function* (server: Judged, ours: Judged) {
  const [theirs, own] = yield* Effect.all([Effect.result(server), Effect.result(ours)])
  const both = `server: ${said(theirs)}\nmemory: ${said(own)}`
  if (Result.isSuccess(theirs) && Result.isSuccess(own)) {
    assert.deepStrictEqual(own.success["spec"], theirs.success["spec"])
    return
  }
  assert.isTrue(Result.isFailure(theirs) && Result.isFailure(own), both)
  for (const result of [theirs, own]) {
    if (Result.isFailure(result)) assert.strictEqual(result.failure.reason, "Invalid", both)
  }
})

const endpoint = connect({ kubeconfig: inject("controlPlane").kubeconfig })

it.live("property: a new EventStream", () =>
  Effect.gen(function* () {
    const server = yield* endpoint
    const alike = fc.asyncProperty(arbitraryEventStream, (object) =>
      Effect.runPromise(judgeAlike(onServer(server, object), inMemory(object)))
    )
    yield* Effect.promise(() => fc.assert(alike, { numRuns: 400 }))
  })
)

/**
 * Without empty lists and maps. Nobody owns an empty list of the merged kinds, and a map that an apply leaves empty is null to
 * the API server, which then refuses it: what comes of either over several applies is not worth imitating.
 */
const withoutEmpty = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  const children = Object.entries(value).map(([name, child]) => [name, withoutEmpty(child)] as const)
  const filled = children.filter(([, child]) => child !== undefined)
  if (filled.length === 0) return undefined
  return Array.isArray(value) ? filled.map(([, child]) => child) : Object.fromEntries(filled)
}

const filled = (object: EventStreamJson, metadata: EventStreamJson["metadata"]): EventStreamJson => ({
  ...object,
  metadata,
  spec: withoutEmpty(object.spec) as EventStreamJson["spec"]
})

it.live("property: a changed EventStream", () =>
  Effect.gen(function* () {
    const server = yield* endpoint
    const kube = makeServer(server)
    const apply = (object: EventStreamJson, parameters: string): Judged =>
      request(server, {
        operation: "apply",
        method: "PATCH",
        path: `${objectPath(EventStreams, object.metadata)}?fieldManager=${manager}&force=true&${parameters}`,
        contentType: "application/apply-patch+yaml",
        body: object
      })
    const changedInMemory = (stored: EventStreamJson, next: EventStreamJson): Judged =>
      Effect.gen(function* () {
        const own = yield* Kube
        yield* own.apply({ ...stored }, { manager })
        return yield* own.apply({ ...next }, { manager })
      }).pipe(Effect.provide(memory))
    const next = fc.oneof(validEventStream, mutatedEventStream)
    const alike = fc.asyncProperty(validEventStream, next, (stored, changed) => {
      const metadata = { name: `a${randomUUID().slice(0, 8)}`, namespace: "default" }
      const [from, to] = [filled(stored, metadata), filled(changed, metadata)]
      return Effect.gen(function* () {
        yield* apply(from, "fieldValidation=Strict")
        yield* judgeAlike(apply(to, dryRun), changedInMemory(from, to))
      }).pipe(Effect.ensuring(Effect.ignore(kube.delete(EventStreams, metadata))), Effect.runPromise)
    })
    yield* Effect.promise(() => fc.assert(alike, { numRuns: 150 }))
  })
)
