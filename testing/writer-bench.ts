import { AckPolicy, type ConsumerConfig, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect, nanos, type NatsConnection } from "@nats-io/transport-node"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { Client } from "pg"
import { parseHosts } from "../platform/hosts.ts"
import { type EncodedWriterConfig, WriterConfig } from "../writer/config.ts"
import { makeProcessor } from "../writer/processors/index.ts"
import { migrate } from "../writer/store/migrate.ts"
import { type NatsServer, type PostgresServer, startNats, startPostgres } from "./servers.ts"

/** A nats-server and a PostgreSQL for the tests of one file. */
export class Servers extends Context.Service<
  Servers,
  { readonly nats: NatsServer; readonly postgres: PostgresServer; readonly connection: NatsConnection }
>()("testing/Servers") {
  static readonly layer = Layer.effect(
    Servers,
    Effect.gen(function* () {
      const [nats, postgres] = yield* Effect.all([startNats(), startPostgres()], { concurrency: 2 })
      const connection = yield* connectTo(nats.url)
      return Servers.of({ nats, postgres, connection })
    })
  )
}

export const connectTo = (url: string): Effect.Effect<NatsConnection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 })),
    (connection) => Effect.promise(() => connection.close())
  )

/** A stream with a durable, and a database with the tables for it: what a writer needs to run. */
export interface Bench {
  readonly config: EncodedWriterConfig
  readonly connection: NatsConnection
  /** Connection to the bench's database. */
  readonly database: Client
  readonly createConsumer: (more?: Partial<ConsumerConfig>) => Effect.Effect<void>
  /** Publishes orders `from` up to `to`, exclusive; resolves when all are stored. */
  readonly publish: (from: number, to: number, make?: (id: number) => string) => Effect.Effect<void>
  readonly query: <Row extends object>(sql: string) => Effect.Effect<ReadonlyArray<Row>>
  /** Waits until the consumer has nothing left, neither pending nor unacked. */
  readonly drained: (seconds?: number) => Effect.Effect<void>
  /** Ids of the written rows with how often each is there, and of the dead letters, ascending. */
  readonly outcomes: Effect.Effect<Outcomes>
}

export interface Outcomes {
  readonly rows: number
  readonly distinct: number
  readonly deadLetters: number
  /** Sequences that the ledger holds. */
  readonly covered: number
}

let benches = 0

/** Columns of the test's table; `amount` is an int4, so that a large one is refused by the database and not by us. */
const columns = [
  { name: "id", type: "int8", required: true },
  { name: "amount", type: "int8" },
  { name: "note", type: "text" }
] as const

/** @param more fields that replace those of the configuration */
export const makeBench = Effect.fnUntraced(function* (
  more: Partial<EncodedWriterConfig> = {}
): Effect.fn.Return<Bench, never, Servers | Scope.Scope> {
  const { nats, postgres, connection } = yield* Servers
  const name = `bench${process.pid}n${++benches}`
  const stream = name.toUpperCase()
  const client = (database: string) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const url = new URL(postgres.url)
        url.pathname = `/${database}`
        const client = new Client({ connectionString: url.href })
        client.on("error", () => undefined) // a test may stop the server
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end().catch(() => undefined))
    )
  const maintenance = yield* client("postgres")
  yield* Effect.promise(() => maintenance.query(`CREATE DATABASE ${name}`))
  const config: EncodedWriterConfig = {
    eventStream: { namespace: "test", name, uid: `uid-${name}` },
    nats: { servers: [nats.url] },
    stream,
    consumer: name,
    processor: { type: "Json", json: { table: "orders", columns: [...columns] } },
    target: {
      postgres: {
        uri: `postgres://postgres@127.0.0.1:${postgres.port}/${name}?sslmode=disable`,
        statementTimeoutMillis: 1_000,
        lockTimeoutMillis: 500
      }
    },
    ...more
  }
  const { processor: processorConfig, target } = yield* Effect.orDie(Schema.decodeEffect(WriterConfig)(config))
  const processor = makeProcessor(processorConfig)
  yield* migrate({
    postgres: { ...target.postgres, statementTimeoutMillis: 10_000, lockTimeoutMillis: 5_000 },
    schema: target.schema,
    tables: processor.tables,
    ddl: "CreateIfMissing",
    hosts: parseHosts(undefined)
  }).pipe(Effect.orDie)
  const database = yield* client(name)
  const manager = yield* Effect.promise(() => jetstreamManager(connection))
  yield* Effect.promise(() => manager.streams.add({ name: stream, subjects: [`${name}.>`] }))
  const createConsumer = (more: Partial<ConsumerConfig> = {}) =>
    Effect.promise(() =>
      manager.consumers.add(stream, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: nanos(2_000),
        max_ack_pending: 20_000,
        ...more
      })
    ).pipe(Effect.asVoid)
  yield* createConsumer()
  const js = jetstream(connection)
  const query: Bench["query"] = <Row extends object>(sql: string) =>
    Effect.promise(() => database.query(sql).then((result) => result.rows as ReadonlyArray<Row>))
  return {
    config,
    connection,
    database,
    createConsumer,
    publish: (from, to, make = (id) => JSON.stringify({ id, amount: id % 100, note: `order ${id}` })) =>
      Effect.promise(async () => {
        const stored: Array<Promise<unknown>> = []
        for (let id = from; id < to; id++) {
          stored.push(js.publish(`${name}.new`, make(id)))
          if (stored.length === 500) await Promise.all(stored.splice(0))
        }
        await Promise.all(stored)
      }),
    query,
    drained: (seconds = 30) =>
      Effect.gen(function* () {
        while (true) {
          const info = yield* Effect.promise(() => manager.consumers.info(stream, name).catch(() => undefined))
          if (info && info.num_pending === 0 && info.num_ack_pending === 0) return
          yield* Effect.sleep("20 millis")
        }
      }).pipe(Effect.timeout(seconds * 1000), Effect.orDie),
    outcomes: outcomesOf(query)
  }
})

/** What a bench's database holds, asked for by any connection to it. */
export const outcomesOf = (query: Bench["query"]): Effect.Effect<Outcomes> =>
  query<Record<keyof Outcomes, string>>(
    `SELECT (SELECT count(*) FROM orders) AS rows, (SELECT count(DISTINCT id) FROM orders) AS distinct,
        (SELECT count(*) FROM eventstream_dead_letter) AS "deadLetters",
        (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM eventstream_ledger, unnest(seqs) AS r WHERE set_aside_at IS NULL) AS covered`
  ).pipe(
    Effect.map(([row]) => ({
      rows: Number(row!.rows),
      distinct: Number(row!.distinct),
      deadLetters: Number(row!.deadLetters),
      covered: Number(row!.covered)
    }))
  )
