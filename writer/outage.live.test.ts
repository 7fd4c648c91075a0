import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { Effect } from "effect"
import { startProxy } from "../testing/proxy.ts"
import { type Bench, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

const all = (count: number) => ({ rows: count, distinct: count, deadLetters: 0, covered: count })
const small = { batch: { maxMessages: 100 }, errors: { backoffInitialMillis: 10 } }

const consumerInfo = ({ connection, config }: Bench) =>
  Effect.promise(async () => (await jetstreamManager(connection)).consumers.info(config.stream, config.consumer))

describe("the writer comes back", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect(
      "from a database that is away for long: it probes, pulls nothing, acks nothing and gives nothing back",
      () =>
        Effect.gen(function* () {
          const { postgres } = yield* Servers
          const proxy = yield* startProxy(postgres.port)
          const bench = yield* makeBench(small)
          const uri = bench.config.target.postgres.uri!.replace(/:\d+\//, `:${proxy.port}/`)
          const target = { postgres: { ...bench.config.target.postgres, uri } }
          const writer = yield* startWriter({ config: { ...bench.config, target } })
          yield* writer.writing
          proxy.refuse(true)
          proxy.cut()
          yield* bench.publish(0, 2_000)
          yield* writer.logged("an open circuit", ({ message }) => message.includes("5 times in a row"))
          assert.match((yield* writer.get("/metrics")).text, /writer_database_circuit_open\{[^}]*\} 1\n/)
          const errors = Effect.map(writer.get("/metrics"), ({ text }) =>
            Number(/writer_database_errors_total\{[^}]*\} (\d+)/.exec(text)?.[1])
          )
          const before = yield* errors
          const held = yield* consumerInfo(bench)
          yield* Effect.sleep("4 seconds") // two ack waits, and less than the time between two probes
          assert.isAtMost((yield* errors) - before, 1)
          const later = yield* consumerInfo(bench)
          const counts = ({ delivered, num_ack_pending, num_redelivered }: typeof held) => [
            delivered.consumer_seq,
            num_ack_pending,
            num_redelivered
          ]
          assert.deepStrictEqual(counts(later), counts(held))
          assert.isAtMost(later.num_ack_pending, 300)
          proxy.refuse(false)
          yield* bench.drained(15)
          assert.deepStrictEqual(yield* bench.outcomes, all(2_000))
          assert.match((yield* writer.get("/metrics")).text, /writer_database_circuit_open\{[^}]*\} 0\n/)
        }).pipe(Effect.scoped)
    )

    it.effect("frozen for longer than the ack wait: another one went on, and nothing is written twice", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(small)
        yield* bench.publish(0, 4_000)
        const frozen = yield* startWriter({ config: bench.config })
        yield* frozen.writing
        frozen.signal("SIGSTOP")
        const other = yield* startWriter({ config: bench.config })
        yield* other.writing
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(4_000))
        frozen.signal("SIGCONT")
        yield* bench.publish(4_000, 5_000)
        yield* bench.drained()
        other.signal("SIGTERM")
        yield* other.exit
        yield* bench.publish(5_000, 6_000)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(6_000))
      }).pipe(Effect.scoped)
    )

    it.effect("from a database that takes all and answers nothing, without an end of the connection", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const proxy = yield* startProxy(postgres.port)
        const bench = yield* makeBench(small)
        const uri = bench.config.target.postgres.uri!.replace(/:\d+\//, `:${proxy.port}/`)
        const target = { postgres: { ...bench.config.target.postgres, uri } }
        const writer = yield* startWriter({ config: { ...bench.config, target } })
        yield* bench.publish(0, 500)
        yield* bench.drained()
        let silent = true
        proxy.intercept(() => {
          let dead = false
          return (direction, chunk) => {
            if (silent && direction === "up" && chunk.includes("COPY")) {
              dead = true // the connection of the batches, and none that comes after it
              silent = false
            }
            return dead ? "drop" : "pass"
          }
        })
        yield* bench.publish(500, 1_000)
        const { message } = yield* writer.logged("no answer", ({ reason }) => reason === "TargetUnreachable")
        assert.include(message, "no answer within 6000 ms")
        yield* bench.drained(15)
        assert.deepStrictEqual(yield* bench.outcomes, all(1_000))
      }).pipe(Effect.scoped)
    )
  })
})
