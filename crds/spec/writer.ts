import { Schema } from "effect"
import { atomicList, freeText, int, mapList, optional, required, text, withDefault } from "../field.ts"
import { ImageName, LabelValue, SecretName } from "../names.ts"

const ResourceAmount = Schema.Union([
  int(0, Number.MAX_SAFE_INTEGER),
  text(/^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/u, 32, "a quantity such as 500m, 2 or 256Mi")
])
const ResourceAmounts = Schema.Struct({
  cpu: optional(ResourceAmount, "CPU cores, e.g. 500m."),
  memory: optional(ResourceAmount, "Memory, e.g. 256Mi."),
  "ephemeral-storage": optional(ResourceAmount, "Local storage, e.g. 1Gi.")
})

/** `spec.writer`. */
export const WriterSpec = Schema.Struct({
  replicas: withDefault(
    int(0, 100),
    1,
    "Writers; target of the scale subresource. Leave out of Git when an autoscaler owns it."
  ),
  image: optional(ImageName, "Image of the writers. Unset: the one of the operator's release."),
  imagePullPolicy: optional(Schema.Literals(["Always", "IfNotPresent", "Never"]), "When the image is pulled."),
  imagePullSecrets: optional(
    mapList(Schema.Struct({ name: required(SecretName, "Name of the Secret.") }), "name", 8),
    "Secrets for pulling the image."
  ),
  resources: optional(
    Schema.Struct({
      requests: optional(ResourceAmounts, "What is reserved for a writer."),
      limits: optional(ResourceAmounts, "The most a writer may use.")
    }),
    "CPU and memory of a writer."
  ),
  podLabels: optional(
    Schema.Record(Schema.String, LabelValue).check(Schema.isMaxProperties(32)),
    "Labels added to the writer Pods."
  ),
  podAnnotations: optional(
    Schema.Record(Schema.String, Schema.String.check(Schema.isMaxCodePoints(4096))).check(Schema.isMaxProperties(32)),
    "Annotations added to the writer Pods."
  ),
  nodeSelector: optional(
    Schema.Record(Schema.String, LabelValue).check(Schema.isMaxProperties(32)),
    "Labels a node must have."
  ),
  tolerations: optional(
    atomicList(
      Schema.Struct({
        key: optional(freeText(317), "Taint key. Unset: all."),
        operator: optional(Schema.Literals(["Exists", "Equal"]), "How value is compared. Unset: Equal."),
        value: optional(LabelValue, "Taint value, with Equal."),
        effect: optional(Schema.Literals(["NoSchedule", "PreferNoSchedule", "NoExecute"]), "Taint effect. Unset: all."),
        tolerationSeconds: optional(
          int(0, Number.MAX_SAFE_INTEGER),
          "How long a NoExecute taint is tolerated. Unset: for ever."
        )
      }),
      32
    ),
    "Taints the writer Pods tolerate."
  ),
  terminationGracePeriodSeconds: withDefault(
    int(5, 3600),
    60,
    "Seconds a stopping writer has to finish and acknowledge what is in flight."
  ),
  logLevel: withDefault(
    Schema.Literals(["error", "warn", "info", "debug", "trace"]),
    "info",
    "Log level of the writers."
  )
})
