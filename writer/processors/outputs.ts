import { type ProcessorConfig, ProcessorOutputs } from "../processor-config.ts"

/** What messages can become. */
export type Output = NonNullable<ProcessorConfig["output"]>

/** What the messages of a type can become, the default first; empty where there is no choice. */
export const outputsOf = (type: ProcessorConfig["type"]): ReadonlyArray<Output> =>
  (ProcessorOutputs as Partial<Record<typeof type, ReadonlyArray<Output>>>)[type] ?? []

const withoutCase = (name: string) => name.replaceAll("_", "").toLowerCase()

/** The output of a type that a name means, which may also be that of its table: `OcsfEvents` or `ocsf_events`. */
export const outputNamed = (type: ProcessorConfig["type"], name: string): Output | undefined =>
  outputsOf(type).find((output) => withoutCase(output) === withoutCase(name))

/** What the messages become; `undefined` where the type has no choice. */
export const outputOf = ({ type, output }: ProcessorConfig): Output | undefined => output ?? outputsOf(type)[0]

/** What decides, beside the tables, where messages are written to: the type, with the output where there is a choice. */
export const targetKind = (config: ProcessorConfig): string => {
  const output = outputOf(config)
  return output === undefined ? config.type : `${config.type}/${output}`
}

const rawDataOutputs: ReadonlySet<Output | undefined> = new Set<Output>([
  "Events",
  "OcsfEvents",
  "Both",
  "OcsfNetworkActivity"
])
const ocsfOutputs: ReadonlySet<Output | undefined> = new Set<Output>(["OcsfEvents", "Both", "OcsfNetworkActivity"])

/** What `output`, and the settings that depend on it, cannot be; one sentence each with the path of the field. */
export const outputFaults = (config: ProcessorConfig): ReadonlyArray<string> => {
  const { type, output, storeRaw, ocsf } = config
  const possible = outputsOf(type)
  if (output !== undefined && !possible.includes(output)) {
    return [
      possible.length === 0
        ? `output: type ${type} has only one`
        : `output: type ${type} has ${possible.join(", ")}, not ${output}`
    ]
  }
  const faults: Array<string> = []
  const effective = outputOf(config)
  if (storeRaw && !rawDataOutputs.has(effective)) faults.push("storeRaw: the table has no column raw_data")
  if (ocsf !== undefined && !ocsfOutputs.has(effective)) faults.push("ocsf: the table has no OCSF events")
  if (ocsf?.eventLogActivityId !== undefined && type !== "Events" && type !== "Logs") {
    faults.push("ocsf.eventLogActivityId: only with types Events and Logs")
  }
  return faults
}
