import { text } from "./field.ts"

/**
 * Texts of a form that another system sets: names, URLs, times. They are checked here and still quoted where they are used.
 */

/** PostgreSQL cuts identifiers after 63 bytes; quoted ones could hold anything, ours hold letters, digits and _. */
export const Identifier = text(
  /^[A-Za-z_][A-Za-z0-9_]{0,62}$/u,
  63,
  "an SQL identifier: letters, digits and _, not starting with a digit, at most 63 characters"
)

/** Columns with directions, as ORDER BY has them. */
export const SortOrder = text(
  /^[A-Za-z_][A-Za-z0-9_]{0,62}( (ASC|DESC))?( NULLS (FIRST|LAST))?(, [A-Za-z_][A-Za-z0-9_]{0,62}( (ASC|DESC))?( NULLS (FIRST|LAST))?)*$/u,
  512,
  "columns with directions such as time DESC, id (ASC or DESC and NULLS FIRST or LAST may follow a column)"
)

/** `table` or `schema.table`. */
export const TableName = text(
  /^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}$/u,
  127,
  "table or schema.table: letters, digits and _, each not starting with a digit and at most 63 characters"
)

/** Stream and consumer names. The server also accepts other characters, but not in a name it has to put into a subject. */
export const JetStreamName = (maxLength: number) =>
  text(/^[A-Za-z0-9_-]+$/u, maxLength, "a JetStream name: letters, digits, _ and -")

/** A subject of a stream: its first token is a name, since a wildcard there would capture JetStream's own subjects. */
export const StreamSubject = text(
  // oxlint-disable-next-line no-control-regex
  /^[^$\x00-\x20\x7f.*>][^\x00-\x20\x7f.*>]*(\.([^\x00-\x20\x7f.*>]+|\*))*(\.>)?$/u,
  255,
  "a subject such as logs.> or orders.*.created (first token a name without leading $, * a whole token, > the last token)"
)

/** What subjects begin with: whole tokens, without wildcards. */
export const SubjectPrefix = text(
  // oxlint-disable-next-line no-control-regex
  /^[^$\x00-\x20\x7f.*>][^\x00-\x20\x7f.*>]*(\.[^\x00-\x20\x7f.*>]+)*$/u,
  128,
  "a subject without wildcards such as dlq.orders (no leading $)"
)

/** A filter over subjects: as a subject of a stream, but it may start with a wildcard. */
export const SubjectFilter = text(
  // oxlint-disable-next-line no-control-regex
  /^(>|([^$\x00-\x20\x7f.*>][^\x00-\x20\x7f.*>]*|\*)(\.([^\x00-\x20\x7f.*>]+|\*))*(\.>)?)$/u,
  255,
  "a subject filter such as logs.> or *.created (no leading $, * a whole token, > the last token)"
)

/** Without user and password: those belong into a Secret. */
export const NatsUrl = text(
  /^(nats|tls):\/\/([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/u,
  512,
  "a NATS URL such as nats://nats.nats.svc:4222 or tls://nats.example.com (no user or password)"
)

/** Source: SPIFFE ID, sections 2.1 to 2.3. */
export const SpiffeId = text(
  /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/u,
  2048,
  "a SPIFFE ID such as spiffe://example.org/ns/nats/sa/nats"
)

/** A JetStream domain; it is one token of the API's subjects. */
export const JetStreamDomain = text(/^[A-Za-z0-9_-]+$/u, 64, "a JetStream domain: letters, digits, _ and -")

/** Never a path: a socket of the writer's own file system is not a database host. */
export const HostName = text(
  /^[A-Za-z0-9:]([A-Za-z0-9.:_-]*[A-Za-z0-9:])?$/u,
  253,
  "a host name or IP address such as pg-rw.demo.svc"
)

export const SecretName = text(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u,
  253,
  "a Secret's name: lower-case letters, digits, - and ."
)

export const SecretKey = text(/^[-._a-zA-Z0-9]+$/u, 253, "a Secret's key: letters, digits, -, _ and .")

export const ImageName = text(
  /^[a-zA-Z0-9][a-zA-Z0-9._:@/-]*$/u,
  512,
  "an image such as registry.example.com/eventstream-writer:0.1.0"
)

export const LabelValue = text(
  /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/u,
  63,
  "a label value: letters, digits, -, _ and ., starting and ending with a letter or digit"
)

/** Name of a route: what the field's path in a message says. */
export const RouteName = text(
  /^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$/u,
  63,
  "a name: letters, digits, _ and -, starting and ending with a letter or digit"
)

/** Where a column's value comes from. */
export const ColumnSource = text(
  // oxlint-disable-next-line no-control-regex
  /^((\/([^~/\x00]|~[01])*)+|header:[!-9;-~]+|subject(:[1-9][0-9]{0,2})?|seq|time|const:[^\x00]*)$/u,
  512,
  "a JSON pointer (/a/b), header:<name>, subject, subject:<token number from 1>, seq, time or const:<text>"
)

export const Time = text(
  /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$/u,
  40,
  "an RFC 3339 time such as 2026-01-31T00:00:00Z"
)
