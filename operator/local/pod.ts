import { Clock, Effect, Queue, Schedule } from "effect"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../../testing/servers.ts"
import { Kube, type KubeError, keyOf, type KubeObject, Pods } from "../kube.ts"
import { type RunningContainer, startContainer } from "./container.ts"
import { type Container, decodePodSpec, type PodSpec } from "./pod-spec.ts"
import { type Condition, type ContainerRecord, podStatus, type Terminated, waiting } from "./pod-status.ts"
import { awaitFailure, watchProbe } from "./probe.ts"
import type { Processes } from "./processes.ts"
import { materialize, translatePaths, type VolumeMissing } from "./volumes.ts"

/** What Pods are run with here. */
export interface Host {
  /** Where Pods have their folders (`pods/<uid>`) and logs (`logs/<namespace>-<pod>-<container>.log`). */
  readonly directory: string
  /** Program that stands for the entry point of every image: the command line, which has the commands of all of ours. */
  readonly entryPoint: string
  readonly processes: Processes
}

/** First and longest wait before a container that ended is started again; a kubelet's are 10 s and 5 min. */
const firstBackoffMillis = 1_000
const maxBackoffMillis = 30_000
/** A container that ran this long starts with the first wait again. */
const stableMillis = 60_000
/** How often mounted ConfigMaps and Secrets are looked at for changes, and missing ones for having come. */
const syncMillis = 1_000
/** Most bytes of output kept as a termination message. Source: the kubelet. */
const maxMessageBytes = 2_048

const isoNow = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis).toISOString())

const logFile = ({ directory }: Host, { metadata }: KubeObject, container: string) =>
  join(directory, "logs", `${metadata.namespace}-${metadata.name}-${container}.log`)

const newRecord = (container: Container): ContainerRecord => ({
  name: container.name,
  image: container.image,
  state: waiting("PodInitializing"),
  restarts: 0,
  ready: false
})

/** Everything one running Pod is known by. */
interface PodRun {
  readonly pod: KubeObject
  readonly spec: PodSpec
  readonly folder: string
  readonly host: Host
  /** Container name -> what is reported of it. */
  readonly records: Map<string, ContainerRecord>
  readonly change: (container: Container, change: Partial<ContainerRecord>) => Effect.Effect<void>
  /** Container name -> the loopback port that stands for its container port. */
  readonly ports: Map<string, number>
}

const mountPaths = ({ volumeMounts }: Container) => volumeMounts.map(({ mountPath }) => mountPath)

/** All Pods share one machine: each container serves HTTP on a loopback port of its own instead of its container port. */
const environment = ({ pod, folder }: PodRun, container: Container, port: number) => {
  const declared = container.env.map(({ name, value }) => [name, translatePaths(value, mountPaths(container), folder)])
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    HOSTNAME: pod.metadata.name,
    ...(Object.fromEntries(declared) as Record<string, string>),
    EVENTSTREAM_HTTP_HOST: "127.0.0.1",
    EVENTSTREAM_HTTP_PORT: String(port)
  }
}

const start = Effect.fnUntraced(function* (run: PodRun, container: Container) {
  const { pod, spec, folder, host } = run
  const port = yield* freePort
  run.ports.set(container.name, port)
  const [program = host.entryPoint, ...args] = container.command
  return yield* startContainer(
    {
      command: program,
      args: [...args, ...container.args].map((text) => translatePaths(text, mountPaths(container), folder)),
      env: environment(run, container, port),
      directory: folder,
      logFile: logFile(host, pod, container.name),
      graceMillis: spec.terminationGracePeriodSeconds * 1000
    },
    host.processes
  )
})

/** Probes, as long as the container runs; returns when it has failed its liveness probe. */
const probe = Effect.fnUntraced(function* (run: PodRun, container: Container) {
  const port = run.ports.get(container.name)!
  const setReady = (ready: boolean) => run.change(container, { ready })
  if (container.readinessProbe) yield* Effect.forkScoped(watchProbe(container.readinessProbe, port, false, setReady))
  else yield* setReady(true)
  if (!container.livenessProbe) return yield* Effect.never
  yield* awaitFailure(container.livenessProbe, port)
})

const describeEnd = (
  container: Container,
  process: RunningContainer,
  exitCode: number,
  startedAt: string,
  finishedAt: string
): Terminated => {
  const output = container.terminationMessagePolicy === "FallbackToLogsOnError" && exitCode !== 0
  const message = output ? process.tail(maxMessageBytes).trim() : ""
  const reason = exitCode === 0 ? "Completed" : "Error"
  return { exitCode, reason, ...(message === "" ? {} : { message }), startedAt, finishedAt }
}

/** Runs the container once, to its end. */
const runOnce = (run: PodRun, container: Container, kind: "init" | "main"): Effect.Effect<Terminated> =>
  Effect.gen(function* () {
    const startedAt = yield* isoNow
    const process = yield* start(run, container)
    yield* run.change(container, { state: { running: { startedAt } } })
    if (kind === "main") yield* Effect.raceFirst(process.exitCode, Effect.andThen(probe(run, container), process.stop))
    const exitCode = yield* process.exitCode
    return describeEnd(container, process, exitCode, startedAt, yield* isoNow)
  }).pipe(
    Effect.scoped,
    // A program that is not there ends like one that fails at once. 127 is the shell's code for it.
    Effect.catchTag("ContainerNotStarted", (error) =>
      Effect.map(isoNow, (now): Terminated => ({
        exitCode: 127,
        reason: "Error",
        message: error.message,
        startedAt: now,
        finishedAt: now
      }))
    )
  )

