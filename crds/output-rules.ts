import { state } from "./rule.ts"

/** What the types of processors can make of their messages, and the settings that depend on it. */

type ProcessorType = "Events" | "Logs" | "Sweep" | "NetFlow"
const outputs: Readonly<Record<ProcessorType, ReadonlyArray<string>>> = {
  Events: ["Events", "OcsfEvents"],
  Logs: ["OcsfEvents", "Logs", "Both"],
  Sweep: ["OcsfNetworkActivity", "SweepHostStates"],
  NetFlow: ["OcsfNetworkActivity", "NetflowMetrics"]
}
const outputsOf = (type: string | undefined) => outputs[type as ProcessorType] ?? []
/** CEL: whether the processor's output is one of those that `wanted` takes; unset, it is the type's first. */
const celOutputIs = (wanted: (output: string) => boolean) =>
  Object.entries(outputs)
    .map(([type, possible]) => {
      const names = possible.filter(wanted).map((output) => `'${output}'`)
      const unset = wanted(possible[0]!) ? "!has(self.output) || " : "has(self.output) && "
      return `(self.type == '${type}' && (${unset}self.output in [${names.join(", ")}]))`
    })
    .join(" || ")
const hasRawData = (output: string | undefined) =>
  output === "Events" || output === "OcsfEvents" || output === "Both" || output === "OcsfNetworkActivity"
const isOcsf = (output: string | undefined) => output !== "Events" && hasRawData(output)

/** Rules about `spec.processor` of the built-in types. */
export const outputRules = [
  state("spec.processor", {
    field: "output",
    reads: ["type", "output"],
    cel: `!has(self.output) || (has(self.type) && (${celOutputIs(() => true)}))`,
    message: `must be one of the type's own: ${Object.entries(outputs)
      .map(([type, possible]) => `${type} has ${possible.join(", ")}`)
      .join("; ")}; other types have none`,
    holds: ({ type, output }) => output === undefined || outputsOf(type).includes(output)
  }),
  state("spec.processor", {
    field: "storeRaw",
    reads: ["type", "output", "storeRaw"],
    cel: `!has(self.storeRaw) || !self.storeRaw || (has(self.type) && (${celOutputIs(hasRawData)}))`,
    message:
      "must be given only where the table has a column raw_data: with output Events, OcsfEvents, Both or OcsfNetworkActivity",
    holds: ({ type, output, storeRaw }) => !storeRaw || hasRawData(output ?? outputsOf(type)[0])
  }),
  state("spec.processor", {
    field: "ocsf",
    reads: ["type", "output", "ocsf"],
    cel: `!has(self.ocsf) || (has(self.type) && (${celOutputIs(isOcsf)}))`,
    message: "must be given only with output OcsfEvents, Both or OcsfNetworkActivity",
    holds: ({ type, output, ocsf }) => ocsf === undefined || isOcsf(output ?? outputsOf(type)[0])
  }),
  state("spec.processor", {
    field: "ocsf.eventLogActivityId",
    reads: ["type", "ocsf.eventLogActivityId"],
    cel: "!has(self.ocsf) || !has(self.ocsf.eventLogActivityId) || (has(self.type) && self.type in ['Events', 'Logs'])",
    message: "must be given only with types Events and Logs",
    holds: ({ type, ocsf }) => ocsf?.eventLogActivityId === undefined || type === "Events" || type === "Logs"
  })
]
