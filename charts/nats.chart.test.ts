import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { stringify } from "yaml"
import { manifestsOf, refusal, render } from "./helm.ts"

/** What only eventstream-nats promises; that its configurations work is tested with real servers in `nats.live.test.ts`. */

const chart = "eventstream-nats"
const rendering = (values: object = {}, files: ReadonlyArray<string> = []) => ({
  chart,
  release: "nats",
  namespace: "nats",
  values,
  files: files.map((file) => join(import.meta.dirname, "examples", file))
})

const leaf = { mode: "leaf", jetstream: { domain: "edge" } }
const remote = { urls: ["nats://hub:7422"] }

/** Values that would not work, and what helm says to them. */
const refused: ReadonlyArray<readonly [name: string, values: object, message: string]> = [
  ["two servers", { replicas: 2 }, "- at '/replicas': value must be one of 1, 3, 5"],
  ["an unknown key", { replica: 3 }, "- at '': additional properties 'replica' not allowed"],
  [
    "an unknown key further in",
    { jetstream: { storage: { class: "fast" } } },
    "- at '/jetstream/storage': additional properties 'class' not allowed"
  ],
  ["another mode", { mode: "edge" }, "- at '/mode': value must be one of 'hub', 'leaf'"],
  [
    "another way of authentication",
    { auth: { mode: "operator" } },
    "- at '/auth/mode': value must be one of 'none', 'accounts'"
  ],
  [
    "a size of no binary unit",
    { jetstream: { storage: { size: "20G" } } },
    "- at '/jetstream/storage/size': '20G' does not match pattern '^[1-9][0-9]*(Mi|Gi|Ti)$'"
  ],
  [
    "a sync interval of no unit",
    { jetstream: { syncInterval: "10" } },
    "- at '/jetstream/syncInterval': '10' does not match pattern '^(always|[1-9][0-9]*(ms|s|m|h))$'"
  ],
  [
    "a lame duck shorter than nats-server accepts",
    { lameDuck: { durationSeconds: 20 } },
    "- at '/lameDuck/durationSeconds': minimum: got 20, want 30"
  ],
  [
    "accounts without their Secret",
    { auth: { mode: "accounts" } },
    "- at '/auth/existingSecret': minLength: got 0, want 1"
  ],
  [
    "a password in a URL",
    { ...leaf, leaf: { remotes: [{ urls: ["nats://edge:secret@hub:7422"] }] } },
    "- at '/leaf/remotes/0/urls/0': 'nats://edge:secret@hub:7422' does not match pattern '^(nats|tls)://[^\\\\s/@?#]+:[0-9]{1,5}$'"
  ],
  [
    "a leaf of five",
    { ...leaf, replicas: 5, leaf: { remotes: [remote] } },
    "- at '/replicas': value must be one of 1, 3"
  ],
  ["a leaf of no hub", leaf, "- at '/leaf/remotes': minItems: got 0, want 1"],
  ["a hub with a hub", { leaf: { remotes: [remote] } }, "- at '/leaf/remotes': maxItems: got 1, want 0"],
  [
    "a store that fills its volume",
    { jetstream: { storage: { size: "20Gi", maxFileStore: "17409Mi" } } },
    "jetstream.storage.maxFileStore: 17409Mi is more than 85 % of jetstream.storage.size 20Gi; a full disk stops JetStream. Give at most 17408Mi, or a larger size"
  ],
  [
    "a leaf with its hub's domain",
    { mode: "leaf", leaf: { remotes: [remote] } },
    'jetstream.domain: "hub" is the hub\'s (leaf.hubDomain); give this leaf a domain of its own'
  ],
  [
    "a leaf with its hub's cluster name",
    { ...leaf, cluster: { name: "hub" }, leaf: { remotes: [remote] } },
    'cluster.name: the hub\'s cluster is named "hub" after its domain, and refuses a leaf of the same name; choose another'
  ],
  [
    "two ways to say who connects",
    { ...leaf, leaf: { remotes: [{ ...remote, nkeySecret: { name: "a" }, credentialsSecret: { name: "b" } }] } },
    "leaf.remotes[0]: nkeySecret and credentialsSecret are two ways to say who connects; keep one"
  ],
  [
    "an account where there are none",
    { ...leaf, leaf: { remotes: [{ ...remote, account: "EDGE" }] } },
    "leaf.remotes[0].account: with auth.mode none this leaf has no account EDGE; set auth.mode to accounts, or leave account out"
  ],
  [
    "no account where there are some",
    { ...leaf, auth: { mode: "accounts", existingSecret: "auth" }, leaf: { remotes: [remote] } },
    "leaf.remotes[0].account: with auth.mode accounts say which account of this leaf is joined to the hub"
  ],
  [
    "a hub that is open to the world",
    { leafnodes: { service: { type: "LoadBalancer" } } },
    "leafnodes.service.type: LoadBalancer opens the hub to the outside, and auth.mode none lets everybody in; set auth.mode to accounts"
  ],
  [
    "accounts that are not asked for",
    { auth: { existingSecret: "auth" } },
    "auth.existingSecret: auth is not used with auth.mode none; set auth.mode to accounts"
  ],
  [
    "TLS without a certificate",
    { tls: { mode: "secret" } },
    "tls.mode: secret needs a certificate; set secretName of tls.client, tls.cluster or tls.leaf"
  ],
  [
    "a certificate without TLS",
    { tls: { client: { secretName: "tls" } } },
    "tls.client.secretName: is not used with tls.mode none; set tls.mode to secret"
  ],
  [
    "TLS first without TLS",
    { tls: { leaf: { handshakeFirst: true } } },
    "tls.leaf.handshakeFirst: this listener has no certificate; set tls.leaf.secretName, or leave it false"
  ],
  [
    "certificates of routes that do not exist",
    { replicas: 1, tls: { mode: "secret", cluster: { secretName: "tls" } } },
    "tls.cluster.secretName: one server has no routes; leave it empty with replicas 1"
  ],
  [
    "a grace period as long as the whole",
    { lameDuck: { gracePeriodSeconds: 30 } },
    "lameDuck.gracePeriodSeconds: 30 is not less than lameDuck.durationSeconds 30, of which it is a part"
  ]
]

