import * as fc from "fast-check"

/** How arbitrary objects are put together. */

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export const oneOf = <T>(...values: ReadonlyArray<T>) => fc.constantFrom(...values)
/** An object that has some of the fields. */
export const some = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] })
export const all = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields)
/** An object that has all of the first fields and some of the others. */
export const withSome = (
  fields: Record<string, fc.Arbitrary<unknown>>,
  others: Record<string, fc.Arbitrary<unknown>>
) => fc.record({ ...fields, ...others }, { requiredKeys: Object.keys(fields) })
export const listOf = <T>(values: ReadonlyArray<T>, minLength = 0) => fc.subarray([...values], { minLength })

/** Filters over subjects. */
export const filters = ["logs.>", "*.created", ">", "a.b", "a.*.c.>", "tür.ä", "a_INBOX"]
/** Names of columns. */
export const identifiers = ["id", "at", "Body", "_x", "a".repeat(63), "value_2"]
