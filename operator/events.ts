import { Effect } from "effect"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { Kube, type KubeObject } from "./kube.ts"
import { find, holds } from "./status/conditions.ts"

/** An Event about an EventStream. */
export interface Note {
  readonly type: "Normal" | "Warning"
  readonly reason: string
  readonly note: string
}

/** Reasons for not being ready that belong to a life without trouble; all others are told when they come up. */
const untroubled = new Set(["Progressing", "Draining"])
/** Where an Event has another name than the condition's reason. */
const eventReasons: Readonly<Record<string, string>> = { NatsUnreachable: "NatsDisconnected" }

/** What has come to pass between two statuses. */
export const eventsBetween = (
  previous: EventStreamStatus | undefined,
  next: EventStreamStatus
): ReadonlyArray<Note> => {
  const notes: Array<Note> = []
  const before = previous?.conditions
  const after = next.conditions
  const appeared = (type: Parameters<typeof find>[1]) =>
    holds(after, type) && !holds(before, type) ? find(after, type) : undefined

  if (appeared("Suspended"))
    notes.push({ type: "Normal", reason: "Suspended", note: "writers are stopped by spec.suspend" })
  if (holds(before, "Suspended") && !holds(after, "Suspended")) {
    notes.push({ type: "Normal", reason: "Resumed", note: "writers are started again" })
  }
  const rolledOut = find(before, "Reconciling")?.reason === "RollingOut" && !holds(after, "Reconciling")
  if (rolledOut && find(after, "Ready")?.reason === "Running") {
    notes.push({ type: "Normal", reason: "RolloutCompleted", note: "every writer has the newest configuration" })
  }

  const stalled = find(after, "Stalled")
  if (stalled && stalled.reason !== find(before, "Stalled")?.reason) {
    notes.push({ type: "Warning", reason: stalled.reason, note: stalled.message })
  }
  const ready = find(after, "Ready")
  if (
    ready?.status === "False" &&
    !stalled && // which has told it, in closer words
    !untroubled.has(ready.reason) &&
    ready.reason !== find(before, "Ready")?.reason
  ) {
    notes.push({ type: "Warning", reason: eventReasons[ready.reason] ?? ready.reason, note: ready.message })
  }
  if (appeared("DeadLettering")) {
    const note = `${next.delivery?.deadLettered ?? 0} messages became dead letters so far`
    notes.push({ type: "Warning", reason: "DeadLettered", note })
  }
  const loss = appeared("DataLossUpstream")
  if (loss) {
    const note = `${next.delivery?.lost ?? 0} messages so far: ${loss.message}`
    notes.push({ type: "Warning", reason: "DataLossUpstream", note })
  }
  const expiring = appeared("CertificateExpiring")
  if (expiring) notes.push({ type: "Warning", reason: "CertificateExpiring", note: expiring.message })
  const drift = appeared("DriftDetected")
  if (drift) notes.push({ type: "Warning", reason: "DriftDetected", note: drift.message })
  return notes
}

/** Records an Event. It only tells: that it can't be recorded stops nothing. */
export const record = Effect.fnUntraced(function* (regarding: KubeObject, note: Note, action: string) {
  const kube = yield* Kube
  yield* kube
    .event(regarding, { ...note, action })
    .pipe(Effect.catch(({ message }) => Effect.logDebug("an Event was not recorded", { event: note.reason, message })))
})
