import { Duration, Schema } from "effect"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import { type EncodedWriterConfig, WriterConfig } from "../../writer/config.ts"
import type { KubeObject } from "../kube.ts"
import { deadLetterPrefix } from "./dead-letter-stream.ts"
import { childLabels, hashOf, type Owner, ownerReference, writerName } from "./names.ts"
import { natsConfig } from "./nats.ts"

/** Whole milliseconds: a spec may be finer, the writer's timers are not. Rounded up, so that no bound is undercut. */
const millis = (duration: Duration.Duration) => Math.ceil(Duration.toMillis(duration))

/** Key of the ConfigMap and name of the mounted file. */
export const ConfigFile = "config.json"

/** Where Secrets are mounted, seen from the folder of {@link ConfigFile}. */
export const PostgresSecretPath = "../postgres"
export const PasswordSecretPath = "../postgres-password"
const postgresCaPath = "../postgres-ca"
const postgresClientPath = "../postgres-client"

type PostgresTlsSpec = NonNullable<EventStreamSpec["target"]["postgres"]["tls"]>
type PostgresTls = NonNullable<WriterConfig["target"]["postgres"]["tls"]>

const postgresTls = ({ mode, caSecretRef, clientSecretRef }: PostgresTlsSpec): PostgresTls => ({
  ...(mode === undefined ? {} : { mode }),
  ...(caSecretRef === undefined ? {} : { caFile: `${postgresCaPath}/${caSecretRef.key}` }),
  ...(clientSecretRef === undefined
    ? {}
    : {
        certFile: `${postgresClientPath}/${clientSecretRef.certKey}`,
        keyFile: `${postgresClientPath}/${clientSecretRef.keyKey}`
      })
})

const postgresConfig = (spec: EventStreamSpec): WriterConfig["target"]["postgres"] => {
  const { secretRef, passwordSecretRef, host, database, user, port, tls, statementTimeout, lockTimeout } =
    spec.target.postgres
  return {
    ...(secretRef === undefined ? {} : { secretDirectory: PostgresSecretPath, secretName: secretRef.name }),
    uriKey: secretRef?.uriKey ?? "uri",
    ...(host === undefined ? {} : { host }),
    port,
    ...(database === undefined ? {} : { database }),
    ...(user === undefined ? {} : { user }),
    ...(passwordSecretRef === undefined ? {} : { passwordFile: `${PasswordSecretPath}/${passwordSecretRef.key}` }),
    ...(tls === undefined ? {} : { tls: postgresTls(tls) }),
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

type JsonSpec = NonNullable<EventStreamSpec["processor"]["json"]>

/** Fields of a route have no defaults in the spec: they are filled in here. */
const jsonConfig = ({ routes, ...json }: JsonSpec): NonNullable<WriterConfig["processor"]["json"]> => ({
  ...json,
  conflictKeys: json.conflictKeys ?? [],
  ...(routes === undefined
    ? {}
    : {
        routes: routes.map((route) => ({
          ...route,
          onUnknownField: route.onUnknownField ?? "Ignore",
          mode: route.mode ?? "Append",
          conflictKeys: route.conflictKeys ?? []
        }))
      })
})

export const processorConfig = (spec: EventStreamSpec): WriterConfig["processor"] => ({
  type: spec.processor.type,
  ...(spec.processor.output === undefined ? {} : { output: spec.processor.output }),
  ...(spec.processor.storeRaw ? { storeRaw: true } : {}),
  ...(spec.processor.ocsf === undefined ? {} : { ocsf: spec.processor.ocsf }),
  skipSubjects: spec.processor.skipSubjects ?? [],
  ...capturedSubjects(spec),
  ...(spec.processor.json === undefined ? {} : { json: jsonConfig(spec.processor.json) })
})

/** What `target` says about the processor's tables. */
export const tableOptions = ({ target }: EventStreamSpec) => ({
  schema: target.schema,
  ...(target.timeseries?.chunkInterval === undefined
    ? {}
    : { chunkIntervalMillis: millis(target.timeseries.chunkInterval) }),
  ...(target.timeseries?.timeColumn === undefined ? {} : { timeColumn: target.timeseries.timeColumn })
})

const deadLetterConfig = (owner: Owner, { errors }: EventStreamSpec): WriterConfig["errors"]["deadLetter"] => {
  const { maxAge, redactHeaders, payload, publish } = errors.deadLetter
  return {
    maxAgeMillis: millis(maxAge),
    redactHeaders: redactHeaders ?? [],
    payload,
    ...(publish === undefined ? {} : { publish: { subjectPrefix: deadLetterPrefix(owner, publish) } })
  }
}

const chunkPolicies = ({ target }: EventStreamSpec): Pick<WriterConfig["target"], "chunkPolicies"> => {
  const { compressAfter, segmentBy, orderBy, dropAfter } = target.timeseries ?? {}
  if (compressAfter === undefined && dropAfter === undefined) return {}
  return {
    chunkPolicies: {
      ...(compressAfter === undefined ? {} : { compressAfterMillis: millis(compressAfter) }),
      ...(segmentBy === undefined ? {} : { segmentBy }),
      ...(orderBy === undefined ? {} : { orderBy }),
      ...(dropAfter === undefined ? {} : { dropAfterMillis: millis(dropAfter) })
    }
  }
}

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
      ddl: target.ddl,
      ...tableOptions(spec),
      ...chunkPolicies(spec)
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
      backoffMaxMillis: millis(errors.backoff.max),
      haltThreshold: {
        percent: errors.haltThreshold.percent,
        windowMillis: millis(errors.haltThreshold.window),
        minMessages: errors.haltThreshold.minMessages
      },
      deadLetter: deadLetterConfig(owner, spec)
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
  hashOf([
    config,
    target.postgres.secretRef?.name,
    target.postgres.passwordSecretRef?.name,
    target.postgres.tls?.caSecretRef?.name,
    target.postgres.tls?.clientSecretRef?.name
  ])

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
