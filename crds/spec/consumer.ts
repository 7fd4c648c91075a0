import { Schema } from "effect"
import { duration, int, optional, set, withDefault } from "../field.ts"
import { JetStreamName, SubjectFilter, Time } from "../names.ts"

const DeliverFromSpec = Schema.Struct({
  policy: withDefault(
    Schema.Literals(["All", "New", "StartSequence", "StartTime"]),
    "All",
    "New: only messages published after the first start."
  ),
  sequence: optional(int(1, Number.MAX_SAFE_INTEGER), "First stream sequence, with policy StartSequence."),
  time: optional(Time, "Publish time of the first message, with policy StartTime.")
})

/** `spec.consumer`. */
export const ConsumerSpec = Schema.Struct({
  name: optional(
    JetStreamName(200),
    "Managed: prefix of the durable's name (unset: metadata.name); status.consumer.name has the whole. Observed: the durable's exact name. Cannot be changed."
  ),
  management: withDefault(
    Schema.Literals(["Managed", "Observed"]),
    "Managed",
    "Observed: the durable belongs to someone else and is never created, changed or deleted here."
  ),
  filterSubjects: optional(set(SubjectFilter, 256), "Only messages of these subjects. Unset: all of the stream."),
  deliverFrom: withDefault(
    DeliverFromSpec,
    {},
    "First message, looked at only when this EventStream reads the stream for the first time."
  ),
  ackWait: withDefault(
    duration("1s", "24h"),
    "60s",
    "How long a message may be in flight before it is delivered again; at least batch.maxLatency + target.postgres.statementTimeout."
  ),
  maxAckPending: optional(
    int(1, 1_000_000),
    "Most unacknowledged messages over all writers, at least batch.maxMessages. Unset: 4 x batch.maxMessages x writer.replicas, at least 1000."
  ),
  deletionPolicy: withDefault(
    Schema.Literals(["Delete", "Retain"]),
    "Delete",
    "Whether the durable is deleted together with this object. An Observed one never is."
  )
})
