import { describe, expect, it } from "vitest"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import {
  ocsfSeverityId,
  ocsfSeverityIdOfOtel,
  ocsfSeverityName,
  otelSeverity,
  otelSeverityNumber,
  otelSeverityText,
  severityOfLevel,
  severityOfWord,
  syslogLevelName
} from "./severity.ts"

describe("a severity in words", () => {
  const rows: ReadonlyArray<readonly [words: string, text: string, number: number, ocsf: number, level: number]> = [
    ["emergency,emerg,panic", "FATAL", 23, 6, 0],
    ["alert", "FATAL", 22, 5, 1],
    ["critical,crit,very high,very_high,very-high", "FATAL", 21, 5, 2],
    ["fatal", "FATAL", 21, 6, 0],
    ["error,err,high", "ERROR", 17, 4, 3],
    ["warning,warn,medium", "WARN", 13, 3, 4],
    ["notice", "INFO", 10, 2, 5],
    ["low", "INFO", 9, 2, 5],
    ["info,informational", "INFO", 9, 1, 6],
    ["debug", "DEBUG", 5, 1, 7],
    ["trace,verbose", "TRACE", 1, 1, 7]
  ]
  const cases = rows.flatMap(([words, ...meaning]) => words.split(",").map((word) => [word, ...meaning] as const))

  it.each(cases)("%s", (word, otelText, otelNumber, ocsfId, syslogLevel) => {
    const meaning = { otelText, otelNumber, ocsfId, syslogLevel }
    for (const spelled of [word, word.toUpperCase(), `\t${word[0]!.toUpperCase()}${word.slice(1)} \n`]) {
      expect(severityOfWord(spelled)).toEqual(meaning)
    }
  })

  it.each([undefined, null, "", "unknown", "none", "warn2", "veryhigh", "constructor", 3, true, {}, ["error"]])(
    "%j is not recognised",
    (value) => {
      expect(severityOfWord(value)).toBeUndefined()
    }
  )
})

describe("a syslog level", () => {
  it.each([
    [0, "emergency", "FATAL", 23, 6],
    [1, "alert", "FATAL", 22, 5],
    [2, "critical", "FATAL", 21, 5],
    [3, "error", "ERROR", 17, 4],
    [4, "warning", "WARN", 13, 3],
    [5, "notice", "INFO", 10, 2],
    [6, "info", "INFO", 9, 1],
    [7, "debug", "DEBUG", 5, 1]
  ])("%i is %s", (level, name, otelText, otelNumber, ocsfId) => {
    expect(syslogLevelName(level)).toBe(name)
    const meaning = { otelText, otelNumber, ocsfId, syslogLevel: level }
    for (const given of [level, String(level), ` ${level} `]) expect(severityOfLevel(given)).toEqual(meaning)
  })

  it.each([-1, 8, 99, "8", "3rd", "error", null, undefined, true, [3]])("%j is none", (value) => {
    expect(severityOfLevel(value)).toBeUndefined()
  })

  it("has no name outside its range", () => {
    expect([-1, 8, 0.5].map(syslogLevelName)).toEqual([undefined, undefined, undefined])
  })
})

describe("OpenTelemetry's severity number", () => {
  const groups = [
    ["TRACE", 1, 1],
    ["DEBUG", 5, 1],
    ["INFO", 9, 1],
    ["WARN", 13, 3],
    ["ERROR", 17, 4],
    ["FATAL", 21, 6]
  ] as const

  it.each(groups)("has four steps of %s", (text, first, ocsfId) => {
    for (const [step, suffix] of ["", "2", "3", "4"].entries()) {
      const number = first + step
      expect(otelSeverityText(number)).toBe(text)
      expect(ocsfSeverityIdOfOtel(number, "error")).toBe(ocsfId)
      for (const given of [number, String(number), ` SEVERITY_NUMBER_${text}${suffix} `]) {
        expect(otelSeverityNumber(given)).toBe(number)
      }
    }
  })

  it.each([0, 25, -1, "0", "25", "WARN", "SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_WARN5", null, true, {}])(
    "is not %j",
    (value) => {
      expect(otelSeverityNumber(value)).toBeUndefined()
    }
  )
})

describe("the severity of a record", () => {
  it.each<[number | undefined, JsonValue, JsonValue, JsonValue, number | null, string | null]>([
    [undefined, null, null, null, null, null],
    [undefined, "warning", "error", 7, 13, "WARN"],
    [undefined, "Unknown", "error", 7, 17, "ERROR"],
    [undefined, "Unknown", "none", 7, 5, "DEBUG"],
    [undefined, "Unknown", "none", "notice", 10, "INFO"],
    [undefined, "Unknown", "none", 9, null, "Unknown"],
    [undefined, null, "none", "what", null, "none"],
    [undefined, null, 3, null, null, "3"],
    [undefined, null, null, "what", null, null],
    [undefined, null, null, "2", 21, "FATAL"],
    [18, null, null, null, 18, "ERROR"],
    [18, "Unknown", null, null, 18, "ERROR"],
    [18, "debug", null, null, 18, "DEBUG"],
    [18, null, null, 7, 18, "DEBUG"]
  ])("number %j, text %j, severity %j, level %j", (number, severityText, severity, level, expected, text) => {
    expect(otelSeverity(number, severityText, severity, level)).toEqual({ number: expected, text })
  })

  it.each<[JsonObject, number]>([
    [{}, 0],
    [{ severity_id: 0, severity_number: 17 }, 0],
    [{ severity_id: "6" }, 6],
    [{ severity_id: 99, level: 3 }, 99],
    [{ severity_id: 7, severity_number: 17 }, 4],
    [{ severity_id: -1, level: 4 }, 3],
    [{ severity_number: 21, level: 7, severity: "low" }, 6],
    [{ severityNumber: "SEVERITY_NUMBER_WARN2", level: 7 }, 3],
    [{ severity_number: 0, level: 5, severity_text: "error" }, 2],
    [{ severity_number: 24, severityNumber: 1 }, 6],
    [{ level: 0, severity_text: "debug" }, 6],
    [{ level: 9, severity_text: "debug" }, 1],
    [{ level: "critical", severity_text: "low", severity: "high" }, 2],
    [{ level: "critical", severityText: "?", severity: "high" }, 4],
    [{ level: "critical", severity_text: " ", severityText: "fatal" }, 6],
    [{ level: "critical", severity: "?" }, 5],
    [{ severity: 3 }, 0]
  ])("of %j is %i for OCSF", (object, id) => {
    expect(ocsfSeverityId(object)).toBe(id)
  })

  it("of OTLP falls back to its text", () => {
    expect(ocsfSeverityIdOfOtel(undefined, "Warn")).toBe(3)
    expect(ocsfSeverityIdOfOtel(undefined, "?")).toBe(0)
    expect(ocsfSeverityIdOfOtel(undefined, undefined)).toBe(0)
  })
})

it("names OCSF's severities", () => {
  expect([0, 1, 2, 3, 4, 5, 6, 99, 7, -1].map(ocsfSeverityName)).toEqual([
    "Unknown",
    "Informational",
    "Low",
    "Medium",
    "High",
    "Critical",
    "Fatal",
    "Other",
    "Unknown",
    "Unknown"
  ])
})
