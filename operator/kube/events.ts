import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { apiVersionOf, Events, type Kube, type KubeError, type KubeObject } from "../kube.ts"

const quietMillis = 5 * 60_000
/** Longest note the API server takes, in bytes. Source: kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit. */
const noteBytes = 1024

type EventInput = Parameters<Kube["Service"]["event"]>[1]

/** Cuts at `bytes` of UTF-8, never within a character. */
const cut = (text: string, bytes: number) => {
  if (Buffer.byteLength(text) <= bytes) return text
  const kept = Buffer.from(text).subarray(0, bytes - 3)
  return `${kept.toString().replace(/\uFFFD+$/, "")}…`
}

/** The Event object of events.k8s.io/v1; `eventTime` is a MicroTime, which the API server refuses without six digits. */
export const eventObject = (regarding: KubeObject, event: EventInput, atMillis: number): KubeObject => ({
  apiVersion: apiVersionOf(Events),
  kind: Events.kind,
  metadata: {
    name: `${regarding.metadata.name}.${randomUUID().slice(0, 13).replace("-", "")}`,
    namespace: regarding.metadata.namespace ?? "default"
  },
  eventTime: new Date(atMillis).toISOString().replace("Z", "000Z"),
  reportingController: "eventstream.dev/operator",
  reportingInstance: hostname().slice(0, 128),
  action: event.action,
  reason: event.reason,
  type: event.type,
  note: cut(event.note, noteBytes),
  regarding: {
    apiVersion: regarding.apiVersion,
    kind: regarding.kind,
    name: regarding.metadata.name,
    ...(regarding.metadata.namespace === undefined ? {} : { namespace: regarding.metadata.namespace }),
    ...(regarding.metadata.uid === undefined ? {} : { uid: regarding.metadata.uid })
  }
})

/** `Kube.event` by way of `create`: a repeat of (object, reason) within 5 minutes is dropped, one that failed is not counted. */
export const makeRecorder = (
  create: (object: KubeObject) => Effect.Effect<KubeObject, KubeError>
): Kube["Service"]["event"] => {
  const recorded = new Map<string, number>()
  return Effect.fnUntraced(function* (regarding, event) {
    const now = yield* Clock.currentTimeMillis
    for (const [key, at] of recorded) if (now - at >= quietMillis) recorded.delete(key)
    const { uid, namespace, name } = regarding.metadata
    const key = [regarding.kind, uid ?? `${namespace}/${name}`, event.reason].join(" ")
    if (recorded.has(key)) return
    recorded.set(key, now)
    yield* create(eventObject(regarding, event, now)).pipe(
      Effect.tapError(() => Effect.sync(() => recorded.delete(key)))
    )
  })
}
