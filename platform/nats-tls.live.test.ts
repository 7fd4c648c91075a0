import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { createServer } from "node:net"
import { join } from "node:path"
import { rootCertificates, setDefaultCACertificates } from "node:tls"
import { makeAuthority, type Names, type Validity } from "../testing/certificates.ts"
import { makePki, type PairFiles, type Pki, spiffeId } from "../testing/pki.ts"
import { freePort, startNats } from "../testing/servers.ts"
import { connectNats, type NatsOptions } from "./nats.ts"
import type { NatsTls } from "./nats-tls.ts"

/** Certificates of a server and of its clients. */
class Certificates extends Context.Service<
  Certificates,
  { readonly pki: Pki; readonly server: PairFiles; readonly client: PairFiles; readonly stranger: PairFiles }
>()("test/Certificates") {
  static readonly layer = Layer.effect(
    Certificates,
    Effect.gen(function* () {
      const pki = yield* makePki
      const { authority, putPair } = pki
      const writer = { uris: [spiffeId("writer")] }
      return {
        pki,
        server: putPair("server", authority.issue("server", { dns: ["localhost"], uris: [spiffeId("nats")] })),
        client: putPair("client", authority.issue("client", writer)),
        stranger: putPair("stranger", makeAuthority("another").issue("stranger", writer))
      }
    })
  )
}

/** `connected`, or why not. */
const outcomeOf = (options: NatsOptions, hosts: Parameters<typeof connectNats>[1]["hosts"] = new Map()) =>
  connectNats(options, { name: "test", hosts }).pipe(
    Effect.flatMap((connection) => Effect.promise(() => connection.flush())),
    Effect.scoped,
    Effect.match({ onSuccess: () => "connected", onFailure: ({ detail }) => detail })
  )

/** What comes of an attempt, by its letter in the table. */
const outcomes: Readonly<Record<string, RegExp>> = {
  "+": /^connected$/,
  P: /the server offers no TLS, so it was told nothing/,
  T: /the server demands TLS, which nats\.tls\.mode Disabled rules out/,
  H: /it expects TLS before its INFO line, and then nats\.tls\.mode is to be HandshakeFirst/,
  I: /it sends its INFO line first; nats\.tls\.mode is to be Required/,
  C: /the server demands a client certificate, and none is given|broke the connection off .* demands one/,
  U: /refuses the client certificate of .*stranger\.crt: it does not know the authority that signed it|broke the connection off .* does not accept the certificate/
}

const modes = ["Disabled", "Auto", "Required", "HandshakeFirst"] as const
const certificates = ["none", "client", "stranger"] as const

/**
 * Rows: TLS of the server. Columns: `nats.tls.mode` of the client; in each, what comes of it without a certificate, with one,
 * and with one of an authority that the server does not know.
 */
const matrix = `
                               Disabled  Auto   Required  HandshakeFirst
  none                         + + +     + P P  P P P     I I I
  tls                          T T T     + + +  + + +     I I I
  tls, first                   H H H     H H H  H H H     + + +
  tls, auto                    T T T     + + +  + + +     + + +
  verify                       T T T     C + U  C + U     I I I
  verify, first                H H H     H H H  H H H     C + U
  verify, auto                 T T T     C + U  C + U     C + U
  verify_and_map               T T T     C + U  C + U     I I I
  verify_and_map, first        H H H     H H H  H H H     C + U
  verify_and_map, auto         T T T     C + U  C + U     C + U
`

const rows = matrix
  .split("\n")
  .map((line) => /^  (\w+(?:, \w+)?)\s+((?:\S\s+)+\S)$/.exec(line))
  .filter((found) => found !== null)
  .map((found) => ({ kind: found[1]!, wanted: found[2]!.split(/\s+/) }))

const serverConfig = ({ pki, server }: Certificates["Service"], kind: string): ReadonlyArray<string> => {
  const [verification, first] = kind.split(", ")
  if (verification === "none") return []
  return [
    ...pki.natsTls(
      server,
      "timeout: 0.3", // a client that says nothing is otherwise waited for 2 s
      ...(verification === "tls" ? [] : [`${verification}: true`]),
      ...(first === undefined ? [] : [`handshake_first: ${first === "first" ? "true" : '"auto"'}`])
    ),
    ...(verification === "verify_and_map" ? [`authorization { users: [{ user: "${spiffeId("writer")}" }] }`] : [])
  ]
}

