import type { ChunkPolicies } from "../config.ts"
import { ident, literal, qualified } from "../store/sql.ts"
import type { Table } from "./table.ts"

/** What the community edition of TimescaleDB does with old chunks: statements that ask for it, and whether they are needed. */

/** What is set up for a hypertable. */
export interface FoundPolicies {
  /** Null: no policy. */
  readonly compressAfterMillis: number | null
  readonly dropAfterMillis: number | null
  readonly segmentBy: ReadonlyArray<string>
  readonly orderBy: ReadonlyArray<OrderColumn>
}

export interface OrderColumn {
  readonly name: string
  readonly descending: boolean
  readonly nullsFirst: boolean
}

/** `time DESC, id` as columns. As in PostgreSQL, nulls come first where the order is descending. */
export const orderColumns = (orderBy: string): ReadonlyArray<OrderColumn> =>
  orderBy.split(", ").map((text) => {
    const [name, ...words] = text.split(" ")
    const descending = words.includes("DESC")
    return { name: name!, descending, nullsFirst: words.includes("NULLS") ? words.includes("FIRST") : descending }
  })

const orderText = ({ name, descending, nullsFirst }: OrderColumn) =>
  `${ident(name)} ${descending ? "DESC" : "ASC"} NULLS ${nullsFirst ? "FIRST" : "LAST"}`

const sameText = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** TimescaleDB adds the time column to the order by itself: what was asked for is what it begins with. */
const sameCompression = (policies: ChunkPolicies, found: FoundPolicies) =>
  policies.compressAfterMillis === found.compressAfterMillis &&
  (policies.segmentBy === undefined || sameText(policies.segmentBy, found.segmentBy)) &&
  (policies.orderBy === undefined ||
    sameText(orderColumns(policies.orderBy), found.orderBy.slice(0, orderColumns(policies.orderBy).length)))

const interval = (millis: number) => `interval '${millis} milliseconds'`

/**
 * Statements that bring a hypertable's policies to what is wanted; none when they are. What is not asked for is left as it is:
 * it may be somebody else's. Source: TimescaleDB, `add_compression_policy` and `add_retention_policy`.
 *
 * @param schema of tables that name none
 * @param extensionSchema where the extension's functions are
 */
export const policyStatements = (
  table: Table,
  schema: string,
  extensionSchema: string,
  policies: ChunkPolicies,
  found: FoundPolicies
): ReadonlyArray<string> => {
  const name = qualified(table.schema ?? schema, table.name)
  const call = (text: string) => `SELECT ${ident(extensionSchema)}.${text}`
  const relation = `${literal(name)}::regclass`
  const { compressAfterMillis, segmentBy, orderBy, dropAfterMillis } = policies
  const statements: Array<string> = []
  if (compressAfterMillis !== undefined && !sameCompression(policies, found)) {
    const settings = [
      "timescaledb.compress",
      ...(segmentBy === undefined
        ? []
        : [`timescaledb.compress_segmentby = ${literal(segmentBy.map(ident).join(", "))}`]),
      ...(orderBy === undefined
        ? []
        : [`timescaledb.compress_orderby = ${literal(orderColumns(orderBy).map(orderText).join(", "))}`])
    ]
    statements.push(
      `ALTER TABLE ${name} SET (${settings.join(", ")})`,
      call(`remove_compression_policy(${relation}, if_exists => true)`),
      call(`add_compression_policy(${relation}, compress_after => ${interval(compressAfterMillis)})`)
    )
  }
  if (dropAfterMillis !== undefined && dropAfterMillis !== found.dropAfterMillis) {
    statements.push(
      call(`remove_retention_policy(${relation}, if_exists => true)`),
      call(`add_retention_policy(${relation}, drop_after => ${interval(dropAfterMillis)})`)
    )
  }
  return statements
}

/** Columns that the policies name and the table does not have. */
export const missingColumns = (table: Table, { segmentBy = [], orderBy }: ChunkPolicies): ReadonlyArray<string> => {
  const named = [...segmentBy, ...(orderBy === undefined ? [] : orderColumns(orderBy).map(({ name }) => name))]
  return named.filter((name) => table.columns.every((column) => column.name !== name))
}
