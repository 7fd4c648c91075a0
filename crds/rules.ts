import { parseDurationNanos } from "./duration.ts"
import type { EncodedEventStreamSpec } from "./eventstream.ts"
import type { Range } from "./field.ts"
import { natsRules } from "./nats-rules.ts"
import { isSystemSchema, jsonRules, systemSchema } from "./json-rules.ts"
import { parseQuantityMillis } from "./quantity.ts"
import { outputRules } from "./output-rules.ts"
import { change, type Rule, state, type StringMap } from "./rule.ts"

/**
 * Every rule of the EventStream. A property test holds each CEL text against its predicate.
 *
 * CEL guards defaulted fields with `has()` too: a `default: {}` is checked before the defaults inside it exist.
 */

/** The rule that keeps a duration or quantity within its bounds. */
export const rangeRule = ({ of, minimum, maximum }: Range): Pick<Rule, "cel" | "message" | "holds"> => ({
  cel:
    of === "duration"
      ? `duration(self) >= duration('${minimum}') && duration(self) <= duration('${maximum}')`
      : `quantity(string(self)).compareTo(quantity('${minimum}')) >= 0 && quantity(string(self)).compareTo(quantity('${maximum}')) <= 0`,
  message: `must be between ${minimum} and ${maximum}`,
  holds: (self) => {
    const amount = of === "duration" ? parseDurationNanos : parseQuantityMillis
    return amount(self)! >= amount(minimum)! && amount(self)! <= amount(maximum)!
  }
})

const nanos = (duration: string | undefined) => (duration === undefined ? 0 : (parseDurationNanos(duration) ?? 0))

const objectRules = [
  state("", {
    field: "metadata.name",
    reads: ["metadata.name"],
    cel: "self.metadata.name.size() <= 50",
    message: "must be at most 50 characters, to leave room in the names made of it",
    holds: ({ metadata }) => metadata.name.length <= 50
  }),
  state("", {
    field: "metadata.name",
    reads: ["metadata.name"],
    cel: "!self.metadata.name.contains('.')",
    message: "must not contain dots, which JetStream names cannot hold",
    holds: ({ metadata }) => !metadata.name.includes(".")
  })
]

type JsonTable = NonNullable<EncodedEventStreamSpec["processor"]["json"]>

/** CEL: whether a table has the time column, or its columns are not listed. */
const celHasTimeColumn = (table: string) =>
  `(!has(${table}.columns) || ${table}.columns.exists(c, c.name == self.target.timeseries.timeColumn && c.type == 'timestamptz'))`

const specRules = [
  state("spec", {
    field: "consumer.deliverFrom.policy",
    reads: ["stream.retention", "consumer.deliverFrom.policy"],
    cel: "!has(self.stream.retention) || self.stream.retention != 'WorkQueue' || !has(self.consumer) || !has(self.consumer.deliverFrom) || !has(self.consumer.deliverFrom.policy) || self.consumer.deliverFrom.policy == 'All'",
    message: "must be All when stream.retention is WorkQueue: JetStream has no other start there",
    holds: ({ stream, consumer }) => stream.retention !== "WorkQueue" || consumer?.deliverFrom?.policy === "All"
  }),
  state("spec", {
    field: "consumer.maxAckPending",
    reads: ["consumer.maxAckPending", "batch.maxMessages"],
    cel: "!has(self.consumer) || !has(self.consumer.maxAckPending) || !has(self.batch) || !has(self.batch.maxMessages) || self.consumer.maxAckPending >= self.batch.maxMessages",
    message: "must be at least batch.maxMessages, or a batch could never fill",
    holds: ({ consumer, batch }) => (consumer?.maxAckPending ?? Infinity) >= (batch?.maxMessages ?? 0)
  }),
  state("spec", {
    field: "consumer.ackWait",
    reads: ["consumer.ackWait", "batch.maxLatency", "target.postgres.statementTimeout"],
    cel: "!has(self.consumer) || !has(self.consumer.ackWait) || !has(self.batch) || !has(self.batch.maxLatency) || !has(self.target.postgres.statementTimeout) || duration(self.consumer.ackWait) >= duration(self.batch.maxLatency) + duration(self.target.postgres.statementTimeout)",
    message:
      "must be at least batch.maxLatency + target.postgres.statementTimeout, or messages still being written would be delivered again",
    holds: ({ consumer, batch, target }) =>
      nanos(consumer?.ackWait) >= nanos(batch?.maxLatency) + nanos(target.postgres.statementTimeout)
  }),
  state("spec", {
    field: "errors.deadLetter.publish.streamName",
    reads: ["stream.name", "errors.deadLetter.publish.streamName"],
    cel: "!has(self.stream.name) || !has(self.errors) || !has(self.errors.deadLetter) || !has(self.errors.deadLetter.publish) || !has(self.errors.deadLetter.publish.streamName) || self.errors.deadLetter.publish.streamName != self.stream.name",
    message: "must not be stream.name: dead letters have a stream of their own",
    holds: ({ stream, errors }) => stream.name === undefined || errors?.deadLetter?.publish?.streamName !== stream.name
  }),
  state("spec", {
    field: "target.timeseries.timeColumn",
    reads: [
      "target.timeseries.timeColumn",
      "processor.json.columns[].name",
      "processor.json.columns[].type",
      "processor.json.routes[].table",
      "processor.json.routes[].columns[].name",
      "processor.json.routes[].columns[].type"
    ],
    cel: `!has(self.target.timeseries) || !has(self.target.timeseries.timeColumn) || (has(self.processor.json) && (has(self.processor.json.routes) ? self.processor.json.routes.exists(r, has(r.table) && ${celHasTimeColumn("r")}) : ${celHasTimeColumn("self.processor.json")}))`,
    message: "must be the name of a timestamptz column of processor.json.columns, or of those of a route",
    holds: ({ processor: { json }, target }) => {
      const name = target.timeseries?.timeColumn
      if (name === undefined) return true
      const hasColumn = ({ columns }: Pick<JsonTable, "columns">) =>
        columns === undefined || columns.some((column) => column.name === name && column.type === "timestamptz")
      if (json?.routes === undefined) return json !== undefined && hasColumn(json)
      return json.routes.some((route) => route.table !== undefined && hasColumn(route))
    }
  })
]

