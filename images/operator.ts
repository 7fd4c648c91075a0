import { command as operator } from "../cli/operator.ts"
import { run } from "../cli/run.ts"

// Program of the image `operator`.
run([operator])
