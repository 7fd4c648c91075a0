import { formatDurationNanos } from "../crds/duration.ts"
import { formatQuantity } from "../crds/quantity.ts"
import type { ConsumerState, StreamState } from "./jetstream.ts"
import type { KubeObject } from "./kube.ts"
import { AppliedHashAnnotation } from "./specs/names.ts"
import type { fixedConsumerConfig, MutableConsumerConfig } from "./specs/consumer.ts"
import type { StreamConfig } from "./specs/stream.ts"

/** A change of a stream that removes messages at once. */
export interface Lossy {
  /** How a person allows it by the annotation, e.g. `maxMessages:5`. */
  readonly approval: string
  readonly consequence: string
}

export interface StreamDrift {
  /** What an update may change without losing anything, and what has been approved. */
  readonly fields: Partial<StreamConfig>
  readonly lossy: ReadonlyArray<Lossy>
  /** Fields the server never changes (10052), as `storage: is memory, wanted file`. */
  readonly immutable: ReadonlyArray<string>
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
const sameSet = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => same([...a].sort(), [...b].sort())

/** `limit` is a lower bound than before and would cut what is there. */
const tightened = (limit: number, before: number, present: number) =>
  limit > 0 && (before <= 0 || limit < before) && present > limit

type LossOf = (wanted: StreamConfig, stream: StreamState, nowMillis: number) => Lossy | undefined

const cutting = (approval: string, what: string): Lossy => ({
  approval,
  consequence: `the oldest messages ${what} are removed`
})

/** What a changed field would remove at once, in one update; measured on nats-server 2.15. */
const losses: Partial<Record<keyof StreamConfig, LossOf>> = {
  retention: ({ retention }) =>
    retention === "interest"
      ? { approval: "retention:Interest", consequence: "messages that no consumer has yet to acknowledge are removed" }
      : undefined,
  max_msgs: ({ max_msgs }, { config, messages }) =>
    tightened(max_msgs, config.max_msgs, messages)
      ? cutting(`maxMessages:${max_msgs}`, "beyond the new limit")
      : undefined,
  max_bytes: ({ max_bytes }, { config, bytes }) =>
    tightened(max_bytes, config.max_bytes, bytes)
      ? cutting(`maxBytes:${formatQuantity(max_bytes)}`, "beyond the new limit")
      : undefined,
  // How many a subject has is not known without reading them all; one message per subject is never too many.
  max_msgs_per_subject: ({ max_msgs_per_subject: limit }, { config, messages, subjects }) =>
    messages > subjects && tightened(limit, config.max_msgs_per_subject, messages)
      ? cutting(`maxMessagesPerSubject:${limit}`, "of subjects that hold more")
      : undefined,
  max_age: ({ max_age }, { config, firstTime }, nowMillis) =>
    tightened(max_age, config.max_age, (nowMillis - Date.parse(firstTime)) * 1e6)
      ? cutting(`maxAge:${formatDurationNanos(max_age)}`, "that are older")
      : undefined
}

/** Compared with the stream only when the spec says something about them. */
export interface StreamWish {
  readonly config: StreamConfig
  /** False: the copies the stream has are right. */
  readonly replicasGiven: boolean
}

/**
 * How a stream differs from the wanted one. A field that would remove messages is among `fields` only when `approved` has its
 * name; until then the rest is still put right.
 */
export const streamDrift = (
  wish: StreamWish,
  stream: StreamState,
  approved: ReadonlySet<string>,
  nowMillis: number
): StreamDrift => {
  const fields: Record<string, unknown> = {}
  const lossy: Array<Lossy> = []
  const immutable: Array<string> = []
  const wanted = wish.config
  for (const field of Object.keys(wanted) as Array<keyof StreamConfig>) {
    const is = stream.config[field]
    const want = wanted[field]
    if (field === "name" || field === "metadata") continue
    if (field === "num_replicas" && !wish.replicasGiven) continue
    if (field === "subjects" ? sameSet(stream.config.subjects ?? [], wanted.subjects) : same(is, want)) continue
    if (field === "storage" || (field === "retention" && [is, want].includes("workqueue"))) {
      immutable.push(`${field} is ${stream.config[field]}, wanted ${wanted[field]}`)
      continue
    }
    const loss = stream.messages > 0 ? losses[field]?.(wanted, stream, nowMillis) : undefined
    if (loss && !approved.has(loss.approval)) lossy.push(loss)
    else fields[field] = want
  }
  for (const [key, value] of Object.entries(wanted.metadata)) {
    if (stream.config.metadata?.[key] === value) continue
    fields["metadata"] = { ...stream.config.metadata, ...wanted.metadata }
  }
  return { fields: fields, lossy, immutable }
}

/** Fields JetStream leaves out of an answer when they have their default. */
const consumerDefaults: Readonly<Record<string, unknown>> = {
  headers_only: false,
  inactive_threshold: 0,
  filter_subjects: [],
  replay_policy: "instant"
}

const consumerField = (consumer: ConsumerState, field: string): unknown => {
  const config = consumer.config as unknown as Readonly<Record<string, unknown>>
  // Somebody else's edit may have left the single form.
  if (field === "filter_subjects" && config["filter_subject"]) return [config["filter_subject"]]
  return config[field] ?? consumerDefaults[field]
}

const differing = <T extends object>(consumer: ConsumerState, wanted: T): Partial<T> => {
  const differs = ([field, want]: [string, unknown]) => {
    const is = consumerField(consumer, field)
    return Array.isArray(want) && Array.isArray(is)
      ? !sameSet(is as Array<string>, want as Array<string>)
      : !same(is, want)
  }
  return Object.fromEntries(Object.entries(wanted).filter(differs)) as Partial<T>
}

/** The fields to change in place. */
export const consumerDrift = (wanted: MutableConsumerConfig, consumer: ConsumerState): Partial<MutableConsumerConfig> =>
  differing(consumer, wanted)

/** The fields that differ although the server can't change them: the durable has to be replaced. */
export const fixedDrift = (wanted: typeof fixedConsumerConfig, consumer: ConsumerState): ReadonlyArray<string> =>
  Object.keys(differing(consumer, wanted))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isEmpty = (value: unknown) =>
  value === undefined ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0)