/** A server that says this to whoever connects, keeps what it is told, and ends the connection then. */
const startImpostor = (greeting: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly told: () => string; readonly close: () => void }>((resume) => {
      let told = ""
      const server = createServer((socket) => {
        socket.on("error", () => undefined)
        socket.on("data", (bytes) => {
          told += bytes.toString("latin1")
          socket.destroy()
        })
        socket.write(greeting)
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { readonly port: number }
        resume(Effect.succeed({ port, told: () => told, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe("TLS to NATS", () => {
  layer(Certificates.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect.each(rows)("by every mode, of a server with $kind", ({ kind, wanted }) =>
      Effect.gen(function* () {
        const certificatesOfTest = yield* Certificates
        const { pki } = certificatesOfTest
        // So that Auto can be tried with nothing given: that the server is believed is not what this is about.
        setDefaultCACertificates([...rootCertificates, pki.authority.certificate])
        const { port } = yield* startNats({ config: serverConfig(certificatesOfTest, kind) })
        const cells = modes.flatMap((mode) => certificates.map((certificate) => ({ mode, certificate })))
        const found = yield* Effect.forEach(
          cells,
          ({ mode, certificate }) => {
            const pair = certificate === "none" ? {} : certificatesOfTest[certificate]
            const tls: NatsTls = { mode, ...(mode === "Auto" ? {} : { caFile: pki.caFile }), ...pair }
            return outcomeOf({ servers: [`nats://localhost:${port}`], tls })
          },
          { concurrency: cells.length }
        )
        assert.lengthOf(wanted, cells.length)
        for (const [i, cell] of cells.entries()) {
          assert.match(found[i]!, outcomes[wanted[i]!]!, `${cell.mode} with ${cell.certificate}`)
        }
      }).pipe(Effect.scoped)
    )

    it.effect("tells whose certificate it is that does not do", () =>
      Effect.gen(function* () {
        const { pki, client } = yield* Certificates
        const { authority, caFile, put, putPair } = pki
        const hour = 3_600_000
        const expired = { notAfter: new Date(Date.now() - hour / 2) }
        const early = { notBefore: new Date(Date.now() + hour) }
        const otherCa = put("other-ca.crt", makeAuthority("other").certificate)
        const old = putPair("old", authority.issue("old", {}, expired))
        const unreadable = put("unreadable.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        let servers = 0
        /** Names and validity of the server's certificate, TLS settings of the client, what comes of it. */
        const cases: ReadonlyArray<readonly [Names, Validity, Partial<NatsTls>, RegExp]> = [
          [{ dns: ["localhost"] }, {}, {}, /^connected$/],
          [{ dns: ["*.demo.test"] }, {}, { serverName: "nats.demo.test" }, /^connected$/],
          [
            { dns: ["localhost"] },
            {},
            { serverName: "nats.demo.test" },
            /Host: nats\.demo\.test\. is not in the cert's altnames: DNS:localhost; connect by a name that the certificate has/
          ],
          [{ dns: ["a.demo.test"] }, {}, {}, /Host: localhost\. is not in the cert's altnames: DNS:a\.demo\.test/],
          [{ uris: [spiffeId("nats")] }, {}, { spiffeServerIDs: [spiffeId("a"), spiffeId("nats")] }, /^connected$/],
          [
            { dns: ["localhost"], uris: [spiffeId("other")] },
            {},
            { spiffeServerIDs: [spiffeId("nats")] },
            /the server's SPIFFE ID is spiffe:\/\/demo\.test\/other, and not spiffe:\/\/demo\.test\/nats as/
          ],
          [{ dns: ["localhost"] }, {}, { spiffeServerIDs: [spiffeId("nats")] }, /SPIFFE ID is not there, and not/],
          [
            { uris: [spiffeId("nats"), spiffeId("other")] },
            {},
            { spiffeServerIDs: [spiffeId("nats")] },
            /SPIFFE ID is spiffe:\/\/demo\.test\/nats and spiffe:\/\/demo\.test\/other, and not/
          ],
          [
            { dns: [`x, URI:${spiffeId("nats")}`] },
            {},
            { spiffeServerIDs: [spiffeId("nats")] },
            /SPIFFE ID is not there, and not/
          ],
          [{ dns: ["localhost"] }, expired, {}, /the server's certificate, or that of its authority, has expired/],
          [{ dns: ["localhost"] }, early, {}, /the server's certificate is not valid yet; check the clocks/],
          [{ dns: ["localhost"] }, {}, { caFile: otherCa }, /signed by an authority that is not in .*other-ca\.crt$/],
          [
            { dns: ["localhost"] },
            {},
            old,
            /refuses the client certificate of .*old\.crt: it expired at 20|broke the con/
          ],
          [{}, {}, { caFile: "/none/ca.crt" }, /ENOENT.*\/none\/ca\.crt/],
          [{}, {}, { caFile: client.keyFile }, /wanted certificates in PEM in .*client\.key, found none/],
          [
            {},
            {},
            { caFile: unreadable },
            /wanted certificates in PEM in .*unreadable\.pem, found one that cannot be read/
          ],
          [{}, {}, { ...client, keyFile: caFile }, /wanted a private key in PEM, without a passphrase, in .*ca\.crt/],
          [
            {},
            {},
            { ...client, keyFile: old.keyFile },
            /certificate of .*client\.crt and the key of .*old\.key do not belong/
          ]
        ]
        const found = yield* Effect.forEach(
          cases,
          ([names, validity, tls]) =>
            Effect.gen(function* () {
              const pair = putPair(`server${++servers}`, authority.issue("server", names, validity))
              const { port } = yield* startNats({ config: pki.natsTls(pair, "verify: true") })
              const servers_ = [`nats://localhost:${port}`]
              return yield* outcomeOf({ servers: servers_, tls: { mode: "Required", caFile, ...client, ...tls } })
            }).pipe(Effect.scoped),
          { concurrency: 4 }
        )
        for (const [i, [names, , , wanted]] of cases.entries()) {
          assert.match(found[i]!, wanted, `case ${i}: ${JSON.stringify(names)}`)
        }
        const half = { mode: "Required", certFile: client.certFile } as const
        assert.match(
          yield* outcomeOf({ servers: ["nats://localhost:1"], tls: half }),
          /a client certificate needs nats\.tls\.certFile and nats\.tls\.keyFile/
        )
      })
    )

    it.effect("checks the name that was asked for where another address stands for it", () =>
      Effect.gen(function* () {
        const { pki } = yield* Certificates
        const { authority, caFile, putPair } = pki
        const pair = putPair("named", authority.issue("named", { dns: ["nats.demo.test"], ips: ["127.0.0.1"] }))
        const { port } = yield* startNats({ config: pki.natsTls(pair) })
        const to = (url: string) => ({ servers: [url], tls: { mode: "Required", caFile } as const })
        const hosts = new Map(["nats.demo.test", "other.demo.test"].map((name) => [name, { host: "127.0.0.1", port }]))
        assert.strictEqual(yield* outcomeOf(to("nats://nats.demo.test"), hosts), "connected")
        assert.match(yield* outcomeOf(to("nats://other.demo.test"), hosts), /Host: other\.demo\.test\. is not in/)
        assert.strictEqual(yield* outcomeOf(to(`nats://127.0.0.1:${port}`)), "connected")
      }).pipe(Effect.scoped)
    )

    it.effect("is not fooled: a server without TLS is told nothing", () =>
      Effect.gen(function* () {
        const { pki, client } = yield* Certificates
        const { caFile, put } = pki
        const credentials = { user: "writer", passwordFile: put("password", "secret") }
        const info = (fields: object) =>
          `INFO ${JSON.stringify({ server_id: "x", version: "2.12.0", proto: 1, ...fields })}\r\n`
        const impostor = yield* startImpostor(info({ max_payload: 1 }))
        const claims = yield* startImpostor(info({ max_payload: 1, tls_required: true }))
        const tries: ReadonlyArray<Partial<NatsOptions> & { readonly secure?: true }> = [
          { tls: { mode: "Required" } },
          { tls: { mode: "HandshakeFirst" } },
          { tls: { mode: "Auto", ...client } },
          { tls: { mode: "Auto", caFile } },
          { tls: { mode: "Auto", spiffeServerIDs: [spiffeId("nats")] } },
          { secure: true }
        ]
        for (const { secure, ...options } of tries) {
          for (const { port } of [impostor, claims]) {
            const url = `${secure ? "tls" : "nats"}://127.0.0.1:${port}`
            assert.notStrictEqual(yield* outcomeOf({ servers: [url], ...credentials, ...options }), "connected")
          }
        }
        assert.notMatch(`${impostor.told()}${claims.told()}`, /CONNECT|secret|writer/)
        assert.match(
          yield* outcomeOf({ servers: [`tls://127.0.0.1:${impostor.port}`], tls: { mode: "Disabled" } }),
          /a tls:\/\/ URL asks for TLS, which nats\.tls\.mode Disabled rules out/
        )
      }).pipe(Effect.scoped)
    )

    it.effect("says of each server why it did not do", () =>
      Effect.gen(function* () {
        const { pki, server } = yield* Certificates
        const { port } = yield* startNats({ config: pki.natsTls(server) })
        const silent = yield* freePort
        const found = yield* outcomeOf({
          servers: [`nats://localhost:${port}`, `nats://localhost:${silent}`, "nats://no-such-host.invalid:4222"],
          tls: { mode: "Required", caFile: join(pki.caFile, "..", "server.crt") }
        })
        assert.match(found, new RegExp(`nats://localhost:${port}: the server's certificate is signed by`))
        assert.match(found, new RegExp(`nats://localhost:${silent}: connection refused`))
        assert.match(found, /nats:\/\/no-such-host\.invalid:4222: its host name is not known/)
      }).pipe(Effect.scoped)
    )
  })
})
