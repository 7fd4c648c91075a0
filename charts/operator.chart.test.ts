import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "vitest"
import { parse, stringify } from "yaml"
import { OperatorEnvironment, readOperatorConfig } from "../operator/config.ts"
import { OperatorMetrics } from "../operator/metrics.ts"
import packageJson from "../package.json" with { type: "json" }
import { serveHealth } from "../platform/health.ts"
import { Metrics } from "../platform/metrics.ts"
import { chartFolder, type Manifest, manifestsOf, refusal, render, run } from "./helm.ts"

/** What the chart eventstream-operator makes of its values. */

const chart = "eventstream-operator"
const release = { chart, release: chart, namespace: "eventstream-system" }
const rendered = (values: object) => Effect.map(render({ ...release, values }), manifestsOf)

const ofKind = (manifests: ReadonlyArray<Manifest>, kind: string) => manifests.filter((each) => each.kind === kind)
const deploymentOf = (manifests: ReadonlyArray<Manifest>) => ofKind(manifests, "Deployment")[0]!
const containerOf = (manifests: ReadonlyArray<Manifest>) => deploymentOf(manifests)["spec"].template.spec.containers[0]

interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: object
}
/** The container's environment; a variable that the Pod's name fills gets `pod` as its value. */
const environmentOf = (manifests: ReadonlyArray<Manifest>, pod: string): Record<string, string> =>
  Object.fromEntries(
    (containerOf(manifests).env as ReadonlyArray<Variable>).map(({ name, value, valueFrom }) => {
      if (valueFrom !== undefined) assert.deepEqual(valueFrom, { fieldRef: { fieldPath: "metadata.name" } })
      return [name, value ?? pod]
    })
  )

it("installs the version it has", () => {
  const { appVersion } = parse(readFileSync(join(chartFolder(chart), "Chart.yaml"), "utf8")) as { appVersion: string }
  assert.strictEqual(appVersion, packageJson.version)
})

describe("values that are refused", () => {
  const digest = "'sha256:12' does not match pattern '^(sha256:[0-9a-f]{64})?$'"
  const cases: ReadonlyArray<readonly [values: object, message: string]> = [
    [{ replicas: 3 }, "- at '': additional properties 'replicas' not allowed"],
    [{ replicaCount: 0 }, "- at '/replicaCount': minimum: got 0, want 1"],
    [{ replicaCount: "two" }, "- at '/replicaCount': got string, want integer"],
    [{ image: { tga: "1.0" } }, "- at '/image': additional properties 'tga' not allowed"],
    [{ image: { digest: "sha256:12" } }, `- at '/image/digest': ${digest}`],
    [
      { image: { repository: "eventstream/operator:1.0" } },
      "- at '/image/repository': 'eventstream/operator:1.0' does not match pattern '^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9._/-]+$'"
    ],
    [
      { image: { pullPolicy: "always" } },
      "- at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"
    ],
    [{ crds: { enabled: "yes" } }, "- at '/crds/enabled': got string, want boolean"],
    [{ logLevel: "verbose" }, "- at '/logLevel': value must be one of 'error', 'warn', 'info', 'debug', 'trace'"],
    [{ reconcile: { workers: 100 } }, "- at '/reconcile/workers': maximum: got 100, want 64"],
    [
      { reconcile: { pollInterval: "1d" } },
      String.raw`- at '/reconcile/pollInterval': '1d' does not match pattern '^(0|([0-9]{1,16}(\\.[0-9]{1,9})?(ns|us|ms|s|m|h)){1,6})$'`
    ],
    [{ watchNamespaces: "orders" }, "- at '/watchNamespaces': got string, want array"],
    [{ watchNamespaces: ["a", "b", "a"] }, "- at '/watchNamespaces': items at 0 and 2 are equal"],
    [
      { watchNamespaces: ["Orders"] },
      "- at '/watchNamespaces/0': 'Orders' does not match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
    ],
    [
      { networkPolicy: { apiServerCIDRs: ["10.0.0.1"] } },
      "- at '/networkPolicy/apiServerCIDRs/0': '10.0.0.1' does not match pattern '^[0-9a-fA-F.:]+/[0-9]{1,3}$'"
    ],
    [{ resources: { limit: { memory: "1Gi" } } }, "- at '/resources': additional properties 'limit' not allowed"],
    [{ podAnnotations: { a: 1 } }, "- at '/podAnnotations/a': got number, want string"],
    [
      { affinity: { nodeAffinity: { required: [] } } },
      "- at '/affinity/nodeAffinity': additional properties 'required' not allowed"
    ],
    [
      { replicaCount: 2, podDisruptionBudget: { maxUnavailable: 2 } },
      "podDisruptionBudget.maxUnavailable: wanted less than replicaCount (2), found 2; it would protect nothing"
    ],
    [
      { extraEnv: [{ name: "EVENTSTREAM_LOG_LEVEL", value: "debug" }] },
      "extraEnv: wanted variables that the chart does not set, found EVENTSTREAM_LOG_LEVEL; set logLevel instead"
    ],
    [
      { extraEnv: [{ name: "EVENTSTREAM_LEASE", value: "a/b" }] },
      "extraEnv: wanted variables that the chart does not set, found EVENTSTREAM_LEASE, which is fixed; leave it out"
    ],
    [
      { extraEnv: [{ name: "TZ" }, { name: "TZ" }] },
      "extraEnv: wanted each variable once, found TZ twice; leave one out"
    ]
  ]
  for (const [values, message] of cases) {
    it.live(JSON.stringify(values), () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal({ ...release, values }), message)
      })
    )
  }
})

