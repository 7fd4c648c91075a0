import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"

const flags = {
  config: Flag.String("config").pipe(
    Flag.withDescription(
      "JSON file with the configuration of the EventStream's writer. Unset: the variables EVENT_WRITER_*. The flags below win over its field replay."
    ),
    Flag.optional
  ),
  id: Flag.String("id").pipe(
    Flag.withDescription(
      "Name of the replay. The same id again goes on where it was interrupted, and does nothing when it had ended."
    ),
    Flag.optional
  ),
  from: Flag.Literals("from", ["DeadLetter", "Stream"]).pipe(
    Flag.withDescription(
      "DeadLetter (default): messages of eventstream_dead_letter, with the mapping of now. Stream: a range of the stream; its rows are written again, as new rows or by the table's conflict rule."
    ),
    Flag.optional
  ),
  startSequence: Flag.Int("start-sequence").pipe(Flag.withDescription("First stream sequence."), Flag.optional),
  endSequence: Flag.Int("end-sequence").pipe(Flag.withDescription("Last stream sequence."), Flag.optional),
  startTime: Flag.String("start-time").pipe(Flag.withDescription("First publish time, RFC 3339."), Flag.optional),
  endTime: Flag.String("end-time").pipe(Flag.withDescription("Last publish time, RFC 3339."), Flag.optional),
  subject: Flag.String("subject").pipe(
    Flag.withDescription("Only messages of this subject, exact or wildcard; may be given several times."),
    Flag.atLeast(0)
  ),
  reason: Flag.String("reason").pipe(
    Flag.withDescription("Only dead letters of this reason, e.g. missing_field:id or missing_field; may be repeated."),
    Flag.atLeast(0)
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Write nothing, and say what would happen."),
    Flag.optional
  ),
  maxPerSecond: Flag.Int("max-per-second").pipe(
    Flag.withDescription("Most messages per second, to spare the database."),
    Flag.optional
  ),
  onSuccess: Flag.Literals("on-success", ["Remove", "Keep"]).pipe(
    Flag.withDescription("Remove (default): a dead letter is deleted together with the commit that writes its rows."),
    Flag.optional
  )
}

/** An object with the fields that were given. */
const given = <T extends Readonly<Record<string, Option.Option<unknown>>>>(fields: T) =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value]] : []))
  ) as { -readonly [K in keyof T]?: T[K] extends Option.Option<infer A> ? A : never }

export const command = Command.make("replay", flags, (input) =>
  Effect.gen(function* () {
    const { launchReplay } = yield* Effect.promise(() => import("../writer/replay/launch.ts"))
    const { id, from, dryRun, maxPerSecond, onSuccess } = input
    const { startSequence, endSequence, startTime, endTime } = input
    yield* launchReplay({
      config: Option.getOrUndefined(input.config),
      environment: process.env,
      flags: {
        ...given({ id, from, dryRun, maxPerSecond, onSuccess }),
        range: given({ startSequence, endSequence, startTime, endTime }),
        filter: {
          ...(input.subject.length > 0 ? { subjects: input.subject } : {}),
          ...(input.reason.length > 0 ? { reasons: input.reason } : {})
        }
      }
    })
  })
).pipe(
  Command.withDescription(
    "Write dead letters, or a range of the stream, once more; each message once per replay, however often it is interrupted."
  ),
  Command.withExamples([
    {
      command: "eventstream replay --config config.json --id fix-1 --reason missing_field:id --dry-run",
      description: "What would become of these dead letters now"
    },
    {
      command: "eventstream replay --config config.json --id fix-1 --max-per-second 1000",
      description: "All dead letters, gently"
    },
    {
      command:
        "eventstream replay --config config.json --id may-2 --from Stream --start-time 2026-05-02T00:00:00Z --end-time 2026-05-02T23:59:59Z",
      description:
        "One day of the stream into its table once more; delete that day's rows before where rows are appended"
    }
  ])
)
