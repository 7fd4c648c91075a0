import { jetstream } from "@nats-io/jetstream"
import { Effect, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { Client } from "pg"
import type { EventStreamSpec } from "../crds/eventstream.ts"
import { durableName, newConsumer } from "../operator/specs/consumer.ts"
import { newStream } from "../operator/specs/stream.ts"
import { incarnationOf } from "../platform/incarnation.ts"
import { tempDirectory } from "../testing/servers.ts"
import { copyTuples } from "./copy.ts"
import { cpuSeconds, cpuSecondsWithChildren, peakResidentBytes } from "./processes.ts"
import type { Round } from "./report.ts"
import type { Servers } from "./servers.ts"
import type { EncodedRows, Workload } from "./workload.ts"
import { migrate, startWriter, writeConfiguration } from "./writer.ts"

/** Something is not as it must be for a figure to mean anything. */
export class Invalid extends Schema.TaggedError<Invalid>()("Invalid", { detail: Schema.String }) {
  override get message() {
    return `the measurement is not valid: ${this.detail}`
  }
}

/** Where a writer is measured. */
export interface Place {
  readonly servers: Servers
  readonly workload: Workload
  readonly spec: EventStreamSpec
  /** Entry of the bundled program. */
  readonly program: string
  readonly stream: { readonly name: string; readonly created: string }
}

export interface Setting extends Place {
  /** That the stream holds already. */
  readonly messages: number
  readonly encoded: EncodedRows
  /** Further arguments of Node for the writer. */
  readonly nodeOptions: ReadonlyArray<string>
}

const publishedAtOnce = 2000

/** A stream with file storage, as the operator makes it. */
export const createStream = async (servers: Servers, workload: Workload, spec: EventStreamSpec) => {
  const wanted = newStream(workload.key, spec)
  const { config, created } = await servers.manager.streams.add({ ...wanted, subjects: [...wanted.subjects] })
  return { name: config.name, created }
}

/** Fills a stream with the messages of the workload; each is confirmed. */
export const preload = async (servers: Servers, workload: Workload, spec: EventStreamSpec, messages: number) => {
  const stream = await createStream(servers, workload, spec)
  const client = jetstream(servers.nats)
  let confirmations: Array<Promise<unknown>> = []
  for (const data of workload.messages(messages)) {
    confirmations.push(client.publish(workload.subject, data))
    if (confirmations.length < publishedAtOnce) continue
    await Promise.all(confirmations)
    confirmations = []
  }
  await Promise.all(confirmations)
  return stream
}

const databaseName = "eventstream_bench"

/** A new database with the tables of the workload, everything before it on disk. */
export const freshDatabase = async (setting: Place, folder: string, durable: string) => {
  const { database, databaseUrl } = setting.servers
  await database.query(`DROP DATABASE IF EXISTS ${databaseName} WITH (FORCE)`)
  await database.query(`CREATE DATABASE ${databaseName}`)
  const url = new URL(databaseUrl)
  url.pathname = `/${databaseName}`
  if (!url.searchParams.has("sslmode")) url.searchParams.set("sslmode", "disable") // both are on this machine
  const client = new Client({ connectionString: url.href })
  await client.connect()
  await client.query(
    `DO $$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
       THEN CREATE EXTENSION timescaledb; END IF; END $$`
  )
  const names = { stream: setting.stream.name, durable }
  const config = writeConfiguration(folder, setting.workload.key, setting.spec, names, url.href)
  migrate(setting.program, config)
  await client.query("CHECKPOINT")
  execFileSync("sync") // of the preloaded stream too, or the disk is busy with it while the first round is measured
  return { client, config }
}

/** Checks that every message became its rows, and nothing else. */
const verify = async (client: Client, setting: Setting) => {
  const { encoded, workload, messages } = setting
  const { rows } = await client.query<{ rows: string; distinct: string; dead: string }>(
    `SELECT count(*) AS rows, count(DISTINCT ${workload.distinct}) AS distinct,
            (SELECT count(*) FROM eventstream_dead_letter) AS dead FROM ${encoded.table}`
  )
  const { rows: count, distinct, dead } = rows[0]!
  const wanted = messages * workload.rowsPerMessage
  if (Number(count) !== wanted || Number(distinct) !== wanted || Number(dead) !== 0) {
    throw new Invalid({
      detail: `wanted ${wanted} rows, found ${count}, ${distinct} of them distinct, and ${dead} dead letters`
    })
  }
}

export const createDurable = async ({ servers, workload, spec, stream }: Place, nonce: string) => {
  const incarnation = incarnationOf(stream.name, stream.created)
  const durable = durableName(workload.key, spec, incarnation, nonce)
  await servers.manager.consumers.add(
    stream.name,
    newConsumer(workload.key, spec, durable, { at: 1, first: 1 }, 1) as never
  )
  return durable
}

/** CPU seconds and time at one moment. */
const sample = ({ servers }: Setting, writer: number) => ({
  seconds: performance.now() / 1000,
  writer: cpuSeconds(writer),
  postgres: cpuSecondsWithChildren(servers.postmasterPid),
  nats: cpuSeconds(servers.natsPid)
})

const pollMillis = 10
const longestSeconds = 300

/** Lets the writer drain the stream. It counts as begun just before its first delivery was seen, and as done when all is acked. */
const measureWriter = Effect.fnUntraced(function* (setting: Setting, nonce: string) {
  const { servers, messages, stream, program, workload, spec } = setting
  const rows = messages * workload.rowsPerMessage
  const folder = yield* tempDirectory("eventstream-bench-")
  const durable = yield* Effect.promise(() => createDurable(setting, nonce))
  const { client, config } = yield* Effect.promise(() => freshDatabase(setting, folder, durable))
  yield* Effect.addFinalizer(() => Effect.promise(() => client.end()))

  const launched = performance.now() / 1000
  const writer = yield* startWriter(program, config, workload.key, spec, setting.nodeOptions)
  let begin = sample(setting, writer.pid)
  while (true) {
    const info = yield* Effect.promise(() => servers.manager.consumers.info(stream.name, durable))
    const now = sample(setting, writer.pid)
    if (info.num_pending + info.num_ack_pending === 0) {
      const peakRssBytes = peakResidentBytes(writer.pid)
      yield* Effect.promise(() => verify(client, setting))
      const perRow = (from: number, to: number) => ((to - from) * 1e6) / rows
      return {
        rowsPerSecond: rows / (now.seconds - begin.seconds),
        rowsPerSecondWithStart: rows / (now.seconds - launched),
        writerCpuMicrosPerRow: perRow(begin.writer, now.writer),
        postgresCpuMicrosPerRow: perRow(begin.postgres, now.postgres),
        natsCpuMicrosPerRow: perRow(begin.nats, now.nats),
        peakRssBytes
      }
    }
    if (info.delivered.consumer_seq === 0) begin = now
    const failure = writer.failure()
    if (failure !== undefined) return yield* new Invalid({ detail: `the writer ended:\n${failure}` })
    if (now.seconds - launched > longestSeconds) {
      return yield* new Invalid({
        detail: `not drained within ${longestSeconds} s, ${info.num_pending} messages pending`
      })
    }
    yield* Effect.sleep(pollMillis)
  }
}, Effect.scoped)

/** Sends the encoded rows in one COPY. */
const measureCopy = Effect.fnUntraced(function* (setting: Setting) {
  const { encoded, messages, servers, workload } = setting
  const rows = messages * workload.rowsPerMessage
  const folder = yield* tempDirectory("eventstream-bench-")
  return yield* Effect.promise(async () => {
    const { client } = await freshDatabase(setting, folder, "none")
    const cpu = cpuSecondsWithChildren(servers.postmasterPid)
    const begin = performance.now()
    await copyTuples(client, encoded.statement, encoded.chunks)
    const seconds = (performance.now() - begin) / 1000
    const used = cpuSecondsWithChildren(servers.postmasterPid) - cpu
    await verify(client, setting)
    await client.end()
    return { copyRowsPerSecond: rows / seconds, copyPostgresCpuMicrosPerRow: (used * 1e6) / rows }
  })
}, Effect.scoped)

/** Both measurements, one after the other; their order changes with every round, so that neither always meets a warm disk. */
export const measureRound = Effect.fnUntraced(function* (setting: Setting, index: number) {
  const writer = measureWriter(setting, `r${index}`)
  const copy = measureCopy(setting)
  const measured = index % 2 === 0 ? yield* Effect.all({ writer, copy }) : yield* Effect.all({ copy, writer })
  return {
    rows: setting.messages * setting.workload.rowsPerMessage,
    ...measured.writer,
    ...measured.copy,
    ratio: measured.writer.rowsPerSecond / measured.copy.copyRowsPerSecond
  } satisfies Round
})
