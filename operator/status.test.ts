import { assert, describe, it } from "@effect/vitest"
import type { Condition, EventStreamStatus } from "../crds/eventstream.ts"
import { conditionsOf } from "../testing/operator-services.ts"
import { emptyWorld, eventStreamOf, settle, withoutNats } from "../testing/operator-world.ts"
import type { WriterStatus } from "../writer/config.ts"
import { eventsBetween } from "./events.ts"
import type { KubeObject } from "./kube.ts"
import type { Observed } from "./observe.ts"
import { emptyPlan, type Problem } from "./plan/action.ts"
import { changeOf, invalidSpecStatus, statusOf, type StatusInputs } from "./status.ts"
import { humanCount, quantise } from "./status/numbers.ts"

const start = Date.parse("2026-01-02T00:00:00Z")
const minutes = (count: number) => start + count * 60_000
const inputs = { nowMillis: start, nonce: "a", defaults: { image: "writer:test", hosts: undefined } }

/** `demo/logs`, carried out, its writers ready. */
const rest = settle({ eventStream: eventStreamOf(), world: emptyWorld }, inputs)
const answer: WriterStatus = {
  incarnation: "",
  durable: rest.plan.durable!,
  lane: 1,
  database: "1",
  server: "PostgreSQL 18.4",
  lowestUncovered: null,
  missed: null,
  written: 1_234_567,
  deadLettered: 0,
  dropped: 0,
  lost: 0,
  lastWriteTime: "2026-01-01T00:00:00Z",
  state: "Running",
  reason: null,
  message: null
}
const world: Observed = { ...rest.world, writers: [answer] }

const report = (fields: Partial<StatusInputs> & { readonly previous?: EventStreamStatus | undefined } = {}) => {
  const { previous, ...given } = fields
  const eventStream = given.eventStream ?? rest.eventStream
  return statusOf({
    observed: world,
    plan: rest.plan,
    failure: undefined,
    nowMillis: start,
    deadLettering: false,
    losing: false,
    operatorVersion: "0.1.0",
    ...given,
    eventStream: { ...eventStream, ...(previous ? { status: previous } : {}) }
  })
}
const running = report()

describe("deadLetter", () => {
  const counting = (...counts: ReadonlyArray<number>): Observed => ({
    ...world,
    writers: counts.map((count) => ({ ...answer, deadLetters: { count, oldest: "2026-01-01T00:00:00Z" } }))
  })

  it("is what the writer says that has counted most, and stays while none says anything", () => {
    const status = report({ observed: counting(3, 5) })
    assert.deepEqual(status.deadLetter, { count: 5, oldest: "2026-01-01T00:00:00Z" })
    assert.deepEqual(report({ previous: status }).deadLetter, status.deadLetter)
    assert.isUndefined(running.deadLetter)
  })

  it("counts as numbers, which may wait", () => {
    const before = report({ observed: counting(3) })
    assert.strictEqual(changeOf(before, report({ previous: before, observed: counting(4) })), "Numbers")
  })
})

const failing = (problem: Partial<Problem>): Problem => ({
  about: "Nats",
  reason: "NatsUnreachable",
  message: "wanted a connection, found none",
  stalled: false,
  ...problem
})
const withPods = (deployment: object, pods: ReadonlyArray<KubeObject> = []): Observed => ({
  ...rest.world,
  deployment: { ...rest.world.deployment!, status: { observedGeneration: 1, ...deployment } },
  pods
})
const pod = (status: object): KubeObject => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, status })
const message = (status: EventStreamStatus, type: string) => status.conditions!.find((c) => c.type === type)?.message
const brief = (status: EventStreamStatus) => {
  const { Ready, Reconciling, Stalled } = conditionsOf(status)
  return [
    Ready,
    ...(Reconciling ? [`Reconciling ${Reconciling}`] : []),
    ...(Stalled ? [`Stalled ${Stalled}`] : [])
  ].join(", ")
}

