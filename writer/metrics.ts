import { Counter, Gauge, Histogram, type Registry } from "prom-client"
import type { Batch } from "./batch.ts"
import type { Outcome } from "./processors/processor.ts"
import { deadLettersOf, droppedOf } from "./store/deadletter.ts"
import type { WriteFailure } from "./settle.ts"
import type { Store, Written } from "./store/store.ts"

/** The writer's metrics; names and labels are those of the documentation, alerts and dashboards. */
export interface WriterMetrics {
  readonly received: Counter
  readonly redelivered: Counter
  readonly written: Counter
  readonly rows: Counter
  readonly duplicate: Counter
  readonly covered: Counter
  readonly deadLettered: Counter<"reason">
  readonly dropped: Counter<"reason">
  readonly lost: Counter
  readonly failed: Counter<"reason">
  readonly acks: Counter<"kind" | "result">
  readonly batchMessages: Histogram
  readonly batchBytes: Histogram
  readonly batchSeconds: Histogram<"stage">
  readonly latencySeconds: Histogram
  readonly databaseErrors: Counter<"class" | "retryable">
  readonly circuitOpen: Gauge
  readonly paused: Gauge<"reason">
  readonly natsConnected: Gauge
  readonly natsDisconnects: Counter<"reason">
  readonly natsReconnects: Counter
  readonly certificateExpiry: Gauge<"source">
  readonly lastCommit: Gauge
  readonly deadLetters: Gauge
  readonly deadLettersPublished: Counter
}

const prefix = "eventstream_writer_"

/** What is asked for at each scrape. */
export interface Gauges {
  /** Messages held now. */
  readonly inFlight: () => number
  readonly connections: Store["Service"]["connections"]
  /** How long the writer has been stopping; 0 until it is asked to. */
  readonly shutdownSeconds: () => number
}

export const makeWriterMetrics = (registry: Registry, gauges: Gauges): WriterMetrics => {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, ...labelNames: ReadonlyArray<L>) =>
    new Counter<L>({ name: `${prefix}${name}_total`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, ...labelNames: ReadonlyArray<L>) =>
    new Gauge<L>({ name: `${prefix}${name}`, help, labelNames, registers })
  const histogram = <L extends string>(
    name: string,
    help: string,
    buckets: Array<number>,
    ...labelNames: ReadonlyArray<L>
  ) => new Histogram<L>({ name: `${prefix}${name}`, help, buckets, labelNames, registers })
  const measured = (name: string, help: string, value: () => number) => {
    const gauge: Gauge = new Gauge({ name: `${prefix}${name}`, help, registers, collect: () => gauge.set(value()) })
  }
  measured("in_flight_messages", "Messages pulled and not yet acked.", gauges.inFlight)
  measured("shutdown_duration_seconds", "Time since the writer was asked to stop.", gauges.shutdownSeconds)
  const pool: Gauge<"state"> = new Gauge({
    name: `${prefix}database_pool_connections`,
    help: "Database connections by state: idle, used; and requests that wait for one: waiting.",
    labelNames: ["state"],
    registers,
    collect: () => {
      for (const [state, count] of Object.entries(gauges.connections())) pool.set({ state }, count)
    }
  })
  return {
    received: counter("messages_received", "Messages pulled, redeliveries included."),
    redelivered: counter("redeliveries", "Messages pulled that had been delivered before."),
    written: counter("messages_written", "Messages whose rows were committed."),
    rows: counter("rows_written", "Rows committed."),
    duplicate: counter("messages_duplicate", "Rows that met a stored row with the same key."),
    covered: counter("messages_covered", "Messages that turned out to have their outcome already, and were acked."),
    deadLettered: counter("messages_dead_lettered", "Dead letters committed.", "reason"),
    dropped: counter("messages_dropped", "Messages, or elements of them, dropped on purpose.", "reason"),
    lost: counter(
      "messages_lost",
      "Messages that were gone from the stream before they had an outcome, noticed by this writer."
    ),
    failed: counter(
      "messages_failed",
      "Messages that could not be written: as they are (decode, schema, constraint), or now (database, timeout; at every attempt).",
      "reason"
    ),
    acks: counter(
      "acks",
      "Acknowledgements: ack, progress (still being worked on), nak (given back); sent, or unsent because the connection was closed.",
      "kind",
      "result"
    ),
    batchMessages: histogram(
      "batch_size_messages",
      "Messages of a transaction.",
      [1, 10, 100, 500, 1000, 2000, 5000, 10_000]
    ),
    batchBytes: histogram("batch_bytes", "Payload bytes of a batch.", [1e3, 1e4, 1e5, 1e6, 4e6, 16e6, 64e6]),
    batchSeconds: histogram(
      "batch_duration_seconds",
      "Time by stage: collect (a batch's first message to hand-over), write (a transaction that committed), ack (its acks).",
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      "stage"
    ),
    latencySeconds: histogram(
      "end_to_end_latency_seconds",
      "From a message's publish time to its commit.",
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
    ),
    databaseErrors: counter("database_errors", "Requests that the database failed.", "class", "retryable"),
    circuitOpen: gauge("database_circuit_open", "1 while the database fails so often that it is only probed."),
    paused: gauge("paused", "1 while nothing is pulled, by reason.", "reason"),
    natsConnected: gauge("nats_connected", "1 while connected to NATS."),
    natsDisconnects: counter(
      "nats_disconnects",
      "Connections to NATS lost: lame_duck (the server stops), stale (it fell silent), auth_expired, other.",
      "reason"
    ),
    natsReconnects: counter("nats_reconnects", "Connections to NATS made after the first."),
    certificateExpiry: gauge(
      "certificate_expiry_timestamp_seconds",
      "When the client certificate ends that is given to this server.",
      "source"
    ),
    deadLetters: gauge("dead_letters", "Dead letters that are in the table now."),
    deadLettersPublished: counter("dead_letters_published", "Dead letters published to their stream."),
    lastCommit: gauge("last_commit_timestamp_seconds", "Time of the lane's last commit that this writer knows of.")
  }
}

