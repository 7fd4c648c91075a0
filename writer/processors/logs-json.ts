import { jsonText } from "../decode/json.ts"
import { storable } from "../decode/text.ts"
import { ip } from "../fields/ip.ts"
import { ocsfSeverityId, otelSeverity, otelSeverityNumber } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int4, isObject, isPresent, json, setMember, text } from "../fields/values.ts"
import { varbindText } from "../fields/varbinds.ts"
import type { JsonArray, JsonObject, JsonValue, Micros } from "../tables/table.ts"
import type { Log } from "./logs-record.ts"
import { noAttributes, originOf } from "./logs-record.ts"

/** Fields that have a column or a part in one; all others are attributes. */
const reserved: ReadonlySet<string> = new Set(
  [
    "timestamp time ts @timestamp time_unix_nano timeUnixNano",
    "observed_timestamp observedTimestamp observed_time_unix_nano observedTimeUnixNano",
    "trace_id traceId span_id spanId trace_flags traceFlags flags",
    "severity_number severityNumber severity_text severityText severity severity_id level",
    "body message msg summary short_message full_message event log event_name eventName source",
    "service_name serviceName service.name service application_name applicationName app_name appName host hostname",
    "service_version serviceVersion service.version",
    "service_instance serviceInstance service_instance_id service.instance.id",
    "scope_name scopeName scope.name scope scope_version scopeVersion scope.version scope_attributes scopeAttributes",
    "attributes resource_attributes resourceAttributes resource ip ip_address remote_addr specversion data",
    "community" // of SNMP: a secret
  ].flatMap((names) => names.split(" "))
)

interface LogTime {
  readonly time: Micros
  readonly original: JsonValue | undefined
}

/** The first field that is a time; where none is, the time of the message beside the first field that was to be one. */
const logTime = (object: JsonObject, envelopeTime: JsonValue | undefined, receivedAt: Micros): LogTime => {
  const timestamp = object["timestamp"]
  const time = parseTimestamp(timestamp)
  if (time !== undefined) return { time, original: timestamp }
  const candidates = [
    object["time"],
    object["ts"],
    object["@timestamp"],
    first(object["time_unix_nano"], object["timeUnixNano"]),
    object["observed_timestamp"],
    object["observedTimestamp"],
    object["observed_time_unix_nano"],
    object["observedTimeUnixNano"],
    envelopeTime
  ]
  for (const original of candidates) {
    const time = parseTimestamp(original)
    if (time !== undefined) return { time, original }
  }
  return { time: receivedAt, original: isPresent(timestamp) ? timestamp : candidates.find(isPresent) }
}

const maxCodePoint = 0x10ffff

/** Text given as a list of code points, which is what Erlang makes of its strings; `undefined` for any other list. */
const codePointText = (list: JsonArray): string | undefined => {
  let characters = ""
  for (const code of list) {
    if (typeof code !== "number" || !Number.isInteger(code) || code < 0 || code > maxCodePoint) return undefined
    characters += String.fromCodePoint(code)
  }
  return list.length === 0 ? undefined : storable(characters)
}

const bodyOf = (object: JsonObject): string | null => {
  const body = object["body"]
  if (Array.isArray(body)) return codePointText(body) ?? jsonText(body)
  return (
    text(body) ??
    text(object["message"]) ??
    text(object["msg"]) ??
    text(object["summary"]) ??
    text(object["short_message"]) ??
    text(object["event"]) ??
    text(object["log"]) ??
    varbindText(object["varbinds"])
  )
}

/** The value without null and empty objects and arrays at any level; `undefined` when nothing is left. */
const pruned = (value: JsonValue): JsonValue | undefined => {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined
  if (typeof value !== "object") return value
  if (value === null) return undefined
  if (!isObject(value)) {
    const kept = value.map(pruned).filter((element) => element !== undefined)
    return kept.length === 0 ? undefined : kept
  }
  let kept: Record<string, JsonValue> | undefined
  for (const key in value) {
    const member = pruned(value[key]!)
    if (member !== undefined) setMember((kept ??= {}), key, member)
  }
  return kept
}

