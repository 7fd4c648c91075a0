import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { ackNumbersAt, PulledMessage } from "./delivery.ts"

const received = { subject: "orders.new", data: new Uint8Array([1]), size: () => 1_000 }

describe("PulledMessage", () => {
  it.each([
    ["9 tokens", "$JS.ACK.ORDERS.writer-1a2b.", ""],
    ["11 tokens", "$JS.ACK._.D4V5W6.ORDERS.writer-1a2b.", ""],
    ["12 tokens", "$JS.ACK.hub.D4V5W6.ORDERS.writer-1a2b.", ".x7Yz"]
  ])("reads the numbers of an ack subject of %s", (_, prefix, suffix) => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        fc.nat(),
        fc.bigInt({ min: 10n ** 18n, max: 9n * 10n ** 18n }),
        fc.nat(),
        (deliveryCount, seq, consumerSeq, timeNanos, pending) => {
          const reply = `${prefix}${deliveryCount}.${seq}.${consumerSeq}.${timeNanos}.${pending}${suffix}`
          const message = new PulledMessage(received, "ORDERS", "orders.new", reply, ackNumbersAt(reply))
          assert.deepStrictEqual(
            [message.deliveryCount, message.seq, message.consumerSeq, message.timeNanos, message.pending],
            [deliveryCount, seq, consumerSeq, timeNanos, pending]
          )
          assert.strictEqual(BigInt(message.receivedAt), timeNanos / 1000n)
        }
      )
    )
  })

  it.each(["", "_INBOX.abc", "$JS.ACK.ORDERS.writer.1.2.3", "$JS.API.CONSUMER.MSG.NEXT.ORDERS.a.b.c.d"])(
    "knows that %j is no ack subject",
    (reply) => assert.strictEqual(ackNumbersAt(reply), 0)
  )

  it("treats headers that can't be read as none", () => {
    const broken = {
      ...received,
      get headers(): never {
        throw new Error("not a valid character in a header name")
      }
    }
    const reply = "$JS.ACK.ORDERS.writer.1.2.3.1700000000000000000.0"
    const message = new PulledMessage(broken, "ORDERS", "orders.new", reply, ackNumbersAt(reply))
    assert.isUndefined(message.header("ce-type"))
    assert.isUndefined(message.headers())
  })
})
