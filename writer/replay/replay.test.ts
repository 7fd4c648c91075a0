import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeProcessor } from "../processors/index.ts"
import type { DeadMessage } from "../store/replay-store.ts"
import { deadMessageBatch } from "./batch.ts"
import { isReason } from "./from-dead-letters.ts"
import { replayConfig, type ReplayFlags } from "./launch.ts"
import { paceMillis } from "./pace.ts"

describe("paceMillis", () => {
  it.each<[number, number | undefined, number, number]>([
    [0, undefined, 1_000_000, 0],
    [1_000, 100, 100, 0],
    [600, 100, 100, 400],
    [0, 100, 100, 2_000]
  ])("waits %d ms at %s per second after %d in %d ms", (expected, perSecond, handled, elapsed) =>
    assert.strictEqual(paceMillis(perSecond, handled, elapsed), expected)
  )
})

describe("isReason", () => {
  it.each<[boolean, ReadonlyArray<string>, ReadonlyArray<string>]>([
    [true, [], ["malformed_json"]],
    [true, ["missing_field"], ["missing_field:id"]],
    [true, ["missing_field:id"], ["malformed_json", "missing_field:id"]],
    [false, ["missing_field:at"], ["missing_field:id"]],
    [false, ["missing"], ["missing_field:id"]]
  ])("%s: %j among %j", (expected, asked, reasons) => assert.strictEqual(isReason(asked, reasons), expected))
})

describe("replayConfig", () => {
  const none = { range: {}, filter: {} }

  it.effect("has its defaults, and flags win over the file", () =>
    Effect.gen(function* () {
      const config = yield* replayConfig(undefined, { ...none, id: "a" })
      assert.deepInclude(config, { id: "a", from: "DeadLetter", dryRun: false, onSuccess: "Remove" })
      const { range, from } = yield* replayConfig(config, { from: "Stream", range: { startSequence: 5 }, filter: {} })
      assert.deepStrictEqual({ range, from }, { range: { startSequence: 5 }, from: "Stream" })
    })
  )

  it.effect.each<[string, ReplayFlags]>([
    ["replay.id", none],
    ["startSequence or startTime, found neither", { ...none, id: "a", from: "Stream" }],
    [
      "only dead letters have reasons",
      { id: "a", from: "Stream", range: { startSequence: 1 }, filter: { reasons: ["malformed_json"] } }
    ],
    ["startSequence up to endSequence", { ...none, id: "a", range: { startSequence: 2, endSequence: 1 } }],
    ["RFC 3339", { ...none, id: "a", range: { startTime: "yesterday" } }]
  ])("refuses: %s", ([words, flags]) =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(replayConfig(undefined, flags))
      assert.include(message, words)
    })
  )
})

describe("deadMessageBatch", () => {
  const processor = makeProcessor({
    type: "Json",
    skipSubjects: [],
    json: {
      format: "Json",
      table: "orders",
      columns: [{ name: "id", type: "int8", required: true }],
      onUnknownField: "Ignore",
      mode: "Append",
      conflictKeys: [],
      onNoRoute: "DeadLetter"
    }
  })
  const letter = (payload: string | undefined, elements: ReadonlyArray<number> = []): DeadMessage => ({
    ids: [1],
    elements,
    reasons: [],
    stream: "ORDERS",
    subject: "orders.new",
    seq: 7,
    timeNanos: 0n,
    headers: undefined,
    payload: payload === undefined ? undefined : Buffer.from(payload)
  })

  it.each<[string, string | undefined, number, DeadMessage]>([
    ["a message", undefined, 1, letter('{"id": 1}')],
    ["one that is still bad", "malformed_json", 0, letter("not json")],
    ["one whose payload was not kept", "payload_not_kept", 0, letter(undefined)],
    ["only the elements that were refused", undefined, 2, letter('[{"id": 1}, {"id": 2}, {"id": 3}]', [0, 2])],
    ["all of them or none", "missing_field:id", 1, letter('[{"id": 1}, {"id": 2}, {}]', [0, 2])],
    ["whatever becomes of those that were written", undefined, 1, letter('[{"id": 1}, {}]', [0])],
    ["a message that is refused in part", "missing_field:id", 1, letter('[{"id": 1}, {}]')]
  ])("%s", (_name, fault, rows, message) => {
    const { batch, faults } = deadMessageBatch(processor, [message])
    assert.strictEqual(faults[0], fault)
    assert.strictEqual(batch.tables[0]!.counts[0], rows)
    if (fault === undefined) assert.deepStrictEqual(batch.outcomes, [{ _tag: "Rows" }])
  })
})
