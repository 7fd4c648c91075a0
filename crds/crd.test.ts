import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { specSchema, statusSchema } from "./crd.ts"
import { crdFiles, crdYaml } from "./generate.ts"
import { rules } from "./rules.ts"
import type { Structural } from "./structural.ts"

interface Node {
  readonly path: string
  readonly schema: Structural
  /** Whether it is an item of a list, or below one. */
  readonly inList: boolean
}

const nodes = (path: string, schema: Structural, inList = false): ReadonlyArray<Node> => [
  { path, schema, inList },
  ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => nodes(`${path}.${name}`, field, inList)),
  ...(schema.items ? nodes(`${path}[]`, schema.items, true) : []),
  ...(schema.additionalProperties ? nodes(`${path}{}`, schema.additionalProperties, inList) : [])
]
const all = [...nodes("spec", specSchema), ...nodes("status", statusSchema)]
const paths = (found: ReadonlyArray<Node>) => found.map(({ path }) => path)

describe("the CustomResourceDefinition", () => {
  it("is the committed one; `npm run generate` writes it anew", () => {
    for (const file of crdFiles) assert.strictEqual(readFileSync(file, "utf8"), crdYaml(), file.pathname)
  })

  it("is small enough for client-side apply, which copies it into an annotation of at most 262144 bytes", () => {
    assert.isBelow(crdYaml().length, 200_000)
  })

  it("has no default below a list item: Argo CD compares lists whole and would never be in sync", () => {
    assert.deepEqual(paths(all.filter(({ schema, inList }) => inList && schema.default !== undefined)), [])
  })

  it("bounds every text, list and map", () => {
    const unbounded = all.filter(
      ({ schema }) =>
        ((schema.type === "string" || schema.type === "intOrString") && !schema.enum && !schema.maxLength) ||
        (schema.type === "array" && !schema.maxItems) ||
        (schema.additionalProperties && !schema.maxProperties) ||
        (schema.type === "integer" && !schema.enum && (schema.minimum === undefined || schema.maximum === undefined))
    )
    assert.deepEqual(paths(unbounded), [])
  })

  it("describes every field", () => {
    const fields = all.filter(({ path }) => /\.[^[\]{}]+$/.test(path))
    assert.deepEqual(paths(fields.filter(({ schema }) => !schema.description)), [])
  })

  it("says how every list is merged", () => {
    assert.deepEqual(paths(all.filter(({ schema }) => schema.type === "array" && !schema.listType)), [])
  })

  it("has the place and the fields of every rule", () => {
    const known = new Set(["", ".metadata.name", ...paths(all)])
    const named = rules.flatMap(({ path, field, reads }) => [
      path,
      ...[...reads, ...(field === undefined ? [] : [field])].map((name) => `${path}.${name}`)
    ])
    assert.deepEqual(
      named.filter((path) => !known.has(path)),
      []
    )
  })
})
