import { Effect } from "effect"
import type { Tree } from "../debian.ts"
import { startPgBouncer } from "../pgbouncer.ts"
import { freePort } from "../servers.ts"
import { restartable } from "./restartable.ts"

const poolSize = 5

/** A PgBouncer in transaction mode, in front of a database. */
export const startPooler = Effect.fnUntraced(function* (tree: Tree, target: number) {
  const port = yield* freePort
  const pooler = yield* restartable(port, startPgBouncer({ tree, target, poolSize, port }))
  yield* pooler.start
  return pooler
})
