import { Effect, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import type { EventStream } from "../crds/eventstream.ts"
import { Kube, type KubeObject, Secrets } from "./kube.ts"
import { natsFiles } from "./specs/nats.ts"

/** What a Secret with credentials for NATS is missing, or that it may not be read. */
export class CredentialsMissing extends Schema.TaggedError<CredentialsMissing>()("CredentialsMissing", {
  reason: Schema.Literals(["RefNotFound", "PermissionDenied", "NatsUnreachable"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Files by their paths in the configuration. */
export type NatsFiles = ReadonlyMap<string, Buffer>

const readSecret = Effect.fnUntraced(function* (namespace: string, name: string) {
  const kube = yield* Kube
  const secret = yield* kube.get(Secrets, { namespace, name }).pipe(
    Effect.mapError(({ reason, message }) =>
      reason === "Forbidden"
        ? new CredentialsMissing({
            reason: "PermissionDenied",
            detail: `to reach NATS the operator needs Secret ${namespace}/${name}, which it may not read; add ${name} to natsSecretNames of its chart`
          })
        : new CredentialsMissing({ reason: "NatsUnreachable", detail: message })
    )
  )
  if (secret !== undefined) return secret
  return yield* new CredentialsMissing({ reason: "RefNotFound", detail: `Secret ${namespace}/${name} does not exist` })
})

const keyOf = ({ metadata, ...secret }: KubeObject, key: string) => {
  const value = (secret["data"] as Readonly<Record<string, string>> | undefined)?.[key]
  if (value !== undefined) return Effect.succeed(Buffer.from(value, "base64"))
  const { namespace, name } = metadata
  return Effect.fail(
    new CredentialsMissing({ reason: "RefNotFound", detail: `Secret ${namespace}/${name} has no key ${key}` })
  )
}

/** The operator's own certificate, where that of the writers is made for each Pod and is nobody else's. */
const ownIdentity = (folder: string | undefined, file: string) =>
  folder === undefined
    ? Effect.fail(
        new CredentialsMissing({
          reason: "PermissionDenied",
          detail:
            "to reach NATS the operator needs a certificate of its own, as the writers have from identity.spiffe; set identity.certManagerCSI of its chart"
        })
      )
    : Effect.tryPromise({
        try: () => readFile(join(folder, file)),
        catch: (error) => new CredentialsMissing({ reason: "NatsUnreachable", detail: (error as Error).message })
      })

/**
 * What the operator needs to reach the NATS of an EventStream as its writers do: exactly the Secrets that `spec.nats` and
 * `spec.identity` name, in the namespace of the EventStream.
 *
 * @param identity folder of the operator's own certificate
 */
export const natsCredentials = Effect.fnUntraced(function* (
  { metadata, spec }: EventStream,
  identity: string | undefined
): Effect.fn.Return<NatsFiles, CredentialsMissing, Kube> {
  const wanted = natsFiles(spec)
  const secrets = new Map<string, KubeObject>()
  const files = new Map<string, Buffer>()
  for (const [path, { secret, key }] of wanted) {
    if (secret === undefined) {
      files.set(path, yield* ownIdentity(identity, key))
      continue
    }
    if (!secrets.has(secret)) secrets.set(secret, yield* readSecret(metadata.namespace, secret))
    files.set(path, yield* keyOf(secrets.get(secret)!, key))
  }
  return files
})
