import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { ClusterUnknown, openCluster } from "../cluster.ts"
import { allImages, packImages } from "./pack.ts"

// `e2e/enter node e2e/images/load.ts [image]...` packs images anew and brings them to the nodes of the running cluster; Pods
// that are started from then on have them.
const names = process.argv.slice(2)
const unknown = names.filter((name) => !allImages.includes(name))
if (names.length === 0 || unknown.length > 0) {
  console.error(`wanted names of ${allImages.join(", ")}; found: ${names.join(" ") || "none"}`)
  process.exit(2)
}

Effect.gen(function* () {
  const { machines } = yield* openCluster
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "eventstream-images-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const archives = yield* packImages(names, folder)
  if (machines === undefined) return yield* new ClusterUnknown({ found: "one whose nodes are not ours" })
  yield* Effect.forEach(archives.values(), machines.loadImage, { discard: true })
  yield* Console.log([...archives.keys()].join("\n"))
}).pipe(Effect.scoped, NodeRuntime.runMain)
