import { Effect, Schedule } from "effect"
import { execFile, spawn } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import { pauseImage } from "../images/images.ts"
import { type Machines, NodeFailed } from "../machines.ts"
import { makeCgroup, removeCgroup } from "./cgroups.ts"
import { kubeconfigOf, kubeletClientOf } from "./control-plane.ts"
import { addressesOf, nodeNames, nodeNetwork, plugIn, portOf } from "./network.ts"
import {
  cniConfig,
  containerdConfig,
  containerdSocket,
  kubeletConfig,
  kubeProxyConfig,
  runtimeRoot,
  runtimeState
} from "./node-config.ts"
import { childOf, ended, ip, isolate } from "./process.ts"
import { cgroupOf, logsOf } from "./run.ts"

/**
 * Three nodes on this machine, each a set of pid, mount, network, ipc and uts namespaces: killing its process 1 ends all its
 * processes and takes its mounts and network rules with it, as a power loss does. Its disk is a folder.
 */

const bin = join(import.meta.dirname, "..", "..", ".bin")

/** Of everything that runs in a node. */
const environment = { PATH: `${bin}${delimiter}${process.env["PATH"]}` }

const folderOf = (run: string, node: string) => join(run, node)
/** Folder that is the node's /var/lib; with it and /var/log a node comes back after a power loss. */
export const diskOf = (run: string, node: string) => join(folderOf(run, node), "disk", "lib")
const pidFile = (run: string, node: string) => join(folderOf(run, node), "pid")

/** Process 1 of the node, as the run's processes see it; `undefined` when the node is off. */
const pidOf = (run: string, node: string): number | undefined => {
  const file = pidFile(run, node)
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined
}

const cgroupOfNode = (run: string, node: string) => `${cgroupOf(run)}/${node}`

/** Makes a new node's folder, configuration and empty disk. */
export const makeNode = (run: string, node: string): void => {
  const folder = folderOf(run, node)
  for (const path of ["cni", "disk/lib", "disk/log"]) mkdirSync(join(folder, path), { recursive: true })
  const cni = join(folder, "cni")
  const files = {
    network: nodeNetwork(node).join("\n"),
    "containerd.toml": containerdConfig({ root: runtimeRoot, state: runtimeState, bin, cni, pauseImage }),
    "cni/pods.conflist": JSON.stringify(cniConfig(node)),
    "kubelet.json": JSON.stringify(kubeletConfig(node, cgroupOfNode(run, node), kubeletClientOf(run))),
    "kube-proxy.json": JSON.stringify(kubeProxyConfig(node, kubeconfigOf(run, "kube-proxy")))
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), `${content}\n`)
}

/** A step that throws is a failure of the node. */
const failing = (node: string, wanted: string) =>
  Effect.catchDefect((cause) => Effect.fail(new NodeFailed({ node, wanted, output: String(cause) })))

/** Boots a node; it stays until it is stopped, or the run's process namespace ends. */
export const startNode = (run: string, node: string): Effect.Effect<void, NodeFailed> =>
  Effect.gen(function* () {
    const logs = join(logsOf(run), node)
    mkdirSync(logs, { recursive: true })
    makeCgroup(cgroupOfNode(run, node))
    const log = openSync(join(logs, "boot.log"), "a")
    const boot = join(import.meta.dirname, "node.sh")
    const { address } = addressesOf(node)
    const program = [boot, node, folderOf(run, node), address, logs, kubeconfigOf(run, node)]
    const child = spawn("unshare", [...isolate, "--uts", "--", ...program], {
      stdio: ["ignore", log, log],
      detached: true,
      env: environment
    })
    closeSync(log)
    child.unref()
    const pid = yield* Effect.sync(() => childOf(child.pid!)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (found) => found !== undefined })
    )
    writeFileSync(pidFile(run, node), String(pid))
    ip(...plugIn(node, pid!))
  }).pipe(failing(node, "start"))

const stopNode = (run: string, node: string): Effect.Effect<void, NodeFailed> =>
  Effect.gen(function* () {
    const pid = pidOf(run, node)
    if (pid === undefined) return yield* new NodeFailed({ node, wanted: "be running", output: "it is off" })
    // The cable first: a process that is killed would still say goodbye to its peers.
    ip(`link del ${portOf(node)}`)
    process.kill(pid, "SIGKILL")
    yield* ended(pid)
    // As after a boot: kubelet takes long over the cgroups of containers that are no more.
    yield* removeCgroup(cgroupOfNode(run, node))
    rmSync(pidFile(run, node))
  }).pipe(failing(node, "stop"))

/** Runs a program in a node. */
const inNode = (run: string, node: string, ...command: ReadonlyArray<string>) =>
  Effect.tryPromise({
    try: () =>
      promisify(execFile)("nsenter", ["--target", String(pidOf(run, node)), "--all", "--", ...command], {
        env: environment
      }),
    catch: (error) => new NodeFailed({ node, wanted: `run ${command.join(" ")}`, output: String(error) })
  })

/** Imports an image from its archive, so that kubelet's Pods can use it. */
export const importCommand = (state: string, archive: string) => {
  const program = join(bin, "ctr")
  const place = ["--address", containerdSocket(state), "--namespace", "k8s.io"]
  return [program, ...place, "images", "import", "--all-platforms", archive] as const
}

const loadImage = (run: string, archive: string) => {
  const running = nodeNames.filter((node) => pidOf(run, node) !== undefined)
  return Effect.forEach(running, (node) => inNode(run, node, ...importCommand(runtimeState, archive)), {
    concurrency: "unbounded",
    discard: true
  })
}

/**
 * Power over the nodes of a run.
 *
 * @param run folder of the run
 */
export const ownMachines = (run: string): Machines => ({
  stopNode: (node) => stopNode(run, node),
  startNode: (node) => startNode(run, node),
  loadImage: (archive) => loadImage(run, archive)
})
