import { readdirSync, readFileSync } from "node:fs"

/** What processes used, from /proc (Linux): measured from outside, so that nothing has to be added to them. */

/** Unit of the times in /proc/<pid>/stat: USER_HZ is 100 on every Linux architecture. Source: proc(5), time(7). */
const ticksPerSecond = 100

interface Stat {
  readonly parent: number
  /** CPU seconds of the process, all threads. */
  readonly own: number
  /** CPU seconds of its children that ended and were waited for. */
  readonly reaped: number
}

const statOf = (pid: number): Stat | undefined => {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined // ended meanwhile
  }
  // The second field is the name in parentheses and may hold blanks; counting starts behind it, at field 3.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const seconds = (first: number) => (Number(fields[first]) + Number(fields[first + 1])) / ticksPerSecond
  return { parent: Number(fields[1]), own: seconds(11), reaped: seconds(13) }
}

/** Parent of a process, `undefined` when it has ended. */
export const parentOf = (pid: number): number | undefined => statOf(pid)?.parent

/** CPU seconds a process used so far, user and system, without its children. 0 when it has ended. */
export const cpuSeconds = (pid: number): number => statOf(pid)?.own ?? 0

/**
 * CPU seconds of a process and of all its children, those that ended included: PostgreSQL's postmaster waits for every
 * backend, so none is missed. Only one level deep, as PostgreSQL's processes are.
 */
export const cpuSecondsWithChildren = (pid: number): number => {
  const root = statOf(pid)
  if (!root) return 0
  let seconds = root.own + root.reaped
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue
    const stat = statOf(Number(entry))
    if (stat?.parent === pid) seconds += stat.own
  }
  return seconds
}

/** Most resident memory a living process ever had, in bytes (VmHWM). */
export const peakResidentBytes = (pid: number): number => {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Number(match?.[1] ?? 0) * 1024
}
