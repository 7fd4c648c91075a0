import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"

const namespace = Flag.String("namespace").pipe(
  Flag.withDescription("The only namespace to look after. Unset: EVENTSTREAM_NAMESPACE, else all."),
  Flag.optional
)

export const command = Command.make(
  "operator",
  { namespace },
  Effect.fnUntraced(function* ({ namespace }) {
    const { launchOperator } = yield* Effect.promise(() => import("../operator/launch.ts"))
    yield* launchOperator({ namespace: Option.getOrUndefined(namespace), environment: process.env })
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
