import { KubeConfig } from "@kubernetes/client-node"
import { Effect, Layer, Random, Schema, Stream } from "effect"
import * as http from "node:http"
import * as https from "node:https"
import { apiVersionOf, Kube, type KubeError, type KubeObject, keyOf, type Resource, type Selection } from "../kube.ts"
import { makeRecorder } from "./events.ts"
import {
  collectionPath,
  labelSelector,
  objectPath,
  operatorManager,
  resourceToWrite,
  statusManager,
  title
} from "./requests.ts"
import { reflect, type Source } from "./reflector.ts"
import { type Call, type Endpoint, request, watch } from "./rest.ts"

/** `Kube` over a real API server. */

/** Server-side apply takes YAML only by name; JSON is YAML. */
const applyPatch = "application/apply-patch+yaml"
const pageSize = 500
/** The API server closes idle connections after 90 s; one must not be taken up in the moment it is closed. */
const idleConnectionMillis = 60_000
/** Within these limits the server is asked to end a watch, so that reconnects of many spread. */
const watchSeconds = [240, 360] as const
/** The server sends a bookmark every 60–75 s; a watch without any for twice as long is dead. */
const watchSilenceMillis = 150_000

export class ClusterUnknown extends Schema.TaggedError<ClusterUnknown>()("ClusterUnknown", { detail: Schema.String }) {
  override get message() {
    return `wanted a Kubernetes cluster from KUBECONFIG, ~/.kube/config or a Pod's service account, found ${this.detail}; set KUBECONFIG, or in a Pod mount its service account's token`
  }
}

export interface ServerOptions {
  /** File to read. Unset: KUBECONFIG, else ~/.kube/config, else the Pod's service account. */
  readonly kubeconfig?: string
  readonly onRequest?: NonNullable<Endpoint["onRequest"]>
}

const loadConfig = (options: ServerOptions) =>
  Effect.try({
    try: () => {
      const config = new KubeConfig()
      if (options.kubeconfig === undefined) config.loadFromDefault()
      else config.loadFromFile(options.kubeconfig)
      return config
    },
    catch: (cause) => new ClusterUnknown({ detail: cause instanceof Error ? cause.message : String(cause) })
  })

/** The API server that kubeconfig's current context names, with connections of our own that are kept and closed with the scope. */
export const connect = Effect.fnUntraced(function* (options: ServerOptions) {
  const config = yield* loadConfig(options)
  const cluster = config.getCurrentCluster()
  // Where nothing is configured the client makes up this address.
  if (cluster === null || cluster.server === "http://localhost:8080") {
    return yield* new ClusterUnknown({ detail: "none" })
  }
  // A Pod's service account without KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT comes out as https://undefined:undefined.
  if (!URL.canParse(cluster.server)) return yield* new ClusterUnknown({ detail: `the address ${cluster.server}` })
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const { Agent } = cluster.server.startsWith("http:") ? http : https
      return new Agent({ keepAlive: true, timeout: idleConnectionMillis })
    }),
    (opened) => Effect.sync(() => opened.destroy())
  )
  return {
    url: cluster.server,
    prepare: async (request) => {
      await config.applyToHTTPSOptions(request)
      // The client's agent knows the way through a proxy, but opens a connection for every request.
      if (cluster.proxyUrl === undefined) request.agent = agent
    },
    ...(options.onRequest === undefined ? {} : { onRequest: options.onRequest })
  } satisfies Endpoint
})

interface ListMetadata {
  readonly resourceVersion: string
  readonly continue?: string
}

/**
 * The object as everyone sees it: with its kind, which items of a list lack, and without managedFields, which are most of
 * its size and only the server's business.
 */
const ingest = (resource: Resource, object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject["metadata"] & {
    readonly managedFields?: unknown
  }
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind, metadata }
}

