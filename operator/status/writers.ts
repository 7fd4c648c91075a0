import { redact } from "../../platform/log.ts"
import type { WriterStatus } from "../../writer/config.ts"
import type { KubeObject } from "../kube.ts"

/** How writing is going, as told by writers and, where none runs, by what their Pods left behind. */
export interface WriterHealth {
  readonly state: "Running" | "Retrying" | "Stalled" | "Halted" | "Silent"
  /** Condition reason; undefined while Running and where nobody says. */
  readonly reason: string | undefined
  readonly message: string
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly terminated?: { readonly exitCode?: number; readonly reason?: string; readonly message?: string }
}
interface ContainerStatus {
  readonly name: string
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}
interface Condition {
  readonly type: string
  readonly status: string
  readonly message?: string
}
interface PodStatus {
  readonly phase?: string
  readonly conditions?: ReadonlyArray<Condition>
  readonly initContainerStatuses?: ReadonlyArray<ContainerStatus>
  readonly containerStatuses?: ReadonlyArray<ContainerStatus>
}

/** Kubelet's words for an image that can't be had; the message names it. */
const imageTrouble = [
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "CreateContainerConfigError"
]

/** The last line of a container's log, which is JSON when our program wrote it. */
const lastWords = (text: string): { readonly reason?: string; readonly message: string } | undefined => {
  const line = text.trimEnd().split("\n").at(-1) ?? ""
  if (line === "") return undefined
  try {
    const { reason, message } = JSON.parse(line) as { reason?: unknown; message?: unknown }
    if (typeof message === "string")
      return { message: redact(message), ...(typeof reason === "string" ? { reason } : {}) }
  } catch {
    // Not ours: a crash of the runtime, or a log cut in the middle.
  }
  return { message: redact(line).slice(0, 1024) }
}

const unavailable = (message: string): WriterHealth => ({ state: "Retrying", reason: "WriterUnavailable", message })

const complaint = ({ name, state, lastState }: ContainerStatus): WriterHealth | undefined => {
  const ended = state?.terminated ?? lastState?.terminated
  if (ended && ended.exitCode !== 0) {
    const words = lastWords(ended.message ?? "")
    const message = words?.message ?? `container ${name} ended: ${ended.reason ?? `exit code ${ended.exitCode}`}`
    return { state: "Retrying", reason: words?.reason, message }
  }
  const waiting = state?.waiting
  if (waiting?.reason !== undefined && imageTrouble.includes(waiting.reason)) {
    return unavailable(`container ${name}: ${waiting.reason}: ${waiting.message ?? "see the Pod"}`)
  }
  return undefined
}

const ofPod = (pod: KubeObject): WriterHealth | undefined => {
  const status = (pod["status"] ?? {}) as PodStatus
  for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const found = complaint(container)
    if (found) return found
  }
  const homeless = status.conditions?.find((each) => each.type === "PodScheduled" && each.status === "False")
  return homeless && unavailable(`Pod ${pod.metadata.name} finds no node: ${homeless.message ?? "see the Pod"}`)
}

/** A Pod that could not even be made: refused by a quota, a limit, the namespace's Pod security standard or a webhook. */
const refusal = (deployment: KubeObject | undefined): WriterHealth | undefined => {
  const { conditions } = (deployment?.["status"] ?? {}) as { readonly conditions?: ReadonlyArray<Condition> }
  const refused = conditions?.find((each) => each.type === "ReplicaFailure" && each.status === "True")
  return refused && unavailable(`no Pod could be made: ${refused.message ?? "see the Deployment"}`)
}

/** Why a Pod does not run, or is not there. */
export const podTrouble = (
  deployment: KubeObject | undefined,
  pods: ReadonlyArray<KubeObject>
): WriterHealth | undefined => {
  for (const pod of pods) {
    const found = ofPod(pod)
    if (found) return found
  }
  return refusal(deployment)
}

const severity = { Halted: 3, Stalled: 2, Retrying: 1 } as const

/**
 * The health of the writers of one durable. A writer that needs a person speaks for all, since the others will meet the same
 * message or table; one that retries does not while another is running.
 *
 * @param trouble of the Pods, which is asked where no writer says anything
 */
export const writerHealth = (
  writers: ReadonlyArray<WriterStatus>,
  trouble: WriterHealth | undefined,
  durable: string | undefined
): WriterHealth => {
  const current = writers.filter((writer) => writer.durable === durable)
  const running = current.some(({ state }) => state === "Running" || state === "Draining")
  const troubled = current
    .filter(({ state }) => state === "Halted" || state === "Stalled" || (state === "Retrying" && !running))
    .sort((a, b) => severity[b.state as keyof typeof severity] - severity[a.state as keyof typeof severity])
  const worst = troubled[0]
  if (worst) {
    const message = worst.message ?? `writers are ${worst.state.toLowerCase()}`
    return { state: worst.state as keyof typeof severity, reason: worst.reason ?? undefined, message }
  }
  if (running) return { state: "Running", reason: undefined, message: "writers are at work" }
  return trouble ?? { state: "Silent", reason: undefined, message: "no writer has reported yet" }
}

/** When the first of the writers' client certificates for NATS ends; undefined where there are none. */
export const certificateEnd = (writers: ReadonlyArray<WriterStatus>): Date | undefined => {
  const ends = writers.flatMap(({ certificateNotAfter }) =>
    certificateNotAfter ? [Date.parse(certificateNotAfter)] : []
  )
  return ends.length === 0 ? undefined : new Date(Math.min(...ends))
}

/** What the lane holds so far. Every writer tells the same totals, some a moment later; one that starts has not read them yet. */
export const totalsOf = (
  writers: ReadonlyArray<WriterStatus>
): Pick<WriterStatus, "written" | "deadLettered" | "dropped" | "lost" | "lastWriteTime"> | undefined => {
  const known = writers.filter(({ lane, state }) => lane !== null && state !== "Starting")
  if (known.length === 0) return undefined
  const most = (of: (writer: WriterStatus) => number) => Math.max(...known.map(of))
  return {
    written: most((writer) => writer.written),
    deadLettered: most((writer) => writer.deadLettered),
    dropped: most((writer) => writer.dropped),
    lost: most((writer) => writer.lost),
    lastWriteTime:
      known
        .flatMap(({ lastWriteTime }) => lastWriteTime ?? [])
        .sort()
        .at(-1) ?? null
  }
}

/** The dead letters that are there now, by the writer that has counted most; undefined while none has. */
export const deadLettersOf = (writers: ReadonlyArray<WriterStatus>): WriterStatus["deadLetters"] =>
  writers.flatMap(({ deadLetters }) => deadLetters ?? []).sort((a, b) => b.count - a.count)[0]
