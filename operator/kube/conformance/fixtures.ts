import { Effect, Queue, Result, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { type Change, Kube, type KubeObject, type Resource, type Selection } from "../../kube.ts"

/** What the conformance tests are made of. */

export const finalizer = "eventstream.dev/cleanup"

export const freshNamespace = Effect.gen(function* () {
  const name = `kube-${randomUUID().slice(0, 8)}`
  yield* (yield* Kube).apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } })
  return name
})

export const configMap = (namespace: string, name: string, rest: object = {}): KubeObject => {
  const { metadata, ...fields } = rest as { readonly metadata?: object }
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, ...metadata }, ...fields }
}

export const eventStream = (namespace: string, name: string, spec: object = {}): KubeObject => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name, namespace },
  spec: {
    nats: { servers: ["nats://nats.nats.svc:4222"] },
    stream: { subjects: ["logs.>"] },
    processor: { type: "Telemetry" },
    target: { postgres: { secretRef: { name: "pg-app" } } },
    ...spec
  }
})

export const deployment = (namespace: string, name: string): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "writer", image: "writer:1" }] } }
  }
})

export const ownedBy = (...owners: ReadonlyArray<KubeObject>) => ({
  metadata: {
    ownerReferences: owners.map(({ apiVersion, kind, metadata }) => ({
      apiVersion,
      kind,
      name: metadata.name,
      uid: metadata.uid!
    }))
  }
})

/** The reason an effect fails with, "none" when it doesn't. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: string }, R>) =>
  Effect.map(Effect.result(effect), (result) => (Result.isFailure(result) ? result.failure.reason : "none"))

/** The changes a watch tells, in order; `next` takes one, failing the test when none comes. */
export const changesOf = Effect.fnUntraced(function* (resource: Resource, selection: Selection) {
  const kube = yield* Kube
  const changes = yield* Queue.unbounded<Change>()
  yield* kube.watch(resource, selection).pipe(
    Stream.runForEach((change) => Queue.offer(changes, change)),
    Effect.forkScoped({ startImmediately: true })
  )
  const next = Queue.take(changes).pipe(
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die("wanted a change, none came in 30 s") })
  )
  /** Takes changes up to the first that fits. */
  const until = (fits: (change: Change) => boolean): Effect.Effect<Change> =>
    Effect.flatMap(next, (change) => (fits(change) ? Effect.succeed(change) : until(fits)))
  return { next, until }
})
