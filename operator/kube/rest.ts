import { Duration, Effect, Random, type Scope, Stream } from "effect"
import type { IncomingMessage } from "node:http"
import * as http from "node:http"
import * as https from "node:https"
import { text } from "node:stream/consumers"
import { passFence } from "../fence.ts"
import { KubeError, type KubeObject } from "../kube.ts"

/** Raw JSON over HTTP to a Kubernetes API server: one call, one answer or a `KubeError`; and the lines of a watch. */

/** Where the API server is, and who we are to it. */
export interface Endpoint {
  /** e.g. `https://10.96.0.1:443`, with a path where the API is behind one. */
  readonly url: string
  /** Adds CA, certificate, token and agent. Asked for each request, so credentials that were renewed are used at once. */
  readonly prepare: (options: https.RequestOptions) => Promise<void>
  /** Told of each answer, watches included; `status` is undefined when there was none. */
  readonly onRequest?: (request: { readonly method: string; readonly status: number | undefined }) => void
}

export interface Call {
  /** What is tried, for errors, e.g. `apply Deployment demo/logs-writer`. */
  readonly operation: string
  readonly method: "GET" | "POST" | "PATCH" | "DELETE"
  /** Absolute path and query. */
  readonly path: string
  /** Unset: `application/json`. */
  readonly contentType?: string
  readonly body?: unknown
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"
  readonly object: KubeObject
}

/** An answer takes milliseconds; the API server itself gives up after 60 s. */
const answerMillis = 30_000
const longestPauseSeconds = 30
const attemptsWhenThrottled = 5

interface Status {
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly details?: { readonly causes?: ReadonlyArray<{ readonly field?: string }> }
}

/** A uid that is given to an apply and is not the object's: a precondition that fails, but answered as an invalid field. */
const isOtherUid = (status: Status) => status.details?.causes?.some(({ field }) => field === "metadata.uid") ?? false

/** An apply with a field that the kind does not have is answered as the server's own fault, which it is not. */
const isUnknownField = (status: Status) => status.message?.startsWith("failed to create typed patch object") ?? false

const reasonOf = (code: number, status: Status): KubeError["reason"] => {
  if (code === 404) return "NotFound"
  if (code === 409) return status.reason === "AlreadyExists" ? "AlreadyExists" : "Conflict"
  if (code === 410) return "Gone"
  if (code === 422 && isOtherUid(status)) return "Conflict"
  if (code === 500 && isUnknownField(status)) return "Invalid"
  if (code === 403) return "Forbidden"
  // 401: a token is renewed before it runs out; one that is refused all the same may be replaced any moment.
  if (code === 401 || code === 429 || code >= 500) return "Unavailable"
  return "Invalid"
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** The API server's Status; empty when it is not from there but a proxy's page, or plain text such as "404 page not found". */
const statusOf = (body: string): Status => {
  try {
    const value: unknown = JSON.parse(body)
    return isMap(value) ? value : {}
  } catch {
    return {}
  }
}

/** The error that an answer with HTTP status `code` means; its detail is the server's sentence where it sent one. */
export const refusal = (operation: string, code: number, body: string): KubeError => {
  const status = statusOf(body)
  const detail = status.message ?? (body.trim().slice(0, 500) || `HTTP ${code}`)
  return new KubeError({ reason: reasonOf(code, status), operation, detail })
}

const unreachable = (operation: string, cause: unknown) => {
  const error = cause as { readonly message?: string; readonly code?: string; readonly errors?: ReadonlyArray<Error> }
  // A host with several addresses fails with an AggregateError, whose own message is empty.
  const detail = error.errors?.map((each) => each.message).join(", ") || error.message || error.code || String(cause)
  return new KubeError({ reason: "Unreachable", operation, detail })
}

/** Sends the call; the connection goes with the scope unless the response was read to its end. */
const open = (
  endpoint: Endpoint,
  call: Call,
  silenceMillis: number
): Effect.Effect<IncomingMessage, KubeError, Scope.Scope> =>
  Effect.gen(function* () {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const options: https.RequestOptions = {
      method: call.method,
      // A connection that says nothing for so long is dead: a half-open one never ends by itself.
      timeout: silenceMillis,
      headers: {
        accept: "application/json",
        "user-agent": "eventstream-operator",
        ...(body === undefined
          ? {}
          : { "content-type": call.contentType ?? "application/json", "content-length": Buffer.byteLength(body) })
      }
    }
    yield* Effect.tryPromise({
      try: () => endpoint.prepare(options),
      catch: (cause) => unreachable(call.operation, cause)
    })
    yield* passFence
    const url = new URL(endpoint.url.replace(/\/$/, "") + call.path)
    const told = (status: number | undefined) => endpoint.onRequest?.({ method: call.method, status })
    return yield* Effect.acquireRelease(
      Effect.callback<IncomingMessage, KubeError>((resume) => {
        let response: IncomingMessage | undefined
        const request = (url.protocol === "http:" ? http : https).request(url, options, (answer) => {
          response = answer
          // Whoever reads it sees the error; without a listener one that comes later would end the process.
          answer.on("error", () => {})
          told(answer.statusCode)
          resume(Effect.succeed(answer))
        })
        request.on("timeout", () =>
          (response ?? request).destroy(new Error(`no answer within ${Math.round(silenceMillis / 1000)} s`))
        )
        request.on("error", (cause) => {
          if (response === undefined) told(undefined)
          resume(Effect.fail(unreachable(call.operation, cause)))
        })
        request.end(body)
        return Effect.sync(() => void request.destroy())
      }),
      (response) => Effect.sync(() => void response.destroy()),
      { interruptible: true }
    )
  })

const read = (call: Call, response: IncomingMessage) =>
  Effect.tryPromise({ try: () => text(response), catch: (cause) => unreachable(call.operation, cause) })

/** Seconds the server asks to wait before the next attempt; it says so when it throttles. */
const retryAfterSeconds = (response: IncomingMessage) => {
  const seconds = Number(response.headers["retry-after"] ?? 1)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), longestPauseSeconds) : 1
}