describe("the operator's environment", () => {
  it.live("is a configuration that the operator reads", () =>
    Effect.gen(function* () {
      const manifests = yield* rendered({
        watchNamespaces: ["orders", "telemetry"],
        writerImage: { repository: "example.com:5000/writer", tag: "1.2.3" },
        logLevel: "debug",
        reconcile: { workers: 8, pollInterval: "5s", statusInterval: "1m30s" },
        extraEnv: [{ name: "TZ", value: "Europe/Zurich" }]
      })
      const environment = environmentOf(manifests, "eventstream-operator-5d8f")
      assert.strictEqual(environment["TZ"], "Europe/Zurich")
      assert.deepInclude(yield* readOperatorConfig(environment), {
        writerImage: "example.com:5000/writer:1.2.3",
        namespaces: ["orders", "telemetry"],
        election: {
          lease: { namespace: "eventstream-system", name: "eventstream-operator" },
          identity: "eventstream-operator-5d8f"
        },
        pollIntervalMillis: 5_000,
        statusIntervalMillis: 90_000,
        workers: 8,
        logLevel: "debug"
      })
    })
  )

  it.live("has no variable that the operator does not know, and its defaults", () =>
    Effect.gen(function* () {
      const environment = environmentOf(yield* rendered({}), "pod")
      const unknown = Object.keys(environment).filter((name) => !(name in OperatorEnvironment.fields))
      assert.deepEqual(unknown, [])
      const { EVENTSTREAM_WRITER_IMAGE, EVENTSTREAM_LEASE, EVENTSTREAM_IDENTITY } = environment
      const least = { EVENTSTREAM_WRITER_IMAGE, EVENTSTREAM_LEASE, EVENTSTREAM_IDENTITY }
      assert.deepEqual(yield* readOperatorConfig(environment), yield* readOperatorConfig(least))
    })
  )

  it("refuses in extraEnv whatever the chart sets or fixes", () => {
    const rules = readFileSync(join(chartFolder(chart), "templates", "_validate.tpl"), "utf8")
    const handedOn = "EVENTSTREAM_HOSTS" // other addresses for host names, which a cluster does not need
    const missing = Object.keys(OperatorEnvironment.fields).filter((name) => !rules.includes(`"${name}"`))
    assert.deepEqual(missing, [handedOn])
  })
})

