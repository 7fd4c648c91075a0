import type { Message, Outcome } from "./processor.ts"

/** Decides by its subject what becomes of a message before it is decoded; `undefined`: it is to be processed. */
export type Route = (message: Message) => Outcome | undefined

type Matches = (subject: string) => boolean

/** Whether a NATS subject matches a filter: `*` stands for one token, a last `>` for one or more. */
const matcher = (filter: string): Matches => {
  const tokens = filter.split(".")
  const open = tokens.at(-1) === ">"
  const fixed = open ? tokens.slice(0, -1) : tokens
  return (subject) => {
    const given = subject.split(".")
    if (open ? given.length <= fixed.length : given.length !== fixed.length) return false
    return fixed.every((token, i) => token === "*" || token === given[i])
  }
}

/** Whether a subject matches one of the filters; without filters any does. */
export const matchesAny = (filters: ReadonlyArray<string>): Matches => {
  const matchers = filters.map(matcher)
  return (subject) => matchers.length === 0 || matchers.some((matches) => matches(subject))
}

/** Subject that a message was published to: JetStream names it in a header of republished and mirrored messages. */
export const publishedSubject = (message: Message): string => message.header("Nats-Subject") || message.subject

const skipped: Outcome = { _tag: "Dropped", reason: "skipped_subject" }
const unroutable: Outcome = { _tag: "DeadLetter", reason: "unroutable_subject" }

/**
 * @param subjects filters of what the processor understands, with or without one token in front that names a namespace;
 *   `undefined`: any subject
 * @param skipSubjects filters of messages to drop
 */
export const makeRoute = (subjects: ReadonlyArray<string> | undefined, skipSubjects: ReadonlyArray<string>): Route => {
  const known = subjects?.map(matcher)
  const skip = skipSubjects.map(matcher)
  const decide = (subject: string): Outcome | undefined => {
    if (skip.some((matches) => matches(subject))) return skipped
    if (known === undefined) return undefined
    const behindNamespace = subject.slice(subject.indexOf(".") + 1)
    return known.some((matches) => matches(subject) || matches(behindNamespace)) ? undefined : unroutable
  }

  // Neighbours in a stream mostly share their subject.
  let lastSubject: string | undefined
  let lastDecision: Outcome | undefined
  return (message) => {
    const subject = publishedSubject(message)
    if (subject !== lastSubject) {
      lastDecision = decide(subject)
      lastSubject = subject
    }
    return lastDecision
  }
}
