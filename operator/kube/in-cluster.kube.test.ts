import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inject, vi } from "vitest"
import { parse, stringify } from "yaml"
import { kubectl } from "../../testing/control-plane.ts"
import { operatorAccount } from "../../testing/operator-account.ts"
import { startOperator } from "../../testing/operator-process.ts"
import { tempDirectory } from "../../testing/servers.ts"
import { EventStreams } from "../kube.ts"
import { connect, makeServer } from "./server.ts"

/** The API server as a Pod comes to it: by its service account's folder and the variables of its Service. */

const plane = inject("controlPlane")

const admin = parse(readFileSync(plane.kubeconfig, "utf8")) as {
  readonly clusters: ReadonlyArray<{ readonly cluster: { readonly "certificate-authority": string } }>
}

/**
 * Puts a token into the folder as the kubelet does, so that readers see the old files or the new ones.
 * Source: kubernetes/pkg/volume/util/atomic_writer.go.
 */
const project = (folder: string, version: string, token: string) => {
  mkdirSync(join(folder, version))
  writeFileSync(join(folder, version, "token"), token)
  copyFileSync(admin.clusters[0]!.cluster["certificate-authority"], join(folder, version, "ca.crt"))
  writeFileSync(join(folder, version, "namespace"), "in-cluster")
  symlinkSync(version, join(folder, "..data_tmp"))
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"))
}

/** The folder of a service account's volume with its first token in it. */
const volume = Effect.fnUntraced(function* (token: string) {
  const folder = yield* tempDirectory("eventstream-volume-")
  project(folder, "..1", token)
  for (const name of ["token", "ca.crt", "namespace"]) symlinkSync(join("..data", name), join(folder, name))
  return folder
})

/** Runs a program that finds `$VOLUME` where a container has its service account, in a mount namespace of its own. */
const inPod = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc"]
const mount = `
account=/var/run/secrets/kubernetes.io/serviceaccount
mount -t tmpfs tmpfs /var/run
mkdir -p $account
mount --bind "$VOLUME" $account
exec "$@"`
const mayMount = spawnSync(inPod[0]!, [...inPod.slice(1), mount, "sh", "true"], {
  env: { ...process.env, VOLUME: "/tmp" }
})

describe("in a Pod", () => {
  it.live.skipIf(mayMount.status !== 0)("the operator finds the API server and is let in", () =>
    Effect.gen(function* () {
      const namespace = "in-cluster"
      yield* kubectl(plane, "create", "namespace", namespace)
      const account = yield* operatorAccount(plane, namespace, { namespaces: [namespace] })
      const { hostname, port } = new URL(plane.url)
      const operator = yield* startOperator(
        {
          HOME: "/nonexistent",
          KUBECONFIG: "",
          KUBERNETES_SERVICE_HOST: hostname,
          KUBERNETES_SERVICE_PORT: port,
          VOLUME: yield* volume(yield* account.token),
          EVENTSTREAM_NAMESPACES: namespace,
          EVENTSTREAM_LEASE: `${namespace}/eventstream-operator`
        },
        [],
        [...inPod, mount, "sh"]
      )
      yield* operator.logged("leading")
      const ready = operator.get("/readyz").pipe(
        Effect.filterOrFail(({ text }) => text === "watching EventStreams\n"),
        Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 100 })
      )
      assert.strictEqual((yield* ready).status, 200)
      operator.signal("SIGTERM")
      assert.strictEqual((yield* operator.exit).code, 0)
      assert.deepStrictEqual(yield* account.offences, [])
    })
  )

  it.live("a token that the kubelet has renewed is used within a minute", () =>
    Effect.gen(function* () {
      const namespace = "token-rotation"
      const bound = (secret: string) =>
        kubectl(
          plane,
          "-n",
          namespace,
          "create",
          "token",
          "eventstream-operator",
          "--bound-object-kind=Secret",
          `--bound-object-name=${secret}`
        )
      yield* kubectl(plane, "create", "namespace", namespace)
      yield* operatorAccount(plane, namespace, { namespaces: [namespace] })
      for (const secret of ["old", "new"]) yield* kubectl(plane, "-n", namespace, "create", "secret", "generic", secret)
      const folder = yield* volume(yield* bound("old"))
      const user = { "auth-provider": { name: "tokenFile", config: { tokenFile: join(folder, "token") } } }
      const kubeconfig = join(folder, "kubeconfig")
      writeFileSync(kubeconfig, stringify({ ...admin, users: [{ name: "admin", user }] }))
      const kube = makeServer(yield* connect({ kubeconfig }))
      const list = kube.list(EventStreams, { namespace })
      assert.deepStrictEqual(yield* list, [])

      project(folder, "..2", yield* bound("new"))
      yield* kubectl(plane, "-n", namespace, "delete", "secret", "old")
      // The API server goes on accepting a token for some seconds after it has become invalid.
      const refused = yield* Effect.flip(list).pipe(
        Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 150 })
      )
      assert.strictEqual(refused.reason, "Unavailable")
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 })),
        () => Effect.sync(() => vi.useRealTimers())
      )
      assert.deepStrictEqual(yield* list, [])
    })
  )
})
