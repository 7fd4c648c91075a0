import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JetStreamManager } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect, Redacted, Schema, type Scope } from "effect"
import { type EncodedWriterConfig, WriterConfig } from "../../writer/config.ts"
import { makeProcessor } from "../../writer/processors/index.ts"
import { migrate } from "../../writer/store/migrate.ts"
import type { Table } from "../../writer/tables/table.ts"
import { makeSlot, type SlotOptions, type WriterSlot } from "./writers.ts"

/** An EventStream without its object: a table, a durable, and writers between them. */
export interface Lane {
  readonly name: string
  readonly table: string
  readonly tables: ReadonlyArray<Table>
  readonly writers: ReadonlyArray<WriterSlot>
  /** Makes the durable, which begins at the first message unless told otherwise. */
  readonly createConsumer: (more?: Partial<ConsumerConfig>) => Effect.Effect<void>
}

export interface LaneOptions {
  readonly name: string
  readonly stream: string
  readonly writers: number
  readonly replicas: number
  readonly ackWaitMillis: number
  readonly maxAckPending: number
  /** Replaces fields of the writers' configuration. */
  readonly config: (defaults: EncodedWriterConfig) => EncodedWriterConfig
  readonly manager: () => JetStreamManager
  readonly slot: Omit<SlotOptions, "name" | "config">
}

/** `time` and `seq` are the stream's; the others are the message's own. */
const columns = [
  { name: "seq", from: "seq", type: "int8" },
  { name: "id", type: "int8", required: true },
  { name: "note", type: "text" },
  { name: "sum", type: "text" },
  { name: "at", type: "timestamptz" },
  { name: "data", type: "jsonb" }
] as const

const defaultsOf = (
  { name, stream }: LaneOptions,
  servers: ReadonlyArray<string>,
  port: number
): EncodedWriterConfig => ({
  eventStream: { namespace: "faults", name, uid: `uid-${name}` },
  nats: { servers },
  stream,
  consumer: name,
  processor: { type: "Json", json: { table: name, columns: [...columns] } },
  target: {
    postgres: {
      uri: `postgres://postgres@127.0.0.1:${port}/faults?sslmode=disable`,
      statementTimeoutMillis: 5_000,
      lockTimeoutMillis: 2_000
    }
  },
  batch: { maxMessages: 500 }
})

/** Some calls find a cluster that has no leader yet. */
const eventually = <A>(work: () => Promise<A>): Effect.Effect<A> =>
  Effect.tryPromise(work).pipe(
    Effect.catch(() => Effect.sleep("200 millis").pipe(Effect.andThen(Effect.fail("again")))),
    Effect.retry({ times: 150 }),
    Effect.orDie
  )

/** Makes table and durable; the writers are not started. */
export const makeLane = Effect.fnUntraced(function* (options: LaneOptions): Effect.fn.Return<Lane, never, Scope.Scope> {
  const { name, stream, slot } = options
  const config = (servers: ReadonlyArray<string>, port: number) => options.config(defaultsOf(options, servers, port))
  const own = config([], slot.postgresPort)
  const { processor, target } = yield* Schema.decodeEffect(WriterConfig)({
    ...own,
    nats: { servers: ["nats://none"] }
  }).pipe(Effect.orDie)
  const { tables } = makeProcessor(processor)
  yield* migrate({
    postgres: {
      uri: Redacted.make(`postgres://postgres@127.0.0.1:${slot.postgresPort}/faults?sslmode=disable`),
      statementTimeoutMillis: 20_000,
      lockTimeoutMillis: 20_000
    },
    schema: target.schema,
    tables,
    ddl: "CreateIfMissing",
    hosts: new Map()
  }).pipe(Effect.orDie)
  const createConsumer: Lane["createConsumer"] = (more = {}) =>
    eventually(() =>
      options.manager().consumers.add(stream, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: nanos(options.ackWaitMillis),
        max_ack_pending: options.maxAckPending,
        num_replicas: options.replicas,
        ...more
      })
    ).pipe(Effect.asVoid)
  yield* createConsumer()
  const writers = yield* Effect.forEach(Array.from({ length: options.writers }), (_, index) =>
    makeSlot({
      ...slot,
      name: `${name}-${index}`,
      config: ({ servers, postgresPort }) => config(servers, postgresPort)
    })
  )
  return { name, table: name, tables, writers, createConsumer }
})