/** Runs the container again and again, waiting longer each time; an init container only until it succeeds. */
const keepRunning = Effect.fnUntraced(function* (run: PodRun, container: Container, kind: "init" | "main") {
  let backoff = firstBackoffMillis
  for (;;) {
    const started = yield* Clock.currentTimeMillis
    const last = yield* runOnce(run, container, kind)
    if (kind === "init" && last.exitCode === 0)
      return yield* run.change(container, { state: { terminated: last }, ready: true })
    if ((yield* Clock.currentTimeMillis) - started >= stableMillis) backoff = firstBackoffMillis
    const message = `back-off ${backoff / 1000}s restarting failed container=${container.name} pod=${run.pod.metadata.name}`
    yield* run.change(container, { state: waiting("CrashLoopBackOff", message), last, ready: false })
    yield* Effect.sleep(backoff)
    backoff = Math.min(backoff * 2, maxBackoffMillis)
    yield* run.change(container, { restarts: run.records.get(container.name)!.restarts + 1 })
  }
})

/** Waits until all that the Pod mounts is there, and reports what is not. */
const awaitVolumes = Effect.fnUntraced(function* (run: PodRun, mount: Effect.Effect<void, VolumeMissing | KubeError>) {
  const [first] = [...run.spec.initContainers, ...run.spec.containers]
  yield* mount.pipe(
    Effect.tapError(({ message }) => run.change(first!, { state: waiting("ContainerCreating", message) })),
    Effect.retry(Schedule.spaced(syncMillis)),
    Effect.orDie // the schedule has no end
  )
})

/** Reports in the background, the newest state at any time; a failed report is repeated until it is in. */
const reporter = Effect.fnUntraced(function* (pod: KubeObject, spec: PodSpec, records: Map<string, ContainerRecord>) {
  const kube = yield* Kube
  const dirty = yield* Queue.sliding<void>(1)
  const startTime = yield* isoNow
  let conditions: ReadonlyArray<Condition> = []
  const of = (containers: ReadonlyArray<Container>) => containers.map(({ name }) => records.get(name)!)
  const report = Effect.gen(function* () {
    yield* Queue.take(dirty)
    const record = { startTime, init: of(spec.initContainers), containers: of(spec.containers) }
    const status = podStatus(record, conditions, yield* isoNow)
    conditions = status.conditions
    yield* kube.patchStatus(Pods, keyOf(pod), status, { manager: "kubelet" })
  })
  yield* report.pipe(
    Effect.catchTag("KubeError", (error) =>
      error.reason === "NotFound" ? Effect.never : Effect.delay(Queue.offer(dirty, undefined), "1 second")
    ),
    Effect.forever,
    Effect.forkScoped
  )
  return Queue.offer(dirty, undefined)
})

const folders = (host: Host, folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdirSync(folder, { recursive: true, mode: 0o700 })),
    () => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/**
 * One Pod's whole life as processes of this machine: volumes, init containers one after the other, then the containers, each
 * restarted for ever. Interrupting it stops them as `terminationGracePeriodSeconds` says.
 *
 * @param ports filled with the loopback port of each container
 */
export const runPod = Effect.fnUntraced(function* (pod: KubeObject, host: Host, ports: Map<string, number>) {
  const kube = yield* Kube
  const spec = yield* decodePodSpec(pod["spec"])
  const folder = join(host.directory, "pods", pod.metadata.uid!)
  yield* folders(host, folder)
  const records = new Map([...spec.initContainers, ...spec.containers].map((each) => [each.name, newRecord(each)]))
  const notify = yield* reporter(pod, spec, records)
  const change: PodRun["change"] = (container, change) =>
    Effect.suspend(() => {
      records.set(container.name, { ...records.get(container.name)!, ...change })
      return notify
    })
  const run: PodRun = { pod, spec, folder, host, records, change, ports }
  const mount = Effect.provideService(materialize(pod.metadata.namespace!, spec, folder), Kube, kube)
  yield* awaitVolumes(run, mount)
  // Mounted files follow their ConfigMaps and Secrets; one that was deleted leaves its files, as in a cluster.
  yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.ignore(mount), syncMillis)))
  for (const container of spec.initContainers) yield* keepRunning(run, container, "init")
  yield* Effect.forEach(spec.containers, (container) => keepRunning(run, container, "main"), {
    concurrency: "unbounded",
    discard: true
  })
}, Effect.scoped)

/** A Pod's logs go with its object. */
export const removeLogs = ({ directory }: Host, { metadata }: KubeObject) => {
  const folder = join(directory, "logs")
  for (const file of readdirSync(folder)) {
    if (file.startsWith(`${metadata.namespace}-${metadata.name}-`)) rmSync(join(folder, file), { force: true })
  }
}
