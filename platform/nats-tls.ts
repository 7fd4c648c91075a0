import { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { checkServerIdentity, type PeerCertificate } from "node:tls"
import { type Identity, type ReadFile, readCertificates, readIdentity, uriNames } from "./certificates.ts"

export interface NatsTls {
  /**
   * `Disabled`: never. `Auto`: where the server offers it; as `Required` as soon as anything is given that only TLS can use.
   * `Required`: a server that offers none is refused before it is told anything. `HandshakeFirst`: before the server's INFO
   * line, as a server with `handshake_first` expects it.
   */
  readonly mode: "Disabled" | "Auto" | "Required" | "HandshakeFirst"
  /** PEM. Unset: the authorities that Node knows. */
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** Name in the server's certificate. Unset: the host of its URL. */
  readonly serverName?: string
  /** SPIFFE IDs of servers; the server's certificate is to have one of these, whatever host names it has. */
  readonly spiffeServerIDs?: ReadonlyArray<string>
}

/** What the files of the settings hold. */
export interface TlsMaterial {
  readonly ca: Buffer | undefined
  readonly identity: Identity | undefined
}

export const readTls = (tls: NatsTls | undefined, read: ReadFile): TlsMaterial => {
  const { mode, caFile, certFile, keyFile } = tls ?? {}
  if (mode === "Disabled") return { ca: undefined, identity: undefined }
  const ca = caFile === undefined ? undefined : read(caFile)
  if (caFile !== undefined) readCertificates(caFile, ca!)
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new Error(`a client certificate needs nats.tls.certFile and nats.tls.keyFile, found ${certFile ?? keyFile}`)
  }
  return { ca, identity: certFile && keyFile ? readIdentity({ certFile, keyFile }, read) : undefined }
}

/** Why the certificate is not one of a server that was asked for; `undefined` when it is. */
const mistakenIdentity = (
  name: string,
  spiffeIds: ReadonlyArray<string>,
  certificate: PeerCertificate
): Error | undefined => {
  if (spiffeIds.length === 0) return checkServerIdentity(name, certificate)
  const found = uriNames(new X509Certificate(certificate.raw).subjectAltName)
  // A certificate with two of them is none of SPIFFE's. Source: X509-SVID, section 2.
  if (found.length === 1 && spiffeIds.includes(found[0]!)) return undefined
  return new Error(
    `the server's SPIFFE ID is ${found.join(" and ") || "not there"}, and not ${spiffeIds.join(" or ")} as nats.tls.spiffeServerIDs has it`
  )
}

/** Options of a TLS connection, as Node and the NATS client take them. */
export interface ClientTls {
  readonly handshakeFirst: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername: string
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
}

/** Host of a URL, without the brackets of an IPv6 address. */
const hostOf = (url: string) => /^(?:[a-z]+:\/\/)?(?:\[([^\]]+)\]|([^:/]+))/iu.exec(url)?.slice(1).find(Boolean) ?? url

/**
 * What the client does about TLS with the server at `url`: never (`null`), where the server offers it (`undefined`), or always:
 * then the client refuses a server without TLS before it sends anything.
 */
export const tlsFor = (
  tls: NatsTls | undefined,
  { ca, identity }: TlsMaterial,
  url: string
): ClientTls | null | undefined => {
  const { mode = "Auto", serverName, spiffeServerIDs = [] } = tls ?? {}
  const secureUrl = url.startsWith("tls://")
  if (mode === "Disabled") {
    if (secureUrl) throw new Error("a tls:// URL asks for TLS, which nats.tls.mode Disabled rules out")
    return null
  }
  if (mode === "Auto" && !secureUrl && !ca && !identity && !serverName && spiffeServerIDs.length === 0) return undefined
  const name = serverName ?? hostOf(url)
  return {
    handshakeFirst: mode === "HandshakeFirst",
    ...(ca ? { ca: ca.toString() } : {}),
    ...(identity ? { cert: identity.cert.toString(), key: identity.key.toString() } : {}),
    servername: isIP(name) ? "" : name,
    // The client dials addresses: the name that it would check is not the one that was asked for.
    checkServerIdentity: (_, certificate) => mistakenIdentity(name, spiffeServerIDs, certificate)
  }
}
