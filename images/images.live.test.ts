import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import packageJson from "../package.json" with { type: "json" }
import { packImage } from "./archive.ts"
import { configOf, type Image, images, layOut, pack, referenceOf } from "./image.ts"

/** What is in an image, and that it runs with that alone. */

const repository = join(import.meta.dirname, "..")
const folder = mkdtempSync(join(tmpdir(), "eventstream-images-"))
const rootOf = (image: Image) => join(folder, image)

beforeAll(async () => {
  chmodSync(folder, 0o755) // user 1000 goes through it
  for (const image of images) await layOut(image, rootOf(image))
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (command: string, args: ReadonlyArray<string>, input?: Buffer) => {
  const { stdout, stderr, status } = spawnSync(command, args, { input, maxBuffer: 1e9 })
  assert.equal(status, 0, stderr.toString())
  return stdout
}

/** The way into a root folder as user 1000: nothing of the machine is there, so that what an image lacks shows. */
const ways: ReadonlyArray<(root: string) => ReadonlyArray<string>> = [
  (root) => ["unshare", "--user", "--map-user=1000", "--map-group=1000", `--root=${root}`],
  (root) => ["chroot", "--userspec=1000:1000", root]
]
const enter = ways.find((way) => spawnSync(way("/")[0]!, [...way("/").slice(1), "true"]).status === 0)

/** Runs the image with these arguments as a container runtime would. */
const run = (image: Image, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
  const [program, ...rest] = [...enter!(rootOf(image)), ...configOf(image).Entrypoint!, ...args]
  const { stdout, stderr, status } = spawnSync(program!, rest, {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], ...env }
  })
  return { output: `${stdout}${stderr}`, status }
}

describe("archives", () => {
  const open = (archive: string) => {
    const json = (name: string) =>
      JSON.parse(read("tar", ["--extract", "--to-stdout", "--file", archive, name]).toString())
    const [manifest] = json("manifest.json")
    const layer = read("tar", ["--extract", "--to-stdout", "--file", archive, manifest.Layers[0]])
    return { manifest, described: json(manifest.Config), layer }
  }

  it("hold one layer with the program, Node, its libraries, and nothing else", async () => {
    const archive = join(folder, "writer.tar")
    const [reference, config] = [referenceOf("writer"), configOf("writer")]
    const { id, bytes } = await packImage({ reference, config, folder: rootOf("writer"), out: archive })
    const { manifest, described, layer } = open(archive)
    assert.equal(bytes, readFileSync(archive).length)
    assert.deepEqual(manifest.RepoTags, [`eventstream/writer:${packageJson.version}`])
    assert.equal(manifest.Config, `${id.replace("sha256:", "")}.json`)
    assert.deepEqual(described.config, config)

    const entries = read("tar", ["--list", "--verbose", "--numeric-owner"], layer).toString().trim().split("\n")
    const files = entries
      .map((line) => line.split(/\s+/))
      .map(([mode, owner, , , , path]) => `${mode} ${owner} ${path}`)
    const isLibrary = (file: string) => /^-rwxr-xr-x 0\/0 lib(64)?\/([^/]+\/)?[^/]+\.so[.\d]*$/.test(file)
    const isLibraryFolder = (file: string) => /^drwxr-xr-x 0\/0 lib(64)?\/([^/]+\/)?$/.test(file)
    assert.isAtLeast(files.filter(isLibrary).length, 4)
    assert.deepEqual(
      files.filter((file) => !isLibrary(file) && !isLibraryFolder(file)),
      [
        "drwxr-xr-x 0/0 app/",
        "-rw-r--r-- 0/0 app/LICENSE",
        "-rw-r--r-- 0/0 app/LICENSES-OF-PACKAGES",
        "-rw-r--r-- 0/0 app/eventstream.mjs",
        "-rw-r--r-- 0/0 app/eventstream.mjs.map",
        "drwxr-xr-x 0/0 etc/",
        "-rw-r--r-- 0/0 etc/group",
        "-rw-r--r-- 0/0 etc/nsswitch.conf",
        "-rw-r--r-- 0/0 etc/passwd",
        "drwxr-xr-x 0/0 usr/",
        "drwxr-xr-x 0/0 usr/local/",
        "-rw-r--r-- 0/0 usr/local/LICENSE",
        "drwxr-xr-x 0/0 usr/local/bin/",
        "-rwxr-xr-x 0/0 usr/local/bin/node"
      ]
    )
  })

  it("are the same bytes again, whoever packs them", async () => {
    const umask = process.umask(0o077)
    await pack("writer", join(folder, "again.tar")).finally(() => process.umask(umask))
    assert.isTrue(readFileSync(join(folder, "again.tar")).equals(readFileSync(join(folder, "writer.tar"))))
  })

  it("run as the Dockerfile says", () => {
    const dockerfile = readFileSync(join(repository, "Dockerfile"), "utf8")
    for (const image of images) {
      const { User, WorkingDir, Entrypoint, Labels } = configOf(image)
      assert.include(dockerfile, `USER ${User}\n`)
      assert.include(dockerfile, `WORKDIR ${WorkingDir}\n`)
      assert.include(dockerfile, `ENTRYPOINT [${Entrypoint!.map((each) => JSON.stringify(each)).join(", ")}]\n`)
      assert.match(dockerfile, new RegExp(`^FROM image AS ${image}$`, "m"))
      for (const [name, value] of Object.entries(Labels!)) {
        assert.include(dockerfile, name.endsWith(".version") ? `${name}="\${VERSION}"` : `${name}="${value}"`)
      }
    }
  })
})

