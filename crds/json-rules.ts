import { state } from "./rule.ts"

/** The rules of `spec.processor.json`. */

export const systemSchema = "must not be a schema of PostgreSQL itself (pg_..., information_schema)"
export const isSystemSchema = (schema: string) => schema.startsWith("pg_") || schema === "information_schema"

/** Of what is said about one table, by `json` itself or by a route. */
const mappingRules = (path: "spec.processor.json" | "spec.processor.json.routes[]") => [
  state(path, {
    field: "table",
    reads: ["table"],
    cel: "!has(self.table) || !self.table.matches('^(pg_[^.]*|information_schema)[.]')",
    message: systemSchema,
    holds: ({ table }) => !table?.includes(".") || !isSystemSchema(table.slice(0, table.indexOf(".")))
  }),
  state(path, {
    field: "extraColumn",
    reads: ["onUnknownField", "extraColumn"],
    cel: "(has(self.onUnknownField) && self.onUnknownField == 'ExtraColumn') == has(self.extraColumn)",
    message: "must be given with onUnknownField ExtraColumn, and only then",
    holds: ({ onUnknownField, extraColumn }) => (onUnknownField === "ExtraColumn") === (extraColumn !== undefined)
  }),
  state(path, {
    field: "extraColumn",
    reads: ["extraColumn", "columns[].name"],
    cel: "!has(self.extraColumn) || !has(self.columns) || !self.columns.exists(c, c.name == self.extraColumn)",
    message: "must not be one of columns",
    holds: ({ extraColumn, columns }) => !columns?.some((column) => column.name === extraColumn)
  }),
  state(path, {
    field: "conflictKeys",
    reads: ["mode", "conflictKeys"],
    cel: "(has(self.mode) && self.mode != 'Append') == (has(self.conflictKeys) && size(self.conflictKeys) > 0)",
    message: "must be given with mode InsertIgnore or Upsert, and only then",
    holds: ({ mode = "Append", conflictKeys }) => (mode !== "Append") === (conflictKeys?.length ?? 0) > 0
  }),
  state(path, {
    field: "conflictKeys",
    reads: ["conflictKeys", "columns[].name"],
    cel: "!has(self.conflictKeys) || !has(self.columns) || self.conflictKeys.all(k, self.columns.exists(c, c.name == k))",
    message: "must be names of columns",
    holds: ({ conflictKeys = [], columns }) =>
      columns === undefined || conflictKeys.every((key) => columns.some((column) => column.name === key))
  }),
  state(path, {
    field: "updateColumns",
    reads: ["mode", "updateColumns"],
    cel: "!has(self.updateColumns) || (has(self.mode) && self.mode == 'Upsert')",
    message: "must be given only with mode Upsert",
    holds: ({ mode, updateColumns }) => updateColumns === undefined || mode === "Upsert"
  }),
  state(path, {
    field: "updateColumns",
    reads: ["updateColumns", "columns[].name", "extraColumn"],
    cel: "!has(self.updateColumns) || !has(self.columns) || self.updateColumns.all(u, (has(self.extraColumn) && self.extraColumn == u) || self.columns.exists(c, c.name == u))",
    message: "must be names of columns or extraColumn",
    holds: ({ updateColumns = [], columns, extraColumn }) =>
      columns === undefined ||
      updateColumns.every((name) => name === extraColumn || columns.some((column) => column.name === name))
  }),
  state(path, {
    field: "newerWins",
    reads: ["mode", "newerWins"],
    cel: "!has(self.newerWins) || (has(self.mode) && self.mode == 'Upsert')",
    message: "must be given only with mode Upsert",
    holds: ({ mode, newerWins }) => newerWins === undefined || mode === "Upsert"
  }),
  state(path, {
    field: "newerWins",
    reads: ["newerWins", "columns[].name"],
    cel: "!has(self.newerWins) || !has(self.columns) || self.columns.exists(c, c.name == self.newerWins)",
    message: "must be the name of a column",
    holds: ({ newerWins, columns }) =>
      newerWins === undefined || columns === undefined || columns.some((column) => column.name === newerWins)
  })
]

