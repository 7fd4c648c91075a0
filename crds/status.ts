import { Schema } from "effect"
import { atomicList, freeText, int, mapList, optional, required } from "./field.ts"
import { Time } from "./names.ts"

/** What the operator writes into `status`. */

const count = (description: string) => optional(int(0, Number.MAX_SAFE_INTEGER), description)
const word = (maxLength: number, description: string) =>
  optional(Schema.String.check(Schema.isMaxCodePoints(maxLength)), description)

export const Condition = Schema.Struct({
  type: required(freeText(316), "What is said."),
  status: required(Schema.Literals(["True", "False", "Unknown"]), "Whether it holds."),
  observedGeneration: count("metadata.generation this was said about."),
  lastTransitionTime: required(Time, "When status last changed."),
  reason: required(freeText(1024), "One word for programs."),
  message: required(Schema.String.check(Schema.isMaxCodePoints(32_768)), "One sentence for people.")
})
/** Shape and meaning of `metav1.Condition`. */
export type Condition = typeof Condition.Type

export const EventStreamStatus = Schema.Struct({
  conditions: optional(mapList(Condition, "type", 32), "Ready, Reconciling, Stalled and what explains them."),
  observedGeneration: optional(
    int(-1, Number.MAX_SAFE_INTEGER),
    "metadata.generation this status is about; -1 until the operator has seen the object."
  ),
  stream: optional(
    Schema.Struct({
      name: word(255, "JetStream name."),
      owned: optional(Schema.Boolean, "Whether the stream carries this object's owner mark."),
      replicas: count("Copies in the NATS cluster."),
      messages: count("Messages held."),
      bytes: count("Bytes held."),
      firstSequence: count("First sequence held."),
      lastSequence: count("Last sequence given."),
      created: optional(Time, "When the stream was created, in nanoseconds of the server's clock."),
      configHash: word(64, "Hash of the configuration last applied."),
      drift: optional(
        atomicList(Schema.String.check(Schema.isMaxCodePoints(1024)), 64),
        "Fields somebody changed outside Kubernetes that are not put back by themselves."
      )
    }),
    "The stream as the server reports it."
  ),
  consumer: optional(
    Schema.Struct({
      name: word(255, "Name of the durable."),
      startSequence: count("Sequence at which the first durable of this EventStream started."),
      ackFloor: count("Stream sequence up to which everything is acknowledged."),
      delivered: count("Stream sequence last delivered."),
      pending: count("Messages not delivered yet."),
      ackPending: count("Messages delivered and not acknowledged yet."),
      redelivered: count("Messages delivered more than once and not acknowledged yet."),
      lag: word(32, "pending + ackPending for people, e.g. 1.2k; rounded.")
    }),
    "The durable as its leader reports it."
  ),
  writer: optional(
    Schema.Struct({
      replicas: count("Writer Pods."),
      readyReplicas: count("Writer Pods that are ready."),
      updatedReplicas: count("Writer Pods of the newest configuration."),
      desiredReplicas: count("Writer Pods wanted."),
      selector: word(1024, "Label selector of the writer Pods, for autoscalers."),
      image: word(512, "Image of the writers."),
      configHash: word(64, "Hash of the writers' configuration.")
    }),
    "The writer Deployment."
  ),
  target: optional(
    Schema.Struct({
      server: word(256, "Product and version of the database."),
      timescale: word(64, "Version and edition of TimescaleDB; absent without it.")
    }),
    "The database as the writers see it."
  ),
  delivery: optional(
    Schema.Struct({
      written: count("Messages written, of the whole life of this EventStream with this target."),
      deadLettered: count("Dead letters."),
      dropped: count("Messages dropped on purpose."),
      lost: count("Messages that were gone from the stream before they had an outcome, as far as that can be known."),
      lastWriteTime: optional(Time, "When rows were last committed.")
    }),
    "Totals from the ledger."
  ),
  identity: optional(
    Schema.Struct({ notAfter: optional(Time, "When the client certificate for NATS that ends first does.") }),
    "Identity of the writers."
  ),
  deadLetter: optional(
    Schema.Struct({
      count: count("Dead letters that are in the table now."),
      oldest: optional(Time, "When the oldest of them was written."),
      stream: word(255, "JetStream name of the stream they are published to.")
    }),
    "Dead letters as the writers count them."
  ),
  lastHandledReconcileAt: word(256, "Value of annotation eventstream.dev/reconcile-at last acted upon."),
  operatorVersion: word(64, "Version of the operator that wrote this status.")
})
export type EventStreamStatus = typeof EventStreamStatus.Type