/** A Json table is a hypertable by its time column only, and a plain table has no chunks. */
const chunkRules = (["compressAfter", "dropAfter"] as const).map((field) =>
  state("spec", {
    field: `target.timeseries.${field}`,
    reads: ["processor.type", "target.timeseries.timeColumn", `target.timeseries.${field}`],
    cel: `!has(self.target.timeseries) || !has(self.target.timeseries.${field}) || has(self.target.timeseries.timeColumn) || (has(self.processor.type) && self.processor.type != 'Json')`,
    message: "must be given together with timeColumn where the table is a Json table",
    holds: ({ processor, target: { timeseries } }) =>
      timeseries?.[field] === undefined || timeseries.timeColumn !== undefined || processor.type !== "Json"
  })
)

const streamRules = [
  state("spec.stream", {
    field: "subjects",
    reads: ["management", "subjects"],
    cel: "(has(self.management) && self.management == 'Observed') || (has(self.subjects) && size(self.subjects) > 0)",
    message: "must have at least one subject when management is Managed",
    holds: ({ management, subjects }) => management === "Observed" || (subjects?.length ?? 0) > 0
  }),
  state("spec.stream", {
    field: "subjects",
    reads: ["subjects"],
    cel: "!has(self.subjects) || self.subjects.all(s, s != '_INBOX' && !s.startsWith('_INBOX.'))",
    message: "must not contain _INBOX: those subjects carry the replies of NATS clients",
    holds: ({ subjects }) => !subjects?.some((subject) => subject === "_INBOX" || subject.startsWith("_INBOX."))
  }),
  state("spec.stream", {
    field: "name",
    reads: ["management", "name"],
    cel: "!has(self.management) || self.management != 'Observed' || has(self.name)",
    message: "must be given when management is Observed",
    holds: ({ management, name }) => management !== "Observed" || name !== undefined
  }),
  state("spec.stream", {
    field: "deletionPolicy",
    reads: ["management", "deletionPolicy"],
    cel: "!has(self.management) || self.management != 'Observed' || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'",
    message: "must be Retain when management is Observed: the stream belongs to someone else",
    holds: ({ management, deletionPolicy }) => management !== "Observed" || deletionPolicy === "Retain"
  }),
  state("spec.stream", {
    field: "duplicateWindow",
    reads: ["maxAge", "duplicateWindow"],
    cel: "!has(self.maxAge) || !has(self.duplicateWindow) || duration(self.maxAge) == duration('0s') || duration(self.duplicateWindow) <= duration(self.maxAge)",
    message: "must not be longer than maxAge",
    holds: ({ maxAge, duplicateWindow }) => nanos(maxAge) === 0 || nanos(duplicateWindow) <= nanos(maxAge)
  }),
  change("spec.stream", {
    field: "name",
    reads: ["name"],
    cel: "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
    message: "cannot be changed: a stream cannot be renamed; delete this EventStream and create another",
    holds: (self, oldSelf) => self.name === oldSelf.name
  }),
  change("spec.stream", {
    field: "storage",
    reads: ["storage"],
    cel: "self.storage == oldSelf.storage",
    message: "cannot be changed: JetStream cannot move a stream to another kind of storage",
    holds: (self, oldSelf) => self.storage === oldSelf.storage
  }),
  change("spec.stream", {
    field: "retention",
    reads: ["retention"],
    cel: "self.retention == oldSelf.retention || (self.retention != 'WorkQueue' && oldSelf.retention != 'WorkQueue')",
    message: "cannot be changed to or from WorkQueue: JetStream refuses it",
    holds: (self, oldSelf) =>
      self.retention === oldSelf.retention || (self.retention !== "WorkQueue" && oldSelf.retention !== "WorkQueue")
  })
]