const columnRules = (path: "spec.processor.json.columns[]" | "spec.processor.json.routes[].columns[]") => [
  state(path, {
    field: "timeUnit",
    reads: ["type", "timeUnit"],
    cel: "!has(self.timeUnit) || self.type == 'timestamptz'",
    message: "must be given only with type timestamptz",
    holds: ({ type, timeUnit }) => timeUnit === undefined || type === "timestamptz"
  }),
  state(path, {
    field: "defaultValue",
    reads: ["required", "defaultValue"],
    cel: "!has(self.defaultValue) || !has(self.required) || !self.required",
    message: "must not be given with required, which makes a message without the value a dead letter",
    holds: ({ required, defaultValue }) => defaultValue === undefined || required !== true
  })
]

/** What belongs to one table, and has no default. */
const tableFields = ["columns", "extraColumn", "conflictKeys", "updateColumns", "newerWins"] as const

export const jsonRules = [
  state("spec.processor", {
    field: "json",
    reads: ["type"],
    cel: "(!has(self.type) || self.type == 'Json') == has(self.json)",
    message: "must be given with type Json, and only then",
    holds: ({ type, json }) => (type === "Json") === (json !== undefined)
  }),
  ...mappingRules("spec.processor.json"),
  ...columnRules("spec.processor.json.columns[]"),
  ...mappingRules("spec.processor.json.routes[]"),
  ...columnRules("spec.processor.json.routes[].columns[]"),
  state("spec.processor.json", {
    reads: ["table", "routes"],
    cel: "has(self.table) != has(self.routes)",
    message: "must have either table or routes",
    holds: ({ table, routes }) => (table === undefined) !== (routes === undefined)
  }),
  state("spec.processor.json", {
    field: "routes",
    reads: ["routes", "mode", "onUnknownField", ...tableFields],
    cel: `!has(self.routes) || (${tableFields.map((field) => `!has(self.${field})`).join(" && ")} && (!has(self.mode) || self.mode == 'Append') && (!has(self.onUnknownField) || self.onUnknownField == 'Ignore'))`,
    message: `must not be given together with ${tableFields.join(", ")}, mode or onUnknownField: each route has its own`,
    holds: ({ routes, mode, onUnknownField, ...fields }) =>
      routes === undefined ||
      (tableFields.every((field) => fields[field] === undefined) && mode === "Append" && onUnknownField === "Ignore")
  }),
  state("spec.processor.json", {
    field: "routes",
    reads: ["routes[].drop"],
    cel: "!has(self.routes) || self.routes.exists(r, !has(r.drop) || !r.drop)",
    message: "must have one that does not drop its messages",
    holds: ({ routes }) => routes?.some(({ drop }) => !drop) ?? true
  }),
  state("spec.processor.json", {
    field: "routes",
    reads: ["routes[].table"],
    cel: "!has(self.routes) || self.routes.all(r, !has(r.table) || self.routes.exists_one(o, has(o.table) && o.table == r.table))",
    message: "must have a table of its own each; one route may have several subjects",
    holds: ({ routes = [] }) => {
      const tables = routes.flatMap(({ table }) => table ?? [])
      return new Set(tables).size === tables.length
    }
  }),
  state("spec.processor.json", {
    field: "onNoRoute",
    reads: ["routes", "onNoRoute"],
    cel: "has(self.routes) || !has(self.onNoRoute) || self.onNoRoute == 'DeadLetter'",
    message: "must be given only with routes: without them every message has its table",
    holds: ({ routes, onNoRoute }) => routes !== undefined || onNoRoute === "DeadLetter"
  }),
  state("spec.processor.json.routes[]", {
    field: "table",
    reads: ["drop", "table"],
    cel: "(has(self.drop) && self.drop) != has(self.table)",
    message: "must be given unless drop is true, and only then",
    holds: ({ drop, table }) => (drop === true) !== (table !== undefined)
  }),
  state("spec.processor.json.routes[]", {
    field: "drop",
    reads: ["drop", "mode", "onUnknownField", ...tableFields],
    cel: `!has(self.drop) || !self.drop || (${[...tableFields, "mode", "onUnknownField"].map((field) => `!has(self.${field})`).join(" && ")})`,
    message: "must not be true together with fields that say how rows are made",
    holds: ({ drop, mode, onUnknownField, ...fields }) =>
      drop !== true ||
      (mode === undefined && onUnknownField === undefined && tableFields.every((field) => fields[field] === undefined))
  })
]
