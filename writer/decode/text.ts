const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const utf8Document = new TextDecoder("utf-8")

/** Text of UTF-8 bytes; invalid ones become U+FFFD, because the rest is still useful. */
export const decodeUtf8 = (bytes: Uint8Array): string => utf8.decode(bytes)

/** {@link decodeUtf8} of a whole document, without a byte order mark at its beginning. */
export const decodeUtf8Document = (bytes: Uint8Array): string => utf8Document.decode(bytes)

/** `text` as PostgreSQL can store it: U+0000 and unpaired surrogates, which it refuses, become U+FFFD. */
export const storable = (text: string): string => {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
  return wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "\uFFFD") : wellFormed
}

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/** Bytes of base64 in the standard or the URL alphabet, padded or not; `undefined` when `text` is neither. */
export const decodeBase64 = (text: string): Uint8Array | undefined => {
  if (!base64.test(text)) return undefined
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0
  const complete = padding === 0 ? text.length % 4 !== 1 : text.length % 4 === 0
  return complete ? Buffer.from(text, "base64") : undefined
}
