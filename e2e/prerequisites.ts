import { Console, Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, statfsSync } from "node:fs"
import { delimiter, join } from "node:path"
import { makeCgroup, removeCgroup } from "./own/cgroups.ts"
import { runsFolder } from "./own/run.ts"

/** What nodes made here need of the machine. */

const runc = join(import.meta.dirname, "..", ".bin", "runc")

/** A program, library or file, and the Debian package that brings it. */
const needs: ReadonlyArray<readonly [what: string, debianPackage: string]> = [
  ["ip", "iproute2"],
  ["nft", "nftables"], // kube-proxy runs it
  ["unshare", "util-linux"],
  ["mount", "mount"],
  ["openssl", "openssl"],
  ["tar", "tar"],
  ["libseccomp.so.2", "libseccomp2"],
  ...(existsSync(runc)
    ? []
    : ([
        ["gcc", "gcc"],
        ["pkg-config", "pkg-config"],
        ["/usr/include/seccomp.h", "libseccomp-dev"]
      ] as const))
]

export class PrerequisiteMissing extends Schema.TaggedError<PrerequisiteMissing>()("PrerequisiteMissing", {
  wanted: Schema.String,
  found: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `to make nodes here, wanted ${this.wanted}, found ${this.found}; ${this.remedy}. Or set KUBECONFIG to a cluster of yours, or install kind`
  }
}

const folders = (process.env["PATH"] ?? "").split(delimiter)
const libraries = () => spawnSync("ldconfig", ["-p"], { encoding: "utf8" }).stdout ?? ""
const isThere = (what: string) => {
  if (what.startsWith("/")) return existsSync(what)
  return what.includes(".so") ? libraries().includes(what) : folders.some((folder) => existsSync(join(folder, what)))
}

const missing = () => needs.filter(([what]) => !isThere(what))

/** Containers can't be stacked on it. Source: statfs(2). */
const overlayfs = 0x79_4c_76_30

const isRoot = process.getuid?.() === 0

const install = Effect.fnUntraced(function* (packages: ReadonlyArray<string>) {
  const command = `apt-get install ${packages.join(" ")}`
  if (!isThere("apt-get")) return
  yield* Console.error(`e2e: installing ${packages.join(", ")} with apt-get`)
  const apt = (...args: ReadonlyArray<string>) =>
    spawnSync("apt-get", ["-qq", "--yes", "--no-install-recommends", ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8"
    })
  // Package lists may be older than the archive, or not there at all.
  let done = apt("install", ...packages)
  if (done.status !== 0 && apt("update").status === 0) done = apt("install", ...packages)
  if (done.status !== 0) {
    yield* new PrerequisiteMissing({ wanted: packages.join(", "), found: done.stderr.trim(), remedy: `run ${command}` })
  }
})

/** Whether the machine can be three nodes; installs Debian packages that are missing. */
export const prepareMachine = Effect.gen(function* () {
  const refuse = (wanted: string, found: string, remedy: string) => new PrerequisiteMissing({ wanted, found, remedy })
  if (process.platform !== "linux") return yield* refuse("Linux", process.platform, "use a Linux machine")
  if (!isRoot) return yield* refuse("root, for namespaces and mounts", `user ${process.getuid?.()}`, "run it as root")
  const packages = missing().map(([, debianPackage]) => debianPackage)
  if (packages.length > 0) yield* install(packages)
  const still = missing()
  if (still.length > 0) {
    const names = still.map(([what]) => what).join(", ")
    return yield* refuse(names, "none of them", "install what brings them")
  }
  if (spawnSync("unshare", ["--net", "--mount", "--pid", "--fork", "true"]).status !== 0) {
    return yield* refuse("namespaces", "that unshare is refused", "run it where CAP_SYS_ADMIN is given")
  }
  const probe = `eventstream-e2e-${process.pid}`
  yield* Effect.try({
    try: () => makeCgroup(probe),
    catch: (error) => refuse("cgroups with their controllers", String(error), "run it on a machine, not in a container")
  })
  yield* removeCgroup(probe)
  const bridge = "/proc/sys/net/bridge/bridge-nf-call-iptables"
  if (!existsSync(bridge)) spawnSync("modprobe", ["br_netfilter"])
  if (!existsSync(bridge)) return yield* refuse("the kernel's br_netfilter", "none", "run modprobe br_netfilter")
  if (runsFolder.startsWith("/var/lib/")) {
    return yield* refuse("a checkout outside of /var/lib", runsFolder, "move it: a node has a /var/lib of its own")
  }
  mkdirSync(runsFolder, { recursive: true })
  if (statfsSync(runsFolder).type === overlayfs) {
    return yield* refuse("a disk for containerd", `overlayfs at ${runsFolder}`, "mount a volume there")
  }
})
