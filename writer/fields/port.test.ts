import { expect, it } from "vitest"
import type { JsonValue } from "../tables/table.ts"
import { port, serviceOf } from "./port.ts"

it.each<[JsonValue | undefined, number | null]>([
  [0, 0],
  [443, 443],
  ["443", 443],
  [65_535, 65_535],
  [65_536, null],
  [-1, null],
  [80.9, 80],
  ["https", null],
  [null, null],
  [undefined, null]
])("the port in %s is %s", (value, expected) => {
  expect(port(value)).toBe(expected)
})

it.each([
  [6, 22, "SSH"],
  [6, 53, "DNS"],
  [6, 80, "HTTP"],
  [6, 123, "NTP"],
  [6, 161, "SNMP"],
  [6, 443, "HTTPS"],
  [6, 514, "Syslog"],
  [6, 3306, "MySQL"],
  [6, 4222, "NATS"],
  [6, 5432, "PostgreSQL"],
  [6, 6379, "Redis"],
  [6, 8080, "HTTP Alt"],
  [6, 8443, "HTTPS Alt"],
  [17, 53, "DNS"],
  [17, 67, "DHCP"],
  [17, 68, "DHCP"],
  [17, 123, "NTP"],
  [17, 161, "SNMP"],
  [17, 514, "Syslog"],
  [17, 2055, "NetFlow"],
  [17, 4739, "IPFIX"],
  [17, 6343, "sFlow"],
  [17, 22, null],
  [6, 2055, null],
  [6, 1, null],
  [6, null, null],
  [132, 80, null],
  [null, 80, null]
])("of protocol %s, port %s is %s", (protocol, number, expected) => {
  expect(serviceOf(protocol, number)).toBe(expected)
})
