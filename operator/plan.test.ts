import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { incarnationOf } from "../platform/incarnation.ts"
import {
  emptyWorld,
  eventStreamOf,
  foreign,
  settle,
  wantedStream,
  withoutNats,
  consumerOf
} from "../testing/operator-world.ts"
import type { EventStream, EventStreamStatus } from "../crds/eventstream.ts"
import type { Observed } from "./observe.ts"
import { plan } from "./plan.ts"
import type { Action, Inputs } from "./plan/action.ts"
import { durableName, newConsumer } from "./specs/consumer.ts"
import { CreatedMark, Finalizer, OwnerMark } from "./specs/names.ts"
import { changeOf, statusOf } from "./status.ts"

const nowMillis = Date.parse("2026-01-02T00:00:00Z")
const inputs: Inputs = { nowMillis, nonce: "abc123", defaults: { image: "writer:test", hosts: undefined } }
const ours = { [OwnerMark]: "demo/logs" }
const tags = (actions: ReadonlyArray<Action>) => actions.map(({ _tag }) => _tag)

const held: Partial<EventStream["metadata"]> = { finalizers: [Finalizer] }

/** The world after everything is carried out. */
const settled = (eventStream: EventStream, world: Observed = emptyWorld) => settle({ eventStream, world }, inputs)

const withStream = (world: Observed, stream: NonNullable<Observed["jetStream"]>["stream"]): Observed => ({
  ...world,
  jetStream: { ...world.jetStream!, stream }
})

/** A durable of ours on the world's stream. */
const durableOn = (eventStream: EventStream, world: Observed, nonce: string, fields: object = {}, generation = 1) => {
  const { config, created } = world.jetStream!.stream!
  const name = durableName(eventStream.metadata, eventStream.spec, incarnationOf(config.name, created), nonce)
  return consumerOf({
    ...newConsumer(eventStream.metadata, eventStream.spec, name, { at: 1, first: 1 }, generation),
    ...fields
  })
}

describe("a plan", () => {
  const plain = eventStreamOf()
  const claimed = eventStreamOf({}, held)
  const rest = settled(plain)
  const stored = wantedStream(plain, ours)

  const table: ReadonlyArray<readonly [string, EventStream, Observed, ReadonlyArray<Action["_tag"]>]> = [
    ["a new object is claimed before anything is made", plain, emptyWorld, ["SetFinalizers", "CreateStream"]],
    [
      "with the stream there is a durable, then what runs the writers",
      claimed,
      withStream(emptyWorld, stored),
      ["CreateConsumer", "Apply", "Apply", "Apply"]
    ],
    ["a settled object needs nothing", rest.eventStream, rest.world, []],
    [
      "nothing is claimed when nothing is to be removed with the object",
      eventStreamOf({ consumer: { deletionPolicy: "Retain" } }),
      emptyWorld,
      ["CreateStream"]
    ],
    [
      "the claim is dropped when the policies no longer need it",
      { ...rest.eventStream, spec: eventStreamOf({ consumer: { deletionPolicy: "Retain" } }).spec },
      rest.world,
      ["SetFinalizers"]
    ],
    [
      "suspend scales to zero and nothing else",
      { ...rest.eventStream, spec: eventStreamOf({ suspend: true }).spec },
      rest.world,
      ["Apply"]
    ],
    [
      "another number of writers is no new configuration, but another bound for the durable",
      { ...rest.eventStream, spec: eventStreamOf({ writer: { replicas: 3 } }).spec },
      rest.world,
      ["UpdateConsumer", "Apply"]
    ],
    [
      "another batch size is a new configuration",
      { ...rest.eventStream, spec: eventStreamOf({ batch: { maxMessages: 100 } }).spec },
      rest.world,
      ["UpdateConsumer", "Apply", "Apply"]
    ],
    ["without NATS nothing new is made", claimed, withoutNats(emptyWorld), []],
    [
      "without NATS running writers still follow the spec",
      {
        ...rest.eventStream,
        spec: eventStreamOf({ suspend: true }).spec,
        status: { consumer: { name: rest.plan.durable! } }
      },
      withoutNats(rest.world),
      ["Apply"]
    ],
    [
      "a stream of another EventStream is not touched",
      claimed,
      withStream(emptyWorld, wantedStream(plain, { [OwnerMark]: "demo/other" }, {}, { max_age: 5 })),
      []
    ],
    ["nor one that is nobody's", claimed, withStream(emptyWorld, wantedStream(plain, {}, {}, { max_age: 5 })), []],
    [
      "which is marked when adopted",
      eventStreamOf({ stream: { subjects: ["logs.>"], adopt: true } }, held),
      withStream(emptyWorld, wantedStream(plain, {})),
      ["UpdateStream", "CreateConsumer", "Apply", "Apply", "Apply"]
    ],
    [
      "a mark that was lost is put back",
      { ...rest.eventStream, status: { stream: { owned: true, created: rest.world.jetStream!.stream!.created } } },
      withStream(rest.world, {
        ...rest.world.jetStream!.stream!,
        config: { ...rest.world.jetStream!.stream!.config, metadata: {} }
      }),
      ["UpdateStream"]
    ],
    [
      "a Deployment of that name that is another's stops everything that runs writers",
      claimed,
      { ...withStream(emptyWorld, stored), deployment: foreign("Deployment", "logs-writer") },
      ["CreateConsumer"]
    ]
  ]
  it.each(table)("%s", (_, eventStream, world, expected) => {
    assert.deepStrictEqual(tags(plan(eventStream, world, inputs).actions), expected)
  })

  it("keeps old configurations for a rollback, and no more than three", () => {
    let state = rest as { readonly eventStream: EventStream; readonly world: Observed }
    for (let n = 1; n <= 5; n++) {
      const spec = eventStreamOf({ batch: { maxMessages: n } }).spec
      state = settle({ ...state, eventStream: { ...state.eventStream, spec } }, inputs)
    }
    assert.lengthOf(state.world.configMaps, 3)
  })
})

