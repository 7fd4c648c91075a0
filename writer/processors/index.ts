import { Schema } from "effect"
import type { ProcessorConfig } from "../processor-config.ts"
import { events } from "../tables/events.ts"
import { logs } from "../tables/logs.ts"
import type { TableOptions } from "../tables/mapped.ts"
import { netflowMetrics } from "../tables/netflow-metrics.ts"
import { ocsfEvents } from "../tables/ocsf-events.ts"
import { ocsfNetworkActivity } from "../tables/ocsf-network-activity.ts"
import { otelMetrics } from "../tables/otel-metrics.ts"
import { otelTraces } from "../tables/otel-traces.ts"
import { sweepHostStates } from "../tables/sweep-host-states.ts"
import type { Table } from "../tables/table.ts"
import { timeseriesMetrics } from "../tables/timeseries-metrics.ts"
import { makeEvents } from "./events.ts"
import { jsonFaults, unlistedColumns } from "./json-faults.ts"
import { makeJson } from "./json.ts"
import { makeLogs } from "./logs.ts"
import { makeNetFlow } from "./netflow.ts"
import { makeOtelMetrics } from "./otel-metrics.ts"
import { makeOtelTraces } from "./otel-traces.ts"
import { outputFaults } from "./outputs.ts"
import type { Processor } from "./processor.ts"
import { makeSweep } from "./sweep.ts"
import { makeTelemetry } from "./telemetry.ts"

/** The processor of an EventStream cannot work as it is configured. */
export class InvalidProcessor extends Schema.TaggedError<InvalidProcessor>()("InvalidProcessor", {
  /** One sentence each, with the path of the field below `processor`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the processor cannot work: ${this.faults.join("; ")}`
  }
}

/** Why a processor cannot work, one sentence each with the path of the field; empty when it can. */
export const processorFaults = (config: ProcessorConfig, options: TableOptions = {}): ReadonlyArray<string> => {
  const faults = outputFaults(config)
  if (config.type !== "Json") {
    return config.json === undefined ? faults : [...faults, `json: not with type ${config.type}`]
  }
  if (config.json === undefined) return [...faults, "json: needed with type Json"]
  return [...faults, ...jsonFaults(config.json, options).map((fault) => `json.${fault}`)]
}

/** Why the processor's columns are not known, one sentence each: those of a table that exists must be looked up first. */
export const columnFaults = ({ json }: ProcessorConfig): ReadonlyArray<string> =>
  json === undefined ? [] : unlistedColumns(json).map((path) => `json.${path}: needed where no database can be asked`)

const withChunkInterval = (table: Table, { chunkIntervalMillis }: TableOptions): Table =>
  chunkIntervalMillis === undefined ? table : { ...table, chunkIntervalMillis }

/**
 * The processor of an EventStream.
 *
 * @param options `target` of the writer's configuration
 * @throws InvalidProcessor when {@link processorFaults} or {@link columnFaults} has any
 */
export const makeProcessor = (config: ProcessorConfig, options: TableOptions = {}): Processor => {
  const faults = [...processorFaults(config, options), ...columnFaults(config)]
  if (faults.length > 0) throw new InvalidProcessor({ faults })
  switch (config.type) {
    case "Telemetry":
      return makeTelemetry(withChunkInterval(timeseriesMetrics, options), config)
    case "Events":
      return makeEvents(withChunkInterval(events, options), withChunkInterval(ocsfEvents, options), config)
    case "Logs":
      return makeLogs(withChunkInterval(ocsfEvents, options), withChunkInterval(logs, options), config)
    case "OtelMetrics":
      return makeOtelMetrics(withChunkInterval(otelMetrics, options), config)
    case "OtelTraces":
      return makeOtelTraces(withChunkInterval(otelTraces, options), config)
    case "Sweep":
      return makeSweep(
        withChunkInterval(ocsfNetworkActivity, options),
        withChunkInterval(sweepHostStates, options),
        config
      )
    case "NetFlow":
      return makeNetFlow(
        withChunkInterval(ocsfNetworkActivity, options),
        withChunkInterval(netflowMetrics, options),
        config
      )
    case "Json":
      return makeJson(config.json!, options, config.skipSubjects)
  }
}
