import { layer } from "@effect/vitest"
import type { Layer } from "effect"
import type { Kube } from "../kube.ts"
import { applying } from "./conformance/applying.ts"
import { deleting } from "./conformance/deleting.ts"
import { leases } from "./conformance/leases.ts"
import { kinds } from "./conformance/kinds.ts"
import { status } from "./conformance/status.ts"
import { watching } from "./conformance/watching.ts"

/** What `Kube` promises, as tests that every layer of it has to pass. */
export const conformance = <E>(name: string, kube: Layer.Layer<Kube, E>) =>
  layer(kube, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    applying(it)
    status(it)
    deleting(it)
    kinds(it)
    leases(it)
    watching(it)
  })
