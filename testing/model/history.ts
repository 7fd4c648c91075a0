import { incarnationOf } from "../../platform/incarnation.ts"
import { randomIntegers } from "../random.ts"
import { failOver, newDatabase } from "./database.ts"
import {
  loseTail,
  type Message,
  newStream,
  passAckWait,
  publish,
  purge,
  rebear,
  remove,
  type Stream
} from "./jetstream.ts"
import { act, observe } from "./operator.ts"
import type { Rules } from "./rules.ts"
import { createdOf, hasOutcome, laneKey, tick, Violation, type World, type Writer } from "./world.ts"
import * as writer from "./writer.ts"

/**
 * Histories of the model: a world and the steps that are taken in it, both made from one number, so that any failure is
 * repeated by its seed.
 */

/** A step of a history; `argument` says which writer, how many messages, and so on. */
export interface Step {
  readonly name: StepName
  readonly argument: number
}

export interface History {
  readonly retention: Stream["retention"]
  readonly policy: World["policy"]
  readonly writers: number
  /** Messages in the stream before the operator first sees it. */
  readonly before: number
  readonly steps: ReadonlyArray<Step>
}

/** Faults that are switched on together: a history has few of them, so that each gets room for what follows from it. */
export type Fault = "age" | "rebirth" | "rollback" | "durable" | "failover" | "compaction" | "target"
export const faults: ReadonlyArray<Fault> = [
  "age",
  "rebirth",
  "rollback",
  "durable",
  "failover",
  "compaction",
  "target"
]

type Take = (world: World, argument: number, chosen: Writer) => void

const gone = (world: World, messages: ReadonlyArray<Message>) => {
  for (const { id } of messages) world.fates[id]!.goneFromStream = true
}

const currentLane = (world: World) => laneKey(incarnationOf("EVENTS", createdOf(world)), world.target)

const publishOne = (world: World) => {
  const { stream, fates } = world
  const message = publish(stream, fates.length, tick(world))
  fates.push({ message, goneFromStream: false })
}

/** Runs one of the statements that a database has received, in any order. */
const runOne = (world: World, argument: number) => {
  const received = world.databases.flatMap((database) =>
    database.inFlight.map((transaction) => ({ database, transaction }))
  )
  const next = received[argument % Math.max(1, received.length)]
  if (next) writer.runTransaction(world, next.database, next.transaction, (argument >> 4) % 6 !== 0)
}

const steps = {
  publish: { weight: 14, take: publishOne },
  pull: { weight: 14, take: (world, argument, chosen) => writer.pullBatch(world, chosen, 1 + ((argument >> 4) % 3)) },
  decide: { weight: 8, take: (world, _, chosen) => writer.decide(world, chosen) },
  send: { weight: 10, take: (world, _, chosen) => writer.send(world, chosen) },
  /** The usual way at once, so that histories come further. */
  write: {
    weight: 14,
    take: (world, argument, chosen) => {
      writer.pullBatch(world, chosen, 1 + ((argument >> 4) % 3))
      writer.decide(world, chosen)
      writer.send(world, chosen)
    }
  },
  run: { weight: 14, take: runOne },
  ack: { weight: 9, take: (world, argument, chosen) => writer.ack(world, chosen, (argument >> 4) % 5 === 0) },
  ackWait: { weight: 5, take: ({ stream }) => passAckWait(stream) },
  crash: { weight: 3, take: (_world, _argument, chosen) => writer.crash(chosen) },
  start: { weight: 5, take: (world, _, chosen) => writer.start(world, chosen) },
  report: { weight: 4, take: (world, _, chosen) => writer.report(world, chosen) },
  observe: { weight: 5, take: observe },
  act: { weight: 6, take: act },
  ageOut: {
    weight: 6,
    fault: "age",
    take: (world, argument) => {
      const oldest = [...world.stream.messages.keys()].slice(0, 1 + (argument % 2))
      gone(
        world,
        oldest.flatMap((seq) => remove(world.stream, seq) ?? [])
      )
    }
  },
  purge: { weight: 3, fault: "age", take: (world) => gone(world, purge(world.stream)) },
  prune: { weight: 8, fault: "age", take: (world, _, chosen) => writer.pruneLane(world, chosen) },
  compact: { weight: 10, fault: "compaction", take: (world, _, chosen) => writer.compactLane(world, chosen) },
  rebear: { weight: 4, fault: "rebirth", take: (world) => gone(world, rebear(world.stream, `life-${tick(world)}`)) },
  loseTail: {
    weight: 8,
    fault: "rollback",
    take: (world, argument) => gone(world, loseTail(world.stream, 1 + (argument % 3), (argument >> 4) % 2 === 0))
  },
  deleteDurables: { weight: 6, fault: "durable", take: ({ stream }) => stream.durables.clear() },
  failOver: {
    weight: 6,
    fault: "failover",
    take: (world, argument) => failOver(world, world.databases[world.target]!, 1 + (argument % 2))
  },
  retarget: {
    weight: 4,
    fault: "target",
    take: (world) => {
      world.target = 1 - world.target
    }
  }
} satisfies Record<string, { readonly weight: number; readonly fault?: Fault; readonly take: Take }>
export type StepName = keyof typeof steps

