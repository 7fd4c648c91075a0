/**
 * Leader election by a Lease: what a candidate makes of what it reads, as values. `leadership.ts` reads and writes.
 *
 * The rules are those of client-go (tools/leaderelection/leaderelection.go, tryAcquireOrRenew): a record counts as expired when
 * it has not changed for its duration by the reader's own clock, and every write is refused when the record is no longer the one
 * that was read. Times in the record are for people: clocks of two machines are never compared. What is stricter here: the time
 * for which a leader may lead counts from when it *sent* its last renewal, so that it has stopped before anybody who saw that
 * renewal can take over, as long as no clock runs `leaseMillis / renewDeadlineMillis` times as fast as another.
 */

export interface Timing {
  /** How long a record that does not change keeps others from taking over. */
  readonly leaseMillis: number
  /** How long a leader may lead without a renewal. */
  readonly renewDeadlineMillis: number
  /** Wait between two attempts to acquire or renew. */
  readonly retryMillis: number
}

/** Those of Kubernetes' own controllers. Source: k8s.io/component-base/config/v1alpha1, RecommendedDefaultLeaderElectionConfiguration. */
export const defaultTiming: Timing = { leaseMillis: 15_000, renewDeadlineMillis: 10_000, retryMillis: 2_000 }

/** The spec of a Lease (coordination.k8s.io/v1). */
export interface LeaseRecord {
  /** Who leads; "" when it was released. */
  readonly holderIdentity: string
  readonly leaseDurationSeconds: number
  /** RFC 3339 with microseconds, by the clock of the holder. */
  readonly acquireTime: string
  readonly renewTime: string
  /** How often the holder changed. */
  readonly leaseTransitions: number
}

/** A Lease as it was read. */
export interface Lease {
  readonly record: LeaseRecord
  readonly resourceVersion: string
}

/** A candidate. Times are milliseconds of its own clock, which must not go back. */
export interface Candidate {
  readonly identity: string
  /** The Lease as last read, and since when its record is as it is. */
  readonly seen: (Lease & { readonly sinceMillis: number }) | undefined
  /** `acquireTime` of the last record of ours that was not a renewal, whether its write is known to have succeeded or not. */
  readonly term: string | undefined
  readonly leadsUntilMillis: number
}

export const newCandidate = (identity: string): Candidate => ({
  identity,
  seen: undefined,
  term: undefined,
  leadsUntilMillis: -Infinity
})

export const leads = (candidate: Candidate, nowMillis: number) => nowMillis < candidate.leadsUntilMillis

/**
 * Whether this candidate wrote the record. The name alone does not say so: an earlier process of the same name may have, and
 * one that is configured with the same name by mistake may still run.
 */
export const isOwn = ({ identity, term }: Candidate, record: LeaseRecord) =>
  record.holderIdentity === identity && record.acquireTime === term

const sameRecord = (a: LeaseRecord, b: LeaseRecord) =>
  a.holderIdentity === b.holderIdentity && a.renewTime === b.renewTime && a.leaseTransitions === b.leaseTransitions

/** The candidate after it has read the Lease, which is undefined when there is none. A leader that sees another's record leads no more. */
export const afterReading = (candidate: Candidate, lease: Lease | undefined, nowMillis: number): Candidate => {
  if (lease === undefined) return { ...candidate, seen: undefined }
  const { seen } = candidate
  const sinceMillis = seen && sameRecord(seen.record, lease.record) ? seen.sinceMillis : nowMillis
  return {
    ...candidate,
    seen: { ...lease, sinceMillis },
    leadsUntilMillis: isOwn(candidate, lease.record) ? candidate.leadsUntilMillis : -Infinity
  }
}

/** A record to be written, if the Lease is still the one of `resourceVersion`; undefined when there must be none yet. */
export interface Claim {
  readonly record: LeaseRecord
  readonly resourceVersion: string | undefined
}

const isFree = ({ record, sinceMillis }: NonNullable<Candidate["seen"]>, nowMillis: number) =>
  record.holderIdentity === "" || nowMillis - sinceMillis > record.leaseDurationSeconds * 1000

/**
 * What the candidate has to write now: a renewal of its own record, or a record of its own where nobody leads; undefined when
 * another leads.
 *
 * @param time the present as it is to stand in the record
 */
export const claimOf = (candidate: Candidate, nowMillis: number, time: string, timing: Timing): Claim | undefined => {
  const { seen, identity } = candidate
  const own: LeaseRecord = {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(timing.leaseMillis / 1000),
    acquireTime: time,
    renewTime: time,
    leaseTransitions: 0
  }
  if (seen === undefined) return { record: own, resourceVersion: undefined }
  const { record, resourceVersion } = seen
  if (isOwn(candidate, record)) return { record: { ...record, renewTime: time }, resourceVersion }
  if (!isFree(seen, nowMillis)) return undefined
  return { record: { ...own, leaseTransitions: record.leaseTransitions + 1 }, resourceVersion }
}

/** The candidate as it sends the claim. Whatever comes of the write, the record is known as its own when it is read again. */
export const whenSending = (candidate: Candidate, { record }: Claim): Candidate => ({
  ...candidate,
  term: record.acquireTime
})

/** The candidate when its claim, sent at `sentMillis`, was written as `lease`. */
export const afterWriting = (candidate: Candidate, lease: Lease, sentMillis: number, timing: Timing): Candidate => ({
  ...candidate,
  seen: { ...lease, sinceMillis: sentMillis },
  leadsUntilMillis: sentMillis + timing.renewDeadlineMillis
})

/** The record that hands the lead to whoever asks next. Source: client-go, LeaderElector.release. */
export const releasedRecord = (record: LeaseRecord, time: string): LeaseRecord => ({
  ...record,
  holderIdentity: "",
  leaseDurationSeconds: 1,
  renewTime: time
})
