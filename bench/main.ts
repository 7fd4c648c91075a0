import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { join } from "node:path"
import { bundle } from "../images/bundle.ts"
import { tempDirectory } from "../testing/servers.ts"
import { type LatencyRun, measureLatency } from "./latency.ts"
import { formatJson, formatLatencies, formatTable, summarize } from "./report.ts"
import { measureRound, preload, type Setting } from "./round.ts"
import { type Servers, startServers } from "./servers.ts"
import { encodeRows, type WorkloadName, workloads } from "./workload.ts"

const positive = Flag.filter(
  (value: number) => value > 0,
  () => "a number above 0"
)

const names = Object.keys(workloads) as ReadonlyArray<WorkloadName>

const flags = {
  rounds: Flag.Int("rounds").pipe(
    positive,
    Flag.withDefault(3),
    Flag.withDescription("Measurements of each kind; the figures are their medians.")
  ),
  rows: Flag.Int("rows").pipe(positive, Flag.withDefault(300_000), Flag.withDescription("Rows that a stream becomes.")),
  workload: Flag.Literals("workload", names).pipe(
    Flag.optional,
    Flag.withDescription("What is written. Unset: one after the other, and then the latencies.")
  ),
  latency: Flag.Boolean("latency").pipe(Flag.withDefault(false), Flag.withDescription("Only the latencies.")),
  profile: Flag.String("profile").pipe(
    Flag.optional,
    Flag.withDescription("Folder for CPU profiles of the writer, which slow it down a little.")
  )
}

interface Options {
  readonly rounds: number
  readonly rows: number
  /** Arguments of Node for the writer. */
  readonly nodeOptions: ReadonlyArray<string>
}

const measureWorkload = Effect.fnUntraced(function* (
  servers: Servers,
  program: string,
  name: WorkloadName,
  { rounds, rows, nodeOptions }: Options
) {
  const workload = workloads[name]
  const spec = workload.spec(servers.natsUrl)
  const messages = Math.ceil(rows / workload.rowsPerMessage)
  yield* Console.log(`${name}: ${messages} messages, ${servers.databaseVersion}`)
  const encoded = yield* Effect.sync(() => encodeRows(workload, spec, messages))
  const stream = yield* Effect.promise(() => preload(servers, workload, spec, messages))
  const setting: Setting = { servers, workload, spec, messages, encoded, program, stream, nodeOptions }
  const measured = []
  for (let index = 0; index < rounds; index++) measured.push(yield* measureRound(setting, index))
  const summary = summarize(measured)
  yield* Console.log(`${formatTable(name, summary)}\n`)
  yield* Console.log(formatJson(name, summary))
  yield* Effect.promise(() => servers.manager.streams.delete(stream.name))
})

/** 2,000 messages a second with the default settings and without waiting for a batch to fill, and a stream that is almost at rest. */
const latencyRuns: ReadonlyArray<LatencyRun> = [
  { perSecond: 2000, seconds: 20 },
  { perSecond: 2000, seconds: 20, maxLatency: "0s" },
  { perSecond: 2, seconds: 40 }
]

const measureLatencies = Effect.fnUntraced(function* (servers: Servers, program: string) {
  const measured = []
  for (const run of latencyRuns) measured.push({ ...run, ...(yield* measureLatency(servers, program, run)) })
  yield* Console.log(`${formatLatencies(measured)}\n`)
  yield* Console.log(JSON.stringify({ latency: measured }))
})

/** `make bench`: how fast the writer drains a stream, beside what PostgreSQL takes at most, and how soon a message is a row. */
const bench = Command.make("bench", flags, ({ workload, latency, profile, ...options }) =>
  Effect.gen(function* () {
    const servers = yield* startServers(process.env["BENCH_POSTGRES_URL"])
    const program = join(yield* tempDirectory("eventstream-bench-bundle-"), "writer.mjs")
    yield* Effect.promise(() => bundle("images/writer.ts", program))
    const nodeOptions = Option.match(profile, {
      onNone: () => [],
      onSome: (directory) => ["--cpu-prof", `--cpu-prof-dir=${directory}`]
    })
    const wanted = latency ? [] : Option.match(workload, { onNone: () => names, onSome: (name) => [name] })
    for (const name of wanted) yield* measureWorkload(servers, program, name, { ...options, nodeOptions })
    if (Option.isNone(workload)) yield* measureLatencies(servers, program)
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Drain preloaded streams into PostgreSQL and compare with one COPY of the same rows; then measure how long a message takes " +
      "to be a row. BENCH_POSTGRES_URL: a PostgreSQL of this machine instead of an own one, as superuser."
  )
)

bench.pipe(Command.run({ version: "1" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
