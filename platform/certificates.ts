import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"

/** Certificates and keys in PEM files. What is wrong with one is thrown as an Error whose message is a sentence. */

export type ReadFile = (path: string) => Buffer

/** Every certificate of the file, in its order; at least one. */
export const readCertificates = (file: string, bytes: Buffer): ReadonlyArray<X509Certificate> => {
  const blocks = bytes.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new Error(`wanted certificates in PEM in ${file}, found none`)
  return blocks.map((block) => {
    try {
      return new X509Certificate(block)
    } catch {
      throw new Error(`wanted certificates in PEM in ${file}, found one that cannot be read`)
    }
  })
}

const readKey = (file: string, bytes: Buffer): KeyObject => {
  try {
    return createPrivateKey(bytes)
  } catch {
    throw new Error(`wanted a private key in PEM, without a passphrase, in ${file}, found something else`)
  }
}

export interface Files {
  readonly certFile: string
  readonly keyFile: string
}

/** A certificate with those that lead to its authority, and its key. */
export interface Identity {
  readonly cert: Buffer
  readonly key: Buffer
  readonly certificate: X509Certificate
}

/** Reads the pair. While it is being replaced one file may be new and the other old: then they do not belong together. */
export const readIdentity = ({ certFile, keyFile }: Files, read: ReadFile): Identity => {
  const cert = read(certFile)
  const key = read(keyFile)
  const [certificate] = readCertificates(certFile, cert)
  if (!certificate!.checkPrivateKey(readKey(keyFile, key))) {
    throw new Error(`the certificate of ${certFile} and the key of ${keyFile} do not belong together`)
  }
  return { cert, key, certificate: certificate! }
}

/**
 * The URI names of a certificate. Node writes the alternative names as one text, in which a value that holds a comma is a JSON
 * string: a name is only taken for one where an entry begins.
 */
export const uriNames = (subjectAltName: string | undefined): ReadonlyArray<string> =>
  [...(subjectAltName ?? "").matchAll(/(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)(?=, |$)/gy)].flatMap(
    ([, kind, value]) => (kind !== "URI" ? [] : value!.startsWith('"') ? [JSON.parse(value!) as string] : [value!])
  )
