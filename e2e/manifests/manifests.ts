import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }

/**
 * Writes manifests of this folder into one file, with the images of this version.
 *
 * @param names without `.yaml`
 * @param steadyNode the node that is never stopped, `node1` in the manifests
 */
export const writeManifests = (file: string, names: ReadonlyArray<string>, steadyNode: string): void => {
  const texts = names.map((name) => readFileSync(join(import.meta.dirname, `${name}.yaml`), "utf8"))
  const text = texts
    .join("---\n")
    .replaceAll("kubernetes.io/hostname: node1", `kubernetes.io/hostname: ${steadyNode}`)
    .replaceAll(":VERSION", `:${packageJson.version}`)
  writeFileSync(file, text)
}
