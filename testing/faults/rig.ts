import { jetstreamManager, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream"
import { connect, type ConnectionOptions, nanos, type NatsConnection } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import type { EncodedWriterConfig } from "../../writer/config.ts"
import type { Answer } from "../logged-process.ts"
import { type Proxy } from "../proxy.ts"
import { randomIntegers } from "../random.ts"
import type { Tree } from "../debian.ts"
import {
  type Database,
  type DatabaseOptions,
  type PairedDatabase,
  startDatabase,
  startPairedDatabase
} from "./database.ts"
import { type Lane, makeLane } from "./lane.ts"
import { hubDomain, type Leaf, makeHub, startLeaf } from "./leaf.ts"
import { type Monitor, startMonitor } from "./monitor.ts"
import { type NatsCluster, type NatsNode, startCluster } from "./nats-cluster.ts"
import { numbered, type Producer, producerConnection, startProducer } from "./producer.ts"
import type { Restartable } from "./restartable.ts"
import { type Identities, makeIdentities } from "./identities.ts"
import { startPooler } from "./pooler.ts"
import type { WriterSlot } from "./writers.ts"

/** What a case runs on, where it is not the default. */
export interface RigOptions {
  /** NATS servers: one, or three with replicated stream and durables. Unset: one. */
  readonly nodes?: 1 | 3
  /** Further lines of each server's configuration. */
  readonly natsConfig?: ReadonlyArray<string>
  /** The user of producer and checker, where the servers ask for one. */
  readonly login?: { readonly user: string; readonly pass: string }
  /** Of each lane. Unset: 1. */
  readonly writers?: number
  /** Names of lanes. Unset: one. */
  readonly lanes?: ReadonlyArray<string>
  /** Messages per second. Unset: 1,000. */
  readonly rate?: number
  /** About so many bytes are a payload. */
  readonly bytes?: number
  /** Unset: 5 s. */
  readonly ackWaitMillis?: number
  readonly maxAckPending?: number
  readonly stream?: Partial<StreamConfig>
  readonly database?: DatabaseOptions
  /** The database has a standby. */
  readonly standby?: boolean
  /** A PgBouncer in transaction mode is between writers and database. */
  readonly pooler?: Tree
  /** Writers reach NATS through a leaf node, from another JetStream domain. */
  readonly leaf?: boolean
  /** NATS demands TLS with client certificates. */
  readonly tls?: boolean
  /** Replaces fields of the writers' configuration. */
  readonly writer?: (defaults: EncodedWriterConfig) => EncodedWriterConfig
  /** Further arguments of Node for the writers. */
  readonly nodeOptions?: string
  /** The stream removes messages unread: acks pass over them, and only the end tells whether each of them is accounted for. */
  readonly removal?: boolean
  /** Done before the writers start. */
  readonly prepare?: (database: Database) => Effect.Effect<void>
}

/** How long the flow took to come back, and how long it may. */
export interface Recovery {
  readonly seconds: number
  readonly bound: number
  readonly what: string
}

export interface Rig {
  readonly options: RigOptions
  /** Whether faults are to last as long as they can show anything more. */
  readonly full: boolean
  /** In [0, 1), from the seed. */
  readonly random: () => number
  readonly nats: NatsCluster
  readonly database: Database
  /** Set where the options ask for it. */
  readonly paired: PairedDatabase | undefined
  readonly pooler: Restartable | undefined
  readonly leaf: Leaf | undefined
  readonly identities: Identities | undefined
  readonly lanes: ReadonlyArray<Lane>
  /** The only lane, or the first. */
  readonly lane: Lane
  /** The first writer of it. */
  readonly writer: WriterSlot
  readonly writers: ReadonlyArray<WriterSlot>
  readonly producer: Producer
  readonly monitor: Monitor
  /** Past all proxies, on one server after the other. */
  readonly manager: () => JetStreamManager
  readonly connection: () => NatsConnection
  readonly stream: string
  readonly createStream: Effect.Effect<void>
  readonly recoveries: ReadonlyArray<Recovery>
  readonly violations: ReadonlyArray<string>
  /** Waits until outcomes come again; longer than the bound is a violation (V5). */
  readonly recovers: (bound: number, what?: string, lane?: Lane) => Effect.Effect<void>
  /** The longest pause of outcomes since then (`Date.now()`) against its bound, in seconds (V5). */
  readonly paused: (since: number, bound: number, what?: string, lane?: Lane) => Effect.Effect<void>
  /** A violation unless it holds. */
  readonly expect: (holds: boolean, sentence: string) => void
  /** A violation unless a writer told of this: else the fault was none. */
  readonly told: (what: RegExp) => void
  /** Waits until a writer's `/readyz` answers so; later than so many seconds is a violation (V7). */
  readonly says: (what: RegExp, seconds: number, writer?: WriterSlot) => Effect.Effect<void>
}

const streamName = "FAULTS"
const subject = "faults.event"

/** Connections to each node; asks one that is connected. */
const makeManagers = Effect.fnUntraced(function* (urls: ReadonlyArray<string>, login: ConnectionOptions) {
  const clients = yield* Effect.forEach(urls, (servers) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const connection = await connect({ ...producerConnection, ...login, servers })
        return { connection, manager: await jetstreamManager(connection, { checkAPI: false, timeout: 2_000 }) }
      }),
      ({ connection }) => Effect.promise(() => connection.close())
    )
  )
  let turn = 0
  return () => clients[turn++ % clients.length]!
})

const orderly = <A>(work: () => Promise<A>) =>
  Effect.tryPromise(work).pipe(
    Effect.catch((error) => Effect.sleep("200 millis").pipe(Effect.andThen(Effect.fail(error)))),
    Effect.retry({ times: 150 }),
    Effect.orDie
  )

