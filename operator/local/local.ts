import { Effect, Schema, type Scope, Stream } from "effect"
import { relative } from "node:path"
import { admit } from "../../crds/admission.ts"
import { layerMemory } from "../kube/memory.ts"
import { EventStreams, Kube, type KubeObject } from "../kube.ts"
import { type Platform, type PlatformOptions, startPlatform } from "./platform.ts"
import { openScreen, type Screen } from "./screen.ts"
import { isReady, lagOf, readyCondition, renderTable } from "./table.ts"

/** One run of the platform in front of a person: `eventstream local`, and the demo with its guest. */

export interface LocalOptions extends Omit<PlatformOptions, "notice"> {
  /** Ends by itself after this time; the outcome then says whether everything was well. Unset: runs until it is stopped. */
  readonly forMillis?: number
}

/** What is done on the platform beside looking at it. */
export interface Guest {
  /** Asked when the time is up: comes to an end, and says what is not as it should be. */
  readonly conclude: Effect.Effect<ReadonlyArray<string>, never, Kube>
}

/** The time is up, and not everything was well. */
export class NotWell extends Schema.TaggedError<NotWell>()("NotWell", { problems: Schema.Array(Schema.String) }) {
  override get message() {
    return `not all is well:\n${this.problems.map((problem) => `  ${problem}`).join("\n")}`
  }
}

const stopping = "stopping: writers first, then the operator, then the servers; Ctrl-C again stops all at once"

/** Whoever asks twice does not want to wait: the watchdog ends what is left. */
const exitOnSecondSignal = Effect.acquireRelease(
  Effect.sync(() => {
    let asked = false
    const onSignal = () => {
      if (asked) process.exit(130)
      asked = true
    }
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal)
    return onSignal
  }),
  (onSignal) => Effect.sync(() => process.off("SIGINT", onSignal).off("SIGTERM", onSignal))
)

/** How long a backlog may take to be written when the time is up. */
const settleTime = "10 seconds"

interface Shortfall {
  readonly kind: "NotReady" | "Lag"
  readonly text: string
}

const shortfall = (object: KubeObject): ReadonlyArray<Shortfall> => {
  const name = `${object.metadata.namespace}/${object.metadata.name}`
  const { reason = "Progressing", message = "no status yet" } = readyCondition(object) ?? {}
  if (!isReady(object)) return [{ kind: "NotReady", text: `${name} is not ready: ${reason}: ${message}` }]
  return lagOf(object) === "0" ? [] : [{ kind: "Lag", text: `${name} has a lag of ${lagOf(object)}` }]
}

const shortfalls = Effect.gen(function* () {
  const kube = yield* Kube
  return (yield* Effect.orDie(kube.list(EventStreams, {}))).flatMap(shortfall)
})

/** Looks again and again until it is so, and gives what was found then. */
const lookUntil = (is: (found: ReadonlyArray<Shortfall>) => boolean) =>
  shortfalls.pipe(Effect.tap(Effect.sleep("100 millis")), Effect.repeat({ until: is }))

/** Waits until every EventStream is ready and has no lag. */
export const awaitWell: Effect.Effect<void, never, Kube> = Effect.asVoid(lookUntil((found) => found.length === 0))

/** Waits while there is only a backlog to be written. */
const awaitBacklog = lookUntil(
  (found) => !found.some(({ kind }) => kind === "Lag") || found.some(({ kind }) => kind === "NotReady")
)

const showTable = Effect.fnUntraced(function* (screen: Screen) {
  const kube = yield* Kube
  const objects = new Map<string, KubeObject>()
  yield* kube.watch(EventStreams, {}).pipe(
    Stream.runForEach(({ type, key, object }) =>
      Effect.sync(() => {
        const name = `${key.namespace}/${key.name}`
        if (type === "Deleted") objects.delete(name)
        else objects.set(name, object)
        screen.show(renderTable([...objects.values()]))
      })
    )
  )
})

const welcome = ({ natsUrl, data, logs }: Platform, { natsUrl: given, manifests }: LocalOptions): string => {
  const shown = (path: string) =>
    relative(process.cwd(), path).startsWith("..") ? path : relative(process.cwd(), path)
  return [
    `  NATS        ${natsUrl}${given === undefined ? "   (nats.nats.svc in manifests)" : ""}`,
    `  PostgreSQL  psql "$(cat ${shown(data)}/database/uri)"   (Secret pg-app in manifests)`,
    `  Manifests   ${manifests.join(", ")}   (edits are applied when you save)`,
    `  Logs        ${shown(logs)}`,
    `  Ctrl-C stops everything; streams and rows are kept in ${shown(data)}`
  ].join("\n")
}

const session = Effect.fnUntraced(function* (
  options: LocalOptions,
  screen: Screen,
  invite?: (platform: Platform, screen: Screen) => Effect.Effect<Guest, never, Kube | Scope.Scope>
) {
  const started = Date.now()
  const platform = yield* startPlatform({ ...options, notice: screen.print })
  yield* Effect.addFinalizer(() => Effect.sync(() => screen.print(stopping)))
  screen.print(welcome(platform, options))
  yield* Effect.forkScoped(showTable(screen))
  const guest = invite && (yield* invite(platform, screen))
  if (options.forMillis === undefined) return yield* platform.broken
  const timeLeft = Math.max(0, started + options.forMillis - Date.now())
  yield* Effect.raceFirst(Effect.sleep(timeLeft), platform.broken)
  const found = guest ? yield* guest.conclude : []
  yield* Effect.timeoutOption(awaitBacklog, settleTime)
  const all = [...(yield* shortfalls).map(({ text }) => text), ...found]
  if (all.length > 0) return yield* new NotWell({ problems: all })
})

/**
 * Runs the platform until it is interrupted or its time is up, and shows it.
 *
 * @param invite brings a guest when the platform has started
 */
export const runLocal = (
  options: LocalOptions,
  invite?: (platform: Platform, screen: Screen) => Effect.Effect<Guest, never, Kube | Scope.Scope>
) =>
  Effect.gen(function* () {
    yield* exitOnSecondSignal
    const screen = yield* Effect.acquireRelease(
      Effect.sync(() => openScreen(process.stdout)),
      (screen) => Effect.sync(screen.close)
    )
    yield* Effect.scoped(session(options, screen, invite))
  }).pipe(
    Effect.scoped,
    Effect.provide(layerMemory([{ resource: EventStreams, status: true, generation: true, admit }]))
  )
