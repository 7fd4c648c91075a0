import { Context, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ControlPlane } from "../testing/control-plane.ts"
import { tempDirectory } from "../testing/servers.ts"
import { kubectlWith } from "./helm.ts"

/** JSON schemas of every kind an API server knows, made from the OpenAPI document it publishes. */

interface Node {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly [field: string]: unknown
}

interface Kind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

const prefix = "#/definitions/"
const quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"

/** What a definition refers to, itself included, found by walking the references. */
const closureOf = (all: Readonly<Record<string, Node>>, name: string, found = new Set<string>()) => {
  if (found.has(name)) return found
  found.add(name)
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    const { $ref } = value as Node
    if (typeof $ref === "string" && $ref.startsWith(prefix)) closureOf(all, $ref.slice(prefix.length), found)
    else for (const child of Object.values(value)) walk(child)
  }
  walk(all[name])
  return found
}

/** Refuses fields that are not in the schema, and takes numbers where the API server reads them as text. */
const strict = (name: string, node: Node): Node => {
  if (name === quantity) return { oneOf: [{ type: "string" }, { type: "number" }] }
  if (node.format === "int-or-string") return { oneOf: [{ type: "string" }, { type: "integer" }] }
  return node.properties && node.additionalProperties === undefined ? { ...node, additionalProperties: false } : node
}

const write = Effect.fnUntraced(function* (plane: ControlPlane) {
  const folder = yield* tempDirectory("eventstream-schemas-")
  const { stdout } = yield* kubectlWith(plane, ["get", "--raw", "/openapi/v2"])
  const { definitions } = JSON.parse(stdout) as { readonly definitions: Readonly<Record<string, Node>> }
  for (const [name, node] of Object.entries(definitions)) {
    const kinds = (node["x-kubernetes-group-version-kind"] ?? []) as ReadonlyArray<Kind>
    if (kinds.length !== 1) continue // such as the options of a deletion, which every group has
    const { group, version, kind } = kinds[0]!
    const file = [kind, ...(group === "" ? [] : [group.split(".")[0]!]), version].join("-").toLowerCase()
    const needed = [...closureOf(definitions, name)].map((each) => [each, strict(each, definitions[each]!)])
    const schema = { $ref: prefix + name, definitions: Object.fromEntries(needed) }
    writeFileSync(join(folder, `${file}.json`), JSON.stringify(schema))
  }
  return { folder }
})

/**
 * A temporary folder with a schema for every kind that an API server serves, our own included, in kubeconform's layout
 * `{{ .ResourceKind }}{{ .KindSuffix }}.json`. They refuse unknown fields.
 */
export class Schemas extends Context.Service<Schemas, { readonly folder: string }>()("charts/Schemas") {
  static readonly layer = (plane: ControlPlane) => Layer.effect(Schemas, write(plane))
}
