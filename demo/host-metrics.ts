import { readdirSync, readFileSync, statfsSync } from "node:fs"
import { cpus, freemem, hostname, loadavg, totalmem, uptime } from "node:os"
import { basename, dirname } from "node:path"

/** Samples of this machine and of the platform's processes, as the JSON that processor Telemetry reads. */

export interface Sample {
  readonly timestamp: number
  readonly gateway_id: string
  readonly agent_id: string
  readonly metric_name: string
  readonly metric_type: "gauge" | "counter"
  readonly value: number
  readonly unit: string
  readonly tags: Readonly<Record<string, string>>
}

type Measured = readonly [name: string, type: Sample["metric_type"], value: number, unit: string, tags?: Sample["tags"]]

const sample = (timestamp: number, [metric_name, metric_type, value, unit, tags]: Measured): Sample => ({
  timestamp,
  gateway_id: hostname(),
  agent_id: "eventstream-demo",
  metric_name,
  metric_type,
  value,
  unit,
  tags: tags ?? {}
})

/** The lines of a file of /proc; none where the system has no such file. */
const procLines = (path: string): ReadonlyArray<string> => {
  try {
    return readFileSync(path, "utf8").trim().split("\n")
  } catch {
    return []
  }
}

/** Bytes through each network interface. Source: proc_pid_net(5). */
const networkBytes = (): ReadonlyArray<Measured> =>
  procLines("/proc/net/dev")
    .slice(2)
    .flatMap((line): ReadonlyArray<Measured> => {
      const [name, counters = ""] = line.split(":")
      const fields = counters.trim().split(/\s+/).map(Number)
      const tags = { interface: name!.trim() }
      return [
        ["system.network.receive", "counter", fields[0]!, "By", tags],
        ["system.network.transmit", "counter", fields[8]!, "By", tags]
      ]
    })

/** CPU time per mode, in seconds, over all processors. */
const cpuSeconds = (): ReadonlyArray<Measured> => {
  const times = cpus().map((cpu) => cpu.times)
  return (["user", "sys", "idle", "irq", "nice"] as const).map((mode) => [
    "system.cpu.time",
    "counter",
    times.reduce((sum, time) => sum + time[mode], 0) / 1000,
    "s",
    { mode }
  ])
}

/** @param folder whose file system is measured */
export const hostSamples = (now: number, folder: string): ReadonlyArray<Sample> => {
  const [load1, load5, load15] = loadavg()
  const disk = statfsSync(folder)
  const measured: ReadonlyArray<Measured> = [
    ["system.load.1m", "gauge", load1!, "1"],
    ["system.load.5m", "gauge", load5!, "1"],
    ["system.load.15m", "gauge", load15!, "1"],
    ["system.memory.used", "gauge", totalmem() - freemem(), "By"],
    ["system.memory.free", "gauge", freemem(), "By"],
    ["system.filesystem.free", "gauge", disk.bavail * disk.bsize, "By"],
    ["system.uptime", "counter", uptime(), "s"],
    ...cpuSeconds(),
    ...networkBytes()
  ]
  return measured.map((each) => sample(now, each))
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly name: string
  readonly cpuSeconds: number
  readonly threads: number
  readonly residentBytes: number
}

/** `nats-server`, `postgres`, `eventstream writer`: what a person would call it. */
const nameOf = (pid: string): string => {
  const [commandLine = ""] = procLines(`/proc/${pid}/cmdline`)
  const words = commandLine.split("\0")
  const script = words.find((word) => word.endsWith("main.ts"))
  if (script === undefined) return basename(words[0]!.split(":")[0]!)
  const folder = basename(dirname(script))
  return folder === "cli" ? `eventstream ${words[words.indexOf(script) + 1]}` : folder
}

/** Source: proc_pid_stat(5); times are in hundredths of a second and memory in pages of 4096 bytes on every usual Linux. */
const readProcess = (pid: string): ReadonlyArray<Process> => {
  const [stat] = procLines(`/proc/${pid}/stat`)
  if (stat === undefined) return [] // it has ended meanwhile
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return [
    {
      pid: Number(pid),
      parent: Number(fields[1]),
      name: nameOf(pid),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
      threads: Number(fields[17]),
      residentBytes: Number(fields[21]) * 4096
    }
  ]
}

const processes = (): ReadonlyArray<Process> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap(readProcess)
  } catch {
    return [] // no /proc on this system
  }
}

const descendants = (all: ReadonlyArray<Process>, parents: ReadonlySet<number>): ReadonlyArray<Process> => {
  const children = all.filter(({ parent }) => parents.has(parent))
  return children.length === 0 ? [] : [...children, ...descendants(all, new Set(children.map(({ pid }) => pid)))]
}

/** One list of samples for each process of the platform: this one and all that come from it. */
export const processSamples = (now: number): ReadonlyArray<ReadonlyArray<Sample>> => {
  const all = processes()
  const own = all.filter(({ pid }) => pid === process.pid)
  return [...own, ...descendants(all, new Set([process.pid]))].map(({ pid, name, ...measured }) => {
    const tags = { pid: String(pid), process: name }
    const each: ReadonlyArray<Measured> = [
      ["process.cpu.time", "counter", measured.cpuSeconds, "s", tags],
      ["process.memory.resident", "gauge", measured.residentBytes, "By", tags],
      ["process.threads", "gauge", measured.threads, "1", tags]
    ]
    return each.map((one) => sample(now, one))
  })
}
