import type { RowIds } from "../fields/identity.ts"
import { isUuid } from "../fields/identity.ts"
import { typeUid } from "../fields/ocsf.ts"
import { ocsfSeverityName } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int4, int8, isContainer, isObject, isPresent, json, text } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue, Row } from "../tables/table.ts"
import type { Message } from "./processor.ts"
import type { OpenedEvent } from "./events-content.ts"

const noMembers: JsonObject = {}
const noElements: JsonArray = []

/** Number of a class or an activity; null for one with a fraction, which would be cut to that of another. */
const codeOf = (value: JsonValue | undefined): number | null =>
  typeof value === "number" && !Number.isInteger(value) ? null : int4(value)

const classUidOf = (object: JsonObject): number | undefined => {
  const classUid = codeOf(object["class_uid"])
  return classUid !== null && classUid >= 1 ? classUid : undefined
}

/** Whether an object is an OCSF event: it has a class and names an activity. */
export const isOcsfEvent = (object: JsonObject): boolean =>
  Object.hasOwn(object, "activity_id") && classUidOf(object) !== undefined

/** Metadata as given; an id that cannot be the row's own is kept in it where its place is free. */
const metadataWith = (id: string | null, given: JsonValue | undefined): JsonValue => {
  const metadata = json(given) ?? noMembers
  if (id === null || isUuid(id) || !isObject(metadata) || isPresent(metadata["uid"])) return metadata
  return { ...metadata, uid: id }
}

/**
 * Row of `ocsf_events` of an event that is OCSF already: as given, nothing invented.
 *
 * @returns the reason why it cannot be written, or the row
 */
export const nativeRow = (
  { content: event, envelope }: OpenedEvent,
  message: Message,
  ids: RowIds,
  rawData: string | null
): Row | string => {
  const classUid = classUidOf(event)
  if (classUid === undefined) return "missing_field:class_uid"
  const activityId = codeOf(event["activity_id"])
  if (activityId === null || activityId < 0) return "missing_field:activity_id"

  const id = isContainer(event["id"]) ? null : text(event["id"])
  const metadata = metadataWith(id, event["metadata"])
  const severityId = int4(event["severity_id"]) ?? 1
  return [
    ids.of(id ?? (isObject(metadata) ? metadata["uid"] : undefined)),
    parseTimestamp(event["time"]) ?? parseTimestamp(envelope?.["time"]) ?? message.receivedAt,
    classUid,
    int4(event["category_uid"]) ?? Math.floor(classUid / 1000),
    int8(event["type_uid"]) ?? typeUid(classUid, activityId),
    activityId,
    text(event["activity_name"]),
    severityId,
    text(event["severity"]) ?? ocsfSeverityName(severityId),
    text(event["message"]),
    int4(event["status_id"]),
    text(event["status"]),
    text(event["status_code"]),
    text(event["status_detail"]),
    metadata,
    json(event["observables"]) ?? noElements,
    text(first(event["trace_id"], event["traceId"])),
    text(first(event["span_id"], event["spanId"])),
    json(event["actor"]) ?? noMembers,
    json(event["device"]) ?? noMembers,
    json(event["src_endpoint"]) ?? noMembers,
    json(event["dst_endpoint"]) ?? noMembers,
    text(event["log_name"]) ?? message.subject,
    text(event["log_provider"]),
    text(event["log_level"]),
    text(event["log_version"]),
    json(event["unmapped"]) ?? noMembers,
    text(event["raw_data"]) ?? rawData
  ]
}
