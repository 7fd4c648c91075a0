import { Console, Effect, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"

/** There are mistakes; they have been printed. */
class Invalid extends Schema.TaggedError<Invalid>()("Invalid", {}) {
  override readonly [Runtime.errorReported] = false
}

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`

export const command = Command.make(
  "validate",
  {
    files: Flag.String("file").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Manifest, folder of manifests, or - for standard input; may be repeated."),
      Flag.atLeast(1)
    ),
    more: Argument.String("more").pipe(
      Argument.withDescription("Further files and folders, so that -f *.yaml works."),
      Argument.variadic()
    ),
    output: Flag.Literals("output", ["text", "json"]).pipe(
      Flag.withDescription("How the result is printed."),
      Flag.withDefault("text")
    )
  },
  Effect.fnUntraced(function* ({ files: given, more, output }) {
    const { mistakeLines, validate } = yield* Effect.promise(() => import("./validation.ts"))
    const { readManifests } = yield* Effect.promise(() => import("../operator/local/manifest-files.ts"))
    const { text } = yield* Effect.promise(() => import("node:stream/consumers"))

    const paths = [...given, ...more]
    const { files, missing } = readManifests(paths.filter((path) => path !== "-"))
    const input = paths.includes("-") ? [["-", yield* Effect.promise(() => text(process.stdin))] as const] : []
    const found = validate(new Map([...files, ...input]))
    const validation = {
      ...found,
      mistakes: [...missing.map((path) => `${path}: no such file or folder`), ...found.mistakes]
    }
    const lines = mistakeLines(validation)
    if (output === "json") {
      yield* Console.log(JSON.stringify(validation, null, 2))
    } else {
      for (const line of [...validation.notes, ...lines]) yield* Console.error(line)
      yield* lines.length === 0
        ? Console.log(`${plural(validation.objects.length, "object")} valid`)
        : Console.error(plural(lines.length, "mistake"))
    }
    if (lines.length > 0) return yield* new Invalid()
  })
).pipe(
  Command.withDescription("Check EventStream manifests as the Kubernetes API server would, without one."),
  Command.withExamples([
    { command: "eventstream validate -f orders.yaml", description: "Check one file" },
    { command: "kustomize build . | eventstream validate -f -", description: "Check what another program prints" }
  ])
)