/** The record's own attributes and every field that has no other place; of the same name its own count. */
const attributesOf = (object: JsonObject): JsonObject => {
  const given = pruned(json(object["attributes"]))
  const own = given === undefined || isObject(given) ? given : { raw: given }
  let others: Record<string, JsonValue> | undefined
  for (const key in object) {
    const value = object[key]!
    if (reserved.has(key) || !isPresent(value) || (typeof value === "number" && !Number.isFinite(value))) continue
    setMember((others ??= {}), key, value)
  }
  if (others === undefined || own === undefined) return own ?? others ?? noAttributes
  for (const key in own) setMember(others, key, own[key]!)
  return others
}

const hostFields = ["host", "hostname", "remote_addr", "source", "ip", "ip_address"]

/** The attributes of the record's resource, or else the fields that name its host. */
const resourceAttributesOf = (object: JsonObject): JsonObject | JsonArray => {
  const given = json(first(object["resource_attributes"], object["resourceAttributes"], object["resource"]))
  if (given !== null) return isObject(given) && isObject(given["attributes"]) ? given["attributes"] : given
  let host: Record<string, JsonValue> | undefined
  for (const key of hostFields) if (isPresent(object[key])) (host ??= {})[key] = object[key]!
  return host ?? noAttributes
}

/** A record that is a JSON object of its own. */
export const logOfJson = (object: JsonObject, envelopeTime: JsonValue | undefined, receivedAt: Micros): Log => {
  const { time, original } = logTime(object, envelopeTime, receivedAt)
  const level = object["level"]
  const severityText = first(object["severity_text"], object["severityText"])
  const severity = otelSeverity(
    otelSeverityNumber(first(object["severity_number"], object["severityNumber"])),
    severityText,
    object["severity"],
    level
  )
  const resourceAttributes = resourceAttributesOf(object)
  const origin = originOf(isObject(resourceAttributes) ? resourceAttributes : noAttributes)
  const scope = object["scope"]
  const scopeObject = isObject(scope) ? scope : noAttributes
  const hostIp = ip(first(object["host_ip"], object["ip"], object["ip_address"])) ?? origin.hostIp
  return {
    time,
    observedTime:
      parseTimestamp(object["observed_timestamp"]) ??
      parseTimestamp(object["observedTimestamp"]) ??
      parseTimestamp(object["observed_time_unix_nano"]) ??
      parseTimestamp(object["observedTimeUnixNano"]) ??
      null,
    originalTime: original,
    traceId: text(first(object["trace_id"], object["traceId"])),
    spanId: text(first(object["span_id"], object["spanId"])),
    traceFlags: int4(first(object["trace_flags"], object["traceFlags"], object["flags"])),
    severityText: severity.text,
    severityNumber: severity.number,
    severityId: ocsfSeverityId(object),
    level: text(severityText) ?? text(object["severity"]) ?? text(level),
    body: bodyOf(object),
    eventName: text(first(object["event_name"], object["eventName"])),
    source: text(object["source"]),
    serviceName:
      text(first(object["service_name"], object["serviceName"], object["service.name"], object["service"])) ??
      origin.serviceName ??
      text(first(object["application_name"], object["applicationName"], object["app_name"], object["appName"])) ??
      text(first(object["host"], object["hostname"])) ??
      origin.hostname,
    serviceVersion:
      text(first(object["service_version"], object["serviceVersion"], object["service.version"])) ??
      origin.serviceVersion,
    serviceInstance:
      text(
        first(
          object["service_instance"],
          object["serviceInstance"],
          object["service_instance_id"],
          object["service.instance.id"]
        )
      ) ?? origin.serviceInstance,
    logger: text(object["logger"]),
    scopeName:
      text(first(object["scope_name"], object["scopeName"], object["scope.name"])) ??
      text(typeof scope === "string" ? scope : scopeObject["name"]),
    scopeVersion:
      text(first(object["scope_version"], object["scopeVersion"], object["scope.version"])) ??
      text(scopeObject["version"]),
    scopeAttributes:
      json(first(object["scope_attributes"], object["scopeAttributes"])) ??
      json(scopeObject["attributes"]) ??
      noAttributes,
    attributes: attributesOf(object),
    resourceAttributes,
    hostname: text(first(object["hostname"], object["host"])) ?? origin.hostname,
    hostIp,
    remoteIp: ip(first(object["_remote_addr"], object["remote_addr"])) ?? hostIp
  }
}
