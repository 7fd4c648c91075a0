import { admit } from "../../crds/admission.ts"
import { EventStreams } from "../kube.ts"
import { conformance } from "./conformance.ts"
import { layerMemory } from "./memory.ts"

conformance("Kube in memory", layerMemory([{ resource: EventStreams, status: true, generation: true, admit }]))
