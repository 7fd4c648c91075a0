import { isIP } from "node:net"
import { checkServerIdentity, type ConnectionOptions, createSecureContext } from "node:tls"
import { PostgresSettingsInvalid, type PostgresTls } from "./postgres-settings.ts"

/** What OpenSSL or the server says, and the sentence for it. The first that fits counts. */
const meanings: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /does not support SSL/,
    "the server speaks plain text only: turn its TLS on, or say sslmode=disable if the network is trusted"
  ],
  [/certificate has expired/, "the server's certificate has expired: renew it"],
  [/certificate is not yet valid/, "the server's certificate is not valid yet: check the clocks"],
  [
    /self.signed|unable to (get|verify)|CERT_/i,
    "the server's certificate is not signed by the known CA: give the CA that signed it"
  ],
  [
    /altnames|does not match certificate/i,
    "the server's certificate carries another name: use a host that is in it, or mode VerifyCA (sslmode=verify-ca)"
  ],
  [
    /alert (unknown ca|bad certificate|certificate unknown|certificate revoked|decrypt error|handshake failure)/i,
    "the server refuses our client certificate: it is not signed by the CA that the server knows"
  ],
  [/alert certificate expired/i, "the server refuses our client certificate, which has expired: renew it"],
  [/alert certificate required/i, "the server wants a client certificate: give one"],
  [/alert protocol version|unsupported protocol/i, "the server and we have no version of TLS in common"],
  [/wrong version number|packet length too long/i, "what answers does not speak TLS"]
]

/** The text of a failed connection with what it means, where that is known. */
export const explained = (text: string): string => {
  const meaning = meanings.find(([pattern]) => pattern.test(text))
  return meaning ? `${meaning[1]} (${text})` : text
}

const invalid = (found: string, remedy: string) =>
  new PostgresSettingsInvalid({ detail: `wanted TLS to the database, found ${found}; ${remedy}` })

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Looks at each file by itself: OpenSSL's own texts do not say which of them is wrong. */
const contextOf = ({ ca, client }: Exclude<PostgresTls, { readonly mode: "Disable" }>) => {
  if (ca !== undefined) {
    try {
      createSecureContext({ ca })
      if (!ca.includes("-----BEGIN")) throw new Error("no PEM block")
    } catch (error) {
      throw invalid(`a CA that is no certificate (${messageOf(error)})`, "give the CA's certificate as PEM")
    }
  }
  try {
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key })
    })
  } catch (error) {
    const text = messageOf(error)
    throw /key values mismatch|key type mismatch/i.test(text)
      ? invalid("a client certificate and a key that don't belong together", "give the certificate's own key")
      : invalid(`a client certificate or key that can't be read (${text})`, "give both as PEM, the key unencrypted")
  }
}

/**
 * Options of the TLS handshake, false for plain text.
 *
 * @param name what the server's certificate must carry, a name or an address
 * @throws PostgresSettingsInvalid when certificate or key can't be used
 */
export const tlsOptions = (tls: PostgresTls, name: string): ConnectionOptions | false => {
  if (tls.mode === "Disable") return false
  return {
    secureContext: contextOf(tls),
    rejectUnauthorized: tls.mode !== "Require",
    ...(isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_, certificate) =>
      tls.mode === "VerifyFull" ? checkServerIdentity(name, certificate) : undefined
  }
}