describe("the durable", () => {
  const existing = (spec: Readonly<Record<string, unknown>>, state: object = {}, status?: EventStreamStatus) => {
    const eventStream = eventStreamOf(spec, held, status)
    return { eventStream, world: withStream(emptyWorld, wantedStream(eventStream, ours, state)) }
  }
  const created = ({ eventStream, world }: { readonly eventStream: EventStream; readonly world: Observed }) => {
    const action = plan(eventStream, world, inputs).actions.find(({ _tag }) => _tag === "CreateConsumer")
    if (action?._tag !== "CreateConsumer") throw new Error("wanted a CreateConsumer")
    return {
      at: action.config.opt_start_seq ?? 1,
      cause: action.cause,
      name: action.config.name,
      config: action.config
    }
  }
  const started = (name: string, startSequence: number): EventStreamStatus => ({ consumer: { name, startSequence } })
  const incarnation = incarnationOf("DEMO_LOGS", "2026-01-01T00:00:00.000000001Z")
  const before = `logs-${incarnation}-000000`
  const from = (policy: object) => ({ consumer: { deliverFrom: policy } })

  const table: ReadonlyArray<readonly [string, ReturnType<typeof existing>, number, string]> = [
    ["All starts at the first message", existing({}, { lastSequence: 9 }), 1, "First"],
    ["New starts behind the last", existing(from({ policy: "New" }), { lastSequence: 9 }), 10, "First"],
    [
      "StartSequence starts there",
      existing(from({ policy: "StartSequence", sequence: 4 }), { lastSequence: 9 }),
      4,
      "First"
    ],
    ["a lost one starts where the first did", existing({}, { lastSequence: 9 }, started(before, 4)), 4, "Lost"],
    ["but not behind the end", existing({}, { lastSequence: 2 }, started(before, 8)), 3, "Lost"],
    [
      "a reborn stream is read from 1",
      existing(from({ policy: "New" }), { lastSequence: 9 }, started("logs-00000000-000000", 400)),
      1,
      "Reborn"
    ],
    [
      "a work queue delivers what is left",
      existing({ stream: { subjects: ["logs.>"], retention: "WorkQueue" } }, { lastSequence: 9 }, started(before, 4)),
      1,
      "Lost"
    ]
  ]
  it.each(table)("%s", (_, start, at, cause) => {
    const found = created(start)
    assert.deepStrictEqual([found.at, found.cause], [at, cause])
    assert.strictEqual(found.name, `logs-${incarnation}-abc123`)
  })

  it("New starts at 1 on a stream that this object made, since nothing in it is older", () => {
    const { eventStream, world } = existing(from({ policy: "New" }), { lastSequence: 3 })
    const stream = world.jetStream!.stream!
    const made = withStream(world, {
      ...stream,
      config: { ...stream.config, metadata: { ...ours, [CreatedMark]: "uid-1" } }
    })
    assert.strictEqual(created({ eventStream, world: made }).at, 1)
  })

  it("of two of ours the newer one is read, and the other goes when no writer uses it", () => {
    const { eventStream, world } = existing({})
    const older = { ...durableOn(eventStream, world, "b"), created: "2026-01-01T00:00:09Z" } // of a clock that went back
    const newer = durableOn(eventStream, world, "a", {}, 2)
    const consumers = [newer, older]
    const both = { ...world, jetStream: { ...world.jetStream!, consumers } }
    const first = plan(eventStream, both, inputs)
    assert.strictEqual(first.durable, newer.name)
    assert.notInclude(tags(first.actions), "DeleteConsumer")
    const end = settled(eventStream, both)
    assert.deepStrictEqual(
      end.world.jetStream!.consumers.map(({ name }) => name),
      [newer.name]
    )
  })

  it("is kept while a Pod of an older configuration is alive", () => {
    const { eventStream, world } = existing({})
    const old = durableOn(eventStream, world, "a")
    const end = settled(eventStream, { ...world, jetStream: { ...world.jetStream!, consumers: [old] } })
    const writers = [{ ...answer, durable: old.name, state: "NeedsConsumer" as const }]
    const rolling = settle({ ...end, world: { ...end.world, writers } }, inputs, "Held")
    assert.include(tags(rolling.steps), "CreateConsumer")
    assert.lengthOf(rolling.world.jetStream!.consumers, 2)
  })

  it("is replaced when it has a setting the server never changes", () => {
    const { eventStream, world } = existing({}, { lastSequence: 5 }, started(before, 2))
    const odd = durableOn(eventStream, world, "a", { max_waiting: 3 })
    const end = settled(eventStream, { ...world, jetStream: { ...world.jetStream!, consumers: [odd] } })
    const [only, ...others] = end.world.jetStream!.consumers
    assert.deepStrictEqual(others, [])
    assert.strictEqual(only!.config.opt_start_seq, 2)
  })

  it("starts where writers of exactly this configuration lack something; others are not asked", () => {
    const end = settled(eventStreamOf())
    const durable = end.plan.durable!
    const lost = {
      ...end.world,
      jetStream: {
        ...end.world.jetStream!,
        consumers: [],
        stream: { ...end.world.jetStream!.stream!, lastSequence: 100 }
      }
    }
    const { config, created: madeAt } = lost.jetStream.stream
    const status = started(durable, 5)
    const writers = [{ ...answer, durable, incarnation: incarnationOf(config.name, madeAt), lowestUncovered: 70 }]
    const at = (eventStream: EventStream, world: Observed) => created({ eventStream, world }).at
    const same = { ...end.eventStream, status }
    assert.strictEqual(at(same, { ...lost, writers }), 70)
    assert.strictEqual(at(same, { ...lost, writers: [{ ...writers[0]!, incarnation: "00000000" }] }), 5)
    const elsewhere = eventStreamOf(
      { target: { postgres: { secretRef: { name: "pg-other" } } } },
      end.eventStream.metadata,
      status
    )
    assert.strictEqual(at(elsewhere, { ...lost, writers }), 5)
  })
})

