import { parseDurationNanos } from "./duration.ts"
import type { Range } from "./field.ts"
import { parseQuantityMillis } from "./quantity.ts"
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
    field: "target.timeseries.timeColumn",
    reads: ["target.timeseries.timeColumn", "processor.json.columns[].name", "processor.json.columns[].type"],
    cel: "!has(self.target.timeseries) || !has(self.target.timeseries.timeColumn) || (has(self.processor.json) && self.processor.json.columns.exists(c, c.name == self.target.timeseries.timeColumn && c.type == 'timestamptz'))",
    message: "must be the name of a timestamptz column of processor.json.columns",
    holds: ({ processor, target }) => {
      const name = target.timeseries?.timeColumn
      return (
        name === undefined ||
        (processor.json?.columns.some((column) => column.name === name && column.type === "timestamptz") ?? false)
      )
    }
  })
]

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

const systemSchema = "must not be a schema of PostgreSQL itself (pg_..., information_schema)"
const isSystemSchema = (schema: string) => schema.startsWith("pg_") || schema === "information_schema"

const jsonRules = [
  state("spec.processor", {
    field: "json",
    reads: ["type"],
    cel: "(!has(self.type) || self.type == 'Json') == has(self.json)",
    message: "must be given with type Json, and only then",
    holds: ({ type, json }) => (type === "Json") === (json !== undefined)
  }),
  state("spec.processor.json", {
    field: "table",
    reads: ["table"],
    cel: "!self.table.matches('^(pg_[^.]*|information_schema)[.]')",
    message: systemSchema,
    holds: ({ table }) => !table.includes(".") || !isSystemSchema(table.slice(0, table.indexOf(".")))
  }),
  state("spec.processor.json", {
    field: "extraColumn",
    reads: ["onUnknownField", "extraColumn"],
    cel: "(has(self.onUnknownField) && self.onUnknownField == 'ExtraColumn') == has(self.extraColumn)",
    message: "must be given with onUnknownField ExtraColumn, and only then",
    holds: ({ onUnknownField, extraColumn }) => (onUnknownField === "ExtraColumn") === (extraColumn !== undefined)
  }),
  state("spec.processor.json", {
    field: "extraColumn",
    reads: ["extraColumn", "columns[].name"],
    cel: "!has(self.extraColumn) || !self.columns.exists(c, c.name == self.extraColumn)",
    message: "must not be one of columns",
    holds: ({ extraColumn, columns }) => !columns.some((column) => column.name === extraColumn)
  }),
  state("spec.processor.json", {
    field: "conflictKeys",
    reads: ["mode", "conflictKeys"],
    cel: "(has(self.mode) && self.mode != 'Append') == (has(self.conflictKeys) && size(self.conflictKeys) > 0)",
    message: "must be given with mode InsertIgnore or Upsert, and only then",
    holds: ({ mode, conflictKeys }) => (mode !== "Append") === (conflictKeys?.length ?? 0) > 0
  }),
  state("spec.processor.json", {
    field: "conflictKeys",
    reads: ["conflictKeys", "columns[].name"],
    cel: "!has(self.conflictKeys) || self.conflictKeys.all(k, self.columns.exists(c, c.name == k))",
    message: "must be names of columns",
    holds: ({ conflictKeys, columns }) =>
      (conflictKeys ?? []).every((key) => columns.some((column) => column.name === key))
  }),
  state("spec.processor.json", {
    field: "updateColumns",
    reads: ["mode", "updateColumns"],
    cel: "!has(self.updateColumns) || (has(self.mode) && self.mode == 'Upsert')",
    message: "must be given only with mode Upsert",
    holds: ({ mode, updateColumns }) => updateColumns === undefined || mode === "Upsert"
  }),
  state("spec.processor.json", {
    field: "updateColumns",
    reads: ["updateColumns", "columns[].name", "extraColumn"],
    cel: "!has(self.updateColumns) || self.updateColumns.all(u, (has(self.extraColumn) && self.extraColumn == u) || self.columns.exists(c, c.name == u))",
    message: "must be names of columns or extraColumn",
    holds: ({ updateColumns, columns, extraColumn }) =>
      (updateColumns ?? []).every((name) => name === extraColumn || columns.some((column) => column.name === name))
  }),
  state("spec.processor.json", {
    field: "newerWins",
    reads: ["mode", "newerWins"],
    cel: "!has(self.newerWins) || (has(self.mode) && self.mode == 'Upsert')",
    message: "must be given only with mode Upsert",
    holds: ({ mode, newerWins }) => newerWins === undefined || mode === "Upsert"
  }),
  state("spec.processor.json", {
    field: "newerWins",
    reads: ["newerWins", "columns[].name"],
    cel: "!has(self.newerWins) || self.columns.exists(c, c.name == self.newerWins)",
    message: "must be the name of a column",
    holds: ({ newerWins, columns }) => newerWins === undefined || columns.some((column) => column.name === newerWins)
  }),
  state("spec.processor.json.columns[]", {
    field: "timeUnit",
    reads: ["type", "timeUnit"],
    cel: "!has(self.timeUnit) || self.type == 'timestamptz'",
    message: "must be given only with type timestamptz",
    holds: ({ type, timeUnit }) => timeUnit === undefined || type === "timestamptz"
  }),
  state("spec.processor.json.columns[]", {
    field: "defaultValue",
    reads: ["required", "defaultValue"],
    cel: "!has(self.defaultValue) || !has(self.required) || !self.required",
    message: "must not be given with required, which makes a message without the value a dead letter",
    holds: ({ required, defaultValue }) => defaultValue === undefined || required !== true
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
  ...streamRules,
  ...consumerRules,
  ...jsonRules,
  ...targetRules,
  ...writerRules
]
