import type { Random } from "./random.ts"

/** Damage to valid inputs: to their bytes, and to JSON by its tokens, so that most of it is still JSON. */

const tokenPattern = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[a-z]+|[{}[\],:]/gs

/** A valid input and what it is made of. */
export interface Seed {
  readonly bytes: Uint8Array
  /** Tokens of its JSON; `undefined` when it is none. */
  readonly tokens: ReadonlyArray<string> | undefined
}

export const seedOf = (bytes: Uint8Array): Seed => {
  const text = Buffer.from(bytes).toString()
  try {
    JSON.parse(text)
    return { bytes, tokens: text.match(tokenPattern) ?? [] }
  } catch {
    return { bytes, tokens: undefined }
  }
}

const isKey = (tokens: ReadonlyArray<string>, at: number) => tokens[at + 1] === ":" && tokens[at]!.startsWith('"')
const isScalar = (token: string) => !/^[{}[\],:]$/.test(token)

const dangerousKeys = ["__proto__", "constructor", "prototype", "toString", "", "\\u0000", "\\ud800", "a\\\\"].map(
  (key) => `"${key}"`
)

const dangerousValues: ReadonlyArray<string> = [
  ..."null true false 0 -0 1 -1 0.5 1e400 -1e400 1e-400 9007199254740993 -9223372036854775809 18446744073709551616".split(
    " "
  ),
  "1".repeat(400),
  `0.${"1".repeat(400)}`,
  "1705315800",
  "1705315800123456789",
  "253402300800000",
  ...["", " ", "\\u0000", "\\ud800", "\\udc00x", "1e400", "NaN", "Infinity", "-5", "0x10", "70000"].map(
    (text) => `"${text}"`
  ),
  ...["2024-01-15T10:50:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2024-02-30 00:00:00"].map(
    (text) => `"${text}"`
  ),
  ...[
    "10.0.0.1",
    "::ffff:1.2.3.4",
    "[2001:DB8::1]:514",
    "00:11:22:33:44:55",
    "a=b,c=d",
    "AP8=",
    "SPAN_KIND_CLIENT"
  ].map((text) => `"${text}"`),
  '"{\\"a\\":1}"',
  '"[22,80]"',
  '"{"',
  "{}",
  "[]",
  "[[[]]]",
  '{"__proto__":{"polluted":1}}',
  '[null,"x",1e400]',
  `"${"é".repeat(300)}"`,
  `"${"\\\\u0000".repeat(30)}"`
]

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

/** Where the value that begins at token `at` ends: behind its last token. */
const endOfValue = (tokens: ReadonlyArray<string>, at: number): number => {
  let depth = 0
  for (let i = at; i < tokens.length; i++) {
    if (tokens[i] === "{" || tokens[i] === "[") depth++
    else if (tokens[i] === "}" || tokens[i] === "]") depth--
    if (depth <= 0) return i + 1
  }
  return tokens.length
}

const positions = (tokens: ReadonlyArray<string>, accepts: (at: number) => boolean): ReadonlyArray<number> =>
  tokens.flatMap((_, at) => (accepts(at) ? [at] : []))

