import { Schema } from "effect"
import { EventStreamSpec } from "../crds/eventstream.ts"
import { writerConfig } from "../operator/specs/configmap.ts"
import type { Owner } from "../operator/specs/names.ts"
import { WriterConfig } from "../writer/config.ts"
import { makeProcessor } from "../writer/processors/index.ts"
import { makeBatchEncoder } from "../writer/store/copy.ts"
import { copyStatement } from "../writer/store/statements.ts"
import { metricMessages } from "./messages.ts"

/** What is measured: an EventStream and the messages for it. */
export interface Workload {
  readonly key: Owner
  readonly subject: string
  readonly messages: (count: number) => Iterable<Uint8Array>
  /** Column that tells any two rows apart. */
  readonly distinct: string
  readonly spec: (natsUrl: string) => EventStreamSpec
}

const decodeConfig = Schema.decodeSync(WriterConfig)
const decodeSpec = Schema.decodeUnknownSync(EventStreamSpec)

/** OTel metrics as performance records, into `otel_metrics` with its primary key and three indexes. */
const metrics: Workload = {
  key: { namespace: "bench", name: "metrics", uid: "00000000-0000-0000-0000-000000000001" },
  subject: "otel.metrics",
  messages: metricMessages,
  distinct: "trace_id",
  spec: (natsUrl) =>
    decodeSpec({
      nats: { servers: [natsUrl] },
      stream: { subjects: ["otel.metrics"] },
      processor: { type: "OtelMetrics" },
      target: { postgres: { secretRef: { name: "bench" } } },
      writer: { logLevel: "warn" }
    })
}

export const workloads = { W1: metrics } as const
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
    const message = { subject: workload.subject, stream: "", seq: ++seq, receivedAt: 0, data, header: () => undefined }
    encoder.beginMessage()
    const outcome = processor.process(message, encoder.sink)
    encoder.endMessage()
    if (outcome._tag !== "Rows") throw new Error(`wanted a row of message ${seq}, found ${JSON.stringify(outcome)}`)
    if (seq % batchSize === 0 || seq === count) chunks.push(encoder.take()[0]!.bytes)
  }
  return { statement: copyStatement(table, spec.target.schema), table: table.name, chunks }
}
