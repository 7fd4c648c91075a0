import { Cause, Effect, Layer, Logger, References } from "effect"

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace"

const levels = { error: "Error", warn: "Warn", info: "Info", debug: "Debug", trace: "Trace" } as const

/** The text without passwords: those of connection URIs and those of `password=` pairs in a connection string. */
export const redact = (text: string): string =>
  text
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^:@/\s"]*:)(?:[^/\s"]*|[^@\s"]*)@/gi, "$1***@")
    .replaceAll(/\b(password|passfile|sslpassword)(\s*=\s*)('[^']*'|[^\s"&]+)/gi, "$1$2***")

const plain = (value: unknown): unknown => {
  if (typeof value === "string") return redact(value)
  if (typeof value === "bigint") return value.toString()
  if (value instanceof Error) return redact(value.message)
  return value
}

const isFields = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Error)

/**
 * One log line: time, level, the sentence, then the fields given beside it and the annotations, all at the top level, where
 * log stores index them. A field never replaces one of the first three.
 */
export const line = Logger.make(({ message, logLevel, date, cause, fiber }) => {
  const fields: Record<string, unknown> = {}
  const words: Array<string> = []
  for (const part of Array.isArray(message) ? message : [message]) {
    if (isFields(part)) Object.assign(fields, part)
    else words.push(String(plain(part)))
  }
  Object.assign(fields, fiber.getRef(References.CurrentLogAnnotations))
  if (cause.reasons.length > 0) fields["cause"] = Cause.pretty(cause)
  return JSON.stringify(
    { ...fields, time: date.toISOString(), level: logLevel.toLowerCase(), message: words.join(" ") },
    (_, value) => plain(value)
  )
})

/** JSON lines on standard output, from `level` up, with passwords of connection strings left out. */
export const layer = (level: LogLevel): Layer.Layer<never> =>
  Layer.mergeAll(Logger.layer([Logger.withConsoleLog(line)]), Layer.succeed(References.MinimumLogLevel, levels[level]))

/**
 * The last words of a process that gives up: what the operator reads from the end of the log and shows to the user.
 *
 * @param reason a condition reason, e.g. `InvalidConfiguration`
 */
export const logFatal = (reason: string, message: string): Effect.Effect<void> => Effect.logFatal(message, { reason })
