import type { Result } from "./campaign.ts"

/** Campaign results as text. */

const seconds = (value: number) => (value === Infinity ? "never" : `${value.toFixed(1)} s`)

/** The recovery that came closest to its bound, or went furthest beyond. */
const worst = ({ recoveries }: Result) => [...recoveries].sort((a, b) => b.seconds / b.bound - a.seconds / a.bound)[0]

const columns = (cells: ReadonlyArray<string>) => {
  const [id = "", title = "", ...rest] = cells
  const widths = [18, 9, 9, 6, 5, 6, 7, 7]
  return [
    id.padEnd(13),
    title.slice(0, 58).padEnd(58),
    ...rest.map((cell, index) => cell.padStart(widths[index]!))
  ].join(" ")
}

export const heading = columns([
  "id",
  "fault",
  "recovery/bound",
  "confirmed",
  "rows",
  "dead",
  "lost",
  "double",
  "MB",
  "took"
])

/** One line per case. */
export const formatResult = (result: Result): string => {
  const { id, title, confirmed, tally, violations } = result
  const recovery = worst(result)
  const line = columns([
    id,
    title,
    recovery === undefined ? "-" : `${seconds(recovery.seconds)}/${recovery.bound} s`,
    String(confirmed),
    String(tally.rows),
    String(tally.deadLetters),
    String(tally.lost),
    String(tally.double),
    String(Math.round(result.peakMegabytes)),
    seconds(result.seconds)
  ])
  return violations.length === 0 ? line : `${line}  FAILED`
}

/** What a failed case says below its line. */
export const formatFailure = ({ id, seed, violations, logs }: Result, command: string): ReadonlyArray<string> => [
  ...violations.map((violation) => `      ${violation}`),
  `      again: ${command.replace("CASE", `CASE=${id}`).replace("SEED", `SEED=${seed}`)}${logs === undefined ? "" : `; logs: ${logs}`}`
]

export const formatSummary = (results: ReadonlyArray<Result>): string => {
  const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0)
  const failed = results.filter(({ violations }) => violations.length > 0).length
  return (
    `${results.length} runs, ${failed} failed; ${sum(({ confirmed }) => confirmed)} confirmed, ${sum(({ tally }) => tally.rows)} rows, ` +
    `${sum(({ tally }) => tally.deadLetters)} dead letters, ${sum(({ tally }) => tally.lost)} lost, ${sum(({ tally }) => tally.double)} double; ` +
    `${Math.round(sum((result) => result.seconds))} s`
  )
}
