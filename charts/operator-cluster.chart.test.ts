import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, inject } from "vitest"
import { tempDirectory } from "../testing/servers.ts"
import { chartFolder, helm, kubectlWith, manifestsOf, render } from "./helm.ts"

/** The chart eventstream-operator in a cluster: the rights it gives, and a release's life. */

const plane = inject("controlPlane")
const chart = "eventstream-operator"
const kubectl = (...args: ReadonlyArray<string>) => Effect.map(kubectlWith(plane, args), ({ stdout }) => stdout.trim())
const apply = (input: string) => kubectlWith(plane, ["apply", "--server-side", "--filename", "-"], input)
const makeNamespace = (name: string) =>
  apply(JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } }))

/** Tries until it succeeds, for 30 s. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 150 }))

describe("rights", () => {
  /** Applies the roles and bindings that the chart makes of `values`, for a release in `namespace`. */
  const applyRoles = Effect.fnUntraced(function* (namespace: string, values: object) {
    yield* makeNamespace(namespace)
    const manifests = manifestsOf(yield* render({ chart, release: chart, namespace, values }))
    const items = manifests.filter(({ kind }) => /Role|ServiceAccount/.test(kind))
    yield* apply(JSON.stringify({ apiVersion: "v1", kind: "List", items }))
  })
  const operator = (namespace: string) => `--as=system:serviceaccount:${namespace}:${chart}`

  /** What the operator may do in `there`, without what everyone may: a line per resource, as kubectl prints it. */
  const rightsOf = Effect.fnUntraced(function* (namespace: string, there: string) {
    const listed = yield* kubectl("auth", "can-i", "--list", "--namespace", there, operator(namespace))
    const everyone = yield* kubectl(
      "auth",
      "can-i",
      "--list",
      "--namespace",
      there,
      "--as=system:serviceaccount:none:no"
    )
    const words = (text: string) => text.split("\n").map((line) => line.replace(/ {2,}/g, "   "))
    return words(listed)
      .filter((line) => !words(everyone).includes(line))
      .sort()
  })
  const may = (as: string, verb: string, resource: string, namespace: string, subresource = "") =>
    kubectl("auth", "can-i", verb, resource, "--subresource", subresource, "--namespace", namespace, as).pipe(
      Effect.as(true),
      Effect.catch(({ output }) => (output.trim() === "no" ? Effect.succeed(false) : Effect.die(new Error(output))))
    )

  it.live("the operator has those of files/rules.yaml in every namespace, and its Lease in its own", () =>
    Effect.gen(function* () {
      const namespace = "chart-rights"
      yield* applyRoles(namespace, {})
      const own = yield* rightsOf(namespace, namespace)
      const elsewhere = yield* rightsOf(namespace, "default")
      const text = [`# in its own namespace`, ...own, "", "# in any other", ...elsewhere, ""].join("\n")
      const golden = join(import.meta.dirname, "golden", "operator-rights.txt")
      yield* Effect.promise(() => expect(text).toMatchFileSnapshot(golden))
      for (const verb of ["get", "list", "watch", "create"]) {
        assert.isFalse(yield* may(operator(namespace), verb, "secrets", "default"), `${verb} secrets`)
      }
      assert.isFalse(yield* may(operator(namespace), "patch", "leases/another", namespace))
    })
  )

  it.live("in watchNamespaces only, where these are given", () =>
    Effect.gen(function* () {
      const namespace = "chart-rights-namespaced"
      yield* makeNamespace("orders")
      yield* applyRoles(namespace, { watchNamespaces: ["orders"], rbac: { aggregateToViewEdit: false } })
      assert.isTrue(yield* may(operator(namespace), "patch", "eventstreams.eventstream.dev", "orders"))
      assert.isTrue(yield* may(operator(namespace), "create", "leases.coordination.k8s.io", namespace))
      assert.deepEqual(yield* rightsOf(namespace, "default"), [])
    })
  )

  it.live("people with the cluster's roles view, edit and admin have them on EventStreams", () =>
    Effect.gen(function* () {
      const namespace = "chart-rights-people"
      yield* applyRoles(namespace, {})
      for (const role of ["view", "edit", "admin"]) {
        yield* kubectl(
          "--namespace",
          namespace,
          "create",
          "rolebinding",
          role,
          `--clusterrole=${role}`,
          `--user=${role}`
        )
      }
      const has = (user: string, verb: string, subresource?: string) =>
        may(`--as=${user}`, verb, "eventstreams.eventstream.dev", namespace, subresource)
      const expectThat = (right: Effect.Effect<boolean, Error>, wanted: boolean) =>
        Effect.filterOrFail(
          right,
          (found) => found === wanted,
          () => new Error(`wanted ${wanted}`)
        )
      // The controller that puts roles together takes a moment.
      for (const user of ["view", "edit", "admin"]) yield* eventually(expectThat(has(user, "list"), true))
      for (const user of ["edit", "admin"]) {
        for (const verb of ["create", "update", "patch", "delete"]) yield* eventually(expectThat(has(user, verb), true))
        yield* expectThat(has(user, "patch", "scale"), true)
        yield* expectThat(has(user, "patch", "status"), false)
      }
      yield* expectThat(has("view", "patch"), false)
    })
  )
})

