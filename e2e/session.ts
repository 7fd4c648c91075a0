import { Console, Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { delimiter, join, relative } from "node:path"
import { kubectl, type KubectlFailed } from "../testing/control-plane.ts"
import { type ClusterAccess, environmentOf, nodesOf } from "./cluster.ts"
import { runCommand } from "./command.ts"
import { keepLogs, logsOf } from "./own/run.ts"
import { writeManifests } from "./manifests/manifests.ts"
import { phase } from "./phase.ts"

/** What is done with a cluster once it is there, whichever kind it is. */
export interface Session {
  /** `test` runs the scenarios, `cluster` a command. */
  readonly purpose: "test" | "cluster"
  /** Arguments of vitest, or the command with its arguments; a shell when there is none. */
  readonly args: ReadonlyArray<string>
}

const root = join(import.meta.dirname, "..")

/** PostgreSQL and the publisher, on the node that is never stopped; taken away again where the cluster stays. */
const install = Effect.fnUntraced(function* (access: ClusterAccess, folder: string) {
  const [node] = yield* nodesOf(access)
  const file = join(folder, "base.yaml")
  writeManifests(file, ["postgres", "publisher"], node!)
  yield* Effect.acquireRelease(kubectl(access, "apply", "--filename", file), () =>
    access.kind === "given"
      ? Effect.ignore(kubectl(access, "delete", "--ignore-not-found", "--filename", file))
      : Effect.void
  )
  yield* kubectl(access, "--namespace=postgres", "rollout", "status", "statefulset/postgres", "--timeout=180s")
  yield* kubectl(access, "--namespace=postgres", "wait", "--for=condition=Ready", "pod/publisher", "--timeout=60s")
})

/** Writes what the cluster can tell about itself into a folder. */
const collect = Effect.fnUntraced(function* (access: ClusterAccess, folder: string) {
  mkdirSync(folder, { recursive: true })
  const save = (file: string, ...args: ReadonlyArray<string>) =>
    kubectl(access, ...args).pipe(
      Effect.catch((error: KubectlFailed) => Effect.succeed(error.message)),
      Effect.map((text) => writeFileSync(join(folder, file), text))
    )
  const kinds = "all,persistentvolumes,persistentvolumeclaims,nodes,configmaps,leases"
  yield* save("objects.txt", "get", kinds, "--all-namespaces", "--output=wide")
  yield* save("eventstreams.yaml", "get", "eventstreams", "--all-namespaces", "--output=yaml")
  yield* save("events.txt", "get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")
  yield* save("pods.txt", "describe", "pods", "--all-namespaces")
  const columns = "custom-columns=:metadata.namespace,:metadata.name"
  const pods = yield* kubectl(access, "get", "pods", "--all-namespaces", "--output", columns, "--no-headers")
  yield* Effect.forEach(
    pods
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/)),
    ([namespace, pod]) => {
      const logs = ["logs", "--all-containers", "--prefix", "--timestamps", "--namespace", namespace!, pod!]
      return Effect.andThen(
        save(`${namespace}-${pod}.log`, ...logs),
        save(`${namespace}-${pod}.previous.log`, ...logs, "--previous")
      )
    },
    { concurrency: 4, discard: true }
  )
})

/**
 * Installs what the scenarios stand on, runs them or a command, and collects what explains a failure.
 *
 * @param run folder of the run
 * @returns exit code
 */
export const runSession = Effect.fnUntraced(function* (access: ClusterAccess, session: Session, run: string) {
  const logs = logsOf(run)
  yield* phase("PostgreSQL and publisher", install(access, logs))
  const command: readonly [string, ...ReadonlyArray<string>] =
    session.purpose === "test"
      ? ["vitest", "run", "--config", join(import.meta.dirname, "vitest.config.ts"), ...session.args]
      : [session.args[0] ?? process.env["SHELL"] ?? "sh", ...session.args.slice(1)]
  const bin = ["node_modules/.bin", ".bin"].map((folder) => join(root, folder))
  const env = {
    ...process.env,
    ...environmentOf(access),
    PATH: [...bin, process.env["PATH"]].join(delimiter)
  }
  if (session.purpose === "cluster") {
    yield* Console.error(
      "e2e: the cluster is up; e2e/enter [COMMAND] goes into it from elsewhere, and it ends with this command"
    )
  }
  const code = yield* phase(session.purpose === "test" ? "scenarios" : "command", runCommand(command, { env }))
  if (session.purpose === "test" && code !== 0) {
    keepLogs(run)
    yield* phase("collecting logs", Effect.ignore(collect(access, join(logs, "cluster"))))
    yield* Console.error(`e2e: logs of all that ran are in ${relative(process.cwd(), logs)}`)
  }
  return code
})
