import { Effect } from "effect"
import type { FaultCase } from "../campaign.ts"
import { postgresEdges } from "../rig.ts"
import { residentMegabytes } from "../monitor.ts"

/** How long, in seconds: SOAK_SECONDS. */
const seconds = Number(process.env["SOAK_SECONDS"] ?? 600)
const backlog = Number(process.env["SOAK_BACKLOG"] ?? 1_000_000)

/** Half of the time the database answers nothing. */
const turnSeconds = 15

const median = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)[values.length >> 1]!

/**
 * With the backlog it has, the writer must not keep more in memory the longer it lasts. Between the blockades the network to the
 * database is so narrow that the backlog lasts to the end.
 */
export const soakCase: FaultCase = {
  id: "SOAK",
  title: `the database is blocked half of ${seconds} s, with ${backlog} messages behind`,
  rig: { maxAckPending: 20_000 },
  quiesceSeconds: 900,
  run: (rig) =>
    Effect.gen(function* () {
      const hold = () => postgresEdges(rig).forEach((proxy) => proxy.weather({ hold: "both" }))
      const open = () => postgresEdges(rig).forEach((proxy) => proxy.weather({ bytesPerSecond: 600_000 }))
      hold()
      yield* rig.producer.burst(backlog)
      rig.producer.rate(500)
      const samples: Array<number> = []
      const until = Date.now() + seconds * 1000
      let blocked = true
      let turned = Date.now()
      while (Date.now() < until) {
        yield* Effect.sleep("1 second")
        const pid = rig.writer.process()?.pid
        if (pid !== undefined) samples.push(residentMegabytes(pid))
        if (Date.now() - turned < turnSeconds * 1000) continue
        turned = Date.now()
        blocked = !blocked
        if (blocked) hold()
        else open()
      }
      const info = yield* Effect.promise(() => rig.manager().consumers.info(rig.stream, rig.lane.name))
      rig.expect(info.num_pending > 0, "the backlog did not last to the end")
      const third = Math.floor(samples.length / 3)
      const early = median(samples.slice(third, 2 * third))
      const late = median(samples.slice(-third))
      rig.expect(
        late <= 1.15 * early,
        `V6: memory grew from ${Math.round(early)} to ${Math.round(late)} MB, medians of the second and last third`
      )
      for (const proxy of postgresEdges(rig)) proxy.weather({})
      yield* rig.recovers(15)
    })
}