const units = new Map(Object.entries({ m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 }))
for (const [power, suffix] of ["Ki", "Mi", "Gi", "Ti", "Pi"].entries()) units.set(suffix, 1024 ** (power + 1))
const amount = (value: unknown): number | undefined => {
  const match = /^([0-9]+(?:\.[0-9]+)?)(m|k|[MGTP]i?|Ki|)$/.exec(String(value))
  return match ? Number(match[1]) * units.get(match[2]!)! : undefined
}

/** What the API server tells the elements of a list apart by when it merges an apply into it; of several the first counts. */
const mergeKeys = ["mountPath", "containerPort", "topologyKey", "uid", "name"] as const
const mergeKeyOf = (list: ReadonlyArray<unknown>) =>
  mergeKeys.find((key) => list.length > 0 && list.every((item) => isRecord(item) && item[key] !== undefined))

/**
 * Whether `live` has everything that `wanted` says. The API server adds fields (defaults), drops what is empty, and rewrites
 * quantities: `1000m` comes back as `1`. An element that somebody else added to a list that is merged by a key is theirs: no
 * apply of ours would take it away, so it is no reason for one.
 */
export const covers = (live: unknown, wanted: unknown): boolean => {
  if (isEmpty(wanted)) return isEmpty(live) || isRecord(live)
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return false
    const key = mergeKeyOf(wanted)
    if (key === undefined) return live.length === wanted.length && wanted.every((item, at) => covers(live[at], item))
    return wanted.every((item) =>
      live.some((found) => isRecord(found) && found[key] === item[key] && covers(found, item))
    )
  }
  if (isRecord(wanted)) {
    return isRecord(live) && Object.entries(wanted).every(([key, value]) => covers(live[key], value))
  }
  return live === wanted || (amount(wanted) !== undefined && amount(live) === amount(wanted))
}

/** Whether an object has to be applied: it is not there, we want something else than we last applied, or somebody edited it. */
export const needsApply = (live: KubeObject | undefined, wanted: KubeObject): boolean =>
  live === undefined ||
  live.metadata.annotations?.[AppliedHashAnnotation] !== wanted.metadata.annotations?.[AppliedHashAnnotation] ||
  !covers(live, wanted)
