import { Effect } from "effect"
import {
  apiVersionOf,
  KubeError,
  type KubeObject,
  type ObjectKey,
  type Resource,
  resourceOf,
  type Selection
} from "../kube.ts"

/** What both layers agree on about a request: where objects are in the API, who writes them, what errors call them. */

/** Field manager of everything the operator applies. */
export const operatorManager = "eventstream-operator"
/** Field manager of the statuses it writes. */
export const statusManager = "eventstream-operator-status"

/** e.g. `Deployment demo/logs-writer`. */
export const title = (resource: Resource, { namespace, name }: ObjectKey) =>
  `${resource.kind} ${namespace === "" ? name : `${namespace}/${name}`}`

/** The label selector in the API's form, `undefined` when everything is selected. */
export const labelSelector = (labels: Selection["labels"]) => {
  const terms = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`)
  return terms.length === 0 ? undefined : terms.join(",")
}

/** Path of all objects of the kind, of one namespace when it is given. */
export const collectionPath = (resource: Resource, namespace: string | undefined) => {
  const root = resource.group === "" ? "/api" : "/apis"
  const scope = namespace === undefined || namespace === "" ? "" : `/namespaces/${encodeURIComponent(namespace)}`
  return `${root}/${apiVersionOf(resource)}${scope}/${resource.plural}`
}

export const objectPath = (resource: Resource, { namespace, name }: ObjectKey) =>
  `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`

/** The kind of an object that is to be written; Invalid when the operator does not handle it, or the namespace is missing. */
export const resourceToWrite = (verb: string, object: KubeObject): Effect.Effect<Resource, KubeError> => {
  const operation = `${verb} ${object.kind} ${object.metadata.name}`
  const invalid = (detail: string) => Effect.fail(new KubeError({ reason: "Invalid", operation, detail }))
  const resource = resourceOf(object)
  if (resource === undefined)
    return invalid(`wanted a kind the operator handles, found ${object.apiVersion} ${object.kind}`)
  if (resource.scope !== "Cluster" && !object.metadata.namespace) {
    return invalid("wanted metadata.namespace, found none; set it")
  }
  return Effect.succeed(resource)
}