/** Everything a case runs on, ready and idle. */
export const makeRig = Effect.fnUntraced(function* (setting: {
  readonly options: RigOptions
  readonly seed: number
  readonly full: boolean
  readonly program: readonly [string, ...ReadonlyArray<string>]
}): Effect.fn.Return<Rig, never, Scope.Scope> {
  const { options, full } = setting
  const { nodes = 1, writers = 1, lanes: laneNames = ["events"], ackWaitMillis = 5_000 } = options
  const integers = randomIntegers(setting.seed)
  const random = () => integers() / 2 ** 32
  const identities = options.tls ? yield* makeIdentities : undefined
  const hub = options.leaf ? yield* makeHub : undefined
  const lines = [...(options.natsConfig ?? []), ...(identities?.natsConfig ?? []), ...(hub?.natsConfig ?? [])]
  const paired = options.standby ? yield* startPairedDatabase : undefined
  const [nats, database] = yield* Effect.all(
    [startCluster(nodes, lines), paired ? Effect.succeed(paired) : startDatabase(options.database)],
    { concurrency: 2 }
  )
  const leaf = hub && (yield* startLeaf(hub))
  const pooler = options.pooler && (yield* startPooler(options.pooler, database.port))
  const login = { ...options.login, ...(identities ? { tls: identities.observer } : {}) }
  const client = yield* makeManagers(nats.urls, login)
  const manager = () => client().manager
  const createStream = orderly(() =>
    manager().streams.add({
      name: streamName,
      subjects: ["faults.>"],
      num_replicas: nodes,
      duplicate_window: nanos(600_000),
      ...options.stream
    })
  ).pipe(Effect.asVoid)
  yield* createStream
  const lanes = yield* Effect.forEach(laneNames, (name) =>
    makeLane({
      name,
      stream: streamName,
      writers,
      replicas: nodes,
      ackWaitMillis,
      maxAckPending: options.maxAckPending ?? 10_000,
      config: (defaults) => {
        const connected = {
          ...defaults,
          nats: {
            ...defaults.nats,
            ...(identities ? { tls: identities.writer } : {}),
            ...(leaf ? { jetstreamDomain: hubDomain } : {})
          }
        }
        return options.writer?.(connected) ?? connected
      },
      manager,
      slot: {
        natsPorts: leaf ? [leaf.port] : nats.nodes.map(({ port }) => port),
        postgresPort: pooler?.port ?? database.port,
        program: setting.program,
        ...(options.nodeOptions === undefined ? {} : { nodeOptions: options.nodeOptions }),
        random
      }
    })
  )
  if (options.prepare) yield* options.prepare(database)
  const producer = yield* startProducer({
    urls: nats.urls,
    login,
    subject,
    name: "p",
    make: numbered(options.bytes)
  })
  const monitor = yield* startMonitor({
    port: database.port,
    lanes,
    stream: streamName,
    manager,
    removal: options.removal ?? false
  })
  const lane = lanes[0]!
  const recoveries: Array<Recovery> = []
  const violations: Array<string> = []
  const note = (seconds: number, bound: number, what: string) => {
    recoveries.push({ seconds, bound, what })
    if (seconds > bound) violations.push(`V5: ${what} took ${seconds.toFixed(1)} s, bound ${bound} s`)
  }

  const says: Rig["says"] = (what, seconds, writer = lane.writers[0]!) =>
    Effect.gen(function* () {
      const until = Date.now() + seconds * 1000
      let answer: Answer | undefined
      while (answer === undefined || !what.test(answer.text)) {
        if (Date.now() > until) {
          const found = JSON.stringify(answer?.text ?? "no answer")
          return void violations.push(`V7: writer ${writer.name} did not say ${what} within ${seconds} s, but ${found}`)
        }
        yield* Effect.sleep("50 millis")
        const process = writer.process()
        if (process !== undefined) answer = yield* Effect.orDie(process.get("/readyz"))
      }
    })

  return {
    options,
    full,
    random,
    nats,
    database,
    paired,
    pooler,
    leaf,
    identities,
    lanes,
    lane,
    writer: lane.writers[0]!,
    writers: lanes.flatMap(({ writers }) => writers),
    producer,
    monitor,
    manager,
    connection: () => client().connection,
    stream: streamName,
    createStream,
    recoveries,
    violations,
    recovers: (bound, what = "recovery", of = lane) =>
      Effect.gen(function* () {
        // A flow that does not come back at all ends the case; one that is late is measured.
        const millis = yield* monitor.flows(of).pipe(Effect.timeoutOption(`${3 * bound + 30} seconds`))
        note(millis._tag === "Some" ? millis.value / 1000 : Infinity, bound, what)
      }),
    paused: (since, bound, what = "longest pause", of = lane) =>
      Effect.sync(() => note(monitor.longestPause(of, since) / 1000, bound, what)),
    expect: (holds, sentence) => {
      if (!holds) violations.push(sentence)
    },
    told: (what) => {
      const writers = lanes.flatMap(({ writers }) => writers)
      if (!writers.some(({ log }) => what.test(log()))) violations.push(`no writer met ${what}: the fault was none`)
    },
    says
  } satisfies Rig
})

/** Proxies of all writers to NATS, to one node or to all. */
export const natsEdges = ({ nats, writers }: Rig, node?: NatsNode): ReadonlyArray<Proxy> =>
  writers.flatMap((writer) => (node === undefined ? writer.nats : [writer.nats[nats.nodes.indexOf(node)]!]))

/** Proxies of all writers to the database. */
export const postgresEdges = ({ writers }: Rig): ReadonlyArray<Proxy> => writers.map(({ postgres }) => postgres)
