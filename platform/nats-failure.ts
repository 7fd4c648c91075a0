import type { NatsTls } from "./nats-tls.ts"

/** Why there is no connection to NATS, as one sentence that says what to change. */

/** What was tried. */
export interface Attempt {
  readonly mode: NatsTls["mode"]
  /** How the writer logs in, e.g. `the user of /etc/nats.creds`; unset where nothing but a client certificate is given. */
  readonly login?: string | undefined
  readonly caFile?: string | undefined
  /** The client's own certificate. */
  readonly identity?: { readonly file: string; readonly notAfter: Date } | undefined
  readonly timeoutMillis: number
}

const unknownAuthority =
  /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_SIGNATURE_FAILURE)$/

/** The server closed the connection, or let us wait, before it said a word: the client makes no difference. */
const silence = ({ mode, timeoutMillis }: Attempt) =>
  mode === "HandshakeFirst"
    ? `the server did not answer the TLS handshake within ${timeoutMillis} ms; check address and port`
    : `the server said nothing within ${timeoutMillis} ms, or closed the connection: it expects TLS before its INFO line, and then nats.tls.mode is to be HandshakeFirst, or it is no NATS server`

/** The server's alert on the certificate that it was shown, or not shown. Source: RFC 8446, section 6.2. */
const alert = (code: string, identity: Attempt["identity"]) => {
  if (!identity) return "the server demands a client certificate, and none is given"
  const refused = `the server refuses the client certificate of ${identity.file}`
  if (code.includes("EXPIRED")) return `${refused}: it expired at ${identity.notAfter.toISOString()}`
  if (code.includes("UNKNOWN_CA")) return `${refused}: it does not know the authority that signed it`
  return `${refused} (${code})`
}

const ofTls = (code: string, text: string, attempt: Attempt): string | undefined => {
  const { caFile, identity } = attempt
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return "the server answered in plain text to a TLS handshake: it sends its INFO line first; nats.tls.mode is to be Required, or Disabled if the server has no TLS"
  }
  if (unknownAuthority.test(code)) {
    const known = caFile === undefined ? "that is not known here: give its CA" : `that is not in ${caFile}`
    return `the server's certificate is signed by an authority ${known}`
  }
  if (code === "CERT_HAS_EXPIRED") return "the server's certificate, or that of its authority, has expired"
  if (code === "CERT_NOT_YET_VALID") return "the server's certificate is not valid yet; check the clocks"
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `${text}; connect by a name that the certificate has, or give it as nats.tls.serverName`
  }
  if (code.includes("_ALERT_")) return alert(code, identity)
  return undefined
}

const refusedLogin = (text: string, { login, identity }: Attempt) => {
  const who = login ?? (identity ? `the client certificate of ${identity.file}` : undefined)
  return who === undefined
    ? `NATS demands a login, and none is given (${text})`
    : `NATS does not accept ${who} (${text})`
}

/**
 * @param error as the NATS client gives it; some are undefined, and most do not say what was wrong
 * @param encrypted whether TLS was wanted from the server
 */
export const explain = (error: unknown, attempt: Attempt, encrypted: boolean): string => {
  if (!(error instanceof Error)) return silence(attempt)
  const { name, message } = error
  const { code = "" } = error as NodeJS.ErrnoException
  const tls = ofTls(code, message, attempt)
  if (tls !== undefined) return tls
  if (name === "TimeoutError" || message.includes("undefined error")) return silence(attempt)
  if (name === "AuthorizationError" || name === "UserAuthenticationExpiredError") return refusedLogin(message, attempt)
  if (message === "server does not support 'tls'") {
    return "the server offers no TLS, so it was told nothing; turn TLS on there, or set nats.tls.mode to Disabled and give no certificates"
  }
  // What the client makes of a server that demands TLS when it has no options for it.
  if (attempt.mode === "Disabled" && message.includes("'this.options.tls'")) {
    return "the server demands TLS, which nats.tls.mode Disabled rules out"
  }
  if ((code === "ECONNRESET" || code === "EPIPE") && encrypted) {
    const why = attempt.identity ? `does not accept the certificate of ${attempt.identity.file}` : "demands one"
    return `the server broke the connection off (${code}), as it does when it ${why} from clients`
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `its host name is not known (${message})`
  return message
}
