import { Effect, Exit, Result, Schema, Scope } from "effect"
import { Client, DatabaseError, type QueryResult } from "pg"
import type { HostMap } from "./hosts.ts"
import {
  type PostgresOptions,
  type PostgresServerAddress,
  type PostgresSettings,
  PostgresSettingsInvalid,
  readSettings
} from "./postgres-settings.ts"
import { explained, tlsOptions } from "./postgres-tls.ts"

/**
 * A request failed: the server refused it, or there was no server. Everything but `rowData` and `context` may be logged;
 * those two quote values of rows.
 */
export class PostgresFailure extends Schema.TaggedError<PostgresFailure>()("PostgresFailure", {
  /** Null when the failure was seen by the client, e.g. a refused or broken connection, or no answer in time. */
  sqlstate: Schema.NullOr(Schema.String),
  /** The server's message, or what the client saw. */
  detail: Schema.String,
  schema: Schema.NullOr(Schema.String),
  table: Schema.NullOr(Schema.String),
  column: Schema.NullOr(Schema.String),
  constraint: Schema.NullOr(Schema.String),
  rowData: Schema.NullOr(Schema.String),
  /** Where the server was, e.g. `COPY t, line 7, column c: "…"`. */
  context: Schema.NullOr(Schema.String),
  /** How many statements of the request had succeeded. */
  statement: Schema.Number
}) {
  override get message() {
    return this.sqlstate === null ? this.detail : `${this.sqlstate} ${this.detail}`
  }
}

/** One request of several statements in one message, an implicit transaction, with the data of its COPY statements. */
export interface Script {
  /** Statements ending with semicolons. */
  readonly sql: string
  /** For each `COPY … FROM STDIN`, in order, the bytes of its data; every COPY has data. */
  readonly copies: ReadonlyArray<ReadonlyArray<Uint8Array>>
  /** Called when everything but the end of the last COPY is on its way, instead of sending that: a crash there, for tests. */
  readonly crash?: () => void
}

/** A connection. Requests are to be made one after another. */
export interface Session {
  /** Without values: may hold several statements, and gives the rows of the last one. */
  readonly query: (text: string, values?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<any>, PostgresFailure>
  /** The row counts of the statements (0 where there is none), in order. */
  readonly run: (script: Script) => Effect.Effect<ReadonlyArray<number>, PostgresFailure>
}

export interface ConnectOptions {
  /** Shown in pg_stat_activity; cut by the server at 63 bytes. */
  readonly applicationName: string
  readonly hosts: HostMap
  /** Longest time for any one request, after which the connection is given up; the server's own timeouts should come first. */
  readonly requestTimeoutMillis: number
}

/** A failure that the server did not report. */
const seenHere = (detail: string, statement: number, sqlstate: string | null = null) =>
  new PostgresFailure({
    sqlstate,
    detail,
    schema: null,
    table: null,
    column: null,
    constraint: null,
    rowData: null,
    context: null,
    statement
  })

const failure = (error: unknown, statement: number): PostgresFailure => {
  if (error instanceof DatabaseError) {
    return new PostgresFailure({
      sqlstate: error.code ?? null,
      detail: error.message,
      schema: error.schema ?? null,
      table: error.table ?? null,
      column: error.column ?? null,
      constraint: error.constraint ?? null,
      rowData: error.detail ?? null,
      context: error.where ?? null,
      statement
    })
  }
  // Node joins the errors of several addresses of a host (IPv4 and IPv6) without a text of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const text = first instanceof Error ? first.message : String(first)
  return seenHere(explained(text), statement)
}

/** Data is cut into messages of this size, so that the server works on the first while the last is still under way. */
const copyMessageBytes = 256 * 1024

const connectTimeoutMillis = 10_000

const settingsInvalid = (error: unknown) =>
  error instanceof PostgresSettingsInvalid
    ? error
    : new PostgresSettingsInvalid({ detail: error instanceof Error ? error.message : String(error) })

/** CopyDone. Source: PostgreSQL's message formats. */
const copyDone = Buffer.from([0x63, 0, 0, 0, 4])

interface Wire {
  readonly query: (sql: string) => void
  readonly stream: {
    readonly write: (bytes: Uint8Array, done?: () => void) => boolean
    readonly cork: () => void
    readonly uncork: () => void
  }
}

const writeCopy = (stream: Wire["stream"], data: ReadonlyArray<Uint8Array>) => {
  for (const bytes of data) {
    for (let at = 0; at < bytes.length; at += copyMessageBytes) {
      const message = bytes.subarray(at, at + copyMessageBytes)
      const head = Buffer.allocUnsafe(5)
      head[0] = 0x64
      head.writeInt32BE(message.length + 4, 1)
      stream.write(head)
      stream.write(message)
    }
  }
}

/**
 * Sends the statements and all COPY data in one go, without waiting for the server to ask for the data: one round trip. Should
 * a statement fail, the server ignores the data that follows. Source: PostgreSQL's protocol, COPY operations.
 */
const submittable = (script: Script, done: (result: ReadonlyArray<number> | PostgresFailure) => void) => {
  const counts: Array<number> = []
  return {
    submit(connection: unknown) {
      const { query, stream } = connection as Wire
      stream.cork()
      query.call(connection, script.sql)
      script.copies.forEach((data, index) => {
        writeCopy(stream, data)
        if (script.crash === undefined || index < script.copies.length - 1) stream.write(copyDone)
        else stream.write(Buffer.alloc(0), script.crash)
      })
      stream.uncork()
    },
    handleCommandComplete(message: { readonly text: string }) {
      counts.push(Number(/\d+$/.exec(message.text)?.[0] ?? 0))
    },
    handleError(error: unknown) {
      done(failure(error, counts.length))
    },
    handleReadyForQuery() {
      done(counts)
    },
    handleRowDescription() {},
    handleDataRow() {},
    handleEmptyQuery() {},
    handleCopyInResponse() {}
  }
}

const session = (client: Client, requestTimeoutMillis: number): Session => {
  const socket = (client as unknown as { readonly connection: { readonly stream: { destroy: () => void } } }).connection
    .stream
  const request = <A>(send: (resume: (effect: Effect.Effect<A, PostgresFailure>) => void) => void) =>
    Effect.callback<A, PostgresFailure>((resume) => {
      send(resume)
      // Interrupted or unanswered, the connection is in the middle of something: it can't be used again.
      return Effect.sync(() => socket.destroy())
    }).pipe(
      Effect.timeoutOrElse({
        duration: requestTimeoutMillis,
        orElse: () => Effect.fail(failure(new Error(`no answer within ${requestTimeoutMillis} ms`), 0))
      })
    )
  return {
    query: (text, values) =>
      request<ReadonlyArray<any>>((resume) => {
        client.query(text, values === undefined ? [] : [...values], (error, result: unknown) => {
          if (error) return resume(Effect.fail(failure(error, 0)))
          const last = (Array.isArray(result) ? result.at(-1) : result) as QueryResult
          resume(Effect.succeed(last.rows))
        })
      }),
    run: (script) =>
      request<ReadonlyArray<number>>((resume) => {
        client.query(
          submittable(script, (result) =>
            resume(result instanceof PostgresFailure ? Effect.fail(result) : Effect.succeed(result))
          )
        )
      })
  }
}

/** A connection to one server, as it is: perhaps one that only reads. */
const connectTo = (
  server: PostgresServerAddress,
  { database, user, password, tls }: PostgresSettings,
  options: ConnectOptions,
  onLost: () => void
): Effect.Effect<Session, PostgresFailure | PostgresSettingsInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const ssl = yield* Effect.try({ try: () => tlsOptions(tls, server.name), catch: settingsInvalid })
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const client = new Client({
          host: server.host,
          port: server.port,
          database,
          user,
          // As a function, because pg takes an empty one for "look into PGPASSWORD and ~/.pgpass".
          password: () => {
            if (password !== "") return password
            throw new PostgresSettingsInvalid({
              detail: `the database asks for the password of ${user}, and none is given; complete target.postgres or its Secret`
            })
          },
          ssl,
          application_name: options.applicationName,
          connectionTimeoutMillis: connectTimeoutMillis,
          keepAlive: true
        })
        client.on("error", onLost)
        client.on("end", onLost)
        return client
      }),
      (client) => Effect.promise(() => client.end()).pipe(Effect.timeoutOption("2 seconds"))
    )
    yield* Effect.tryPromise({
      try: () => client.connect(),
      catch: (error) => (error instanceof PostgresSettingsInvalid ? error : failure(error, 0))
    })
    return session(client, options.requestTimeoutMillis)
  })

