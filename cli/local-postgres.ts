import { Effect, Schema } from "effect"
import { existsSync, readFileSync } from "node:fs"

/** The database of `eventstream local --postgres` is not said well enough, or too loudly. The message holds no password. */
export class PostgresFlagInvalid extends Schema.TaggedError<PostgresFlagInvalid>()("PostgresFlagInvalid", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

const invalid = (detail: string) => Effect.fail(new PostgresFlagInvalid({ detail }))

/**
 * The URL with the password of a file, else of PGPASSWORD; without one when neither is given. A URL that holds a password is
 * refused: every user of the machine sees the arguments of its processes.
 */
export const withPassword = (
  text: string,
  passwordFile: string | undefined,
  environment: Readonly<Record<string, string | undefined>>
): Effect.Effect<string, PostgresFlagInvalid> => {
  const url = new URL(text)
  if (url.password !== "" || url.searchParams.has("password")) {
    return invalid(
      "wanted --postgres without a password, found one, which every user of this machine can see; " +
        "change the password, and give it by PGPASSWORD or --postgres-password-file"
    )
  }
  if (passwordFile !== undefined && !existsSync(passwordFile)) {
    return invalid(`wanted the database password in file ${passwordFile}, found no such file`)
  }
  const password =
    passwordFile === undefined ? environment["PGPASSWORD"] : readFileSync(passwordFile, "utf8").replace(/\r?\n$/, "")
  if (password) url.password = encodeURIComponent(password)
  return Effect.succeed(url.href)
}
