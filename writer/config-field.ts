import { Effect, Schema } from "effect"

/** How fields of the writer's configuration are written: with a description, and a default where they have one. */

export const withDefault = <T, E>(schema: Schema.Codec<T, E>, value: E, description: string) =>
  schema.pipe(
    Schema.annotateEncoded({ default: value, description }),
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

export const optional = <T, E>(schema: Schema.Codec<T, E>, description: string) =>
  Schema.optionalKey(schema.pipe(Schema.annotateEncoded({ description })))

export const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
