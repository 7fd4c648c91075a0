import { Effect, Result } from "effect"
import { decide, type SettleRules, split } from "../settle.ts"
import type { Store } from "../store/store.ts"
import type { ReplayBatch } from "./batch.ts"

/** What became of a batch's messages. */
export interface Replayed {
  /** Written by this replay, now or in an earlier life of it; in a dry run, those that would be. */
  readonly written: number
  /** How often which reason kept a message from being written. */
  readonly failed: ReadonlyMap<string, number>
  /** Messages whose dead letters somebody else replayed or removed meanwhile. */
  readonly gone: number
}

interface Group {
  readonly selected: ReadonlyArray<number>
  readonly refusals: number
  /** Ask the ledger first. */
  readonly check: boolean
}

/**
 * Gives the messages their outcome in the replay's lane, however often that takes: a database that fails is waited for, and what
 * it refuses is found by halving and left as it is.
 *
 * @param removes whether dead letters go with the commit that writes their rows
 * @param lane of the replay; undefined in a dry run, which writes nothing
 */
export const replayBatch = Effect.fnUntraced(function* (
  store: Store["Service"],
  rules: SettleRules,
  removes: boolean,
  lane: number | undefined,
  { base, batch, chosen, faults, letters }: ReplayBatch
): Effect.fn.Return<Replayed> {
  const failed = new Map<string, number>()
  const fail = (reason: string) => failed.set(reason, (failed.get(reason) ?? 0) + 1)
  let written = 0
  let gone = 0
  /** Failures of the database in a row. */
  let failures = 0
  for (const index of chosen) if (faults[index] !== undefined) fail(faults[index])
  const groups: Array<Group> = [
    { selected: chosen.filter((index) => faults[index] === undefined), refusals: 0, check: lane !== undefined }
  ]

  const divide = (group: Group, suspect: number | null) =>
    groups.push(...split(group.selected, suspect).map((selected) => ({ selected, refusals: 0, check: false })))

  const wait = Effect.fnUntraced(function* (group: Group, millis: number, message: string) {
    if (failures++ === 0) yield* Effect.logWarning(message)
    yield* Effect.sleep(millis)
    groups.push(group)
  })

  /** What of the group has no outcome in this replay yet. */
  const uncovered = Effect.fnUntraced(function* (id: number, group: Group) {
    const coverage = yield* store.covered(
      { id },
      group.selected.map((index) => batch.deliveries[index]!)
    )
    return group.selected.filter((_, at) => coverage[at] !== "Covered")
  })

  const tryOut = (group: Group) =>
    store.accepts(batch, group.selected).pipe(
      Effect.map((accepted) => {
        if (accepted) written += group.selected.length
        else if (group.selected.length > 1) divide(group, null)
        else fail("db_rejected")
      })
    )

  const attempt = Effect.fnUntraced(function* (id: number, group: Group) {
    if (group.check) {
      const open = yield* uncovered(id, group)
      written += group.selected.length - open.length
      if (open.length > 0) groups.push({ ...group, selected: open, check: false })
      return
    }
    const removed = !removes ? [] : group.selected.flatMap((index) => letters[index]!)
    yield* store.write({ id, stream: base.stream }, batch, group.selected, removed)
    written += group.selected.length
  })

  while (groups.length > 0) {
    const group = groups.pop()!
    if (group.selected.length === 0) continue
    const result = yield* Effect.result(lane === undefined ? tryOut(group) : attempt(lane, group))
    if (Result.isSuccess(result)) {
      failures = 0
      continue
    }
    const { failure } = result
    const { refusals, selected } = group
    const decision = decide({ failure, failures, refusals, conflicts: 0, size: selected.length }, rules)
    switch (decision._tag) {
      case "Retry":
      case "Stall":
        yield* wait(
          { ...group, refusals: refusals + 1, check: lane !== undefined },
          decision.afterMillis,
          failure.message
        )
        break
      case "Split":
        divide(group, decision.suspect)
        break
      case "Subtract":
      case "Reopen": {
        // Some of it was written by a commit whose answer was lost, or its dead letters are gone.
        if (selected.length > 1) for (const one of selected) groups.push({ selected: [one], refusals: 0, check: true })
        else gone++
        break
      }
      case "DeadLetter":
      case "Halt":
      case "Drop":
        fail(decision.reason)
        break
    }
  }
  return { written, failed, gone }
})
