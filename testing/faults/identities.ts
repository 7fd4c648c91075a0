import type { ConnectionOptions } from "@nats-io/transport-node"
import { Effect } from "effect"
import type { Validity } from "../certificates.ts"
import { makePki, type Pki } from "../pki.ts"

/** Certificates of NATS, of the writers, and of who looks on. */
export interface Identities {
  readonly pki: Pki
  readonly natsConfig: ReadonlyArray<string>
  readonly writer: {
    readonly mode: "Required"
    readonly caFile: string
    readonly certFile: string
    readonly keyFile: string
  }
  readonly observer: NonNullable<ConnectionOptions["tls"]>
  /** Gives the servers another certificate; they read it on SIGHUP. */
  readonly renewServer: () => void
  /** Gives the writers another certificate. */
  readonly renewWriter: (validity?: Validity) => void
}

export const makeIdentities = Effect.map(makePki, (pki): Identities => {
  const { authority, caFile } = pki
  // The client takes an address for `localhost` when it checks the name in a certificate.
  const renewServer = () => pki.putPair("server", authority.issue("server", { ips: ["127.0.0.1"], dns: ["localhost"] }))
  const renewWriter = (validity: Validity = {}) => pki.putPair("writer", authority.issue("writer", {}, validity))
  const observer = pki.putPair("observer", authority.issue("observer"))
  return {
    pki,
    natsConfig: pki.natsTls(renewServer(), "verify: true"),
    writer: { mode: "Required", caFile, ...renewWriter() },
    observer: { caFile, certFile: observer.certFile, keyFile: observer.keyFile },
    renewServer,
    renewWriter
  }
})
