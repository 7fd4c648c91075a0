import type { JetStreamManager } from "@nats-io/jetstream"
import { Effect, type Scope } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { makeAsking } from "./database.ts"
import type { Lane } from "./lane.ts"

/** Looks at a run while it lasts: how outcomes come, what the processes take, and that nothing is acked without an outcome. */
export interface Monitor {
  /** Messages with an outcome, as last seen. */
  readonly covered: (lane: Lane) => number
  /** Waits until more messages have an outcome than now; how long that took, in milliseconds. */
  readonly flows: (lane: Lane) => Effect.Effect<number>
  /** Longest time since then without a new outcome, in milliseconds. Means something only while messages are published. */
  readonly longestPause: (lane: Lane, since: number) => number
  /** Outcomes per second between two times. */
  readonly rate: (lane: Lane, from: number, to: number) => number
  readonly peaks: Peaks
  /** Messages that were acked and had no outcome. */
  readonly violations: ReadonlyArray<string>
}

/** The highest that was seen of one writer process. */
export interface Peaks {
  rssMegabytes: number
  files: number
  /** Of all writers, at the database. */
  sessions: number
}

interface Sample {
  readonly at: number
  readonly covered: number
}

const everyMillis = 50
/** What takes longer to look at. */
const resourcesEveryMillis = 1_000

/** All that has an outcome, also what was folded away since. */
const coveredOf = (name: string) => `\
SELECT (SELECT coalesce(sum(pruned_messages + pruned_dead + pruned_dropped), 0) FROM eventstream_lane WHERE name = '${name}')
  + (SELECT coalesce(sum(messages + dead + dropped), 0) FROM eventstream_ledger WHERE lane IN (SELECT id FROM eventstream_lane WHERE name = '${name}')) AS n`

/** Whether all up to a sequence has an outcome, in the lane that was used last. */
const allCovered = (name: string, floor: number) => `\
SELECT pruned_to >= ${floor} OR int8multirange(int8range(greatest(pruned_to, start_seq - 1) + 1, ${floor} + 1)) <@ coalesce(
  (SELECT range_agg(r) FROM eventstream_ledger, unnest(seqs) AS r WHERE lane = head.id), '{}') AS all
FROM eventstream_lane head WHERE name = '${name}' ORDER BY id DESC LIMIT 1`

/** Memory of a process. */
export const residentMegabytes = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024

export const startMonitor = Effect.fnUntraced(function* (options: {
  readonly port: number
  readonly lanes: ReadonlyArray<Lane>
  readonly stream: string
  readonly manager: () => JetStreamManager
  /** The stream removes messages unread. */
  readonly removal: boolean
}): Effect.fn.Return<Monitor, never, Scope.Scope> {
  const { lanes, stream } = options
  const samples = new Map(lanes.map((lane) => [lane, [] as Array<Sample>]))
  const peaks: Peaks = { rssMegabytes: 0, files: 0, sessions: 0 }
  const violations: Array<string> = []
  const asking = makeAsking(options.port, "faults")
  const slowAsking = makeAsking(options.port, "faults")
  const life = { over: false }

  const look = async () => {
    while (!life.over) {
      for (const [lane, list] of samples) {
        const [found] = await asking.query<{ readonly n: string }>(coveredOf(lane.name))
        list.push({ at: Date.now(), covered: Number(found!.n) })
      }
      await new Promise((resolve) => void setTimeout(resolve, everyMillis))
    }
  }

  const lookAtResources = async () => {
    for (const { writers } of lanes) {
      for (const writer of writers) {
        const pid = writer.process()?.pid
        if (pid === undefined) continue
        try {
          peaks.rssMegabytes = Math.max(peaks.rssMegabytes, residentMegabytes(pid))
          peaks.files = Math.max(peaks.files, readdirSync(`/proc/${pid}/fd`).length)
        } catch {
          // it has just ended
        }
      }
    }
    const [sessions] = await slowAsking.query<{ readonly n: string }>(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'eventstream/%'"
    )
    peaks.sessions = Math.max(peaks.sessions, Number(sessions!.n))
    for (const lane of options.removal ? [] : lanes) {
      const info = await options
        .manager()
        .consumers.info(stream, lane.name)
        .catch(() => undefined)
      const floor = info?.ack_floor.stream_seq ?? 0
      if (floor === 0) continue
      const [answer] = await slowAsking.query<{ readonly all: boolean }>(allCovered(lane.name, floor))
      if (answer?.all === false)
        violations.push(`V4: lane ${lane.name} acked up to ${floor}, and not all of it has an outcome`)
    }
  }
  const lookSlowly = async () => {
    while (!life.over) {
      await lookAtResources()
      await new Promise((resolve) => void setTimeout(resolve, resourcesEveryMillis))
    }
  }

  void look().catch((error: unknown) => void (life.over || violations.push(`the monitor failed: ${String(error)}`)))
  void lookSlowly().catch(
    (error: unknown) => void (life.over || violations.push(`the monitor failed: ${String(error)}`))
  )
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      life.over = true
      await Promise.all([asking.close(), slowAsking.close()]).catch(() => undefined)
    })
  )

  const last = (lane: Lane) => samples.get(lane)!.at(-1)?.covered ?? 0
  const at = (lane: Lane, time: number) => samples.get(lane)!.findLast((sample) => sample.at <= time)?.covered ?? 0
  return {
    covered: last,
    flows: (lane) =>
      Effect.gen(function* () {
        const since = Date.now()
        const list = samples.get(lane)!
        // What was committed before may be seen only now.
        const before = list.length
        while (last(lane) <= (list[before]?.covered ?? Infinity)) yield* Effect.sleep("10 millis")
        return Date.now() - since
      }),
    longestPause: (lane, since) => {
      let longest = 0
      let grown: Sample | undefined
      for (const sample of samples.get(lane)!) {
        if (sample.at < since) continue
        grown ??= sample
        if (sample.covered === grown.covered) longest = Math.max(longest, sample.at - grown.at)
        else grown = sample
      }
      return longest
    },
    rate: (lane, from, to) => ((at(lane, to) - at(lane, from)) * 1000) / (to - from),
    peaks,
    violations
  }
})
