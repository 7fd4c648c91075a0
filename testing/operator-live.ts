import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { admit } from "../crds/admission.ts"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import type { JetStream } from "../operator/jetstream.ts"
import { Deployments, EventStreams, Kube, Pods } from "../operator/kube.ts"
import { layerMemory } from "../operator/kube/memory.ts"
import type { OperatorMetrics } from "../operator/metrics.ts"
import { makeReconciler, type Report } from "../operator/reconcile.ts"
import { ConfigHashAnnotation, selectorLabels } from "../operator/specs/names.ts"
import { writerStatusSubject, type WriterStatus } from "../writer/config.ts"
import { operatorServices } from "./operator-services.ts"
import { startNats } from "./servers.ts"

/** The reconciler over the API in memory and a real nats-server; Deployments and writers are played by the test. */

/** The EventStream of most tests, and its stream. */
export const key = { namespace: "demo", name: "logs" }
export const stream = "DEMO_LOGS"

export const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])
export const settings = { defaults: { image: "eventstream:test", hosts: undefined }, statusIntervalMillis: 30_000 }

export interface World {
  readonly kube: Kube["Service"]
  readonly nats: NatsConnection
  readonly manager: JetStreamManager
  readonly reconcile: (name?: string) => Effect.Effect<Report>
  readonly status: (name?: string) => Effect.Effect<EventStreamStatus>
  readonly written: () => ReadonlyArray<string>
  /** Plays Deployment controller and kubelet: Pods of the Deployment's newest configuration, ready. */
  readonly rollOut: (name?: string) => Effect.Effect<void>
  /** Plays a writer that answers with this status. */
  readonly writer: (status: Partial<WriterStatus>) => Effect.Effect<void, never, Scope.Scope>
  readonly publish: (count: number) => Effect.Effect<void>
}

const connected = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(() => connect({ servers: `127.0.0.1:${port}` })),
    (nats) => Effect.promise(() => nats.close())
  )

const makeWorld = Effect.fnUntraced(function* (port: number, calls: Array<string>) {
  const kube = yield* Kube
  const services = yield* Effect.context<Kube | JetStream | OperatorMetrics>()
  const nats = yield* connected(port)
  const manager = yield* Effect.promise(() => jetstreamManager(nats))
  const reconciler = makeReconciler(settings)
  const world: World = {
    kube,
    nats,
    manager,
    reconcile: (name = key.name) => reconciler({ ...key, name }).pipe(Effect.provide(services), Effect.orDie),
    status: (name = key.name) =>
      kube.get(EventStreams, { ...key, name }).pipe(
        Effect.orDie,
        Effect.map((object) => object!["status"] as EventStreamStatus)
      ),
    written: () => calls.splice(0),
    rollOut: (name = key.name) =>
      Effect.gen(function* () {
        const id = { ...key, name: `${name}-writer` }
        const deployment = (yield* kube.get(Deployments, id))!
        const spec = deployment["spec"] as {
          replicas: number
          template: { metadata: { annotations: Record<string, string> } }
        }
        const { replicas } = spec
        for (const pod of yield* kube.list(Pods, { namespace: key.namespace, labels: selectorLabels(name) })) {
          yield* kube.delete(Pods, { ...key, name: pod.metadata.name })
        }
        const annotations = { [ConfigHashAnnotation]: spec.template.metadata.annotations[ConfigHashAnnotation]! }
        for (let i = 0; i < replicas; i++) {
          const metadata = {
            namespace: key.namespace,
            name: `${name}-writer-${annotations[ConfigHashAnnotation]}-${i}`
          }
          yield* kube.create({
            apiVersion: "v1",
            kind: "Pod",
            metadata: { ...metadata, labels: selectorLabels(name), annotations },
            spec: {}
          })
          yield* kube.patchStatus(Pods, metadata, { phase: "Running" }, { manager: "kubelet" })
        }
        const counts = { replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas }
        const status = { ...counts, observedGeneration: deployment.metadata.generation }
        yield* kube.patchStatus(Deployments, id, status, { manager: "deployment-controller" })
        calls.length = 0
      }).pipe(Effect.orDie),
    writer: (status) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          nats.subscribe(writerStatusSubject(key.namespace, key.name), {
            callback: (_, message) => {
              const answer: WriterStatus = {
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
                message: null,
                ...status
              }
              message.respond(JSON.stringify(answer))
            }
          })
        ),
        (subscription) => Effect.sync(() => subscription.unsubscribe())
      ).pipe(Effect.andThen(Effect.promise(() => nats.flush())), Effect.asVoid),
    publish: (count) =>
      Effect.promise(async () => {
        for (let i = 0; i < count; i++) await nats.request("logs.a", `{"n":${i}}`)
      })
  }
  return world
})

export const withWorld = (test: (world: World) => Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const calls: Array<string> = []
    const { port } = yield* startNats()
    yield* Effect.gen(function* () {
      const world = yield* makeWorld(port, calls)
      yield* test(world)
    }).pipe(Effect.provide(operatorServices(port, memory, calls)))
  }).pipe(Effect.scoped)