describe("a release", () => {
  const release = "events"
  const namespace = "chart-release"
  const crd = "customresourcedefinition/eventstreams.eventstream.dev"
  const deployment = `deployment/${release}-${chart}`
  const released = (...args: ReadonlyArray<string>) => helm([...args, "--namespace", namespace], { plane })
  const inNamespace = (...args: ReadonlyArray<string>) => kubectl("--namespace", namespace, ...args)
  const uid = (object: string) => inNamespace("get", object, "--output", "jsonpath={.metadata.uid}")
  const shortNames = kubectl("get", crd, "--output", "jsonpath={.spec.names.shortNames}")

  /** The chart as an earlier version, whose EventStreams had another short name. */
  const earlierChart = Effect.fnUntraced(function* () {
    const folder = join(yield* tempDirectory("eventstream-chart-"), chart)
    cpSync(chartFolder(chart), folder, { recursive: true })
    const file = join(folder, "files", "crds", "eventstreams.eventstream.dev.yaml")
    const text = readFileSync(file, "utf8")
    writeFileSync(file, text.replace("      - evs\n", "      - evstr\n"))
    return folder
  })

  it.live(
    "takes the kind over, updates it, leaves it with its objects when it is uninstalled, and takes it up again",
    () =>
      Effect.gen(function* () {
        yield* makeNamespace(namespace)
        const earlier = yield* earlierChart()
        const refused = yield* Effect.flip(released("install", release, earlier))
        assert.match(refused.output, /CustomResourceDefinition "eventstreams.eventstream.dev".* cannot be imported/)
        const { stdout: notes } = yield* released("install", release, earlier, "--take-ownership")
        assert.strictEqual(yield* shortNames, `["evstr"]`)

        // The notes' own example
        const [, example] = /<<END\n(.*?)\n +END\n/s.exec(notes) ?? []
        yield* kubectlWith(
          plane,
          ["--namespace", namespace, "apply", "--filename", "-"],
          example!.replace(/^ {3}/gm, "")
        )
        assert.include(notes, `logs ${deployment}`)
        const objects = [crd, "eventstream/telemetry"]
        const before = yield* Effect.all(objects.map(uid))
        const operator = yield* uid(deployment)

        yield* released("upgrade", release, chartFolder(chart), "--set", "replicaCount=3")
        assert.strictEqual(yield* shortNames, `["evs"]`)
        assert.strictEqual(yield* inNamespace("get", deployment, "--output", "jsonpath={.spec.replicas}"), "3")
        assert.strictEqual(yield* uid(deployment), operator)

        yield* released("uninstall", release, "--wait")
        const left = yield* inNamespace(
          "get",
          "deployments,services,poddisruptionbudgets,networkpolicies,roles",
          "--output",
          "name"
        )
        assert.strictEqual(left, "")
        assert.deepEqual(yield* Effect.all(objects.map(uid)), before)

        yield* released("install", release, chartFolder(chart))
        assert.deepEqual(yield* Effect.all(objects.map(uid)), before)
        yield* released("uninstall", release, "--wait")
      })
  )
})
