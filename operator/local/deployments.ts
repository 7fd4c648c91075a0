import { Clock, Effect, Queue, Random, Stream } from "effect"
import { Deployments, Kube, keyOf, type KubeObject, Pods } from "../kube.ts"
import { planDeployment, podOf, runningFinalizer } from "./deployment-plan.ts"

/** The characters of generated names. Source: k8s.io/apimachinery, util/rand. */
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"

const randomSuffix = Effect.map(
  Effect.all(Array.from({ length: 5 }, () => Random.nextIntBetween(0, nameAlphabet.length))),
  (picks) => picks.map((pick) => nameAlphabet[pick]).join("")
)

/**
 * The part of a cluster's controller manager that writers need, for the in-memory API: Deployments become Pods of `node`.
 * Level-triggered: any change of a Deployment or Pod looks at all of them again.
 */
export const runDeployments = Effect.fnUntraced(function* (node: string) {
  const kube = yield* Kube

  const reconcile = Effect.fnUntraced(function* (deployment: KubeObject, pods: ReadonlyArray<KubeObject>) {
    const own = pods.filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ uid }) => uid === deployment.metadata.uid)
    )
    const now = new Date(yield* Clock.currentTimeMillis).toISOString()
    const { create, remove, status } = planDeployment(deployment, own, now)
    for (const { metadata } of remove) {
      yield* kube.delete(Pods, { namespace: metadata.namespace!, name: metadata.name }, { uid: metadata.uid! })
    }
    for (let i = 0; i < create; i++) yield* kube.create(podOf(deployment, node, yield* randomSuffix))
    yield* kube.patchStatus(Deployments, keyOf(deployment), status, { manager: "deployment-controller" })
  })

  const changed = yield* Queue.sliding<void>(1)
  const wake = Effect.asVoid(Queue.offer(changed, undefined))

  const reconcileAll = Effect.gen(function* () {
    const deployments = yield* kube.list(Deployments, {})
    const pods = yield* kube.list(Pods, {})
    yield* Effect.forEach(
      deployments.filter(({ metadata }) => metadata.deletionTimestamp === undefined),
      (deployment) =>
        reconcile(deployment, pods).pipe(
          Effect.catchTag("KubeError", (error) =>
            Effect.logInfo("a Deployment is looked at again", { error: error.message }).pipe(
              Effect.andThen(Effect.delay(wake, "1 second")),
              Effect.forkScoped
            )
          )
        ),
      { discard: true }
    )
  })

  yield* kube.watch(Deployments, {}).pipe(
    Stream.runForEach(() => wake),
    Effect.forkScoped
  )
  yield* kube.watch(Pods, {}).pipe(
    Stream.runForEach(() => wake),
    Effect.forkScoped
  )
  yield* Queue.take(changed).pipe(Effect.andThen(reconcileAll), Effect.forever, Effect.forkScoped)
})

/** Lets a Pod of these Deployments go, whose last process has ended. */
export const releasePod = Effect.fnUntraced(function* (pod: KubeObject) {
  const kube = yield* Kube
  const newest = yield* kube.get(Pods, keyOf(pod))
  if (newest?.metadata.uid !== pod.metadata.uid) return
  const others = (newest!.metadata.finalizers ?? []).filter((finalizer) => finalizer !== runningFinalizer)
  yield* kube.setFinalizers(Pods, newest!, others)
})
