import { defineConfig } from "vitest/config"
import { treeExists, withoutTree } from "./testing/debian.ts"

// Four kinds of tests, told apart by their names: logic (`*.test.ts`), those with a real nats-server or Postgres
// (`*.live.test.ts`), those with a real Kubernetes API server (`*.kube.test.ts`), and those of the Helm charts
// (`*.chart.test.ts`), which need one too. Each of the last two kinds starts one for all its files.
if (!treeExists("postgres15")) console.warn(`the store over PostgreSQL 15${withoutTree("postgres15")}`)

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
          exclude: ["**/*.{live,kube,chart}.test.ts", "node_modules", ".local", ".bin"],
          // Some start the command line program, which takes its time where two other workers are busy.
          testTimeout: 30_000
        }
      },
      {
        extends: true,
        test: {
          name: "live",
          include: ["**/*.live.test.ts"],
          exclude: ["node_modules", ".local", ".bin"],
          testTimeout: 60_000,
          hookTimeout: 120_000
        }
      },
      // Those of the store once more, over the oldest PostgreSQL that is tried.
      {
        extends: true,
        test: {
          name: "postgres15",
          include: treeExists("postgres15") ? ["writer/store/*.live.test.ts"] : [],
          exclude: ["**/timescale.live.test.ts"],
          env: { EVENTSTREAM_TEST_TREE: "postgres15" },
          testTimeout: 60_000,
          hookTimeout: 120_000
        }
      },
      {
        extends: true,
        test: {
          name: "kube",
          include: ["**/*.kube.test.ts"],
          exclude: ["node_modules", ".local", ".bin"],
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
          exclude: ["node_modules", ".local", ".bin"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          globalSetup: ["./testing/control-plane.setup.ts"]
        }
      }
    ]
  }
})
