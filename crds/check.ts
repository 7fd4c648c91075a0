import { closest } from "./closest.ts"
import { rangeRule } from "./rules.ts"
import type { Structural } from "./structural.ts"

/** What an API server does with one value and its structural schema: fill in defaults, then look for mistakes. */

export interface Mistake {
  /** e.g. `spec.nats.servers[0]`. */
  readonly path: string
  /** What was found and what is allowed. */
  readonly message: string
}

export type Fields = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Path of a field of an object, or of a key of a map. */
export const below = (path: string, name: string) =>
  /^[A-Za-z][A-Za-z0-9-]*$/u.test(name) ? (path === "" ? name : `${path}.${name}`) : `${path}[${name}]`

/**
 * The value with defaults filled in, outside in. Nulls where a field cannot be null count as left out.
 * Source: kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
 */
export const withDefaults = (schema: Structural, value: unknown): unknown => {
  if (Array.isArray(value) && schema.items) return value.map((item) => withDefaults(schema.items!, item))
  if (!isObject(value)) return value
  const fields = new Map(Object.entries(value))
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if ((fields.get(name) ?? null) === null) fields.delete(name)
    if (!fields.has(name) && field.default !== undefined) fields.set(name, field.default)
    if (fields.has(name)) fields.set(name, withDefaults(field, fields.get(name)))
  }
  if (schema.additionalProperties) for (const [key, entry] of fields) if (entry === null) fields.delete(key)
  return Object.fromEntries(fields)
}

/** A value as messages show it: scalars and lists of them as JSON, cut after 80 characters. */
export const shown = (value: unknown): string => {
  if (isObject(value)) return "an object"
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) return "a list"
  const json = JSON.stringify(value)
  return json.length > 80 ? `${json.slice(0, 77)}...` : json
}

const kinds = {
  object: "an object",
  array: "a list",
  string: "text",
  integer: "a whole number",
  boolean: "true or false",
  intOrString: "a whole number or text"
} as const

const hasType = ({ type }: Structural, value: unknown): boolean => {
  switch (type) {
    case "object":
      return isObject(value)
    case "array":
      return Array.isArray(value)
    case "string":
      return typeof value === "string"
    case "integer":
      return Number.isInteger(value)
    case "boolean":
      return typeof value === "boolean"
    case "intOrString":
      return typeof value === "string" || Number.isInteger(value)
  }
}

const codePoints = (text: string) => Array.from(text).length

/** What a scalar should have been, `undefined` when it is right. */
const expectedScalar = (schema: Structural, value: unknown): string | undefined => {
  const { enum: values, pattern, expected, range, minLength = 0, maxLength = Infinity } = schema
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (values && !values.includes(value as string)) {
    return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`
  }
  if (typeof value === "number" && (value < minimum || value > maximum)) return `${minimum} to ${maximum}`
  if (typeof value === "string") {
    if (pattern && !new RegExp(pattern, "u").test(value)) return expected ?? `text that matches ${pattern}`
    if (codePoints(value) < minLength) return `at least ${minLength} character`
    if (codePoints(value) > maxLength) return `at most ${maxLength} characters`
  }
  return range && !rangeRule(range).holds(value, undefined) ? `${range.minimum} to ${range.maximum}` : undefined
}

const unknownField = (name: string, known: ReadonlyArray<string>) => {
  const near = closest(name, known)
  return `unknown field; ${near === undefined ? `known are ${known.join(", ")}` : `did you mean ${near}?`}`
}

const checkObject = (schema: Structural, value: Fields, path: string): ReadonlyArray<Mistake> => {
  const known = Object.keys(schema.properties ?? {})
  const missing = (schema.required ?? [])
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => ({
      path: below(path, name),
      message: `required, but missing: ${schema.properties?.[name]?.description ?? ""}`
    }))
  const found = Object.entries(value).flatMap(([name, entry]): ReadonlyArray<Mistake> => {
    const at = below(path, name)
    const field = known.includes(name) ? schema.properties?.[name] : schema.additionalProperties
    return field ? check(field, entry, at) : [{ path: at, message: unknownField(name, known) }]
  })
  const { maxProperties = Infinity } = schema
  const count = Object.keys(value).length
  const tooMany =
    count > maxProperties ? [{ path, message: `expected at most ${maxProperties} entries, found ${count}` }] : []
  return [...tooMany, ...missing, ...found]
}

const checkList = (schema: Structural, value: ReadonlyArray<unknown>, path: string): ReadonlyArray<Mistake> => {
  const { minItems = 0, maxItems = Infinity, listType, listMapKeys = [] } = schema
  const mistakes: Array<Mistake> = []
  if (value.length < minItems) mistakes.push({ path, message: `expected at least ${minItems} entry, found none` })
  if (value.length > maxItems)
    mistakes.push({ path, message: `expected at most ${maxItems} entries, found ${value.length}` })
  value.forEach((item, index) => mistakes.push(...check(schema.items!, item, `${path}[${index}]`)))
  if (listType === "atomic") return mistakes
  // A list map here has one key, a set none: then the item itself must be unique.
  const key = listMapKeys[0]
  const seen = new Set<unknown>()
  value.forEach((item, index) => {
    const identity = key !== undefined && isObject(item) ? item[key] : item
    const at = key === undefined ? `${path}[${index}]` : `${path}[${index}].${key}`
    if (identity !== undefined && seen.has(identity))
      mistakes.push({ path: at, message: `${shown(identity)} occurs twice` })
    seen.add(identity)
  })
  return mistakes
}

/** Every mistake of a value, whose defaults are filled in. */
export const check = (schema: Structural, value: unknown, path: string): ReadonlyArray<Mistake> => {
  if (!hasType(schema, value)) {
    return [{ path, message: `expected ${schema.expected ?? kinds[schema.type]}, found ${shown(value)}` }]
  }
  if (isObject(value)) return checkObject(schema, value, path)
  if (Array.isArray(value)) return checkList(schema, value, path)
  const expected = expectedScalar(schema, value)
  return expected === undefined ? [] : [{ path, message: `expected ${expected}, found ${shown(value)}` }]
}
