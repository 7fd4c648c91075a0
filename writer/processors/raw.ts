import { jsonText } from "../decode/json.ts"
import { decodeUtf8Document, storable } from "../decode/text.ts"
import type { Message } from "./processor.ts"
import type { JsonRecord } from "./records.ts"

/** Text of what a record was made of, for `raw_data`: the whole payload, or the array's element as compact JSON. */
export const rawText = (message: Message, { element }: JsonRecord): string =>
  element === undefined ? storable(decodeUtf8Document(message.data)) : jsonText(element)
