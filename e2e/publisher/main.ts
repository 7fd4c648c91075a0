import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Config, Console, Effect, Exit, Option, Redacted, Runtime, Schedule } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Client } from "pg"
import { lastingConnection } from "../../testing/nats-client.ts"
import { publish } from "./publish.ts"
import { forward } from "./proxy.ts"
import { handOver, streamReport } from "./streams.ts"

/**
 * The scenarios' hands inside the cluster, run by `kubectl exec` in a Pod that is otherwise idle: so that they need no route
 * from the machine to Pods. Every command prints one JSON line.
 */

const server = Flag.String("server").pipe(
  Flag.withDescription("NATS to connect to."),
  Flag.withDefault("nats://nats.nats.svc:4222")
)

/** A NATS server that is just being restarted is no reason to give up. */
const connected = (url: string) =>
  lastingConnection(url, "publisher").pipe(Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 60 }))

const print = (value: unknown) => Console.log(JSON.stringify(value))

const publishCommand = Command.make(
  "publish",
  {
    server,
    subject: Flag.String("subject").pipe(Flag.withDescription("Subject to publish on.")),
    run: Flag.String("run").pipe(Flag.withDescription("Prefix of the message ids, which are deduplicated.")),
    from: Flag.Int("from").pipe(Flag.withDefault(1), Flag.withDescription("First number.")),
    count: Flag.Int("count").pipe(Flag.withDescription("How many messages, at most.")),
    rate: Flag.Finite("rate").pipe(Flag.withDefault(200), Flag.withDescription("Messages per second.")),
    payload: Flag.String("payload").pipe(
      Flag.withDefault('{"n":{n}}'),
      Flag.withDescription("The message; {n} in it becomes its number.")
    ),
    base64: Flag.Boolean("base64").pipe(
      Flag.withDefault(false),
      Flag.withDescription("The payload is base64 of the bytes to publish.")
    ),
    untilEnd: Flag.Boolean("until-end-of-input").pipe(
      Flag.withDefault(false),
      Flag.withDescription("End earlier, when standard input ends: a load of unknown length.")
    )
  },
  ({ server, payload, base64, untilEnd, ...publication }) =>
    Effect.gen(function* () {
      let ended = false
      if (untilEnd) process.stdin.resume().once("end", () => (ended = true))
      const bytes = Buffer.from(payload, "base64")
      const nats = yield* connected(server)
      const figures = yield* publish(nats, {
        ...publication,
        payload: (n) => (base64 ? bytes : payload.replaceAll("{n}", String(n))),
        ended: () => ended
      })
      yield* print(figures)
    }).pipe(Effect.scoped)
).pipe(Command.withDescription("Publish numbered messages, each until JetStream has acknowledged it."))

const streamCommand = Command.make(
  "stream",
  {
    server,
    domain: Flag.String("domain").pipe(Flag.optional, Flag.withDescription("JetStream domain.")),
    name: Argument.String("name")
  },
  ({ server, domain, name }) =>
    connected(server).pipe(
      Effect.flatMap((nats) => streamReport(nats, name, Option.getOrUndefined(domain))),
      Effect.flatMap(print),
      Effect.scoped
    )
).pipe(Command.withDescription("What JetStream says about a stream and its consumers; null when there is none."))

const handOverCommand = Command.make(
  "hand-over",
  {
    server,
    to: Flag.String("to").pipe(Flag.withDescription("Name of the server that is to lead.")),
    name: Argument.String("name")
  },
  ({ server, to, name }) =>
    connected(server).pipe(
      Effect.flatMap((nats) => handOver(nats, name, to)),
      Effect.andThen(print(null)),
      Effect.scoped
    )
).pipe(Command.withDescription("Ask the leaders of a stream and its consumers to hand over to a server."))

const sqlCommand = Command.make(
  "sql",
  {
    url: Flag.Redacted("url").pipe(
      Flag.withFallbackConfig(Config.Redacted("DATABASE_URL")),
      Flag.withDescription("Database. Unset: the variable DATABASE_URL.")
    ),
    text: Argument.String("text")
  },
  ({ url, text }) =>
    Effect.acquireUseRelease(
      Effect.tryPromise(async () => {
        const client = new Client({ connectionString: Redacted.value(url), connectionTimeoutMillis: 5_000 })
        await client.connect()
        return client
      }),
      (client) => Effect.tryPromise(() => client.query(text)).pipe(Effect.flatMap(({ rows }) => print(rows))),
      (client) => Effect.promise(() => client.end())
    )
).pipe(Command.withDescription("Run SQL and print the rows of its last statement."))

const proxyCommand = Command.make(
  "proxy",
  {
    listen: Flag.Int("listen").pipe(Flag.withDescription("Port to listen on.")),
    to: Flag.String("to").pipe(Flag.withDescription("host:port that connections are carried to."))
  },
  ({ listen, to }) => {
    const [host = "", port] = to.split(":")
    return forward(listen, { host, port: Number(port) }).pipe(Effect.andThen(Effect.never), Effect.scoped)
  }
).pipe(Command.withDescription("Carry TCP connections to another address."))

const idleCommand = Command.make("idle", {}, () => Effect.never).pipe(Command.withDescription("Wait to be used."))

Command.make("publisher").pipe(
  Command.withSubcommands([publishCommand, streamCommand, handOverCommand, sqlCommand, proxyCommand, idleCommand]),
  Command.run({ version: "1" }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    teardown: (exit, onExit) =>
      Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
  })
)
