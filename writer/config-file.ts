import { Effect, Schema, SchemaIssue } from "effect"
import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { WriterConfig } from "./config.ts"
import { type Environment, readEnvironment } from "./environment.ts"

/** The configuration file can't be used; every mistake in it at once, without the values, which may be secrets. */
export class ConfigFileInvalid extends Schema.TaggedError<ConfigFileInvalid>()("ConfigFileInvalid", {
  file: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.file}: ${this.problems.join("; ")}`
  }
}

const decode = Schema.decodeUnknownResult(WriterConfig, { errors: "all", onExcessProperty: "error" })
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const problemOf = ({
  path,
  message
}: {
  readonly path?: ReadonlyArray<unknown> | undefined
  readonly message: string
}) => `${path === undefined || path.length === 0 ? "the file" : path.map(String).join(".")}: ${message}`

/** Relative paths mean the folder of the file, so that the same file works in a Pod, under `eventstream local` and by hand. */
const withAbsolutePaths = (config: WriterConfig, folder: string): WriterConfig => {
  const absolute = <T extends object>(part: T, ...keys: ReadonlyArray<keyof T>): T => {
    const copy = { ...part }
    for (const key of keys) {
      const value = part[key]
      if (typeof value === "string") copy[key] = resolve(folder, value) as T[keyof T]
    }
    return copy
  }
  const { nats, target } = config
  return {
    ...config,
    nats: {
      ...absolute(nats, "credsFile", "nkeyFile", "tokenFile", "userFile", "passwordFile"),
      ...(nats.tls ? { tls: absolute(nats.tls, "caFile", "certFile", "keyFile") } : {})
    },
    target: {
      ...target,
      postgres: {
        ...absolute(target.postgres, "secretDirectory", "passwordFile"),
        ...(target.postgres.tls ? { tls: absolute(target.postgres.tls, "caFile", "certFile", "keyFile") } : {})
      }
    }
  }
}

/** Reads a writer's configuration from a JSON file. */
export const readConfigFile = (file: string): Effect.Effect<WriterConfig, ConfigFileInvalid> =>
  Effect.suspend(() => {
    const invalid = (...problems: ReadonlyArray<string>) => Effect.fail(new ConfigFileInvalid({ file, problems }))
    let json: unknown
    try {
      json = JSON.parse(readFileSync(file, "utf8"))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return invalid(
        code === undefined ? `wanted JSON, found: ${message.replace(/"[^]*"/, "…")}` : `can't be read: ${message}`
      )
    }
    const decoded = decode(json)
    return decoded._tag === "Failure"
      ? invalid(...issuesOf(decoded.failure.issue).issues.map(problemOf))
      : Effect.succeed(withAbsolutePaths(decoded.success, dirname(resolve(file))))
  })

/** The configuration of a command: the file's, or without one that of the environment. */
export const readConfiguration = (
  file: string | undefined,
  environment: Environment
): Effect.Effect<WriterConfig, { readonly message: string }> =>
  file === undefined ? readEnvironment(environment) : readConfigFile(file)
