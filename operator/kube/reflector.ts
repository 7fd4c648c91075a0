import { Clock, Effect, Queue, Result, Stream } from "effect"
import { backoffMillis } from "../../platform/backoff.ts"
import { type Change, type KubeError, type KubeObject, keyOf } from "../kube.ts"
import type { WatchEvent } from "./rest.ts"

/** List and watch of one kind, as the API server offers them. */
export interface Source {
  /** For the log, e.g. `watch EventStream`. */
  readonly name: string
  readonly list: Effect.Effect<
    { readonly items: ReadonlyArray<KubeObject>; readonly resourceVersion: string },
    KubeError
  >
  /** The events after `resourceVersion`; ends when the server closes the watch, which it does now and then. */
  readonly watch: (resourceVersion: string) => Stream.Stream<WatchEvent, KubeError>
}

const firstRestartMillis = 1_000
const longestRestartMillis = 30_000
/** A watch that the server closed after less is an error: to open the next one at once would be a storm of requests. */
const healthyWatchMillis = 10_000

/** After these the place in the history of changes still holds: the next watch goes on from it without a new list. */
const keepsPlace = (error: KubeError) => error.reason === "Unreachable" || error.reason === "Unavailable"

/** What is known of the objects, and the changes that bring it to what the server says. */
export class Store {
  readonly #objects = new Map<string, KubeObject>()

  /** Changes since the last known state when a list answers `items`; those that are missing were deleted unseen. */
  replace(items: ReadonlyArray<KubeObject>): ReadonlyArray<Change> {
    const listed = new Set(items.map(nameOf))
    const missing = [...this.#objects.values()].filter((object) => !listed.has(nameOf(object)))
    return [...missing.flatMap((object) => this.#remove(object)), ...items.flatMap((object) => this.#put(object))]
  }

  /** Changes that an event of the watch brings. */
  advance(event: WatchEvent): ReadonlyArray<Change> {
    if (event.type === "BOOKMARK") return []
    return event.type === "DELETED" ? this.#remove(event.object) : this.#put(event.object)
  }

  #put(object: KubeObject): ReadonlyArray<Change> {
    const known = this.#objects.get(nameOf(object))
    if (known?.metadata.resourceVersion === object.metadata.resourceVersion) return []
    const replaced = known !== undefined && known.metadata.uid !== object.metadata.uid
    const before = replaced ? this.#remove(known) : []
    this.#objects.set(nameOf(object), object)
    return [...before, { type: "Applied", key: keyOf(object), object }]
  }

  #remove(object: KubeObject): ReadonlyArray<Change> {
    return this.#objects.delete(nameOf(object)) ? [{ type: "Deleted", key: keyOf(object), object }] : []
  }
}

const nameOf = (object: KubeObject) => `${object.metadata.namespace ?? ""}/${object.metadata.name}`

/**
 * Every object once, then every change, for ever. After an error it waits 0.5–1 s, doubling to 30 s, and goes on where it
 * was, or with a new list where its place in the history is lost (410 Gone, or a line that can't be read).
 */
export const reflect = (source: Source): Stream.Stream<Change> =>
  Stream.callback<Change>(
    (queue) => {
      const store = new Store()
      let place: string | undefined
      let failures = 0

      const round = Effect.gen(function* () {
        if (place === undefined) {
          const { items, resourceVersion } = yield* source.list
          yield* Queue.offerAll(queue, store.replace(items))
          place = resourceVersion
        }
        yield* Stream.runForEach(source.watch(place), (event) => {
          place = event.object.metadata.resourceVersion
          failures = 0
          return Queue.offerAll(queue, store.advance(event))
        })
      })

      return Effect.gen(function* () {
        while (true) {
          const started = yield* Clock.currentTimeMillis
          const outcome = yield* Effect.result(round)
          const lasted = (yield* Clock.currentTimeMillis) - started
          if (Result.isSuccess(outcome) && lasted >= healthyWatchMillis) continue
          if (Result.isFailure(outcome) && !keepsPlace(outcome.failure)) place = undefined
          const wait = Math.round(backoffMillis(failures++, firstRestartMillis, longestRestartMillis))
          yield* Effect.logWarning(`${source.name}: interrupted, again in ${wait} ms`).pipe(
            Effect.annotateLogs({
              reason: Result.isFailure(outcome) ? outcome.failure.message : `closed by the server after ${lasted} ms`
            })
          )
          yield* Effect.sleep(wait)
        }
      })
    },
    { bufferSize: 1024, strategy: "suspend" }
  )
