import { Schema } from "effect"
import { duration, optional, required, set, withDefault } from "../field.ts"
import { HostName, JetStreamDomain, NatsUrl, SecretKey, SecretName, SpiffeId } from "../names.ts"
import { CaSecretRef, ClientSecretRef } from "./certificates.ts"

const TlsSpec = Schema.Struct({
  mode: withDefault(
    Schema.Literals(["Disabled", "Auto", "Required", "HandshakeFirst"]),
    "Auto",
    "Auto: where the server offers TLS; a server without it is refused as soon as a certificate, a name or a tls:// URL is given. HandshakeFirst: TLS before the server's INFO line, for servers with handshake_first."
  ),
  serverName: optional(HostName, "Name in the server's certificate. Unset: the host of its URL."),
  caSecretRef: optional(
    CaSecretRef,
    "CA of the server's certificate. Unset: that of identity.spiffe where there is one, else the public ones."
  ),
  clientSecretRef: optional(ClientSecretRef, "Client certificate. Excludes identity.spiffe."),
  spiffeServerIDs: optional(
    set(SpiffeId, 16, 1),
    "SPIFFE IDs of servers. The server's certificate has to have one of them, and its host names do not count."
  )
})

const keyOf = (key: string, description: string) =>
  Schema.Struct({ name: required(SecretName, "Name of the Secret."), key: withDefault(SecretKey, key, description) })

const AuthSpec = Schema.Struct({
  credsSecretRef: optional(keyOf("nats.creds", "Key that holds the .creds file."), "JWT and seed of a user."),
  nkeySecretRef: optional(keyOf("seed", "Key that holds the seed."), "Seed of a user's NKey."),
  userPasswordSecretRef: optional(
    Schema.Struct({ name: required(SecretName, "Name of the Secret.") }),
    "User and password: keys username and password, as of type kubernetes.io/basic-auth."
  ),
  tokenSecretRef: optional(keyOf("token", "Key that holds the token."), "Token.")
})

/** `spec.nats`. */
export const NatsSpec = Schema.Struct({
  servers: required(set(NatsUrl, 16, 1), "Seed URLs."),
  jetstreamDomain: optional(JetStreamDomain, "JetStream domain reached through a leaf node."),
  tls: optional(TlsSpec, "Transport security. When a Secret changes, writers connect anew with what it holds."),
  auth: optional(AuthSpec, "How to log in, by Secrets of this namespace. A client certificate needs none of it.")
})

const SpiffeSpec = Schema.Struct({
  provider: required(
    Schema.Literals(["CertManagerCSI", "Secret"]),
    "CertManagerCSI: cert-manager's CSI driver for SPIFFE gives each writer Pod a certificate of its own. Secret: a Secret holds one for all of them."
  ),
  secretName: optional(SecretName, "The Secret, with provider Secret."),
  files: withDefault(
    Schema.Struct({
      cert: withDefault(SecretKey, "tls.crt", "The certificate, PEM."),
      key: withDefault(SecretKey, "tls.key", "Its private key, PEM."),
      bundle: withDefault(SecretKey, "ca.crt", "The trust bundle, PEM.")
    }),
    {},
    "Names of the files, which are keys of the Secret with provider Secret."
  ),
  warnBeforeExpiry: withDefault(
    duration("1s", "8760h"),
    "15m",
    "How long before its end a certificate that was not renewed is told of by condition CertificateExpiring."
  )
})

/** `spec.identity`. */
export const IdentitySpec = Schema.Struct({
  spiffe: required(SpiffeSpec, "The client certificate for NATS is an X.509 SVID.")
})
