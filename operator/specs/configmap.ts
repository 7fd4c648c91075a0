import { Duration, Schema } from "effect"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import { type EncodedWriterConfig, type NatsConfig, WriterConfig } from "../../writer/config.ts"
import type { KubeObject } from "../kube.ts"
import { childLabels, hashOf, type Owner, ownerReference, writerName } from "./names.ts"

/** Whole milliseconds: a spec may be finer, the writer's timers are not. Rounded up, so that no bound is undercut. */
const millis = (duration: Duration.Duration) => Math.ceil(Duration.toMillis(duration))

/** Key of the ConfigMap and name of the mounted file. */
export const ConfigFile = "config.json"

/** Where Secrets are mounted, seen from the folder of {@link ConfigFile}. */
export const PostgresSecretPath = "../postgres"
export const PasswordSecretPath = "../postgres-password"

/** How operator and writers reach NATS. */
export const natsConfig = (spec: EventStreamSpec): NatsConfig => ({
  servers: [...spec.nats.servers],
  ...(spec.nats.jetstreamDomain === undefined ? {} : { jetstreamDomain: spec.nats.jetstreamDomain })
})

const postgresConfig = (spec: EventStreamSpec): WriterConfig["target"]["postgres"] => {
  const { secretRef, passwordSecretRef, host, database, user, port, statementTimeout, lockTimeout } =
    spec.target.postgres
  return {
    ...(secretRef === undefined ? {} : { secretDirectory: PostgresSecretPath, secretName: secretRef.name }),
    uriKey: secretRef?.uriKey ?? "uri",
    ...(host === undefined ? {} : { host }),
    port,
    ...(database === undefined ? {} : { database }),
    ...(user === undefined ? {} : { user }),
    ...(passwordSecretRef === undefined ? {} : { passwordFile: `${PasswordSecretPath}/${passwordSecretRef.key}` }),
    statementTimeoutMillis: millis(statementTimeout),
    lockTimeoutMillis: millis(lockTimeout)
  }
}

/**
 * What the EventStream captures is what its processor is to understand. An observed stream without filters may carry anything,
 * and a Json mapping takes every subject anyway.
 */
const capturedSubjects = ({ consumer, processor, stream }: EventStreamSpec) => {
  if (processor.type === "Json") return {}
  const subjects = consumer.filterSubjects?.length ? consumer.filterSubjects : stream.subjects
  return subjects?.length ? { subjects } : {}
}

export const processorConfig = (spec: EventStreamSpec): WriterConfig["processor"] => ({
  type: spec.processor.type,
  skipSubjects: spec.processor.skipSubjects ?? [],
  ...capturedSubjects(spec),
  ...(spec.processor.json === undefined
    ? {}
    : { json: { ...spec.processor.json, conflictKeys: spec.processor.json.conflictKeys ?? [] } })
})

/** What `target` says about the processor's tables. */
export const tableOptions = ({ target }: EventStreamSpec) => ({
  ...(target.timeseries?.chunkInterval === undefined
    ? {}
    : { chunkIntervalMillis: millis(target.timeseries.chunkInterval) }),
  ...(target.timeseries?.timeColumn === undefined ? {} : { timeColumn: target.timeseries.timeColumn })
})

/** A stopping writer finishes in five sixths of the grace period; the rest is for closing connections. */
const drainMillis = (graceSeconds: number) => Math.max(1_000, Math.floor((graceSeconds * 1_000 * 5) / 6))

/** What the writers of an EventStream are told. */
export const writerConfig = (
  owner: Owner,
  spec: EventStreamSpec,
  stream: string,
  consumer: string
): EncodedWriterConfig => {
  const { target, batch, errors, writer } = spec
  const config: WriterConfig = {
    eventStream: { namespace: owner.namespace, name: owner.name, uid: owner.uid },
    nats: natsConfig(spec),
    stream,
    consumer,
    processor: processorConfig(spec),
    target: {
      postgres: postgresConfig(spec),
      schema: target.schema,
      ddl: target.ddl,
      ...tableOptions(spec)
    },
    batch: {
      maxMessages: batch.maxMessages,
      maxBytes: batch.maxBytes,
      maxLatencyMillis: millis(batch.maxLatency)
    },
    errors: {
      onPoison: errors.onPoison,
      maxAttempts: errors.maxAttempts,
      backoffInitialMillis: millis(errors.backoff.initial),
      backoffMaxMillis: millis(errors.backoff.max)
    },
    http: { host: "0.0.0.0", port: 9464 },
    drainTimeoutMillis: drainMillis(writer.terminationGracePeriodSeconds),
    logLevel: writer.logLevel
  }
  return Schema.encodeSync(WriterConfig)(config)
}

/**
 * Hash of what writers run with: the configuration, and which Secrets it is completed by. It is in the ConfigMap's name, so
 * that another configuration is a rollout.
 */
export const configHash = (config: EncodedWriterConfig, { target }: EventStreamSpec) =>
  hashOf([config, target.postgres.secretRef?.name, target.postgres.passwordSecretRef?.name])

export const configMapName = (owner: Owner, hash: string) => `${writerName(owner.name)}-${hash}`

/** The configuration as an immutable object: running Pods keep theirs until the rollout reaches them. */
export const configMap = (owner: Owner, config: EncodedWriterConfig, hash: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: configMapName(owner, hash),
    namespace: owner.namespace,
    labels: childLabels(owner.name),
    ownerReferences: [ownerReference(owner)]
  },
  immutable: true,
  data: { [ConfigFile]: `${JSON.stringify(config, null, 2)}\n` }
})