describe("Ready, Reconciling and Stalled", () => {
  const stuck = withPods({ replicas: 1, updatedReplicas: 1 })
  const rollingOn = withPods({ replicas: 2, updatedReplicas: 1, availableReplicas: 1 })
  const writer = (fields: Partial<WriterStatus>): Observed => ({ ...world, writers: [{ ...answer, ...fields }] })
  const two = (fields: Partial<WriterStatus>): Observed => ({ ...world, writers: [answer, { ...answer, ...fields }] })
  const suspended = eventStreamOf({ suspend: true })
  const stopped = settle({ ...rest, eventStream: { ...rest.eventStream, spec: suspended.spec } }, inputs)
  const idle = eventStreamOf({ writer: { replicas: 0 } })
  const idling = settle({ ...rest, eventStream: { ...rest.eventStream, spec: idle.spec } }, inputs)
  const deleted = eventStreamOf({}, { deletionTimestamp: "2026-01-02T00:00:00Z" })

  const table: ReadonlyArray<readonly [string, Parameters<typeof report>[0], string]> = [
    ["all is well", {}, "True Running"],
    [
      "the Deployment is not there yet",
      { observed: { ...world, deployment: undefined, pods: [], writers: [] } },
      "False Progressing, Reconciling True Progressing"
    ],
    ["writers start", { observed: stuck }, "False Progressing, Reconciling True RollingOut"],
    [
      "writers that were ready are not any more",
      { observed: stuck, previous: running },
      "False WriterUnavailable, Reconciling True RollingOut"
    ],
    ["new writers replace old ones", { observed: rollingOn }, "True Running, Reconciling True RollingOut"],
    ["suspended", { ...stopped, observed: stopped.world }, "True Suspended"],
    [
      "suspended, writers still stopping",
      { eventStream: stopped.eventStream },
      "True Suspended, Reconciling True RollingOut"
    ],
    ["scaled to zero", { ...idling, observed: idling.world }, "True Idle"],
    [
      "the database is away",
      { observed: writer({ state: "Retrying", reason: "TargetUnreachable" }) },
      "False TargetUnreachable, Reconciling True ProgressingWithRetry"
    ],
    [
      "of two writers one retries",
      { observed: two({ state: "Retrying", reason: "TargetUnreachable" }) },
      "True Running"
    ],
    [
      "of two writers one needs a person",
      { observed: two({ state: "Stalled", reason: "SchemaMismatch" }) },
      "False SchemaMismatch, Stalled True SchemaMismatch"
    ],
    [
      "a message halts a writer",
      { observed: writer({ state: "Halted", reason: "PoisonMessages" }) },
      "False Halted, Stalled True PoisonMessages"
    ],
    [
      "a writer of an earlier durable says nothing of this one",
      { observed: { ...writer({ state: "Stalled", durable: "old" }) } },
      "True Running"
    ],
    [
      "NATS is away",
      { plan: { ...emptyPlan, problems: [failing({})] }, observed: withoutNats(world) },
      "False NatsUnreachable, Reconciling True ProgressingWithRetry"
    ],
    [
      "a step was refused",
      { failure: failing({ about: "Stream", reason: "SubjectOverlap", stalled: true }) },
      "False StreamError, Stalled True SubjectOverlap"
    ],
    [
      "a child's name is taken",
      { failure: failing({ about: "Kubernetes", reason: "NameConflict", stalled: true }) },
      "False NameConflict, Stalled True NameConflict"
    ],
    [
      "what needs a person counts before what passes",
      {
        plan: {
          ...emptyPlan,
          problems: [failing({}), failing({ about: "Consumer", reason: "QuotaExceeded", stalled: true })]
        }
      },
      "False ConsumerError, Stalled True QuotaExceeded"
    ],
    [
      "being deleted",
      { eventStream: deleted, plan: { ...emptyPlan, draining: "writers finish" } },
      "False Draining, Reconciling True Draining"
    ]
  ]
  it.each(table)("%s", (_, given, expected) => {
    assert.strictEqual(brief(report(given)), expected)
  })

  it("a short loss of a connection leaves Ready true for a minute, a long one makes it stalled after ten", () => {
    const away = { plan: { ...rest.plan, problems: [failing({})] }, observed: withoutNats(world) }
    const at = (count: number, previous: EventStreamStatus) => report({ ...away, previous, nowMillis: minutes(count) })
    const lost = at(0, running)
    assert.strictEqual(brief(lost), "True Running, Reconciling True ProgressingWithRetry")
    const still = at(0.9, lost)
    assert.strictEqual(brief(still), "True Running, Reconciling True ProgressingWithRetry")
    const longer = at(1.1, still)
    assert.strictEqual(brief(longer), "False NatsUnreachable, Reconciling True ProgressingWithRetry")
    const late = at(10.1, longer)
    assert.strictEqual(brief(late), "False NatsUnreachable, Stalled True ProgressDeadlineExceeded")
    assert.strictEqual(brief(at(11, late)), "False NatsUnreachable, Stalled True ProgressDeadlineExceeded")
    assert.strictEqual(brief(report({ previous: late, nowMillis: minutes(12) })), "True Running")
    const edited = { ...rest.eventStream, metadata: { ...rest.eventStream.metadata, generation: 2 } }
    assert.strictEqual(
      brief(report({ ...away, eventStream: edited, previous: late, nowMillis: minutes(11) })),
      "False NatsUnreachable, Reconciling True ProgressingWithRetry",
      "an edit is another try"
    )
  })
})

