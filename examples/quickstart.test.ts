import { join } from "node:path"
import { assert, it } from "vitest"
import { admit } from "../crds/admission.ts"
import { parseManifests, readManifests } from "../operator/local/manifest-files.ts"

it("the quickstart is three valid EventStreams", () => {
  const { files } = readManifests([join(import.meta.dirname, "quickstart")])
  const parsed = [...files].map(([file, text]) => parseManifests(file, text))
  assert.deepEqual(
    parsed.flatMap(({ mistakes, notes }) => [...mistakes, ...notes]),
    []
  )
  const objects = parsed.flatMap(({ manifests }) => manifests).map(({ object }) => object)
  assert.sameMembers(
    objects.map(({ metadata }) => metadata.name),
    ["telemetry", "otel-metrics", "system-logs"]
  )
  for (const object of objects) assert.notProperty(admit(object), "errors")
})
