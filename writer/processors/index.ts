import { Schema } from "effect"
import type { ProcessorConfig } from "../config.ts"
import type { TableOptions } from "../tables/mapped.ts"
import { otelMetrics } from "../tables/otel-metrics.ts"
import type { Table } from "../tables/table.ts"
import { timeseriesMetrics } from "../tables/timeseries-metrics.ts"
import { jsonMappingFaults } from "./json-faults.ts"
import { makeJson } from "./json.ts"
import { makeOtelMetrics } from "./otel-metrics.ts"
import type { Processor } from "./processor.ts"
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
  if (config.type !== "Json") return config.json === undefined ? [] : [`json: not with type ${config.type}`]
  if (config.json === undefined) return ["json: needed with type Json"]
  return jsonMappingFaults(config.json, options).map((fault) => `json.${fault}`)
}

const withChunkInterval = (table: Table, { chunkIntervalMillis }: TableOptions): Table =>
  chunkIntervalMillis === undefined ? table : { ...table, chunkIntervalMillis }

/**
 * The processor of an EventStream.
 *
 * @param options `target` of the writer's configuration
 * @throws InvalidProcessor when {@link processorFaults} has any
 */
export const makeProcessor = (config: ProcessorConfig, options: TableOptions = {}): Processor => {
  const faults = processorFaults(config, options)
  if (faults.length > 0) throw new InvalidProcessor({ faults })
  switch (config.type) {
    case "Telemetry":
      return makeTelemetry(withChunkInterval(timeseriesMetrics, options), config)
    case "OtelMetrics":
      return makeOtelMetrics(withChunkInterval(otelMetrics, options), config)
    case "Json":
      return makeJson(config.json!, options, config.skipSubjects)
  }
}
