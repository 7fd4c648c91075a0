import { Effect, Schema } from "effect"

/**
 * The part of a Pod's specification that the Pod runner acts on, with the API server's defaults: the in-memory API gives none.
 * Source of names and defaults: Kubernetes core/v1.
 */

const withDefault = <T, E>(schema: Schema.Codec<T, E>, value: E) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

const EnvVar = Schema.Struct({ name: Schema.String, value: withDefault(Schema.String, "") })

const Probe = Schema.Struct({
  httpGet: Schema.Struct({ path: withDefault(Schema.String, "/") }),
  initialDelaySeconds: withDefault(Schema.Number, 0),
  periodSeconds: withDefault(Schema.Number, 10),
  timeoutSeconds: withDefault(Schema.Number, 1),
  successThreshold: withDefault(Schema.Number, 1),
  failureThreshold: withDefault(Schema.Number, 3)
})
export type Probe = typeof Probe.Type

const Container = Schema.Struct({
  name: Schema.String,
  image: withDefault(Schema.String, ""),
  /** Unset: the image's entry point. */
  command: withDefault(Schema.Array(Schema.String), []),
  args: withDefault(Schema.Array(Schema.String), []),
  env: withDefault(Schema.Array(EnvVar), []),
  volumeMounts: withDefault(Schema.Array(Schema.Struct({ name: Schema.String, mountPath: Schema.String })), []),
  readinessProbe: Schema.optionalKey(Probe),
  livenessProbe: Schema.optionalKey(Probe),
  terminationMessagePolicy: withDefault(Schema.Literals(["File", "FallbackToLogsOnError"]), "File")
})
export type Container = typeof Container.Type

const optionalSource = withDefault(Schema.Boolean, false)

const Volume = Schema.Struct({
  name: Schema.String,
  configMap: Schema.optionalKey(Schema.Struct({ name: Schema.String, optional: optionalSource })),
  secret: Schema.optionalKey(Schema.Struct({ secretName: Schema.String, optional: optionalSource })),
  emptyDir: Schema.optionalKey(Schema.Struct({}))
})
export type Volume = typeof Volume.Type

export const PodSpec = Schema.Struct({
  nodeName: Schema.optionalKey(Schema.String),
  initContainers: withDefault(Schema.Array(Container), []),
  containers: Schema.Array(Container),
  volumes: withDefault(Schema.Array(Volume), []),
  terminationGracePeriodSeconds: withDefault(Schema.Number, 30)
})
export type PodSpec = typeof PodSpec.Type

export const decodePodSpec = Schema.decodeUnknownEffect(PodSpec)