const stepsOf = (on: ReadonlySet<Fault>): ReadonlyArray<StepName> =>
  Object.entries(steps).flatMap(([name, step]) =>
    "fault" in step && !on.has(step.fault) ? [] : Array.from({ length: step.weight }, () => name as StepName)
  )

/**
 * The history of a seed.
 *
 * @param always faults that it has in any case
 * @param never faults that it does not have
 */
export const historyOf = (
  seed: number,
  always: ReadonlyArray<Fault> = [],
  never: ReadonlyArray<Fault> = []
): History => {
  const random = randomIntegers(seed)
  const pick = <T>(values: ReadonlyArray<T>): T => values[random() % values.length]!
  const on = new Set([...always, ...Array.from({ length: random() % 4 }, () => pick(faults))])
  for (const fault of never) on.delete(fault)
  const names = stepsOf(on)
  return {
    retention: pick(["Limits", "Limits", "Limits", "WorkQueue"]),
    policy: pick(["All", "All", "All", "New"]),
    writers: 1 + (random() % 3),
    before: random() % 3,
    steps: Array.from({ length: 10 + (random() % 40) }, () => ({ name: pick(names), argument: random() >>> 8 }))
  }
}

const newWorld = (history: History, rules: Rules, note: World["note"]): World => ({
  rules,
  policy: history.policy,
  clockNanos: 1000n,
  nextNonce: 0,
  stream: newStream(history.retention, "life-0"),
  databases: [newDatabase(), newDatabase()],
  writers: Array.from({ length: history.writers }, (_, index) => writer.newWriter(index)),
  target: 0,
  status: undefined,
  assignment: undefined,
  observation: undefined,
  fates: [],
  lost: new Set(),
  policyLife: "",
  exempt: new Set(),
  note
})

/** What tells whether anything still moves. */
const progress = (world: World): string =>
  JSON.stringify(
    [
      world.status,
      [...world.stream.durables.values()].map(({ delivered, pending }) => [delivered, pending.size]),
      world.databases.map(({ lanes }) => [...lanes.values()].map(({ outcomes, records }) => [outcomes.length, records]))
    ],
    (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)
  )

/** Rounds without faults in which everything must come to rest. */
const maxRounds = 20

/** No more faults: everyone runs, answers arrive, until nothing moves. */
const settle = (world: World) => {
  const drain = () => {
    for (const database of world.databases) {
      for (const transaction of database.inFlight) writer.runTransaction(world, database, transaction, true)
    }
  }
  drain()
  let before = ""
  let still = 0
  for (let round = 0; still < 3; round++) {
    if (round === maxRounds) throw new Violation("Stuck", `no rest after ${maxRounds} rounds`)
    for (const each of world.writers) {
      writer.start(world, each)
      writer.report(world, each)
    }
    observe(world)
    act(world)
    passAckWait(world.stream)
    for (let turn = 0; turn < 6; turn++) {
      for (const each of world.writers) {
        writer.start(world, each)
        writer.pullBatch(world, each, 3)
        writer.decide(world, each)
        writer.send(world, each)
        drain()
        while (each.toAck.length > 0) writer.ack(world, each, false)
      }
    }
    const after = progress(world)
    still = after === before ? still + 1 : 0
    before = after
  }
}

/** Every message that is still in the stream, and was promised, has its outcome in the current lane. */
const checkDelivered = (world: World) => {
  const lane = currentLane(world)
  for (const { id, seq } of world.stream.messages.values()) {
    if (!world.exempt.has(`${lane}:${id}`) && !hasOutcome(world, lane, id)) {
      throw new Violation("Lost", `message ${id} (sequence ${seq}) has no outcome in lane ${lane}`)
    }
  }
}

/** Runs a history to its end; the promise it broke, if it did. */
export const run = (history: History, rules: Rules, note: World["note"] = () => {}): Violation | undefined => {
  const world = newWorld(history, rules, note)
  try {
    for (let count = 0; count < history.before; count++) publishOne(world)
    observe(world)
    act(world)
    for (const each of world.writers) writer.start(world, each)
    for (const { name, argument } of history.steps) {
      const chosen = world.writers[argument % world.writers.length]!
      note(`${name} ${argument & 255}`)
      const step: { readonly take: Take } = steps[name]
      step.take(world, argument, chosen)
    }
    note("no more faults")
    settle(world)
    checkDelivered(world)
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error
    throw error
  }
}

/** The shortest history found that breaks the same promise: steps are taken away as long as it does. */
export const shrink = (history: History, rules: Rules): History => {
  const wanted = run(history, rules)?.kind
  let shortest = history
  for (let at = shortest.steps.length - 1; at >= 0; at = Math.min(at - 1, shortest.steps.length - 1)) {
    const shorter = { ...shortest, steps: shortest.steps.toSpliced(at, 1) }
    if (run(shorter, rules)?.kind !== wanted) continue
    shortest = shorter
    at = shortest.steps.length
  }
  return shortest
}
