import { Schema } from "effect"
import { optional, required, set } from "../field.ts"
import { JetStreamDomain, NatsUrl } from "../names.ts"

/** `spec.nats`. */
export const NatsSpec = Schema.Struct({
  servers: required(set(NatsUrl, 16, 1), "Seed URLs."),
  jetstreamDomain: optional(JetStreamDomain, "JetStream domain reached through a leaf node.")
})