describe("what explains them", () => {
  it("what a container said last, as JSON or not, and an image that can't be had", () => {
    const said = (terminated: object) =>
      report({
        observed: withPods({ replicas: 1, updatedReplicas: 1 }, [
          pod({ initContainerStatuses: [{ name: "migrate", lastState: { terminated } }] })
        ])
      })
    const json = said({ exitCode: 1, message: 'x\n{"reason":"TlsFailed","message":"wanted TLS, found none"}\n' })
    assert.strictEqual(conditionsOf(json)["TargetReachable"], "False TlsFailed")
    assert.strictEqual(message(json, "Ready"), "wanted TLS, found none")
    assert.strictEqual(message(said({ exitCode: 134, message: "FATAL heap\n" }), "Ready"), "FATAL heap")
    assert.strictEqual(
      message(said({ exitCode: 137, reason: "OOMKilled" }), "Ready"),
      "container migrate ended: OOMKilled"
    )
    const waiting = { reason: "ImagePullBackOff", message: "no such image writer:9" }
    const image = report({
      observed: withPods({ replicas: 1, updatedReplicas: 1 }, [
        pod({ containerStatuses: [{ name: "writer", state: { waiting } }] })
      ])
    })
    assert.strictEqual(message(image, "WriterAvailable"), "container writer: ImagePullBackOff: no such image writer:9")
    assert.notProperty(conditionsOf(image), "TargetReachable")
  })

  it.each([
    [
      "a Pod that finds no node",
      withPods({ replicas: 1, updatedReplicas: 1 }, [
        pod({ conditions: [{ type: "PodScheduled", status: "False", message: "3 Insufficient cpu" }] })
      ]),
      "Pod p finds no node: 3 Insufficient cpu"
    ],
    [
      "a Pod that is refused",
      withPods({ conditions: [{ type: "ReplicaFailure", status: "True", message: "exceeded quota: q" }] }),
      "no Pod could be made: exceeded quota: q"
    ]
  ])("%s is told", (_, observed, words) => {
    const status = report({ observed })
    assert.strictEqual(brief(status), "False WriterUnavailable, Reconciling True ProgressingWithRetry")
    assert.strictEqual(message(status, "Ready"), words)
    assert.strictEqual(message(status, "WriterAvailable"), words)
  })

  it("while NATS is away what was known is kept", () => {
    const away = report({
      observed: withoutNats({ ...world, writers: [] }),
      plan: { ...rest.plan, problems: [failing({})] },
      previous: running
    })
    assert.deepStrictEqual(away.stream, running.stream)
    assert.deepStrictEqual(away.delivery, running.delivery)
    for (const type of ["StreamReady", "ConsumerReady", "TargetReachable"]) {
      assert.strictEqual(conditionsOf(away)[type], conditionsOf(running)[type])
    }
  })

  it("abnormal conditions are there only while they hold", () => {
    const abnormal = report({
      deadLettering: true,
      losing: true,
      plan: { ...rest.plan, drift: ["wanted maxMessages:5"] }
    })
    assert.deepInclude(conditionsOf(abnormal), {
      DeadLettering: "True PoisonMessages",
      DataLossUpstream: "True MessagesLost",
      DriftDetected: "True StreamEdited"
    })
    assert.deepStrictEqual(abnormal.stream?.drift, ["wanted maxMessages:5"])
    assert.notProperty(conditionsOf(running), "DeadLettering")
  })

  it("a certificate is told of before it ends, and as soon as it is renewed no longer", () => {
    const with_ = (spec: Parameters<typeof eventStreamOf>[0], ...ends: ReadonlyArray<number>) =>
      report({
        eventStream: { ...rest.eventStream, spec: eventStreamOf(spec).spec },
        observed: {
          ...world,
          writers: ends.map((end) => ({ ...answer, certificateNotAfter: new Date(minutes(end)).toISOString() }))
        }
      })
    const warning = { identity: { spiffe: { provider: "CertManagerCSI", warnBeforeExpiry: "1h" } } }
    const said = (status: EventStreamStatus) => conditionsOf(status)["CertificateExpiring"]
    assert.strictEqual(said(with_({}, 14)), "True BelowThreshold")
    assert.isUndefined(said(with_({}, 15)))
    assert.strictEqual(said(with_(warning, 600, 59)), "True BelowThreshold")
    assert.strictEqual(said(with_(warning, 0)), "True Expired")
    assert.deepStrictEqual(with_({}, 600, 59).identity, { notAfter: "2026-01-02T00:59:00Z" })
    const expiring = with_({}, 14)
    assert.deepInclude(eventsBetween(running, expiring), {
      type: "Warning",
      reason: "CertificateExpiring",
      note: "the writers' client certificate for NATS ends at 2026-01-02T00:14:00Z"
    })
    assert.isUndefined(report({ previous: expiring }).identity)
    assert.deepStrictEqual(
      report({ observed: { ...world, writers: [] }, previous: expiring }).identity,
      expiring.identity
    )
  })

  it("a lost durable leaves its name and start: the next one's start depends on them", () => {
    const lost = report({
      observed: { ...world, jetStream: { ...world.jetStream!, consumers: [] } },
      previous: running
    })
    assert.deepStrictEqual(lost.consumer, { name: running.consumer!.name!, startSequence: 1 })
  })

  it("a spec that can't be read", () => {
    const { metadata } = rest.eventStream
    const status = invalidSpecStatus({ ...metadata, generation: 7 }, running, "spec.stream: required", start)
    assert.strictEqual(brief(status), "False InvalidSpec, Stalled True InvalidSpec")
    assert.strictEqual(status.observedGeneration, 7)
    assert.deepStrictEqual(status.consumer, running.consumer)
  })
})

