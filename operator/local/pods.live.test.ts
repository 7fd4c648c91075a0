import { describe, it } from "@effect/vitest"
import { Effect, Option, type Scope, Stream } from "effect"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { tempDirectory } from "../../testing/servers.ts"
import { layerMemory } from "../kube/memory.ts"
import { ConfigMaps, Kube, type KubeObject, Pods, Secrets } from "../kube.ts"
import { runningFinalizer } from "./deployment-plan.ts"
import { releasePod } from "./deployments.ts"
import { runPods } from "./pods.ts"
import { openProcesses } from "./processes.ts"

/** Stands for a container's program: what it does is its first argument. */
/** Stands for an image's program: containers without a command run it. */
const program = `#!${process.execPath}
import { createServer } from "node:http"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
const [what, ...rest] = process.argv.slice(2)
const serve = () => createServer((request, response) => {
  const file = request.url === "/readyz" ? "not-ready" : "not-alive"
  response.writeHead(existsSync(process.env.HOME + "/" + file) ? 503 : 200).end()
}).listen(Number(process.env.EVENTSTREAM_HTTP_PORT), process.env.EVENTSTREAM_HTTP_HOST)
const behaviours = {
  serve() { serve(); process.on("SIGTERM", () => setTimeout(() => { console.log("drained"); process.exit(0) }, 300)) },
  ignoreSigterm() { serve(); process.on("SIGTERM", () => console.log("not now")) },
  fail() { console.error("wanted a table, found none"); process.exit(3) },
  print() { console.log(readFileSync(rest[0], "utf8")); serve() },
  succeed() {}
}
behaviours[what]()
`

interface PodOptions {
  readonly init?: ReadonlyArray<string>
  readonly args?: ReadonlyArray<string>
  readonly spec?: object
  readonly container?: object
}

const makePod = (name: string, options: PodOptions): KubeObject => {
  const container = (role: string, args: ReadonlyArray<string>) => ({
    name: role,
    image: "fake",
    args,
    terminationMessagePolicy: "FallbackToLogsOnError"
  })
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "demo", finalizers: [runningFinalizer] },
    spec: {
      nodeName: "here",
      ...(options.init ? { initContainers: [container("init", options.init)] } : {}),
      containers: [
        {
          ...container("main", options.args ?? ["serve"]),
          readinessProbe: { httpGet: { path: "/readyz", port: 9464 }, periodSeconds: 0.1, failureThreshold: 1 },
          ...options.container
        }
      ],
      ...options.spec
    }
  }
}

const runIn = Effect.fnUntraced(function* (folder: string) {
  const kube = yield* Kube
  writeFileSync(join(folder, "program.mjs"), program, { mode: 0o755 })
  const processes = yield* openProcesses(folder, () => {})
  const host = { directory: folder, entryPoint: join(folder, "program.mjs"), processes }
  const runner = yield* runPods({ ...host, node: "here", release: releasePod })
  const key = (name: string) => ({ namespace: "demo", name })
  return {
    folder,
    runner,
    start: (name: string, options: PodOptions) => kube.create(makePod(name, options)),
    remove: (name: string) => kube.delete(Pods, key(name)),
    /** The Pod's status as soon as it is so. */
    until: (name: string, is: (status: any, pod: KubeObject) => boolean) =>
      kube.watch(Pods, { namespace: "demo" }).pipe(
        Stream.filter(({ type, object }) => type === "Applied" && object.metadata.name === name),
        Stream.filter(({ object }) => is(object["status"] ?? {}, object)),
        Stream.runHead,
        Effect.map((change) => (Option.getOrThrow(change).object["status"] ?? {}) as any),
        Effect.timeout("20 seconds")
      ),
    gone: (name: string) =>
      kube
        .get(Pods, key(name))
        .pipe(
          Effect.repeat({ while: (pod) => Effect.as(Effect.sleep("20 millis"), pod !== undefined) }),
          Effect.timeout("20 seconds")
        ),
    log: (name: string, container: string) =>
      readFileSync(join(folder, "logs", `demo-${name}-${container}.log`), "utf8")
  }
})

const setup = Effect.flatMap(tempDirectory("eventstream-pods-"), runIn)

const isReady = (status: any) =>
  status.conditions?.some((each: any) => each.type === "Ready" && each.status === "True") ?? false

const test = (name: string, body: Effect.Effect<void, unknown, Kube | Scope.Scope>) =>
  it.live(name, () => body.pipe(Effect.scoped, Effect.provide(layerMemory([]))))

