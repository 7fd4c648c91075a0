import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { freePort, startNats, tempDirectory } from "../servers.ts"
import { restartable, type Restartable } from "./restartable.ts"

export interface NatsNode extends Restartable {
  readonly name: string
  /** Of its configuration, which it reads again on SIGHUP. */
  readonly configFile: string
}

export interface NatsCluster {
  readonly nodes: ReadonlyArray<NatsNode>
  readonly urls: ReadonlyArray<string>
}

/**
 * Nodes with JetStream on 127.0.0.1: one alone, or a cluster. They tell clients of no other node's address, since clients would
 * go there past the proxies.
 *
 * @param more further lines of each node's configuration
 */
export const startCluster = Effect.fnUntraced(function* (
  size: number,
  more: ReadonlyArray<string> = []
): Effect.fn.Return<NatsCluster, never, Scope.Scope> {
  const folder = yield* tempDirectory("eventstream-faults-nats-")
  const ports = yield* Effect.forEach(Array.from({ length: size }), () =>
    Effect.all({ client: freePort, route: freePort })
  )
  const routes = ports.map(({ route }) => `nats://127.0.0.1:${route}`).join(", ")
  const nodes = yield* Effect.forEach(ports, ({ client, route }, index) => {
    const name = `n${index}`
    const cluster = `cluster { name: faults, listen: "127.0.0.1:${route}", routes: [${routes}], no_advertise: true }`
    const config = [`server_name: ${name}`, ...(size > 1 ? [cluster] : []), ...more]
    const options = { storeDirectory: join(folder, name), port: client, config }
    return Effect.map(restartable(client, startNats(options)), (node): NatsNode => ({
      ...node,
      name,
      configFile: join(folder, `nats-${client}.conf`)
    }))
  })
  yield* Effect.all(
    nodes.map(({ start }) => start),
    { concurrency: size }
  )
  return { nodes, urls: ports.map(({ client }) => `nats://127.0.0.1:${client}`) }
})
