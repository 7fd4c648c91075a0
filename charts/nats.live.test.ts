import { assert, describe, it } from "@effect/vitest"
import { jetstream, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream"
import { connect, nkeyAuthenticator, nkeys, type NodeConnectionOptions } from "@nats-io/transport-node"
import { Effect, Fiber, Schedule } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort, natsServerBinary, server, tempDirectory } from "../testing/servers.ts"
import { type Place, type Release, release } from "./nats-servers.ts"

/** What eventstream-nats renders, on real nats-servers. */

const chart = "eventstream-nats"
const examples = join(import.meta.dirname, "examples")
const rendering = (name: string, values: object = {}, ...files: ReadonlyArray<string>) => ({
  chart,
  release: name,
  namespace: name,
  values,
  files: files.map((file) => join(examples, file))
})

const url = (place: Place) => `nats://127.0.0.1:${place.ports[4222]}`
const leafOf = (urls: ReadonlyArray<string>, remote: object = {}) => ({
  mode: "leaf",
  replicas: 1,
  jetstream: { domain: "edge" },
  leaf: { remotes: [{ urls, ...remote }] }
})
const leafUrls = (hub: Release, scheme = "nats") =>
  hub.places.map(({ ports }) => `${scheme}://127.0.0.1:${ports[7422]}`)

const client = (places: ReadonlyArray<Place>, options: NodeConnectionOptions = {}) =>
  Effect.acquireRelease(
    Effect.tryPromise(() =>
      connect({
        servers: places.map(url),
        ignoreClusterUpdates: true,
        reconnectTimeWait: 100,
        timeout: 5_000,
        ...options
      })
    ),
    (connection) => Effect.promise(() => connection.close())
  )

/** Why a client is refused. */
const refused = (places: ReadonlyArray<Place>, options: NodeConnectionOptions = {}) =>
  client(places, { ...options, timeout: 2_000 }).pipe(
    Effect.flip,
    Effect.map(({ cause }) => String(cause))
  )

const get = (place: Place, path: string) =>
  Effect.tryPromise(async () => {
    const response = await fetch(`http://127.0.0.1:${place.ports[8222]}${path}`)
    return { ok: response.ok, body: (await response.json()) as any }
  })

/** Waits until something holds, 30 s at most. */
const until = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  condition.pipe(
    Effect.filterOrFail(
      (holds) => holds,
      () => new Error(`not yet: ${what}`)
    ),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.fail(new Error(`never: ${what}`)) })
  )

const healthy = (place: Place) => until(`${place.pod} healthy`, get(place, "/healthz").pipe(Effect.map(({ ok }) => ok)))

/** Links of a server to other domains. */
const links = (place: Place) => get(place, "/leafz").pipe(Effect.map(({ body }) => (body.leafs ?? []) as Array<any>))
const linked = (place: Place) => until(`${place.pod} linked`, links(place).pipe(Effect.map(({ length }) => length > 0)))

const startAll = Effect.fnUntraced(function* (each: Release) {
  const servers = yield* Effect.forEach(each.places, each.start, { concurrency: "unbounded" })
  yield* Effect.forEach(each.places, healthy, { concurrency: "unbounded" })
  return servers
})

/** A certificate for this machine, for server and client, that is its own authority. */
const selfSigned = () => {
  const folder = mkdtempSync(join(tmpdir(), "eventstream-certificate-"))
  const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")]
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  const names = ["-subj", "/CN=nats", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  const usage = ["-addext", "extendedKeyUsage=serverAuth,clientAuth"]
  execFileSync("openssl", [...request, ...names, ...usage, "-keyout", key, "-out", certificate], { stdio: "ignore" })
  const [text, keyText] = [readFileSync(certificate, "utf8"), readFileSync(key, "utf8")]
  rmSync(folder, { recursive: true })
  return { "tls.crt": text, "tls.key": keyText, "ca.crt": text }
}

const newUser = () => {
  const pair = nkeys.createUser()
  return { publicKey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) }
}

/** A hub's configuration with one account known by signed tokens, and the credentials file of a user of it. */
const operatorMode = () => {
  const [operator, account, login] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()]
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const token = (name: string, subject: string, signer: typeof operator, claims: object) => {
    const payload = { jti: name, iat: 1_750_000_000, iss: signer.getPublicKey(), name, sub: subject }
    const signed = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part({ ...payload, nats: { ...claims, version: 2 } })}`
    return `${signed}.${Buffer.from(signer.sign(Buffer.from(signed))).toString("base64url")}`
  }
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const accountToken = token("events", account.getPublicKey(), operator, { type: "account", limits })
  const userToken = token("edge", login.getPublicKey(), account, { type: "user", subs: -1, data: -1, payload: -1 })
  const seed = new TextDecoder().decode(login.getSeed())
  return {
    config: `operator: ${token("hub", operator.getPublicKey(), operator, { type: "operator" })}
resolver: MEMORY
resolver_preload { ${account.getPublicKey()}: ${accountToken} }`,
    credentials: `-----BEGIN NATS USER JWT-----
