import type { ProcessorConfig } from "../processor-config.ts"
import { metricSeriesKey } from "../fields/series-key.ts"
import { parseTimestamp } from "../fields/time.ts"
import { bool, first, float8, int4, isPresent, json, text } from "../fields/values.ts"
import type { Table } from "../tables/table.ts"
import type { Message, Processor, RowSink } from "./processor.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["telemetry.>"]

const mapSample = ({ object, envelopeTime }: JsonRecord, message: Message, sink: RowSink): Mapped => {
  if (!isPresent(object["value"])) return "missing_field:value"
  const value = float8(object["value"])
  if (value === null) return "invalid_field:value"

  const agentId = text(first(object["agent_id"], object["agentId"]))
  const metricName = text(first(object["metric_name"], object["metricName"], object["name"])) ?? "unknown"
  const metricType = text(first(object["metric_type"], object["metricType"], object["type"])) ?? "gauge"
  const deviceId = text(first(object["device_id"], object["deviceId"]))
  const partition = text(object["partition"])
  const tags = json(object["tags"])
  const targetDeviceIp = text(first(object["target_device_ip"], object["targetDeviceIp"]))
  const ifIndex = int4(first(object["if_index"], object["ifIndex"]))
  sink.row(0, [
    parseTimestamp(object["timestamp"]) ??
      parseTimestamp(object["time"]) ??
      parseTimestamp(object["ts"]) ??
      parseTimestamp(envelopeTime) ??
      message.receivedAt,
    text(first(object["gateway_id"], object["gatewayId"], object["poller_id"], object["pollerId"])) ?? "unknown",
    agentId,
    metricName,
    metricType,
    metricSeriesKey({ metricType, metricName, partition, agentId, deviceId, targetDeviceIp, ifIndex, tags }),
    deviceId,
    value,
    text(object["unit"]),
    partition,
    tags,
    json(object["metadata"]),
    float8(object["scale"]),
    bool(first(object["is_delta"], object["isDelta"])) ?? false,
    targetDeviceIp,
    ifIndex
  ])
  return 1
}

const mapping: RecordMapping<never> = { envelopes: true, json: mapSample }

/** Metric samples in JSON become rows of `timeseries_metrics`. */
export const makeTelemetry = (table: Table, { subjects = [], skipSubjects }: ProcessorConfig): Processor => {
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  return {
    tables: [table],
    process: (message, sink) => route(message) ?? mapRecords(mapping, message, sink)
  }
}