describe("when it is written", () => {
  const flowing = (count: number): Observed => {
    const [consumer] = world.jetStream!.consumers
    const jetStream = {
      ...world.jetStream!,
      consumers: [{ ...consumer!, ackFloor: count, delivered: count, pending: count }]
    }
    return { ...world, jetStream }
  }
  it("the same world is no change, at any time and in any order of fields", () => {
    const later = report({ previous: running, nowMillis: minutes(5) })
    assert.strictEqual(changeOf(running, later), "None")
    const shuffled = Object.fromEntries(Object.entries(running).toReversed()) as EventStreamStatus
    const conditions = running.conditions!.toReversed()
    assert.strictEqual(changeOf({ ...shuffled, conditions }, later), "None")
  })
  it("numbers are told from what matters, and only those that people look at change with every message", () => {
    const before = report({ observed: flowing(123_000) })
    const next = report({ observed: flowing(123_999), previous: before })
    assert.strictEqual(changeOf(before, next), "Numbers", "the ack floor is exact")
    assert.strictEqual(before.consumer!.pending, next.consumer!.pending)
    assert.strictEqual(next.consumer!.ackFloor, 123_999)
    assert.strictEqual(changeOf(before, report({ previous: before, deadLettering: true })), "Meaning")
    assert.strictEqual(changeOf(undefined, running), "Meaning")
  })
  it("a condition's time changes with its status, not with its words", () => {
    const time = (status: EventStreamStatus, type: string): string | undefined =>
      status.conditions!.find((condition: Condition) => condition.type === type)?.lastTransitionTime
    const halted = report({
      previous: running,
      nowMillis: minutes(1),
      observed: { ...world, writers: [{ ...answer, state: "Halted" }] }
    })
    const stalled = report({
      previous: halted,
      nowMillis: minutes(2),
      observed: { ...world, writers: [{ ...answer, state: "Stalled", reason: "SchemaMismatch" }] }
    })
    assert.strictEqual(time(running, "Ready"), "2026-01-02T00:00:00Z")
    assert.strictEqual(time(halted, "Ready"), "2026-01-02T00:01:00Z")
    assert.strictEqual(time(stalled, "Ready"), "2026-01-02T00:01:00Z")
  })
})

