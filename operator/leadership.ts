import { Clock, Effect, Fiber, Random, Schema, type Scope } from "effect"
import {
  afterReading,
  afterWriting,
  type Claim,
  claimOf,
  defaultTiming,
  isOwn,
  type Lease,
  type LeaseRecord,
  newCandidate,
  releasedRecord,
  type Timing,
  whenSending
} from "./election.ts"
import { apiVersionOf, Kube, KubeError, type KubeObject, Leases, type ObjectKey } from "./kube.ts"
import { OperatorMetrics } from "./metrics.ts"

/** Longest time the release of the Lease may take: the process is about to end. */
const releaseMillis = 1_000

/** The Lease was not renewed in time, or another has it. Who led must not go on. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  lease: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted to keep the Lease ${this.lease}, found: ${this.detail}; ending, so that no two operators reconcile`
  }
}

/** Who stands for election, and for which Lease. */
export interface Election {
  readonly lease: ObjectKey
  /** Name in the Lease; differs between candidates. */
  readonly identity: string
}

export interface Leadership {
  /** Goes on for as long as this process leads. */
  readonly lost: Effect.Effect<never, LeaseLost>
  /** Ends at once while this process leads by its clock, and never when it does not; see `fence.ts`. */
  readonly held: Effect.Effect<void>
}

const leaseOf = ({ metadata, spec }: KubeObject): Lease => {
  const record = (spec ?? {}) as Partial<LeaseRecord>
  return {
    resourceVersion: metadata.resourceVersion ?? "",
    record: {
      holderIdentity: record.holderIdentity ?? "",
      leaseDurationSeconds: record.leaseDurationSeconds ?? 0,
      acquireTime: record.acquireTime ?? "",
      renewTime: record.renewTime ?? "",
      leaseTransitions: record.leaseTransitions ?? 0
    }
  }
}

/** The present as a MicroTime, which has six digits. */
const microTime = Effect.map(Clock.currentTimeNanos, (nanos) => {
  const micros = nanos / 1000n
  const digits = String(micros % 1000n).padStart(3, "0")
  return new Date(Number(micros / 1000n)).toISOString().replace("Z", `${digits}Z`)
})

/** A clock that never goes back, whatever is done to the machine's time. */
const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** A candidate with its Lease at the API server. */
const makeCandidacy = (kube: Kube["Service"], { lease: key, identity }: Election, timing: Timing) => {
  const title = `${key.namespace}/${key.name}`
  let candidate = newCandidate(identity)
  let problem: string | undefined

  const read = Effect.gen(function* () {
    const found = yield* kube.get(Leases, key)
    const nowMillis = yield* monotonicMillis
    candidate = afterReading(candidate, found && leaseOf(found), nowMillis)
    return nowMillis
  })

  const write = ({ record, resourceVersion }: Claim) => {
    const metadata = { ...key, ...(resourceVersion === undefined ? {} : { resourceVersion }) }
    const object = { apiVersion: apiVersionOf(Leases), kind: Leases.kind, metadata, spec: record }
    // A Lease that is not there is created and never applied: of two who apply it at once both would succeed.
    return Effect.map(resourceVersion === undefined ? kube.create(object) : kube.apply(object), leaseOf)
  }

  const claim = Effect.gen(function* () {
    const nowMillis = yield* read
    const wanted = claimOf(candidate, nowMillis, yield* microTime, timing)
    if (wanted === undefined) return
    candidate = whenSending(candidate, wanted)
    candidate = afterWriting(candidate, yield* write(wanted), nowMillis, timing)
  })

  const giveBack = Effect.gen(function* () {
    if (candidate.term === undefined) return
    yield* read
    const { seen } = candidate
    if (seen === undefined || !isOwn(candidate, seen.record)) return
    yield* write({ record: releasedRecord(seen.record, yield* microTime), resourceVersion: seen.resourceVersion })
    yield* Effect.logInfo("released the Lease", { lease: title })
  })

  const within = (millis: number, effect: Effect.Effect<void, KubeError>) =>
    Effect.timeoutOrElse(Effect.interruptible(effect), {
      duration: millis,
      orElse: () => {
        const detail = `no answer within ${Math.round(millis)} ms`
        return Effect.fail(new KubeError({ reason: "Unreachable", operation: `get or apply Lease ${title}`, detail }))
      }
    })

  return {
    title,
    /** One attempt to acquire or renew. A problem is logged once, however often it comes up. */
    attempt: (millis: number) =>
      within(millis, claim).pipe(
        Effect.andThen(Effect.sync(() => (problem = undefined))),
        Effect.catch(({ message }) => {
          if (problem === message) return Effect.void
          problem = message
          return Effect.logWarning("the Lease was neither acquired nor renewed", { lease: title, error: message })
        })
      ),
    release: within(releaseMillis, giveBack).pipe(
      Effect.catch(({ message }) => Effect.logWarning("the Lease was not released", { lease: title, error: message }))
    ),
    /** How long this process may lead from now on; none when it is not positive. */
    leftMillis: Effect.map(monotonicMillis, (nowMillis) => candidate.leadsUntilMillis - nowMillis),
    /** Why the last attempt failed. */
    problem: () => problem,
    /** Who else holds the Lease, when it could be read. */
    other: () => {
      const record = candidate.seen?.record
      return problem !== undefined || record === undefined || isOwn(candidate, record)
        ? undefined
        : record.holderIdentity
    }
  }
}
type Candidacy = ReturnType<typeof makeCandidacy>

