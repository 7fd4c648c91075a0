import { networkActivity, networkActivityName, statusName, typeUid } from "../fields/ocsf.ts"
import { ocsfSeverityName } from "../fields/severity.ts"
import { int4, int8, isObject, json, text } from "../fields/values.ts"
import type { NetworkActivity } from "../tables/ocsf-network-activity.ts"
import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"
import { activityOfFlow, flowDefaults } from "./netflow-activity.ts"
import type { Flow } from "./netflow-flow.ts"
import { flowOfJson } from "./netflow-flow.ts"

const objectIn = (object: JsonObject, name: string): JsonObject => {
  const value = object[name]
  return isObject(value) ? value : {}
}

const valueIn = (object: JsonObject, name: string): JsonValue => object[name] ?? null

/** Whether a JSON object is an OCSF Network Activity rather than a plain flow. */
export const isOcsfFlow = (object: JsonObject): boolean => isObject(object["src_endpoint"])

/** Reads the flow that an OCSF Network Activity tells of, or says why there is none. */
export const flowOfOcsf = (object: JsonObject): Flow | string => {
  const source = objectIn(object, "src_endpoint")
  const destination = objectIn(object, "dst_endpoint")
  const connection = objectIn(object, "connection_info")
  const totals = objectIn(object, "traffic")
  const { observables } = object
  const sampler = Array.isArray(observables) ? (observables as JsonArray)[0] : undefined
  const fields: JsonObject = {
    ...object,
    timestamp: valueIn(object, "time"),
    device_id: valueIn(objectIn(object, "device"), "uid"),
    flow_direction: valueIn(connection, "direction"),
    src_addr: valueIn(source, "ip"),
    dst_addr: valueIn(destination, "ip"),
    src_port: valueIn(source, "port"),
    dst_port: valueIn(destination, "port"),
    src_mac: valueIn(source, "mac"),
    dst_mac: valueIn(destination, "mac"),
    src_as: valueIn(objectIn(source, "autonomous_system"), "number"),
    dst_as: valueIn(objectIn(destination, "autonomous_system"), "number"),
    protocol: valueIn(connection, "protocol_num"),
    protocol_name: valueIn(connection, "protocol_name"),
    tcp_flags: valueIn(connection, "tcp_flags"),
    input_snmp: valueIn(connection, "input_snmp"),
    output_snmp: valueIn(connection, "output_snmp"),
    octets: valueIn(totals, "bytes"),
    packets: valueIn(totals, "packets"),
    bytes_in: valueIn(totals, "bytes_in"),
    bytes_out: valueIn(totals, "bytes_out"),
    packets_in: valueIn(totals, "packets_in"),
    packets_out: valueIn(totals, "packets_out"),
    sampler_address: isObject(sampler) ? valueIn(sampler, "value") : null
  }
  return flowOfJson(fields, objectIn(object, "unmapped"))
}

const directionNames: ReadonlyMap<number, string> = new Map([
  [1, "Inbound"],
  [2, "Outbound"],
  [3, "Lateral"]
])
const actionNames: ReadonlyMap<number, string> = new Map([
  [0, "Unknown"],
  [1, "Allowed"],
  [2, "Denied"],
  [99, "Other"]
])

/**
 * The activity that an object is already: what it does not say is made of its flow, apart from objects, of which nothing is
 * invented.
 */
export const activityOfOcsf = (object: JsonObject, flow: Flow, subject: string): NetworkActivity => {
  const made = activityOfFlow(flow, subject)
  const connection = objectIn(object, "connection_info")
  const classUid = int4(object["class_uid"]) ?? networkActivity.classUid
  const activityId = int4(object["activity_id"]) ?? flowDefaults.activityId
  const severityId = int4(object["severity_id"]) ?? flowDefaults.severityId
  const actionId = int4(object["action_id"]) ?? flowDefaults.actionId
  const statusId = int4(object["status_id"]) ?? flowDefaults.statusId
  const directionId = int4(connection["direction_id"])
  const duration = int8(object["duration"])
  return {
    ...made,
    class_uid: classUid,
    category_uid: int4(object["category_uid"]) ?? networkActivity.categoryUid,
    activity_id: activityId,
    type_uid: int8(object["type_uid"]) ?? typeUid(classUid, activityId),
    severity_id: severityId,
    activity_name: text(object["activity_name"]) ?? networkActivityName(activityId),
    severity: text(object["severity"]) ?? ocsfSeverityName(severityId),
    message: text(object["message"]) ?? made.message,
    action_id: actionId,
    action: text(object["action"]) ?? actionNames.get(actionId) ?? null,
    status_id: statusId,
    status: text(object["status"]) ?? statusName(statusId),
    status_code: text(object["status_code"]),
    status_detail: text(object["status_detail"]),
    duration: duration !== null && duration >= 0 ? duration : made.duration,
    metadata: json(object["metadata"]) ?? {},
    src_endpoint: json(object["src_endpoint"]) ?? {},
    dst_endpoint: json(object["dst_endpoint"]) ?? {},
    connection_info: json(object["connection_info"]) ?? {},
    traffic: json(object["traffic"]) ?? {},
    device: json(object["device"]) ?? {},
    actor: json(object["actor"]) ?? {},
    unmapped: json(object["unmapped"]) ?? {},
    observables: json(object["observables"]) ?? [],
    protocol_name: text(connection["protocol_name"]) ?? made.protocol_name,
    direction:
      text(connection["direction"]) ?? (directionId === null ? made.direction : directionNames.get(directionId)),
    direction_id: directionId ?? made.direction_id,
    raw_data: text(object["raw_data"])
  }
}
