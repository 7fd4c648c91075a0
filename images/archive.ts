import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pipeline } from "node:stream/promises"
import { promisify } from "node:util"

/** How a container of the image is run. Names and meaning: the OCI image configuration. */
export interface ImageConfig {
  readonly Entrypoint?: ReadonlyArray<string>
  readonly Cmd?: ReadonlyArray<string>
  readonly Env?: ReadonlyArray<string>
  readonly WorkingDir?: string
  readonly User?: string
  readonly Labels?: Readonly<Record<string, string>>
}

export interface ImageOptions {
  /** Name and tag, e.g. `eventstream/writer:0.1.0`. Importers complete a name without a host as `docker pull` does. */
  readonly reference: string
  /** What becomes the image's root, as its only layer. Modes and symbolic links are kept; everything belongs to root. */
  readonly folder: string
  readonly config: ImageConfig
  /** Path of the archive to write. */
  readonly out: string
}

/** Time of everything in an image: equal files make equal bytes. */
const created = "1970-01-01T00:00:00Z"

/** Options of GNU tar by which neither the machine's users, the clock nor the order of a folder shows. */
const reproducible = ["--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=${created}`]

const tar = (folder: string, names: ReadonlyArray<string>, out: string, ...options: ReadonlyArray<string>) =>
  promisify(execFile)("tar", [...reproducible, ...options, "-C", folder, "-cf", out, "--", ...names])

const digestOf = async (file: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(file), hash)
  return hash.digest("hex")
}

/**
 * Writes an image as a docker archive, which `docker load`, `ctr images import` and `kind load image-archive` take. Needs GNU
 * tar and neither a daemon nor a registry; the same files give the same bytes.
 *
 * @returns `id` is the image's id, `sha256:…`; `bytes` the size of the archive
 */
export const packImage = async (options: ImageOptions): Promise<{ readonly id: string; readonly bytes: number }> => {
  const out = resolve(options.out)
  const work = await mkdtemp(join(tmpdir(), "eventstream-image-"))
  try {
    // The names in the folder instead of the folder: the root of a container does not get the mode of a temporary folder.
    const names = await readdir(options.folder)
    await tar(options.folder, names.sort(), join(work, "layer.tar"))
    const layer = await digestOf(join(work, "layer.tar"))
    await rename(join(work, "layer.tar"), join(work, `${layer}.tar`))

    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created,
      config: options.config,
      rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
      history: [{ created, created_by: "images/archive.ts" }]
    })
    const id = createHash("sha256").update(config).digest("hex")
    await writeFile(join(work, `${id}.json`), config)
    const manifest = [{ Config: `${id}.json`, RepoTags: [options.reference], Layers: [`${layer}.tar`] }]
    await writeFile(join(work, "manifest.json"), JSON.stringify(manifest))
    await tar(work, ["manifest.json", `${id}.json`, `${layer}.tar`], out, "--mode=0644")
    return { id: `sha256:${id}`, bytes: (await stat(out)).size }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
