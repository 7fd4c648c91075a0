import { assert, describe, it } from "@effect/vitest"
import type { EventStream } from "../../crds/eventstream.ts"
import { emptyWorld, eventStreamOf, settle, streamOf } from "../../testing/operator-world.ts"
import type { Observed } from "../observe.ts"
import { plan } from "../plan.ts"
import { deadLetterStream } from "../specs/dead-letter-stream.ts"
import { Finalizer, OwnerMark } from "../specs/names.ts"

const inputs = {
  nowMillis: Date.parse("2026-01-02T00:00:00Z"),
  nonce: "a",
  defaults: { image: "writer:test", hosts: undefined }
}
const publishing = (fields: object = {}, metadata: Partial<EventStream["metadata"]> = {}) =>
  eventStreamOf({ errors: { deadLetter: { publish: fields } } }, metadata)
const wanted = (eventStream: EventStream) =>
  deadLetterStream(eventStream.metadata, eventStream.spec.errors.deadLetter.publish!)

const rest = settle({ eventStream: publishing(), world: emptyWorld }, inputs)
const holding = (fields: Partial<ReturnType<typeof wanted>>): Observed => ({
  ...rest.world,
  jetStream: { ...rest.world.jetStream!, deadLetterStream: streamOf({ ...wanted(rest.eventStream), ...fields }) }
})

describe("the stream of published dead letters", () => {
  it("is made last, with the defaults of its own", () => {
    assert.deepInclude(rest.steps.at(-1), { _tag: "CreateStream" })
    assert.deepInclude(rest.world.jetStream!.deadLetterStream!.config, {
      name: "DLQ_DEMO_LOGS",
      subjects: ["dlq.demo.logs.>"],
      max_bytes: 1024 ** 3,
      max_age: 336 * 3600 * 1e9,
      num_replicas: 1
    })
    assert.deepStrictEqual(plan(rest.eventStream, rest.world, inputs).problems, [])
  })

  it("is not made unless it is asked for", () => {
    const end = settle({ eventStream: eventStreamOf(), world: emptyWorld }, inputs)
    assert.isUndefined(end.world.jetStream!.deadLetterStream)
  })

  it("follows the spec, and is put back when somebody edits it", () => {
    const eventStream = publishing({ maxAge: "24h", subjectPrefix: "letters" })
    const end = settle({ eventStream, world: rest.world }, inputs)
    assert.deepInclude(end.world.jetStream!.deadLetterStream!.config, {
      max_age: 24 * 3600 * 1e9,
      subjects: ["letters.>"]
    })
    const edited = plan(rest.eventStream, holding({ max_msgs: 5 }), inputs)
    assert.deepInclude(edited.actions[0], { _tag: "UpdateStream", name: "DLQ_DEMO_LOGS", fields: { max_msgs: -1 } })
  })

  it("is left alone when it is another's, and rows flow all the same", () => {
    const found = plan(rest.eventStream, holding({ metadata: { [OwnerMark]: "demo/other" } }), inputs)
    assert.deepStrictEqual(found.actions, [])
    assert.deepInclude(found.problems[0], { reason: "StreamConflict", stalled: true })
    assert.isDefined(found.durable)
  })

  it.each(["Retain", "Delete"])("goes with the object by its own policy: %s", (deletionPolicy) => {
    const deleted = { deletionTimestamp: "2026-01-01T23:59:59Z", finalizers: [Finalizer] }
    const eventStream = publishing({ deletionPolicy }, deleted)
    const end = settle({ eventStream, world: rest.world }, inputs)
    const stays = end.world.jetStream!.deadLetterStream !== undefined
    assert.strictEqual(stays, deletionPolicy === "Retain")
    assert.isDefined(end.world.jetStream!.stream)
  })
})
