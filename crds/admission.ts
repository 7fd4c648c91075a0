import { Schema } from "effect"
import { brokenRules } from "./broken-rules.ts"
import { check, isObject, type Mistake, withDefaults } from "./check.ts"
import { specSchema, statusSchema } from "./crd.ts"
import {
  apiVersion,
  type EncodedEventStreamSpec,
  EventStreamSpec,
  type EventStreamStatus,
  kind
} from "./eventstream.ts"
import { rules } from "./rules.ts"
import type { Structural } from "./structural.ts"

/**
 * What an API server that knows the EventStream's CRD does with one, as pure functions: fill in defaults, refuse mistakes.
 * Unknown fields are mistakes, as under `kubectl`'s strict validation.
 */

export type { Mistake } from "./check.ts"

/** An EventStream as an API server stores it: JSON with every default written out. */
export type AdmittedEventStream = {
  readonly apiVersion: typeof apiVersion
  readonly kind: typeof kind
  readonly metadata: { readonly name: string; readonly [field: string]: unknown }
  readonly spec: EncodedEventStreamSpec
  readonly status: EventStreamStatus
}

export type Admission = { readonly object: AdmittedEventStream } | { readonly errors: ReadonlyArray<Mistake> }

const texts: Structural = { type: "object", additionalProperties: { type: "string" } }

/** The part of metadata that people write; the rest of it is the API server's own and looked at only by name. */
const metadataSchema: Structural = {
  type: "object",
  required: ["name"],
  properties: {
    name: {
      type: "string",
      description: "Name of the EventStream.",
      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
      expected: "a name of lower-case letters, digits and -",
      maxLength: 253
    },
    namespace: {
      type: "string",
      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
      expected: "a namespace of lower-case letters, digits and -",
      maxLength: 63
    },
    labels: texts,
    annotations: texts,
    finalizers: { type: "array", items: { type: "string" }, listType: "set" }
  }
}
const serverMetadata = new Set([
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generateName",
  "generation",
  "managedFields",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
  "uid"
])

const objectSchema: Structural = {
  type: "object",
  required: ["apiVersion", "kind", "metadata", "spec"],
  properties: {
    apiVersion: { type: "string", enum: [apiVersion], description: apiVersion },
    kind: { type: "string", enum: [kind], description: kind },
    metadata: { ...metadataSchema, description: "Name, namespace, labels and annotations." },
    spec: { ...specSchema, description: "What is wanted." },
    status: statusSchema
  }
}

const withoutServerMetadata = (value: unknown): unknown =>
  isObject(value) && isObject(value["metadata"])
    ? {
        ...value,
        metadata: Object.fromEntries(Object.entries(value["metadata"]).filter(([name]) => !serverMetadata.has(name)))
      }
    : value

/**
 * Admits or refuses an object, with every mistake at once. `old` is the stored object when this is an update. Never throws,
 * whatever JSON it is given.
 */
export const admit = (object: unknown, old?: unknown): Admission => {
  const filled = withDefaults(objectSchema, object)
  const found = check(objectSchema, withoutServerMetadata(filled), "")
  const errors = [...found, ...brokenRules(rules, filled, withDefaults(objectSchema, old), found)]
  return errors.length > 0 ? { errors } : { object: filled as AdmittedEventStream }
}

const onlySpec: Structural = {
  type: "object",
  required: ["spec"],
  properties: { spec: objectSchema.properties!["spec"]! }
}
const specRules = rules.filter(({ path }) => path !== "")
const decode = Schema.decodeUnknownSync(EventStreamSpec)

/** The spec of a stored object, decoded. It is checked again, because an older or newer CRD may have let it in. */
export const decodeSpec = (
  object: unknown
): { readonly spec: EventStreamSpec } | { readonly errors: ReadonlyArray<Mistake> } => {
  const filled = withDefaults(onlySpec, isObject(object) ? { spec: object["spec"] } : {})
  const found = check(onlySpec, filled, "")
  const errors = [...found, ...brokenRules(specRules, filled, undefined, found)]
  return errors.length > 0 ? { errors } : { spec: decode((filled as { readonly spec: unknown }).spec) }
}
