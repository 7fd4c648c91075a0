import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { join } from "node:path"
import { bundle } from "../images/bundle.ts"
import { tempDirectory } from "../testing/servers.ts"
import { formatJson, formatTable, summarize } from "./report.ts"
import { measureRound, preload, type Setting } from "./round.ts"
import { startServers } from "./servers.ts"
import { encodeRows, workloads } from "./workload.ts"

const positive = Flag.filter(
  (value: number) => value > 0,
  () => "a number above 0"
)

const flags = {
  rounds: Flag.Int("rounds").pipe(
    positive,
    Flag.withDefault(3),
    Flag.withDescription("Measurements of each kind; the figures are their medians.")
  ),
  messages: Flag.Int("messages").pipe(
    positive,
    Flag.withDefault(300_000),
    Flag.withDescription("Messages in the stream.")
  ),
  workload: Flag.Literals("workload", ["W1"]).pipe(
    Flag.withDefault("W1" as const),
    Flag.withDescription("What is written.")
  ),
  profile: Flag.String("profile").pipe(
    Flag.optional,
    Flag.withDescription("Folder for CPU profiles of the writer, which slow it down a little.")
  )
}

/** `make bench`: how fast the writer drains a stream, beside what PostgreSQL takes at most. */
const bench = Command.make("bench", flags, ({ rounds, messages, workload: name, profile }) =>
  Effect.gen(function* () {
    const workload = workloads[name]
    const servers = yield* startServers(process.env["BENCH_POSTGRES_URL"])
    const spec = workload.spec(servers.natsUrl)
    yield* Console.log(`${name}: ${messages} messages, ${servers.databaseVersion}`)
    const program = join(yield* tempDirectory("eventstream-bench-bundle-"), "writer.mjs")
    yield* Effect.promise(() => bundle("images/writer.ts", program))
    const encoded = yield* Effect.sync(() => encodeRows(workload, spec, messages))
    const stream = yield* Effect.promise(() => preload(servers, workload, spec, messages))
    const nodeOptions = Option.match(profile, {
      onNone: () => [],
      onSome: (directory) => ["--cpu-prof", `--cpu-prof-dir=${directory}`]
    })
    const setting: Setting = { servers, workload, spec, messages, encoded, program, stream, nodeOptions }
    const measured = []
    for (let index = 0; index < rounds; index++) measured.push(yield* measureRound(setting, index))
    const summary = summarize(measured)
    yield* Console.log(`${formatTable(name, summary)}\n`)
    yield* Console.log(formatJson(name, summary))
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Drain a preloaded stream into PostgreSQL and compare with one COPY of the same rows. BENCH_POSTGRES_URL: a PostgreSQL " +
      "of this machine instead of an own one, as superuser."
  )
)

bench.pipe(Command.run({ version: "1" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
