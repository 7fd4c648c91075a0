import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { type Proxy, startProxy } from "../proxy.ts"
import { freePort, startNats, tempDirectory } from "../servers.ts"
import { restartable, type Restartable } from "./restartable.ts"

/** A leaf node with a JetStream domain of its own, and a proxy on its link to the hub. */
export interface Leaf extends Restartable {
  readonly link: Proxy
}

export const hubDomain = "hub"

/** A server that leaf nodes may join, by the port of its link. */
export interface Hub {
  readonly natsConfig: ReadonlyArray<string>
  readonly linkPort: number
}

export const makeHub = Effect.map(freePort, (linkPort): Hub => ({
  linkPort,
  natsConfig: [
    `jetstream { domain: ${hubDomain} }`,
    `leafnodes { listen: "127.0.0.1:${linkPort}", no_advertise: true }`
  ]
}))

export const startLeaf = Effect.fnUntraced(function* ({ linkPort }: Hub): Effect.fn.Return<Leaf, never, Scope.Scope> {
  const link = yield* startProxy(linkPort)
  const port = yield* freePort
  const folder = yield* tempDirectory("eventstream-faults-leaf-")
  const config = [
    "server_name: leaf",
    "jetstream { domain: leaf }",
    `leafnodes { reconnect: 1, remotes: [{ url: "nats://127.0.0.1:${link.port}" }] }`
  ]
  const node = yield* restartable(port, startNats({ storeDirectory: join(folder, "leaf"), port, config }))
  yield* node.start
  return { ...node, link }
})
