import { Cause, Effect, Exit, type Scope } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { check, type Tally } from "./check.ts"
import { makeRig, type Recovery, type Rig, type RigOptions } from "./rig.ts"

/** One fault as a story: it warms up, the fault comes and goes, and in the end every confirmed message has one outcome. */
export interface FaultCase {
  readonly id: string
  readonly title: string
  readonly rig?: RigOptions
  /** What it needs is not on this machine. */
  readonly skip?: boolean
  /** Begins under load and ends healed; what is not as it must be is told to the rig. */
  readonly run: (rig: Rig) => Effect.Effect<void, never, Scope.Scope>
  /** Until everything has an outcome after the producer has stopped, in seconds. Unset: 60. */
  readonly quiesceSeconds?: number
  /** Of one writer's memory, in MB. Unset: 200. */
  readonly memoryMegabytes?: number
}

export interface Result {
  readonly id: string
  readonly title: string
  readonly seed: number
  readonly seconds: number
  readonly confirmed: number
  readonly tally: Tally
  readonly recoveries: ReadonlyArray<Recovery>
  readonly peakMegabytes: number
  readonly violations: ReadonlyArray<string>
  /** Where the logs of the processes are, when there were violations. */
  readonly logs: string | undefined
}

export interface Setting {
  readonly seed: number
  readonly full: boolean
  readonly program: readonly [string, ...ReadonlyArray<string>]
  /** Folder for what failed cases leave behind. */
  readonly logFolder: string
}

const warmUpSeconds = 2
/** A run with less before the fault shows nothing. */
const leastPerSecond = 100
const nothing: Tally = { rows: 0, deadLetters: 0, lost: 0, double: 0, removed: 0 }

const warmUp = Effect.fnUntraced(function* (rig: Rig) {
  for (const writer of rig.writers) yield* writer.start()
  rig.producer.rate(rig.options.rate ?? 1_000)
  for (const lane of rig.lanes) yield* rig.monitor.flows(lane).pipe(Effect.timeout("30 seconds"), Effect.orDie)
  const from = Date.now()
  yield* Effect.sleep(warmUpSeconds * 1000)
  const rate = rig.monitor.rate(rig.lane, from, Date.now())
  rig.expect(rate >= leastPerSecond, `only ${Math.round(rate)} messages per second were written before the fault`)
})

/** The producer stops; then every lane comes to have all. */
const quiesce = Effect.fnUntraced(function* (rig: Rig, seconds: number) {
  const settled = yield* rig.producer.settled.pipe(Effect.timeoutOption("60 seconds"))
  rig.expect(settled._tag === "Some", "JetStream did not confirm what was published within 60 s")
  for (const lane of rig.lanes) {
    const drained = Effect.gen(function* () {
      for (;;) {
        const info = yield* Effect.promise(() =>
          rig
            .manager()
            .consumers.info(rig.stream, lane.name)
            .catch(() => undefined)
        )
        if (info?.num_pending === 0 && info.num_ack_pending === 0) return
        yield* Effect.sleep("50 millis")
      }
    })
    const end = yield* drained.pipe(Effect.timeoutOption(seconds * 1000))
    rig.expect(
      end._tag === "Some",
      `V1: lane ${lane.name} has still messages without an ack ${seconds} s after the producer stopped`
    )
  }
})

/** What is measured of every run. */
const requireBounds = (rig: Rig, { memoryMegabytes = 200 }: FaultCase) => {
  const { rssMegabytes, files, sessions } = rig.monitor.peaks
  rig.expect(
    rssMegabytes <= memoryMegabytes,
    `V6: a writer took ${Math.round(rssMegabytes)} MB, bound ${memoryMegabytes} MB`
  )
  rig.expect(files <= 64, `V6: a writer had ${files} files open, bound 64`)
  const most = 3 * Math.max(2, rig.writers.length)
  rig.expect(sessions <= most, `V6: the writers had ${sessions} sessions at the database, bound ${most}`)
}

/** Runs a case on servers of its own. Never fails: what went wrong is in the result. */
export const runCase = Effect.fnUntraced(function* (story: FaultCase, setting: Setting): Effect.fn.Return<Result> {
  const { seed, logFolder } = setting
  const began = Date.now()
  let rig: Rig | undefined
  let tally = nothing
  const violations: Array<string> = []
  const work = Effect.gen(function* () {
    rig = yield* makeRig({ options: story.rig ?? {}, ...setting }).pipe(Effect.timeout("2 minutes"), Effect.orDie)
    yield* warmUp(rig)
    yield* Effect.scoped(story.run(rig))
    yield* quiesce(rig, story.quiesceSeconds ?? 60)
    requireBounds(rig, story)
    const checked = yield* Effect.scoped(check(rig))
    tally = checked.tally
    violations.push(...rig.violations, ...rig.monitor.violations, ...checked.violations)
  })
  let logs: string | undefined
  yield* Effect.scoped(
    Effect.gen(function* () {
      const exit = yield* Effect.exit(work)
      if (Exit.isFailure(exit)) violations.push(...(rig?.violations ?? []), Cause.pretty(exit.cause))
      if (violations.length === 0 || rig === undefined) return
      logs = join(logFolder, `${story.id}-${seed}`)
      mkdirSync(logs, { recursive: true })
      for (const { name, log } of rig.writers) writeFileSync(join(logs, `${name}.log`), log())
    })
  )
  return {
    id: story.id,
    title: story.title,
    seed,
    seconds: (Date.now() - began) / 1000,
    confirmed: rig?.producer.confirmed() ?? 0,
    tally,
    recoveries: rig?.recoveries ?? [],
    peakMegabytes: rig?.monitor.peaks.rssMegabytes ?? 0,
    violations,
    logs
  }
})
