import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { connectPostgres, type PostgresFailure, type Session } from "../platform/postgres.ts"
import type { PostgresSettingsInvalid } from "../platform/postgres-settings.ts"
import type { Batch, Delivery } from "../writer/batch.ts"
import type { Outcome } from "../writer/processors/processor.ts"
import { makeBatchEncoder } from "../writer/store/copy.ts"
import type { DatabaseError } from "../writer/store/errors.ts"
import { storeLayer } from "../writer/store/layer.ts"
import { migrate } from "../writer/store/migrate.ts"
import type { Timeouts } from "../writer/store/statements.ts"
import { type OpenRequest, Store } from "../writer/store/store.ts"
import type { Row, Table } from "../writer/tables/table.ts"
import { installationUnderTest } from "./debian.ts"
import { type PostgresOptions, startPostgres } from "./servers.ts"

/** Databases and batches for tests of the store. */

/** A PostgreSQL server that gives each test a database of its own. */
export class Databases extends Context.Service<
  Databases,
  {
    /** URI of a new, empty database. */
    readonly create: Effect.Effect<string, PostgresFailure | PostgresSettingsInvalid>
  }
>()("testing/Databases") {
  static readonly layerWith = (options: PostgresOptions) =>
    Layer.effect(
      Databases,
      Effect.gen(function* () {
        const server = yield* startPostgres(options)
        let count = 0
        const create = Effect.gen(function* () {
          const name = `test_${++count}`
          const session = yield* connectTo(`${server.url}?sslmode=disable`)
          yield* session.query(`CREATE DATABASE ${name}`)
          return `${server.url.replace(/postgres$/, name)}?sslmode=disable`
        }).pipe(Effect.scoped)
        return Databases.of({ create })
      })
    )
  static readonly layer = Databases.layerWith(installationUnderTest())
}

/** Long enough for a busy machine; short ones are for tests that wait for them. */
const timeouts: Timeouts = { statementTimeoutMillis: 10_000, lockTimeoutMillis: 5_000 }
export const shortTimeouts: Timeouts = { statementTimeoutMillis: 1_000, lockTimeoutMillis: 300 }

export const postgresOptions = (uri: string, { statementTimeoutMillis, lockTimeoutMillis } = timeouts) => ({
  uri: Redacted.make(uri),
  statementTimeoutMillis,
  lockTimeoutMillis
})

/** A plain connection, to look at what a store wrote. */
export const connectTo = (
  uri: string
): Effect.Effect<Session, PostgresFailure | PostgresSettingsInvalid, Scope.Scope> =>
  connectPostgres(
    { uri: Redacted.make(uri) },
    { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 30_000 },
    () => {}
  )

export interface TestStore {
  readonly uri: string
  readonly session: Session
  readonly store: Store["Service"]
}

/** Another store over the same database, as another writer has one. */
export const storeOver = (
  uri: string,
  tables: ReadonlyArray<Table>,
  limits: Timeouts = timeouts
): Effect.Effect<Store["Service"], never, Scope.Scope> =>
  Effect.map(
    Layer.build(
      storeLayer({
        postgres: postgresOptions(uri, limits),
        schema: "public",
        tables,
        eventStream: { namespace: "test", name: "events" },
        hosts: new Map()
      })
    ),
    (context) => Context.get(context, Store)
  )

/** A new database with the tables, and a store over it. */
export const testStore = (
  tables: ReadonlyArray<Table>,
  limits: Timeouts = timeouts
): Effect.Effect<TestStore, DatabaseError | PostgresFailure | PostgresSettingsInvalid, Databases | Scope.Scope> =>
  Effect.gen(function* () {
    const uri = yield* (yield* Databases).create
    yield* migrate({
      postgres: postgresOptions(uri),
      schema: "public",
      tables,
      ddl: "CreateIfMissing",
      hosts: new Map()
    })
    return { uri, session: yield* connectTo(uri), store: yield* storeOver(uri, tables, limits) }
  })

export const openRequest = (overrides: Partial<OpenRequest> = {}): OpenRequest => ({
  namespace: "test",
  name: "events",
  uid: "uid-1",
  fingerprint: "target-1",
  stream: "EVENTS",
  incarnation: "0badcafe",
  start: { sequence: 1, timeNanos: 0n },
  consumerUsed: false,
  ...overrides
})

const startNanos = 1_790_000_000_000_000_000n

/** Publish time of a sequence in a stream with a message per second. */
export const timeOf = (seq: number): bigint => startNanos + BigInt(seq) * 1_000_000_000n

export interface TestMessage {
  readonly seq: number
  /** Unset: {@link timeOf} of the sequence. */
  readonly timeNanos?: bigint
  readonly data?: Uint8Array
  readonly headers?: Readonly<Record<string, ReadonlyArray<string>>>
  /** By table. */
  readonly rows?: ReadonlyArray<ReadonlyArray<Row>>
  /** Unset: `Rows`. */
  readonly outcome?: Outcome
}

export const delivery = (message: TestMessage): Delivery => ({
  subject: "events.test",
  seq: message.seq,
  timeNanos: message.timeNanos ?? timeOf(message.seq),
  deliveryCount: 1,
  reply: `$JS.ACK.EVENTS.test.1.${message.seq}.${message.seq}.${message.timeNanos ?? timeOf(message.seq)}.0`,
  data: message.data ?? Buffer.from(`message ${message.seq}`),
  header: (name) => message.headers?.[name]?.[0],
  headers: () => message.headers
})

export const batchOf = (tables: ReadonlyArray<Table>, messages: ReadonlyArray<TestMessage>): Batch => {
  const encoder = makeBatchEncoder(tables)
  for (const { rows = [] } of messages) {
    encoder.beginMessage()
    rows.forEach((list, table) => list.forEach((row) => encoder.sink.row(table, row)))
    encoder.endMessage()
  }
  return {
    deliveries: messages.map(delivery),
    outcomes: messages.map(({ outcome }) => outcome ?? { _tag: "Rows" }),
    tables: encoder.take()
  }
}

/** Indices of the whole batch. */
export const all = (batch: Batch): ReadonlyArray<number> => batch.deliveries.map((_, index) => index)