/** Everything the API server says is an object with metadata, even a Status; what is not comes from somebody in between. */
const isAnswer = (value: unknown): value is KubeObject => isMap(value) && isMap(value["metadata"])

const parse = <A>(operation: string, body: string, fits: (value: unknown) => value is A) => {
  const unexpected = () =>
    new KubeError({
      reason: "Invalid",
      operation,
      detail: `not an answer of the Kubernetes API: ${body.slice(0, 200)}`
    })
  return Effect.try({ try: () => JSON.parse(body) as unknown, catch: unexpected }).pipe(
    Effect.filterOrFail(fits, unexpected)
  )
}

/** The object that is answered. A call that is throttled (429) is tried again after the time the server asks for, five times in all. */
export const request = (endpoint: Endpoint, call: Call): Effect.Effect<KubeObject, KubeError> => {
  const attempt = (left: number): Effect.Effect<KubeObject, KubeError> =>
    Effect.scoped(
      Effect.gen(function* () {
        const response = yield* open(endpoint, call, answerMillis)
        return { response, body: yield* read(call, response) }
      })
    ).pipe(
      Effect.flatMap(({ response, body }) => {
        const status = response.statusCode ?? 0
        if (status >= 200 && status < 300) return parse(call.operation, body, isAnswer)
        if (status !== 429 || left <= 1) return Effect.fail(refusal(call.operation, status, body))
        // Those that are throttled together must not come back together.
        return Random.nextBetween(1, 1.2).pipe(
          Effect.flatMap((jitter) => Effect.sleep(Duration.seconds(retryAfterSeconds(response) * jitter))),
          Effect.andThen(attempt(left - 1))
        )
      })
    )
  return attempt(attemptsWhenThrottled)
}

interface ErrorEvent {
  readonly type: "ERROR"
  readonly object: Status
}

const isEvent = (value: unknown): value is WatchEvent | ErrorEvent =>
  isMap(value) && (value["type"] === "ERROR" ? isMap(value["object"]) : isAnswer(value["object"]))

/**
 * The events of a watch until the server ends it. Fails with what the server refuses or reports in the stream, `Unreachable`
 * when the connection breaks or says nothing for `silenceMillis`, `Invalid` when a line is not an event.
 */
export const watch = (endpoint: Endpoint, call: Call, silenceMillis: number): Stream.Stream<WatchEvent, KubeError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const response = yield* open(endpoint, call, silenceMillis)
      const status = response.statusCode ?? 0
      if (status !== 200) return yield* refusal(call.operation, status, yield* read(call, response))
      return Stream.fromAsyncIterable<Buffer, KubeError>(response, (cause) => unreachable(call.operation, cause)).pipe(
        Stream.decodeText,
        Stream.splitLines,
        Stream.filter((line) => line !== ""),
        Stream.mapEffect((line) => eventOf(call.operation, line))
      )
    })
  )

const eventOf = Effect.fnUntraced(function* (operation: string, line: string) {
  const event = yield* parse(operation, line, isEvent)
  if (event.type !== "ERROR") return event
  return yield* refusal(operation, event.object.code ?? 500, JSON.stringify(event.object))
})
