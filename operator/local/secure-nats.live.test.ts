import { it } from "@effect/vitest"
import { credsAuthenticator, connect } from "@nats-io/transport-node"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { stringify } from "yaml"
import { admit } from "../../crds/admission.ts"
import type { EventStreamStatus } from "../../crds/eventstream.ts"
import { connectPostgres } from "../../platform/postgres.ts"
import type { Pair } from "../../testing/certificates.ts"
import { makeOperator } from "../../testing/nats-accounts.ts"
import { until } from "../../testing/operator-services.ts"
import { makePki, spiffeId } from "../../testing/pki.ts"
import { startNats, tempDirectory } from "../../testing/servers.ts"
import { layerMemory } from "../kube/memory.ts"
import { EventStreams, Kube } from "../kube.ts"
import { type Platform, startPlatform } from "./platform.ts"

const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])

const eventStream = {
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name: "orders" },
  spec: {
    nats: {
      servers: ["nats://nats.nats.svc:4222"],
      tls: {
        mode: "HandshakeFirst",
        caSecretRef: { name: "nats-ca" },
        clientSecretRef: { name: "nats-client", certKey: "core.pem", keyKey: "core-key.pem" },
        spiffeServerIDs: [spiffeId("nats")]
      },
      auth: { credsSecretRef: { name: "nats-creds" } }
    },
    stream: { subjects: ["orders.>"] },
    processor: { json: { table: "orders", columns: [{ name: "id", type: "int8", required: true }] } },
    target: { postgres: { secretRef: { name: "pg-app" } } }
  }
}

const secret = (name: string, stringData: Readonly<Record<string, string>>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name },
  stringData
})

const rowsOf = ({ database }: Platform) =>
  connectPostgres(
    { secretDirectory: database },
    { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 5_000 },
    () => {}
  ).pipe(
    Effect.flatMap((session) =>
      session.query("SELECT count(DISTINCT id)::int AS n, count(*)::int AS rows FROM orders")
    ),
    Effect.map(([row]) => row as { readonly n: number; readonly rows: number }),
    Effect.scoped,
    Effect.orElseSucceed(() => ({ n: 0, rows: 0 }))
  )

/** A server that demands TLS first, a client certificate and the JWT of a user; operator and writers take them from Secrets. */
it.live(
  "operator and writers reach NATS by what the Secrets of an EventStream hold, now and when it is replaced",
  () =>
    Effect.gen(function* () {
      const pki = yield* makePki
      const { authority, caFile, putPair, natsTls } = pki
      const users = makeOperator()
      const server = putPair("server", authority.issue("server", { uris: [spiffeId("nats")], dns: ["localhost"] }))
      const nats = yield* startNats({
        config: [...natsTls(server, "verify: true", "handshake_first: true"), ...users.config]
      })
      const publisher = putPair("publisher", authority.issue("publisher"))
      const connection = yield* Effect.acquireRelease(
        Effect.promise(() =>
          connect({
            servers: `localhost:${nats.port}`,
            tls: { handshakeFirst: true, caFile, ...publisher },
            authenticator: credsAuthenticator(new TextEncoder().encode(users.creds()))
          })
        ),
        (opened) => Effect.promise(() => opened.close())
      )
      const publish = (from: number, to: number) =>
        Effect.promise(async () => {
          for (let id = from; id <= to; id++) await connection.request("orders.new", JSON.stringify({ id }))
        })

      const manifests = yield* tempDirectory("eventstream-manifests-")
      const put = (name: string, object: object) => writeFileSync(join(manifests, `${name}.yaml`), stringify(object))
      const putClient = ({ certificate, key }: Pair) =>
        put("client", secret("nats-client", { "core.pem": certificate, "core-key.pem": key }))
      put("orders", eventStream)
      put("ca", secret("nats-ca", { "ca.crt": authority.certificate }))
      putClient(authority.issue("client", {}, { notAfter: new Date(Date.now() + 600_000) }))

      const kube = yield* Kube
      const platform = yield* startPlatform({
        manifests: [manifests],
        data: yield* tempDirectory("eventstream-data-"),
        natsUrl: nats.url,
        natsPort: 0,
        notice: () => {}
      })
      const status = kube
        .get(EventStreams, { namespace: "default", name: "orders" })
        .pipe(Effect.map((object) => (object?.["status"] ?? {}) as EventStreamStatus))
      const says = (type: string, wanted: RegExp) =>
        until(status, ({ conditions = [] }) =>
          conditions.some((each) => each.type === type && wanted.test(`${each.status} ${each.reason} ${each.message}`))
        )
      yield* says("Reconciling", /True .*Secret default\/nats-creds does not exist/)
      put("creds", secret("nats-creds", { "nats.creds": users.creds() }))
      yield* says("Ready", /^True Running/)
      yield* publish(1, 100)
      yield* until(rowsOf(platform), ({ n }) => n === 100)
      yield* says("CertificateExpiring", /^True BelowThreshold the writers' client certificate for NATS ends at 20/)

      const notAfter = new Date(Math.floor(Date.now() / 1000 + 7_200) * 1000)
      putClient(authority.issue("client", {}, { notAfter }))
      put("creds", secret("nats-creds", { "nats.creds": users.creds() }))
      const renewed = yield* until(
        status,
        ({ identity }) => Date.parse(identity?.notAfter ?? "") === notAfter.getTime()
      )
      assert.isUndefined(renewed.conditions?.find(({ type }) => type === "CertificateExpiring"))
      yield* publish(101, 200)
      assert.deepEqual(yield* until(rowsOf(platform), ({ n }) => n === 200), { n: 200, rows: 200 })
    }).pipe(Effect.scoped, Effect.provide(memory)),
  60_000
)
