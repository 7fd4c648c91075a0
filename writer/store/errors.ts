import { Schema } from "effect"

/**
 * Why the store could not do what was asked. Messages and fields may be logged, except {@link RowRefused.rowData}, which
 * belongs into a dead letter only.
 */

/** The database can't be reached or is busy: the same request may succeed later. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  reason: Schema.Literals(["TargetUnreachable", "TargetBusy"]),
  /** Null when the failure was seen by the client: no connection, no answer in time. */
  sqlstate: Schema.NullOr(Schema.String),
  detail: Schema.String,
  /** A smaller batch may succeed where this one did not (statement timeout). */
  shrink: Schema.Boolean
}) {
  override get message() {
    return `wanted the database to answer, found: ${this.detail}`
  }
}

/** Nothing can be written until a person changes something; never a reason for a dead letter. */
export class DatabaseMisconfigured extends Schema.TaggedError<DatabaseMisconfigured>()("DatabaseMisconfigured", {
  reason: Schema.Literals(["SchemaMismatch", "PermissionDenied", "LoginFailed", "TargetFull", "TargetUnreachable"]),
  sqlstate: Schema.NullOr(Schema.String),
  /** A sentence: what was wanted, what was found, what to do. */
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The database refuses a row of the batch, and will refuse it again. */
export class RowRefused extends Schema.TaggedError<RowRefused>()("RowRefused", {
  sqlstate: Schema.String,
  /** The server's message with table, column and constraint; no values of the row. */
  detail: Schema.String,
  /** The server's detail, which quotes values of the row. */
  rowData: Schema.NullOr(Schema.String),
  /** The refusal may pass (a foreign key's row that is not there yet): try `errors.maxAttempts` times. */
  mayPass: Schema.Boolean,
  /** Index in the batch of the delivery the server pointed at; null when it named none. */
  suspect: Schema.NullOr(Schema.Number)
}) {
  override get message() {
    return `the database refused a row: ${this.sqlstate} ${this.detail}`
  }
}

/** Something of the batch has an outcome already, or the lane's head row changed. Nothing was written: read coverage again. */
export class LedgerConflict extends Schema.TaggedError<LedgerConflict>()("LedgerConflict", {
  lane: Schema.Number
}) {
  override get message() {
    return `a message of the batch already has an outcome in lane ${this.lane}`
  }
}

/** The database has no lane for this EventStream, but its durable was read before: starting there would lose messages. */
export class LaneMissing extends Schema.TaggedError<LaneMissing>()("LaneMissing", {
  namespace: Schema.String,
  name: Schema.String,
  incarnation: Schema.String
}) {
  override get message() {
    return (
      `wanted the lane of ${this.namespace}/${this.name} (stream incarnation ${this.incarnation}) in eventstream_lane, found none, ` +
      `while its consumer was read before; a new consumer from the start policy is needed`
    )
  }
}

/** What any use of the database may fail with. */
export type DatabaseError = DatabaseUnavailable | DatabaseMisconfigured