const query = (parameters: Readonly<Record<string, string | undefined>>) => {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`
}

/** `Kube` by calls to `endpoint`; a watch that says nothing for `silenceMillis` counts as broken. */
export const makeServer = (endpoint: Endpoint, silenceMillis = watchSilenceMillis): Kube["Service"] => {
  const send = (resource: Resource, call: Call) =>
    Effect.map(request(endpoint, call), (answer) => ingest(resource, answer))

  const listWhole = Effect.fnUntraced(function* (resource: Resource, selection: Selection) {
    const all: Array<KubeObject> = []
    let page: ListMetadata | undefined
    do {
      const path =
        collectionPath(resource, selection.namespace) +
        query({ limit: String(pageSize), labelSelector: labelSelector(selection.labels), continue: page?.continue })
      const { metadata, items } = yield* request(endpoint, { operation: `list ${resource.kind}`, method: "GET", path })
      for (const item of (items ?? []) as ReadonlyArray<KubeObject>) all.push(ingest(resource, item))
      page = metadata as object as ListMetadata
    } while (page.continue)
    return { items: all, resourceVersion: page.resourceVersion }
  })

  const source = (resource: Resource, selection: Selection): Source => {
    const name = `watch ${resource.kind}`
    const since = Effect.fnUntraced(function* (resourceVersion: string) {
      const timeoutSeconds = yield* Random.nextIntBetween(...watchSeconds)
      const path =
        collectionPath(resource, selection.namespace) +
        query({
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion,
          timeoutSeconds: String(timeoutSeconds),
          labelSelector: labelSelector(selection.labels)
        })
      return watch(endpoint, { operation: name, method: "GET", path }, silenceMillis)
    })
    return {
      name,
      list: listWhole(resource, selection),
      watch: (resourceVersion) =>
        Stream.unwrap(since(resourceVersion)).pipe(
          Stream.map((event) => ({ type: event.type, object: ingest(resource, event.object) }))
        )
    }
  }

  const create = Effect.fnUntraced(function* (object: KubeObject) {
    const resource = yield* resourceToWrite("create", object)
    return yield* send(resource, {
      operation: `create ${title(resource, keyOf(object))}`,
      method: "POST",
      path: collectionPath(resource, object.metadata.namespace) + query({ fieldManager: operatorManager }),
      body: object
    })
  })

  return {
    get: (resource, key) =>
      send(resource, { operation: `get ${title(resource, key)}`, method: "GET", path: objectPath(resource, key) }).pipe(
        Effect.catchIf(isNotFound, () => Effect.undefined)
      ),
    list: (resource, selection) => Effect.map(listWhole(resource, selection), ({ items }) => items),
    watch: (resource, selection) => reflect(source(resource, selection)),
    apply: Effect.fnUntraced(function* (object, options) {
      const resource = yield* resourceToWrite("apply", object)
      return yield* send(resource, {
        operation: `apply ${title(resource, keyOf(object))}`,
        method: "PATCH",
        path:
          objectPath(resource, keyOf(object)) +
          query({ fieldManager: options?.manager ?? operatorManager, force: "true" }),
        contentType: applyPatch,
        body: object
      })
    }),
    create,
    patchStatus: (resource, key, status, options) =>
      send(resource, {
        operation: `apply status of ${title(resource, key)}`,
        method: "PATCH",
        path:
          `${objectPath(resource, key)}/status` +
          query({ fieldManager: options?.manager ?? statusManager, force: "true" }),
        contentType: applyPatch,
        body: { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: metadataOf(key), status }
      }),
    setFinalizers: (resource, object, finalizers) =>
      send(resource, {
        operation: `set finalizers of ${title(resource, keyOf(object))}`,
        method: "PATCH",
        path: objectPath(resource, keyOf(object)) + query({ fieldManager: operatorManager }),
        // With resourceVersion in it the server answers 409 when it is not the newest. A JSON patch's `test` says the same
        // by a 422 that can't be told from a refused object.
        contentType: "application/merge-patch+json",
        body: { metadata: { resourceVersion: object.metadata.resourceVersion, finalizers } }
      }),
    delete: (resource, key, options) =>
      request(endpoint, {
        operation: `delete ${title(resource, key)}`,
        method: "DELETE",
        path: objectPath(resource, key),
        body: {
          apiVersion: "v1",
          kind: "DeleteOptions",
          propagationPolicy: "Background",
          ...(options?.uid === undefined ? {} : { preconditions: { uid: options.uid } })
        }
      }).pipe(
        Effect.catchIf(isNotFound, () => Effect.void),
        Effect.asVoid
      ),
    event: makeRecorder(create)
  }
}

const isNotFound = (error: KubeError) => error.reason === "NotFound"

const metadataOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }) =>
  namespace === "" ? { name } : { name, namespace }

/** `Kube` over the API server that the options name; its connections close with the layer. */
export const layerServer = (options: ServerOptions = {}): Layer.Layer<Kube, ClusterUnknown> =>
  Layer.effect(
    Kube,
    Effect.map(connect(options), (endpoint) => makeServer(endpoint))
  )
