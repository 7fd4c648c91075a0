import type { EncodedEventStreamSpec } from "./eventstream.ts"

/**
 * What an EventStream has to fulfil beyond type and length of single fields, written as a pair: CEL for the API server, a
 * predicate for this program.
 */
export interface Rule {
  /** The value the rule is about: `spec.stream`, `spec.processor.json.columns[]` for each item, `""` for the object. */
  readonly path: string
  /** The field named in messages, below `path`. Unset: `path` itself. */
  readonly field?: string
  /** Fields it looks at, below `path`, `[]` for every item of a list. It is passed over while one is wrong in itself. */
  readonly reads: ReadonlyArray<string>
  readonly cel: string
  /** What has to hold. */
  readonly message: string
  /** Compares with the stored object (`oldSelf`): passed over at creation. */
  readonly transition: boolean
  /** Whether the rule holds for the value at `path`, defaults filled in, every field of `reads` valid in itself. */
  readonly holds: (self: any, oldSelf: any) => boolean
}

type Spec = EncodedEventStreamSpec
type Consumer = NonNullable<Spec["consumer"]>
type Json = NonNullable<Spec["processor"]["json"]>
type Writer = NonNullable<Spec["writer"]>
export type StringMap = Readonly<Record<string, string>>

/** Where rules may stand, and what they find there. */
interface Places {
  "": { readonly metadata: { readonly name: string } }
  spec: Spec
  "spec.nats": Spec["nats"]
  "spec.nats.tls": NonNullable<Spec["nats"]["tls"]>
  "spec.nats.auth": NonNullable<Spec["nats"]["auth"]>
  "spec.identity.spiffe": NonNullable<Spec["identity"]>["spiffe"]
  "spec.stream": Spec["stream"]
  "spec.consumer": Consumer
  "spec.consumer.deliverFrom": NonNullable<Consumer["deliverFrom"]>
  "spec.processor": Spec["processor"]
  "spec.processor.json": Json
  "spec.processor.json.columns[]": NonNullable<Json["columns"]>[number]
  "spec.processor.json.routes[]": NonNullable<Json["routes"]>[number]
  "spec.processor.json.routes[].columns[]": NonNullable<Json["columns"]>[number]
  "spec.target": Spec["target"]
  "spec.target.postgres": Spec["target"]["postgres"]
  "spec.target.postgres.tls": NonNullable<Spec["target"]["postgres"]["tls"]>
  "spec.target.timeseries": NonNullable<Spec["target"]["timeseries"]>
  "spec.errors.backoff": NonNullable<NonNullable<Spec["errors"]>["backoff"]>
  "spec.errors.deadLetter.publish": NonNullable<NonNullable<NonNullable<Spec["errors"]>["deadLetter"]>["publish"]>
  "spec.writer.podLabels": StringMap
  "spec.writer.podAnnotations": StringMap
  "spec.writer.nodeSelector": StringMap
  "spec.writer.tolerations[]": NonNullable<Writer["tolerations"]>[number]
}

type Definition = Pick<Rule, "field" | "reads" | "cel" | "message">

/** A rule about one state of the object. */
export const state = <Path extends keyof Places>(
  path: Path,
  definition: Definition & { readonly holds: (self: Places[Path]) => boolean }
): Rule => ({ ...definition, path, transition: false })

/** A rule about a change of the object. */
export const change = <Path extends keyof Places>(
  path: Path,
  definition: Definition & { readonly holds: (self: Places[Path], oldSelf: Places[Path]) => boolean }
): Rule => ({ ...definition, path, transition: true })
