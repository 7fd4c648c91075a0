import { Schema } from "effect"
import { duration, int, optional, quantity, set, withDefault } from "../field.ts"
import { JetStreamName, StreamSubject } from "../names.ts"

/** `spec.stream`. */
export const StreamSpec = Schema.Struct({
  name: optional(JetStreamName(255), "JetStream name. Unset: upper-cased <namespace>_<name>. Cannot be changed."),
  management: withDefault(
    Schema.Literals(["Managed", "Observed"]),
    "Managed",
    "Observed: the stream belongs to someone else and is never created, changed or deleted here."
  ),
  adopt: withDefault(
    Schema.Boolean,
    false,
    "Allow taking over an existing stream that carries no owner mark of another EventStream."
  ),
  subjects: optional(
    set(StreamSubject, 256),
    "Subjects the stream captures. Required when Managed; messages already stored stay when a subject is removed."
  ),
  retention: withDefault(
    Schema.Literals(["Limits", "Interest", "WorkQueue"]),
    "Limits",
    "When messages leave the stream. WorkQueue cannot be switched on or off later."
  ),
  storage: withDefault(Schema.Literals(["File", "Memory"]), "File", "Where messages are kept. Cannot be changed."),
  replicas: optional(Schema.Literals([1, 3, 5]), "Copies of the stream in the NATS cluster. Unset: 1."),
  maxAge: optional(duration("0s", "876000h"), "Longest a message is kept, 100ms or more. Unset or 0: unlimited."),
  maxBytes: optional(quantity("1", "4Pi"), "Most bytes the stream holds. Unset: unlimited."),
  maxMessages: optional(int(-1, Number.MAX_SAFE_INTEGER), "Most messages the stream holds. Unset, 0 or -1: unlimited."),
  maxMessageSize: optional(quantity("1", "64Mi"), "Largest message accepted. Unset: the server's max_payload."),
  maxMessagesPerSubject: optional(
    int(-1, Number.MAX_SAFE_INTEGER),
    "Most messages kept per subject. Unset, 0 or -1: unlimited."
  ),
  discard: withDefault(
    Schema.Literals(["Old", "New"]),
    "Old",
    "What a full stream does: remove the oldest messages or refuse new ones."
  ),
  duplicateWindow: withDefault(
    duration("100ms", "876000h"),
    "2m",
    "How long the stream remembers Nats-Msg-Id headers to refuse duplicates; at most maxAge."
  ),
  compression: withDefault(
    Schema.Literals(["None", "S2"]),
    "None",
    "Compression of file storage. nats-server 2.15.2 may not be able to read a store with S2 after it was killed."
  ),
  deletionPolicy: withDefault(
    Schema.Literals(["Retain", "Delete"]),
    "Retain",
    "Whether the stream and its messages are deleted together with this object."
  )
})
