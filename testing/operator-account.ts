import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import { offences, parseRules, type Rule, unusedRights } from "./audit.ts"
import { type ControlPlane, kubectl, type KubectlFailed } from "./control-plane.ts"
import { tempDirectory } from "./servers.ts"

/** A ServiceAccount with the rights that the chart gives the operator, and none beside. */
export interface OperatorAccount {
  /** Its name in the audit log. */
  readonly user: string
  readonly token: Effect.Effect<string, KubectlFailed>
  /** File with a context whose user it is. */
  readonly kubeconfig: string
  /** The same by way of a port of 127.0.0.1, e.g. a proxy's. */
  readonly kubeconfigBy: (port: number) => string
  /** What it did that it should not have done, so far. */
  readonly offences: Effect.Effect<ReadonlyArray<string>>
  /** Rights it has not used, so far. */
  readonly unusedRights: Effect.Effect<ReadonlyArray<string>>
}

const rulesFile = join(import.meta.dirname, "..", "charts", "eventstream-operator", "files", "rules.yaml")

const rbac = (kind: string, name: string, namespace: string | undefined, fields: object) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  ...fields
})

/** A role with these rules and its binding, for one namespace or, without one, for all. */
const granted = (subject: { namespace: string; name: string }, rules: ReadonlyArray<Rule>, namespace?: string) => {
  const scope = namespace === undefined ? "Cluster" : ""
  const name = `${subject.namespace}-${subject.name}`
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: `${scope}Role`, name }
  return [
    rbac(`${scope}Role`, name, namespace, { rules }),
    rbac(`${scope}RoleBinding`, name, namespace, { roleRef, subjects: [{ kind: "ServiceAccount", ...subject }] })
  ]
}

/**
 * Makes the ServiceAccount `name` in `namespace`, which has to be there, with the roles that the chart makes of its rules.
 *
 * @param namespaces those that the operator looks after, as the chart's `watchNamespaces`; undefined for all
 */
export const operatorAccount = Effect.fnUntraced(function* (
  plane: ControlPlane,
  namespace: string,
  options: { readonly name?: string; readonly namespaces?: ReadonlyArray<string> } = {}
) {
  const { name = "eventstream-operator", namespaces } = options
  const rules = parseRules(readFileSync(rulesFile, "utf8"))
  const subject = { namespace, name }
  const ownRules = namespaces?.includes(namespace) ? [...rules.own, ...rules.watched] : rules.own
  const objects = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: subject },
    ...granted(subject, ownRules, namespace),
    ...(namespaces === undefined
      ? granted(subject, rules.watched)
      : namespaces.filter((each) => each !== namespace).flatMap((each) => granted(subject, rules.watched, each)))
  ]
  const folder = yield* tempDirectory("eventstream-account-")
  const manifests = join(folder, "account.json")
  writeFileSync(manifests, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }))
  yield* kubectl(plane, "apply", "--filename", manifests)

  const token = kubectl(plane, "--namespace", namespace, "create", "token", name)
  const admin = readFileSync(plane.kubeconfig, "utf8")
  const {
    users: [adminUser],
    ...rest
  } = parse(admin) as { readonly users: readonly [{ readonly name: string }] }
  const users = [{ name: adminUser.name, user: { token: yield* token } }]
  const kubeconfigFile = (name: string, url: string) => {
    const file = join(folder, name)
    writeFileSync(file, stringify({ ...rest, users }).replace(plane.url, url), { mode: 0o600 })
    return file
  }

  const user = `system:serviceaccount:${namespace}:${name}`
  const audited = Effect.sync(() => readFileSync(plane.auditLog!, "utf8").trim().split("\n"))
  return {
    user,
    token,
    kubeconfig: kubeconfigFile("kubeconfig", plane.url),
    kubeconfigBy: (port) => kubeconfigFile(`kubeconfig-${port}`, `https://127.0.0.1:${port}`),
    offences: Effect.map(audited, (lines) => offences(lines, rules, user)),
    unusedRights: Effect.map(audited, (lines) => unusedRights(lines, rules, user))
  } satisfies OperatorAccount
})
