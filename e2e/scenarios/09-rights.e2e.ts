import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { chartFolder } from "../../charts/helm.ts"
import { offences, parseRules } from "../../testing/audit.ts"
import { cluster, operatorNamespace, report } from "../world.ts"

/**
 * Everything the operator asked of the API server while the other stories were told, by the API server's audit log: nothing but
 * what its role grants, nothing that was refused, and no Secret.
 *
 * One refusal is none of the operator's doing: `helm uninstall` takes the roles away while the Pods are still ending, so that an
 * operator can't give its Lease back. Refusals are left out from when its RoleBinding goes until it comes again.
 */

const user = `system:serviceaccount:${operatorNamespace}:eventstream-operator`

interface AuditEvent {
  readonly verb: string
  readonly user: { readonly username: string }
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string }
  readonly responseStatus?: { readonly code?: number }
}

/** The operator's requests, without those that were refused because it had just been uninstalled. */
const requestsOf = (log: string): ReadonlyArray<string> => {
  const requests: Array<string> = []
  let bound = false
  for (const line of log.trim().split("\n")) {
    const { verb, user: by, objectRef, responseStatus } = JSON.parse(line) as AuditEvent
    const { code = 0 } = responseStatus ?? {}
    if (objectRef?.resource === "rolebindings" && objectRef.namespace === operatorNamespace && code < 300) {
      if (verb === "create") bound = true
      if (verb === "delete") bound = false
    }
    if (by.username === user && (bound || code !== 403)) requests.push(line)
  }
  return requests
}

it.live("the operator used no right but those of its role, and read no Secret", (context) =>
  Effect.gen(function* () {
    const { auditLog } = yield* cluster
    if (auditLog === undefined) {
      yield* report("rights", "not looked at: this cluster shows no audit log")
      return context.skip("this cluster shows no audit log")
    }
    const requests = requestsOf(readFileSync(auditLog, "utf8"))
    assert.isAbove(requests.length, 100, "the operator has been at work")
    const rules = parseRules(readFileSync(join(chartFolder("eventstream-operator"), "files", "rules.yaml"), "utf8"))
    assert.deepEqual(offences(requests, rules, user), [])
    const verbs = [...new Set(requests.map((line) => (JSON.parse(line) as AuditEvent).verb))].sort()
    yield* report(
      "rights",
      `${requests.length} requests of the operator, verbs ${verbs.join(", ")}: all granted, none for a Secret`
    )
  })
)
