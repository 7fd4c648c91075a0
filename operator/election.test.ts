import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  afterReading,
  afterWriting,
  type Candidate,
  type Claim,
  claimOf,
  defaultTiming,
  isOwn,
  type Lease,
  type LeaseRecord,
  leads,
  newCandidate,
  releasedRecord,
  whenSending
} from "./election.ts"

const { renewDeadlineMillis, retryMillis } = defaultTiming

const recordOf = (holderIdentity: string, fields: Partial<LeaseRecord> = {}): LeaseRecord => ({
  holderIdentity,
  leaseDurationSeconds: 15,
  acquireTime: "t1",
  renewTime: "t1",
  leaseTransitions: 3,
  ...fields
})
const leaseOf = (record: LeaseRecord, resourceVersion = "7"): Lease => ({ record, resourceVersion })

/** `b` after it read the leases in turn, each at its time. */
const reading = (...leases: ReadonlyArray<readonly [atMillis: number, lease: Lease | undefined]>) =>
  leases.reduce((candidate, [at, lease]) => afterReading(candidate, lease, at), newCandidate("b"))

const claimed = (candidate: Candidate, nowMillis: number) => claimOf(candidate, nowMillis, "t9", defaultTiming)

describe("a candidate", () => {
  it("creates the Lease where there is none", () => {
    const record = { ...recordOf("b"), acquireTime: "t9", renewTime: "t9", leaseTransitions: 0 }
    assert.deepStrictEqual(claimed(reading([0, undefined]), 0), { record, resourceVersion: undefined })
  })

  const taken = { ...recordOf("b"), acquireTime: "t9", renewTime: "t9", leaseTransitions: 4 }
  const held = leaseOf(recordOf("a"))
  for (const [name, candidate, nowMillis, expected] of [
    ["leaves a Lease that it sees for the first time, however old its times", reading([100, held]), 100, undefined],
    ["leaves one that did not change for its duration", reading([100, held], [15_100, held]), 15_100, undefined],
    ["takes one that did not change for longer", reading([100, held], [15_101, held]), 15_101, taken],
    [
      "begins to wait anew with each renewal",
      reading([100, held], [15_000, leaseOf(recordOf("a", { renewTime: "t2" }), "8")]),
      15_101,
      undefined
    ],
    [
      "does not wait anew when something else than the record changes",
      reading([100, held], [15_000, leaseOf(recordOf("a"), "8")]),
      15_101,
      taken
    ],
    ["takes one that was released at once", reading([100, leaseOf(releasedRecord(recordOf("a"), "t2"))]), 100, taken],
    ["leaves one that an earlier process of its name holds", reading([100, leaseOf(recordOf("b"))]), 100, undefined]
  ] as const) {
    it(name, () => assert.deepStrictEqual(claimed(candidate, nowMillis)?.record, expected))
  }

  it("writes on condition that the Lease is as it was read", () => {
    const candidate = reading([0, held], [16_000, leaseOf(recordOf("a"), "8")])
    assert.strictEqual(claimed(candidate, 16_000)?.resourceVersion, "8")
  })

  const first = claimed(reading([0, undefined]), 0)!
  const waiting = whenSending(reading([0, undefined]), first)
  const leader = afterWriting(waiting, leaseOf(first.record), 50, defaultTiming)

  it("leads from the answer on, for the renew deadline after it sent its claim", () => {
    assert.isFalse(leads(waiting, 60))
    assert.isTrue(leads(leader, 10_049))
    assert.isFalse(leads(leader, 10_050))
  })

  it("renews its own record, and keeps the term", () => {
    const renewal = claimOf(afterReading(leader, leaseOf(first.record), 2_000), 2_000, "t10", defaultTiming)
    assert.deepStrictEqual(renewal, { record: { ...first.record, renewTime: "t10" }, resourceVersion: "7" })
  })

  it("knows a claim for its own whose answer was lost", () => {
    const seen = afterReading(waiting, leaseOf(first.record), 2_000)
    assert.isFalse(leads(seen, 2_000))
    assert.strictEqual(claimed(seen, 2_000)?.record.acquireTime, first.record.acquireTime)
  })

  it("leads no more as soon as it sees another's record", () => {
    assert.isFalse(leads(afterReading(leader, leaseOf(recordOf("a")), 60), 60))
  })
})

