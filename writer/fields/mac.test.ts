import { expect, it } from "vitest"
import type { JsonValue } from "../tables/table.ts"
import { mac } from "./mac.ts"

it.each<[JsonValue | undefined, string | null]>([
  ["00:11:22:aa:bb:cc", "001122AABBCC"],
  ["00-11-22-AA-BB-CC", "001122AABBCC"],
  ["0011.22aa.bbcc", "001122AABBCC"],
  ["001122aabbcc", "001122AABBCC"],
  [" 00 11 22 aa bb cc ", "001122AABBCC"],
  ["0011.2233.4455/24", "001122334455"],
  ["00:00:00:00:00:00", "000000000000"],
  ["00:11:22:33:44", null],
  ["00:11:22:33:44:55:66:77", null],
  ["none", null],
  ["", null],
  [0x0011_22aa_bbcc, "001122AABBCC"],
  [0x0011_22aa_bbccn, "001122AABBCC"],
  [0xffff_ffff_ffff, "FFFFFFFFFFFF"],
  [0x1_0000_0000_0000, null],
  [0, null],
  [0n, null],
  [-1, null],
  [1.5, null],
  [18_446_744_073_709_551_615n, null],
  [true, null],
  [null, null],
  [undefined, null]
])("the MAC address in %s is %s", (value, expected) => {
  expect(mac(value)).toBe(expected)
})
