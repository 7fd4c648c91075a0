import { fuzz } from "./fuzz.ts"
import { targets } from "./targets.ts"

/**
 * `make fuzz [COUNT=1000000] [TARGET=name] [SEED=n] [FROM=n]`: every decoder and processor, each with COUNT inputs. One that
 * fails is printed with what repeats it.
 */

const { COUNT, TARGET, SEED, FROM } = process.env
const count = Number(COUNT || 1_000_000)
const from = Number(FROM || 0)
const seed = Number(SEED || Date.now() % 2 ** 31)

const chosen = targets.filter(({ name }) => !TARGET || name === TARGET)
if (chosen.length === 0) {
  console.error(`no target ${TARGET}; there are ${targets.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}
console.log(`SEED=${seed}, ${count} inputs each`)
let failed = false
for (const target of chosen) {
  try {
    const { inputsPerSecond, slowestMillis } = fuzz(target, { seed, from, count })
    console.log(
      `${target.name.padEnd(28)} ${String(inputsPerSecond).padStart(8)} inputs/s, slowest ${slowestMillis.toFixed(1)} ms`
    )
  } catch (error) {
    failed = true
    console.error(error instanceof Error ? error.message : error)
  }
}
if (failed) process.exit(1)