/**
 * Candidates that talk to one API server over a network that delays, reorders and loses, each with its own clock, some of
 * which are killed or asked to end now and then. Times of the world are milliseconds.
 */

interface Fate {
  readonly delay: number
  readonly lost: boolean
}

interface Stop {
  readonly at: number
  readonly who: number
  readonly how: "Kill" | "Ask"
}

interface Story {
  readonly clocks: ReadonlyArray<{ readonly offset: number; readonly rate: number }>
  readonly fates: ReadonlyArray<Fate>
  readonly stops: ReadonlyArray<Stop>
}

/** A time for which a process led. */
interface Reign {
  readonly who: string
  readonly from: number
  until: number
}

const endMillis = 240_000
/** From here on nothing goes wrong any more. */
const calmMillis = 150_000
const calm: Fate = { delay: 5, lost: false }

class World {
  readonly #events: Array<{ readonly at: number; readonly run: () => void }> = []
  readonly #fates: Array<Fate>
  #lease: Lease | undefined
  #version = 0
  now = 0
  readonly records: Array<LeaseRecord> = []

  constructor(fates: ReadonlyArray<Fate>) {
    this.#fates = fates.toReversed()
  }

  after(millis: number, run: () => void) {
    this.#events.push({ at: this.now + millis, run })
  }

  run() {
    while (this.#events.length > 0) {
      let next = 0
      for (let i = 1; i < this.#events.length; i++) if (this.#events[i]!.at < this.#events[next]!.at) next = i
      const [event] = this.#events.splice(next, 1)
      if (event!.at > endMillis) return
      this.now = event!.at
      event!.run()
    }
  }

  #send(then: () => void) {
    const { delay, lost } = this.now < calmMillis ? (this.#fates.pop() ?? calm) : calm
    if (!lost) this.after(delay, then)
  }

  read(answer: (lease: Lease | undefined) => void) {
    this.#send(() => {
      const lease = this.#lease
      this.#send(() => answer(lease))
    })
  }

  /** `undefined` is answered when the Lease is not the one that was read. */
  write({ record, resourceVersion }: Claim, answer: (lease: Lease | undefined) => void) {
    this.#send(() => {
      const written = this.#lease?.resourceVersion === resourceVersion
      if (written) this.#lease = { record, resourceVersion: String(++this.#version) }
      if (written) this.records.push(record)
      const lease = written ? this.#lease : undefined
      this.#send(() => answer(lease))
    })
  }
}

/** One run of the operator, as `leadership.ts` has it: attempts one after another, given up after half the renew deadline. */
class Process {
  readonly #world: World
  readonly #clock: Story["clocks"][number]
  readonly reigns: Array<Reign> = []
  #candidate: Candidate
  #attempt = 0
  #ended = false

  constructor(world: World, name: string, clock: Story["clocks"][number]) {
    this.#world = world
    this.#clock = clock
    this.#candidate = newCandidate(name)
    this.#try()
  }

