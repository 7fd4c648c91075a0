import { defineConfig } from "vitest/config"

// Four kinds of tests, told apart by their names: logic (`*.test.ts`), those with a real nats-server or Postgres
// (`*.live.test.ts`), those with a real Kubernetes API server (`*.kube.test.ts`), and those of the Helm charts
// (`*.chart.test.ts`), which need one too. Each of the last two kinds starts one for all its files.
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
          exclude: ["**/*.{live,kube,chart}.test.ts", "node_modules", ".local"],
          // Some start the command line program, which takes its time where two other workers are busy.
          testTimeout: 30_000
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
      },
      {
        extends: true,
        test: {
          name: "chart",
          include: ["charts/**/*.chart.test.ts"],
          exclude: ["node_modules", ".local"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          globalSetup: ["./testing/control-plane.setup.ts"]
        }
      }
    ]
  }
})