const answer = {
  incarnation: "",
  durable: "",
  lane: 1,
  database: "1",
  server: "PostgreSQL 18.4",
  lowestUncovered: null,
  missed: null,
  written: 0,
  deadLettered: 0,
  dropped: 0,
  lost: 0,
  lastWriteTime: null,
  state: "Running",
  reason: null,
  message: null
} as const

describe("changes of a stream", () => {
  const full = { messages: 20, bytes: 4096, firstTime: "2026-01-01T00:00:00Z", subjects: 4 }
  const change = (stream: object, annotations: Readonly<Record<string, string>> = {}, state: object = full) => {
    const eventStream = eventStreamOf({ stream: { subjects: ["logs.>"], ...stream } }, { ...held, annotations })
    const world = withStream(emptyWorld, wantedStream(eventStreamOf(), ours, state))
    const { actions, problems } = plan(eventStream, world, inputs)
    const update = actions.find((action) => action._tag === "UpdateStream")
    return {
      fields: update?._tag === "UpdateStream" ? Object.keys(update.fields) : [],
      problems: problems.map(({ reason, message }) => `${reason} ${/[a-zA-Z]+:[A-Za-z0-9]+/.exec(message)?.[0]}`)
    }
  }
  const lossy: ReadonlyArray<readonly [object, string]> = [
    [{ retention: "Interest" }, "retention:Interest"],
    [{ maxMessages: 5 }, "maxMessages:5"],
    [{ maxBytes: "1Ki" }, "maxBytes:1Ki"],
    [{ maxMessagesPerSubject: 2 }, "maxMessagesPerSubject:2"],
    [{ maxAge: "1h" }, "maxAge:1h"]
  ]
  it.each(lossy)("%j waits for the approval %s", (stream, approval) => {
    assert.deepStrictEqual(change(stream), { fields: [], problems: [`NeedsApproval ${approval}`] })
    const approved = change(stream, { "eventstream.dev/approve": `other, ${approval}` })
    assert.deepStrictEqual(approved.problems, [])
    assert.isNotEmpty(approved.fields)
    assert.deepStrictEqual(change(stream, {}, { messages: 0 }).problems, [], "an empty stream has nothing to lose")
  })
  it.each([
    [{ maxMessages: 20 }, ["max_msgs"]],
    [{ maxAge: "48h" }, ["max_age"]],
    [{ subjects: ["logs.a"] }, ["subjects"]],
    [{ maxMessagesPerSubject: 20 }, ["max_msgs_per_subject"]],
    [{ discard: "New", compression: "S2" }, ["discard", "compression"]]
  ])("%j is made at once", (stream, fields) => {
    assert.deepStrictEqual(change(stream), { fields, problems: [] })
  })
  it.each([[{ storage: "Memory" }], [{ retention: "WorkQueue" }]])("%j is impossible", (stream) => {
    assert.match(change(stream).problems.join(), /^ImmutableField/)
  })
})

