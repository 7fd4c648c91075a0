import { Duration, Effect, Schema, SchemaGetter } from "effect"
import { durationPattern, formatDurationNanos, parseDurationNanos } from "./duration.ts"
import { formatQuantity, parseQuantity, quantityPattern } from "./quantity.ts"

/**
 * How fields are written. A Schema built from these carries everything the CRD, the checks and the messages need: type,
 * bounds, default, description, and as `x-eventstream-*` annotations what OpenAPI has no word for.
 */

/** What a text must be, in words; shown instead of the pattern. */
export const ExpectedKey = "x-eventstream-expected"
/** `{ of: "duration" | "quantity", minimum, maximum }`: bounds of a value written as text; see `rules.ts`. */
export const RangeKey = "x-eventstream-range"
export interface Range {
  readonly of: "duration" | "quantity"
  readonly minimum: string
  readonly maximum: string
}

/** A field that may be left out. */
export const optional = <T, E>(schema: Schema.Codec<T, E>, description: string) =>
  Schema.optionalKey(schema.pipe(Schema.annotateEncoded({ description })))

/** A field that must be given. */
export const required = <T, E>(schema: Schema.Codec<T, E>, description: string) =>
  schema.pipe(Schema.annotateEncoded({ description }))

/** A field that is `value` when left out. The API server writes the default into the stored object. */
export const withDefault = <T, E>(schema: Schema.Codec<T, E>, value: E, description: string) =>
  schema.pipe(
    Schema.annotateEncoded({ default: value, description }),
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

/** Text of a known form. `pattern` has the `u` flag, is anchored, and means the same in JavaScript and in Go's RE2. */
export const text = (pattern: RegExp, maxLength: number, expected: string) =>
  Schema.String.check(Schema.isPattern(pattern, { expected }), Schema.isMaxCodePoints(maxLength)).annotate({
    [ExpectedKey]: expected
  })

/** Text of any form with at least one character. */
export const freeText = (maxLength: number) =>
  Schema.String.check(Schema.isMinCodePoints(1), Schema.isMaxCodePoints(maxLength))

/** A whole number; JSON numbers beyond ±2^53 are refused because they would not be exact. */
export const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** A list without order in which every entry occurs once. */
export const set = <S extends Schema.Constraint>(item: S, maxItems: number, minItems = 0) =>
  Schema.Array(item)
    .check(Schema.isMinLength(minItems), Schema.isMaxLength(maxItems))
    .annotate({ "x-kubernetes-list-type": "set" })

/** A list of objects of which each has its own value of `key`. */
export const mapList = <S extends Schema.Constraint>(item: S, key: string, maxItems: number, minItems = 0) =>
  Schema.Array(item)
    .check(Schema.isMinLength(minItems), Schema.isMaxLength(maxItems))
    .annotate({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] })

/** A list compared as a whole. */
export const atomicList = <S extends Schema.Constraint>(item: S, maxItems: number) =>
  Schema.Array(item).check(Schema.isMaxLength(maxItems)).annotate({ "x-kubernetes-list-type": "atomic" })

const toDuration = (value: string) => {
  const nanos = parseDurationNanos(value) ?? 0
  return nanos % 1e6 === 0 ? Duration.millis(nanos / 1e6) : Duration.nanos(BigInt(nanos))
}

/** A Go duration such as `1m30s`, between `minimum` and `maximum`. */
export const duration = (minimum: string, maximum: string) =>
  text(durationPattern, 64, "a duration such as 250ms, 30s or 1h30m (units ns us ms s m h)")
    .annotate({ [RangeKey]: { of: "duration", minimum, maximum } satisfies Range })
    .pipe(
      Schema.decodeTo(Schema.Duration, {
        decode: SchemaGetter.transform(toDuration),
        encode: SchemaGetter.transform((value) => formatDurationNanos(Number(Duration.toNanosUnsafe(value))))
      })
    )

/** Bytes as a Kubernetes quantity, text (`16Mi`) or number, between `minimum` and `maximum`. */
export const quantity = (minimum: string, maximum: string) =>
  Schema.Union([
    int(0, Number.MAX_SAFE_INTEGER),
    text(quantityPattern, 32, "a quantity of bytes such as 1073741824, 512Mi or 2G")
  ])
    .annotate({ [RangeKey]: { of: "quantity", minimum, maximum } satisfies Range })
    .pipe(
      Schema.decodeTo(Schema.Number, {
        decode: SchemaGetter.transform((value) => parseQuantity(value) ?? 0),
        encode: SchemaGetter.transform((bytes) => formatQuantity(bytes))
      })
    )
