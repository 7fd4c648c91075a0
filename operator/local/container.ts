import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readSync, statSync } from "node:fs"
import { constants } from "node:os"
import { signalGroup } from "./process-list.ts"
import type { Processes } from "./processes.ts"

/** How one container is run as a process. */
export interface ContainerProcess {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** The whole environment: nothing of ours goes to a container by accident. */
  readonly env: Readonly<Record<string, string>>
  readonly directory: string
  readonly logFile: string
  /** Time between SIGTERM and SIGKILL. */
  readonly graceMillis: number
}

/** Why a process could not be started. */
export class ContainerNotStarted extends Schema.TaggedError<ContainerNotStarted>()("ContainerNotStarted", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.command}: ${this.detail}`
  }
}

export interface RunningContainer {
  readonly pid: number
  /** 128 + the signal's number when a signal ended it, as a container runtime reports it. */
  readonly exitCode: Effect.Effect<number>
  /** SIGTERM, then SIGKILL after the grace time; returns when it has ended. */
  readonly stop: Effect.Effect<void>
  /** Up to `bytes` of the end of what it has written in this run. */
  readonly tail: (bytes: number) => string
}

const readTail = (file: string, from: number, bytes: number): string => {
  const size = statSync(file).size
  const start = Math.max(size - bytes, from <= size ? from : 0) // it may have been cut since
  const buffer = Buffer.alloc(size - start)
  const descriptor = openSync(file, "r")
  const length = readSync(descriptor, buffer, 0, buffer.length, start)
  closeSync(descriptor)
  return buffer.toString("utf8", 0, length)
}

const codeOf = (child: ChildProcess) => child.exitCode ?? 128 + constants.signals[child.signalCode!]

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

const awaitEnd = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (hasEnded(child)) return resume(Effect.void)
    const ended = () => resume(Effect.void)
    child.once("exit", ended)
    return Effect.sync(() => child.off("exit", ended))
  })

/** Starts the process; it is stopped with the scope. */
export const startContainer = (
  container: ContainerProcess,
  processes: Processes
): Effect.Effect<RunningContainer, ContainerNotStarted, Scope.Scope> =>
  Effect.gen(function* () {
    const log = openSync(container.logFile, "a", 0o600)
    const from = statSync(container.logFile).size
    const child = spawn(container.command, container.args, {
      cwd: container.directory,
      env: container.env,
      // A file, not a pipe: a container must outlive a killed platform for as long as it takes to stop in order.
      stdio: ["ignore", log, log],
      // A group of its own: Ctrl-C in a terminal is for the platform, which stops its containers in order.
      detached: true
    })
    closeSync(log)
    const { pid } = child
    if (pid === undefined) {
      const error = yield* Effect.callback<Error>(
        (resume) => void child.once("error", (e) => resume(Effect.succeed(e)))
      )
      return yield* new ContainerNotStarted({ command: container.command, detail: error.message })
    }
    processes.add({ pid, stage: "container", signal: "SIGTERM", graceMillis: container.graceMillis })
    child.once("exit", () => {
      signalGroup(pid, "SIGKILL") // with its first process a container ends whole
      processes.remove(pid)
    })
    const stop = Effect.callback<void>((resume) => {
      if (hasEnded(child)) return resume(Effect.void)
      const kill = setTimeout(() => signalGroup(pid, "SIGKILL"), container.graceMillis)
      child.once("exit", () => {
        clearTimeout(kill)
        resume(Effect.void)
      })
      signalGroup(pid, "SIGTERM")
    })
    yield* Effect.addFinalizer(() => stop)
    return {
      pid,
      exitCode: Effect.map(awaitEnd(child), () => codeOf(child)),
      stop,
      tail: (bytes) => readTail(container.logFile, from, bytes)
    } satisfies RunningContainer
  }).pipe(Effect.uninterruptible)
