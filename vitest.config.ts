import { defineConfig } from "vitest/config"

// Three kinds of tests, told apart by their names: logic (`*.test.ts`), those with a real nats-server or Postgres
// (`*.live.test.ts`), and those with a real Kubernetes API server (`*.kube.test.ts`), started once for all of them.
export default defineConfig({
  test: {
    reporters: ["default", "./testing/reporter.ts"],
    pool: "forks",
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["**/*.test.ts"],
          exclude: ["**/*.live.test.ts", "**/*.kube.test.ts", "node_modules", ".local"]
        }
      },
      {
        extends: true,
        test: {
          name: "live",
          include: ["**/*.live.test.ts"],
          exclude: ["node_modules", ".local"],
          testTimeout: 60_000,
          hookTimeout: 120_000
        }
      },
      {
        extends: true,
        test: {
          name: "kube",
          include: ["**/*.kube.test.ts"],
          exclude: ["node_modules", ".local"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          globalSetup: ["./testing/control-plane.setup.ts"]
        }
      }
    ]
  }
})