/** @param keys keys that mean something to somebody */
const mutateTokens = (random: Random, given: ReadonlyArray<string>, keys: ReadonlyArray<string>): Array<string> => {
  const tokens = [...given]
  const keysAt = positions(tokens, (at) => isKey(tokens, at))
  const valuesAt = positions(
    tokens,
    (at) => (isScalar(tokens[at]!) && !isKey(tokens, at)) || tokens[at] === "{" || tokens[at] === "["
  )
  const at = valuesAt.length === 0 ? 0 : random.of(valuesAt)
  const end = endOfValue(tokens, at)
  switch (random.below(25)) {
    case 0:
      tokens.splice(random.below(tokens.length + 1), 1 + random.below(2))
      break
    case 1:
    case 2:
    case 3:
      if (keysAt.length > 0) tokens[random.of(keysAt)] = random.of(random.below(4) === 0 ? dangerousKeys : keys)
      break
    case 4:
    case 5:
    case 6: {
      // A further member, perhaps with a key that is there already.
      const opened = positions(tokens, (i) => tokens[i] === "{")
      if (opened.length === 0) break
      const key = random.of(keysAt.length > 0 && random.below(2) === 0 ? keysAt.map((i) => tokens[i]!) : keys)
      const into = random.of(opened)
      const rest = tokens[into + 1] === "}" ? [] : [","]
      tokens.splice(into + 1, 0, key, ":", random.of(dangerousValues), ...rest)
      break
    }
    case 7:
    case 8: {
      const depth = random.of([1, 2, 99, 100, 101, 200, 201, 5000])
      tokens.splice(
        at,
        end - at,
        random.below(2) === 0 ? nested(depth, "[", "]") : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`
      )
      break
    }
    case 9:
    case 10: {
      const before = Array.from({ length: random.below(4) }, () => [random.of(dangerousValues), ","]).flat()
      tokens.splice(at, end - at, "[", ...before, ...tokens.slice(at, end), "]")
      break
    }
    case 11:
    case 12:
    case 13: {
      // Another value of the same input.
      const from = random.of(valuesAt.length === 0 ? [0] : valuesAt)
      tokens.splice(at, end - at, ...given.slice(from, endOfValue(given, from)))
      break
    }
    case 14:
    case 15: {
      const repeated = tokens.slice(at, end).join("")
      tokens.splice(at, end - at, `[${Array.from({ length: random.of([2, 3, 50]) }, () => repeated).join(",")}]`)
      break
    }
    default:
      tokens.splice(at, end - at, random.of(dangerousValues))
  }
  return tokens
}

/** Varints and lengths that are larger than anything. */
const hugeVarints: ReadonlyArray<Uint8Array> = [
  Buffer.from("ffffffffffffffffff01", "hex"),
  Buffer.from("ffffffffffffffffffff", "hex"),
  Buffer.from("80808080808080808000", "hex"),
  Buffer.from("ffffffff0f", "hex"),
  Buffer.from("ffffff7f", "hex"),
  Buffer.from("0b0b0b0b", "hex"), // groups within groups
  Buffer.from("0a000a000a000a00", "hex")
]

const mutateBytes = (random: Random, bytes: Buffer, other: Uint8Array): Buffer => {
  const at = random.below(bytes.length + 1)
  const spliced = (removed: number, ...inserted: ReadonlyArray<Uint8Array>) =>
    Buffer.concat([bytes.subarray(0, at), ...inserted, bytes.subarray(at + removed)])
  switch (random.below(8)) {
    case 0: {
      if (at === bytes.length) return bytes
      bytes[at]! ^= 1 << random.below(8)
      return bytes
    }
    case 1: {
      if (at === bytes.length) return bytes
      bytes[at] = random.of([0, 1, 0x0a, 0x20, 0x7b, 0x7f, 0x80, 0xff, random.below(256)])
      return bytes
    }
    case 2:
      return bytes.subarray(0, at)
    case 3:
      return spliced(random.below(9))
    case 4:
      return spliced(random.below(2), random.of(hugeVarints))
    case 5:
      return spliced(0, bytes.subarray(at, at + random.below(64)))
    case 6:
      return spliced(0, other)
    default:
      return spliced(
        0,
        Uint8Array.from({ length: random.below(8) }, () => random.below(256))
      )
  }
}

/** Largest input that is made of others: what is longer is cut. */
const maxBytes = 64 * 1024

/** One to four pieces of damage to a seed. */
export const mutated = (random: Random, seeds: ReadonlyArray<Seed>, keys: ReadonlyArray<string>): Uint8Array => {
  const { bytes, tokens } = random.of(seeds)
  const count = 1 + random.below(4)
  let damaged: Buffer = Buffer.from(bytes)
  if (tokens !== undefined && random.below(8) > 0) {
    let pieces: Array<string> = [...tokens]
    for (let i = 0; i < count; i++) pieces = mutateTokens(random, pieces, keys)
    damaged = Buffer.from(pieces.join(""))
    if (random.below(16) > 0) return damaged.subarray(0, maxBytes)
  }
  for (let i = 0; i < count; i++) damaged = mutateBytes(random, damaged, random.of(seeds).bytes)
  return damaged.subarray(0, maxBytes)
}
