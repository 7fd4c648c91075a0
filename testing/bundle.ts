import { execFileSync } from "node:child_process"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** Bundles the command line program into a folder, as its image does; the path of its entry. */
export const bundle = (folder: string): string => {
  const options = ["--format", "esm", "--platform", "node", "--external", "pg-native", "--log-level", "silent"]
  execFileSync(
    join(root, "node_modules", ".bin", "rolldown"),
    [join(root, "cli", "main.ts"), "--dir", folder, ...options],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] }
  )
  return join(folder, "main.js")
}
