import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { KubeError, type KubeObject } from "../kube.ts"
import { eventObject, makeRecorder } from "./events.ts"

const stream: KubeObject = {
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name: "logs", namespace: "demo", uid: "1" }
}
const event = { type: "Normal", reason: "StreamCreated", action: "Reconcile", note: "made LOGS" } as const

it("an Event has a MicroTime, and a note that is cut to a kilobyte between characters", () => {
  const at = Date.parse("2026-01-02T03:04:05.678Z")
  const object = eventObject(stream, { ...event, note: "aé".repeat(1000) }, at)
  assert.strictEqual(object["eventTime"], "2026-01-02T03:04:05.678000Z")
  const note = object["note"] as string
  assert.match(note, /^(aé)+a?…$/)
  assert.isAtMost(Buffer.byteLength(note), 1024)
  assert.isAtLeast(Buffer.byteLength(note), 1020)
  assert.strictEqual(eventObject(stream, event, at)["note"], "made LOGS")
  assert.match(object.metadata.name, /^logs\.[0-9a-f]{12}$/)
})

it("about an object without namespace it is put into default", () => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } }
  const object = eventObject(namespace, event, 0)
  assert.strictEqual(object.metadata.namespace, "default")
  assert.deepStrictEqual(object["regarding"], { apiVersion: "v1", kind: "Namespace", name: "demo" })
})

it.effect("a repeat is dropped for five minutes, by object and reason", () =>
  Effect.gen(function* () {
    const created: Array<string> = []
    const record = makeRecorder((object) => {
      created.push(`${(object["regarding"] as { readonly uid: string }).uid} ${object["reason"] as string}`)
      return Effect.succeed(object)
    })
    yield* record(stream, event)
    yield* record(stream, { ...event, note: "again" })
    yield* record(stream, { ...event, reason: "StreamUpdated" })
    yield* record({ ...stream, metadata: { ...stream.metadata, uid: "2" } }, event)
    assert.deepStrictEqual(created, ["1 StreamCreated", "1 StreamUpdated", "2 StreamCreated"])
    yield* TestClock.adjust("299 seconds")
    yield* record(stream, event)
    assert.strictEqual(created.length, 3)
    yield* TestClock.adjust("1 seconds")
    yield* record(stream, event)
    assert.strictEqual(created.length, 4)
  })
)

it.effect("one that could not be recorded is not a repeat", () =>
  Effect.gen(function* () {
    let attempts = 0
    const record = makeRecorder((object) =>
      attempts++ === 0
        ? Effect.fail(new KubeError({ reason: "Unavailable", operation: "create", detail: "test" }))
        : Effect.succeed(object)
    )
    assert.strictEqual((yield* Effect.flip(record(stream, event))).reason, "Unavailable")
    yield* record(stream, event)
    assert.strictEqual(attempts, 2)
  })
)
