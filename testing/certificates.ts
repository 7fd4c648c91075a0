import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { isIPv4 } from "node:net"

/** X.509 certificates for tests, written by hand: no tool is needed, and any lifetime and name can be had. */

export interface Pair {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface Names {
  readonly dns?: ReadonlyArray<string>
  /** IPv4 addresses. */
  readonly ips?: ReadonlyArray<string>
  readonly uris?: ReadonlyArray<string>
}

export interface Validity {
  /** Unset: an hour ago. */
  readonly notBefore?: Date
  /** Unset: in a day. */
  readonly notAfter?: Date
}

export interface Authority {
  /** Its own certificate, PEM. */
  readonly certificate: string
  readonly issue: (commonName: string, names?: Names, validity?: Validity) => Pair
}

/** DER: tag, length, content. Source: ITU-T X.690. */
const der = (tag: number, ...content: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat(content)
  const { length } = body
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...header]), body])
}

const sequence = (...content: ReadonlyArray<Buffer>) => der(0x30, ...content)
const octets = (content: Buffer) => der(0x04, content)
const yes = Buffer.from("0101ff", "hex")
const oids = {
  ecdsaWithSha256: Buffer.from("06082a8648ce3d040302", "hex"),
  commonName: Buffer.from("0603550403", "hex"),
  keyUsage: Buffer.from("0603551d0f", "hex"),
  subjectAltName: Buffer.from("0603551d11", "hex"),
  basicConstraints: Buffer.from("0603551d13", "hex")
}

const name = (commonName: string) => sequence(der(0x31, sequence(oids.commonName, der(0x0c, Buffer.from(commonName)))))

/** GeneralizedTime, whole seconds. */
const time = (date: Date) => der(0x18, Buffer.from(date.toISOString().replaceAll(/[-:T]|\.\d+/g, "")))

const alternativeNames = ({ dns = [], ips = [], uris = [] }: Names) => {
  const entries = [
    ...dns.map((each) => der(0x82, Buffer.from(each))),
    ...uris.map((each) => der(0x86, Buffer.from(each))),
    ...ips.filter(isIPv4).map((each) => der(0x87, Buffer.from(each.split(".").map(Number))))
  ]
  return entries.length === 0 ? [] : [sequence(oids.subjectAltName, octets(sequence(...entries)))]
}

/** Of an authority: may sign certificates. Source: RFC 5280, section 4.2.1. */
const authorityExtensions = [
  sequence(oids.basicConstraints, yes, octets(sequence(yes))),
  sequence(oids.keyUsage, yes, octets(Buffer.from("03020204", "hex")))
]

const pem = (label: string, content: Buffer) =>
  `-----BEGIN ${label}-----\n${content.toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd()}\n-----END ${label}-----\n`

const hour = 3_600_000

const certificate = (options: {
  readonly issuer: string
  readonly signer: KeyObject
  readonly subject: string
  readonly publicKey: KeyObject
  readonly extensions: ReadonlyArray<Buffer>
  readonly validity: Validity
}) => {
  const { notBefore = new Date(Date.now() - hour), notAfter = new Date(Date.now() + 24 * hour) } = options.validity
  const algorithm = sequence(oids.ecdsaWithSha256)
  const signed = sequence(
    Buffer.from("a003020102", "hex"), // version 3
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name(options.issuer),
    sequence(time(notBefore), time(notAfter)),
    name(options.subject),
    options.publicKey.export({ type: "spki", format: "der" }),
    ...(options.extensions.length > 0 ? [der(0xa3, sequence(...options.extensions))] : [])
  )
  const signature = Buffer.concat([Buffer.from([0]), sign("sha256", signed, options.signer)])
  return pem("CERTIFICATE", sequence(signed, algorithm, der(0x03, signature)))
}

const keyPair = () => generateKeyPairSync("ec", { namedCurve: "P-256" })

/** An authority that signs itself. */
export const makeAuthority = (commonName: string): Authority => {
  const own = keyPair()
  const by = { issuer: commonName, signer: own.privateKey }
  return {
    certificate: certificate({
      ...by,
      subject: commonName,
      publicKey: own.publicKey,
      extensions: authorityExtensions,
      validity: {}
    }),
    issue: (subject, names = {}, validity = {}) => {
      const { publicKey, privateKey } = keyPair()
      const extensions = alternativeNames(names)
      return {
        certificate: certificate({ ...by, subject, publicKey, extensions, validity }),
        key: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
      }
    }
  }
}
