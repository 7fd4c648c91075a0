import { Schema } from "effect"
import { duration, optional, required, withDefault } from "./field.ts"
import { ConsumerSpec } from "./spec/consumer.ts"
import { BatchSpec, ErrorsSpec } from "./spec/delivery.ts"
import { IdentitySpec, NatsSpec } from "./spec/nats.ts"
import { ProcessorSpec } from "./spec/processor.ts"
import { StreamSpec } from "./spec/stream.ts"
import { TargetSpec } from "./spec/target.ts"
import { WriterSpec } from "./spec/writer.ts"
import type { EventStreamStatus } from "./status.ts"

export { Condition, EventStreamStatus } from "./status.ts"

/**
 * The EventStream. Its Schemas, put together here, are the only place where a field, its default, range and description are
 * written; the CRD, admission and the decoder come from them. Rules between fields are in `rules.ts`.
 */

export const group = "eventstream.dev"
export const version = "v1alpha1"
export const kind = "EventStream"
export const apiVersion = `${group}/${version}`

export const EventStreamSpec = Schema.Struct({
  suspend: withDefault(Schema.Boolean, false, "Writers go to zero; stream, consumer and backlog stay."),
  nats: required(NatsSpec, "How to reach NATS."),
  stream: required(StreamSpec, "The JetStream stream."),
  consumer: withDefault(
    ConsumerSpec,
    {},
    "The durable pull consumer. Acknowledgement is always explicit and max_deliver unlimited: the writer counts attempts."
  ),
  processor: required(ProcessorSpec, "How a message becomes rows."),
  target: required(TargetSpec, "Where the rows go."),
  batch: withDefault(BatchSpec, {}, "Batch limits; a batch is one transaction."),
  errors: withDefault(ErrorsSpec, {}, "Failure handling."),
  writer: withDefault(WriterSpec, {}, "The writer Deployment."),
  identity: optional(IdentitySpec, "Identity of the writers as a workload."),
  drainTimeout: withDefault(
    duration("1s", "1h"),
    "5m",
    "How long writers may take to finish when this object is deleted or its consumer replaced."
  )
})
/** A spec with every default filled in; durations are `Duration`, quantities are bytes. */
export type EventStreamSpec = typeof EventStreamSpec.Type
/** A spec as JSON: durations and quantities as written, defaults possibly left out. */
export type EncodedEventStreamSpec = typeof EventStreamSpec.Encoded

/** What the operator reads of `metadata`. */
export interface EventStreamMetadata {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly generation: number
  readonly resourceVersion?: string
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: ReadonlyArray<string>
}

/** An EventStream after admission and decoding. */
export interface EventStream {
  readonly apiVersion: typeof apiVersion
  readonly kind: typeof kind
  readonly metadata: EventStreamMetadata
  readonly spec: EventStreamSpec
  readonly status?: EventStreamStatus
}
