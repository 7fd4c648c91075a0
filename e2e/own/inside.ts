import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Exit } from "effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { layerServer } from "../../operator/kube/server.ts"
import { kubectl } from "../../testing/control-plane.ts"
import { accessTo } from "../cluster.ts"
import { writeManifests } from "../manifests/manifests.ts"
import { phase } from "../phase.ts"
import { runSession, type Session } from "../session.ts"
import { kubeconfigOf, startControlPlane } from "./control-plane.ts"
import { copyDisk, diskImage } from "./disk.ts"
import { machineNetwork, nodeNames } from "./network.ts"
import { diskOf, makeNode, startNode } from "./nodes.ts"
import { ip } from "./process.ts"
import { keepLogs, logsOf, runsFolder } from "./run.ts"
import { provideVolumes } from "./volumes.ts"

// Run by own.ts in the namespaces of a run: `inside.ts RUN INPUT`, INPUT being JSON of this.
export interface Input {
  readonly session: Session
  /** Path of the archive by image id. */
  readonly archives: ReadonlyArray<readonly [id: string, path: string]>
}

/** Nodes with all images on their disks. They wait for the API server by themselves. */
const startNodes = Effect.fnUntraced(function* (run: string, archives: Input["archives"]) {
  const disk = yield* diskImage(join(runsFolder, "disk"), run, new Map(archives))
  for (const node of nodeNames) {
    makeNode(run, node)
    yield* Effect.promise(() => copyDisk(disk, join(diskOf(run, node), "containerd")))
    yield* startNode(run, node)
  }
})

const startCluster = Effect.fnUntraced(function* (run: string, archives: Input["archives"]) {
  ip(...machineNetwork())
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"])
  const access = accessTo("own", kubeconfigOf(run, "admin"), run)
  const addons = join(run, "addons.yaml")
  writeManifests(addons, ["storage", "coredns"], nodeNames[0])
  const controlPlane = startControlPlane(run, logsOf(run)).pipe(
    Effect.andThen(kubectl(access, "apply", "--filename", addons))
  )
  yield* Effect.all([controlPlane, startNodes(run, archives)], { concurrency: "unbounded" })
  yield* provideVolumes(run, access.kubeconfig).pipe(Effect.provide(layerServer({ kubeconfig: access.kubeconfig })))
  for (const node of nodeNames) {
    yield* kubectl(access, "wait", "--for=create", `node/${node}`, "--timeout=60s")
  }
  yield* kubectl(access, "wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
  yield* kubectl(access, "--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")
  return access
})

const [run, input] = process.argv.slice(2)
const { session, archives } = JSON.parse(input!) as Input

Effect.gen(function* () {
  const access = yield* phase("cluster", startCluster(run!, archives))
  return yield* runSession(access, session, run!)
}).pipe(
  Effect.scoped,
  Effect.tapCause(() => Effect.sync(() => keepLogs(run!))),
  NodeRuntime.runMain({
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? (exit.value as number) : 1)
  })
)
