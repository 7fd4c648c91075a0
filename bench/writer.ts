import { Effect, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { EventStreamSpec } from "../crds/eventstream.ts"
import { ConfigFile, writerConfig } from "../operator/specs/configmap.ts"
import { deployment } from "../operator/specs/deployment.ts"
import type { Owner } from "../operator/specs/names.ts"

/** The writer as it runs in its Pod: under plain Node, with its configuration and Secret in folders. */

/** Writes what the operator would mount into a writer Pod; the path of the configuration file. */
export const writeConfiguration = (
  folder: string,
  key: Owner,
  spec: EventStreamSpec,
  names: { readonly stream: string; readonly durable: string },
  databaseUrl: string
): string => {
  for (const mount of ["config", "postgres"]) mkdirSync(join(folder, mount), { recursive: true })
  const config = writerConfig(key, spec, names.stream, names.durable)
  const path = join(folder, "config", ConfigFile)
  writeFileSync(path, JSON.stringify({ ...config, http: { host: "127.0.0.1", port: 0 } }))
  writeFileSync(join(folder, "postgres", "uri"), databaseUrl)
  return path
}

interface Environment {
  readonly template: {
    readonly spec: {
      readonly containers: ReadonlyArray<{ readonly env: ReadonlyArray<{ name: string; value: string }> }>
    }
  }
}

/** What the operator sets in the environment of writer Pods. */
const podEnvironment = (key: Owner, spec: EventStreamSpec): Readonly<Record<string, string>> => {
  const { template } = deployment(key, spec, "bench", 1, { image: "bench", hosts: undefined })["spec"] as Environment
  return Object.fromEntries(template.spec.containers[0]!.env.map(({ name, value }) => [name, value]))
}

/** Creates the tables of an EventStream. */
export const migrate = (program: string, config: string) =>
  execFileSync(process.execPath, [program, "migrate", "--config", config], { stdio: ["ignore", "ignore", "inherit"] })

export interface RunningWriter {
  readonly pid: number
  /** What it said, if it ended by itself; a writer should not. */
  readonly failure: () => string | undefined
}

const ended = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

/**
 * Runs the writer until the scope ends.
 *
 * @param nodeOptions further arguments of Node, e.g. `--cpu-prof`
 */
export const startWriter = (
  program: string,
  config: string,
  key: Owner,
  spec: EventStreamSpec,
  nodeOptions: ReadonlyArray<string>
): Effect.Effect<RunningWriter, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const log = `${config}.log`
      const descriptor = openSync(log, "w")
      const child = spawn(process.execPath, [...nodeOptions, program, "writer", "--config", config], {
        stdio: ["ignore", descriptor, descriptor],
        env: { ...process.env, ...podEnvironment(key, spec) }
      })
      closeSync(descriptor)
      return { child, log }
    }),
    ({ child }) =>
      Effect.callback<void>((resume) => {
        if (ended(child)) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
      })
  ).pipe(
    Effect.map(({ child, log }) => ({
      pid: child.pid!,
      failure: () => (ended(child) ? readFileSync(log, "utf8").slice(-2000) : undefined)
    }))
  )
