import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { PostgresInstallation } from "./servers.ts"

/** Databases of Debian's packages, which `tools/databases.sh` keeps in trees below `.bin/debian`. */

const trees = join(import.meta.dirname, "..", ".bin", "debian")

/** PostgreSQL 17 with TimescaleDB and PgBouncer; PostgreSQL 15 and its PgBouncer. */
export type Tree = "timescaledb" | "postgres15"

const major: Readonly<Record<Tree, number>> = { timescaledb: 17, postgres15: 15 }

const namespaces = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "--mount"] as const

/** Whether the tree is there, and the machine lets it be entered. */
export const treeExists = (tree: Tree): boolean =>
  existsSync(join(trees, tree, ".stamp")) && spawnSync(namespaces[0], [...namespaces.slice(1), "true"]).status === 0

/** For the name of a test that is skipped without the tree. */
export const withoutTree = (tree: Tree): string =>
  treeExists(tree)
    ? ""
    : ` (skipped: no .bin/debian/${tree}, which tools/databases.sh makes as root, or no user namespaces)`

/**
 * Makes the tree the root folder, in which the machine's devices and its folder of temporary files are where they are outside.
 * In a user namespace, in which whoever starts it is user `postgres`: the server refuses to be root.
 */
const enter = `\
tree=$1 shared=$2; shift 2
mkdir -p "$tree$shared"
mount --rbind /dev "$tree/dev"
mount --rbind "$shared" "$tree$shared"
exec chroot "$tree" "$@"`

/** What goes before a program of the tree; what it reads and writes is to be in the folder of temporary files. */
export const inTree = (tree: Tree): readonly [string, ...ReadonlyArray<string>] => [
  ...namespaces,
  "sh",
  "-ec",
  enter,
  "sh",
  join(trees, tree),
  tmpdir()
]

export const installation = (tree: Tree): PostgresInstallation => ({
  bin: `/usr/lib/postgresql/${major[tree]}/bin`,
  command: () => ({ prefix: inTree(tree), options: {} })
})

/** For a project of tests that is to run over another PostgreSQL: the tree of EVENTSTREAM_TEST_TREE, if there is one. */
export const installationUnderTest = (): { readonly installation?: PostgresInstallation } => {
  const tree = process.env["EVENTSTREAM_TEST_TREE"]
  return tree === undefined ? {} : { installation: installation(tree as Tree) }
}
