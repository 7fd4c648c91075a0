import { Effect } from "effect"
import { startProxy } from "../../proxy.ts"
import type { FaultCase } from "../campaign.ts"
import { natsEdges, type Rig } from "../rig.ts"

/** Faults of certificates, under load. */

/** Longest gap when a certificate is replaced, in seconds. */
const renewalGap = 2

const identitiesOf = ({ identities }: Rig) => identities!

export const tlsCases: ReadonlyArray<FaultCase> = [
  {
    id: "T01",
    title: "the servers' certificate is renewed again and again",
    rig: { tls: true },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        for (let round = 0; round < 10; round++) {
          identitiesOf(rig).renewServer()
          for (const node of rig.nats.nodes) node.signal("SIGHUP")
          yield* Effect.sleep("500 millis")
        }
        yield* rig.paused(since, renewalGap)
        rig.expect(!rig.writer.log().includes("was lost"), "V5: the writer lost its connection")
      })
  },
  {
    id: "T02",
    title: "the writer's certificate is renewed again and again",
    rig: { tls: true },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        for (let round = 0; round < (rig.full ? 30 : 3); round++) {
          identitiesOf(rig).renewWriter()
          yield* Effect.sleep(rig.full ? "60 seconds" : "5 seconds")
        }
        yield* rig.paused(since, renewalGap)
        const renewals = rig.writer.log().split("were replaced").length - 1
        rig.expect(renewals >= (rig.full ? 30 : 2), `V5: the writer took up ${renewals} of the new certificates`)
      })
  },
  {
    id: "T03",
    title: "a new certificate is there before its key",
    rig: { tls: true },
    run: (rig) =>
      Effect.gen(function* () {
        const { pki } = identitiesOf(rig)
        const since = Date.now()
        const { certificate, key } = pki.authority.issue("writer")
        pki.put("writer.crt", certificate)
        yield* Effect.sleep("3 seconds")
        pki.put("writer.key", key)
        yield* Effect.sleep("5 seconds")
        yield* rig.paused(since, renewalGap)
        for (const proxy of natsEdges(rig)) proxy.cut()
        yield* rig.recovers(10, "flow with the new pair")
      })
  },
  {
    id: "T04",
    title: "the writer's new certificate has expired already",
    rig: { tls: true },
    run: (rig) =>
      Effect.gen(function* () {
        const minute = 60_000
        identitiesOf(rig).renewWriter({
          notBefore: new Date(Date.now() - 10 * minute),
          notAfter: new Date(Date.now() - minute)
        })
        yield* Effect.sleep("2 seconds")
        for (const proxy of natsEdges(rig)) proxy.cut()
        yield* rig.says(/expired/i, 30)
        identitiesOf(rig).renewWriter()
        yield* rig.recovers(10)
      })
  },
  {
    id: "T07",
    title: "NATS names addresses of others to go to",
    run: (rig) =>
      Effect.gen(function* () {
        const trap = yield* startProxy(rig.nats.nodes[0]!.port)
        for (const proxy of natsEdges(rig)) {
          proxy.intercept(() => (direction, chunk) => {
            const text = chunk.toString("latin1")
            if (direction === "up" || !text.startsWith("INFO {")) return "pass"
            return { instead: Buffer.from(text.replace("{", `{"connect_urls":["127.0.0.1:${trap.port}"],`), "latin1") }
          })
          proxy.cut()
        }
        yield* rig.recovers(10)
        for (const proxy of natsEdges(rig)) {
          proxy.refuse(true)
          proxy.cut()
        }
        yield* rig.says(/NatsUnreachable/, 10)
        yield* Effect.sleep("5 seconds")
        rig.expect(
          trap.attempts() === 0,
          `sec: the writer went ${trap.attempts()} times to an address that it was told by NATS`
        )
        for (const proxy of natsEdges(rig)) proxy.refuse(false)
        yield* rig.recovers(10)
      })
  },
  {
    id: "T09",
    title: "the writer's certificate runs out while it is connected",
    rig: { tls: true },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        identitiesOf(rig).renewWriter({ notAfter: new Date(Date.now() + 12_000) })
        yield* Effect.sleep("8 seconds")
        identitiesOf(rig).renewWriter()
        yield* Effect.sleep("8 seconds")
        yield* rig.paused(since, renewalGap)
      })
  }
]
