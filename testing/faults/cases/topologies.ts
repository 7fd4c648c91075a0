import { Effect } from "effect"
import { connectClient } from "../database.ts"
import { treeExists, withoutTree } from "../../debian.ts"
import type { FaultCase } from "../campaign.ts"
import type { Rig } from "../rig.ts"

/** Faults of what stands between writers and their servers: leaf nodes, standbys, poolers. */

const tree = "timescaledb"

const console = (rig: Rig, statement: string) =>
  Effect.promise(async () => {
    const client = await connectClient(rig.pooler!.port, "pgbouncer")
    await client.query(statement)
    await client.end()
  })

export const topologyCases: ReadonlyArray<FaultCase> = [
  {
    id: "N22",
    title: "the link of the leaf node is cut, and the leaf node restarts",
    rig: { leaf: true },
    run: (rig) =>
      Effect.gen(function* () {
        const leaf = rig.leaf!
        leaf.link.refuse(true)
        leaf.link.cut()
        yield* Effect.sleep(rig.full ? "120 seconds" : "12 seconds")
        leaf.link.refuse(false)
        yield* rig.recovers(10, "flow over the link")
        yield* leaf.end("SIGKILL")
        yield* Effect.sleep("2 seconds")
        yield* leaf.start
        yield* rig.recovers(10, "flow through the leaf node")
        leaf.link.weather({ hold: "both" })
        yield* Effect.sleep(rig.full ? "120 seconds" : "12 seconds")
        leaf.link.weather({})
        yield* rig.recovers(10, "flow over the link that was silent")
      })
  },
  {
    id: "P03",
    title: "switchover to a synchronous standby",
    rig: { standby: true },
    run: (rig) => Effect.andThen(rig.paired!.switchOver, rig.recovers(30))
  },
  {
    id: "P17",
    title: `PgBouncer is killed, and pauses${withoutTree(tree)}`,
    rig: { pooler: tree, writers: 2 },
    skip: !treeExists(tree),
    run: (rig) =>
      Effect.gen(function* () {
        const pooler = rig.pooler!
        for (let round = 0; round < (rig.full ? 20 : 3); round++) {
          yield* pooler.end("SIGKILL")
          yield* Effect.sleep("1 second")
          yield* pooler.start
          yield* rig.recovers(10, "flow through the new pooler")
        }
        yield* console(rig, "PAUSE")
        yield* Effect.sleep("5 seconds")
        yield* console(rig, "RESUME")
        yield* rig.recovers(10, "flow after the pause")
      })
  }
]