describe("events", () => {
  const reasons = (previous: EventStreamStatus | undefined, next: EventStreamStatus) =>
    eventsBetween(previous, next).map(({ type, reason }) => `${type} ${reason}`)
  const away = report({ failure: failing({}) })
  const loggedOut: Observed = { ...world, writers: [{ ...answer, state: "Retrying", reason: "LoginFailed" }] }
  it.each([
    ["nothing new is no event", running, running, []],
    ["NATS is lost", running, away, ["Warning NatsDisconnected"]],
    ["once", away, away, []],
    ["NATS is back, the password wrong", away, report({ observed: loggedOut }), ["Warning LoginFailed"]],
    [
      "stalled",
      running,
      report({ failure: failing({ stalled: true, reason: "QuotaExceeded", about: "Stream" }) }),
      ["Warning QuotaExceeded"]
    ],
    ["dead letters", running, report({ deadLettering: true }), ["Warning DeadLettered"]],
    ["lost messages", running, report({ losing: true }), ["Warning DataLossUpstream"]],
    ["suspended", running, report({ eventStream: eventStreamOf({ suspend: true }) }), ["Normal Suspended"]],
    [
      "resumed",
      report({ eventStream: eventStreamOf({ suspend: true }) }),
      running,
      ["Normal Resumed", "Normal RolloutCompleted"]
    ],
    [
      "rolled out",
      report({ observed: withPods({ replicas: 2, updatedReplicas: 1, availableReplicas: 1 }) }),
      running,
      ["Normal RolloutCompleted"]
    ]
  ] as const)("%s", (_, previous, next, expected) => {
    assert.deepStrictEqual(reasons(previous, next), [...expected])
  })
})

describe("numbers", () => {
  it.each([
    [0, 0, "0"],
    [99, 99, "99"],
    [100, 100, "100"],
    [129, 120, "120"],
    [1_234, 1_200, "1.2k"],
    [99_999, 99_000, "99k"],
    [340_500, 340_000, "340k"],
    [5_000_000, 5_000_000, "5M"],
    [7_120_000_000, 7_100_000_000, "7.1G"]
  ])("%d is %d, for people %s", (value, quantised, text) => {
    assert.strictEqual(quantise(value), quantised)
    assert.strictEqual(humanCount(value), text)
  })
})
