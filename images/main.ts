import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join, relative, resolve } from "node:path"
import packageJson from "../package.json" with { type: "json" }
import { type Image, images, layOut, pack, referenceOf } from "./image.ts"

// `make images`: builds the images with Docker where its daemon answers, else packs the same files into dist/images/<image>.tar.
// `main.ts root <image> <folder>` lays out one image's files only: what the Dockerfile runs.

const repository = resolve(import.meta.dirname, "..")

const docker = (...args: ReadonlyArray<string>) => {
  const { status } = spawnSync("docker", args, { cwd: repository, stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

const hasDocker = () => spawnSync("docker", ["version"], { stdio: "ignore" }).status === 0

const build = async (image: Image) => {
  const reference = referenceOf(image)
  if (hasDocker()) {
    docker("build", "--target", image, "--tag", reference, "--build-arg", `VERSION=${packageJson.version}`, ".")
    return
  }
  const out = join(repository, "dist", "images", `${image}.tar`)
  mkdirSync(join(out, ".."), { recursive: true })
  const { id, bytes } = await pack(image, out)
  console.log(`${reference} ${id} ${(bytes / 1e6).toFixed(0)} MB ${relative(process.cwd(), out)}`)
}

const [verb, name, folder] = process.argv.slice(2)
const image = images.find((each) => each === name)
if (verb === undefined) {
  for (const each of images) await build(each)
} else if (verb === "root" && image !== undefined && folder !== undefined) {
  await layOut(image, resolve(folder))
} else {
  console.error(`wanted no arguments, or: root ${images.join("|")} <folder>; found: ${process.argv.slice(2).join(" ")}`)
  process.exit(2)
}
