import { Effect, Layer, Runtime, Schema, SchemaIssue } from "effect"
import { parseHosts } from "../../platform/hosts.ts"
import { layer as logLayer, logFatal } from "../../platform/log.ts"
import { ReplayConfig } from "../config.ts"
import { readConfiguration } from "../config-file.ts"
import { configuredProcessor } from "../configured-processor.ts"
import type { Environment } from "../environment.ts"
import { storeLayer } from "../store/layer.ts"
import { runReplay } from "./run.ts"

/** The replay could not be carried out. The log has said why already. */
export class ReplayNotRun extends Schema.TaggedError<ReplayNotRun>()("ReplayNotRun", { reason: Schema.String }) {
  override readonly [Runtime.errorReported] = false
}

const fail = (reason: string) => (error: { readonly message: string }) =>
  logFatal(reason, error.message).pipe(Effect.andThen(Effect.fail(new ReplayNotRun({ reason }))))

/** Fields of {@link ReplayConfig} as given on the command line; they win over those of the configuration file. */
export type ReplayFlags = Partial<Omit<typeof ReplayConfig.Encoded, "range" | "filter">> & {
  readonly range: Partial<NonNullable<(typeof ReplayConfig.Encoded)["range"]>>
  readonly filter: Partial<NonNullable<(typeof ReplayConfig.Encoded)["filter"]>>
}

const decode = Schema.decodeUnknownEffect(ReplayConfig, { errors: "all", onExcessProperty: "error" })
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** The replay that is asked for, with every mistake in it at once. */
export const replayConfig = (
  configured: ReplayConfig | undefined,
  flags: ReplayFlags
): Effect.Effect<ReplayConfig, { readonly message: string }> =>
  decode({
    ...configured,
    ...flags,
    range: { ...configured?.range, ...flags.range },
    filter: { ...configured?.filter, ...flags.filter }
  }).pipe(
    Effect.mapError(({ issue }) => ({
      message: issuesOf(issue)
        .issues.map(({ path, message }) => `replay.${(path ?? []).map(String).join(".")}: ${message}`)
        .join("; ")
    })),
    Effect.flatMap((replay) => {
      const mistake = mistakeOf(replay)
      return mistake === undefined ? Effect.succeed(replay) : Effect.fail({ message: mistake })
    })
  )

/** What a replay must not ask for. */
const mistakeOf = ({ from, range, filter }: ReplayConfig): string | undefined => {
  const { startSequence, endSequence, startTime, endTime } = range
  if (from === "Stream" && startSequence === undefined && startTime === undefined) {
    return "replay.range: wanted startSequence or startTime, found neither; from Stream every message of the range is written again, so say where it begins"
  }
  if (from === "Stream" && filter.reasons.length > 0) {
    return "replay.filter.reasons: only dead letters have reasons; leave it out, or replay from DeadLetter"
  }
  if (startSequence !== undefined && endSequence !== undefined && startSequence > endSequence) {
    return `replay.range: wanted startSequence up to endSequence, found ${startSequence} and ${endSequence}`
  }
  if (startTime !== undefined && endTime !== undefined && Date.parse(startTime) > Date.parse(endTime)) {
    return `replay.range: wanted startTime up to endTime, found ${startTime} and ${endTime}`
  }
  return undefined
}

/**
 * The command `replay`: runs to completion, configured like the writer of the EventStream. Ends with {@link ReplayNotRun} after a
 * last log line that says what to change; killed, the same command goes on where it was.
 */
export const launchReplay = (options: {
  readonly config: string | undefined
  readonly environment: Environment
  readonly flags: ReplayFlags
}) =>
  Effect.gen(function* () {
    const { config: file, environment, flags } = options
    const config = yield* readConfiguration(file, environment).pipe(Effect.catch(fail("InvalidConfiguration")))
    const replay = yield* replayConfig(config.replay, flags).pipe(Effect.catch(fail("InvalidConfiguration")))
    const hosts = parseHosts(environment["EVENTSTREAM_HOSTS"])
    const { namespace, name } = config.eventStream
    const processor = yield* configuredProcessor(config, hosts).pipe(Effect.catch((error) => fail(error.reason)(error)))
    const store = storeLayer({
      postgres: config.target.postgres,
      schema: config.target.schema,
      tables: processor.tables,
      eventStream: config.eventStream,
      hosts
    })
    yield* Effect.scoped(runReplay({ config, replay, processor, hosts })).pipe(
      Effect.provide(Layer.fresh(store)),
      Effect.catchTags({
        ReplayChanged: fail("ReplayChanged"),
        ReplayFailed: fail("ReplayFailed"),
        RangeUnreadable: fail("RangeUnreadable"),
        ConsumerUnavailable: fail("ConsumerError"),
        NatsUnavailable: fail("NatsUnreachable")
      }),
      Effect.catchDefect((defect) =>
        fail("InternalError")({ message: defect instanceof Error ? (defect.stack ?? defect.message) : String(defect) })
      ),
      Effect.annotateLogs({ namespace, eventstream: name }),
      Effect.provide(logLayer(config.logLevel))
    )
  }).pipe(Effect.provide(logLayer("info")))
