import { assert, describe, it } from "vitest"
import { logMessages, metricMessages } from "./messages.ts"
import { metricRequests } from "./otlp.ts"
import { workloads } from "./workload.ts"

const generators = { metricMessages, logMessages, metricRequests }

const meanSize = (messages: ReadonlyArray<Uint8Array>) =>
  messages.reduce((sum, { length }) => sum + length, 0) / messages.length

describe.each(Object.entries(generators))("%s", (_, generate) => {
  it("gives the same bytes for the same seed, and others for another", () => {
    assert.deepStrictEqual([...generate(100)], [...generate(100)])
    assert.notDeepEqual([...generate(100)], [...generate(100, 2)])
  })
})

describe("the messages", () => {
  it("are records that the column of their workload tells apart", () => {
    const column = workloads.W1.distinct
    const values = [...metricMessages(20_000)].map((bytes) => {
      const [record] = JSON.parse(Buffer.from(bytes).toString()) as [Record<string, unknown>]
      return record[column]
    })
    assert.strictEqual(new Set(values).size, values.length)
  })

  it("are performance records of 19 fields and about 500 bytes", () => {
    const messages = [...metricMessages(2_000)]
    for (const bytes of messages) {
      const [record] = JSON.parse(Buffer.from(bytes).toString()) as [Record<string, unknown>]
      assert.strictEqual(Object.keys(record).length, 19)
    }
    assert.approximately(meanSize(messages), 516, 10)
  })

  it("are log records of about 1,000 bytes", () => {
    assert.approximately(meanSize([...logMessages(2_000)]), 966, 20)
  })

  it("are OTLP requests of about 1,450 bytes", () => {
    assert.approximately(meanSize([...metricRequests(2_000)]), 1_445, 20)
  })
})
