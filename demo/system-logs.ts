import { closeSync, constants, openSync, readdirSync, readSync, statSync } from "node:fs"
import { hostname, uptime } from "node:os"
import { basename, join } from "node:path"

/** New log lines of this machine and of the platform's own servers, as JSON for a mapped table. */

export interface LogLine {
  readonly timestamp: string
  readonly host: string
  readonly source: string
  readonly severity?: string
  readonly message: string
  readonly [field: string]: unknown
}

/** Syslog priorities as words. Source: syslog(3). */
const severities = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]

const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(FATAL|PANIC|\[FTL\])/, "critical"],
  [/\b(ERROR|ERR)\b|\[ERR\]/, "error"],
  [/\b(WARNING|WARN)\b|\[WRN\]/, "warning"]
]

const parseJson = (text: string): Readonly<Record<string, unknown>> | undefined => {
  if (!text.startsWith("{")) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** A line of a log file; the fields of a JSON line are kept. */
export const describeLine = (text: string, source: string, now: string): LogLine => {
  const { time, level, message, ...fields } = parseJson(text) ?? {}
  const known = words.find(([pattern]) => pattern.test(text))?.[1]
  const severity = typeof level === "string" ? level : known
  return {
    ...fields,
    timestamp: typeof time === "string" ? time : now,
    host: hostname(),
    source,
    ...(severity === undefined ? {} : { severity }),
    message: typeof message === "string" ? message : text
  }
}

/** What is appended to a file from `offset` on, line by line. */
class Tail {
  readonly #path: string
  #offset: number
  #rest = ""
  #isCut: boolean

  constructor(path: string, offset: number) {
    this.#path = path
    this.#offset = offset
    this.#isCut = offset > 0
  }

  /** Nothing when the file is gone or may not be read. */
  read(): ReadonlyArray<string> {
    try {
      return this.#readNew()
    } catch {
      return []
    }
  }

  #readNew(): ReadonlyArray<string> {
    const { size } = statSync(this.#path)
    if (size < this.#offset) this.#offset = 0 // it was cut
    const buffer = Buffer.alloc(Math.min(size - this.#offset, 256 * 1024))
    const file = openSync(this.#path, "r")
    const length = readSync(file, buffer, 0, buffer.length, this.#offset)
    closeSync(file)
    this.#offset += length
    const lines = (this.#rest + buffer.toString("utf8", 0, length)).split("\n")
    this.#rest = lines.pop()!
    if (this.#isCut) lines.shift()
    this.#isCut = false
    return lines.filter((line) => line.trim() !== "")
  }
}

interface KernelMessage {
  readonly timestamp: string
  readonly severity: string
  readonly message: string
}

/** The kernel's messages since boot, where they may be read. Source: Linux, Documentation/ABI/testing/dev-kmsg. */
const openKernelLog = (): (() => ReadonlyArray<KernelMessage>) => {
  let file: number
  try {
    file = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return () => []
  }
  const bootedAt = Date.now() - uptime() * 1000
  const buffer = Buffer.alloc(8192)
  return () => {
    const messages: Array<KernelMessage> = []
    for (;;) {
      try {
        const record = buffer.toString("utf8", 0, readSync(file, buffer))
        const [, priority, micros, message] = /^(\d+),\d+,(\d+)[^;]*;([^\n]*)/.exec(record) ?? []
        const timestamp = new Date(bootedAt + Number(micros) / 1000).toISOString()
        messages.push({ timestamp, severity: severities[Number(priority) & 7]!, message: message! })
      } catch {
        return messages // each read gives one record, and fails when there is none
      }
    }
  }
}

/** What the platform's servers write; its writers are left out, because each line of theirs would cause another one. */
const platformLogs = ["nats-server.log", "postgres.log", "operator.log"]
const systemLogs = /^(syslog|messages|.+\.log)$/

const readable = (folder: string, wanted: (name: string) => boolean): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).filter(wanted)
  } catch {
    return []
  }
}

/**
 * Gives, at each call, the log lines that are new. Of the system's files and the kernel's messages the last ones before the
 * first call count as new, so that there is something to see on a quiet machine.
 *
 * @param logs folder of the platform's logs
 */
export const openLogs = (logs: string): ((now: string) => ReadonlyArray<LogLine>) => {
  const recentBytes = 4096
  const system = readable("/var/log", (name) => systemLogs.test(name)).flatMap((name) => {
    const path = join("/var/log", name)
    const { size } = statSync(path)
    return size > 0 ? [{ name, tail: new Tail(path, Math.max(0, size - recentBytes)) }] : []
  })
  const platform = readable(logs, (name) => platformLogs.includes(name)).map((name) => ({
    name,
    tail: new Tail(join(logs, name), 0)
  }))
  const kernel = openKernelLog()
  let isFirst = true
  return (now) => {
    const messages = kernel().slice(isFirst ? -20 : 0)
    isFirst = false
    return [
      ...messages.map((each) => ({ ...each, host: hostname(), source: "kernel" })),
      ...[...system, ...platform].flatMap(({ name, tail }) =>
        tail.read().map((line) => describeLine(line, basename(name, ".log"), now))
      )
    ]
  }
}
