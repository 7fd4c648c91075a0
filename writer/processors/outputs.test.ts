import { describe, expect, it } from "vitest"
import type { ProcessorConfig } from "../processor-config.ts"
import { InvalidProcessor, makeProcessor, processorFaults } from "./index.ts"
import { outputNamed, outputOf, targetKind } from "./outputs.ts"

const config = (fields: Omit<ProcessorConfig, "skipSubjects">): ProcessorConfig => ({ skipSubjects: [], ...fields })

describe("the output of a processor", () => {
  it.each<[ProcessorConfig["type"], ProcessorConfig["output"], string]>([
    ["Events", "Events", "Events/Events"],
    ["Logs", "OcsfEvents", "Logs/OcsfEvents"],
    ["Sweep", "OcsfNetworkActivity", "Sweep/OcsfNetworkActivity"],
    ["NetFlow", "OcsfNetworkActivity", "NetFlow/OcsfNetworkActivity"],
    ["Telemetry", undefined, "Telemetry"],
    ["OtelMetrics", undefined, "OtelMetrics"],
    ["OtelTraces", undefined, "OtelTraces"],
    ["Json", undefined, "Json"]
  ])("of type %s is %s where nothing is said", (type, output, target) => {
    expect(outputOf(config({ type }))).toBe(output)
    expect(targetKind(config({ type }))).toBe(target)
  })

  it("is what is said", () => {
    expect(outputOf(config({ type: "Logs", output: "Both" }))).toBe("Both")
    expect(targetKind(config({ type: "Logs", output: "Both" }))).toBe("Logs/Both")
  })

  it("may be named by its table", () => {
    expect(outputNamed("Events", "OcsfEvents")).toBe("OcsfEvents")
    expect(outputNamed("Events", "ocsf_events")).toBe("OcsfEvents")
    expect(outputNamed("NetFlow", "netflow_metrics")).toBe("NetflowMetrics")
    expect(outputNamed("Events", "logs")).toBeUndefined()
    expect(outputNamed("Telemetry", "timeseries_metrics")).toBeUndefined()
  })

  it.each<[ProcessorConfig["type"], ProcessorConfig["output"], ReadonlyArray<string>]>([
    ["Events", "Events", ["events", "ocsf_events"]],
    ["Events", "OcsfEvents", ["ocsf_events"]],
    ["Sweep", "SweepHostStates", ["sweep_host_states"]],
    ["NetFlow", "NetflowMetrics", ["netflow_metrics"]]
  ])("of type %s and output %s are the tables %j", (type, output, tables) => {
    expect(makeProcessor(config({ type, output: output! })).tables.map(({ name }) => name)).toEqual(tables)
  })
})

describe("settings that depend on the output", () => {
  it.each<[Omit<ProcessorConfig, "skipSubjects">, string]>([
    [{ type: "Telemetry", output: "Logs" }, "output: type Telemetry has only one"],
    [{ type: "Logs", output: "Events" }, "output: type Logs has OcsfEvents, Logs, Both, not Events"],
    [{ type: "Logs", output: "Logs", storeRaw: true }, "storeRaw: the table has no column raw_data"],
    [{ type: "Sweep", output: "SweepHostStates", storeRaw: true }, "storeRaw: the table has no column raw_data"],
    [{ type: "OtelTraces", storeRaw: true }, "storeRaw: the table has no column raw_data"],
    [{ type: "Events", ocsf: {} }, "ocsf: the table has no OCSF events"],
    [{ type: "NetFlow", output: "NetflowMetrics", ocsf: {} }, "ocsf: the table has no OCSF events"],
    [{ type: "Sweep", ocsf: { eventLogActivityId: 1 } }, "ocsf.eventLogActivityId: only with types Events and Logs"]
  ])("%j cannot be", (fields, fault) => {
    expect(processorFaults(config(fields))).toEqual([fault])
    expect(() => makeProcessor(config(fields))).toThrow(InvalidProcessor)
  })

  it.each<Omit<ProcessorConfig, "skipSubjects">>([
    { type: "Events", storeRaw: true },
    { type: "Events", output: "OcsfEvents", storeRaw: true, ocsf: { eventLogActivityId: 99 } },
    { type: "Logs", storeRaw: true, ocsf: {} },
    { type: "Logs", output: "Both", storeRaw: true, ocsf: { eventLogActivityId: 0 } },
    { type: "Sweep", storeRaw: true, ocsf: { product: { name: "x" } } },
    { type: "NetFlow", storeRaw: true, ocsf: {} },
    { type: "Telemetry", storeRaw: false }
  ])("%j can be", (fields) => {
    expect(processorFaults(config(fields))).toEqual([])
  })
})
