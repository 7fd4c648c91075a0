import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { NatsConfig } from "../../writer/config.ts"
import { hashOf } from "./names.ts"

/** How operator and writers reach NATS. The same configuration serves both; only how its files are read differs. */

/** A file of a writer's Pod. */
interface File {
  /** Secret that it is a key of; unset: the CSI driver makes it. */
  readonly secret?: string
  readonly key: string
}

/**
 * Each Secret has a folder of its name, so that whoever is told of a file knows which Secret to look at. Paths are seen from the
 * configuration file.
 */
const pathOf = ({ secret, key }: File) => (secret === undefined ? `../identity/${key}` : `../nats/${secret}/${key}`)

/** The files of the configuration by its fields. */
const filesOf = ({ nats, identity }: EventStreamSpec) => {
  const { caSecretRef, clientSecretRef } = nats.tls ?? {}
  const { credsSecretRef, nkeySecretRef, userPasswordSecretRef, tokenSecretRef } = nats.auth ?? {}
  const client = clientSecretRef && { secret: clientSecretRef.name }
  const { secretName, files } = identity?.spiffe ?? {}
  const svid = secretName === undefined ? {} : { secret: secretName }
  const user = userPasswordSecretRef && { secret: userPasswordSecretRef.name }
  const keyOf = (ref: { readonly name: string; readonly key: string } | undefined): File | undefined =>
    ref && { secret: ref.name, key: ref.key }
  return {
    tls: {
      caFile: keyOf(caSecretRef) ?? (files && { ...svid, key: files.bundle }),
      certFile: client ? { ...client, key: clientSecretRef.certKey } : files && { ...svid, key: files.cert },
      keyFile: client ? { ...client, key: clientSecretRef.keyKey } : files && { ...svid, key: files.key }
    },
    auth: {
      credsFile: keyOf(credsSecretRef),
      nkeyFile: keyOf(nkeySecretRef),
      tokenFile: keyOf(tokenSecretRef),
      userFile: user && { ...user, key: "username" },
      passwordFile: user && { ...user, key: "password" }
    }
  } satisfies Record<string, Record<string, File | undefined>>
}

const pathsOf = <Field extends string>(files: Readonly<Record<Field, File | undefined>>) =>
  Object.fromEntries(
    Object.entries<File | undefined>(files).flatMap(([field, file]) => (file ? [[field, pathOf(file)]] : []))
  ) as { readonly [K in Field]?: string }

export const natsConfig = (spec: EventStreamSpec): NatsConfig => {
  const { servers, jetstreamDomain, tls } = spec.nats
  const files = filesOf(spec)
  return {
    servers: [...servers],
    ...(jetstreamDomain === undefined ? {} : { jetstreamDomain }),
    ...(tls === undefined && spec.identity === undefined
      ? {}
      : {
          tls: {
            mode: tls?.mode ?? "Auto",
            ...(tls?.serverName === undefined ? {} : { serverName: tls.serverName }),
            ...(tls?.spiffeServerIDs === undefined ? {} : { spiffeServerIDs: tls.spiffeServerIDs }),
            ...pathsOf(files.tls)
          }
        }),
    ...pathsOf(files.auth)
  }
}

/** The files of {@link natsConfig} by their paths. */
export const natsFiles = (spec: EventStreamSpec): ReadonlyMap<string, File> => {
  const { tls, auth } = filesOf(spec)
  const files = [...Object.values(tls), ...Object.values(auth)].filter((file) => file !== undefined)
  return new Map(files.map((file) => [pathOf(file), file]))
}

/** Source: documentation of cert-manager/csi-driver-spiffe. The group is that of the writers' image. */
const svidVolume = {
  name: "identity",
  path: "/etc/eventstream/identity",
  source: {
    csi: {
      driver: "spiffe.csi.cert-manager.io",
      readOnly: true,
      volumeAttributes: { "spiffe.csi.cert-manager.io/fs-group": "1000" }
    }
  }
}

/** Volumes of a writer's Pod with the files of {@link natsConfig}. */
export const natsVolumes = (spec: EventStreamSpec) => {
  const files = [...natsFiles(spec).values()]
  const secrets = [...new Set(files.flatMap(({ secret }) => secret ?? []))]
  return [
    ...secrets.map((secret) => ({
      name: `nats-${hashOf(secret)}`,
      path: `/etc/eventstream/nats/${secret}`,
      // Optional: without it a writer starts and says what is missing, where a Pod would only hang.
      source: { secret: { secretName: secret, optional: true } }
    })),
    ...(files.some(({ secret }) => secret === undefined) ? [svidVolume] : [])
  ]
}
