import { it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, inject } from "vitest"
import { Kube, Pods } from "../operator/kube.ts"
import { layerServer } from "../operator/kube/server.ts"
import { kubectl } from "./control-plane.ts"
import { runNode } from "./node-agent.ts"
import { tempDirectory } from "./servers.ts"

const plane = inject("controlPlane")
const namespace = "node-agent"

const program = `
import { createServer } from "node:http"
createServer((_, response) => response.end()).listen(process.env.EVENTSTREAM_HTTP_PORT, "127.0.0.1")
console.log("up")
process.on("SIGTERM", () => { console.log("drained"); process.exit(0) })
`

const deployment = (script: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "app", namespace },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "app" } },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: "app" } },
      spec: {
        automountServiceAccountToken: false,
        containers: [
          {
            name: "main",
            image: "fake",
            command: [process.execPath, script],
            ports: [{ name: "metrics", containerPort: 9464 }],
            readinessProbe: { httpGet: { path: "/", port: "metrics" }, periodSeconds: 1 }
          }
        ]
      }
    }
  }
})

it.live("runs the Pods of a Deployment of the real API server, rolls them and lets them go", () =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const directory = yield* tempDirectory("eventstream-node-")
    const script = join(directory, "program.mjs")
    writeFileSync(script, program)
    yield* kubectl(plane, "create", "namespace", namespace)
    const { kubeconfig } = plane
    yield* runNode({ kubeconfig, name: "here", namespace, directory })
    yield* kube.apply(deployment(script))
    yield* kubectl(plane, "-n", namespace, "rollout", "status", "deployment/app", "--timeout=30s")
    const before = yield* kube.list(Pods, { namespace })
    assert.match(yield* kubectl(plane, "-n", namespace, "get", "pods"), /1\/1 +Running +0/)
    assert.match(yield* kubectl(plane, "get", "node", "here"), /Ready/)

    yield* kubectl(plane, "-n", namespace, "rollout", "restart", "deployment/app")
    yield* kubectl(plane, "-n", namespace, "rollout", "status", "deployment/app", "--timeout=30s")
    const gone = before.map(({ metadata }) => `pod/${metadata.name}`)
    yield* kubectl(plane, "-n", namespace, "wait", "--for=delete", "--timeout=30s", ...gone)
    const [after] = yield* kube.list(Pods, { namespace })
    const log = join(directory, "logs", `${namespace}-${after!.metadata.name}-main.log`)
    assert.equal(readFileSync(log, "utf8"), "up\n")

    yield* kubectl(plane, "-n", namespace, "delete", "deployment/app")
    yield* kubectl(plane, "-n", namespace, "wait", "--for=delete", "--timeout=30s", `pod/${after!.metadata.name}`)
  }).pipe(Effect.scoped, Effect.provide(layerServer({ kubeconfig: plane.kubeconfig })))
)
