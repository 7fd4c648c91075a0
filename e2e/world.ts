import { Clock, Effect, Schedule, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { CommandFailed, helm as runHelm, run } from "../charts/helm.ts"
import { type Cluster, openCluster } from "./cluster.ts"
import type { Figures } from "./publisher/publish.ts"
import type { StreamReport } from "./publisher/streams.ts"

/** What the scenarios speak: a cluster's user with kubectl and helm, who looks until something is so and never just waits. */

const root = join(import.meta.dirname, "..")
/** Where the EventStreams of the scenarios are. */
export const namespace = "demo"
export const operatorNamespace = "eventstream-system"
export const hub = "nats://nats.nats.svc:4222"

/** The cluster of this run. */
export const cluster: Effect.Effect<Cluster> = Effect.orDie(Effect.runSync(Effect.cached(openCluster)))

/** The text that kubectl prints. */
export const kubectl = (...args: ReadonlyArray<string>): Effect.Effect<string, CommandFailed> =>
  Effect.flatMap(cluster, ({ kubeconfig, kubectl: program }) =>
    run(program, ["--kubeconfig", kubeconfig, ...args])
  ).pipe(Effect.map(({ stdout }) => stdout))

const parse = (text: string): any => JSON.parse(text)

/** A Kubernetes object, or a list of them as `items`. */
export const get = <A = KubeObject>(...args: ReadonlyArray<string>): Effect.Effect<A, CommandFailed> =>
  kubectl("get", ...args, "--output", "json").pipe(Effect.map(parse))

export interface KubeObject {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly creationTimestamp: string
    readonly deletionTimestamp?: string
  }
  readonly spec?: any
  readonly status?: any
}
export interface KubeList {
  readonly items: ReadonlyArray<KubeObject>
}

/** Applies manifests with kubectl. */
export const apply = (...items: ReadonlyArray<object>) =>
  Effect.flatMap(cluster, ({ kubeconfig, kubectl: program }) =>
    run(program, ["--kubeconfig", kubeconfig, "apply", "--filename", "-"], {
      input: JSON.stringify({ apiVersion: "v1", kind: "List", items })
    })
  )

/** Runs helm in the cluster; `stderr` has its warnings. Charts are paths in the repository. */
export const helm = (args: ReadonlyArray<string>, values?: object) =>
  Effect.flatMap(cluster, (plane) =>
    runHelm(
      args.map((arg) => (arg.startsWith("charts/") ? join(root, arg) : arg)),
      values === undefined ? { plane } : { plane, values }
    )
  )

export class NotSeen extends Schema.TaggedError<NotSeen>()("NotSeen", {
  wanted: Schema.String,
  seconds: Schema.Number,
  last: Schema.String
}) {
  override get message() {
    return `wanted ${this.wanted}; not within ${this.seconds} s, last seen: ${this.last}`
  }
}

/** Looks until what is seen `is` as wanted, and returns it. A look that fails counts as not seen. */
export const waitFor = <A, E extends { readonly message: string }>(
  wanted: string,
  look: Effect.Effect<A, E>,
  is: (seen: A) => boolean,
  seconds = 120
): Effect.Effect<A, NotSeen> =>
  Effect.suspend(() => {
    let last = "nothing"
    const notSeen = () => new NotSeen({ wanted, seconds, last })
    return look.pipe(
      Effect.tapError(({ message }) => Effect.sync(() => (last = message))),
      Effect.tap((seen) => Effect.sync(() => (last = JSON.stringify(seen)))),
      Effect.filterOrFail(is, notSeen),
      Effect.retry(Schedule.spaced("300 millis")),
      Effect.timeoutOrElse({ duration: `${seconds} seconds`, orElse: () => Effect.fail(notSeen()) }),
      Effect.mapError(notSeen)
    )
  })

/** Seconds since `from`, in milliseconds since 1970. */
export const secondsSince = (from: number) => Effect.map(Clock.currentTimeMillis, (now) => (now - from) / 1000)

const publisher = (...args: ReadonlyArray<string>) =>
  kubectl("exec", "--namespace", "postgres", "publisher", "--", "node", "/app/publisher.js", ...args)