${userToken}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`
  }
}

/** An account's users by the public halves of their keys: one that writes, and a leaf. */
const authConf = (writer: string, edge: string) => `
accounts {
  EVENTS {
    jetstream: enabled
    users: [ { nkey: ${writer} }, { nkey: ${edge}, allowed_connection_types: [LEAFNODE] } ]
  }
  SYS { users: [] }
}
system_account: SYS
`

describe(chart, () => {
  it.live("a hub of three and a leaf: what helm test proves, and streams across the link", () =>
    Effect.gen(function* () {
      const hub = yield* release(rendering("nats"))
      yield* startAll(hub)
      const edge = yield* release(rendering("edge", leafOf(leafUrls(hub))))
      yield* startAll(edge)

      assert.match(yield* hub.test, /stream of 3: created \(leader nats-\d\), published to, read, deleted/)
      const printed = yield* edge.test
      assert.match(printed, /edge-0: nats-server [\d.]+, domain edge, 0 peers, 1 leaf links/)
      assert.match(printed, /stream of 1: created, published to, read, deleted/)

      const [atHub, atEdge] = [yield* client(hub.places), yield* client(edge.places)]
      yield* Effect.promise(async () => {
        const overTheLink = await jetstreamManager(atHub, { domain: "edge" })
        await overTheLink.streams.add({ name: "readings", subjects: ["edge.>"] })
        for (let i = 0; i < 100; i++) await jetstream(atEdge).publish("edge.temperature", `${i}`)
        const manager = await jetstreamManager(atHub)
        const sources = [{ name: "readings", domain: "edge" }]
        await manager.streams.add({ name: "all-readings", num_replicas: 3, sources })
      })
      const sourced = Effect.promise(async () => {
        const { state } = await (await jetstreamManager(atHub)).streams.info("all-readings")
        return state.messages === 100
      })
      yield* until("all readings at the hub", sourced)
    }).pipe(Effect.scoped)
  )

  it.live("a stop in lame duck mode loses no message, and the server comes back with all of them", () =>
    Effect.gen(function* () {
      // A grace period of one second in place of ten; nats-server takes no duration under 30 s, but few clients are gone sooner.
      const hub = yield* release(rendering("nats", { lameDuck: { gracePeriodSeconds: 1 } }))
      const servers = yield* startAll(hub)
      const stopping = hub.places[1]!
      const connection = yield* client([stopping, ...hub.places], { noRandomize: true })
      const manager = yield* Effect.promise(() => jetstreamManager(connection))
      yield* Effect.promise(() => manager.streams.add({ name: "events", subjects: ["events"], num_replicas: 3 }))

      const progress = { published: 0, stopped: false }
      const done = yield* Effect.forkScoped(
        Effect.promise(async () => {
          const js = jetstream(connection, { timeout: 1_000 })
          for (; !progress.stopped; progress.published++) {
            const number = `${progress.published}`
            const send = () => js.publish("events", number, { msgID: number }).catch(() => undefined)
            while ((await send()) === undefined);
          }
        })
      )
      const more = (than: number) =>
        until(
          `more than ${than} published`,
          Effect.sync(() => progress.published > than)
        )
      yield* more(20)
      const { process: child } = servers[1]!
      const exit = once(child, "exit")
      yield* hub.preStop(stopping)
      child.kill("SIGTERM") // as the kubelet does once the hook has returned
      const [code] = yield* Effect.promise(() => exit).pipe(Effect.timeout("30 seconds"))
      assert.strictEqual(code, 0)
      assert.match(readFileSync(stopping.logFile, "utf8"), /Entering lame duck mode/)
      yield* more(progress.published + 20)
      yield* hub.start(stopping)
      yield* healthy(stopping)
      yield* more(progress.published + 20)
      progress.stopped = true
      yield* Fiber.join(done)
      const info = Effect.promise(() => manager.streams.info("events"))
      assert.strictEqual((yield* info).state.messages, progress.published)
      const current = info.pipe(Effect.map(({ cluster }) => cluster!.replicas!.every((replica) => replica.current)))
      yield* until("all copies are current", current)
    }).pipe(Effect.scoped)
  )

  it.live("one server becomes three and one again: its streams are not there in between, and not gone", () =>
    Effect.gen(function* () {
      const volumes = yield* tempDirectory("eventstream-chart-volumes-")
      const streamsWith = (replicas: number, work: (manager: JetStreamManager) => Promise<unknown>) =>
        Effect.gen(function* () {
          const hub = yield* release(rendering("nats", { replicas }), {}, volumes)
          yield* startAll(hub)
          const connection = yield* client(hub.places)
          return yield* Effect.promise(async () => {
            const manager = await jetstreamManager(connection)
            await work(manager)
            return (await manager.streams.list().next()).map(({ config }) => config.name)
          })
        }).pipe(Effect.scoped)
      const add = (name: string) => (manager: JetStreamManager) => manager.streams.add({ name, subjects: [name] })
      assert.deepEqual(yield* streamsWith(1, add("first")), ["first"])
      assert.deepEqual(yield* streamsWith(3, add("second")), ["second"])
      assert.deepEqual(yield* streamsWith(1, async () => {}), ["first"])
    }).pipe(Effect.scoped)
  )

  it.live("a leaf logs in to a hub in operator mode with a credentials file", () =>
    Effect.gen(function* () {
      const { config, credentials } = operatorMode()
      const port = yield* freePort
      const file = join(yield* tempDirectory("eventstream-operator-mode-"), "nats.conf")
      writeFileSync(file, `${config}\nport: -1\nleafnodes { listen: "127.0.0.1:${port}" }\n`)
      yield* server(yield* natsServerBinary, ["--config", file], /Server is ready/, {})
      const remote = { credentialsSecret: { name: "edge" } }
      const edge = yield* release(rendering("edge", leafOf([`nats://127.0.0.1:${port}`], remote)), {
        edge: { "user.creds": credentials }
      })
      yield* startAll(edge)
      yield* linked(edge.places[0]!)
    }).pipe(Effect.scoped)
  )
})