describe("runPods", () => {
  test(
    "runs init containers first, then is Ready when the probe passes, and serves on a loopback port of its own",
    Effect.gen(function* () {
      const { start, until, runner } = yield* setup
      const { metadata } = yield* start("a", { init: ["succeed"] })
      yield* start("b", {})
      const status = yield* until("a", isReady)
      yield* until("b", isReady)
      assert.equal(status.phase, "Running")
      assert.equal(status.initContainerStatuses[0].state.terminated.reason, "Completed")
      assert.deepEqual(
        status.conditions.map((each: any) => [each.type, each.status]),
        ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => [type, "True"])
      )
      const port = runner.port(metadata.uid!, "main")
      assert.equal((yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/healthz`))).status, 200)
    })
  )

  test(
    "shows a failing init container's last words, and tries again after growing waits",
    Effect.gen(function* () {
      const { start, until } = yield* setup
      yield* start("a", { init: ["fail"] })
      const status = yield* until(
        "a",
        ({ initContainerStatuses: [init] = [] }) => init?.restartCount === 2 && init.state.waiting
      )
      const [init] = status.initContainerStatuses
      assert.equal(init.state.waiting.reason, "CrashLoopBackOff")
      assert.match(init.state.waiting.message, /back-off 4s/)
      assert.deepInclude(init.lastState.terminated, {
        exitCode: 3,
        reason: "Error",
        message: "wanted a table, found none"
      })
      assert.equal(status.phase, "Pending")
      assert.equal(status.conditions[1].status, "False")
      assert.equal(status.containerStatuses[0].state.waiting.reason, "PodInitializing")
    })
  )

  test(
    "follows the readiness probe, and restarts a container that fails its liveness probe",
    Effect.gen(function* () {
      const { start, until, folder } = yield* setup
      const probe = {
        httpGet: { path: "/healthz", port: 9464 },
        initialDelaySeconds: 1,
        periodSeconds: 0.1,
        failureThreshold: 2
      }
      const { metadata } = yield* start("a", { container: { livenessProbe: probe } })
      const home = join(folder, "pods", metadata.uid!)
      yield* until("a", isReady)
      writeFileSync(join(home, "not-ready"), "")
      yield* until("a", (status) => !isReady(status))
      writeFileSync(join(home, "not-alive"), "")
      const status = yield* until("a", ({ containerStatuses: [main] }) => main.restartCount === 1)
      assert.equal(status.containerStatuses[0].lastState.terminated.exitCode, 0)
    })
  )

  test(
    "lets a deleted Pod drain before its object goes, and kills it after the grace time",
    Effect.gen(function* () {
      const { start, until, remove, gone, log, folder } = yield* setup
      yield* start("polite", {})
      yield* start("stubborn", { args: ["ignoreSigterm"], spec: { terminationGracePeriodSeconds: 1 } })
      yield* until("polite", isReady)
      yield* until("stubborn", isReady)
      const asked = Date.now()
      yield* remove("stubborn")
      yield* remove("polite")
      yield* until("polite", (_, pod) => pod.metadata.deletionTimestamp !== undefined)
      assert.notInclude(log("polite", "main"), "drained")
      yield* gone("polite")
      assert.isAtLeast(Date.now() - asked, 290)
      assert.isBelow(Date.now() - asked, 1_000)
      yield* gone("stubborn")
      assert.isAtLeast(Date.now() - asked, 990)
      assert.deepEqual(readdirSync(join(folder, "pods")), [])
      assert.deepEqual(readdirSync(join(folder, "logs")), [])
      assert.deepEqual(
        readdirSync(join(folder, "processes")).filter((name) => name.endsWith(".json")),
        []
      )
    })
  )

  test(
    "mounts ConfigMaps and Secrets where the arguments expect them, and keeps the files up to date",
    Effect.gen(function* () {
      const kube = yield* Kube
      const { start, until, folder, log } = yield* setup
      const volumeMounts = [
        { name: "config", mountPath: "/etc/eventstream/config" },
        { name: "login", mountPath: "/etc/eventstream/login" },
        { name: "absent", mountPath: "/etc/eventstream/absent" }
      ]
      const volumes = [
        { name: "config", configMap: { name: "settings" } },
        { name: "login", secret: { secretName: "login" } },
        { name: "absent", secret: { secretName: "absent", optional: true } }
      ]
      const secret = (password: string) => ({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "login", namespace: "demo" },
        stringData: { password }
      })
      yield* kube.apply(secret("first"))
      const { metadata } = yield* start("a", {
        args: ["print", "/etc/eventstream/config/../login/password"],
        container: { volumeMounts },
        spec: { volumes }
      })
      const { containerStatuses } = yield* until(
        "a",
        ({ containerStatuses: [main] = [] }) => main?.state.waiting?.message
      )
      assert.equal(containerStatuses[0].state.waiting.message, "volume config: ConfigMap demo/settings not found")
      yield* kube.create({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "settings", namespace: "demo" },
        data: { "config.json": "{}" }
      })
      yield* until("a", isReady)
      assert.equal(log("a", "main"), "first\n")
      const mounted = join(folder, "pods", metadata.uid!, "root", "etc", "eventstream", "login", "password")
      assert.equal(statSync(mounted).mode & 0o777, 0o600)
      yield* kube.apply(secret("second"))
      yield* Effect.suspend(() => Effect.succeed(readFileSync(mounted, "utf8"))).pipe(
        Effect.repeat({ until: (text) => Effect.as(Effect.sleep("20 millis"), text === "second") }),
        Effect.timeout("5 seconds")
      )
      assert.isTrue((yield* kube.get(ConfigMaps, { namespace: "demo", name: "settings" })) !== undefined)
      assert.isTrue((yield* kube.get(Secrets, { namespace: "demo", name: "login" })) !== undefined)
    })
  )

  test(
    "lets its Pods drain when it is stopped itself, and leaves their objects",
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-pods-")
      yield* Effect.gen(function* () {
        const { start, until } = yield* runIn(folder)
        yield* start("a", {})
        yield* until("a", isReady)
      }).pipe(Effect.scoped)
      assert.equal(readFileSync(join(folder, "logs", "demo-a-main.log"), "utf8"), "drained\n")
      const kube = yield* Kube
      assert.lengthOf(yield* kube.list(Pods, {}), 1)
    })
  )
})
