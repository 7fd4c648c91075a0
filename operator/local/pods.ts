import { Effect, FiberMap, Schedule, Stream } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { type Change, Kube, type KubeError, type KubeObject, Pods } from "../kube.ts"
import { boundLogs } from "./log-files.ts"
import { type Host, removeLogs, runPod } from "./pod.ts"

export interface PodRunnerOptions extends Host {
  /** Pods with this `spec.nodeName` are run. */
  readonly node: string
  /** Takes a Pod that was asked to go out of the API, when its last process has ended. */
  readonly release: (pod: KubeObject) => Effect.Effect<void, KubeError, Kube>
}

export interface PodRunner {
  /** The port of 127.0.0.1 at which a container serves HTTP; `undefined` when it does not run. */
  readonly port: (podUid: string, container: string) => number | undefined
}

/**
 * A kubelet in small: runs the Pods of one node as processes of this machine, for the in-memory API and for a real API server
 * alike. The processes end with the scope, the objects stay.
 */
export const runPods = Effect.fnUntraced(function* (options: PodRunnerOptions) {
  const kube = yield* Kube
  const logs = join(options.directory, "logs")
  mkdirSync(logs, { recursive: true, mode: 0o700 })
  yield* boundLogs(logs)
  const ports = new Map<string, Map<string, number>>()
  const running = yield* FiberMap.make<string>()
  const leaving = yield* FiberMap.make<string>()

  const run = (pod: KubeObject, uid: string) =>
    Effect.suspend(() => {
      const own = new Map<string, number>()
      ports.set(uid, own)
      return runPod(pod, options, own)
    }).pipe(
      Effect.catchTag("SchemaError", (error) =>
        Effect.logError("a Pod needs what can't be run here", { pod: pod.metadata.name, error: error.message })
      ),
      Effect.ensuring(Effect.sync(() => ports.delete(uid)))
    )

  const leave = Effect.fnUntraced(function* (pod: KubeObject, uid: string) {
    yield* FiberMap.remove(running, uid)
    removeLogs(options, pod)
    if (pod.metadata.deletionTimestamp === undefined) return
    yield* options.release(pod).pipe(
      Effect.retry({ while: (error) => error.isRetryable, schedule: Schedule.spaced("500 millis") }),
      Effect.catchTag("KubeError", (error) => Effect.logError("a Pod stays in the API", { error: error.message }))
    )
  })

  const onChange = ({ type, object: pod }: Change) => {
    const uid = pod.metadata.uid!
    if ((pod["spec"] as { readonly nodeName?: string }).nodeName !== options.node) return Effect.void
    const leaves = type === "Deleted" || pod.metadata.deletionTimestamp !== undefined
    return leaves
      ? FiberMap.run(leaving, uid, leave(pod, uid), { onlyIfMissing: true })
      : FiberMap.run(running, uid, run(pod, uid), { onlyIfMissing: true })
  }
  yield* kube.watch(Pods, {}).pipe(Stream.runForEach(onChange), Effect.forkScoped)
  return { port: (podUid, container) => ports.get(podUid)?.get(container) } satisfies PodRunner
})
