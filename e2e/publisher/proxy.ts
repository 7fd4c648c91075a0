import { Effect, Schema, type Scope } from "effect"
import { connect, createServer, type Server, type Socket } from "node:net"

/** A TCP hop. With it gone, the link that runs over it is cut: its ends see closed connections, then refused ones. */

export class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", {
  port: Schema.Number,
  detail: Schema.String
}) {
  override get message() {
    return `cannot listen on port ${this.port}: ${this.detail}`
  }
}

/** Carries every connection on `port` to `host:port` until the scope closes. */
export const forward = (
  port: number,
  target: { readonly host: string; readonly port: number }
): Effect.Effect<void, PortTaken, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly sockets: Set<Socket> }, PortTaken>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((client) => {
        const upstream = connect(target.port, target.host)
        const cut = () => {
          for (const socket of [client, upstream]) {
            sockets.delete(socket)
            socket.destroy()
          }
        }
        for (const socket of [client, upstream]) {
          sockets.add(socket)
          socket.on("error", cut)
          socket.on("close", cut)
        }
        client.pipe(upstream).pipe(client)
      })
      server.once("error", (error) => resume(Effect.fail(new PortTaken({ port, detail: error.message }))))
      server.listen(port, () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  ).pipe(Effect.asVoid)