/** Whether month and day exist together, which the pattern alone does not tell. */
const isCalendarDay = (time: string) => {
  const [year, month, day] = time.slice(0, 10).split("-").map(Number) as [number, number, number]
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
}

const consumerRules = [
  state("spec.consumer", {
    field: "name",
    reads: ["management", "name"],
    cel: "!has(self.management) || self.management != 'Observed' || has(self.name)",
    message: "must be given when management is Observed",
    holds: ({ management, name }) => management !== "Observed" || name !== undefined
  }),
  change("spec.consumer", {
    field: "name",
    reads: ["name"],
    cel: "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
    message: "cannot be changed: a consumer cannot be renamed; delete this EventStream and create another",
    holds: (self, oldSelf) => self.name === oldSelf.name
  }),
  state("spec.consumer.deliverFrom", {
    field: "sequence",
    reads: ["policy", "sequence"],
    cel: "(has(self.policy) && self.policy == 'StartSequence') == has(self.sequence)",
    message: "must be given with policy StartSequence, and only then",
    holds: ({ policy, sequence }) => (policy === "StartSequence") === (sequence !== undefined)
  }),
  state("spec.consumer.deliverFrom", {
    field: "time",
    reads: ["policy", "time"],
    cel: "(has(self.policy) && self.policy == 'StartTime') == has(self.time)",
    message: "must be given with policy StartTime, and only then",
    holds: ({ policy, time }) => (policy === "StartTime") === (time !== undefined)
  }),
  state("spec.consumer.deliverFrom", {
    field: "time",
    reads: ["time"],
    cel: "!has(self.time) || timestamp(self.time) >= timestamp('1970-01-01T00:00:00Z')",
    message: "must be a day of the calendar in 1970 or later",
    holds: ({ time }) => time === undefined || (isCalendarDay(time) && Date.parse(time) >= 0)
  })
]

const targetRules = [
  state("spec.target", {
    field: "schema",
    reads: ["schema"],
    cel: "!has(self.schema) || (!self.schema.startsWith('pg_') && self.schema != 'information_schema')",
    message: systemSchema,
    holds: ({ schema }) => schema === undefined || !isSystemSchema(schema)
  }),
  state("spec.target.postgres", {
    reads: ["secretRef", "host"],
    cel: "has(self.secretRef) != has(self.host)",
    message: "must have either secretRef or host",
    holds: ({ secretRef, host }) => (secretRef === undefined) !== (host === undefined)
  }),
  state("spec.target.postgres", {
    reads: ["host", "database", "user"],
    cel: "!has(self.host) || (has(self.database) && has(self.user))",
    message: "must have database and user together with host",
    holds: ({ host, database, user }) => host === undefined || (database !== undefined && user !== undefined)
  }),
  state("spec.target.postgres", {
    reads: ["secretRef", "database", "user", "passwordSecretRef"],
    cel: "!has(self.secretRef) || (!has(self.database) && !has(self.user) && !has(self.passwordSecretRef))",
    message: "must not have database, user or passwordSecretRef together with secretRef: the Secret holds them",
    holds: ({ secretRef, database, user, passwordSecretRef }) =>
      secretRef === undefined || (database === undefined && user === undefined && passwordSecretRef === undefined)
  }),
  state("spec.target.postgres.tls", {
    field: "caSecretRef",
    reads: ["mode", "caSecretRef"],
    cel: "!has(self.caSecretRef) || !has(self.mode) || self.mode.startsWith('Verify')",
    message: "must be given only with mode VerifyCA or VerifyFull, or without a mode",
    holds: ({ mode, caSecretRef }) => caSecretRef === undefined || mode === undefined || mode.startsWith("Verify")
  }),
  state("spec.target.postgres.tls", {
    field: "clientSecretRef",
    reads: ["mode", "clientSecretRef"],
    cel: "!has(self.clientSecretRef) || !has(self.mode) || self.mode != 'Disable'",
    message: "must not be given with mode Disable",
    holds: ({ mode, clientSecretRef }) => clientSecretRef === undefined || mode !== "Disable"
  }),
  state("spec.target.timeseries", {
    field: "segmentBy",
    reads: ["compressAfter", "segmentBy"],
    cel: "!has(self.segmentBy) || has(self.compressAfter)",
    message: "must be given only with compressAfter",
    holds: ({ compressAfter, segmentBy }) => segmentBy === undefined || compressAfter !== undefined
  }),
  state("spec.target.timeseries", {
    field: "orderBy",
    reads: ["compressAfter", "orderBy"],
    cel: "!has(self.orderBy) || has(self.compressAfter)",
    message: "must be given only with compressAfter",
    holds: ({ compressAfter, orderBy }) => orderBy === undefined || compressAfter !== undefined
  }),
  state("spec.target.timeseries", {
    field: "dropAfter",
    reads: ["compressAfter", "dropAfter"],
    cel: "!has(self.dropAfter) || !has(self.compressAfter) || duration(self.dropAfter) > duration(self.compressAfter)",
    message: "must be longer than compressAfter",
    holds: ({ compressAfter, dropAfter }) =>
      dropAfter === undefined || compressAfter === undefined || nanos(dropAfter) > nanos(compressAfter)
  })
]