  get #localMillis() {
    return this.#clock.offset + this.#world.now * this.#clock.rate
  }

  #worldMillis(localMillis: number) {
    return (localMillis - this.#clock.offset) / this.#clock.rate
  }

  get #time() {
    return `${this.#clock.offset}:${this.#world.now}`
  }

  #sleep(localMillis: number, then: () => void) {
    // Not less than a moment: time goes on in the world, whatever is left of a fraction.
    this.#world.after(Math.max(1, localMillis / this.#clock.rate), () => {
      if (!this.#ended) then()
    })
  }

  /** Runs `then` unless the attempt was given up meanwhile. */
  #unlessGivenUp<A>(then: (value: A) => void) {
    const attempt = this.#attempt
    return (value: A) => {
      if (!this.#ended && attempt === this.#attempt) then(value)
    }
  }

  #try() {
    this.#attempt++
    const next = this.#unlessGivenUp(() => this.#next())
    const left = this.reigns.length > 0 ? this.#candidate.leadsUntilMillis - this.#localMillis : Infinity
    this.#sleep(Math.min(renewDeadlineMillis / 2, left), () => next(undefined))
    this.#world.read(
      this.#unlessGivenUp((lease) => {
        const nowMillis = this.#localMillis
        this.#candidate = afterReading(this.#candidate, lease, nowMillis)
        const claim = claimOf(this.#candidate, nowMillis, this.#time, defaultTiming)
        if (claim === undefined) return this.#next()
        this.#candidate = whenSending(this.#candidate, claim)
        this.#world.write(
          claim,
          this.#unlessGivenUp((written) => {
            if (written) {
              this.#candidate = afterWriting(this.#candidate, written, nowMillis, defaultTiming)
              this.#reign()
            }
            this.#next()
          })
        )
      })
    )
  }

  #reign() {
    const until = this.#worldMillis(this.#candidate.leadsUntilMillis)
    const last = this.reigns.at(-1)
    if (last && last.until >= this.#world.now) last.until = until
    else if (until > this.#world.now) {
      this.reigns.push({ who: this.#candidate.identity, from: this.#world.now, until })
    }
  }

  #next() {
    this.#attempt++
    const left = this.#candidate.leadsUntilMillis - this.#localMillis
    if (this.reigns.length > 0 && left <= 0) return this.end("Kill") // the Lease is lost: the process ends
    this.#sleep(left > 0 ? Math.min(retryMillis, left) : retryMillis * 0.85, () => this.#try())
  }

  end(how: Stop["how"]) {
    if (this.#ended) return
    this.#ended = true
    const last = this.reigns.at(-1)
    if (last) last.until = Math.min(last.until, this.#world.now)
    if (how === "Kill" || this.#candidate.term === undefined) return
    this.#world.read((lease) => {
      if (lease === undefined || !isOwn(this.#candidate, lease.record)) return
      const record = releasedRecord(lease.record, this.#time)
      this.#world.write({ record, resourceVersion: lease.resourceVersion }, () => {})
    })
  }

  get ended() {
    return this.#ended
  }
}

/** Every reign of the story, and the records that were written. */
const told = ({ clocks, fates, stops }: Story) => {
  const world = new World(fates)
  const processes: Array<Process> = []
  const running = clocks.map((clock, who) => {
    const process = new Process(world, `operator-${who}`, clock)
    processes.push(process)
    return process
  })
  for (const { at, who, how } of stops) world.after(at, () => running[who % running.length]!.end(how))
  // The kubelet starts a container again that has ended.
  const restart = () => {
    clocks.forEach((clock, who) => {
      if (!running[who]!.ended) return
      running[who] = new Process(world, `operator-${who}`, clock)
      processes.push(running[who])
    })
    world.after(3_000, restart)
  }
  restart()
  world.run()
  const reigns = processes.flatMap(({ reigns }) => reigns).sort((a, b) => a.from - b.from)
  return { reigns, records: world.records }
}

const fate = fc.record({
  delay: fc.oneof(
    { weight: 6, arbitrary: fc.nat({ max: 50 }) },
    { weight: 2, arbitrary: fc.nat({ max: 4_000 }) },
    { weight: 1, arbitrary: fc.nat({ max: 40_000 }) }
  ),
  lost: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
})

const story = fc.record<Story>({
  clocks: fc.array(
    fc.record({ offset: fc.integer({ min: -1e9, max: 1e9 }), rate: fc.double({ min: 0.82, max: 1.2, noNaN: true }) }),
    { minLength: 2, maxLength: 3 }
  ),
  fates: fc.array(fate, { maxLength: 600, size: "max" }),
  stops: fc.array(
    fc.record({
      at: fc.nat({ max: calmMillis }),
      who: fc.nat({ max: 2 }),
      how: fc.constantFrom<Stop["how"]>("Kill", "Ask")
    }),
    { maxLength: 6 }
  )
})

describe("property", () => {
  it("no two lead at once, and one leads in the end, whatever clocks, network and processes do", () => {
    let changes = 0
    fc.assert(
      fc.property(story, (given) => {
        const { reigns, records } = told(given)
        reigns.forEach((reign, i) => {
          const before = reigns[i - 1]
          if (before) assert.isAtMost(before.until, reign.from, `${before.who} and ${reign.who} lead at once`)
        })
        assert.isAtLeast(reigns.at(-1)?.until ?? 0, endMillis - 1, "nobody leads in the end")
        records.forEach((record, i) => {
          const before = records[i - 1]
          if (!before) return
          const isAnother = record.holderIdentity !== "" && record.acquireTime !== before.acquireTime
          assert.strictEqual(record.leaseTransitions, before.leaseTransitions + (isAnother ? 1 : 0))
        })
        changes += reigns.length - 1
      }),
      { numRuns: 300 }
    )
    assert.isAbove(changes, 300, "the stories are eventful")
  })
})