/** read_only_sql_transaction: what a server that only reads answers to a write. Source: PostgreSQL, appendix "Error Codes". */
const readOnly = "25006"

const requireWritable = (session: Session): Effect.Effect<void, PostgresFailure> =>
  session
    .query("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only")
    .pipe(
      Effect.flatMap(([row]) =>
        row.read_only === true ? Effect.fail(seenHere("takes no writes", 0, readOnly)) : Effect.void
      )
    )

/** The first of several servers that takes writes. A server that is away or only reads is passed over. */
const connectToPrimary = (
  settings: PostgresSettings,
  options: ConnectOptions,
  onLost: () => void
): Effect.Effect<Session, PostgresFailure | PostgresSettingsInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const refusals: Array<string> = []
    let sqlstate: string | null = null
    for (const server of settings.servers) {
      const scope = yield* Scope.fork(parent)
      let chosen = false
      const attempt = yield* connectTo(server, settings, options, () => chosen && onLost()).pipe(
        Effect.tap(requireWritable),
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void)),
        Effect.result
      )
      if (Result.isSuccess(attempt)) {
        chosen = true
        return attempt.success
      }
      if (attempt.failure._tag === "PostgresSettingsInvalid") return yield* attempt.failure
      sqlstate ??= attempt.failure.sqlstate
      refusals.push(`${server.name}: ${attempt.failure.message}`)
    }
    return yield* seenHere(`none of the servers takes writes (${refusals.join("; ")})`, 0, sqlstate)
  })

/**
 * A connection that lives as long as the scope, with settings read now; where they name several servers, to the first that
 * takes writes.
 *
 * @param onLost called once when the connection breaks by itself
 */
export const connectPostgres = (
  postgres: PostgresOptions,
  options: ConnectOptions,
  onLost: () => void
): Effect.Effect<Session, PostgresFailure | PostgresSettingsInvalid, Scope.Scope> =>
  Effect.try({ try: () => readSettings(postgres, options.hosts), catch: settingsInvalid }).pipe(
    Effect.flatMap((settings) =>
      settings.servers.length === 1
        ? connectTo(settings.servers[0]!, settings, options, onLost)
        : connectToPrimary(settings, options, onLost)
    )
  )
