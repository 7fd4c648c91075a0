import type { JsonValue } from "../tables/table.ts"
import { isBlank, isObject } from "./values.ts"

/**
 * Text of an SNMP trap: the first of its variable bindings whose value is text, without the type that net-snmp writes in front
 * (`OCTET STRING: link down`); null when there is none.
 */
export const varbindText = (varbinds: JsonValue | undefined): string | null => {
  if (!Array.isArray(varbinds)) return null
  for (const varbind of varbinds as ReadonlyArray<JsonValue>) {
    const value = isObject(varbind) ? varbind["value"] : undefined
    if (typeof value !== "string" || isBlank(value)) continue
    const behindType = value.slice(value.indexOf(":") + 1)
    return (isBlank(behindType) ? value : behindType).trim()
  }
  return null
}
