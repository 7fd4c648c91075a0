import { isDeepStrictEqual } from "node:util"
import {
  ConfigMaps,
  Deployments,
  Events,
  type KubeObject,
  Leases,
  Namespaces,
  Pods,
  type Resource,
  Secrets,
  ServiceAccounts
} from "../kube.ts"

/** What the API server does with an object of a kind beyond storing it. */

export interface FieldError {
  /** e.g. `spec.consumer.ackWait`. */
  readonly path: string
  readonly message: string
}

/** The object with its defaults, or why it is refused; `old` is the stored one when it is replaced. */
export type Admit = (
  object: KubeObject,
  old?: KubeObject
) => { readonly object: KubeObject } | { readonly errors: ReadonlyArray<FieldError> }

export interface KindDefinition {
  readonly resource: Resource
  /** Whether status is a subresource: written by `patchStatus` alone, which writes nothing else. */
  readonly status: boolean
  /** Whether `metadata.generation` counts changes of the spec. */
  readonly generation: boolean
  /** Unset: everything is taken as it is. */
  readonly admit?: Admit
}

const dataFields = ["data", "binaryData"]

/** Source: kubernetes/pkg/apis/core/validation, ValidateConfigMapUpdate and ValidateSecretUpdate. */
const keepImmutable: Admit = (object, old) => {
  if (old?.["immutable"] !== true) return { object }
  const message = "Forbidden: field is immutable when `immutable` is set"
  const errors = dataFields
    .filter((field) => !isDeepStrictEqual(object[field], old[field]))
    .map((path) => ({ path, message }))
  if (object["immutable"] !== true) errors.unshift({ path: "immutable", message })
  return errors.length > 0 ? { errors } : { object }
}

/** `stringData` is a way to write `data`: it is encoded into it and never read back. */
const admitSecret: Admit = (object, old) => {
  const { stringData, ...rest } = object
  const encoded = Object.entries((stringData ?? {}) as Readonly<Record<string, string>>).map(([key, value]) => [
    key,
    Buffer.from(value).toString("base64")
  ])
  const data = { ...(rest["data"] as object | undefined), ...Object.fromEntries(encoded) }
  return keepImmutable({ type: "Opaque", ...rest, ...(Object.keys(data).length > 0 ? { data } : {}) }, old)
}

/** The kinds every API server has, as far as the operator handles them; stored as given, without a real server's defaults. */
export const builtInKinds: ReadonlyArray<KindDefinition> = [
  { resource: Deployments, status: true, generation: true },
  { resource: Pods, status: true, generation: true },
  { resource: ConfigMaps, status: false, generation: false, admit: keepImmutable },
  { resource: Secrets, status: false, generation: false, admit: admitSecret },
  { resource: ServiceAccounts, status: false, generation: false },
  { resource: Namespaces, status: true, generation: false },
  { resource: Leases, status: false, generation: false },
  { resource: Events, status: false, generation: false }
]