/** Returns when this process leads. */
const acquire = Effect.fnUntraced(function* (
  candidacy: Candidacy,
  timing: Timing,
  onStandby: (holder: string) => void
) {
  let known: string | undefined
  while (true) {
    yield* candidacy.attempt(timing.renewDeadlineMillis / 2)
    if ((yield* candidacy.leftMillis) > 0) return
    const holder = candidacy.other()
    if (holder !== undefined) onStandby(holder)
    if (holder !== undefined && holder !== known) {
      yield* Effect.logInfo("standing by", { lease: candidacy.title, holder })
      known = holder
    }
    // Those that stand by do not all ask at once; what was released is never free for longer than `retryMillis`.
    yield* Effect.sleep(timing.retryMillis * (yield* Random.nextBetween(0.7, 1)))
  }
})

/** Renews until the time to lead has run out, to the millisecond, or another holds the Lease. */
const renew = Effect.fnUntraced(function* (candidacy: Candidacy, timing: Timing) {
  const atMost = (millis: number) => Effect.map(candidacy.leftMillis, (left) => Math.max(0, Math.min(millis, left)))
  while (true) {
    yield* Effect.sleep(yield* atMost(timing.retryMillis))
    yield* candidacy.attempt(yield* atMost(timing.renewDeadlineMillis / 2))
    if ((yield* candidacy.leftMillis) > 0) continue
    const holder = candidacy.other()
    const detail = holder === undefined ? (candidacy.problem() ?? "no renewal in time") : `"${holder}" holds it`
    return yield* new LeaseLost({ lease: candidacy.title, detail })
  }
})

/**
 * Waits until this process leads by the Lease, however long the API server does not answer. It renews the Lease in the scope,
 * and releases it at its end, so that another takes over at its next attempt.
 *
 * @param onStandby told whenever the Lease was read and another leads
 */
export const lead = Effect.fnUntraced(function* (
  election: Election,
  onStandby: (holder: string) => void,
  timing: Timing = defaultTiming
): Effect.fn.Return<Leadership, never, Kube | OperatorMetrics | Scope.Scope> {
  const { leading } = yield* OperatorMetrics
  const candidacy = makeCandidacy(yield* Kube, election, timing)
  const tell = (value: 0 | 1) => Effect.sync(() => leading.set({ name: election.lease.name }, value))
  yield* tell(0)
  yield* Effect.addFinalizer(() => Effect.andThen(tell(0), candidacy.release))
  yield* acquire(candidacy, timing, onStandby)
  yield* tell(1)
  yield* Effect.logInfo("leading", { lease: candidacy.title, identity: election.identity })
  const renewal = yield* renew(candidacy, timing).pipe(Effect.ensuring(tell(0)), Effect.forkScoped)
  const held = Effect.flatMap(candidacy.leftMillis, (left) => (left > 0 ? Effect.void : Effect.never))
  return { lost: Fiber.join(renewal), held }
})
