import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

/**
 * Root folders of images. Paths in the image are absolute and become paths below the root folder; modes are set whatever the
 * umask is, because a container's user is not the one who packs.
 */

/** User and group that containers run as. */
export const user = { name: "app", id: 1000 } as const

/** Makes the folder and those above it, readable by all; one that is there keeps its mode. */
export const addFolder = (root: string, path: string, mode = 0o755): void => {
  const folder = join(root, path)
  if (existsSync(folder)) return
  if (path !== "/") addFolder(root, dirname(path))
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, mode)
}

/** Copies a file; a symbolic link becomes what it leads to. */
export const addFile = (root: string, path: string, from: string, mode = 0o644): void => {
  addFolder(root, dirname(path))
  copyFileSync(from, join(root, path))
  chmodSync(join(root, path), mode)
}

export const addText = (root: string, path: string, text: string): void => {
  addFolder(root, dirname(path))
  writeFileSync(join(root, path), text)
  chmodSync(join(root, path), 0o644)
}

/** What the C library reads: names of root and {@link user}, and that host names come from /etc/hosts, then DNS. */
export const addAccounts = (root: string): void => {
  addText(root, "/etc/passwd", `root:x:0:0::/:/sbin/nologin\n${user.name}:x:${user.id}:${user.id}::/:/sbin/nologin\n`)
  addText(root, "/etc/group", `root:x:0:\n${user.name}:x:${user.id}:\n`)
  addText(root, "/etc/nsswitch.conf", "hosts: files dns\n")
}

/** Where the dynamic linker looks without being told. */
const systemFolders = /^\/(?:usr\/)?lib(?:32|64)?\//

/**
 * Paths of the shared libraries in the system's folders that a program or library is linked to, and of the dynamic linker; none
 * for a static program. Libraries beside the program, found by its run path, are not among them. Source: ldd(1).
 */
export const librariesOf = (program: string): ReadonlyArray<string> => {
  const { stdout, stderr, status } = spawnSync("ldd", [program], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" }
  })
  if (/not a dynamic executable|statically linked/.test(stdout + stderr)) return []
  const missing = Array.from(stdout.matchAll(/(\S+) => not found/g), ([, name]) => name)
  if (status !== 0 || missing.length > 0) {
    const found = missing.length > 0 ? `none for ${missing.join(", ")}` : stderr.trim()
    throw new Error(`wanted the shared libraries of ${program}, found ${found}; install what it needs`)
  }
  const paths = Array.from(stdout.matchAll(/(?:=>|^)\s*(\/\S+) \(0x/gm), ([, path]) => path!)
  return paths.filter((path) => systemFolders.test(path))
}

/** Copies a program, and its libraries to the paths they have here. */
export const addProgram = (root: string, path: string, from: string): void => {
  addFile(root, path, from, 0o755)
  for (const library of librariesOf(from)) addFile(root, library, library, 0o755)
}