/** Only the sentence: which template found it, and that a branch of the schema failed, says nothing to the reader. */
const sentence = (message: string) =>
  message
    .replace(/^Error: execution error at \([^)]*\): /, "")
    .replace(/^- at '': '\w+' failed\n\s*/, "")
    .trim()

describe(chart, () => {
  for (const [name, values, message] of refused) {
    it.live(`refuses ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(sentence(yield* refusal(rendering(values))), message)
      })
    )
  }

  for (const [name, files] of [
    ["hub", ["nats-production.yaml"]],
    ["leaf", ["nats-leaf.yaml"]]
  ] as const) {
    it.live(`renders a ${name} as it was reviewed`, () =>
      Effect.gen(function* () {
        const manifests = manifestsOf(yield* render(rendering({}, files)))
        const shown = manifests.filter(
          ({ kind }) => kind === "StatefulSet" || kind === "ConfigMap" || kind === "NetworkPolicy"
        )
        const text = shown
          .map((manifest) => stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }))
          .join("---\n")
        const golden = join(import.meta.dirname, "golden", `nats-${name}.yaml`)
        yield* Effect.promise(() => expect(text).toMatchFileSnapshot(golden))
      })
    )
  }

  it.live("restarts servers for a changed configuration, and for nothing else", () =>
    Effect.gen(function* () {
      const template = Effect.fnUntraced(function* (values: object) {
        const manifests = manifestsOf(yield* render(rendering(values)))
        return stringify(manifests.find(({ kind }) => kind === "StatefulSet")!["spec"].template)
      })
      const now = yield* template({})
      assert.notStrictEqual(yield* template({ jetstream: { syncInterval: "1s" } }), now)
      assert.strictEqual(yield* template({ networkPolicy: { enabled: false }, pdb: { enabled: false } }), now)
    })
  )
})
