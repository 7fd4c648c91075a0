import { expect, it } from "vitest"
import { varbindText } from "./varbinds.ts"

it.each([
  [[{ value: "OCTET STRING: link down" }], "link down"],
  [[{ value: "plain" }], "plain"],
  [[{ value: "  STRING:  a: b  " }], "a: b"],
  [[{ value: "STRING:" }], "STRING:"],
  [[{ value: "STRING:   " }], "STRING:"],
  [[{ value: ":x" }], "x"],
  [[{ value: 7 }, { value: " " }, "text", null, { oid: "1.3" }, { value: "INTEGER: 2" }, { value: "last" }], "2"],
  [[{ value: 7 }], null],
  [[], null],
  [{ value: "x" }, null],
  ["x", null],
  [undefined, null]
])("%j reads %j", (varbinds, expected) => {
  expect(varbindText(varbinds)).toBe(expected)
})
