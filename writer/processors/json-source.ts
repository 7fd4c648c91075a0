import { storable } from "../decode/text.ts"
import { isContainer } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import type { Message } from "./processor.ts"

/** Where a column's value comes from. */
export type Source =
  /** A place in the payload, RFC 6901. */
  | { readonly _tag: "Pointer"; readonly tokens: ReadonlyArray<string> }
  | { readonly _tag: "Header"; readonly name: string }
  | { readonly _tag: "Subject" }
  /** Token of the subject; the first is 1. */
  | { readonly _tag: "SubjectToken"; readonly position: number }
  /** Stream sequence. */
  | { readonly _tag: "Sequence" }
  /** When JetStream stored the message. */
  | { readonly _tag: "Time" }
  | { readonly _tag: "Constant"; readonly text: string }

/** The forms of a column's `from`, for messages. */
export const sourceForms = "a JSON pointer (/a/b), header:<name>, subject, subject:<n>, seq, time or const:<text>"

const pointerTokens = (pointer: string): ReadonlyArray<string> | undefined =>
  /~(?![01])/.test(pointer)
    ? undefined
    : pointer
        .slice(1)
        .split("/")
        .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))

/** Reads a column's `from`; unset is the top-level field of the column's name. `undefined` when it has none of the forms. */
export const parseSource = (from: string | undefined, column: string): Source | undefined => {
  if (from === undefined) return { _tag: "Pointer", tokens: [column] }
  if (from.startsWith("/")) {
    const tokens = pointerTokens(from)
    return tokens && { _tag: "Pointer", tokens }
  }
  if (from === "subject") return { _tag: "Subject" }
  if (from === "seq") return { _tag: "Sequence" }
  if (from === "time") return { _tag: "Time" }
  if (from.startsWith("const:")) return { _tag: "Constant", text: from.slice("const:".length) }
  const header = /^header:(.+)$/s.exec(from)?.[1]
  if (header !== undefined) return { _tag: "Header", name: header }
  const position = /^subject:([1-9]\d{0,2})$/.exec(from)?.[1]
  return position === undefined ? undefined : { _tag: "SubjectToken", position: Number(position) }
}

const arrayIndex = /^(?:0|[1-9]\d*)$/

/** The value at a place in a JSON document, `undefined` when there is none. */
export const atPointer = (document: JsonValue, tokens: ReadonlyArray<string>): JsonValue | undefined => {
  let value: JsonValue | undefined = document
  for (const token of tokens) {
    if (!isContainer(value) || !Object.hasOwn(value, token)) return undefined
    if (Array.isArray(value) && !arrayIndex.test(token)) return undefined
    value = (value as JsonObject)[token]
  }
  return value
}

/** What a message says about itself at a place outside its payload. */
export const messageValue = (
  source: Exclude<Source, { readonly _tag: "Pointer" | "Time" | "Constant" }>,
  message: Message
): JsonValue | undefined => {
  if (source._tag === "Sequence") return message.seq
  const text =
    source._tag === "Header"
      ? message.header(source.name)
      : source._tag === "Subject"
        ? message.subject
        : message.subject.split(".")[source.position - 1]
  return text === undefined ? undefined : storable(text)
}
