import { Effect } from "effect"
import { execFile, execFileSync, spawnSync } from "node:child_process"
import { promisify } from "node:util"
import { type Machines, NodeFailed } from "./machines.ts"

/** A cluster of kind (https://kind.sigs.k8s.io): nodes are containers of Docker. */

const exec = promisify(execFile)

/** A node image that Docker has, and kind would not have to pull. */
const nodeImage = (): string | undefined => {
  const { status, stdout } = spawnSync(
    "docker",
    ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node"],
    {
      encoding: "utf8"
    }
  )
  return status === 0 ? stdout.split("\n").find((name) => /:v\d/.test(name)) : undefined
}

/** The image that a cluster can be made of here, `undefined` where kind, Docker's daemon or a node image is missing. */
export const kindImage = (): string | undefined =>
  spawnSync("kind", ["version"], { stdio: "ignore" }).status === 0 ? nodeImage() : undefined

/** As many nodes as are made elsewhere, and a lost one is noticed as quickly. */
const config = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
  - |
    kind: ClusterConfiguration
    controllerManager:
      extraArgs:
        node-monitor-grace-period: 16s
nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}]
`

/** Makes a cluster that has the images; it goes with the scope. */
export const startKind = Effect.fnUntraced(function* (
  name: string,
  image: string,
  kubeconfig: string,
  archives: Iterable<string>
) {
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      execFileSync(
        "kind",
        [
          "create",
          "cluster",
          "--name",
          name,
          "--image",
          image,
          "--kubeconfig",
          kubeconfig,
          "--config",
          "-",
          "--wait",
          "120s"
        ],
        { input: config, stdio: ["pipe", "ignore", "inherit"] }
      )
    ),
    () => Effect.sync(() => spawnSync("kind", ["delete", "cluster", "--name", name, "--kubeconfig", kubeconfig]))
  )
  for (const archive of archives) {
    execFileSync("kind", ["load", "image-archive", archive, "--name", name], { stdio: ["ignore", "ignore", "inherit"] })
  }
})

const docker = (node: string, wanted: string, ...args: ReadonlyArray<string>) =>
  Effect.tryPromise({
    try: () => exec("docker", args),
    catch: (error) => new NodeFailed({ node, wanted, output: String(error) })
  }).pipe(Effect.asVoid)

/** Power over the nodes of a kind cluster, which have the names of their containers. */
export const kindMachines = (cluster: string): Machines => ({
  stopNode: (node) => docker(node, "stop", "kill", node),
  startNode: (node) => docker(node, "start", "start", node),
  loadImage: (archive) =>
    Effect.tryPromise({
      try: () => exec("kind", ["load", "image-archive", archive, "--name", cluster]),
      catch: (error) => new NodeFailed({ node: cluster, wanted: "take an image", output: String(error) })
    }).pipe(Effect.asVoid)
})
