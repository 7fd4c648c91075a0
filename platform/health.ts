import { Effect, Schema, type Scope } from "effect"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** The health server's address can't be had. */
export class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", {
  address: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted to serve /metrics, /healthz and /readyz on ${this.address}, found: ${this.detail}; free the port or set another http.port (0 takes a free one)`
  }
}

/** Whether work can be done now; `why` is shown to whoever asks. */
export interface Readiness {
  readonly ready: boolean
  readonly why: string
}

export interface HealthServer {
  /** Port in use, also when 0 was asked for. */
  readonly port: number
}

const answer = (response: ServerResponse, status: number, body: string, type = "text/plain; charset=utf-8") => {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) })
  response.end(body)
}

/**
 * Serves `/healthz` (200 while the process runs), `/readyz` (200 or 503 with the reason) and `/metrics` until the scope ends.
 * Fails with {@link PortTaken} when the address is not to be had.
 */
export const serveHealth = (options: {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly exposition: Effect.Effect<string>
  readonly readiness: () => Readiness
}): Effect.Effect<HealthServer, PortTaken, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, PortTaken>((resume) => {
      const server = createServer((request, response) => {
        switch ((request.url ?? "").replace(/\?.*/, "")) {
          case "/healthz":
            return answer(response, 200, "ok\n")
          case "/readyz": {
            const { ready, why } = options.readiness()
            return answer(response, ready ? 200 : 503, `${why}\n`)
          }
          case "/metrics":
            return void Effect.runPromise(options.exposition).then(
              (text) => answer(response, 200, text, "text/plain; version=0.0.4; charset=utf-8"),
              (error: unknown) => answer(response, 500, `${String(error)}\n`)
            )
          default:
            return answer(response, 404, "wanted /metrics, /healthz or /readyz\n")
        }
      })
      server.once("error", (error) =>
        resume(Effect.fail(new PortTaken({ address: `${options.host}:${options.port}`, detail: error.message })))
      )
      server.listen(options.port, options.host, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections() // a scraper's keep-alive connection would hold the process for its timeout
      })
  ).pipe(Effect.map((server) => ({ port: (server.address() as AddressInfo).port })))
