import { Effect, Schema, type Scope, Stream } from "effect"
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { admit } from "../../crds/admission.ts"
import { redact } from "../../platform/log.ts"
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

/** Brings a guest when the platform has started. */
export type Invite = (platform: Platform, screen: Screen) => Effect.Effect<Guest, never, Kube | Scope.Scope>

/** The time is up, and not everything was well. */
export class NotWell extends Schema.TaggedError<NotWell>()("NotWell", { problems: Schema.Array(Schema.String) }) {
  override get message() {
    return `not all is well:\n${this.problems.map((problem) => `  ${problem}`).join("\n")}`
  }
}

/** Whoever asks twice does not want to wait: the watchdog ends what is left. */
const exitOnSecondSignal = (screen: Screen) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let asked = false
      const onSignal = () => {
        if (asked) process.exit(130)
        asked = true
        screen.print("stopping: writers, operator, servers, in this order; once more stops all at once")
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

const welcome = ({ natsUrl, data, logs, database }: Platform, { manifests }: LocalOptions): string => {
  const { host } = new URL(readFileSync(join(database, "uri"), "utf8"))
  const shown = (path: string) => {
    const fromHere = relative(process.cwd(), path)
    return fromHere.startsWith("..") ? path : fromHere || "."
  }
  return [
    `  NATS        ${redact(natsUrl)}   (nats.nats.svc in manifests)`,
    `  PostgreSQL  ${host}   psql "$(cat ${shown(database)}/uri)"   (Secret pg-app)`,
    `  Manifests   ${manifests.join(", ")}   (edits are applied when you save)`,
    `  Logs        ${shown(logs)}`,
    `  Ctrl-C stops everything; streams and rows are kept in ${shown(data)}`
  ].join("\n")
}

const session = Effect.fnUntraced(function* (options: LocalOptions, screen: Screen, invite: Invite | undefined) {
  const started = Date.now()
  const platform = yield* startPlatform({ ...options, notice: screen.print })
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

/** Runs the platform until it is interrupted or its time is up, and shows it. */
export const runLocal = (options: LocalOptions, invite?: Invite) =>
  Effect.gen(function* () {
    const screen = yield* Effect.acquireRelease(
      Effect.sync(() => openScreen(process.stdout)),
      (screen) => Effect.sync(screen.close)
    )
    yield* exitOnSecondSignal(screen)
    yield* Effect.scoped(session(options, screen, invite))
  }).pipe(
    Effect.scoped,
    Effect.provide(layerMemory([{ resource: EventStreams, status: true, generation: true, admit }]))
  )
