import { ip } from "../fields/ip.ts"
import { first, text } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue, Micros } from "../tables/table.ts"

/** A log record, whatever form it came in: what the rows of every table are made of. */
export interface Log {
  readonly time: Micros
  readonly observedTime: Micros | null
  /** The time as the payload has it. */
  readonly originalTime: JsonValue | undefined
  readonly traceId: string | null
  readonly spanId: string | null
  readonly traceFlags: number | null
  /** On OpenTelemetry's scale, with {@link severityNumber}. */
  readonly severityText: string | null
  readonly severityNumber: number | null
  /** On OCSF's scale. */
  readonly severityId: number
  /** The severity as the payload has it. */
  readonly level: string | null
  readonly body: string | null
  readonly eventName: string | null
  /** Where the record says that it is from; counts only when the subject does not say it. */
  readonly source: string | null
  readonly serviceName: string | null
  readonly serviceVersion: string | null
  readonly serviceInstance: string | null
  readonly logger: string | null
  readonly scopeName: string | null
  readonly scopeVersion: string | null
  readonly scopeAttributes: JsonObject | JsonArray
  readonly attributes: JsonObject
  readonly resourceAttributes: JsonObject | JsonArray
  readonly hostname: string | null
  readonly hostIp: string | null
  /** Address that the record came from. */
  readonly remoteIp: string | null
}

export const noAttributes: JsonObject = {}

/** What the attributes of a resource say about the service and the host that a record is from. */
export interface Origin {
  readonly serviceName: string | null
  readonly serviceVersion: string | null
  readonly serviceInstance: string | null
  readonly hostname: string | null
  readonly hostIp: string | null
}

/** One address, or the first of a list that is one. Source: OpenTelemetry semantic conventions, `host.ip`. */
const addressOf = (value: JsonValue | undefined): string | null => {
  if (!Array.isArray(value)) return ip(value)
  for (const element of value as JsonArray) {
    const address = ip(element)
    if (address !== null) return address
  }
  return null
}

/** @param resource attributes of a resource */
export const originOf = (resource: JsonObject): Origin => ({
  serviceName: text(first(resource["service.name"], resource["service_name"])),
  serviceVersion: text(resource["service.version"]),
  serviceInstance: text(resource["service.instance.id"]),
  hostname: text(resource["host.name"]),
  hostIp: addressOf(resource["host.ip"])
})
