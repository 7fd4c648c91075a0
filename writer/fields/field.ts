import type { Ascii } from "../tables/ascii.ts"
import type { JsonObject, JsonValue, Micros } from "../tables/table.ts"
import { parseTimestamp } from "./time.ts"
import { bool, first, float8, text } from "./values.ts"

/** A field of a record, whatever its payload was read with. The rules of the values are those of `values.ts` and `time.ts`. */
export interface Field {
  /** `undefined` when absent. */
  readonly value: () => JsonValue | undefined
  readonly text: () => Ascii | string | null
  /** {@link text} as a string. */
  readonly string: () => string | null
  readonly float8: () => number | null
  readonly bool: () => boolean | null
  readonly timestamp: () => Micros | undefined
}

/** The spellings of each field, at most four: the first one that has a value counts. */
export type Members = Readonly<Record<string, ReadonlyArray<string>>>

class JsonField implements Field {
  readonly #names: ReadonlyArray<string>
  #value: JsonValue | undefined

  constructor(names: ReadonlyArray<string>) {
    this.#names = names
  }

  load(object: JsonObject): void {
    const [a, b, c, d] = this.#names
    this.#value =
      b === undefined
        ? object[a!]
        : first(object[a!], object[b], c === undefined ? c : object[c], d === undefined ? d : object[d])
  }

  value(): JsonValue | undefined {
    return this.#value
  }

  text(): string | null {
    return text(this.#value)
  }

  string(): string | null {
    return text(this.#value)
  }

  float8(): number | null {
    return float8(this.#value)
  }

  bool(): boolean | null {
    return bool(this.#value)
  }

  timestamp(): Micros | undefined {
    return parseTimestamp(this.#value)
  }
}

/** Fields of records that the full parser read. */
export class JsonFields<M extends Members> {
  readonly #fields: Readonly<Record<keyof M, JsonField>>
  readonly #list: ReadonlyArray<JsonField>

  constructor(members: M) {
    const fields = Object.entries(members).map(([key, names]) => [key, new JsonField(names)] as const)
    this.#fields = Object.fromEntries(fields) as Record<keyof M, JsonField>
    this.#list = fields.map(([, field]) => field)
  }

  /** The fields of `object`, until the next call. */
  of(object: JsonObject): Readonly<Record<keyof M, Field>> {
    for (const field of this.#list) field.load(object)
    return this.#fields
  }
}
