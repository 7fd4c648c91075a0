/**
 * Keeps escapes in keys away from `JSON.parse`, whose shortcut for keys it has seen before is wrong about them: in V8 13.6
 * (Node 24) `{"p\\":1}` makes a following `{"p\u0041":1}` another `{"p\\":1}`. Such keys are rare; only texts that have one
 * are read in two steps, with marks in place of those keys. Source:
 * https://github.com/nodejs/node/issues/63785
 */

/** From a key's last escape to the colon; also matches a few texts without such a key. */
const maybeEscapedKey = /\\.[^"\\]*"[ \t\n\r]*:/s
const colonFollows = /[ \t\n\r]*:/y

/** Where the string that begins at `start` ends, its closing quote included; `undefined` when it does not. */
const endOfString = (text: string, start: number): number | undefined => {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1
    while (text[before] === "\\") before--
    if ((quote - before) % 2 === 1) return quote + 1
  }
  return undefined
}

interface Marked {
  readonly text: string
  /** What begins the keys that stand for others; the original text does not hold it. */
  readonly mark: string
  /** By the number behind the mark. */
  readonly keys: ReadonlyArray<string>
}

/** @throws SyntaxError when a key is no JSON string */
const markEscapedKeys = (text: string): Marked => {
  let mark = "\uFDD0" // a noncharacter
  while (text.includes(mark)) mark += mark
  const keys: Array<string> = []
  let marked = ""
  let copied = 0
  let backslash = -1
  for (let start = text.indexOf('"'); start !== -1;) {
    const end = endOfString(text, start)
    if (end === undefined) break
    if (backslash < start) backslash = text.indexOf("\\", start)
    if (backslash === -1) break
    colonFollows.lastIndex = end
    if (backslash < end && colonFollows.test(text)) {
      marked += `${text.slice(copied, start)}"${mark}${keys.length}"`
      copied = end
      keys.push(JSON.parse(text.slice(start, end)))
    }
    start = text.indexOf('"', end)
  }
  return { text: marked + text.slice(copied), mark, keys }
}

/** The value with the keys that the marks stand for; `value` is used up. */
const withoutMarks = (value: unknown, marks: Marked): unknown => {
  if (typeof value !== "object" || value === null) return value
  const { mark, keys } = marks
  const container = value as Record<string, unknown>
  const names = Object.keys(container)
  let marked = false
  for (const name of names) {
    const member = container[name]
    const unmarked = withoutMarks(member, marks)
    if (unmarked !== member) container[name] = unmarked
    marked ||= name.startsWith(mark)
  }
  if (!marked) return container
  const renamed = {}
  for (const name of names) {
    const key = name.startsWith(mark) ? keys[Number(name.slice(mark.length))]! : name
    // Assignment would set the prototype for a key named __proto__.
    Object.defineProperty(renamed, key, {
      value: container[name],
      configurable: true,
      enumerable: true,
      writable: true
    })
  }
  return renamed
}

/**
 * `parse(text)`, with all keys right.
 *
 * @param parse as `JSON.parse`, with or without a reviver that does not look at keys
 */
export const parseWithKeys = <A>(text: string, parse: (text: string) => A): A => {
  if (!text.includes("\\") || !maybeEscapedKey.test(text)) return parse(text)
  const marked = markEscapedKeys(text)
  return withoutMarks(parse(marked.text), marked) as A
}
