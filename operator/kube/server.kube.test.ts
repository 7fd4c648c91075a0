import { inject } from "vitest"
import { conformance } from "./conformance.ts"
import { layerServer } from "./server.ts"

conformance("Kube over an API server", layerServer({ kubeconfig: inject("controlPlane").kubeconfig }))
