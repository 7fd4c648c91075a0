import { Effect, Schedule, Schema } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * A subtree of its own in every cgroup hierarchy of the machine, so that nothing else on it is touched and all of it can be
 * removed. Source: cgroups(7).
 */

class CgroupInUse extends Schema.TaggedError<CgroupInUse>()("CgroupInUse", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted to remove the cgroup ${this.path}, found ${this.detail}; remove it once nothing runs in it`
  }
}

interface Hierarchy {
  readonly folder: string
  readonly version: 1 | 2
}

const hierarchies = (): ReadonlyArray<Hierarchy> =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , type]) => type === "cgroup" || type === "cgroup2")
    .map(([, folder, type]) => ({ folder: folder!, version: type === "cgroup" ? 1 : 2 }))

/** Whether controllers are in version 2: kubelet wants all of them there or none. */
const isUnified = () => existsSync("/sys/fs/cgroup/cgroup.controllers")

/** What kubelet needs. */
const controllers = "+cpuset +cpu +io +memory +pids"

/** Makes `/<path>` in every hierarchy, the folders above included, with what kubelet needs below. */
export const makeCgroup = (path: string): void => {
  for (const { folder, version } of hierarchies()) {
    if (version === 2 && !isUnified()) continue
    let parent = folder
    for (const name of path.split("/")) {
      if (version === 2) writeFileSync(join(parent, "cgroup.subtree_control"), controllers)
      const child = join(parent, name)
      mkdirSync(child, { recursive: true })
      // Version 1 does not inherit these, and takes no process before they are set.
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        if (version === 1 && existsSync(join(parent, file)))
          writeFileSync(join(child, file), readFileSync(join(parent, file)))
      }
      parent = child
    }
    if (version === 2) writeFileSync(join(parent, "cgroup.subtree_control"), controllers)
  }
}

/** A cgroup has files that can't be removed, and goes when it has neither children nor processes. */
const removeTree = (folder: string): void => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name))
  }
  rmdirSync(folder)
}

/** Removes `/<path>` and all below from every hierarchy, once its processes have ended. */
export const removeCgroup = (path: string): Effect.Effect<void> =>
  Effect.try({
    try: () => {
      for (const { folder } of hierarchies()) {
        if (existsSync(join(folder, path))) removeTree(join(folder, path))
      }
    },
    catch: (error) => new CgroupInUse({ path, detail: String(error) })
  }).pipe(
    // The kernel takes a moment to empty them.
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 100 }),
    Effect.orDie
  )
