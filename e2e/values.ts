import packageJson from "../package.json" with { type: "json" }

/** How the scenarios install the charts: images packed here, room for a small machine, and times that tests can wait for. */

const image = (name: string) => ({ repository: `eventstream-e2e/${name}`, tag: packageJson.version })

const servers = {
  image: image("nats"),
  exporter: { enabled: false }, // no image of it is packed
  resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
  lameDuck: { gracePeriodSeconds: 2 }
}
const storage = { size: "2Gi", maxFileStore: "1600Mi" }

/** Release `nats`: three servers. */
export const hubValues = { ...servers, jetstream: { storage } }

/** Release `edge`: one server with a JetStream domain of its own, which reaches the hub by `remote` only. */
export const leafValues = (remote: string) => ({
  ...servers,
  mode: "leaf",
  replicas: 1,
  jetstream: { domain: "edge", storage },
  leaf: { hubDomain: "hub", remotes: [{ urls: [remote] }] }
})

/** Release `eventstream-operator`. Status is at most five seconds old. */
export const operatorValues = {
  reconcile: { pollInterval: "3s", statusInterval: "2s" },
  resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "384Mi" } }
}
