import { Effect } from "effect"
import type { ReplayConfig } from "../config.ts"
import type { Processor } from "../processors/processor.ts"
import { matchesAny } from "../processors/routing.ts"
import type { DatabaseError } from "../store/errors.ts"
import type { ReplayProgress } from "../store/replay-store.ts"
import type { Store } from "../store/store.ts"
import { deadMessageBatch, type ReplayBatch } from "./batch.ts"

/** Whether a dead letter's reason was asked for: `missing_field` means `missing_field:id` too. */
export const isReason = (asked: ReadonlyArray<string>, reasons: ReadonlyArray<string>): boolean =>
  asked.length === 0 || reasons.some((reason) => asked.includes(reason) || asked.includes(reason.split(":", 1)[0]!))

/**
 * Batches of what lies in the table behind the cursor, lane by lane and in the order of sequences, for `handle`; those that come
 * while the replay runs are taken too when they are ahead of it.
 *
 * @param limit most messages of a batch
 */
export const fromDeadLetters = Effect.fnUntraced(function* <E>(
  { replays }: Store["Service"],
  processor: Processor,
  { range, filter }: Pick<ReplayConfig, "range" | "filter">,
  cursor: ReplayProgress["cursor"],
  limit: number,
  handle: (batch: ReplayBatch) => Effect.Effect<void, E>
): Effect.fn.Return<void, E | DatabaseError> {
  const wanted = matchesAny(filter.subjects)
  const lanes = (yield* replays.lanes).filter(({ id }) => id >= cursor.lane)
  const behindOf = (lane: number) => (lane === cursor.lane ? cursor.seq : 0)
  let remaining = 0
  for (const { id } of lanes)
    remaining += yield* replays.countDeadMessages({ ...range, lane: id, behind: behindOf(id) })
  for (const base of lanes) {
    let behind = behindOf(base.id)
    for (;;) {
      const found = yield* replays.deadMessages({ ...range, lane: base.id, behind, limit })
      const last = found.at(-1)
      if (last === undefined) break
      behind = last.seq
      remaining = Math.max(0, remaining - found.length)
      const chosen = found.filter(({ subject, reasons }) => wanted(subject) && isReason(filter.reasons, reasons))
      const cursor = { lane: base.id, seq: behind }
      yield* handle({
        ...deadMessageBatch(processor, chosen),
        chosen: chosen.map((_, i) => i),
        base,
        cursor,
        remaining
      })
    }
  }
})