/** Rows of a statement, asked for from within the cluster. */
export const sql = <Row>(text: string): Effect.Effect<ReadonlyArray<Row>, CommandFailed> =>
  publisher("sql", text).pipe(Effect.map(parse))

/** Where a stream is; unset: in the hub. */
export interface Place {
  readonly server?: string
  readonly domain?: string
}

/** What JetStream says about a stream. */
export const streamOf = (name: string, place: Place = {}): Effect.Effect<StreamReport | null, CommandFailed> =>
  publisher("stream", ...flags({ ...place }), name).pipe(Effect.map(parse))

/** The same of a stream that has to be there. */
export const streamThere = (name: string, place: Place = {}) =>
  Effect.flatMap(streamOf(name, place), (stream) =>
    stream ? Effect.succeed(stream) : Effect.fail(new NotSeen({ wanted: `stream ${name}`, seconds: 0, last: "none" }))
  )

/** Asks the leaders of a stream and its consumers to hand over to a server of the hub. */
export const handOver = (stream: string, server: string) => publisher("hand-over", "--to", server, stream)

const flags = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)])

export interface Publishing {
  readonly subject: string
  readonly count?: number
  /** First number. */
  readonly from?: number
  readonly rate?: number
  /** `{n}` in it becomes the number. */
  readonly payload?: string
  readonly server?: string
}

/** Another one for every run, so that a message is no duplicate of an earlier run's. */
let publications = 0
const publishArguments = ({ subject, ...options }: Publishing) => [
  "publish",
  ...flags({ subject, run: `${subject}-${Date.now()}-${publications++}`, ...options })
]

/** Publishes `count` numbered messages and returns when JetStream has them all. */
export const publish = (publishing: Publishing & { readonly count: number }): Effect.Effect<Figures, CommandFailed> =>
  publisher(...publishArguments(publishing)).pipe(Effect.map(parse))

/** Publishes bytes, once. */
export const publishBytes = (subject: string, bytes: Uint8Array): Effect.Effect<Figures, CommandFailed> =>
  publisher(
    ...publishArguments({ subject, count: 1, payload: Buffer.from(bytes).toString("base64") }),
    "--base64"
  ).pipe(Effect.map(parse))

export interface Load {
  /** Ends it; every number up to `published` is in the stream. */
  readonly stop: Effect.Effect<Figures, CommandFailed>
}

const longestLoad = 1_000_000

/** Publishes numbers from 1 on until it is stopped, or the scope closes. */
export const startLoad = (publishing: Publishing): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { kubeconfig, kubectl: program } = yield* cluster
    const args = publishArguments({ count: longestLoad, ...publishing })
    const pod = ["--namespace", "postgres", "publisher", "--", "node", "/app/publisher.js"]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(program, ["--kubeconfig", kubeconfig, "exec", "--stdin", ...pod, ...args, "--until-end-of-input"])
      ),
      (child) => Effect.sync(() => void child.kill())
    )
    let output = ""
    let errors = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
    return {
      stop: Effect.suspend(() => {
        child.stdin.end()
        return Effect.promise(() => ended)
      }).pipe(
        Effect.flatMap((code) =>
          code === 0
            ? Effect.succeed(parse(output) as Figures)
            : Effect.fail(new CommandFailed({ command: `publisher ${args.join(" ")}`, output: `${output}${errors}` }))
        )
      )
    }
  })

export const isPodReady = ({ metadata, status }: KubeObject): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some((c: Record<string, string>) => c["type"] === "Ready" && c["status"] === "True")

/** The operator that leads, by its Lease: its Pod's name, and since when, in milliseconds since 1970. */
export const leader = get("--namespace", operatorNamespace, "lease", "eventstream-operator").pipe(
  Effect.map(({ spec }) => ({
    pod: String(spec?.holderIdentity ?? ""),
    since: Date.parse(spec?.acquireTime ?? ""),
    transitions: Number(spec?.leaseTransitions ?? 0)
  }))
)

/** Prints the line of figures that a scenario ends with. */
export const report = (scenario: string, figures: string) =>
  Effect.sync(() => void process.stdout.write(`scenario: ${scenario}, ${figures}\n`))

export const seconds = (value: number) => `${value.toFixed(1)} s`
