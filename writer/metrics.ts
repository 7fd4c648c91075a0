import { Counter, Gauge, Histogram, type Registry } from "prom-client"
import type { Batch } from "./batch.ts"
import type { Written } from "./store/store.ts"

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
  readonly acks: Counter<"kind">
  readonly batchMessages: Histogram
  readonly batchBytes: Histogram
  readonly batchSeconds: Histogram<"stage">
  readonly latencySeconds: Histogram
  readonly databaseErrors: Counter<"class" | "retryable">
  readonly paused: Gauge<"reason">
  readonly natsConnected: Gauge
  readonly natsDisconnects: Counter
  readonly natsReconnects: Counter
  readonly lastCommit: Gauge
}

const prefix = "eventstream_writer_"

/** @param inFlight messages held now, asked for at each scrape */
export const makeWriterMetrics = (registry: Registry, inFlight: () => number): WriterMetrics => {
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
  const held: Gauge = new Gauge({
    name: `${prefix}in_flight_messages`,
    help: "Messages pulled and not yet acked.",
    registers,
    collect: () => held.set(inFlight())
  })
  return {
    received: counter("messages_received", "Messages pulled, redeliveries included."),
    redelivered: counter("redeliveries", "Messages pulled that had been delivered before."),
    written: counter("messages_written", "Messages whose rows were committed."),
    rows: counter("rows_written", "Rows committed."),
    duplicate: counter("messages_duplicate", "Rows that met a stored row with the same key."),
    covered: counter("messages_covered", "Messages that turned out to have their outcome already, and were acked."),
    deadLettered: counter("messages_dead_lettered", "Dead letters committed.", "reason"),
    dropped: counter("messages_dropped", "Messages dropped on purpose.", "reason"),
    acks: counter(
      "acks",
      "Acknowledgements published: ack, progress (still being worked on), nak (given back).",
      "kind"
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
    paused: gauge("paused", "1 while nothing is pulled, by reason.", "reason"),
    natsConnected: gauge("nats_connected", "1 while connected to NATS."),
    natsDisconnects: counter("nats_disconnects", "Connections to NATS lost."),
    natsReconnects: counter("nats_reconnects", "Connections to NATS restored."),
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
  failure: { readonly sqlstate?: string | null },
  retryable: boolean
): void => metrics.databaseErrors.inc({ class: failure.sqlstate?.slice(0, 2) ?? "none", retryable: String(retryable) })

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
    if (outcome._tag === "Dropped") count(metrics.dropped, reasons, outcome.reason)
    else if (outcome._tag === "DeadLetter" && !outcome.elements) count(metrics.deadLettered, reasons, outcome.reason)
    else for (const fault of outcome.elements ?? []) count(metrics.deadLettered, reasons, fault.reason)
  }
  return reasons
}
