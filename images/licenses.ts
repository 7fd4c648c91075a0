import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const packageFolder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/

const licenseFile = /^(?:licen[cs]e|copying)\b/i

/** What one package says of its license: every text it brings, else only the license's name. */
const licenseOf = (folder: string): string => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    readonly [field: string]: string
  }
  const texts = readdirSync(folder)
    .filter((file) => licenseFile.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), "utf8").trim())
  return [`${name} ${version} (${license})`, ...texts].join("\n\n")
}

/**
 * The licenses of the packages that are in a bundle, one after the other: who passes the packages on must pass these on too.
 *
 * @param modules absolute paths of the bundle's modules
 */
export const licensesOf = (modules: ReadonlyArray<string>): string => {
  const folders = new Set(modules.flatMap((module) => packageFolder.exec(module)?.[0] ?? []))
  return `${Array.from(folders)
    .sort()
    .map(licenseOf)
    .join(`\n\n${"-".repeat(80)}\n\n`)}\n`
}
