import { assert, describe, layer } from "@effect/vitest"
import { AckPolicy, jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/transport-node"
import { Deferred, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { Client } from "pg"
import type { HostMap } from "../platform/hosts.ts"
import { Metrics } from "../platform/metrics.ts"
import { type Example, examples, type Json, matches, outputOf, processorOf } from "../testing/examples.ts"
import { Servers } from "../testing/writer-bench.ts"
import { type EncodedWriterConfig, WriterConfig } from "./config.ts"
import { jsonText, parseJson } from "./decode/json.ts"
import { formatTimestamp, parseTimestampIn } from "./fields/time.ts"
import { makeProcessor } from "./processors/index.ts"
import { runWriter } from "./run.ts"
import { ident } from "./store/sql.ts"
import { storeLayer } from "./store/layer.ts"
import { migrate } from "./store/migrate.ts"
import type { JsonObject } from "./tables/table.ts"

/** Examples for which one writer will do. */
interface Group {
  readonly title: string
  readonly examples: ReadonlyArray<Example>
}

const titleOf = ({ stream, target, options }: Example) =>
  [stream, target, options && JSON.stringify(options)].filter((part) => part !== undefined).join(" ")

const groups: ReadonlyArray<Group> = [...Map.groupBy(examples, titleOf)].map(([title, members]) => ({
  title,
  examples: members.toSorted((a, b) => a.meta.seq - b.meta.seq)
}))

const micros = (time: string) => parseTimestampIn(time, "RFC3339")!

/** What is expected of a message that was published when it was, and not when the example says. */
const asPublishedAt = (expected: Json, example: Example, publishedAt: string): Json => {
  const written = micros(example.meta.received_at)
  const published = micros(publishedAt)
  const shifted = (value: Json): Json => {
    if (typeof value === "string")
      return parseTimestampIn(value, "RFC3339") === written ? formatTimestamp(published) : value
    if (typeof value === "number") return value * 1000 === written ? Math.floor(Number(published) / 1000) : value
    if (Array.isArray(value)) return value.map((item: Json) => shifted(item))
    return value === null || typeof value === "boolean"
      ? value
      : Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shifted(member)]))
  }
  return shifted(expected)
}

/** A subject of the stream that no consumer asks for. */
const filler = "filler"

/** Makes the next message of the stream the one with `sequence`. */
const advanceTo = async (
  manager: JetStreamManager,
  publish: () => Promise<unknown>,
  stream: string,
  sequence: number
) => {
  const { state } = await manager.streams.info(stream)
  await Promise.all(Array.from({ length: sequence - 1 - state.last_seq }, publish))
}

