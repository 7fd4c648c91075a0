import type { JsonObject, JsonValue } from "../tables/table.ts"
import { first, int4, text } from "./values.ts"

type Maybe = JsonValue | undefined

/** A recognised severity on the three scales in use. */
export interface Severity {
  /** `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR` or `FATAL`. */
  readonly otelText: string
  /** 1–24. Source: OpenTelemetry logs data model, `SeverityNumber`. */
  readonly otelNumber: number
  /** 1–6. Source: OCSF, `severity_id`. */
  readonly ocsfId: number
  /** 0–7. Source: RFC 5424, section 6.2.1. */
  readonly syslogLevel: number
}

const severity = (otelText: string, otelNumber: number, ocsfId: number, syslogLevel: number): Severity => ({
  otelText,
  otelNumber,
  ocsfId,
  syslogLevel
})

/** Words of syslog, OpenTelemetry, OCSF, CEF and common loggers. */
const words: ReadonlyMap<string, Severity> = new Map(
  (
    [
      [["emergency", "emerg", "panic"], severity("FATAL", 23, 6, 0)],
      [["alert"], severity("FATAL", 22, 5, 1)],
      [["critical", "crit", "very high", "very_high", "very-high"], severity("FATAL", 21, 5, 2)],
      [["fatal"], severity("FATAL", 21, 6, 0)],
      [["error", "err", "high"], severity("ERROR", 17, 4, 3)],
      [["warning", "warn", "medium"], severity("WARN", 13, 3, 4)],
      [["notice"], severity("INFO", 10, 2, 5)],
      [["low"], severity("INFO", 9, 2, 5)],
      [["info", "informational"], severity("INFO", 9, 1, 6)],
      [["debug"], severity("DEBUG", 5, 1, 7)],
      [["trace", "verbose"], severity("TRACE", 1, 1, 7)]
    ] as const
  ).flatMap(([names, meaning]) => names.map((name) => [name, meaning] as const))
)

/** Meaning of a severity in words, in any case and with blanks around it; `undefined` when it is not recognised. */
export const severityOfWord = (value: Maybe): Severity | undefined =>
  typeof value === "string" ? (words.get(value) ?? words.get(value.trim().toLowerCase())) : undefined

const levelNames = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"] as const
const levels: ReadonlyArray<Severity | undefined> = levelNames.map((name) => words.get(name))

/** Name of a syslog level, `undefined` outside 0–7. */
export const syslogLevelName = (level: number): string | undefined => levelNames[level]

/** Meaning of a numeric syslog level 0–7, a number or its digits; `undefined` for anything else. */
export const severityOfLevel = (value: Maybe): Severity | undefined => levels[int4(value) ?? -1]

const otelTexts = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]

/** Severity numbers 1–24 by their names in protobuf: `SEVERITY_NUMBER_WARN` is 13, `SEVERITY_NUMBER_WARN2` 14. */
export const otelSeverityNumbers: ReadonlyMap<string, number> = new Map(
  otelTexts.flatMap((text, i) =>
    ["", "2", "3", "4"].map((step, j) => [`SEVERITY_NUMBER_${text}${step}`, 4 * i + j + 1] as const)
  )
)

/** OpenTelemetry's severity number given as number, digits or name of the enumeration; `undefined` outside 1–24. */
export const otelSeverityNumber = (value: Maybe): number | undefined => {
  const n = int4(value)
  if (n !== null) return n >= 1 && n <= 24 ? n : undefined
  return typeof value === "string" ? otelSeverityNumbers.get(value.trim().toUpperCase()) : undefined
}

/** Text of OpenTelemetry's severity number 1–24. */
export const otelSeverityText = (number: number): string => otelTexts[(number - 1) >> 2] ?? ""

/** The severity of a log record as OpenTelemetry has it. */
export interface OtelSeverity {
  readonly number: number | null
  readonly text: string | null
}

/**
 * OpenTelemetry's severity of a log record. Words count before a numeric level, but only those that are recognised; a number
 * that is given stays whatever the words say. Text that nobody recognises is kept as it is.
 *
 * @param number the severity number of the record, 1–24
 */
export const otelSeverity = (
  number: number | undefined,
  severityText: Maybe,
  severity?: Maybe,
  level?: Maybe
): OtelSeverity => {
  const recognised =
    severityOfWord(severityText) ?? severityOfWord(severity) ?? severityOfWord(level) ?? severityOfLevel(level)
  if (recognised !== undefined) return { number: number ?? recognised.otelNumber, text: recognised.otelText }
  if (number !== undefined) return { number, text: otelSeverityText(number) }
  return { number: null, text: text(severityText) ?? text(severity) }
}

/** OCSF's `severity_id` of OpenTelemetry's severity number 1–24. */
const ocsfIdOfOtelNumber = (number: number): number => (number >= 21 ? 6 : number >= 17 ? 4 : number >= 13 ? 3 : 1)

const ocsfNames = ["Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal"]

/** Caption of OCSF's `severity_id`; that of an id which is not in OCSF is `Unknown`. */
export const ocsfSeverityName = (id: number): string => (id === 99 ? "Other" : (ocsfNames[id] ?? "Unknown"))

/** OCSF's `severity_id` of an OpenTelemetry log record: its number counts, else its text; 0 when neither is recognised. */
export const ocsfSeverityIdOfOtel = (number: number | undefined, text: Maybe): number =>
  number === undefined ? (severityOfWord(text)?.ocsfId ?? 0) : ocsfIdOfOtelNumber(number)

/**
 * OCSF's `severity_id` of a log or event in JSON: the first that is recognised of `severity_id`, the OpenTelemetry number, the
 * numeric `level`, and the words of severity text, `severity` and `level`; else 0.
 */
export const ocsfSeverityId = (object: JsonObject): number => {
  const id = int4(object["severity_id"])
  if (id !== null && ((id >= 0 && id <= 6) || id === 99)) return id
  const number = otelSeverityNumber(first(object["severity_number"], object["severityNumber"]))
  if (number !== undefined) return ocsfIdOfOtelNumber(number)
  const level = object["level"]
  const recognised =
    severityOfLevel(level) ??
    severityOfWord(first(object["severity_text"], object["severityText"])) ??
    severityOfWord(object["severity"]) ??
    severityOfWord(level)
  return recognised?.ocsfId ?? 0
}
