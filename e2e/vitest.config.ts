import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Scenarios go on where the one before has left the cluster. */
class ByName extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    return files.sort((one, other) => one.moduleId.localeCompare(other.moduleId))
  }
}

// Run by `make e2e` in an environment that names the cluster.
export default defineConfig({
  test: {
    root: join(import.meta.dirname, ".."),
    include: ["e2e/scenarios/**/*.e2e.ts"],
    reporters: ["default", "./testing/reporter.ts"],
    pool: "forks",
    fileParallelism: false,
    sequence: { sequencer: ByName },
    testTimeout: 600_000,
    hookTimeout: 300_000
  }
})
