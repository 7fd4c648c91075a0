import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { accessTo } from "./cluster.ts"
import { allImages, packImages } from "./images/pack.ts"
import { kindImage, startKind } from "./kind.ts"
import { openRun, runIsolated } from "./own/run.ts"
import { phase } from "./phase.ts"
import { prepareMachine } from "./prerequisites.ts"
import { runSession, type Session } from "./session.ts"

/**
 * The product on a real cluster: that of KUBECONFIG, else one of kind, else three nodes made here.
 *
 *   main.ts [test] [-- ARGUMENTS OF VITEST]      runs the scenarios
 *   main.ts cluster [-- COMMAND [ARGUMENT]...]   runs a command in it, or a shell
 */

const build = (...tools: ReadonlyArray<string>) =>
  Effect.sync(() => {
    execFileSync(join(import.meta.dirname, "..", "tools", "build.sh"), tools, { stdio: "inherit" })
  })

/** Archives of all images, by their ids. */
const archivesFor = (run: string) => {
  const folder = join(run, "images")
  mkdirSync(folder)
  return packImages(allImages, folder)
}

const onGiven = (kubeconfig: string, session: Session) =>
  Effect.gen(function* () {
    yield* phase("tools", build("kubectl", "chart"))
    const run = yield* openRun
    return yield* runSession(accessTo("given", kubeconfig), session, run)
  })

const onKind = (image: string, session: Session) =>
  Effect.gen(function* () {
    yield* phase("tools", build("kubectl", "chart", "coredns", "nats-server"))
    const run = yield* openRun
    const archives = yield* phase("images", archivesFor(run))
    const name = `eventstream-e2e-${process.pid}`
    const kubeconfig = join(run, "kubeconfig")
    yield* phase("cluster", startKind(name, image, kubeconfig, archives.values()))
    return yield* runSession(accessTo("kind", kubeconfig, name), session, run)
  })

const onOwnNodes = (session: Session) =>
  Effect.gen(function* () {
    yield* phase("machine", prepareMachine)
    yield* phase("tools", build("plane", "node", "chart", "nats-server"))
    const run = yield* openRun
    const archives = yield* phase("images", archivesFor(run))
    const input = JSON.stringify({ session, archives: [...archives] })
    return yield* runIsolated(run, [process.execPath, join(import.meta.dirname, "own", "inside.ts"), run, input])
  })

const onCluster = Effect.fnUntraced(function* (session: Session) {
  const { KUBECONFIG: kubeconfig = "" } = process.env
  if (kubeconfig !== "") return yield* onGiven(kubeconfig, session)
  const image = kindImage()
  return image === undefined ? yield* onOwnNodes(session) : yield* onKind(image, session)
})

const given = process.argv.slice(2)
const separator = given.includes("--") ? given.indexOf("--") : given.length
const [purpose = "test", ...others] = given.slice(0, separator)
if ((purpose !== "test" && purpose !== "cluster") || others.length > 0) {
  console.error(`wanted [test|cluster] [-- argument...], found: ${given.join(" ")}`)
  process.exit(2)
}

phase("all", Effect.scoped(onCluster({ purpose, args: given.slice(separator + 1) }))).pipe(
  Effect.tapCause((cause) =>
    Effect.sync(() => {
      if (Cause.hasInterruptsOnly(cause)) return
      // What was to be expected needs no stack.
      console.error(`e2e: ${Cause.hasDies(cause) ? Cause.pretty(cause) : (Cause.squash(cause) as Error).message}`)
    })
  ),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      onExit(Exit.isSuccess(exit) ? (exit.value as number) : Cause.hasInterruptsOnly(exit.cause) ? 130 : 1)
  })
)
