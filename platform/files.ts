import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"

/**
 * A hash over the contents of the files; one that can't be read counts as empty. Contents are compared, and no events of the
 * file system waited for: the kubelet swaps a symbolic link above the files, others rename or write over them, and a watch
 * follows the file that is gone.
 */
export const contentHash = (paths: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const hash = createHash("sha256")
    for (const path of paths) {
      const content = await readFile(path).catch(() => Buffer.alloc(0))
      hash.update(`${content.length} `).update(content)
    }
    return hash.digest("hex")
  })
