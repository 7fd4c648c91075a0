import { Effect, Exit, Scope } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { type ControlPlane, kubectl, startControlPlane } from "./control-plane.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The control plane that all `*.kube.test.ts` share, with our CRDs applied. */
    readonly controlPlane: ControlPlane
  }
}

const crds = join(import.meta.dirname, "..", "crds")

/** Starts one control plane for the whole project; returns what stops it. */
export default async function setup(project: TestProject) {
  const scope = Scope.makeUnsafe()
  const manifests = readdirSync(crds)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => join(crds, file))
  const start = Effect.gen(function* () {
    const plane = yield* startControlPlane({ manifests, audit: true })
    for (const manifest of manifests) {
      yield* kubectl(plane, "wait", "--for=condition=Established", "--timeout=30s", "--filename", manifest)
    }
    return plane
  })
  const stop = Scope.close(scope, Exit.void)
  const started = Scope.provide(start, scope).pipe(Effect.onError(() => stop))
  project.provide("controlPlane", await Effect.runPromise(started))
  return () => Effect.runPromise(stop)
}
