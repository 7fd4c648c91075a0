import { Schema } from "effect"
import { EventStreamSpec } from "../crds/eventstream.ts"
import { writerConfig } from "../operator/specs/configmap.ts"
import type { Owner } from "../operator/specs/names.ts"
import { WriterConfig } from "../writer/config.ts"
import { makeProcessor } from "../writer/processors/index.ts"
import { makeBatchEncoder } from "../writer/store/copy.ts"
import { copyStatement } from "../writer/store/statements.ts"
import { logMessages, metricMessages } from "./messages.ts"
import { metricRequests, pointsPerRequest } from "./otlp.ts"

/** What is measured: an EventStream and the messages for it. */
export interface Workload {
  readonly key: Owner
  readonly subject: string
  readonly messages: (count: number) => Iterable<Uint8Array>
  readonly rowsPerMessage: number
  /** SQL expression that tells any two rows apart. */
  readonly distinct: string
  readonly spec: (natsUrl: string, batch?: { readonly maxLatency: string }) => EventStreamSpec
}

const decodeConfig = Schema.decodeSync(WriterConfig)
const decodeSpec = Schema.decodeUnknownSync(EventStreamSpec)

/** One EventStream with one subject, and all of its settings but the processor as they are by default. */
const workload = (
  name: string,
  uid: number,
  subject: string,
  type: EventStreamSpec["processor"]["type"],
  input: Pick<Workload, "messages" | "rowsPerMessage" | "distinct">
): Workload => ({
  ...input,
  key: { namespace: "bench", name, uid: `00000000-0000-0000-0000-${String(uid).padStart(12, "0")}` },
  subject,
  spec: (natsUrl, batch) =>
    decodeSpec({
      nats: { servers: [natsUrl] },
      stream: { subjects: [subject] },
      processor: { type },
      target: { postgres: { secretRef: { name: "bench" } } },
      ...(batch === undefined ? {} : { batch }),
      writer: { logLevel: "warn" }
    })
})

/** All of them write into built-in tables with their primary key and all their indexes. */
export const workloads = {
  /** OTel performance records as JSON into `otel_metrics`. */
  W1: workload("metrics", 1, "otel.metrics", "OtelMetrics", {
    messages: metricMessages,
    rowsPerMessage: 1,
    distinct: "trace_id"
  }),
  /** Log records as JSON into `ocsf_events`, a row of 28 columns of which 9 are jsonb. */
  W2: workload("logs", 2, "logs.otel", "Logs", { messages: logMessages, rowsPerMessage: 1, distinct: "id" }),
  /** OTLP requests as protobuf into `otel_metrics`, a row for each data point. */
  W3: workload("points", 3, "otel.metrics", "OtelMetrics", {
    messages: metricRequests,
    rowsPerMessage: pointsPerRequest,
    distinct: '"timestamp"'
  })
} as const
export type WorkloadName = keyof typeof workloads

/** Rows of one encoder batch; only bounds its buffer. */
const batchSize = 5000

export interface EncodedRows {
  /** The COPY statement of the only table. */
  readonly statement: string
  /** Name of the table in its schema. */
  readonly table: string
  /** Binary tuples, as the writer sends them. */
  readonly chunks: ReadonlyArray<Uint8Array>
}

/** The rows of a workload as the writer itself decodes and encodes them. */
export const encodeRows = (workload: Workload, spec: EventStreamSpec, count: number): EncodedRows => {
  const config = decodeConfig(writerConfig(workload.key, spec, "bench", "bench"))
  const processor = makeProcessor(config.processor)
  const table = processor.tables[0]!
  const encoder = makeBatchEncoder(processor.tables)
  const chunks: Array<Uint8Array> = []
  let seq = 0
  for (const data of workload.messages(count)) {
    const message = {
      subject: workload.subject,
      stream: "",
      seq: ++seq,
      receivedAt: 0,
      data,
      header: () => undefined,
      headers: () => undefined
    }
    encoder.beginMessage()
    const outcome = processor.process(message, encoder.sink)
    encoder.endMessage()
    if (outcome._tag !== "Rows") throw new Error(`wanted a row of message ${seq}, found ${JSON.stringify(outcome)}`)
    if (seq % batchSize === 0 || seq === count) chunks.push(encoder.take()[0]!.bytes)
  }
  return { statement: copyStatement(table, spec.target.schema), table: table.name, chunks }
}
