/**
 * Named places where a test can have the process killed, as a crash there would: the variable EVENTSTREAM_FAILPOINT holds
 * `name` or `name:3` (the third time it is reached). Inert unless the variable is set.
 */

export type Failpoint =
  /** All row data is sent, the end of the last COPY is not: the transaction can't commit. */
  | "rows-before-commit"
  /** The transaction is committed, nothing is acked. */
  | "commit-before-ack"
  /** Some acks of the batch are handed to the connection, not all are flushed. */
  | "ack-flush"
  /** Dead letters are published, and not marked as such. */
  | "relay-before-mark"
  /** Messages of a replay are committed, how far it came is not saved. */
  | "replay-before-save"

const [armed, count] = (process.env["EVENTSTREAM_FAILPOINT"] ?? "").split(":")
let left = Number(count ?? "1")

/** Whether the process is to die at this place now; counts the visit. For places where something has to be held back first. */
export const due = (name: Failpoint): boolean => name === armed && --left === 0

export const die = (): void => {
  process.kill(process.pid, "SIGKILL")
}

/** Kills the process if a test asked for it here. */
export const hit = (name: Failpoint): void => {
  if (due(name)) die()
}
