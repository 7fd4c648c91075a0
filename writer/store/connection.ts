import { Effect, Exit, Scope, Semaphore } from "effect"
import { type ConnectOptions, connectPostgres, PostgresFailure, type Session } from "../../platform/postgres.ts"
import type { PostgresOptions, PostgresSettingsInvalid } from "../../platform/postgres-settings.ts"
import { DatabaseUnavailable } from "./errors.ts"
import { reactionTo } from "./sqlstate.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"

/** A place for one connection, which is opened at its first use and again after it broke. Uses wait for each other. */
export interface Slot {
  readonly use: <A, E>(
    work: (session: Session) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | PostgresFailure | PostgresSettingsInvalid>
  /** Connections that are open and in no use, that are in use, and uses that wait. */
  readonly state: () => { readonly idle: number; readonly used: number; readonly waiting: number }
}

/** Whether the connection is of no use after this failure: it is broken, or leads to a server that can't be written to. */
const breaks = (error: unknown): boolean =>
  error instanceof PostgresFailure
    ? reactionTo({ sqlstate: error.sqlstate, constraint: error.constraint, ledger: false })._tag === "Unreachable"
    : error instanceof DatabaseUnavailable && error.reason === "TargetUnreachable"

/**
 * A slot whose connection closes with the scope.
 *
 * @param onConnected told of each connection that is made
 */
export const makeSlot = (
  options: PostgresOptions,
  settings: ConnectOptions,
  onConnected: () => void = () => undefined
): Effect.Effect<Slot, never, Scope.Scope> =>
  Effect.gen(function* () {
    const turn = yield* Semaphore.make(1)
    /** Uses that have begun, waiting ones included. */
    let uses = 0
    let open: { readonly session: Session; readonly scope: Scope.Closeable } | undefined

    const close = Effect.suspend(() => {
      const closing = open
      open = undefined
      return closing ? Scope.close(closing.scope, Exit.void) : Effect.void
    })
    yield* Effect.addFinalizer(() => close)

    const connect = Effect.gen(function* () {
      // What an idle connection tells when it breaks: the next use is to connect again.
      let lost = false
      const scope = yield* Scope.make()
      const session = yield* connectPostgres(options, settings, () => {
        lost = true
        if (open?.scope === scope) open = undefined
      }).pipe(
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      if (!lost) open = { session, scope }
      onConnected()
      return session
    })

    const counted = <A, E>(use: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        uses++
        return use
      }).pipe(Effect.ensuring(Effect.sync(() => uses--)))

    return {
      use: (work) =>
        Effect.suspend(() => (open ? Effect.succeed(open.session) : connect)).pipe(
          Effect.flatMap(work),
          Effect.tapError((error) => (breaks(error) ? close : Effect.void)),
          // In the middle of something, perhaps of a transaction.
          Effect.onInterrupt(() => close),
          Effect.tapDefect(() => close),
          turn.withPermits(1),
          counted
        ),
      state: () => ({ idle: open && uses === 0 ? 1 : 0, used: Math.min(uses, 1), waiting: Math.max(0, uses - 1) })
    }
  })

/**
 * The session with every query in a transaction of its own, under the timeouts: settings of the session itself would stay with a
 * connection that a pooler gives to others, and poolers refuse them at connect. Without them the server goes on with a query
 * after the client gave it up.
 */
export const limited = (session: Session, timeouts: Timeouts): Session => ({
  ...session,
  query: (text, values) => transaction(session, setTimeouts(timeouts), session.query(text, values))
})

/** Statements that commit together; `work` makes them on the session it is given. */
export const transaction = <A, E>(
  session: Session,
  settings: string,
  work: Effect.Effect<A, E>
): Effect.Effect<A, E | PostgresFailure> =>
  session.query(`BEGIN; ${settings}`).pipe(
    Effect.andThen(work),
    Effect.tapError(() => Effect.ignore(session.query("ROLLBACK"))),
    Effect.tap(() => session.query("COMMIT"))
  )
