import { Effect, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { kubectl } from "../../testing/control-plane.ts"
import { server } from "../../testing/servers.ts"
import { apiServer, bridge, nodeNames, podSubnet, serviceSubnet } from "./network.ts"

/**
 * The control plane of a cluster made here: etcd, kube-apiserver, kube-controller-manager and kube-scheduler. The API server
 * makes its own certificate and clients show a token, so one certificate is all that is needed: the one kubelets know it by.
 */

const bin = join(import.meta.dirname, "..", "..", ".bin")

/** User and group of each token. The controller manager's own role is too small for controllers that share one identity. */
const identities: Readonly<Record<string, readonly [user: string, group: string]>> = {
  admin: ["admin", "system:masters"],
  "kube-controller-manager": ["system:kube-controller-manager", "system:masters"],
  "kube-scheduler": ["system:kube-scheduler", ""],
  "kube-proxy": ["system:kube-proxy", ""],
  ...Object.fromEntries(nodeNames.map((node) => [node, [`system:node:${node}`, "system:nodes"]]))
}

/** Folder of the control plane's files, in the folder of a run. */
const folderOf = (run: string) => join(run, "control-plane")

/** File with the credentials of `admin`, a node, or a program of the cluster. */
export const kubeconfigOf = (run: string, identity: string) => join(folderOf(run), `${identity}.kubeconfig`)

/** Certificate that the API server shows to kubelets, and its own CA. */
export const kubeletClientOf = (run: string) => join(folderOf(run), "kubelet-client.crt")

/** What kubectl needs to do everything. */
export const controlPlaneOf = (run: string) => ({
  kubeconfig: kubeconfigOf(run, "admin"),
  kubectl: join(bin, "kubectl")
})

/** One JSON object per request (level Metadata: no bodies). */
export const auditLogOf = (run: string) => join(folderOf(run), "audit.log")

const kubeconfig = (certificate: string, token: string) => `apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "${apiServer}", certificate-authority: "${certificate}"}}]
users: [{name: user, user: {token: "${token}"}}]
contexts: [{name: e2e, context: {cluster: e2e, user: user}}]
current-context: e2e
`

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

const flags = (values: Readonly<Record<string, string | number | boolean>>) =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`)

/** Everything that is decided before a program starts: keys, tokens, the files that hold them. */
const writeFiles = (run: string) => {
  const folder = folderOf(run)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
    return join(folder, name)
  }
  const certificate = join(folder, "apiserver.crt")
  const tokens = Object.entries(identities).map(([identity, [user, group]]) => {
    const token = randomBytes(16).toString("hex")
    writeFileSync(kubeconfigOf(run, identity), kubeconfig(certificate, token), { mode: 0o600 })
    return `${token},${user},${user},"${group}"\n`
  })
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const kubeletClientKey = join(folder, "kubelet-client.key")
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30".split(" ")
  const subject = ["-subj", "/O=system:masters/CN=kube-apiserver"]
  const out = ["-keyout", kubeletClientKey, "-out", kubeletClientOf(run)]
  execFileSync("openssl", [...request, ...subject, ...out], { stdio: "ignore" })
  return {
    folder,
    certificate,
    kubeletClientKey,
    tokens: file("tokens.csv", tokens.join("")),
    signingKey: file("service-account.key", privateKey.export({ type: "sec1", format: "pem" })),
    verifyingKey: file("service-account.pub", publicKey.export({ type: "spki", format: "pem" })),
    auditPolicy: file("audit-policy.yaml", auditPolicy)
  }
}

/**
 * Starts the control plane in this network namespace, where {@link bridge} has to be; it ends with the scope.
 *
 * @param run folder of the run
 */
export const startControlPlane = Effect.fnUntraced(function* (run: string, logs: string) {
  const files = writeFiles(run)
  const start = (program: string, ready: RegExp, values: Parameters<typeof flags>[0]) =>
    server(join(bin, program), flags(values), ready, { logFile: join(logs, `${program}.log`) }, {}, "SIGKILL")

  yield* start("etcd", /ready to serve client requests/, {
    "data-dir": join(files.folder, "etcd"),
    "unsafe-no-fsync": true
  })
  yield* start("kube-apiserver", /Serving securely on/, {
    "bind-address": bridge.address,
    "advertise-address": bridge.address,
    "cert-dir": files.folder, // it writes a self-signed apiserver.crt here, and that file is its own CA
    "etcd-servers": "http://127.0.0.1:2379",
    "service-cluster-ip-range": serviceSubnet,
    "authorization-mode": "Node,RBAC",
    "enable-admission-plugins": "NodeRestriction",
    "token-auth-file": files.tokens,
    "kubelet-client-certificate": kubeletClientOf(run),
    "kubelet-client-key": files.kubeletClientKey,
    "kubelet-preferred-address-types": "InternalIP",
    "service-account-issuer": "https://kubernetes.default.svc",
    "service-account-key-file": files.verifyingKey,
    "service-account-signing-key-file": files.signingKey,
    "audit-log-path": auditLogOf(run),
    "audit-policy-file": files.auditPolicy
  })
  // The controller manager would exit while the built-in roles are not there yet.
  yield* kubectl(controlPlaneOf(run), "get", "--raw=/readyz").pipe(
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 300 })
  )
  yield* start("kube-controller-manager", /Starting/, {
    kubeconfig: kubeconfigOf(run, "kube-controller-manager"),
    "leader-elect": false,
    "secure-port": 0,
    "root-ca-file": files.certificate,
    "service-account-private-key-file": files.signingKey,
    "cluster-cidr": podSubnet,
    "node-monitor-grace-period": "16s",
    "node-monitor-period": "2s"
  })
  yield* start("kube-scheduler", /Starting/, {
    kubeconfig: kubeconfigOf(run, "kube-scheduler"),
    "authentication-kubeconfig": kubeconfigOf(run, "kube-scheduler"),
    "authorization-kubeconfig": kubeconfigOf(run, "kube-scheduler"),
    "leader-elect": false,
    "secure-port": 0
  })
})
