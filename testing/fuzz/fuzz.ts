import { mutated } from "./mutate.ts"
import { Random } from "./random.ts"
import { keys, seeds } from "./seeds.ts"
import type { Target } from "./targets.ts"

/** Longest time for one input, in milliseconds. */
const maxMillis = 1000
/** What takes longer is measured again. */
const suspectMillis = 50

const prototypes = [Object.prototype, Array.prototype, String.prototype, Number.prototype, Function.prototype]
const propertiesOf = () => prototypes.map((prototype) => Reflect.ownKeys(prototype).length).join()
const untouched = propertiesOf()

export interface FuzzOptions {
  readonly seed: number
  /** First and number of inputs; an input follows from seed and number alone. */
  readonly from?: number
  readonly count: number
}

export interface Fuzzed {
  readonly inputsPerSecond: number
  readonly slowestMillis: number
}

/** Gives the target damaged inputs. Throws at the first that breaks a rule, with what repeats it. */
export const fuzz = (target: Target, { seed, from = 0, count }: FuzzOptions): Fuzzed => {
  const own = seeds.filter(({ bytes }) => target.accepts?.(bytes))
  let slowestMillis = 0
  let checking = 0
  for (let run = from; run < from + count; run++) {
    const random = new Random(seed, run)
    const input = mutated(random, own.length > 0 && random.below(4) > 0 ? own : seeds, keys)
    const startedAt = performance.now()
    const failed = (problem: string, cause?: unknown) =>
      new Error(
        `${target.name}: ${problem}\n  again: make fuzz TARGET='${target.name}' SEED=${seed} FROM=${run} COUNT=1\n  input: ${Buffer.from(input).toString("base64")}`,
        { cause }
      )
    try {
      target.check(input, random)
    } catch (cause) {
      throw failed(cause instanceof Error ? cause.message : String(cause), cause)
    }
    let millis = performance.now() - startedAt
    checking += millis
    if (millis > suspectMillis) {
      // The machine may have been busy with something else.
      const againAt = performance.now()
      target.check(input, random)
      millis = Math.min(millis, performance.now() - againAt)
    }
    if (millis > maxMillis) throw failed(`took ${Math.round(millis)} ms`)
    slowestMillis = Math.max(slowestMillis, millis)
    if (propertiesOf() !== untouched) throw failed("a prototype of JavaScript itself was changed")
  }
  return { inputsPerSecond: Math.round((count * 1000) / checking), slowestMillis }
}
