import type { JsonObject, JsonValue, Micros } from "../tables/table.ts"

/** Objects and names of the Open Cybersecurity Schema Framework, version 1.7.0. Source: https://schema.ocsf.io/1.7.0/ */

/** The product that metadata names as the one that made the event. */
export interface Product {
  readonly vendorName?: string
  readonly name?: string
  readonly version?: string
}

/** Class and category of Event Log Activity. */
export const eventLog = { classUid: 1008, categoryUid: 1 } as const
/** Class and category of Network Activity. */
export const networkActivity = { classUid: 4001, categoryUid: 4 } as const

export const typeUid = (classUid: number, activityId: number): number => classUid * 100 + activityId

const eventLogActivities: ReadonlyMap<number, string> = new Map([
  [0, "Unknown"],
  // The schema calls it Clear; consumers of these tables know it under this name.
  [1, "Create"],
  [2, "Delete"],
  [3, "Export"],
  [4, "Archive"],
  [5, "Rotate"],
  [6, "Start"],
  [7, "Stop"],
  [8, "Restart"],
  [9, "Enable"],
  [10, "Disable"],
  [99, "Other"]
])

/** Name of an Event Log Activity; `Other` for an id that the class does not have. */
export const eventLogActivityName = (activityId: number): string => eventLogActivities.get(activityId) ?? "Other"

const networkActivities: ReadonlyMap<number, string> = new Map([
  [0, "Unknown"],
  [1, "Open"],
  [2, "Close"],
  [3, "Reset"],
  [4, "Fail"],
  [5, "Refuse"],
  [6, "Traffic"],
  [7, "Listen"],
  // "Other" in the schema, which allows a caption of one's own; the only such activity here is a scan.
  [99, "Scan"]
])

/** Name of a Network Activity, null for an id that the class does not have. */
export const networkActivityName = (activityId: number): string | null => networkActivities.get(activityId) ?? null

const statuses: ReadonlyMap<number, string> = new Map([
  [0, "Unknown"],
  [1, "Success"],
  [2, "Failure"],
  [99, "Other"]
])

/** Name of a status id, null for one that the schema does not have. */
export const statusName = (statusId: number): string | null => statuses.get(statusId) ?? null

/** The members of `object` that have a value. */
export const compact = (object: Readonly<Record<string, JsonValue | undefined>>): JsonObject => {
  const members: Record<string, JsonValue> = {}
  for (const name in object) {
    const value = object[name]
    if (value !== undefined && value !== null && value !== "") members[name] = value
  }
  return members
}

/** Makes the object `metadata` of a message's events. */
export type Metadata = (
  message: { readonly receivedAt: Micros; readonly subject: string },
  /** The event's time as the payload has it; kept where it is text. */
  originalTime?: JsonValue
) => JsonObject

/** @param product named by every event; what it leaves open is this program's, without a version */
export const makeMetadata = ({ vendorName = "EventStream", name = "eventstream", version }: Product = {}): Metadata => {
  const product = compact({ vendor_name: vendorName, name, version })
  return ({ receivedAt, subject }, originalTime) =>
    compact({
      version: "1.7.0",
      product,
      logged_time: Math.floor(Number(receivedAt) / 1000),
      correlation_uid: subject,
      original_time: typeof originalTime === "string" ? originalTime : undefined
    })
}

type Text = string | null | undefined

/** A network endpoint; what has no value is left out. */
export const endpoint = (members: {
  readonly ip?: Text
  readonly hostname?: Text
  readonly port?: number | null
  readonly mac?: Text
  readonly name?: Text
}): JsonObject => compact(members)

/** A device; what has no value is left out. */
export const device = (members: {
  readonly hostname?: Text
  readonly ip?: Text
  readonly mac?: Text
  readonly name?: Text
  readonly uid?: Text
}): JsonObject => compact(members)

/** An actor; what has no value is left out. */
export const actor = (members: { readonly app_name?: Text; readonly app_ver?: Text }): JsonObject => compact(members)

const observableTypes = { Hostname: 1, "IP Address": 2, "MAC Address": 3, Port: 11, Other: 99 } as const
type ObservableType = keyof typeof observableTypes

/** Where in the event a value is that is worth finding; null where the event has it not. */
export type Observation = readonly [path: string, type: ObservableType, value: string | number | null]

/** The array `observables`: each value of a type once, under the path that comes first. */
export const observables = (observations: ReadonlyArray<Observation>): ReadonlyArray<JsonObject> => {
  const found: Array<{
    readonly name: string
    readonly type: string
    readonly type_id: number
    readonly value: string
  }> = []
  for (const [name, type, observed] of observations) {
    if (observed === null || observed === "") continue
    const value = String(observed)
    if (found.some((other) => other.type === type && other.value === value)) continue
    found.push({ name, type, type_id: observableTypes[type], value })
  }
  return found
}

const protocols: ReadonlyMap<number, string> = new Map([
  [1, "ICMP"],
  [6, "TCP"],
  [17, "UDP"],
  [47, "GRE"],
  [50, "ESP"],
  [51, "AH"],
  [58, "ICMPv6"],
  [89, "OSPF"],
  [132, "SCTP"]
])

/** Name of an IP protocol number, `Unknown` for others. Source: IANA, Assigned Internet Protocol Numbers. */
export const protocolName = (protocol: number | null): string =>
  (protocol === null ? undefined : protocols.get(protocol)) ?? "Unknown"
