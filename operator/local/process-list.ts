import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

/**
 * The running child processes of one data folder, a file each. Without Effect and without state, because the watchdog, which
 * outlives a killed platform, loads it too.
 */

/** A child process and how to end it. */
export interface Listed {
  readonly pid: number
  /** When it started, as the system writes it: tells it from a later process with the same id. */
  readonly started: string
  /** Containers are ended before the servers they need. */
  readonly stage: "container" | "server"
  /** Asks it to end. */
  readonly signal: NodeJS.Signals
  /** Time it has for that before SIGKILL. */
  readonly graceMillis: number
}

/** When the process started, `undefined` when there is none. A zombie has ended, even if nobody has noticed yet. */
export const startOf = (pid: number): string | undefined => {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ") // the name before it may hold blanks
      return fields[0] === "Z" ? undefined : fields[19]
    }
    const [state, ...started] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" })
      .trim()
      .split(/\s+/)
    return state?.startsWith("Z") ? undefined : started.join(" ")
  } catch {
    return undefined
  }
}

const isAlive = ({ pid, started }: Listed) => startOf(pid) === started

/** Sends the signal to the process's group; one that has ended is no error. */
export const signalGroup = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(-pid, signal)
  } catch {
    // it has ended meanwhile
  }
}

const file = (folder: string, pid: number) => join(folder, `${pid}.json`)

export const list = (folder: string, process: Omit<Listed, "started">) => {
  const started = startOf(process.pid)
  if (started === undefined) return
  const path = file(folder, process.pid)
  writeFileSync(`${path}.new`, JSON.stringify({ ...process, started }))
  renameSync(`${path}.new`, path)
}

export const unlist = (folder: string, pid: number) => rmSync(file(folder, pid), { force: true })

/** Ends every listed process, containers first, and forgets it. Returns how many were still running. */
export const stopListed = async (folder: string): Promise<number> => {
  const listed = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Listed)
  let found = 0
  for (const stage of ["container", "server"]) {
    const running = listed.filter((process) => process.stage === stage && isAlive(process))
    found += running.length
    for (const { pid, signal } of running) signalGroup(pid, signal)
    const asked = Date.now()
    while (running.some(isAlive)) {
      for (const process of running) {
        if (Date.now() - asked > process.graceMillis && isAlive(process)) signalGroup(process.pid, "SIGKILL")
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  for (const { pid } of listed) unlist(folder, pid)
  return found
}

export interface Lock {
  readonly release: () => void
}

/**
 * The lock of a folder, `undefined` while another process has it. The system drops it with the process that holds it, however
 * that ends; SQLite is the portable way to it that Node brings along.
 */
export const tryLock = (folder: string): Lock | undefined => {
  const database = new DatabaseSync(join(folder, "lock"))
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
    return { release: () => database.close() }
  } catch {
    database.close()
    return undefined
  }
}
