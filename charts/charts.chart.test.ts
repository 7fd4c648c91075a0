import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"
import { parse } from "yaml"
import packageJson from "../package.json" with { type: "json" }
import { tempDirectory } from "../testing/servers.ts"
import { chartFolder, helm, kubeconform, kubectlWith, manifestsOf, render, type Rendering } from "./helm.ts"
import { Schemas } from "./schemas.ts"

/**
 * What holds for every chart and every values example. An example is found by its name: `examples/operator-*.yaml` are values of
 * eventstream-operator, `examples/nats-*.yaml` of eventstream-nats. What only one chart promises is in a file of its own,
 * `<short name>.chart.test.ts`; `helm.ts` has what such tests need.
 */

const plane = inject("controlPlane")
const charts = { operator: "eventstream-operator", nats: "eventstream-nats" }
const examples = readdirSync(join(import.meta.dirname, "examples")).filter((file) => file.endsWith(".yaml"))
const fileOf = (example: string) => join(import.meta.dirname, "examples", example)

interface Case extends Rendering {
  readonly name: string
}

/** A chart by its defaults, and by each of its examples. */
const casesOf = (short: string, chart: string): ReadonlyArray<Case> => [
  { name: "defaults", chart, release: short, namespace: `chart-${short}` },
  ...examples
    .filter((example) => example.startsWith(`${short}-`))
    .map((example) => ({
      name: example,
      chart,
      release: short,
      namespace: `chart-${example.replace(".yaml", "")}`,
      files: [fileOf(example)]
    }))
]

/** Names that YAML could take for something else, or that leave no room for endings. Each is a valid release name. */
const oddReleases = ["n", "true", "null", "1e3", "0x1f", "1-2", `r${"-long".repeat(10)}er`.slice(0, 53)]

/** Namespaces as a cautious cluster has them: a Pod that the standard `restricted` forbids is refused, and warned of. */
const restrictedNamespace = (name: string) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name,
    labels: { "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted" }
  }
})

/** Has the API server judge manifests without keeping them; answers with its warnings. */
const dryRun = Effect.fnUntraced(function* (namespace: string, yaml: string) {
  const needed = new Set([namespace, ...manifestsOf(yaml).flatMap(({ metadata }) => metadata.namespace ?? [])])
  const namespaces = { apiVersion: "v1", kind: "List", items: [...needed].map(restrictedNamespace) }
  yield* kubectlWith(plane, ["apply", "--server-side", "--filename", "-"], JSON.stringify(namespaces))
  // The context's namespace is only for manifests without one; `--namespace` would refuse those that name another.
  const kubeconfig = join(yield* tempDirectory("eventstream-chart-"), "kubeconfig")
  copyFileSync(plane.kubeconfig, kubeconfig)
  const there = { ...plane, kubeconfig }
  yield* kubectlWith(there, ["config", "set-context", "--current", "--namespace", namespace])
  const args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", "-"]
  const { stderr } = yield* kubectlWith(there, args, yaml)
  return stderr
}, Effect.scoped)

/** A schema, as far as keys go. What is behind a `$ref` is a structure of Kubernetes. */
interface SchemaNode {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
}
const keysOfSchema = (node: SchemaNode, path = ""): ReadonlyArray<string> =>
  Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    `${path}${key}`,
    ...keysOfSchema(child, `${path}${key}.`)
  ])
const keysOfValues = (node: SchemaNode, values: unknown, path = ""): ReadonlyArray<string> =>
  node.properties === undefined || typeof values !== "object" || values === null
    ? []
    : Object.entries(values).flatMap(([key, child]) => [
        `${path}${key}`,
        ...keysOfValues(node.properties?.[key] ?? {}, child, `${path}${key}.`)
      ])

const read = (chart: string, file: string) => readFileSync(join(chartFolder(chart), file), "utf8")

for (const [short, chart] of Object.entries(charts)) {
  describe(chart, () => {
    it("has the version of the product", () => {
      assert.strictEqual(parse(read(chart, "Chart.yaml")).version, packageJson.version)
    })

    it("has a schema for every value, and a documented value for every key of the schema", () => {
      const values = read(chart, "values.yaml")
      const schema = JSON.parse(read(chart, "values.schema.json")) as SchemaNode
      // Helm adds `global` to the values of a chart that another one depends on.
      const keys = keysOfSchema(schema).filter((key) => key !== "global")
      assert.deepEqual([...keysOfValues(schema, parse(values))].sort(), keys.sort())
    })

    it("renders the same from the same values: nothing random, nothing asked of a cluster", () => {
      const folder = join(chartFolder(chart), "templates")
      const found = readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => /\.(yaml|tpl|txt)$/.test(file))
        .flatMap((file) =>
          [
            ...readFileSync(join(folder, file), "utf8").matchAll(
              /\b(lookup|rand\w+|shuffle|uuidv4|now|ago|gen(CA|PrivateKey|\w*Cert)\w*|getHostByName)\b(?=[^}]*\}\})|\.Capabilities\.APIVersions/g
            )
          ].map(([what]) => `${file}: ${what}`)
        )
      assert.deepEqual(found, [])
    })

    it.live("is refused by a Kubernetes that is too old", () =>
      Effect.gen(function* () {
        const args = ["template", short, chartFolder(chart), "--kube-version", "1.33.9"]
        const { output } = yield* Effect.flip(helm(args))
        assert.match(output, /requires kubeVersion: .* which is incompatible with Kubernetes v1\.33\.9/)
      })
    )

    it.layer(Schemas.layer(plane))((it) => {
      for (const each of casesOf(short, chart)) {
        it.effect(
          `${each.name}: lint, kubeconform, and an API server that enforces the Pod security standard restricted`,
          () =>
            Effect.gen(function* () {
              const files = (each.files ?? []).flatMap((file) => ["--values", file])
              yield* helm(["lint", "--strict", chartFolder(chart), "--namespace", each.namespace, ...files])
              const yaml = yield* render(each)
              yield* kubeconform((yield* Schemas).folder, yaml)
              assert.strictEqual(yield* dryRun(each.namespace, yaml), "")
            })
        )
      }

      it.effect(`a release may be called ${oddReleases.join(", ")}`, () =>
        Effect.gen(function* () {
          const namespace = `chart-${short}-odd`
          const rendered: Array<string> = []
          for (const release of oddReleases) {
            const yaml = yield* render({ chart, release, namespace })
            for (const { kind, metadata } of manifestsOf(yaml)) {
              assert.isAtMost(metadata.name.length, 63, `${kind} ${metadata.name}`)
              assert.strictEqual(metadata.labels?.["app.kubernetes.io/instance"], release, `${kind} ${metadata.name}`)
            }
            rendered.push(yaml)
          }
          const all = rendered.join("\n---\n")
          yield* kubeconform((yield* Schemas).folder, all)
          assert.strictEqual(yield* dryRun(namespace, all), "")
        })
      )
    })
  })
}
