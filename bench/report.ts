import type { Latency, LatencyRun } from "./latency.ts"

/** One measurement of the writer and one of COPY, taken one after the other. Rates are rows per second. */
export interface Round {
  readonly rows: number
  /** From the writer's first delivery to the last ack, which follows the last commit. */
  readonly rowsPerSecond: number
  /** The same with the start of the process. */
  readonly rowsPerSecondWithStart: number
  readonly copyRowsPerSecond: number
  readonly ratio: number
  readonly writerCpuMicrosPerRow: number
  readonly postgresCpuMicrosPerRow: number
  readonly natsCpuMicrosPerRow: number
  readonly copyPostgresCpuMicrosPerRow: number
  readonly peakRssBytes: number
}

/** Medians of the rounds, each figure by itself. */
export interface Summary extends Round {
  readonly rounds: ReadonlyArray<Round>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** @param rounds at least one */
export const summarize = (rounds: ReadonlyArray<Round>): Summary => {
  const keys = Object.keys(rounds[0]!) as Array<keyof Round>
  const medians = Object.fromEntries(keys.map((key) => [key, median(rounds.map((round) => round[key]))]))
  return { ...(medians as unknown as Round), rounds }
}

const thousands = (value: number) => `${Math.round(value / 100) / 10}k`
const micros = (value: number) => value.toFixed(1)

const columns: ReadonlyArray<readonly [heading: string, cell: (round: Round) => string]> = [
  ["rows/s", (round) => thousands(round.rowsPerSecond)],
  ["with start", (round) => thousands(round.rowsPerSecondWithStart)],
  ["COPY rows/s", (round) => thousands(round.copyRowsPerSecond)],
  ["ratio", (round) => round.ratio.toFixed(2)],
  ["writer µs", (round) => micros(round.writerCpuMicrosPerRow)],
  ["postgres µs", (round) => micros(round.postgresCpuMicrosPerRow)],
  ["nats µs", (round) => micros(round.natsCpuMicrosPerRow)],
  ["COPY postgres µs", (round) => micros(round.copyPostgresCpuMicrosPerRow)],
  ["peak RSS MB", (round) => String(Math.round(round.peakRssBytes / 1e6))]
]

/** Cells below each other, right-aligned. Every line has as many. */
const aligned = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines.map((line) => line.map((cell, column) => cell.padStart(widths[column]!)).join("  ")).join("\n")
}

/** A table for people: one line per round and one with the medians. µs are CPU time per row. */
export const formatTable = (workload: string, summary: Summary): string =>
  aligned([
    [workload, ...columns.map(([heading]) => heading)],
    ...summary.rounds.map((round, index) => [`round ${index + 1}`, ...columns.map(([, cell]) => cell(round))]),
    ["median", ...columns.map(([, cell]) => cell(summary))]
  ])

/** A table for people: one line per run. Milliseconds from publish to commit, CPU milliseconds of the writer per second. */
export const formatLatencies = (runs: ReadonlyArray<LatencyRun & Latency>): string =>
  aligned([
    ["messages/s", "maxLatency", "p50 ms", "p90 ms", "p99 ms", "max ms", "CPU ms/s", "idle CPU ms/s"],
    ...runs.map((run) => [
      String(run.perSecond),
      run.maxLatency ?? "default",
      ...[run.p50, run.p90, run.p99, run.max].map((millis) => millis.toFixed(1)),
      ...[run.busyCpu, run.idleCpu].map((millis) => millis.toFixed(0))
    ])
  ])

/** The figures as JSON for programs, rounded to what they are worth. */
export const formatJson = (workload: string, summary: Summary): string =>
  JSON.stringify({ [workload]: summary }, (_key, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(value >= 1e6 ? 9 : 4)) : value
  )
