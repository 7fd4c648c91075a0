import { Duration } from "effect"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { ObjectKey } from "../kube.ts"
import { CreatedMark, type Owner, OwnerMark, ownerOf } from "./names.ts"
import type { StreamConfig } from "./stream.ts"

/** `spec.errors.deadLetter.publish`. */
export type PublishSpec = NonNullable<EventStreamSpec["errors"]["deadLetter"]["publish"]>

/** What the subjects of published dead letters begin with. */
export const deadLetterPrefix = ({ namespace, name }: ObjectKey, publish: PublishSpec): string =>
  publish.subjectPrefix ?? `dlq.${namespace}.${name}`

export const deadLetterStreamName = ({ namespace, name }: ObjectKey, publish: PublishSpec): string =>
  publish.streamName ?? `DLQ_${namespace}_${name}`.toUpperCase()

/** The longest a server remembers message ids without being asked. Source: nats-server, StreamDefaultDuplicatesWindow. */
const defaultDuplicateWindow = Duration.minutes(2)

/**
 * The stream of published dead letters. Each has a subject of its own, whose second message is refused: so the entry's being
 * there is what makes publishing it again harmless.
 */
export const deadLetterStream = (owner: Owner, publish: PublishSpec): StreamConfig => {
  const maxAge = Number(Duration.toNanosUnsafe(publish.maxAge))
  const window = Number(Duration.toNanosUnsafe(defaultDuplicateWindow))
  return {
    name: deadLetterStreamName(owner, publish),
    subjects: [`${deadLetterPrefix(owner, publish)}.>`],
    retention: "limits",
    storage: "file",
    num_replicas: publish.replicas ?? 1,
    max_age: maxAge,
    max_bytes: publish.maxBytes,
    max_msgs: -1,
    max_msg_size: -1,
    max_msgs_per_subject: -1,
    discard: "old",
    duplicate_window: maxAge === 0 ? window : Math.min(window, maxAge),
    compression: "none", // nats-server 2.15.2 may not be able to read a store with S2 after it was killed
    metadata: { [OwnerMark]: ownerOf(owner), [CreatedMark]: owner.uid }
  }
}
