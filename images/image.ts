import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import packageJson from "../package.json" with { type: "json" }
import { type ImageConfig, packImage } from "./archive.ts"
import { bundle } from "./bundle.ts"
import { licensesOf } from "./licenses.ts"
import { addAccounts, addFile, addFolder, addProgram, addText, user } from "./rootfs.ts"

/** The product's images; the program of each is the file of this folder that has its name. */
export const images = ["operator", "writer"] as const
export type Image = (typeof images)[number]

/** Name and tag of an image, as charts and manifests name it. */
export const referenceOf = (image: Image): string => `eventstream/${image}:${packageJson.version}`

/** How a container of the image runs; its arguments choose the command. The Dockerfile says the same. */
export const configOf = (image: Image): ImageConfig => ({
  User: `${user.id}:${user.id}`,
  WorkingDir: "/app",
  Entrypoint: ["/usr/local/bin/node", "--enable-source-maps", "/app/eventstream.mjs"],
  Labels: {
    "org.opencontainers.image.title": `eventstream/${image}`,
    "org.opencontainers.image.description": packageJson.description,
    "org.opencontainers.image.version": packageJson.version,
    "org.opencontainers.image.licenses": packageJson.license
  }
})

/**
 * Lays out everything an image holds: the bundled program with its source map, the Node that runs this with the libraries it is
 * linked to, the names the C library looks up, and all licenses.
 *
 * @param root folder to fill, which becomes `/` of the image
 */
export const layOut = async (image: Image, root: string): Promise<void> => {
  addFolder(root, "/app")
  const modules = await bundle(`images/${image}.ts`, join(root, "app", "eventstream.mjs"))
  for (const file of ["eventstream.mjs", "eventstream.mjs.map"]) chmodSync(join(root, "app", file), 0o644)
  addFile(root, "/app/LICENSE", join(import.meta.dirname, "..", "LICENSE"))
  addText(root, "/app/LICENSES-OF-PACKAGES", licensesOf(modules))
  addProgram(root, "/usr/local/bin/node", process.execPath)
  const nodeLicense = join(dirname(process.execPath), "..", "LICENSE") // where Node's own distributions have it
  if (existsSync(nodeLicense)) addFile(root, "/usr/local/LICENSE", nodeLicense)
  addAccounts(root)
}

/** Packs an image into an archive without Docker. The same sources under the same Node give the same bytes. */
export const pack = async (image: Image, out: string) => {
  const root = mkdtempSync(join(tmpdir(), `eventstream-${image}-`))
  try {
    await layOut(image, root)
    return await packImage({ reference: referenceOf(image), folder: root, config: configOf(image), out })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
