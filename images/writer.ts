import { command as migrate } from "../cli/migrate.ts"
import { command as replay } from "../cli/replay.ts"
import { run } from "../cli/run.ts"
import { command as writer } from "../cli/writer.ts"

// Program of the image `writer`: what the containers of a writer Pod run, one after the other; and a replay, beside them.
run([migrate, replay, writer])
