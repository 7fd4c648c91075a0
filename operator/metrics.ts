import { Context, Effect, Layer } from "effect"
import { Counter, Gauge, Histogram } from "prom-client"
import packageJson from "../package.json" with { type: "json" }
import { Metrics } from "../platform/metrics.ts"
import type { ObjectKey } from "./kube.ts"

const objectLabels = ["eventstream_namespace", "eventstream"] as const

/** One gauge per EventStream; the values of a status that are worth a graph. */
const gauges = {
  reconcile_last_success_timestamp_seconds: "When this EventStream was last reconciled without an error.",
  consumer_lag_messages: "Messages pending or unacknowledged, from the consumer's leader.",
  consumer_ack_pending: "Messages delivered and not acknowledged.",
  consumer_redelivered: "Messages delivered more than once and not acknowledged.",
  consumer_waiting_pulls: "Pull requests that wait for messages.",
  consumer_ack_floor_sequence: "Stream sequence up to which everything is acknowledged.",
  stream_last_sequence: "Last sequence the stream gave.",
  stream_messages: "Messages the stream holds.",
  stream_bytes: "Bytes the stream holds.",
  stream_limit_bytes: "Most bytes the stream may hold; absent when unlimited.",
  stream_replicas_current: "Copies of the stream that are up to date.",
  stream_replicas_desired: "Copies of the stream that are wanted."
} as const
export type ObjectGauge = keyof typeof gauges

/** The operator's metrics. Label sets are bounded by the number of EventStreams. */
export class OperatorMetrics extends Context.Service<
  OperatorMetrics,
  {
    readonly reconciles: Counter<"controller" | "result">
    readonly reconcileSeconds: Histogram<"controller">
    readonly natsRequests: Counter<"operation" | "code">
    readonly driftCorrections: Counter<"kind">
    /** 1 while this process leads by the Lease `name`; without an election there is no series. */
    readonly leading: Gauge<"name">
    /** Shows the work queue's counters, read at each scrape. */
    readonly queue: (read: () => { readonly depth: number; readonly retries: number }) => void
    /** Sets the gauges of an EventStream; those that are not given become absent. */
    readonly observe: (key: ObjectKey, values: Partial<Record<ObjectGauge, number>>) => void
    /** Mirrors its conditions, one series for each status, as kube-state-metrics does. */
    readonly conditions: (
      key: ObjectKey,
      conditions: ReadonlyArray<{ readonly type: string; readonly status: string }>
    ) => void
    /** Removes every series of an EventStream that is gone. */
    readonly forget: (key: ObjectKey) => void
  }
>()("operator/OperatorMetrics") {
  static readonly layer = Layer.effect(
    OperatorMetrics,
    Effect.gen(function* () {
      const { registry } = yield* Metrics
      const registers = [registry]
      const prefix = "eventstream_operator_"
      const buildInfo = new Gauge({
        name: `${prefix}build_info`,
        help: "Version of the operator.",
        labelNames: ["version", "node_version"],
        registers
      })
      buildInfo.set({ version: packageJson.version, node_version: process.version }, 1)
      const byObject = Object.fromEntries(
        Object.entries(gauges).map(([name, help]) => [
          name,
          new Gauge({ name: prefix + name, help, labelNames: objectLabels, registers })
        ])
      ) as Record<ObjectGauge, Gauge<(typeof objectLabels)[number]>>
      const condition = new Gauge({
        name: `${prefix}condition`,
        help: "Conditions of an EventStream: 1 for the status it has.",
        labelNames: [...objectLabels, "type", "status"],
        registers
      })
      const labelsOf = (key: ObjectKey) => ({ eventstream_namespace: key.namespace, eventstream: key.name })
      const shownConditions = new Map<string, ReadonlySet<string>>()

      const dropConditions = (key: ObjectKey, keep: ReadonlySet<string>) => {
        const id = `${key.namespace}/${key.name}`
        for (const type of shownConditions.get(id) ?? []) {
          if (keep.has(type)) continue
          for (const status of ["true", "false", "unknown"]) condition.remove({ ...labelsOf(key), type, status })
        }
        if (keep.size > 0) shownConditions.set(id, keep)
        else shownConditions.delete(id)
      }

      return OperatorMetrics.of({
        reconciles: new Counter({
          name: `${prefix}reconcile_total`,
          help: "Reconciles by result: success, requeue (again soon), error (again with backoff).",
          labelNames: ["controller", "result"],
          registers
        }),
        reconcileSeconds: new Histogram({
          name: `${prefix}reconcile_duration_seconds`,
          help: "Duration of a reconcile.",
          labelNames: ["controller"],
          buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
          registers
        }),
        natsRequests: new Counter({
          name: `${prefix}nats_api_requests_total`,
          help: "Requests to JetStream's API by operation and outcome.",
          labelNames: ["operation", "code"],
          registers
        }),
        driftCorrections: new Counter({
          name: `${prefix}drift_corrections_total`,
          help: "Edits of others that were put back.",
          labelNames: ["kind"],
          registers
        }),
        // The name that dashboards and alerts for controllers know. Source: k8s.io/component-base/metrics/prometheus/clientgo.
        leading: new Gauge({
          name: "leader_election_master_status",
          help: "Whether this process leads (1) or stands by (0).",
          labelNames: ["name"],
          registers
        }),
        queue: (read) => {
          const depth = new Gauge({
            name: `${prefix}workqueue_depth`,
            help: "EventStreams that wait to be reconciled.",
            labelNames: ["controller"],
            registers: [],
            collect() {
              this.set({ controller: "eventstream" }, read().depth)
            }
          })
          const retries = new Counter({
            name: `${prefix}workqueue_retries_total`,
            help: "Reconciles that were tried again after an error.",
            labelNames: ["controller"],
            registers: [],
            collect() {
              this.reset()
              this.inc({ controller: "eventstream" }, read().retries)
            }
          })
          registry.registerMetric(depth)
          registry.registerMetric(retries)
        },
        observe: (key, values) => {
          for (const [name, gauge] of Object.entries(byObject)) {
            const value = values[name as ObjectGauge]
            if (value === undefined) gauge.remove(labelsOf(key))
            else gauge.set(labelsOf(key), value)
          }
        },
        conditions: (key, conditions) => {
          for (const { type, status } of conditions) {
            for (const each of ["true", "false", "unknown"]) {
              condition.set({ ...labelsOf(key), type, status: each }, each === status.toLowerCase() ? 1 : 0)
            }
          }
          dropConditions(key, new Set(conditions.map(({ type }) => type)))
        },
        forget: (key) => {
          for (const gauge of Object.values(byObject)) gauge.remove(labelsOf(key))
          dropConditions(key, new Set())
        }
      })
    })
  )
}
