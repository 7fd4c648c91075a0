import { Schema } from "effect"
import { type EventStream, EventStreamSpec } from "../../crds/eventstream.ts"
import type { ConsumerState, StreamState } from "../../operator/jetstream.ts"
import type { Action } from "../../operator/plan/action.ts"
import { planConsumer } from "../../operator/plan/consumer.ts"
import { configHash, writerConfig } from "../../operator/specs/configmap.ts"
import type { ConsumerConfig } from "../../operator/specs/consumer.ts"
import { newStream as streamOfSpec } from "../../operator/specs/stream.ts"
import { incarnationOf } from "../../platform/incarnation.ts"
import { StartMark } from "../../writer/config.ts"
import { ackFloor, createDurable } from "./jetstream.ts"
import { createdOf, type Observation, type World } from "./world.ts"

/** The operator: looks, and later acts on what it saw. What it does about the durable is decided by the product's own plan. */

const metadata = { name: "events", namespace: "model", uid: "model-uid", generation: 1 }

const decode = Schema.decodeUnknownSync(EventStreamSpec)
const specs = new Map<string, EventStream["spec"]>()

/** The spec of a world as it is now. */
const specOf = ({ target, policy, stream }: World): EventStream["spec"] => {
  const key = `${target} ${policy} ${stream.retention}`
  const known = specs.get(key)
  if (known) return known
  const spec = decode({
    nats: { servers: ["nats://nats:4222"] },
    stream: { name: "EVENTS", subjects: ["events.>"], retention: stream.retention },
    consumer: { deliverFrom: { policy } },
    processor: { type: "Telemetry" },
    target: { postgres: { secretRef: { name: `database-${target}` } } }
  })
  specs.set(key, spec)
  return spec
}

const eventStreamOf = (world: World): EventStream => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata,
  spec: specOf(world),
  ...(world.status ? { status: { consumer: world.status } } : {})
})

const wantedHash = (world: World, durable: string) =>
  configHash(writerConfig(metadata, specOf(world), "EVENTS", durable), specOf(world))

export const observe = (world: World) => {
  const { stream } = world
  const state: StreamState = {
    config: { ...streamOfSpec(metadata, specOf(world)), metadata: {} }, // not ours: policy New starts behind what is there
    created: createdOf(world),
    messages: stream.messages.size,
    bytes: 0,
    firstSequence: stream.first,
    lastSequence: stream.last,
    firstTime: "",
    subjects: 1,
    currentReplicas: 1
  }
  const consumers = [...stream.durables.values()].map((durable): ConsumerState => ({
    name: durable.config.name,
    created: String(durable.createdNanos).padStart(12, "0"),
    config: durable.config,
    delivered: durable.delivered,
    ackFloor: ackFloor(durable),
    pending: 0,
    ackPending: durable.pending.size,
    redelivered: 0,
    waiting: 0,
    paused: false
  }))
  world.observation = {
    stream: state,
    consumers,
    writers: world.writers.flatMap(({ report }) => report ?? []),
    runningHashes: new Set(world.writers.flatMap(({ assignment }) => assignment?.configHash ?? []))
  }
}

/** What writers say, as if every lane were one, when the rule is off. */
const reportsAsSeen = (world: World, { writers, runningHashes, stream }: Observation) => {
  if (world.rules.has("ReportOfSameLane")) return { writers, runningHashes }
  const incarnation = incarnationOf("EVENTS", stream.created)
  const durable = world.status?.name ?? "none"
  return {
    writers: writers.map((report) => ({ ...report, incarnation, durable })),
    runningHashes: new Set([wantedHash(world, durable)])
  }
}

const configAsMade = (world: World, action: Extract<Action, { _tag: "CreateConsumer" }>): ConsumerConfig => {
  const { config, cause } = action
  if ((cause !== "Lost" && cause !== "FixedField") || world.rules.has("StartAtLowestUncovered")) return config
  return { ...config, deliver_policy: "by_start_sequence", opt_start_seq: (world.status?.ackFloor ?? 0) + 1 }
}

/** Makes a durable; false when the stream turns out to be another one than was looked at. */
const carryOut = (world: World, action: Extract<Action, { _tag: "CreateConsumer" }>): boolean => {
  const { stream, rules } = world
  const config = configAsMade(world, action)
  createDurable(stream, config, ++world.clockNanos)
  if (rules.has("CreatedReadAgain") && createdOf(world) !== action.streamCreated) {
    stream.durables.delete(config.name)
    return false
  }
  world.note(`  operator makes ${config.name} from ${config.opt_start_seq ?? 1}: ${action.cause}`)
  if (action.cause === "First" || action.cause === "NewLane") world.policyLife = action.streamCreated
  return true
}

/** Acts on the last observation, if it was not acted on yet. */
export const act = (world: World) => {
  if (!world.observation) return
  const { observation } = world
  world.observation = undefined
  const { stream, consumers } = observation
  const nonce = world.rules.has("Nonce") ? String(world.nextNonce++) : "0"
  const plan = planConsumer(
    eventStreamOf(world),
    stream,
    { consumers, ...reportsAsSeen(world, observation), startTimeSequence: undefined },
    { nowMillis: 0, nonce, defaults: { image: "writer", hosts: undefined } }
  )
  for (const action of plan.actions) {
    if (action._tag === "CreateConsumer" && !carryOut(world, action)) return
    if (action._tag === "DeleteConsumer") world.stream.durables.delete(action.name)
  }
  const name = plan.durable
  const durable = name && world.stream.durables.get(name)
  if (!name || !durable) return
  const hash = wantedHash(world, name)
  world.status = { name, startSequence: Number(durable.config.metadata[StartMark]), ackFloor: ackFloor(durable) }
  if (world.assignment?.configHash !== hash) {
    world.assignment = { configHash: hash, durable: name, database: world.target }
  }
  const rolledOut = world.writers.every(({ assignment }) => assignment === undefined || assignment.configHash === hash)
  if (rolledOut) for (const other of plan.superseded) world.stream.durables.delete(other)
}
