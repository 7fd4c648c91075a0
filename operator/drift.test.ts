import { assert, describe, it } from "@effect/vitest"
import { consumerOf } from "../testing/operator-world.ts"
import { consumerDrift, covers, fixedDrift, needsApply } from "./drift.ts"
import type { KubeObject } from "./kube.ts"
import { type ConsumerConfig, fixedConsumerConfig, type MutableConsumerConfig } from "./specs/consumer.ts"
import { withAppliedHash } from "./specs/names.ts"

describe("whether what is there covers what is wanted", () => {
  const table: ReadonlyArray<readonly [string, unknown, unknown, boolean]> = [
    ["defaults of the server", { a: 1, dnsPolicy: "ClusterFirst" }, { a: 1 }, true],
    ["defaults in list items", [{ name: "c", protocol: "TCP" }], [{ name: "c" }], true],
    ["another value", { a: 2 }, { a: 1 }, false],
    ["a missing field", {}, { a: 1 }, false],
    ["one item more of a list that is one value", ["a", "b"], ["a"], false],
    ["an item that somebody added, which no apply takes away", [{ name: "d" }, { name: "c" }], [{ name: "c" }], true],
    ["an item that somebody took away", [{ name: "d" }], [{ name: "c" }, { name: "d" }], false],
    [
      "an item that somebody edited",
      [
        { name: "v", mountPath: "/a" },
        { name: "v", mountPath: "/b", readOnly: false }
      ],
      [{ name: "v", mountPath: "/b", readOnly: true }],
      false
    ],
    ["another order", ["a", "b"], ["b", "a"], false],
    ["nothing wanted is dropped by the server", {}, { a: {}, b: [] }, true],
    ["nothing wanted, something there", { b: [1] }, { b: [] }, false],
    ["a rewritten quantity", { cpu: "1" }, { cpu: "1000m" }, true],
    ["a quantity given as a number", { memory: "2Gi" }, { memory: 2_147_483_648 }, true],
    ["another quantity", { cpu: "1" }, { cpu: "100m" }, false],
    ["text that only looks like a number", { a: "x1" }, { a: "x2" }, false]
  ]
  it.each(table)("%s", (_, live, wanted, expected) => {
    assert.strictEqual(covers(live, wanted), expected)
  })

  it("a field that is no longer wanted needs an apply, which alone removes it", () => {
    const object = (spec: object): KubeObject =>
      withAppliedHash({ apiVersion: "v1", kind: "X", metadata: { name: "x" }, spec })
    const live = object({ replicas: 1, paused: true })
    assert.isFalse(needsApply(live, object({ replicas: 1, paused: true })))
    assert.isTrue(needsApply(live, object({ replicas: 1 })))
    assert.isTrue(needsApply(undefined, object({})))
  })
})

describe("how a durable differs", () => {
  const wanted: MutableConsumerConfig = {
    ack_wait: 60e9,
    max_deliver: -1,
    max_ack_pending: 1000,
    filter_subjects: ["a", "b"],
    headers_only: false,
    inactive_threshold: 0
  }
  const answered = (fields: Readonly<Record<string, unknown>>) => {
    const { headers_only: _, inactive_threshold: __, ...left } = wanted
    const config = { name: "d", durable_name: "d", ...fixedConsumerConfig, ...left, metadata: {}, ...fields }
    return consumerOf(config as unknown as ConsumerConfig)
  }
  const table: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>, ReadonlyArray<string>]> = [
    ["not, when the server leaves defaults out", {}, []],
    ["not by the order of filters", { filter_subjects: ["b", "a"] }, []],
    ["by a filter in its single form", { filter_subjects: undefined, filter_subject: "a" }, ["filter_subjects"]],
    ["by a filter that is gone", { filter_subjects: undefined }, ["filter_subjects"]],
    ["by attempts that end", { max_deliver: 5 }, ["max_deliver"]],
    ["by an expiry when idle", { inactive_threshold: 1e9 }, ["inactive_threshold"]],
    ["not by what is none of our business", { sample_freq: "100", num_replicas: 1 }, []]
  ]
  it.each(table)("%s", (_, fields, expected) => {
    assert.deepStrictEqual(Object.keys(consumerDrift(wanted, answered(fields))), expected)
  })
  it("in what the server never changes", () => {
    assert.deepStrictEqual(fixedDrift(fixedConsumerConfig, answered({})), [])
    assert.deepStrictEqual(fixedDrift(fixedConsumerConfig, answered({ ack_policy: "none", max_waiting: 1 })), [
      "ack_policy",
      "max_waiting"
    ])
  })
})
