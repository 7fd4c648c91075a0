import { Effect, Layer, Queue } from "effect"
import type { HostMap } from "../../platform/hosts.ts"
import type { PostgresOptions } from "../../platform/postgres-settings.ts"
import type { Table } from "../tables/table.ts"
import { makeLedgerAudit } from "./audit.ts"
import { readServer } from "./catalog.ts"
import { compact } from "./compaction.ts"
import { limited, makeSlot } from "./connection.ts"
import { lowestUncovered, readCoverage, resolveCoverage } from "./coverage.ts"
import { type DeadLetterRules, keepEverything } from "./deadletter.ts"
import { makeDeadLetterStore } from "./dead-letter-store.ts"
import { LedgerConflict } from "./errors.ts"
import { translated } from "./failure.ts"
import { openLane } from "./lane.ts"
import { distinct } from "./ledger.ts"
import { makeReplayStore } from "./replay-store.ts"
import { laneTable, ledgerTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import type { Timeouts } from "./statements.ts"
import { Store, type Totals, type Written } from "./store.ts"
import { makeBatchWriter } from "./write.ts"

export interface StoreOptions {
  readonly postgres: PostgresOptions & Timeouts
  /** `target.schema`. */
  readonly schema: string
  /** The processor's tables. */
  readonly tables: ReadonlyArray<Table>
  readonly eventStream: { readonly namespace: string; readonly name: string }
  readonly hosts: HostMap
  /** Unset: everything is kept. */
  readonly deadLetters?: DeadLetterRules
}

/** How long beyond statement_timeout the client waits for an answer before it gives the connection up. */
const answerSlackMillis = 5_000

/** unique_violation, exclusion_violation */
const sameKey = ["23505", "23P01"]

const nothing: Written = { messages: 0, rows: 0, conflicts: 0, deadLettered: 0, dropped: 0 }

const totals = (schema: string) => `\
SELECT pruned_messages + coalesce(sum(messages), 0) AS messages, pruned_rows + coalesce(sum(rows), 0) AS rows,
  pruned_dead + coalesce(sum(dead), 0) AS dead, pruned_dropped + coalesce(sum(dropped), 0) AS dropped,
  greatest(pruned_committed_at, max(committed_at)) AS committed_at
FROM ${qualified(schema, laneTable)} head LEFT JOIN ${qualified(schema, ledgerTable)} record ON record.lane = head.id
WHERE head.id = $1 GROUP BY head.id`

/** The store over PostgreSQL: one connection for batches, one for what must not wait for them. */
export const storeLayer = ({
  postgres,
  schema,
  tables,
  eventStream,
  hosts,
  deadLetters = keepEverything
}: StoreOptions): Layer.Layer<Store> =>
  Layer.effect(
    Store,
    Effect.gen(function* () {
      const { statementTimeoutMillis, lockTimeoutMillis } = postgres
      const timeouts: Timeouts = { statementTimeoutMillis, lockTimeoutMillis }
      const settings = {
        applicationName: `eventstream/${eventStream.namespace}/${eventStream.name}`,
        hosts,
        requestTimeoutMillis: statementTimeoutMillis + answerSlackMillis
      }
      const connects = yield* Queue.sliding<void>(1)
      let connected = false
      const batches = yield* makeSlot(postgres, settings, () => {
        if (connected) Queue.offerUnsafe(connects, undefined)
        connected = true
      })
      const upkeep = yield* makeSlot(postgres, settings)
      const writer = makeBatchWriter({ schema, tables, timeouts, deadLetters, writer: process.pid }, batches, upkeep)
      /** By lane: its `rollbacks` when coverage was last read. A commit under another number is refused. */
      const rollbacks = new Map<number, number>()

      return Store.of({
        open: (request) =>
          translated(
            batches.use((session) =>
              Effect.gen(function* () {
                const server = yield* readServer(limited(session, timeouts))
                yield* writer.verify(session)
                const opened = yield* openLane(session, schema, timeouts, server, request)
                rollbacks.set(opened.lane.id, opened.rollbacks)
                return opened.lane
              })
            )
          ),

        verify: translated(batches.use(writer.verify)),

        covered: (lane, deliveries) =>
          deliveries.length === 0
            ? Effect.succeed([])
            : translated(
                batches.use((session) => resolveCoverage(session, schema, timeouts, lane.id, deliveries))
              ).pipe(
                Effect.map((read) => {
                  rollbacks.set(lane.id, read.rollbacks)
                  return read.coverage
                })
              ),

        write: (lane, batch, selected, removed) =>
          Effect.gen(function* () {
            const chosen = distinct(batch.deliveries, selected)
            if (chosen.length === 0) return nothing
            const requireOpen = Effect.gen(function* () {
              const messages = chosen.map((index) => batch.deliveries[index]!)
              const read = yield* translated(
                batches.use((session) => readCoverage(session, schema, timeouts, lane.id, messages))
              )
              if (read.coverage.some((state) => state !== "Open")) return yield* new LedgerConflict({ lane: lane.id })
              return read.rollbacks
            })
            // Once the stream has used numbers twice, what was set aside counts too, and the ledger's own check is not of it.
            const known = rollbacks.get(lane.id) === 0 ? 0 : yield* requireOpen
            return yield* writer.write(lane, known, batch, chosen, removed).pipe(
              Effect.tapError((error) =>
                // The row with the same key may be this very message's, of a commit whose answer was lost.
                error._tag === "RowRefused" && sameKey.includes(error.sqlstate) ? requireOpen : Effect.void
              )
            )
          }),

        accepts: writer.accepts,

        lowestUncovered: (lane, lastSequence) =>
          translated(upkeep.use((session) => lowestUncovered(session, schema, timeouts, lane.id, lastSequence))),

        compact: (lane, stream) =>
          translated(upkeep.use((session) => compact(session, schema, timeouts, lane.id, stream))),

        deadLetters: makeDeadLetterStore(upkeep, schema, timeouts, eventStream),

        replays: makeReplayStore(upkeep, schema, timeouts, eventStream),

        audit: makeLedgerAudit(schema, timeouts, (work) => translated(upkeep.use(work))),

        reconnected: Queue.take(connects),

        server: translated(upkeep.use((session) => readServer(limited(session, timeouts)))),

        connections: () => {
          const states = [batches.state(), upkeep.state()]
          const sum = (field: "idle" | "used" | "waiting") => states.reduce((total, state) => total + state[field], 0)
          return { idle: sum("idle"), used: sum("used"), waiting: sum("waiting") }
        },

        totals: (lane) =>
          translated(upkeep.use((session) => limited(session, timeouts).query(totals(schema), [lane.id]))).pipe(
            Effect.map(([row]): Totals => ({
              messages: Number(row?.messages ?? 0),
              rows: Number(row?.rows ?? 0),
              deadLettered: Number(row?.dead ?? 0),
              dropped: Number(row?.dropped ?? 0),
              lastWriteTime: row?.committed_at ?? null
            }))
          )
      })
    })
  )