// Certificates are made with the openssl command.
describe.skipIf(spawnSync("openssl", ["version"]).status !== 0)(`${chart} with users and certificates`, () => {
  const keys = { writer: newUser(), edge: newUser(), stranger: newUser() }
  const auth = { "auth.conf": authConf(keys.writer.publicKey, keys.edge.publicKey) }

  it.live("every example is a configuration that nats-server accepts", () =>
    Effect.gen(function* () {
      const certificate = selfSigned()
      const secrets = {
        "nats-auth": auth,
        "nats-client-tls": certificate,
        "nats-cluster-tls": certificate,
        "nats-leaf-tls": certificate,
        "berlin-hub": { seed: keys.edge.seed },
        "berlin-hub-tls": certificate
      }
      const files = readdirSync(examples).filter((file) => file.startsWith("nats-"))
      assert.isNotEmpty(files)
      for (const file of files) yield* (yield* release(rendering("nats", {}, file), secrets)).check
    }).pipe(Effect.scoped)
  )

  it.live("who shows the right key and certificate gets in, on every listener, and nobody else", () =>
    Effect.gen(function* () {
      const [certificate, foreign] = [selfSigned(), selfSigned()]
      const hub = yield* release(rendering("nats", {}, "nats-tls.yaml", "nats-accounts.yaml"), {
        "nats-auth": auth,
        "nats-client-tls": certificate,
        "nats-cluster-tls": certificate,
        "nats-leaf-tls": certificate
      })
      yield* startAll(hub)
      const { places } = hub
      assert.match(yield* hub.test, /left out: the stream/)

      const as = ({ seed }: { readonly seed: string }) => nkeyAuthenticator(new TextEncoder().encode(seed))
      const tls = { ca: certificate["ca.crt"] }
      const login = { tls, authenticator: as(keys.writer) }
      // handshakeFirst: auto takes both kinds.
      yield* client(places, { ...login, tls: { ...tls, handshakeFirst: true } })
      const connection = yield* client(places, login)
      const { cluster } = yield* Effect.promise(async () => {
        const manager = await jetstreamManager(connection)
        return manager.streams.add({ name: "events", subjects: ["events"], num_replicas: 3 })
      })
      assert.lengthOf(cluster!.replicas!, 2)
      assert.match(yield* refused(places, { tls }), /Authorization Violation/)
      assert.match(yield* refused(places, { ...login, authenticator: as(keys.stranger) }), /Authorization Violation/)
      assert.match(yield* refused(places, { ...login, authenticator: as(keys.edge) }), /Authorization Violation/)
      assert.match(yield* refused(places, { ...login, tls: { ca: foreign["ca.crt"] } }), /self-signed|verif/)

      const remote = {
        nkeySecret: { name: "edge" },
        tls: { secretName: "edge-tls", clientCertificate: true, handshakeFirst: true }
      }
      const edgeOf = Effect.fnUntraced(function* (name: string, seed: string, shown: Readonly<Record<string, string>>) {
        const values = leafOf(leafUrls(hub, "tls"), remote)
        const edge = yield* release(rendering(name, values), { edge: { seed }, "edge-tls": shown })
        yield* startAll(edge)
        return edge.places[0]!
      })
      yield* linked(yield* edgeOf("edge", keys.edge.seed, certificate))
      const seen = yield* Effect.forEach(places, links)
      assert.deepEqual(
        seen.flat().map(({ account, name }) => ({ account, name })),
        [{ account: "EVENTS", name: "edge-0" }]
      )

      const says = (place: Place, what: RegExp) =>
        until(
          `${place.pod} logs ${what}`,
          Effect.sync(() => what.test(readFileSync(place.logFile, "utf8")))
        )
      const wrongKey = yield* edgeOf("wrong-key", keys.stranger.seed, certificate)
      yield* says(wrongKey, /Authorization Violation/)
      assert.isEmpty(yield* links(wrongKey))
      const wrongCertificate = yield* edgeOf("wrong-certificate", keys.edge.seed, {
        ...foreign,
        "ca.crt": certificate["ca.crt"]
      })
      yield* says(wrongCertificate, /certificate/)
      assert.isEmpty(yield* links(wrongCertificate))
    }).pipe(Effect.scoped)
  )
})