describe("the examples of the data contract", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect.each(groups.map((group) => [group.title, group] as const))("%s", ([title, group]) =>
      Effect.gen(function* () {
        const { nats, postgres, connection } = yield* Servers
        const [first] = group.examples
        const { stream } = first!.meta
        const name = title.toLowerCase().replaceAll(/[^a-z]+/g, "_")
        const encoded: EncodedWriterConfig = {
          eventStream: { namespace: "test", name, uid: name },
          nats: { servers: [nats.url] },
          stream,
          consumer: name,
          processor: { ...first!.options, type: processorOf(first!), ...outputOf(first!) },
          target: { postgres: { uri: `${postgres.url}?sslmode=disable` }, schema: name },
          http: { host: "127.0.0.1", port: 0 }
        }
        const config = yield* Schema.decodeUnknownEffect(WriterConfig)(encoded)
        const processor = makeProcessor(config.processor, config.target)
        const { schema } = config.target
        const { tables } = processor
        const hosts: HostMap = new Map()
        yield* migrate({ postgres: config.target.postgres, schema, tables, ddl: "CreateIfMissing", hosts })

        const manager = yield* Effect.promise(() => jetstreamManager(connection))
        const js = jetstream(connection)
        const subjects = [...new Set(group.examples.map(({ subject }) => subject))]
        yield* Effect.acquireRelease(
          Effect.promise(() =>
            manager.streams.add({ name: stream, subjects: [...subjects, filler], first_seq: first!.meta.seq })
          ),
          () => Effect.promise(() => manager.streams.delete(stream))
        )
        yield* Effect.promise(() =>
          manager.consumers.add(stream, {
            durable_name: name,
            ack_policy: AckPolicy.Explicit,
            filter_subjects: subjects
          })
        )
        const client = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new Client({ connectionString: postgres.url })
            await client.connect()
            return client
          }),
          (client) => Effect.promise(() => client.end())
        )
        const query = (sql: string) =>
          Effect.promise(() => client.query<{ readonly [column: string]: unknown }>(sql).then(({ rows }) => rows))

        const stop = yield* Deferred.make<void>()
        const store = storeLayer({
          ...config.target,
          tables,
          eventStream: config.eventStream,
          hosts,
          deadLetters: config.errors.deadLetter
        })
        const writer = yield* Effect.scoped(runWriter({ config, processor, hosts, stop })).pipe(
          Effect.provide(Layer.mergeAll(store, Metrics.layer({ eventstream: name }), Logger.layer([]))),
          Effect.forkScoped
        )

        for (const example of group.examples) {
          const { meta, subject, expect } = example
          yield* Effect.promise(() => advanceTo(manager, () => js.publish(filler), stream, meta.seq))
          const message = headers()
          if (meta.msg_id !== undefined) message.set("Nats-Msg-Id", meta.msg_id)
          const payload =
            example.encoding === "json"
              ? JSON.stringify(example.payload)
              : Buffer.from(example.payload as string, "base64")
          const { seq } = yield* Effect.promise(() => js.publish(subject, payload, { headers: message }))
          assert.strictEqual(seq, meta.seq)
          const settled = Effect.promise(() => manager.consumers.info(stream, name)).pipe(
            Effect.map(({ delivered, num_ack_pending }) => delivered.stream_seq === seq && num_ack_pending === 0)
          )
          while (!(yield* settled)) yield* Effect.sleep("5 millis")

          const dead = yield* query(
            `SELECT reason, detail, element FROM ${ident(schema)}.eventstream_dead_letter ORDER BY id`
          )
          const elements = expect.dead_letter_elements ?? []
          if (expect.dead_letter) assert.deepStrictEqual(dead[0]?.["reason"], expect.reason, example.id)
          else
            assert.sameOrderedMembers(
              dead.map(({ element }) => element as number),
              [...elements],
              `${example.id}: ${JSON.stringify(dead)}`
            )

          const stored = yield* Effect.promise(() => manager.streams.getMessage(stream, { seq }))
          const wanted = [
            ...(expect.table === undefined ? [] : [{ table: expect.table, rows: expect.rows ?? [] }]),
            ...(expect.also ?? [])
          ]
          for (const { schema: own = schema, name: table } of tables) {
            const found = yield* query(
              `SELECT to_jsonb(t)::text AS row FROM ${ident(own)}.${ident(table)} t ORDER BY ctid`
            )
            const rows = wanted.find((one) => one.table === table)?.rows ?? []
            assert.lengthOf(found, rows.length, `${example.id}: rows of ${table}`)
            for (const [i, row] of rows.entries()) {
              const decoded = parseJson(String(found[i]!["row"]))
              const actual = decoded._tag === "Json" ? (decoded.value as JsonObject) : {}
              for (const [column, value] of Object.entries(row)) {
                const is = actual[column] ?? null
                assert.isTrue(
                  matches(is, asPublishedAt(value, example, stored!.timestamp)),
                  `${example.id}: ${column} is ${jsonText(is)}, not ${JSON.stringify(value)}`
                )
              }
            }
          }
          yield* query(
            `TRUNCATE ${[...tables.map((table) => table.name), "eventstream_dead_letter"].map((table) => `${ident(schema)}.${ident(table)}`).join(", ")}`
          )
        }
        const dropped = yield* query(
          `SELECT sum(dropped)::int AS dropped FROM ${ident(schema)}.eventstream_ledger record JOIN ${ident(schema)}.eventstream_lane head ON head.id = lane WHERE name = '${name}'`
        )
        assert.strictEqual(dropped[0]?.["dropped"], group.examples.filter(({ expect }) => expect.dropped).length)
        yield* Deferred.succeed(stop, undefined)
        yield* Fiber.join(writer)
      }).pipe(Effect.scoped)
    )
  })
})
