import { Schema } from "effect"
import { required, withDefault } from "../field.ts"
import { SecretKey, SecretName } from "../names.ts"

/** Certificates of TLS connections, in Secrets of the EventStream's namespace; the keys are those of kubernetes.io/tls. */

const name = required(SecretName, "Name of the Secret.")

export const CaSecretRef = Schema.Struct({
  name,
  key: withDefault(SecretKey, "ca.crt", "Key that holds the CA bundle, PEM.")
})

export const ClientSecretRef = Schema.Struct({
  name,
  certKey: withDefault(SecretKey, "tls.crt", "Key that holds the client certificate, PEM."),
  keyKey: withDefault(SecretKey, "tls.key", "Key that holds its private key, PEM.")
})
