import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { readFileSync } from "node:fs"
import { inject } from "vitest"
import { kubectl } from "../testing/control-plane.ts"
import { operatorAccount } from "../testing/operator-account.ts"
import { type OperatorProcess, startOperator } from "../testing/operator-process.ts"
import { manifest } from "../testing/operator-services.ts"
import { startProxy } from "../testing/proxy.ts"
import { startNats } from "../testing/servers.ts"
import { defaultTiming, type LeaseRecord } from "./election.ts"
import { EventStreams, Kube, Leases } from "./kube.ts"
import { layerServer } from "./kube/server.ts"

/** Operators as processes of their own, each with its own ServiceAccount, elect one of them by a Lease of the real API server. */

const plane = inject("controlPlane")
const namespace = "leadership"
const lease = { namespace, name: "eventstream-operator" }
const key = { namespace, name: "logs" }

const { leaseMillis, renewDeadlineMillis, retryMillis } = defaultTiming

interface Candidate extends OperatorProcess {
  readonly user: string
  readonly offences: Effect.Effect<ReadonlyArray<string>>
}

const candidate = Effect.fnUntraced(function* (name: string, natsPort: number, proxyPort?: number) {
  const account = yield* operatorAccount(plane, namespace, { name })
  const process = yield* startOperator({
    KUBECONFIG: proxyPort === undefined ? account.kubeconfig : account.kubeconfigBy(proxyPort),
    EVENTSTREAM_HOSTS: `nats.nats.svc=127.0.0.1:${natsPort}`,
    EVENTSTREAM_NAMESPACES: namespace,
    EVENTSTREAM_LEASE: `${lease.namespace}/${lease.name}`,
    EVENTSTREAM_IDENTITY: name
  })
  return { ...process, user: account.user, offences: account.offences } satisfies Candidate
})

interface AuditEvent {
  readonly verb: string
  readonly user: { readonly username: string }
  readonly objectRef?: { readonly resource: string; readonly namespace?: string }
  readonly requestReceivedTimestamp: string
}

/** Who did what in the namespace beside asking for the Lease, in order. */
const acts = () =>
  readFileSync(plane.auditLog!, "utf8")
    .trim()
    .split("\n")
    .filter((line) => line.includes(`system:serviceaccount:${namespace}:`))
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ objectRef }) => objectRef?.resource !== "leases")
    .sort((a, b) => a.requestReceivedTimestamp.localeCompare(b.requestReceivedTimestamp))

/** The users of the acts, each once for as long as no other acts. */
const reigns = () =>
  acts().flatMap(({ user }, i, all) => (all[i - 1]?.user.username === user.username ? [] : [user.username]))

it.live(
  "one leads; a frozen one is followed when its Lease has run out, one that ends at once, one without an API server ends",
  () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      yield* kubectl(plane, "create", "namespace", namespace)
      const nats = yield* startNats()
      const proxy = yield* startProxy(Number(new URL(plane.url).port))
      const record = Effect.map(kube.get(Leases, lease), (found) => found?.["spec"] as LeaseRecord)

      // Something to do all the time for whoever leads.
      const { metadata, ...object } = manifest("logs")
      let edits = 0
      const edit = Effect.suspend(() =>
        kube.apply({ ...object, metadata: { ...metadata, ...key, annotations: { edit: String(++edits) } } })
      )
      yield* edit
      const editor = yield* edit.pipe(Effect.ignore, Effect.repeat(Schedule.spaced("200 millis")), Effect.forkScoped)

      const a = yield* candidate("a", nats.port)
      yield* a.logged("leading")
      yield* a.logged("reconciled")
      assert.include((yield* a.get("/metrics")).text, 'leader_election_master_status{name="eventstream-operator"} 1')
      const first = yield* record
      assert.deepInclude(first, { holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 0 })

      const b = yield* candidate("b", nats.port)
      yield* b.logged("standing by")
      assert.deepStrictEqual(yield* b.get("/readyz"), { status: 200, text: "standing by: a leads\n" })
      assert.strictEqual((yield* b.get("/healthz")).status, 200)
      assert.include((yield* b.get("/metrics")).text, 'leader_election_master_status{name="eventstream-operator"} 0')

      // As dead as a killed one for the others, but it wakes up and believes that it leads.
      a.signal("SIGSTOP")
      const frozen = Date.now()
      yield* b.logged("leading", 30)
      const waited = Date.now() - frozen
      assert.isAtLeast(waited, leaseMillis - retryMillis - 500, "the Lease was left alone for its duration")
      assert.isAtMost(waited, leaseMillis + retryMillis + 2_000)
      assert.deepInclude(yield* record, { holderIdentity: "b", leaseTransitions: 1 })
      yield* b.logged("reconciled")
      a.signal("SIGCONT")
      assert.strictEqual((yield* a.exit).code, 1)
      assert.deepInclude(a.lines().at(-1), { level: "fatal", reason: "LeaseLost" })

      const c = yield* candidate("c", nats.port, proxy.port)
      yield* c.logged("standing by")
      b.signal("SIGTERM")
      const asked = Date.now()
      yield* c.logged("leading")
      assert.isAtMost(Date.now() - asked, 3_000)
      assert.strictEqual((yield* b.exit).code, 0)
      assert.isAtMost(Date.now() - asked, 5_000)
      yield* b.logged("released the Lease")
      assert.deepInclude(yield* record, { holderIdentity: "c", leaseTransitions: 2 })
      yield* c.logged("reconciled")

      const d = yield* candidate("d", nats.port)
      yield* d.logged("standing by")
      proxy.refuse(true)
      proxy.cut()
      const cut = Date.now()
      assert.strictEqual((yield* c.exit).code, 1)
      assert.isAtMost(Date.now() - cut, renewDeadlineMillis + 2_500)
      const last = c.lines().at(-1)
      assert.deepInclude(last, { level: "fatal", reason: "LeaseLost" })
      assert.include(last?.message, `wanted to keep the Lease ${namespace}/eventstream-operator`)
      assert.isUndefined(
        d.lines().find(({ message }) => message === "leading"),
        "the other waits for longer"
      )
      yield* d.logged("leading")
      yield* d.logged("reconciled")

      yield* Effect.sleep("500 millis") // d works for a while beside nobody
      assert.deepStrictEqual(reigns(), [a.user, b.user, c.user, d.user], "nobody acts while another leads")
      for (const each of [a, b, c, d]) assert.deepStrictEqual(yield* each.offences, [])
      yield* Fiber.interrupt(editor)
      yield* kube.delete(EventStreams, key)
      yield* kubectl(plane, "--namespace", namespace, "wait", "--for=delete", "eventstream/logs", "--timeout=30s")
      d.signal("SIGTERM")
      assert.strictEqual((yield* d.exit).code, 0)
      assert.deepInclude(yield* record, { holderIdentity: "", leaseDurationSeconds: 1 })
    }).pipe(Effect.scoped, Effect.provide(layerServer({ kubeconfig: plane.kubeconfig }))),
  120_000
)
