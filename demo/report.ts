import { Effect } from "effect"
import { connectPostgres, type Session } from "../platform/postgres.ts"

/** What arrived, asked from the database over a connection of our own. */

interface Table {
  readonly name: string
  /** Newest row in a few words. */
  readonly newest: string
}

const tables: ReadonlyArray<Table> = [
  {
    name: "timeseries_metrics",
    newest: `SELECT timestamp AS at,
        concat_ws(' ', metric_name, tags->>'process', tags->>'interface', tags->>'mode', '=', round(value::numeric, 3), nullif(unit, '1')) AS what
      FROM timeseries_metrics ORDER BY timestamp DESC, metric_name LIMIT 1`
  },
  {
    name: "otel_metrics",
    newest: `SELECT timestamp AS at, service_name || ': ' || span_name || ' = ' || round(value::numeric, 3) AS what
      FROM otel_metrics ORDER BY timestamp DESC LIMIT 1`
  },
  {
    name: "system_logs",
    newest: `SELECT logged_at AS at, source || ': ' || message AS what FROM system_logs ORDER BY logged_at DESC LIMIT 1`
  }
]

export interface Arrived {
  readonly rows: ReadonlyMap<string, number>
  readonly deadLetters: number
  /** For people. */
  readonly text: string
}

const clock = (at: Date) => at.toISOString().slice(11, 19)

const count = Effect.fnUntraced(function* (session: Session, table: string) {
  const [row] = yield* session.query(`SELECT count(*)::float8 AS count FROM ${table}`)
  return (row as { readonly count: number }).count
})

/** @param database folder with the file `uri`, as a mounted Secret */
export const queryArrived = (database: string) =>
  Effect.gen(function* () {
    const session = yield* connectPostgres(
      { secretDirectory: database },
      { applicationName: "eventstream demo", hosts: new Map(), requestTimeoutMillis: 10_000 },
      () => {}
    )
    const lines: Array<ReadonlyArray<string>> = [["TABLE", "ROWS", "NEWEST (UTC)"]]
    const rows = new Map<string, number>()
    for (const { name, newest } of tables) {
      rows.set(name, yield* count(session, name))
      const [last] = (yield* session.query(newest)) as ReadonlyArray<{ readonly at: Date; readonly what: string }>
      lines.push([
        name,
        rows.get(name)!.toLocaleString("en"),
        last ? `${clock(last.at)}  ${last.what.replaceAll(/\s+/g, " ").slice(0, 48)}` : ""
      ])
    }
    const deadLetters = yield* count(session, "eventstream_dead_letter")
    lines.push(["eventstream_dead_letter", String(deadLetters), ""])
    const widths = [0, 1].map((i) => Math.max(...lines.map((line) => line[i]!.length)))
    const text = lines
      .map(([table, total, last]) =>
        `${table!.padEnd(widths[0]!)}   ${total!.padStart(widths[1]!)}   ${last}`.trimEnd()
      )
      .join("\n")
    return { rows, deadLetters, text } satisfies Arrived
  }).pipe(Effect.scoped)
