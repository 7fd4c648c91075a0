import { Console, Effect, Result, Runtime, Schema, Stdio, Stream } from "effect"
import { Command } from "effect/cli"

/** Lines could not be read; they have been reported. */
class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {}) {
  override readonly [Runtime.errorReported] = false
}

export const command = Command.make(
  "preview",
  {},
  Effect.fnUntraced(function* () {
    const { previewLine } = yield* Effect.promise(() => import("./preview-line.ts"))
    const { stdin } = yield* Stdio.Stdio
    let number = 0
    let unreadable = false
    yield* stdin.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.runForEach((line) => {
        number++
        if (line.trim() === "") return Effect.void
        const previewed = previewLine(line, number, Date.now() * 1000)
        if (Result.isSuccess(previewed)) return Console.log(previewed.success)
        unreadable = true
        return Console.error(`line ${number}: ${previewed.failure.problem}`)
      })
    )
    if (unreadable) return yield* new Unreadable()
  })
).pipe(
  Command.withDescription(
    "Show the rows, dead letter or drop that messages on standard input would become, one JSON object per line; needs no server."
  ),
  Command.withExamples([
    {
      command: `echo '{"processor":"Telemetry","subject":"telemetry.cpu","payload":{"value":1}}' | eventstream preview`,
      description: "One message"
    }
  ])
)
