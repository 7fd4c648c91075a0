import { assert, describe, it } from "@effect/vitest"
import { offences, parseRules, unusedRights } from "./audit.ts"

const user = "system:serviceaccount:system:operator"

const rules = parseRules(`
watched:
  - {apiGroups: [apps], resources: [deployments], verbs: [get, create, patch]}
  - {apiGroups: [example.com], resources: [things/status], verbs: [patch]}
own:
  - {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [mine], verbs: [get]}
`)

const line = (
  verb: string,
  objectRef: Readonly<Record<string, string>> | undefined,
  code = 200,
  username = user
): string =>
  JSON.stringify({ verb, requestURI: "/version?x=1", user: { username }, objectRef, responseStatus: { code } })

const deployment = { apiGroup: "apps", resource: "deployments", namespace: "demo", name: "a" }
const lease = { apiGroup: "coordination.k8s.io", resource: "leases", namespace: "system", name: "mine" }
const status = { apiGroup: "example.com", resource: "things", subresource: "status", namespace: "demo", name: "a" }

describe("offences", () => {
  for (const [name, given, expected] of [
    ["none by what the rules grant", line("patch", status), []],
    ["none by another user", line("delete", deployment, 200, "admin"), []],
    ["none by an apply that creates", line("patch", deployment, 201), []],
    ["none by a list of all namespaces", line("get", { apiGroup: "apps", resource: "deployments" }), []],
    ["none in the own namespace", line("get", lease), []],
    ["a verb without a rule", line("delete", deployment), ["delete deployments.apps in demo/a is granted by no rule"]],
    [
      "an apply that creates where the right to create is missing",
      line("patch", status, 201),
      ["create things/status.example.com in demo/a is granted by no rule"]
    ],
    [
      "an object itself where only its status is granted",
      line("patch", { ...status, subresource: "scale" }),
      ["patch things/scale.example.com in demo/a is granted by no rule"]
    ],
    ["a refusal", line("get", deployment, 403), ["get deployments.apps in demo/a was refused"]],
    [
      "what is granted in the own namespace only",
      line("get", { ...lease, namespace: "demo" }),
      ["get leases.coordination.k8s.io in demo/mine is granted by no rule"]
    ],
    [
      "what is granted for one name only",
      line("get", { ...lease, name: "other" }),
      ["get leases.coordination.k8s.io in system/other is granted by no rule"]
    ],
    ["what is no resource", line("get", undefined), ["get /version in the cluster is granted by no rule"]]
  ] as const) {
    it(name, () => assert.deepStrictEqual(offences([given], rules, user), expected))
  }

  it("a Secret, even where a rule grants it", () => {
    const read = [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }]
    const found = offences(
      [line("get", { resource: "secrets", namespace: "demo", name: "a" })],
      { ...rules, own: [], watched: read },
      user
    )
    assert.deepStrictEqual(found, ["get secrets in demo/a: a Secret"])
  })
})

it("rights that were never used", () => {
  const lines = [line("patch", deployment, 201), line("get", deployment, 200, "admin"), line("get", lease)]
  assert.deepStrictEqual(unusedRights(lines, rules, user), ["get deployments.apps", "patch things/status.example.com"])
})
