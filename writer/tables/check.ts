import type { Column, ColumnType, Table } from "./table.ts"

/** A column as it is in the database. */
export interface FoundColumn {
  readonly name: string
  /** Type without modifiers as `format_type` names it; of a domain, its base type. */
  readonly type: string
  readonly notNull: boolean
  /** A default, an identity or a generation expression fills it. */
  readonly filled: boolean
}

/** A table as it is in the database. */
export interface FoundTable {
  readonly columns: ReadonlyArray<FoundColumn>
  /** Columns of each unique index without predicate and expressions. */
  readonly uniqueKeys: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Types whose binary form is the one that is sent, first the one `CREATE TABLE` makes. Any other type would be refused, or
 * worse: `timestamptz` and `int8` are both eight bytes, and PostgreSQL takes the one for the other without a word.
 */
const sameForm: Readonly<Record<ColumnType, ReadonlyArray<string>>> = {
  text: ["text", "character varying", "character", "citext"],
  int4: ["integer"],
  int8: ["bigint"],
  float8: ["double precision"],
  numeric: ["numeric"],
  bool: ["boolean"],
  timestamptz: ["timestamp with time zone"],
  date: ["date"],
  uuid: ["uuid"],
  inet: ["inet"],
  cidr: ["cidr"],
  macaddr: ["macaddr"],
  jsonb: ["jsonb"],
  bytea: ["bytea"],
  "text[]": ["text[]"],
  "int4[]": ["integer[]"],
  "int8[]": ["bigint[]"]
}

/** Type of columns that PostgreSQL's type is written as; undefined when it is not written. */
export const columnTypeOf = (type: string): ColumnType | undefined =>
  (Object.keys(sameForm) as ReadonlyArray<ColumnType>).find((ours) => sameForm[ours].includes(type))

/** `json` columns take the text of a document. */
const formsOf = (column: Column) => (column.json ? [...sameForm.text, "json"] : sameForm[column.type])

const listed = (names: ReadonlyArray<string>) => names.join(", ")

const sameSet = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) =>
  a.length === b.length && a.every((name) => b.includes(name))

/**
 * What keeps the processor's rows out of the table, as sentences; none when they fit.
 *
 * @param found undefined when there is no such table
 */
export const tableProblems = (table: Table, found: FoundTable | undefined): ReadonlyArray<string> => {
  if (found === undefined) return [`table ${table.name} does not exist`]
  const problems: Array<string> = []
  const byName = new Map(found.columns.map((column) => [column.name, column]))
  const missing = table.columns.filter(({ name }) => !byName.has(name))
  if (missing.length > 0) {
    problems.push(
      `table ${table.name} lacks columns ${listed(missing.map((column) => `${column.name} ${column.type}`))}`
    )
  }
  for (const column of table.columns) {
    const there = byName.get(column.name)
    if (there !== undefined && !formsOf(column).includes(there.type)) {
      problems.push(`column ${table.name}.${column.name} is ${there.type}, wanted ${formsOf(column)[0]!}`)
    }
  }
  const written = new Set(table.columns.map((column) => column.name))
  const unfilled = found.columns.filter((column) => column.notNull && !column.filled && !written.has(column.name))
  if (unfilled.length > 0) {
    problems.push(
      `columns ${listed(unfilled.map(({ name }) => `${table.name}.${name}`))} are NOT NULL without a default, and nothing is written to them`
    )
  }
  const { conflict } = table
  if (conflict.mode !== "Append" && !found.uniqueKeys.some((key) => sameSet(key, conflict.keys))) {
    problems.push(`table ${table.name} has no unique index on (${listed(conflict.keys)}), which ${conflict.mode} needs`)
  }
  return problems
}