/** Source: kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const labelKey =
  "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
const isLabelKey = (key: string) => new RegExp(labelKey, "u").test(key) && key.length <= 253
const keysAreLabelKeys = {
  reads: [],
  cel: `self.all(k, k.size() <= 253 && k.matches('${labelKey}'))`,
  message: "must have keys such as team or example.com/team: at most 63 characters after the /, 253 in all",
  holds: (self: StringMap) => Object.keys(self).every(isLabelKey)
}
const isReserved = (key: string) => key.startsWith("eventstream.dev/") || key.startsWith("app.kubernetes.io/")
const keysAreNotReserved = {
  reads: [],
  cel: "self.all(k, !k.startsWith('eventstream.dev/') && !k.startsWith('app.kubernetes.io/'))",
  message: "must not have keys under eventstream.dev/ or app.kubernetes.io/: the operator sets those",
  holds: (self: StringMap) => !Object.keys(self).some(isReserved)
}

const writerRules = [
  state("spec.errors.backoff", {
    field: "max",
    reads: ["initial", "max"],
    cel: "!has(self.initial) || !has(self.max) || duration(self.initial) <= duration(self.max)",
    message: "must not be shorter than initial",
    holds: ({ initial, max }) => nanos(initial) <= nanos(max)
  }),
  state("spec.errors.deadLetter.publish", {
    field: "subjectPrefix",
    reads: ["subjectPrefix"],
    cel: "!has(self.subjectPrefix) || (self.subjectPrefix != '_INBOX' && !self.subjectPrefix.startsWith('_INBOX.'))",
    message: "must not begin with _INBOX: those subjects carry the replies of NATS clients",
    holds: ({ subjectPrefix }) => subjectPrefix !== "_INBOX" && !subjectPrefix?.startsWith("_INBOX.")
  }),
  state("spec.writer.podLabels", keysAreLabelKeys),
  state("spec.writer.podLabels", keysAreNotReserved),
  state("spec.writer.podAnnotations", keysAreLabelKeys),
  state("spec.writer.podAnnotations", keysAreNotReserved),
  state("spec.writer.nodeSelector", keysAreLabelKeys),
  state("spec.writer.tolerations[]", {
    field: "operator",
    reads: ["key", "operator"],
    cel: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
    message: "must be Exists without a key",
    holds: ({ key, operator }) => key !== undefined || operator === "Exists"
  }),
  state("spec.writer.tolerations[]", {
    field: "value",
    reads: ["operator", "value"],
    cel: "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
    message: "must not be given with operator Exists",
    holds: ({ operator, value }) => operator !== "Exists" || value === undefined
  }),
  state("spec.writer.tolerations[]", {
    field: "tolerationSeconds",
    reads: ["effect", "tolerationSeconds"],
    cel: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    message: "must be given only with effect NoExecute",
    holds: ({ effect, tolerationSeconds }) => tolerationSeconds === undefined || effect === "NoExecute"
  })
]

export const rules: ReadonlyArray<Rule> = [
  ...objectRules,
  ...specRules,
  ...natsRules,
  ...chunkRules,
  ...streamRules,
  ...consumerRules,
  ...outputRules,
  ...jsonRules,
  ...targetRules,
  ...writerRules
]