/** Specs and worlds in which anything may have happened. */
const specs = fc.record({
  suspend: fc.boolean(),
  stream: fc.record({
    subjects: fc.constantFrom(["logs.>"], ["logs.a", "logs.b"]),
    adopt: fc.boolean(),
    retention: fc.constantFrom("Limits", "Interest", "WorkQueue"),
    maxMessages: fc.constantFrom(-1, 5),
    deletionPolicy: fc.constantFrom("Retain", "Delete")
  }),
  consumer: fc.record({
    deletionPolicy: fc.constantFrom("Retain", "Delete"),
    filterSubjects: fc.constantFrom([], ["logs.a"])
  }),
  errors: fc.constantFrom({}, { deadLetter: { publish: { deletionPolicy: "Delete" } } }),
  writer: fc.record({ replicas: fc.nat(2) })
})

const worlds = fc.record({
  nats: fc.boolean(),
  clustered: fc.boolean(),
  stream: fc.constantFrom("none", "ours", "other's", "nobody's"),
  messages: fc.constantFrom(0, 9),
  maxAge: fc.constantFrom(0, 1e15),
  durables: fc.subarray(["a", "b", "old incarnation", "odd", "drifted", "foreign"]),
  children: fc.constantFrom("none", "earlier", "foreign"),
  needsConsumer: fc.boolean(),
  startSequence: fc.constantFrom(undefined, 1, 7),
  deleted: fc.constantFrom(undefined, "2026-01-01T23:59:59Z", "2026-01-01T00:00:00Z"),
  claimed: fc.boolean()
})

