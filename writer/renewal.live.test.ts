import { assert, describe, layer } from "@effect/vitest"
import { connect } from "@nats-io/transport-node"
import { Deferred, Effect, Fiber } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeAuthority } from "../testing/certificates.ts"
import { makePki, type PairFiles } from "../testing/pki.ts"
import { type NatsServer, startNats } from "../testing/servers.ts"
import { type Bench, connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter, type WriterProcess } from "../testing/writer-process.ts"

/** Certificates and credentials that are replaced while a writer runs. */

const hour = 3_600_000

const reconfigure = (nats: NatsServer, lines: ReadonlyArray<string>) =>
  Effect.sync(() => {
    writeFileSync(join(nats.storeDirectory, "..", `nats-${nats.port}.conf`), lines.join("\n"))
    nats.process.kill("SIGHUP")
  })

/** A server that demands certificates of clients, a bench on it, and the pair of its writer. */
const makeSecureBench = Effect.gen(function* () {
  const { postgres } = yield* Servers
  const pki = yield* makePki
  const { authority, caFile, putPair } = pki
  const names = { dns: ["localhost"], ips: ["127.0.0.1"] }
  const config = (server: PairFiles) => pki.natsTls(server, "verify: true")
  const nats = yield* startNats({ config: config(putPair("server", authority.issue("server", names))) })
  const publisher = putPair("publisher", authority.issue("publisher"))
  const connection = yield* Effect.acquireRelease(
    Effect.promise(() => connect({ servers: nats.url, tls: { caFile, ...publisher }, maxReconnectAttempts: -1 })),
    (connection) => Effect.promise(() => connection.close())
  )
  const pair = putPair("writer", authority.issue("writer"))
  const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
  const tls = { mode: "Required", caFile: pki.put("writer-ca.crt", authority.certificate), ...pair } as const
  return {
    ...bench,
    config: { ...bench.config, nats: { ...bench.config.nats, tls } },
    pki,
    names,
    reload: (server: PairFiles) => reconfigure(nats, config(server))
  }
})

/** Waits for the writer to have connected anew so many times, and to write again. */
const renewed = (writer: WriterProcess, times: number) => {
  const said = (message: string) => writer.lines().filter((line) => line.message === message).length
  const all = () => said("certificate or credentials were replaced: connecting to NATS anew") >= times
  return writer.logged(`renewal ${times}`, () => all() && said("writing") > times)
}

/** Publishes some 400 messages a second; what comes back ends it and tells how many they were. */
const publishAlong = Effect.fnUntraced(function* (bench: Bench) {
  const stop = Deferred.makeUnsafe<void>()
  const publishing = Effect.gen(function* () {
    let count = 0
    while (!Deferred.isDoneUnsafe(stop)) {
      yield* bench.publish(count, count + 20)
      count += 20
      yield* Effect.sleep("50 millis")
    }
    return count
  })
  const fiber = yield* Effect.forkScoped(publishing)
  return Effect.suspend(() => {
    Deferred.doneUnsafe(stop, Effect.void)
    return Fiber.join(fiber)
  })
})

/** The longest time between two commits, in seconds. */
const longestGap = (bench: Bench) =>
  bench
    .query<{ readonly gap: number }>(
      `SELECT max(extract(epoch FROM gap))::float8 AS gap
       FROM (SELECT committed_at - lag(committed_at) OVER (ORDER BY committed_at) AS gap FROM eventstream_ledger) AS gaps`
    )
    .pipe(Effect.map(([row]) => row!.gap))

describe("renewal", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("of every certificate, while messages flow: none lost, none twice, no gap over 2 s", () =>
      Effect.gen(function* () {
        const bench = yield* makeSecureBench
        const { pki, names, reload } = bench
        const { authority, put, putPair } = pki
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        const published = yield* publishAlong(bench)

        const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + hour)
        const second = authority.issue("writer", {}, { notAfter })
        put("writer.crt", second.certificate) // whose key comes later
        const torn = yield* writer.logged("a torn pair", ({ reason }) => reason === "CertificateInvalid")
        assert.match(
          torn.message,
          /goes on without .* the certificate of .*writer\.crt and the key of .* do not belong/
        )
        put("writer.key", second.key)
        yield* renewed(writer, 1)
        const { namespace, name } = bench.config.eventStream
        const answer = yield* Effect.promise(() => bench.connection.request(`status.${namespace}.${name}`))
        assert.deepInclude(answer.json<object>(), { certificateNotAfter: notAfter.toISOString() })
        assert.match(
          (yield* writer.get("/metrics")).text,
          new RegExp(`certificate_expiry_timestamp_seconds\\{source="nats",[^}]*\\} ${notAfter.getTime() / 1000}\n`)
        )

        const next = makeAuthority("next")
        put("writer-ca.crt", `${authority.certificate}${next.certificate}`)
        yield* renewed(writer, 2)
        yield* reload(putPair("next-server", next.issue("server", names)))
        put("writer-ca.crt", next.certificate)
        yield* renewed(writer, 3)

        const count = yield* published
        yield* bench.drained()
        assert.isAbove(count, 500)
        assert.deepStrictEqual(yield* bench.outcomes, { rows: count, distinct: count, deadLetters: 0, covered: count })
        assert.isBelow(yield* longestGap(bench), 2)
      }).pipe(Effect.scoped)
    )

    it.effect("of nothing by a certificate that has expired, until a good one comes", () =>
      Effect.gen(function* () {
        const bench = yield* makeSecureBench
        const { authority, putPair } = bench.pki
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        const end = new Date(Math.floor(Date.now() / 1000 - 60) * 1000)
        putPair("writer", authority.issue("writer", {}, { notAfter: end }))
        const refused = yield* writer.logged("an expired one", ({ message }) => message.includes("expired at"))
        assert.include(refused.message, end.toISOString())
        const { namespace, name } = bench.config.eventStream
        const answer = yield* Effect.promise(() => bench.connection.request(`status.${namespace}.${name}`))
        assert.deepInclude(answer.json<object>(), { state: "Running", certificateNotAfter: end.toISOString() })
        yield* bench.publish(0, 100)
        yield* bench.drained()
        putPair("writer", authority.issue("writer"))
        yield* renewed(writer, 1)
        yield* bench.publish(100, 200)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 200, distinct: 200, deadLetters: 0, covered: 200 })
      }).pipe(Effect.scoped)
    )

    it.effect("of a password that NATS no longer takes: says so, and goes on when the new one is there", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const users = (password: string) => [
          "no_auth_user: test",
          `authorization { users: [{ user: test, password: test }, { user: writer, password: ${password} }] }`
        ]
        const nats = yield* startNats({ config: users("first") })
        const connection = yield* connectTo(nats.url)
        const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        const { put } = yield* makePki
        const login = { user: "writer", passwordFile: put("password", "first") }
        const writer = yield* startWriter({ config: { ...bench.config, nats: { ...bench.config.nats, ...login } } })
        yield* writer.writing
        yield* reconfigure(nats, users("second"))
        yield* writer.logged("a refusal", ({ message }) => message.includes("does not accept user writer"))
        put("password", "second")
        yield* bench.publish(0, 100)
        yield* bench.drained(10)
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 100, distinct: 100, deadLetters: 0, covered: 100 })
      }).pipe(Effect.scoped)
    )
  })
})
