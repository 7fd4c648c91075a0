import { describe, expect, it } from "vitest"
import { fuzz } from "../../testing/fuzz/fuzz.ts"
import { targets } from "../../testing/fuzz/targets.ts"

/** The short form of `make fuzz`; another seed each time. */
const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31)

describe("damaged inputs", () => {
  it.each(targets.map((target) => [target.name, target] as const))("%s", (_name, target) => {
    fuzz(target, { seed, count: 2000 })
  })

  it("are reported with what repeats them", () => {
    const target = {
      name: "fragile",
      check: (input: Uint8Array) => {
        if (Buffer.from(input).includes("__proto__")) throw new Error("broke")
      }
    }
    const report = (from: number, count: number) => {
      try {
        fuzz(target, { seed: 1, from, count })
      } catch (error) {
        return (error as Error).message
      }
      return "nothing"
    }
    const found = report(0, 10_000)
    expect(found).toContain("fragile: broke")
    const run = Number(/FROM=(\d+) COUNT=1/.exec(found)?.[1])
    expect(report(run, 1)).toBe(found)
  })

  it("must not change what every object inherits", () => {
    const target = { name: "polluting", check: () => Object.assign(Object.prototype, { polluted: true }) }
    try {
      expect(() => fuzz(target, { seed: 1, count: 1 })).toThrow("a prototype of JavaScript itself was changed")
    } finally {
      Reflect.deleteProperty(Object.prototype, "polluted")
    }
  })
})
