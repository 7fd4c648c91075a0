import { Effect } from "effect"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { server, ServerFailed } from "../../testing/servers.ts"
import { pauseImage } from "../images/images.ts"
import { containerdConfig } from "./node-config.ts"
import { importCommand } from "./nodes.ts"

/**
 * The disk that new nodes start with: a containerd that has imported all images, which takes most of the time of a start, so it
 * is done once and kept as long as the images are the same. A node's copy consists of links: images are never changed.
 */

const bin = join(import.meta.dirname, "..", "..", ".bin")
const exec = promisify(execFile)

/** Imports the images into a new containerd with this root. */
const importImages = Effect.fnUntraced(function* (root: string, archives: Iterable<string>) {
  const state = "/run/containerd-disk"
  mkdirSync(state, { recursive: true })
  const config = join(state, "config.toml")
  writeFileSync(config, containerdConfig({ root, state, bin, cni: state, pauseImage }))
  yield* server(join(bin, "containerd"), ["--config", config], /containerd successfully booted/, {})
  const load = (archive: string) => {
    const [command, ...args] = importCommand(state, archive)
    return Effect.tryPromise({
      try: () => exec(command, args),
      catch: (error) => new ServerFailed({ command: "ctr images import", output: String(error) })
    })
  }
  yield* Effect.forEach(archives, load, { concurrency: 2, discard: true })
}, Effect.scoped)

/**
 * Folder with a containerd that has the images; made when it is not there.
 *
 * @param cache folder that keeps one such disk, that of the images asked for last
 * @param work folder on the same file system
 * @param archives path by image id
 */
export const diskImage = Effect.fnUntraced(function* (
  cache: string,
  work: string,
  archives: ReadonlyMap<string, string>
) {
  const key = createHash("sha256")
    .update([...archives.keys()].sort().join())
    .digest("hex")
    .slice(0, 16)
  const disk = join(cache, key)
  if (existsSync(disk)) return disk
  const made = join(work, "disk")
  mkdirSync(made)
  yield* importImages(made, archives.values())
  mkdirSync(cache, { recursive: true })
  for (const other of readdirSync(cache)) rmSync(join(cache, other), { recursive: true, force: true })
  renameSync(made, disk)
  return disk
})

/** Copies the disk to a node's folder; what containerd changes in place is its databases. */
export const copyDisk = async (disk: string, to: string): Promise<void> => {
  await exec("cp", ["--archive", "--link", disk, to])
  for (const folder of readdirSync(disk)) {
    for (const file of readdirSync(join(disk, folder)).filter((name) => name.endsWith(".db"))) {
      await exec("cp", ["--archive", "--remove-destination", join(disk, folder, file), join(to, folder, file)])
    }
  }
}
