import { assert, describe, it } from "@effect/vitest"
import { incarnationOf } from "../../platform/incarnation.ts"
import { emptyWorld, eventStreamOf, settle } from "../../testing/operator-world.ts"
import type { WriterStatus } from "../../writer/config.ts"
import { makeProgress } from "../../writer/progress.ts"
import { plan } from "../plan.ts"
import { configHash, writerConfig } from "../specs/configmap.ts"
import type { Inputs } from "./action.ts"
import { planConsumer } from "./consumer.ts"

const inputs: Inputs = { nowMillis: 0, nonce: "abc123", defaults: { image: "writer:test", hosts: undefined } }

/** `demo/logs`, carried out, with a hundred messages in its stream. */
const rest = settle({ eventStream: eventStreamOf(), world: emptyWorld }, inputs)
const durable = rest.plan.durable!
const jetStream = {
  ...rest.world.jetStream!,
  stream: { ...rest.world.jetStream!.stream!, lastSequence: 100 },
  consumers: rest.world.jetStream!.consumers.map((consumer) => ({ ...consumer, delivered: 100, ackFloor: 90 }))
}
const answer: WriterStatus = {
  ...makeProgress(durable).status(),
  incarnation: incarnationOf(jetStream.stream.config.name, jetStream.stream.created),
  missed: 70,
  state: "Running"
}
const reported = (writers: ReadonlyArray<WriterStatus>) => ({ ...rest, world: { ...rest.world, jetStream, writers } })
const creation = (writers: ReadonlyArray<WriterStatus>) => {
  const { eventStream, world } = reported(writers)
  const action = plan(eventStream, world, inputs).actions.find(({ _tag }) => _tag === "CreateConsumer")
  return action?._tag === "CreateConsumer" ? { at: action.config.opt_start_seq, cause: action.cause } : undefined
}

describe("a durable whose writers miss a message", () => {
  it("is replaced from the lowest", () => {
    assert.deepStrictEqual(creation([{ ...answer, missed: 80 }, answer, { ...answer, missed: null }]), {
      at: 70,
      cause: "Missed"
    })
  })

  it("is replaced from there also where a new lane would start by the policy", () => {
    assert.deepStrictEqual(creation([{ ...answer, state: "NeedsConsumer" }]), { at: 70, cause: "Missed" })
  })

  it("never starts behind what is pending on the old one", () => {
    assert.strictEqual(creation([{ ...answer, missed: 95 }])?.at, 91)
  })

  it("stays when writers of another stream, or of another durable, say so", () => {
    assert.isUndefined(creation([{ ...answer, incarnation: "00000000" }]))
    assert.isUndefined(creation([{ ...answer, durable: "logs-other" }]))
  })

  it("is replaced once, not again for what is said of the old one", () => {
    const names = settle(reported([answer]), inputs).world.jetStream!.consumers.map(({ name }) => name)
    assert.lengthOf(names, 1)
    assert.notInclude(names, durable)
  })

  it("is told of when it is somebody else's", () => {
    const observed = eventStreamOf({ consumer: { management: "Observed", name: "theirs" } })
    const { config } = jetStream.stream
    const hash = configHash(writerConfig(observed.metadata, observed.spec, config.name, "theirs"), observed.spec)
    const theirs = { ...jetStream, consumers: [{ ...jetStream.consumers[0]!, name: "theirs" }] }
    const runningHashes = new Set([hash])
    const writers = [{ ...answer, durable: "theirs" }]
    const { actions, problems } = planConsumer(
      observed,
      jetStream.stream,
      { ...theirs, writers, runningHashes },
      inputs
    )
    assert.deepStrictEqual(actions, [])
    assert.deepStrictEqual(
      problems.map(({ reason, stalled }) => [reason, stalled]),
      [["ConsumerError", true]]
    )
    assert.include(problems[0]!.message, "message 70")
  })
})