describe("source maps", () => {
  it.each(images)("of the %s name our own sources by their paths in the repository", (image) => {
    const map = JSON.parse(readFileSync(join(rootOf(image), "app", "eventstream.mjs.map"), "utf8"))
    assert.include(map.sources, `images/${image}.ts`)
    assert.include(map.sources, `${image}/launch.ts`)
    assert.isEmpty(map.sources.filter((source: string) => !/^[a-z][a-z-/]*\.(ts|json)$/.test(source)))
    assert.isUndefined(map.sourcesContent)
    const others = images.filter((each) => each !== image).map((each) => `cli/${each}.ts`)
    assert.notIncludeMembers(map.sources, others)
  })
})

// Where neither unshare nor chroot is allowed, a cluster has to show it.
describe.skipIf(enter === undefined)("images run alone, as user 1000", () => {
  it.each(images)("the %s says its version", (image) => {
    assert.deepEqual(run(image, ["--version"]), { output: `eventstream v${packageJson.version}\n`, status: 0 })
  })

  it("the operator says which variable it lacks", () => {
    const { output, status } = run("operator", ["operator"])
    assert.equal(status, 1)
    assert.equal(JSON.parse(output).reason, "InvalidConfiguration")
    assert.include(JSON.parse(output).message, "EVENTSTREAM_WRITER_IMAGE")
  })

  it.each(["writer", "migrate", "replay"])("%s says which part of the configuration is missing", (command) => {
    const { output, status } = run("writer", [command, "--config", "/etc/eventstream/config/config.json"])
    assert.equal(status, 1)
    assert.include(JSON.parse(output).message, "/etc/eventstream/config/config.json: can't be read: ENOENT")
  })

  it("a stack trace names the source file and its line", () => {
    // Prints where the configuration is parsed, from within the call.
    const config = '"trapped"'
    const trap = `const parse = JSON.parse
      JSON.parse = (text) => {
        if (text !== ${JSON.stringify(config)}) return parse(text)
        console.log(new Error().stack)
        process.exit(9)
      }`
    writeFileSync(join(rootOf("writer"), "config.json"), config)
    const { output, status } = run("writer", ["writer", "--config", "/config.json"], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(trap)}`
    })
    assert.equal(status, 9, output)
    const source = "writer/config-file.ts"
    const lines = readFileSync(join(repository, source), "utf8").split("\n")
    const line = lines.findIndex((text) => text.includes("JSON.parse(readFileSync(file")) + 1
    assert.include(output, `/app/${source}:${line}:`)
  })
})
