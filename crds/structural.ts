import { Schema } from "effect"
import { ExpectedKey, type Range, RangeKey } from "./field.ts"

/**
 * The structural form of OpenAPI that Kubernetes asks of a CRD, made from an Effect Schema.
 * Source: kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

/** A node of a structural schema: what a value may be, and what the messages say about it. */
export interface Structural {
  /** `intOrString`: `x-kubernetes-int-or-string`. */
  readonly type: "object" | "array" | "string" | "integer" | "boolean" | "intOrString"
  readonly description?: string
  readonly default?: Json
  readonly enum?: ReadonlyArray<string | number>
  readonly pattern?: string
  /** What matches `pattern`, in words. */
  readonly expected?: string
  /** Bounds of a value written as text. */
  readonly range?: Range
  /** Lengths count Unicode code points, as the API server does. */
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Structural
  readonly minItems?: number
  readonly maxItems?: number
  readonly listType?: "set" | "map" | "atomic"
  readonly listMapKeys?: ReadonlyArray<string>
  readonly properties?: Readonly<Record<string, Structural>>
  readonly required?: ReadonlyArray<string>
  /** Values of a map with free keys. */
  readonly additionalProperties?: Structural
  readonly maxProperties?: number
}

type Keywords = { readonly [keyword: string]: any }

/** `allOf` only ever holds further checks of the same value; they are taken together. */
const merged = ({ allOf, ...keywords }: Keywords): Keywords => Object.assign({}, keywords, ...(allOf ?? []))

const typeOf = (keywords: Keywords): Structural["type"] => {
  if (keywords["anyOf"]) return "intOrString"
  if (keywords["type"] === "number" && keywords["enum"]?.every(Number.isInteger)) return "integer"
  return keywords["type"]
}

const copied = [
  "description",
  "default",
  "enum",
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "maxItems",
  "maxProperties"
] as const

/** Keywords of both alternatives of an int-or-string: bounds of the number, pattern and length of the text. */
const flattened = (keywords: Keywords): Keywords =>
  Object.assign({}, ...(keywords["anyOf"] ?? []).map(merged), keywords, { type: typeOf(keywords) })

const convert = (source: Keywords): Structural => {
  const keywords = flattened(merged(source))
  const properties: Record<string, Keywords> | undefined = keywords["properties"]
  return {
    type: keywords["type"],
    ...Object.fromEntries(copied.filter((key) => keywords[key] !== undefined).map((key) => [key, keywords[key]])),
    ...(keywords["pattern"] && { pattern: keywords["pattern"].replaceAll("\\/", "/") }),
    ...(keywords[ExpectedKey] && { expected: keywords[ExpectedKey] }),
    ...(keywords[RangeKey] && { range: keywords[RangeKey] }),
    ...(keywords["minItems"] > 0 && { minItems: keywords["minItems"] }),
    ...(keywords["items"] && { items: convert(keywords["items"]) }),
    ...(keywords["x-kubernetes-list-type"] && { listType: keywords["x-kubernetes-list-type"] }),
    ...(keywords["x-kubernetes-list-map-keys"] && { listMapKeys: keywords["x-kubernetes-list-map-keys"] }),
    ...(keywords["required"] && { required: keywords["required"] }),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, convert(field)]))
    }),
    ...(!properties &&
      keywords["type"] === "object" && { additionalProperties: convert(keywords["additionalProperties"]) })
  }
}

/** The structural schema of a Schema's encoded form. Throws, when the CRD is generated, on what Kubernetes cannot express. */
export const structural = (schema: Schema.Constraint): Structural => {
  const { schema: root, definitions } = Schema.toJsonSchemaDocument(schema, {
    includeAnnotationKey: (key) => key.startsWith("x-")
  })
  if (Object.keys(definitions).length > 0) throw new Error(`shared definitions: ${Object.keys(definitions).join(", ")}`)
  return convert(root)
}
