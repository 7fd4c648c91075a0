import type { OcsfConfig } from "../processor-config.ts"
import { eventLog, eventLogActivityName, typeUid } from "../fields/ocsf.ts"
import { ocsfSeverityName } from "../fields/severity.ts"
import type { JsonArray, JsonObject, Micros, Row } from "../tables/table.ts"

/** What differs between Event Log Activities that are made of logs and events. */
export interface EventLogActivity {
  readonly id: string
  readonly time: Micros
  readonly severityId: number
  readonly message: string
  readonly metadata: JsonObject
  readonly observables: JsonArray
  readonly traceId: string | null
  readonly spanId: string | null
  readonly actor: JsonObject
  readonly device: JsonObject
  readonly srcEndpoint: JsonObject
  readonly logName: string
  readonly logProvider: string
  readonly logLevel: string | null
  readonly logVersion: string | null
  readonly unmapped: JsonObject
  readonly rawData: string | null
}

const noEndpoint: JsonObject = {}

/** Makes rows of `ocsf_events` of class Event Log Activity. */
export const makeEventLogRow = ({ eventLogActivityId = 1 }: OcsfConfig = {}): ((event: EventLogActivity) => Row) => {
  const typeId = typeUid(eventLog.classUid, eventLogActivityId)
  const activityName = eventLogActivityName(eventLogActivityId)
  return (event) => [
    event.id,
    event.time,
    eventLog.classUid,
    eventLog.categoryUid,
    typeId,
    eventLogActivityId,
    activityName,
    event.severityId,
    ocsfSeverityName(event.severityId),
    event.message,
    1,
    "Success",
    null,
    null,
    event.metadata,
    event.observables,
    event.traceId,
    event.spanId,
    event.actor,
    event.device,
    event.srcEndpoint,
    noEndpoint,
    event.logName,
    event.logProvider,
    event.logLevel,
    event.logVersion,
    event.unmapped,
    event.rawData
  ]
}