type Given = typeof worlds extends fc.Arbitrary<infer W> ? W : never

const start = (spec: Readonly<Record<string, unknown>>, given: Given) => {
  const earlier = settled(eventStreamOf({ batch: { maxMessages: 7 } }))
  const metadata = {
    ...(given.claimed ? held : {}),
    ...(given.deleted === undefined ? {} : { deletionTimestamp: given.deleted })
  }
  const name = `logs-${incarnationOf("DEMO_LOGS", "2026-01-01T00:00:00.000000001Z")}-0`
  const status: EventStreamStatus | undefined =
    given.startSequence === undefined ? undefined : { consumer: { name, startSequence: given.startSequence } }
  const eventStream = eventStreamOf(spec, metadata, status)
  const marks = { none: {}, ours, "nobody's": {}, "other's": { [OwnerMark]: "demo/other" } }[given.stream]
  const state = { messages: given.messages, lastSequence: given.messages }
  const stream =
    given.stream === "none" ? undefined : wantedStream(eventStream, marks, state, { max_age: given.maxAge })
  const world = withStream(
    { ...emptyWorld, jetStream: { ...emptyWorld.jetStream!, clustered: given.clustered } },
    stream
  )
  const fields: Readonly<Record<string, object>> = {
    odd: { max_waiting: 1 },
    drifted: { ack_wait: 1 },
    "old incarnation": { name: "logs-00000000-x", durable_name: "logs-00000000-x" },
    foreign: { name: "theirs", durable_name: "theirs", metadata: {} }
  }
  const consumers = stream
    ? given.durables.map((nonce, index) => {
        const made = durableOn(eventStream, world, nonce.replaceAll(" ", ""), fields[nonce], index)
        return { ...made, name: made.config.name }
      })
    : []
  const children =
    given.children === "foreign"
      ? { deployment: foreign("Deployment", "logs-writer") }
      : given.children === "earlier"
        ? { ...earlier.world, jetStream: undefined }
        : {}
  const current = consumers.filter(({ config }) => config.metadata[OwnerMark] !== undefined).at(-1)
  const writers =
    given.needsConsumer && current ? [{ ...answer, durable: current.name, state: "NeedsConsumer" as const }] : []
  const whole: Observed = { ...emptyWorld, ...children, writers, jetStream: { ...world.jetStream!, consumers } }
  return { eventStream, world: given.nats ? whole : withoutNats(whole) }
}

describe("every plan", () => {
  it("comes to rest: carried out and made again it is empty, and so is the status' change", () => {
    fc.assert(
      fc.property(specs, worlds, (spec, given) => {
        const state = start(spec, given)
        const before = { ...state.world.jetStream }
        const end = settle(state, inputs)
        assert.deepStrictEqual(plan(end.eventStream, end.world, inputs).actions, [])

        const report = (status: EventStreamStatus | undefined) =>
          statusOf({
            eventStream: { ...end.eventStream, ...(status ? { status } : {}) },
            observed: end.world,
            plan: end.plan,
            failure: undefined,
            nowMillis,
            deadLettering: false,
            losing: false,
            operatorVersion: "test"
          })
        const first = report(end.eventStream.status)
        assert.strictEqual(changeOf(first, report(first)), "None")

        const foreignBefore = before.consumers?.filter(({ name }) => name === "theirs") ?? []
        const approved = end.world.jetStream?.stream === undefined
        if (!approved) {
          const after = end.world.jetStream.consumers.filter(({ name }) => name === "theirs")
          assert.deepStrictEqual(after, foreignBefore, "consumers of others are never touched")
        }
        if (given.stream === "other's" || (given.stream === "nobody's" && !spec.stream.adopt)) {
          assert.deepStrictEqual(end.world.jetStream?.stream, state.world.jetStream?.stream, "nor streams")
        }
        if (given.children === "foreign") {
          assert.deepStrictEqual(end.world.deployment, state.world.deployment, "nor Deployments")
        }
        assert.isAtMost(end.steps.filter(({ _tag }) => _tag === "CreateConsumer").length, 1)
      }),
      { numRuns: 500 }
    )
  })
})
