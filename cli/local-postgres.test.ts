import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tempDirectory } from "../testing/servers.ts"
import { withPassword } from "./local-postgres.ts"

const url = "postgresql://app@db:5432/app?sslmode=require"

describe("the database of `local`", () => {
  it.effect("has its password from a file, else from PGPASSWORD, else none", () =>
    Effect.gen(function* () {
      const file = join(yield* tempDirectory("eventstream-password-"), "password")
      writeFileSync(file, "p@ss/word%\n")
      const inFile = "postgresql://app:p%40ss%2Fword%25@db:5432/app?sslmode=require"
      assert.strictEqual(yield* withPassword(url, file, { PGPASSWORD: "other" }), inFile)
      assert.strictEqual(
        yield* withPassword(url, undefined, { PGPASSWORD: "other" }),
        url.replace("app@", "app:other@")
      )
      assert.strictEqual(yield* withPassword(url, undefined, {}), url)
    }).pipe(Effect.scoped)
  )

  it.effect.each<[string, string, string | undefined, string]>([
    ["a password in the URL", "postgresql://app:s3cr3t@db/app", undefined, "PGPASSWORD or --postgres-password-file"],
    [
      "a password in its query",
      "postgresql://app@db/app?password=s3cr3t",
      undefined,
      "every user of this machine can see"
    ],
    ["a file that is not there", url, "/nowhere/password", "/nowhere/password, found no such file"]
  ])("refuses %s", ([, text, file, expected]) =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(withPassword(text, file, {}))
      assert.include(message, expected)
      assert.notInclude(message, "s3cr3t")
    })
  )
})
