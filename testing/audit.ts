import { parse } from "yaml"

/** What a user did by the API server's audit log, held against the rights it was given. */

/** A PolicyRule of rbac.authorization.k8s.io/v1. */
export interface Rule {
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<string>
  readonly resourceNames?: ReadonlyArray<string>
}

/** The operator's rights, as the chart's `files/rules.yaml` lists them. */
export interface Rules {
  /** In every namespace it looks after. */
  readonly watched: ReadonlyArray<Rule>
  /** In the namespace of its ServiceAccount. */
  readonly own: ReadonlyArray<Rule>
}

export const parseRules = (yaml: string): Rules => parse(yaml) as Rules

/** An event of audit.k8s.io/v1, level Metadata. */
interface AuditEvent {
  readonly verb: string
  readonly requestURI: string
  readonly user: { readonly username: string }
  /** Unset: the request was for no resource, e.g. /version. */
  readonly objectRef?: {
    readonly apiGroup?: string
    readonly resource: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
  }
  readonly responseStatus?: { readonly code?: number }
}

interface Use {
  readonly verb: string
  /** e.g. `deployments.apps` or `eventstreams/status.eventstream.dev`. */
  readonly resource: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly refused: boolean
}

const resourceName = (resource: string, group: string) => (group === "" ? resource : `${resource}.${group}`)

/** The rights that a request needs. */
const usesOf = ({ verb, requestURI, objectRef, responseStatus }: AuditEvent): ReadonlyArray<Use> => {
  const { code } = responseStatus ?? {}
  const refused = code === 403
  if (objectRef === undefined) {
    return [{ verb, resource: requestURI.replace(/\?.*/, ""), namespace: undefined, name: undefined, refused }]
  }
  const { resource, subresource, apiGroup = "", namespace, name } = objectRef
  const use = {
    verb,
    resource: resourceName(subresource === undefined ? resource : `${resource}/${subresource}`, apiGroup),
    namespace,
    name,
    refused
  }
  // A server-side apply that creates needs the right to create, too. Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
  return verb === "patch" && code === 201 ? [use, { ...use, verb: "create" }] : [use]
}

const grants = (rule: Rule, { verb, resource, name }: Use) =>
  rule.verbs.includes(verb) &&
  rule.resources.some((each) => rule.apiGroups.some((group) => resourceName(each, group) === resource)) &&
  (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name)))

/** Namespace of `system:serviceaccount:<namespace>:<name>`. */
const namespaceOf = (user: string) => user.split(":")[2]

const usesBy = (auditLines: ReadonlyArray<string>, user: string): ReadonlyArray<Use> =>
  auditLines
    .filter((line) => line.includes(user))
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ user: { username } }) => username === user)
    .flatMap(usesOf)

const place = ({ namespace, name }: Use) =>
  [namespace, name].filter((each) => each !== undefined).join("/") || "the cluster"

/**
 * What `user` should not have done, a sentence each: asked for what no rule grants, was refused, or asked for a Secret, which
 * the operator never does.
 *
 * @param auditLines the API server's audit log, level Metadata or above
 * @param user e.g. `system:serviceaccount:eventstream-system:eventstream-operator`
 */
export const offences = (auditLines: ReadonlyArray<string>, rules: Rules, user: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const use of usesBy(auditLines, user)) {
    const what = `${use.verb} ${use.resource} in ${place(use)}`
    const rulesThere = use.namespace === namespaceOf(user) ? [...rules.watched, ...rules.own] : rules.watched
    if (use.refused) found.add(`${what} was refused`)
    if (!rulesThere.some((rule) => grants(rule, use))) found.add(`${what} is granted by no rule`)
    if (/^secrets\b/.test(use.resource)) found.add(`${what}: a Secret`)
  }
  return [...found].sort()
}

/** Rights that `user` never used, e.g. `delete pods`. */
export const unusedRights = (
  auditLines: ReadonlyArray<string>,
  { watched, own }: Rules,
  user: string
): ReadonlyArray<string> => {
  const used = new Set(usesBy(auditLines, user).map(({ verb, resource }) => `${verb} ${resource}`))
  const granted = [...watched, ...own].flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resourceName(resource, group)}`))
    )
  )
  return [...new Set(granted)].filter((right) => !used.has(right)).sort()
}
