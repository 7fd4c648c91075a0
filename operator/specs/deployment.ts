import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { KubeObject } from "../kube.ts"
import { ConfigFile, configMapName } from "./configmap.ts"
import {
  childLabels,
  ConfigHashAnnotation,
  OperatorAnnotation,
  type Owner,
  ownerReference,
  selectorLabels,
  withAppliedHash,
  writerName
} from "./names.ts"
import { natsVolumes } from "./nats.ts"

/** Settings of the operator that writers get. */
export interface WriterDefaults {
  /** Image of the writers where the spec names none. */
  readonly image: string
  /** EVENTSTREAM_HOSTS of the operator itself, passed on; unset in a cluster. */
  readonly hosts: string | undefined
  /** `<namespace>/<name>` of the operator's Lease; unset where it has none. */
  readonly operator?: string
}

const configPath = "/etc/eventstream/config"
const postgresPath = "/etc/eventstream/postgres"
const passwordPath = "/etc/eventstream/postgres-password"
const caPath = "/etc/eventstream/postgres-ca"
const clientPath = "/etc/eventstream/postgres-client"

const defined = (fields: object) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** A lost node's writers are replaced after 30 s instead of Kubernetes' 300 s; two at once do no harm. */
const lostNode = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map((key) => ({
  key,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 30
}))

/**
 * Writers stand on different nodes where there are several. `pod-template-hash` lets each rollout count only its own Pods:
 * by those of the old one, which are about to go, the new ones would end up askew.
 */
const spread = (name: string) => [
  {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: selectorLabels(name) },
    matchLabelKeys: ["pod-template-hash"]
  }
]

const secretVolumes = (spec: EventStreamSpec) => {
  const { secretRef, passwordSecretRef, tls } = spec.target.postgres
  return [
    ...(secretRef ? [{ name: "postgres", secret: secretRef.name, path: postgresPath }] : []),
    ...(passwordSecretRef ? [{ name: "postgres-password", secret: passwordSecretRef.name, path: passwordPath }] : []),
    ...(tls?.caSecretRef ? [{ name: "postgres-ca", secret: tls.caSecretRef.name, path: caPath }] : []),
    ...(tls?.clientSecretRef ? [{ name: "postgres-client", secret: tls.clientSecretRef.name, path: clientPath }] : [])
  ]
}

const container = (command: "migrate" | "writer", spec: EventStreamSpec, defaults: WriterDefaults) => ({
  name: command,
  image: spec.writer.image ?? defaults.image,
  ...defined({ imagePullPolicy: spec.writer.imagePullPolicy, resources: spec.writer.resources }),
  args: [command, "--config", `${configPath}/${ConfigFile}`],
  env: [
    // A batch's short-lived objects fit; with more room V8 keeps a third more memory and is no faster (measured).
    { name: "NODE_OPTIONS", value: "--max-semi-space-size=16" },
    ...(defaults.hosts === undefined ? [] : [{ name: "EVENTSTREAM_HOSTS", value: defaults.hosts }])
  ],
  // The last log line says why a container gave up; it becomes a condition's message.
  terminationMessagePolicy: "FallbackToLogsOnError",
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] }
  },
  volumeMounts: [
    { name: "config", mountPath: configPath, readOnly: true },
    ...[...secretVolumes(spec), ...(command === "writer" ? natsVolumes(spec) : [])].map(({ name, path }) => ({
      name,
      mountPath: path,
      readOnly: true
    }))
  ]
})

const probe = (path: string, fields: object) => ({ httpGet: { path, port: "metrics" }, ...fields })

/** The writers: `migrate` makes the tables, then `writer` runs. Only a changed configuration or Pod setting is a rollout. */
export const deployment = (
  owner: Owner,
  spec: EventStreamSpec,
  configHash: string,
  replicas: number,
  defaults: WriterDefaults
): KubeObject => {
  const { writer } = spec
  return withAppliedHash({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: writerName(owner.name),
      namespace: owner.namespace,
      labels: childLabels(owner.name),
      ...(defaults.operator === undefined ? {} : { annotations: { [OperatorAnnotation]: defaults.operator } }),
      ownerReferences: [ownerReference(owner)]
    },
    spec: {
      replicas,
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorLabels(owner.name) },
      // A new writer is ready before an old one stops; the ledger keeps them from writing a message twice.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: { ...writer.podLabels, ...childLabels(owner.name) },
          annotations: { ...writer.podAnnotations, [ConfigHashAnnotation]: configHash }
        },
        spec: {
          serviceAccountName: writerName(owner.name),
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: writer.terminationGracePeriodSeconds,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
          ...defined({ imagePullSecrets: writer.imagePullSecrets, nodeSelector: writer.nodeSelector }),
          tolerations: [...(writer.tolerations ?? []), ...lostNode],
          topologySpreadConstraints: spread(owner.name),
          initContainers: [container("migrate", spec, defaults)],
          containers: [
            {
              ...container("writer", spec, defaults),
              ports: [{ name: "metrics", containerPort: 9464, protocol: "TCP" }],
              livenessProbe: probe("/healthz", { periodSeconds: 10, failureThreshold: 6 }),
              readinessProbe: probe("/readyz", { periodSeconds: 5 })
            }
          ],
          volumes: [
            { name: "config", configMap: { name: configMapName(owner, configHash) } },
            // Optional: without its Secret a container starts, says what is missing and ends, where a Pod would only hang.
            ...secretVolumes(spec).map(({ name, secret }) => ({
              name,
              secret: { secretName: secret, optional: true }
            })),
            ...natsVolumes(spec).map(({ name, source }) => ({ name, ...source }))
          ]
        }
      }
    }
  })
}