/** Nothing is pulled now, for this reason alone. */
export const recordPause = (metrics: WriterMetrics, reason: string): void => {
  metrics.paused.reset()
  metrics.paused.set({ reason }, 1)
}

/** Counts a request that the database failed. */
export const recordDatabaseError = (
  metrics: WriterMetrics,
  failure: { readonly _tag: string; readonly sqlstate?: string | null },
  retryable: boolean
): void => metrics.databaseErrors.inc({ class: failure.sqlstate?.slice(0, 2) ?? "none", retryable: String(retryable) })

/** Counts messages of a failed write. */
export const recordFailure = (metrics: WriterMetrics, failure: WriteFailure, messages: number): void => {
  const timedOut = failure._tag === "DatabaseUnavailable" && failure.shrink
  const reason = failure._tag === "RowRefused" ? "constraint" : timedOut ? "timeout" : "database"
  metrics.failed.inc({ reason }, messages)
}

/** Reasons of dead letters whose payload could not be read at all. */
const unreadable: ReadonlySet<string> = new Set([
  "malformed_json",
  "malformed_protobuf",
  "unsupported_type",
  "payload_too_large"
])

/** Counts messages whose payload could not become rows. */
export const recordFaults = (metrics: WriterMetrics, outcomes: ReadonlyArray<Outcome>): void => {
  for (const outcome of outcomes) {
    const [fault] = deadLettersOf(outcome)
    if (fault !== undefined) metrics.failed.inc({ reason: unreadable.has(fault.reason) ? "decode" : "schema" })
  }
}

/** A reason without the field it names, so that there are only as many series as kinds of reasons. */
const kindOf = (reason: string): string => reason.split(":", 1)[0]!

const count = (counter: Counter<"reason">, reasons: Map<string, number>, reason: string) => {
  const kind = kindOf(reason)
  counter.inc({ reason: kind })
  reasons.set(kind, (reasons.get(kind) ?? 0) + 1)
}

/** Counts a committed group; returns how often which kind of reason led to a dead letter or a drop. */
export const recordCommit = (
  metrics: WriterMetrics,
  batch: Batch & { readonly deliveries: ReadonlyArray<{ readonly receivedAt: number }> },
  selected: ReadonlyArray<number>,
  written: Written,
  nowMillis: number
): ReadonlyMap<string, number> => {
  metrics.written.inc(written.messages)
  metrics.rows.inc(written.rows)
  metrics.duplicate.inc(written.conflicts)
  metrics.batchMessages.observe(selected.length)
  metrics.lastCommit.set(nowMillis / 1e3)
  // Of a large batch a hundred messages tell as much as all of them.
  const step = Math.ceil(selected.length / 100)
  for (let i = 0; i < selected.length; i += step) {
    metrics.latencySeconds.observe(nowMillis / 1e3 - batch.deliveries[selected[i]!]!.receivedAt / 1e6)
  }
  const reasons = new Map<string, number>()
  if (written.deadLettered === 0 && written.dropped === 0) return reasons
  for (const index of selected) {
    const outcome = batch.outcomes[index]!
    for (const { reason } of deadLettersOf(outcome)) count(metrics.deadLettered, reasons, reason)
    for (const { reason } of droppedOf(outcome)) count(metrics.dropped, reasons, reason)
  }
  return reasons
}
