/**
 * Condition types and reasons: words users script against, so none is ever renamed.
 * `Ready` is the sum; `Reconciling` and `Stalled` follow kstatus (present only while true); the others explain.
 */

export const conditionTypes = {
  Ready: "Rows flow, or could as soon as there are messages.",
  Reconciling: "The operator is still working towards the spec. Absent when done.",
  Stalled: "Nothing will change until a person acts. Absent when fine.",
  StreamReady: "The stream exists with the wanted configuration.",
  ConsumerReady: "The durable exists with the wanted configuration.",
  WriterAvailable: "At least one writer Pod is ready, or none is wanted.",
  TargetReachable: "The writers can use the database.",
  DriftDetected: "Somebody changed stream or consumer outside Kubernetes. Absent when not.",
  DeadLettering: "Messages became dead letters recently. Absent when not.",
  DataLossUpstream: "Messages were gone before they were written, noticed recently. Absent when not.",
  CertificateExpiring: "A writer's client certificate for NATS ends soon and was not renewed. Absent when not.",
  Suspended: "spec.suspend is set. Absent when not."
} as const
export type ConditionType = keyof typeof conditionTypes

export const reasons = {
  Running: "Writers are at work.",
  Idle: "Scaled to zero writers.",
  Suspended: "Suspended by the spec.",
  Progressing: "Changes are being carried out.",
  ProgressingWithRetry: "A step failed and is tried again.",
  RollingOut: "Writer Pods are being replaced.",
  ReplacingConsumer: "The durable is being replaced without loss.",
  Draining: "Writers finish what is in flight before something is removed.",

  NatsUnreachable: "No connection to NATS.",
  StreamError: "JetStream refused the stream.",
  ConsumerError: "JetStream refused the consumer.",
  WriterUnavailable: "No writer Pod is ready.",
  TargetUnreachable: "The writers cannot reach the database.",
  TargetBusy: "The database refuses work for now: locks, timeouts or too many connections.",
  TargetFull: "The database has no space left.",
  SchemaMismatch: "A table does not fit the rows.",
  Halted: "A message cannot be written and errors.onPoison is Halt.",
  HaltedByThreshold: "Most messages cannot be written: errors.haltThreshold.",

  InvalidSpec: "The spec contradicts itself or the world.",
  RefNotFound: "A Secret that the spec names does not exist or lacks a key.",
  NameConflict: "An object of the name a child needs belongs to someone else.",
  StreamConflict: "The stream belongs to another EventStream, or exists and spec.stream.adopt is not set.",
  SubjectOverlap: "A subject belongs to another stream.",
  ImmutableField: "JetStream cannot change this field of an existing stream.",
  NeedsApproval: "The change would remove messages that are not written yet.",
  UnsupportedByServer: "The NATS server does not have this feature.",
  QuotaExceeded: "A limit of the NATS account or cluster is reached.",
  PermissionDenied: "NATS, Kubernetes or the database denied access.",
  ProgressDeadlineExceeded: "Retries went on for 10 minutes without success; they continue.",

  Created: "Made by this operator.",
  UpToDate: "As the spec says.",
  Observed: "Somebody else's; only looked at.",
  NotFound: "It does not exist.",
  Replaced: "Replaced by a new one.",
  MinimumReplicas: "Enough writer Pods are ready.",
  Connected: "The writers are connected.",
  LoginFailed: "The database refused user or password.",
  TlsFailed: "TLS to the server failed.",
  TableMissing: "A table does not exist and target.ddl is None.",
  StreamEdited: "The stream was edited.",
  ConsumerEdited: "The consumer was edited.",
  MessagesLost: "Messages were gone from the stream before they had an outcome.",
  PoisonMessages: "Messages could not be written.",
  BelowThreshold: "Less time is left than identity.spiffe.warnBeforeExpiry, or 15 minutes without it.",
  Expired: "The certificate has ended; a broken connection does not come back."
} as const
export type Reason = keyof typeof reasons
