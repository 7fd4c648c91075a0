import type { ProcessorConfig } from "../processor-config.ts"
import type { FlowMessage } from "../decode/flow.ts"
import { decodeFlow } from "../decode/flow.ts"
import { RowIds } from "../fields/identity.ts"
import { makeMetadata } from "../fields/ocsf.ts"
import { parseTimestamp } from "../fields/time.ts"
import { networkActivityRow } from "../tables/ocsf-network-activity.ts"
import type { JsonObject, JsonValue, Micros, Row, Table } from "../tables/table.ts"
import { activityOfFlow } from "./netflow-activity.ts"
import type { Flow } from "./netflow-flow.ts"
import { flowOfJson } from "./netflow-flow.ts"
import { activityOfOcsf, flowOfOcsf, isOcsfFlow } from "./netflow-ocsf.ts"
import { flowOfProtobuf } from "./netflow-protobuf.ts"
import { outputOf } from "./outputs.ts"
import type { Message, Processor, RowSink } from "./processor.ts"
import { rawText } from "./raw.ts"
import type { Mapped, RecordMapping } from "./records.ts"
import { mapRecords } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["netflow.>", "flows.raw.>"]

/** A flow, and what it was read from. */
interface Observed {
  readonly flow: Flow
  readonly message: Message
  readonly envelopeTime: JsonValue | undefined
  /** The object, when it is an OCSF Network Activity already. */
  readonly ocsf?: JsonObject | undefined
  /** Text of the JSON, or base64 of the protobuf message. */
  readonly raw: () => string
}

type ToRow = (observed: Observed, id: string) => Row

const timeOf = ({ flow, envelopeTime, message }: Observed): Micros =>
  flow.time ?? parseTimestamp(envelopeTime) ?? message.receivedAt

const metricsRow: ToRow = (observed, id) => {
  const { flow } = observed
  return [
    timeOf(observed),
    id,
    flow.gatewayId,
    flow.agentId,
    flow.deviceId,
    flow.flowDirection,
    flow.srcIp,
    flow.dstIp,
    flow.srcPort,
    flow.dstPort,
    flow.protocol,
    flow.packets,
    flow.bytes,
    flow.samplerIp,
    flow.inputInterface,
    flow.outputInterface,
    flow.metadata
  ]
}

const activityRows = ({ ocsf: { product } = {}, storeRaw }: ProcessorConfig): ToRow => {
  const metadata = makeMetadata(product)
  return (observed, id) => {
    const { flow, message, ocsf, raw } = observed
    const activity =
      ocsf === undefined
        ? { ...activityOfFlow(flow, message.subject), metadata: metadata(message, flow.originalTime) }
        : activityOfOcsf(ocsf, flow, message.subject)
    return networkActivityRow({
      ...activity,
      id,
      time: timeOf(observed),
      raw_data: storeRaw ? raw() : activity.raw_data
    })
  }
}

/** A message of protobuf with its bytes, which may come out of an envelope. */
interface Encoded {
  readonly flow: FlowMessage
  readonly bytes: Uint8Array
}

const decodeEncoded = (bytes: Uint8Array): Encoded | undefined => {
  const flow = decodeFlow(bytes)
  return flow && { flow, bytes }
}

/**
 * Flows become rows of `ocsf_network_activity` or `netflow_metrics`: `flowpb` protobuf messages, JSON objects, and OCSF
 * Network Activities in JSON.
 */
export const makeNetFlow = (activities: Table, metrics: Table, config: ProcessorConfig): Processor => {
  const { subjects = [], skipSubjects } = config
  const [table, toRow] =
    outputOf(config) === "NetflowMetrics" ? [metrics, metricsRow] : [activities, activityRows(config)]
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  const ids = new RowIds(table.name)
  const put = (sink: RowSink, observed: Observed): Mapped => {
    sink.row(0, toRow(observed, ids.next()))
    return 1
  }
  const mapping: RecordMapping<Encoded> = {
    envelopes: true,
    json: (record, message, sink) => {
      const { object, envelopeTime } = record
      const ocsf = isOcsfFlow(object) ? object : undefined
      const flow = ocsf === undefined ? flowOfJson(object) : flowOfOcsf(ocsf)
      if (typeof flow === "string") return flow
      return put(sink, { flow, message, envelopeTime, ocsf, raw: () => rawText(message, record) })
    },
    protobuf: {
      decode: decodeEncoded,
      map: (encoded, envelopeTime, message, sink) => {
        const flow = flowOfProtobuf(encoded.flow)
        if (typeof flow === "string") return flow
        const raw = () => Buffer.from(encoded.bytes).toString("base64")
        return put(sink, { flow, message, envelopeTime, raw })
      }
    }
  }
  return {
    tables: [table],
    process: (message, sink) => {
      ids.begin(message)
      return route(message) ?? mapRecords(mapping, message, sink)
    }
  }
}
