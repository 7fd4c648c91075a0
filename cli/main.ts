import { command as local } from "./local.ts"
import { command as migrate } from "./migrate.ts"
import { command as operator } from "./operator.ts"
import { command as preview } from "./preview.ts"
import { command as replay } from "./replay.ts"
import { run } from "./run.ts"
import { command as validate } from "./validate.ts"
import { command as writer } from "./writer.ts"

// Every command is one file of this folder, and loads what it needs only when it runs.
run([local, migrate, operator, preview, replay, validate, writer])
