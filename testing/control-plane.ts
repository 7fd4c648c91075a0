import { Effect, Schedule, Schema } from "effect"
import { execFile, execFileSync } from "node:child_process"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Endpoint, request } from "../operator/kube/rest.ts"
import { connect } from "../operator/kube/server.ts"
import { freePort, server, ServerFailed, tempDirectory } from "./servers.ts"

/**
 * A real Kubernetes control plane on 127.0.0.1: etcd, kube-apiserver and kube-controller-manager. There is no node, so Pods stay
 * Pending. The API server makes its own certificate and clients show a token, so no certificate tool is needed.
 */

export interface ControlPlane {
  /** File with a context whose user may do everything. */
  readonly kubeconfig: string
  readonly url: string
  /** Path of the kubectl that fits this API server. */
  readonly kubectl: string
  /** One JSON object per request, `undefined` unless asked for. */
  readonly auditLog: string | undefined
}

export interface ControlPlaneOptions {
  /** Manifests that are applied before the controllers start; those find kinds that come later only after up to 30 s. */
  readonly manifests?: ReadonlyArray<string>
  /** Whether to log who asked for what (level Metadata: no bodies). */
  readonly audit?: boolean
}

export class KubectlFailed extends Schema.TaggedError<KubectlFailed>()("KubectlFailed", {
  args: Schema.Array(Schema.String),
  output: Schema.String
}) {
  override get message() {
    return `kubectl ${this.args.join(" ")}: ${this.output.trim()}`
  }
}

const root = join(import.meta.dirname, "..")
const binary = (name: string) => join(root, ".bin", name)

/** Runs kubectl and returns what it prints. */
export const kubectl = (
  plane: Pick<ControlPlane, "kubeconfig" | "kubectl">,
  ...args: ReadonlyArray<string>
): Effect.Effect<string, KubectlFailed> =>
  Effect.callback((resume) => {
    const child = execFile(plane.kubectl, ["--kubeconfig", plane.kubeconfig, ...args], (error, stdout, stderr) =>
      resume(error ? Effect.fail(new KubectlFailed({ args, output: stderr || error.message })) : Effect.succeed(stdout))
    )
    return Effect.sync(() => void child.kill())
  })

/** A line of what `kubectl get` prints, its cells without the last, the age; `undefined` when it has none of that name. */
export const cellsOf = (table: string, name: string): ReadonlyArray<string> | undefined =>
  table
    .split("\n")
    .find((line) => line.startsWith(`${name} `))
    ?.trim()
    .split(/\s+/)
    .slice(0, -1)

const buildPlane = Effect.try({
  try: () => execFileSync(join(root, "tools", "build.sh"), ["plane"], { stdio: ["ignore", "ignore", "inherit"] }),
  catch: (error) => new ServerFailed({ command: "tools/build.sh plane", output: String(error) })
})

const flags = (values: Readonly<Record<string, string | number | boolean | undefined>>) =>
  Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]))

const startEtcd = Effect.fnUntraced(function* (directory: string) {
  const client = `http://127.0.0.1:${yield* freePort}`
  const peer = `http://127.0.0.1:${yield* freePort}`
  const args = flags({
    name: "test",
    "data-dir": join(directory, "etcd"),
    "unsafe-no-fsync": true,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `test=${peer}`
  })
  yield* server(binary("etcd"), args, /ready to serve client requests/, {}, {}, "SIGKILL")
  return client
})

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

const kubeconfigOf = (url: string, certificate: string, token: string) => `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "${url}", certificate-authority: "${certificate}"}}]
users: [{name: admin, user: {token: "${token}"}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
`

const startApiServer = Effect.fnUntraced(function* (directory: string, etcd: string, audit: boolean) {
  const file = (name: string, content: string | Buffer) => {
    const path = join(directory, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const port = yield* freePort
  const token = randomBytes(16).toString("hex")
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const signingKey = file("service-account.key", privateKey.export({ type: "sec1", format: "pem" }))
  const auditLog = audit ? join(directory, "audit.log") : undefined
  const args = flags({
    "bind-address": "127.0.0.1",
    "advertise-address": "127.0.0.1",
    "secure-port": port,
    // It writes a self-signed apiserver.crt here, and that file is its own CA.
    "cert-dir": directory,
    "etcd-servers": etcd,
    "service-cluster-ip-range": "10.96.0.0/16",
    "authorization-mode": "RBAC",
    "token-auth-file": file("tokens.csv", `${token},admin,admin,"system:masters"\n`),
    "service-account-issuer": "https://kubernetes.default.svc",
    "service-account-key-file": file("service-account.pub", publicKey.export({ type: "spki", format: "pem" })),
    "service-account-signing-key-file": signingKey,
    "endpoint-reconciler-type": "none",
    "audit-log-path": auditLog,
    "audit-policy-file": audit ? file("audit.yaml", auditPolicy) : undefined
  })
  // SIGTERM would let it wait for its watches to end; nothing here is worth that.
  yield* server(binary("kube-apiserver"), args, /Serving securely on/, {}, {}, "SIGKILL")
  const url = `https://127.0.0.1:${port}`
  const certificate = join(directory, "apiserver.crt")
  return {
    url,
    certificate,
    signingKey,
    auditLog,
    kubeconfig: file("kubeconfig", kubeconfigOf(url, certificate, token))
  }
})

/** Waits until a GET of the path is answered with 200. */
const answered = (endpoint: Endpoint, path: string) =>
  request(endpoint, { operation: `wait for ${path}`, method: "GET", path }).pipe(
    Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 600 }),
    Effect.mapError((error) => new ServerFailed({ command: "kube-apiserver", output: error.message }))
  )

/** A control plane in a temporary folder, gone with the scope. Its binaries are built by `tools/build.sh` when they are missing. */
export const startControlPlane = Effect.fnUntraced(function* (options: ControlPlaneOptions = {}) {
  yield* buildPlane
  const directory = yield* tempDirectory("eventstream-kube-")
  const etcd = yield* startEtcd(directory)
  const { url, certificate, signingKey, auditLog, kubeconfig } = yield* startApiServer(
    directory,
    etcd,
    options.audit ?? false
  )
  const plane: ControlPlane = { kubeconfig, url, kubectl: binary("kubectl"), auditLog }
  const endpoint = yield* connect({ kubeconfig })
  // Until the built-in roles are there the controllers would exit.
  yield* answered(endpoint, "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")
  const manifests = (options.manifests ?? []).flatMap((path) => ["--filename", path])
  if (manifests.length > 0) yield* kubectl(plane, "apply", "--server-side", ...manifests)
  const args = flags({
    kubeconfig,
    "leader-elect": false,
    "secure-port": 0,
    "root-ca-file": certificate,
    "service-account-private-key-file": signingKey
  })
  yield* server(binary("kube-controller-manager"), args, /Starting/, {}, {}, "SIGKILL")
  yield* answered(endpoint, "/api/v1/namespaces/default/serviceaccounts/default")
  return plane
})
