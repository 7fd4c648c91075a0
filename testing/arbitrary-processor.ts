import * as fc from "fast-check"
import { oneOf, some, all, withSome, listOf, filters, identifiers, type JsonObject } from "./arbitrary-fields.ts"

const plainColumn = withSome(
  { type: oneOf("text", "int8", "jsonb", "text[]", "timestamptz") },
  {
    from: oneOf("/a/b", "/a~1b", "/", "header:Nats-Msg-Id", "subject", "subject:2", "seq", "time", "const:", "const:é"),
    required: fc.boolean()
  }
)
const column = fc.oneof(
  plainColumn,
  withSome({ type: fc.constant("timestamptz") }, { timeUnit: oneOf("RFC3339", "s", "ns") }),
  withSome({ type: oneOf("text", "int4") }, { defaultValue: oneOf("0", "none"), required: fc.constant(false) })
)
const mode = (names: ReadonlyArray<string>): fc.Arbitrary<Record<string, unknown>> =>
  fc.oneof(
    some({ mode: fc.constant("Append") }),
    all({ mode: fc.constant("InsertIgnore"), conflictKeys: listOf(names.slice(0, 16), 1) }),
    withSome(
      { mode: fc.constant("Upsert"), conflictKeys: listOf(names.slice(0, 16), 1) },
      {
        updateColumns: listOf(names),
        newerWins: oneOf(...names)
      }
    )
  )
const unknownField = fc.oneof(
  some({ onUnknownField: oneOf("Ignore", "Reject") }),
  all({ onUnknownField: fc.constant("ExtraColumn"), extraColumn: fc.constant("extra") })
)
/** Columns and what is said about them; sometimes the columns are those of a table that exists. */
const mapping = listOf(identifiers, 1).chain((names) =>
  fc
    .tuple(
      fc.oneof(
        fc.tuple(...names.map((name) => column.map((fields) => ({ name, ...fields })))).map((columns) => ({ columns })),
        fc.constant({})
      ),
      mode(names),
      unknownField
    )
    .map(([columns, conflict, unknown]) => ({ ...columns, ...conflict, ...unknown }))
)
const oneTable = fc
  .tuple(oneOf("orders", "app.orders", "_t", `${"s".repeat(63)}.${"t".repeat(63)}`), mapping)
  .map(([table, fields]) => ({ table, ...fields }))
const route = fc.oneof({ weight: 3, arbitrary: mapping }, all({ drop: fc.constant(true) }))
const severalTables = fc
  .tuple(
    mapping,
    fc.array(route, { maxLength: 3 }),
    fc.array(listOf(filters, 1), { minLength: 4, maxLength: 4 }),
    some({ onNoRoute: oneOf("DeadLetter", "Drop", "Halt") })
  )
  .map(([first, more, subjects, onNoRoute]) => ({
    routes: [first, ...more].map((fields, i) => ({
      name: `route-${i}`,
      subjects: subjects[i],
      ...fields,
      ...("drop" in fields ? {} : { table: `t${i}` })
    })),
    ...onNoRoute
  }))
const json = fc
  .tuple(
    fc.oneof({ weight: 2, arbitrary: oneTable }, severalTables),
    some({ format: oneOf("Json", "NDJson", "CloudEvents") })
  )
  .map(([tables, format]) => ({ ...tables, ...format }) as JsonObject)
const product = some({ vendorName: oneOf("Acme", "ü"), name: fc.constant("Sensor"), version: fc.constant("2") })
const builtIn = (
  types: ReadonlyArray<string>,
  outputs: ReadonlyArray<string>,
  more: Readonly<Record<string, fc.Arbitrary<unknown>>> = {}
) =>
  withSome(
    { type: oneOf(...types) },
    { ...(outputs.length === 0 ? {} : { output: oneOf(...outputs) }), skipSubjects: listOf(filters), ...more }
  )
const storeRaw = fc.boolean()
const eventLog = { storeRaw, ocsf: some({ eventLogActivityId: oneOf(0, 1, 99), product }) }
/** `spec.processor` that every judge has to admit. */
export const processor = fc.oneof(
  builtIn(["Telemetry", "OtelMetrics", "OtelTraces"], []),
  builtIn(["Events"], ["Events"], { storeRaw }),
  builtIn(["Logs"], ["OcsfEvents", "Both"], eventLog),
  builtIn(["Sweep", "NetFlow"], ["OcsfNetworkActivity"], { storeRaw, ocsf: some({ product }) }),
  withSome({ type: fc.constant("Events"), output: fc.constant("OcsfEvents") }, eventLog),
  oneOf<JsonObject>(
    { type: "Logs", output: "Logs" },
    { type: "Sweep", output: "SweepHostStates" },
    { type: "NetFlow", output: "NetflowMetrics" }
  ),
  withSome({ json }, { type: fc.constant("Json"), skipSubjects: listOf(filters) })
)
