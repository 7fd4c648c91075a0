import { Effect } from "effect"
import { Command, Flag } from "effect/cli"

const namespaces = Flag.String("namespace").pipe(
  Flag.withDescription("Namespace to look after; may be repeated. Unset: those of EVENTSTREAM_NAMESPACES, else all."),
  Flag.atLeast(0)
)

export const command = Command.make(
  "operator",
  { namespaces },
  Effect.fnUntraced(function* ({ namespaces }) {
    const { launchOperator } = yield* Effect.promise(() => import("../operator/launch.ts"))
    const given = namespaces.length === 0 ? {} : { EVENTSTREAM_NAMESPACES: namespaces.join(",") }
    yield* launchOperator({ ...process.env, ...given })
  })
).pipe(
  Command.withDescription("Look after the EventStreams of a Kubernetes cluster; what the operator's Deployment runs."),
  Command.withExamples([
    {
      command: "EVENTSTREAM_WRITER_IMAGE=eventstream:dev eventstream operator --namespace demo",
      description: "Against the cluster of the current kubeconfig context, for one namespace"
    }
  ])
)
