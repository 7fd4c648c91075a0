import { Effect } from "effect"
import { cpSync, lstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { type ImageConfig, packImage } from "../../images/archive.ts"
import { bundle } from "../../images/bundle.ts"
import { addAccounts, addFile, addFolder, addProgram, librariesOf, user } from "../../images/rootfs.ts"
import packageJson from "../../package.json" with { type: "json" }
import { postgresBinaries } from "../../testing/postgres-binaries.ts"
import { natsServerBinary } from "../../testing/servers.ts"

/** The images that the scenarios need beside the product's: packed from what is here, so nothing is pulled from anywhere. */

interface Image {
  readonly config: ImageConfig
  /** Fills the folder that becomes the image's root. */
  readonly layOut: (root: string) => Promise<void> | void
}

const bin = join(import.meta.dirname, "..", "..", ".bin")
const nobody = "65534:65534"

const referenceOf = (name: string) => `eventstream-e2e/${name}:${packageJson.version}`

/** What holds a Pod's namespaces. */
export const pauseImage = referenceOf("pause")

const layOutPostgres = (root: string) => {
  const home = "/usr/local/pgsql"
  const native = join(postgresBinaries(), "..")
  addFolder(root, home)
  const isLink = (path: string) => lstatSync(path).isSymbolicLink()
  cpSync(native, join(root, home), { recursive: true, filter: (path) => !path.endsWith(".a") && !isLink(path) })
  // Between versions of a library, all in one folder; in the package they lead to where it is installed.
  for (const name of readdirSync(join(native, "lib"))) {
    const path = join(native, "lib", name)
    if (isLink(path)) symlinkSync(basename(readlinkSync(path)), join(root, home, "lib", name))
  }
  for (const program of readdirSync(join(native, "bin"))) {
    for (const library of librariesOf(join(native, "bin", program))) addFile(root, library, library, 0o755)
  }
  for (const program of ["sh", "rm"]) addProgram(root, `/bin/${program}`, `/bin/${program}`) // initdb wants the shell too
  addFile(root, "/entrypoint.sh", join(import.meta.dirname, "postgres.sh"), 0o755)
  addAccounts(root)
}

const images: Readonly<Record<string, Image>> = {
  pause: {
    config: { Entrypoint: ["/bin/sleep", "infinity"], User: nobody },
    layOut: (root) => addProgram(root, "/bin/sleep", "/bin/sleep")
  },
  coredns: {
    config: { Entrypoint: ["/coredns"], User: nobody },
    layOut: (root) => addProgram(root, "/coredns", join(bin, "coredns"))
  },
  nats: {
    config: { Cmd: ["nats-server"], Env: ["PATH=/usr/local/bin"], User: nobody },
    layOut: (root) => {
      addProgram(root, "/usr/local/bin/nats-server", Effect.runSync(natsServerBinary))
      addAccounts(root)
    }
  },
  postgres: {
    config: {
      Entrypoint: ["/entrypoint.sh"],
      Env: ["PATH=/usr/local/pgsql/bin:/bin", "PGDATA=/var/lib/postgresql/data"],
      User: `${user.id}:${user.id}`
    },
    layOut: layOutPostgres
  },
  publisher: {
    config: {
      Entrypoint: ["node", "/app/publisher.js"],
      Cmd: ["idle"],
      Env: ["PATH=/usr/local/bin"],
      User: `${user.id}:${user.id}`
    },
    layOut: async (root) => {
      addFolder(root, "/app")
      await bundle("e2e/publisher/main.ts", join(root, "app", "publisher.js"))
      addProgram(root, "/usr/local/bin/node", process.execPath)
      addAccounts(root)
    }
  }
}

export const scenarioImages: ReadonlyArray<string> = Object.keys(images)

/**
 * Packs an image of the scenarios.
 *
 * @param name one of {@link scenarioImages}
 * @returns `id` is the image's id, `sha256:…`
 */
export const packScenarioImage = async (name: string, out: string): Promise<{ readonly id: string }> => {
  const { config, layOut } = images[name]!
  const root = mkdtempSync(join(tmpdir(), `eventstream-${name}-`))
  try {
    await layOut(root)
    return await packImage({ reference: referenceOf(name), folder: root, config, out })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
