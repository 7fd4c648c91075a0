import { hash } from "node:crypto"
import type { JsonValue } from "../tables/table.ts"
import { canonicalJson, compareBytes } from "./canonical-json.ts"
import { isContainer, isObject, text } from "./values.ts"

/** Series repeat and hashing costs more than the rest of a row, so digests are kept: at most so many, of text so long. */
const maxDigests = 20_000
const maxDigestedText = 256
const digests = new Map<string, string>()

const md5 = (input: string): string => {
  const known = digests.get(input)
  if (known !== undefined) return known
  const digest = hash("md5", input, "hex")
  if (input.length <= maxDigestedText) {
    if (digests.size >= maxDigests) digests.clear()
    digests.set(input, digest)
  }
  return digest
}

/** What tells the series of a metric apart. */
export interface MetricSeries {
  readonly metricType: string
  readonly metricName: string
  readonly partition: string | null
  readonly agentId: string | null
  readonly deviceId: string | null
  readonly targetDeviceIp: string | null
  readonly ifIndex: number | null
  readonly tags: JsonValue
}

const label = (name: string): string => `${Buffer.byteLength(name)}:${name}=`

const labels = {
  metricType: label("metric_type"),
  metricName: label("metric_name"),
  partition: label("partition"),
  agentId: label("agent_id"),
  deviceId: label("device_id"),
  targetDeviceIp: label("target_device_ip"),
  ifIndex: label("if_index")
}

const appended = (key: string, label: string, value: string | null): string => {
  const trimmed = value === null ? "" : value.trim()
  if (trimmed === "") return key
  return `${key}${key === "" ? "" : "|"}${label}${Buffer.byteLength(trimmed)}:${trimmed}`
}

/** Tags that change from sample to sample of one series, or repeat the metric's name. */
const volatileTags = new Set(["available", "metric", "packet_loss"])

/**
 * Text of a metric's series: every component that is not blank as `<bytes of name>:<name>=<bytes of value>:<value>`, joined
 * by `|`; last the tags in the order of their names' bytes, nested values as canonical JSON.
 */
export const metricSeriesText = (series: MetricSeries): string => {
  let key = appended("", labels.metricType, series.metricType)
  key = appended(key, labels.metricName, series.metricName)
  key = appended(key, labels.partition, series.partition)
  key = appended(key, labels.agentId, series.agentId)
  key = appended(key, labels.deviceId, series.deviceId)
  key = appended(key, labels.targetDeviceIp, series.targetDeviceIp)
  if (series.ifIndex !== null) key = appended(key, labels.ifIndex, String(series.ifIndex))
  if (!isObject(series.tags)) return key
  for (const name of Object.keys(series.tags).sort(compareBytes)) {
    if (volatileTags.has(name)) continue
    const value = series.tags[name]
    key = appended(key, label(`tag:${name}`), isContainer(value) ? canonicalJson(value) : text(value))
  }
  return key
}

/** MD5 in lower-case hex of {@link metricSeriesText}. */
export const metricSeriesKey = (series: MetricSeries): string => md5(metricSeriesText(series))

/** MD5 in lower-case hex of the canonical JSON `[metric type, unit, scope name, attributes]`, null for what is absent. */
export const otelSeriesKey = (
  metricType: string | null,
  unit: string | null,
  scopeName: string | null,
  attributes: JsonValue
): string =>
  md5(`[${canonicalJson(metricType)},${canonicalJson(unit)},${canonicalJson(scopeName)},${canonicalJson(attributes)}]`)

/** By metric type and unit, so that nothing has to be put together to find them. */
const bareKeys = new Map<string | null, Map<string | null, string>>()
let bareKeysSize = 0

/** {@link otelSeriesKey} without scope and attributes, which is what most performance records have. */
export const bareOtelSeriesKey = (metricType: string | null, unit: string | null): string => {
  const known = bareKeys.get(metricType)?.get(unit)
  if (known !== undefined) return known
  const key = otelSeriesKey(metricType, unit, null, {})
  if ((metricType?.length ?? 0) + (unit?.length ?? 0) > maxDigestedText) return key
  if (++bareKeysSize > maxDigests) {
    bareKeys.clear()
    bareKeysSize = 1
  }
  const byUnit = bareKeys.get(metricType)
  if (byUnit === undefined) bareKeys.set(metricType, new Map([[unit, key]]))
  else byUnit.set(unit, key)
  return key
}
