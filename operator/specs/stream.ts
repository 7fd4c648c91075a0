import { Duration } from "effect"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { ObjectKey } from "../kube.ts"
import { CreatedMark, defaultStreamName, type Owner, OwnerMark, ownerOf } from "./names.ts"

/**
 * What the operator sets of a stream, in the words of JetStream's API. Times are nanoseconds. A stream that is read back has
 * more fields; those are left alone.
 */
export interface StreamConfig {
  readonly name: string
  readonly subjects: ReadonlyArray<string>
  readonly retention: "limits" | "interest" | "workqueue"
  readonly storage: "file" | "memory"
  readonly num_replicas: number
  /** 0 is unlimited, as with every limit in nanoseconds; -1 is, with every limit of a count or of bytes. */
  readonly max_age: number
  readonly max_bytes: number
  readonly max_msgs: number
  readonly max_msg_size: number
  readonly max_msgs_per_subject: number
  readonly discard: "old" | "new"
  readonly duplicate_window: number
  readonly compression: "none" | "s2"
  readonly metadata: Readonly<Record<string, string>>
}

const nanos = (duration: Duration.Duration | undefined) =>
  duration === undefined ? 0 : Number(Duration.toNanosUnsafe(duration))

/** JetStream writes unlimited as -1; 0 means the same in a spec. */
const limit = (value: number | undefined) => (value === undefined || value <= 0 ? -1 : value)

export const streamNameOf = (key: ObjectKey, spec: EventStreamSpec) => spec.stream.name ?? defaultStreamName(key)

/** The stream an EventStream asks for, without `metadata`. */
export const streamConfig = (key: ObjectKey, spec: EventStreamSpec): Omit<StreamConfig, "metadata"> => {
  const { stream } = spec
  return {
    name: streamNameOf(key, spec),
    subjects: stream.subjects ?? [],
    retention: ({ Limits: "limits", Interest: "interest", WorkQueue: "workqueue" } as const)[stream.retention],
    storage: ({ File: "file", Memory: "memory" } as const)[stream.storage],
    num_replicas: stream.replicas ?? 1,
    max_age: nanos(stream.maxAge),
    max_bytes: limit(stream.maxBytes),
    max_msgs: limit(stream.maxMessages),
    max_msg_size: limit(stream.maxMessageSize),
    max_msgs_per_subject: limit(stream.maxMessagesPerSubject),
    discard: ({ Old: "old", New: "new" } as const)[stream.discard],
    duplicate_window: nanos(stream.duplicateWindow),
    compression: ({ None: "none", S2: "s2" } as const)[stream.compression]
  }
}

/** The configuration of a stream that does not exist yet. */
export const newStream = (owner: Owner, spec: EventStreamSpec): StreamConfig => ({
  ...streamConfig(owner, spec),
  metadata: { [OwnerMark]: ownerOf(owner), [CreatedMark]: owner.uid }
})
