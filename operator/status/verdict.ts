import type { Condition, EventStream } from "../../crds/eventstream.ts"
import type { Problem } from "../plan/action.ts"
import { ageOf, find, type Said } from "./conditions.ts"
import type { Rollout } from "./rollout.ts"
import type { WriterHealth } from "./writers.ts"

/** How long an object that was ready stays so when a connection is lost, so that a short loss is no transition. */
export const graceMillis = 60_000
/** How long retries go on before the object counts as stalled; they continue. */
export const deadlineMillis = 10 * 60_000

/** Ready, Reconciling and Stalled; the last two are left out where they do not hold, as kstatus wants them. */
export type Verdict = ReadonlyArray<Said>

interface Words {
  readonly reason: string
  readonly message: string
}

export interface VerdictInputs {
  readonly eventStream: EventStream
  readonly problems: ReadonlyArray<Problem>
  readonly draining: string | undefined
  readonly health: WriterHealth
  readonly rollout: Rollout
  readonly nowMillis: number
}

const said = (type: Said["type"], status: Condition["status"], { reason, message }: Words): Said => ({
  type,
  status,
  reason,
  message
})

/** What Ready says of a problem; Stalled and Reconciling have the closer reason. */
const readyReasons = { Nats: "NatsUnreachable", Stream: "StreamError", Consumer: "ConsumerError" } as const
const readyWords = ({ about, reason, message }: Problem): Words => ({
  reason: about === "Spec" || about === "Kubernetes" ? reason : readyReasons[about],
  message
})

/** Nothing changes until a person acts. */
const stalled = (ready: Words, why: Words): Verdict => [said("Ready", "False", ready), said("Stalled", "True", why)]

/** Work goes on; after the deadline it counts as stalled too, so that a deployment that waits for it fails. */
const progressing = (inputs: VerdictInputs, ready: Said, why: Words): Verdict => {
  const { metadata, status } = inputs.eventStream
  const before = find(status?.conditions, "Stalled")
  const late =
    (ageOf(status?.conditions, "Reconciling", metadata.generation, inputs.nowMillis) ?? 0) >= deadlineMillis ||
    (before?.reason === "ProgressDeadlineExceeded" && before.observedGeneration === metadata.generation)
  return late
    ? [ready, said("Stalled", "True", { reason: "ProgressDeadlineExceeded", message: why.message })]
    : [ready, said("Reconciling", "True", why)]
}

/** A connection is lost, or something else that passes by itself: an object that was ready stays ready for a while. */
const retrying = (inputs: VerdictInputs, ready: Words): Verdict => {
  const { metadata, status } = inputs.eventStream
  const before = find(status?.conditions, "Ready")
  const age = ageOf(status?.conditions, "Reconciling", metadata.generation, inputs.nowMillis) ?? 0
  const kept = before?.status === "True" && age < graceMillis
  return progressing(inputs, kept ? said("Ready", "True", before) : said("Ready", "False", ready), {
    reason: "ProgressingWithRetry",
    message: ready.message
  })
}

const withoutTrouble = (inputs: VerdictInputs): Verdict => {
  const { eventStream, rollout, health } = inputs
  const { suspend } = eventStream.spec
  const resting: Words | undefined = suspend
    ? { reason: "Suspended", message: "suspended by spec.suspend; stream, durable and backlog stay" }
    : rollout.desired === 0
      ? { reason: "Idle", message: "scaled to zero writers" }
      : undefined
  if (resting) {
    const ready = said("Ready", "True", resting)
    return rollout.settled
      ? [ready]
      : progressing(inputs, ready, { reason: "RollingOut", message: "writers are stopping" })
  }
  if (rollout.available > 0) {
    const ready = said("Ready", "True", { reason: "Running", message: "writers are at work" })
    if (rollout.settled) return [ready]
    return progressing(inputs, ready, {
      reason: "RollingOut",
      message: rollout.trouble?.message ?? "writers get a new configuration"
    })
  }
  const wasReady = ["Running", "WriterUnavailable"].includes(
    find(eventStream.status?.conditions, "Ready")?.reason ?? ""
  )
  const message = health.state === "Running" ? "no writer is ready yet" : health.message
  return progressing(
    inputs,
    said("Ready", "False", { reason: wasReady ? "WriterUnavailable" : "Progressing", message }),
    {
      reason: rollout.exists ? "RollingOut" : "Progressing",
      message
    }
  )
}

/** The sum of everything seen. */
export const verdict = (inputs: VerdictInputs): Verdict => {
  const { eventStream, problems, health, draining } = inputs
  const person = problems.find((problem) => problem.stalled)
  if (eventStream.metadata.deletionTimestamp !== undefined) {
    const words = { reason: "Draining", message: draining ?? "assets are being removed" }
    return [
      said("Ready", "False", words),
      person ? said("Stalled", "True", person) : said("Reconciling", "True", words)
    ]
  }
  if (person) return stalled(readyWords(person), person)

  const writing = !eventStream.spec.suspend && inputs.rollout.desired > 0
  if (writing && (health.state === "Halted" || health.state === "Stalled")) {
    const words = { reason: health.reason ?? health.state, message: health.message }
    return stalled(health.state === "Halted" ? { ...words, reason: "Halted" } : words, words)
  }
  const passing = problems[0]
  if (passing) return retrying(inputs, readyWords(passing))
  if (writing && health.state === "Retrying") {
    return retrying(inputs, { reason: health.reason ?? "WriterUnavailable", message: health.message })
  }
  return withoutTrouble(inputs)
}