describe("what is made", () => {
  const digest = `sha256:${"0123456789abcdef".repeat(4)}`

  it.live("a digest wins over a tag", () =>
    Effect.gen(function* () {
      const image = { tag: "1.2.3", digest }
      const manifests = yield* rendered({ image, writerImage: image })
      assert.strictEqual(containerOf(manifests).image, `eventstream/operator@${digest}`)
      assert.strictEqual(environmentOf(manifests, "")["EVENTSTREAM_WRITER_IMAGE"], `eventstream/writer@${digest}`)
    })
  )

  it.live("a single operator has no disruption budget, which would block every drain", () =>
    Effect.gen(function* () {
      assert.lengthOf(ofKind(yield* rendered({ replicaCount: 2 }), "PodDisruptionBudget"), 1)
      assert.lengthOf(ofKind(yield* rendered({ replicaCount: 1 }), "PodDisruptionBudget"), 0)
    })
  )

  it.live("a CustomResourceDefinition that stays, or goes where one asks for it", () =>
    Effect.gen(function* () {
      const generated = readFileSync(
        join(import.meta.dirname, "..", "crds", "eventstreams.eventstream.dev.yaml"),
        "utf8"
      )
      const annotationsOf = (crds: object) =>
        Effect.map(rendered({ crds }), (manifests) => {
          const [crd] = ofKind(manifests, "CustomResourceDefinition")
          assert.deepEqual(crd!["spec"], parse(generated).spec)
          return crd!.metadata.annotations
        })
      assert.deepEqual(yield* annotationsOf({ annotations: { team: "events" } }), {
        "argocd.argoproj.io/sync-options": "ServerSideApply=true,Prune=false,Delete=false",
        "helm.sh/resource-policy": "keep",
        team: "events"
      })
      assert.deepEqual(yield* annotationsOf({ keep: false }), {
        "argocd.argoproj.io/sync-options": "ServerSideApply=true"
      })
      assert.lengthOf(ofKind(yield* rendered({ crds: { enabled: false } }), "CustomResourceDefinition"), 0)
    })
  )

  it.live("labels and spread constraints of one's own leave the selector alone", () =>
    Effect.gen(function* () {
      const selector = { "app.kubernetes.io/name": chart, "app.kubernetes.io/instance": chart }
      const spread = { maxSkew: 1, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" }
      const own = { ...spread, topologyKey: "zone", labelSelector: { matchLabels: { team: "events" } } }
      const deployment = deploymentOf(
        yield* rendered({
          podLabels: { team: "events", "app.kubernetes.io/name": "other" },
          topologySpreadConstraints: [spread, own]
        })
      )["spec"]
      assert.deepEqual(deployment.selector.matchLabels, selector)
      assert.deepInclude(deployment.template.metadata.labels, { ...selector, team: "events" })
      assert.deepEqual(deployment.template.spec.topologySpreadConstraints, [
        { ...spread, labelSelector: { matchLabels: selector }, matchLabelKeys: ["pod-template-hash"] },
        own
      ])
    })
  )

  const roles = (values: object) =>
    Effect.map(rendered(values), (manifests) =>
      manifests
        .filter(({ apiVersion }) => apiVersion.startsWith("rbac.authorization.k8s.io/"))
        .map(({ apiVersion, kind, metadata: { name, namespace }, ...rights }) =>
          stringify({ apiVersion, kind, metadata: { name, ...(namespace && { namespace }) }, ...rights })
        )
        .join("---\n")
    )
  const golden = (name: string) => join(import.meta.dirname, "golden", name)

  it.live("rights in the whole cluster", () =>
    Effect.gen(function* () {
      const text = yield* roles({})
      yield* Effect.promise(() => expect(text).toMatchFileSnapshot(golden("operator-roles.yaml")))
    })
  )

  it.live("a right to read Secrets for NATS only where they are named, and by their names", () =>
    Effect.gen(function* () {
      const secrets = (manifests: ReadonlyArray<Manifest>) =>
        [...ofKind(manifests, "ClusterRole"), ...ofKind(manifests, "Role")]
          .flatMap((role) => (role["rules"] ?? []) as ReadonlyArray<{ readonly resources: ReadonlyArray<string> }>)
          .filter(({ resources }) => resources.some((resource) => resource === "secrets" || resource === "*"))
      assert.deepEqual(secrets(yield* rendered({})), [])
      const rule = {
        apiGroups: [""],
        resources: ["secrets"],
        resourceNames: ["nats-ca", "nats-creds"],
        verbs: ["get"]
      }
      const natsSecretNames = ["nats-ca", "nats-creds"]
      assert.deepEqual<unknown>(secrets(yield* rendered({ natsSecretNames })), [rule])
      assert.deepEqual<unknown>(secrets(yield* rendered({ natsSecretNames, watchNamespaces: ["a", "b"] })), [
        rule,
        rule
      ])
    })
  )

  it.live("a certificate of its own where one asks for it", () =>
    Effect.gen(function* () {
      const manifests = yield* rendered({ identity: { certManagerCSI: true } })
      const { EVENTSTREAM_CERTIFICATES: folder } = environmentOf(manifests, "pod")
      assert.deepEqual(containerOf(manifests).volumeMounts, [{ name: "identity", mountPath: folder, readOnly: true }])
      const [volume] = deploymentOf(manifests)["spec"].template.spec.volumes
      assert.deepEqual(volume, {
        name: "identity",
        csi: {
          driver: "spiffe.csi.cert-manager.io",
          readOnly: true,
          volumeAttributes: { "spiffe.csi.cert-manager.io/fs-group": "1000" }
        }
      })
    })
  )

  it.live("rights in some namespaces only", () =>
    Effect.gen(function* () {
      const text = yield* roles({ watchNamespaces: ["orders", "telemetry"], rbac: { aggregateToViewEdit: false } })
      assert.notInclude(text, "kind: ClusterRole")
      yield* Effect.promise(() => expect(text).toMatchFileSnapshot(golden("operator-roles-namespaced.yaml")))
    })
  )
})

describe("helm test", () => {
  const services = OperatorMetrics.layer.pipe(Layer.provideMerge(Metrics.layer()))

  /** Runs what the test Pod runs, with the health server of an operator that is ready and leads, or not. */
  const testAgainst = Effect.fnUntraced(function* (operator: { readonly ready: boolean; readonly leads: boolean }) {
    const { exposition } = yield* Metrics
    const { leading } = yield* OperatorMetrics
    leading.set({ name: "eventstream-operator" }, operator.leads ? 1 : 0)
    const readiness = () => ({
      ready: operator.ready,
      why: operator.ready ? "leading" : "waiting for the Kubernetes API"
    })
    const { port } = yield* serveHealth({ host: "127.0.0.1", port: 0, exposition, readiness }).pipe(Effect.orDie)
    const manifests = yield* rendered({})
    const [pod] = ofKind(manifests, "Pod")
    assert.include(pod!.metadata.annotations, { "helm.sh/hook": "test" })
    const { command, args, env } = pod!["spec"].containers[0]
    const { metadata } = ofKind(manifests, "Service")[0]!
    assert.strictEqual(env[0].value, `http://${metadata.name}.${metadata.namespace}.svc:8080`)
    assert.strictEqual(command[0], "node")
    return yield* run(process.execPath, [...command.slice(1), ...args], {
      env: { SERVICE_URL: `http://127.0.0.1:${port}`, TIMEOUT_SECONDS: "0" }
    })
  })

  it.live("passes where an operator leads", () =>
    Effect.gen(function* () {
      const { stdout } = yield* testAgainst({ ready: true, leads: true })
      assert.strictEqual(stdout, `operator ${packageJson.version} leads: leading\n`)
    }).pipe(Effect.provide(services))
  )

  it.live("says that it is not ready, and why", () =>
    Effect.gen(function* () {
      const { output } = yield* Effect.flip(testAgainst({ ready: false, leads: true }))
      assert.match(output, /\/readyz: wanted 200, found 503: waiting for the Kubernetes API/)
    }).pipe(Effect.provide(services))
  )

  it.live("says that none leads", () =>
    Effect.gen(function* () {
      const { output } = yield* Effect.flip(testAgainst({ ready: true, leads: false }))
      assert.match(output, /wanted an operator that leads, found one that does not/)
    }).pipe(Effect.provide(services))
  )
})
