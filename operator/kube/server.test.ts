import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "./server.ts"

/** Writes a file that goes with the scope. */
const file = (content: string) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kubeconfig-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  ).pipe(
    Effect.map((directory) => {
      const path = join(directory, "config")
      writeFileSync(path, content)
      return path
    })
  )

it.effect("a kubeconfig that is not there, or names no cluster, is said so", () =>
  Effect.gen(function* () {
    const absent = yield* Effect.flip(connect({ kubeconfig: "/nonexistent/config" }))
    assert.include(absent.message, "/nonexistent/config")
    const empty = yield* file("apiVersion: v1\nkind: Config\n")
    const error = yield* Effect.flip(connect({ kubeconfig: empty }))
    assert.strictEqual(error._tag, "ClusterUnknown")
    assert.include(error.message, "wanted a Kubernetes cluster")
  })
)

it.effect("requests carry the kubeconfig's CA, client certificate and token", () =>
  Effect.gen(function* () {
    const base64 = (text: string) => Buffer.from(text).toString("base64")
    const path = yield* file(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://example.com:6443", certificate-authority-data: ${base64("ca")}, tls-server-name: kubernetes}}]
users: [{name: u, user: {client-certificate-data: ${base64("cert")}, client-key-data: ${base64("key")}, token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`)
    const endpoint = yield* connect({ kubeconfig: path })
    assert.strictEqual(endpoint.url, "https://example.com:6443")
    const options: Parameters<typeof endpoint.prepare>[0] = { headers: { accept: "application/json" } }
    yield* Effect.promise(() => endpoint.prepare(options))
    assert.deepStrictEqual([options.ca, options.cert, options.key].map(String), ["ca", "cert", "key"])
    assert.strictEqual(options.servername, "kubernetes")
    assert.deepStrictEqual(options.headers, { accept: "application/json", Authorization: "Bearer secret" })
  })
)
