import { Option, Schema } from "effect"
import { admit, decodeSpec, type Mistake } from "../crds/admission.ts"
import { group, kind } from "../crds/eventstream.ts"
import { parseDocuments } from "../operator/local/manifest-files.ts"
import { processorConfig, tableOptions } from "../operator/specs/configmap.ts"
import { defaultStreamName } from "../operator/specs/names.ts"
import { processorFaults } from "../writer/processors/index.ts"

/** What `eventstream validate` finds out, as a value, and as text. */

export interface ObjectValidation {
  readonly file: string
  readonly namespace: string
  readonly name: string
  /** Empty when the object is valid. */
  readonly mistakes: ReadonlyArray<Mistake>
}

export interface Validation {
  /** Every EventStream of the input. */
  readonly objects: ReadonlyArray<ObjectValidation>
  /** Sentences about what is not an object at all, each with its file. */
  readonly mistakes: ReadonlyArray<string>
  /** What was passed over. */
  readonly notes: ReadonlyArray<string>
}

const Header = Schema.Struct({ apiVersion: Schema.String, kind: Schema.String })
const asHeader = Schema.decodeUnknownOption(Header)

const Named = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String, namespace: Schema.optionalKey(Schema.String) })
})
const asNamed = Schema.decodeUnknownOption(Named)

const keyOf = (object: unknown) => {
  const { name, namespace = "default" } = Option.getOrElse(asNamed(object), () => ({
    metadata: { name: "(without a name)", namespace: "default" }
  })).metadata
  return { namespace, name }
}

/** The fields that decide which stream an EventStream owns; other mistakes do not hide a conflict. */
const Claim = Schema.Struct({
  spec: Schema.Struct({
    nats: Schema.Struct({
      servers: Schema.Array(Schema.String),
      jetstreamDomain: Schema.optionalKey(Schema.String)
    }),
    stream: Schema.Struct({
      name: Schema.optionalKey(Schema.String),
      management: Schema.optionalKey(Schema.String)
    })
  })
})
const asClaim = Schema.decodeUnknownOption(Claim)

interface Candidate {
  readonly file: string
  readonly object: unknown
}

const titleOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }) =>
  `${kind} ${namespace}/${name}`

/** Whether `one` claims a stream that `other` claims too. Servers in common tell that both mean the same NATS. */
const sameStream = (one: unknown, other: unknown): string | undefined => {
  const [a, b] = [Option.getOrUndefined(asClaim(one)), Option.getOrUndefined(asClaim(other))]
  if (a === undefined || b === undefined) return undefined
  if (a.spec.stream.management === "Observed" || b.spec.stream.management === "Observed") return undefined
  const name = a.spec.stream.name ?? defaultStreamName(keyOf(one))
  return name === (b.spec.stream.name ?? defaultStreamName(keyOf(other))) &&
    a.spec.nats.jetstreamDomain === b.spec.nats.jetstreamDomain &&
    a.spec.nats.servers.some((server) => b.spec.nats.servers.includes(server))
    ? name
    : undefined
}

/** Mistakes that only show beside the EventStreams before it. */
const conflicts = ({ object }: Candidate, earlier: ReadonlyArray<Candidate>): ReadonlyArray<Mistake> =>
  earlier.flatMap((other): ReadonlyArray<Mistake> => {
    const title = titleOf(keyOf(other.object))
    if (Option.isSome(asNamed(object)) && titleOf(keyOf(object)) === title) {
      return [{ path: "metadata.name", message: `${title} is in ${other.file} already` }]
    }
    const stream = sameStream(object, other.object)
    return stream === undefined
      ? []
      : [{ path: "spec.stream.name", message: `stream ${stream} is managed by ${title} (${other.file}) already` }]
  })

/** Mistakes in the mapping that no schema can tell, such as a JSON pointer that is none; the writer would stop at them. */
const mappingMistakes = (object: unknown): ReadonlyArray<Mistake> => {
  const decoded = decodeSpec(object)
  if ("errors" in decoded) return []
  return processorFaults(processorConfig(decoded.spec), tableOptions(decoded.spec)).map((fault) => {
    const colon = fault.indexOf(": ")
    return { path: `spec.processor.${fault.slice(0, colon)}`, message: fault.slice(colon + 2) }
  })
}

/**
 * Checks every EventStream of the files, each by itself and all together.
 *
 * @param files text of each file
 */
export const validate = (files: ReadonlyMap<string, string>): Validation => {
  const candidates: Array<Candidate> = []
  const mistakes: Array<string> = []
  const notes: Array<string> = []
  for (const [file, text] of files) {
    const { values, mistakes: notYaml } = parseDocuments(file, text)
    mistakes.push(...notYaml)
    for (const object of values) {
      const header = Option.getOrUndefined(asHeader(object))
      if (header === undefined) mistakes.push(`${file}: expected a Kubernetes object with apiVersion and kind`)
      else if (header.kind === kind || header.apiVersion.startsWith(`${group}/`)) candidates.push({ file, object })
      else notes.push(`${file}: ${header.kind} ${keyOf(object).name} is not an EventStream: not checked`)
    }
  }
  const objects = candidates.map((candidate, index): ObjectValidation => {
    const { file, object } = candidate
    const admission = admit(object)
    const own = "errors" in admission ? admission.errors : mappingMistakes(admission.object)
    return { file, ...keyOf(object), mistakes: [...own, ...conflicts(candidate, candidates.slice(0, index))] }
  })
  return { objects, mistakes, notes }
}

/** One line per mistake, e.g. `orders.yaml: EventStream demo/orders: spec.batch.maxMesages: unknown field; …`. */
export const mistakeLines = ({ objects, mistakes }: Validation): ReadonlyArray<string> => [
  ...mistakes,
  ...objects.flatMap((object) =>
    object.mistakes.map(({ path, message }) => `${object.file}: ${titleOf(object)}: ${path}: ${message}`)
  )
]
