import type { JsonConfig } from "../processor-config.ts"
import type { TableOptions } from "../tables/mapped.ts"
import { isComplete, jsonRoutes, mappedTable } from "../tables/mapped.ts"
import type { Table } from "../tables/table.ts"
import { readers } from "./json-formats.ts"
import { makeRowMapper } from "./json-row.ts"
import type { Message, Outcome, Processor, RowSink } from "./processor.ts"
import { matchesAny, publishedSubject } from "./routing.ts"

type Handler = (message: Message, sink: RowSink) => Outcome

const skipped: Outcome = { _tag: "Dropped", reason: "skipped_subject" }

const unrouted: Readonly<Record<JsonConfig["onNoRoute"], Outcome>> = {
  DeadLetter: { _tag: "DeadLetter", reason: "unroutable_subject" },
  Drop: { _tag: "Dropped", reason: "unroutable_subject" },
  Halt: { _tag: "DeadLetter", reason: "unroutable_subject", halt: "processor.json.onNoRoute" }
}

/** JSON objects become rows of tables of the user's own. The configuration must be free of faults. */
export const makeJson = (config: JsonConfig, options: TableOptions, skipSubjects: ReadonlyArray<string>): Processor => {
  const tables: Array<Table> = []
  const routes = jsonRoutes(config).map(({ subjects, mapping }) => {
    const matches = matchesAny(subjects)
    if (mapping === undefined || !isComplete(mapping)) return { matches, handle: () => skipped }
    const rows = makeRowMapper(mapping, options, tables.length)
    tables.push(mappedTable(mapping, options))
    return { matches, handle: readers[config.format](rows) }
  })
  const isSkipped = skipSubjects.length === 0 ? () => false : matchesAny(skipSubjects)
  const noRoute = () => unrouted[config.onNoRoute]
  const handlerOf = (subject: string): Handler =>
    isSkipped(subject) ? () => skipped : (routes.find(({ matches }) => matches(subject))?.handle ?? noRoute)

  // Neighbours in a stream mostly share their subject.
  let lastSubject: string | undefined
  let lastHandler: Handler = noRoute
  return {
    tables,
    process: (message, sink) => {
      const subject = publishedSubject(message)
      if (subject !== lastSubject) {
        lastHandler = handlerOf(subject)
        lastSubject = subject
      }
      return lastHandler(message, sink)
    }
  }
}
