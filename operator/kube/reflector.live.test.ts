import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, type Scope, Stream } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type Change, ConfigMaps, type Kube, type KubeObject } from "../kube.ts"
import type { Endpoint } from "./rest.ts"
import { makeServer } from "./server.ts"

/** How the watch and the calls over HTTP bear what API servers, proxies and networks do to them. */

type Answer = (response: ServerResponse, request: IncomingMessage) => void

const item = (name: string, uid: string, resourceVersion: string) => ({
  metadata: { name, namespace: "demo", uid, resourceVersion, managedFields: [{ manager: "x" }] }
})

const send =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer =>
  (response) =>
    void response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body))

const refuse = (code: number, reason: string, headers?: Readonly<Record<string, string>>) =>
  send(code, { kind: "Status", status: "Failure", message: `test ${reason}`, reason, code }, headers)

const list = (resourceVersion: string, ...items: ReadonlyArray<object>) =>
  send(200, { kind: "ConfigMapList", metadata: { resourceVersion }, items })

/** Sends events, then does `then`; unset: stays silent and open. */
const stream =
  (events: ReadonlyArray<object | string>, then?: Answer): Answer =>
  (response, request) => {
    response.writeHead(200)
    response.flushHeaders()
    const body = events.map((each) => `${typeof each === "string" ? each : JSON.stringify(each)}\n`).join("")
    if (body === "") then?.(response, request)
    else response.write(body, () => then?.(response, request))
  }

const added = (...of: Parameters<typeof item>) => ({ type: "ADDED", object: item(...of) })
const deleted = (...of: Parameters<typeof item>) => ({ type: "DELETED", object: item(...of) })
const reset: Answer = (_, request) => void request.socket.resetAndDestroy()

interface Api {
  readonly kube: Kube["Service"]
  /** What was asked for, in order: `list`, `watch <resourceVersion>`, or method and path. */
  readonly asked: ReadonlyArray<string>
}

/** An API server that answers lists, watches and everything else as scripted, the last answer for ever. */
const startApi = (
  script: { readonly lists?: ReadonlyArray<Answer>; readonly watches?: ReadonlyArray<Answer>; readonly other?: Answer },
  options: { readonly silenceMillis?: number; readonly onRequest?: NonNullable<Endpoint["onRequest"]> } = {}
): Effect.Effect<Api, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly api: Api; readonly stop: () => void }>((resume) => {
      const asked: Array<string> = []
      const counts = { list: 0, watch: 0 }
      const answerOf = (kind: "list" | "watch", answers: ReadonlyArray<Answer> = []) =>
        answers[Math.min(counts[kind]++, answers.length - 1)]
      const server = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url!, "http://localhost")
        const isCollection = request.method === "GET" && pathname.endsWith("/configmaps")
        if (isCollection && searchParams.get("watch") === "true") {
          asked.push(`watch ${searchParams.get("resourceVersion")}`)
          answerOf("watch", script.watches)!(response, request)
        } else if (isCollection) {
          asked.push(searchParams.has("continue") ? `list ${searchParams.get("continue")}` : "list")
          answerOf("list", script.lists)!(response, request)
        } else {
          asked.push(`${request.method} ${request.url}`)
          script.other!(response, request)
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { port: number }
        const { silenceMillis = 60_000, ...hooks } = options
        const kube = makeServer({ url: `http://127.0.0.1:${port}`, prepare: async () => {}, ...hooks }, silenceMillis)
        const stop = () => {
          server.close()
          server.closeAllConnections()
        }
        resume(Effect.succeed({ api: { kube, asked }, stop }))
      })
    }),
    ({ stop }) => Effect.sync(stop)
  ).pipe(Effect.map(({ api }) => api))

/** The first `count` changes that a watch tells. */
const take = ({ kube }: Api, count: number) =>
  kube.watch(ConfigMaps, {}).pipe(
    Stream.take(count),
    Stream.runCollect,
    Effect.map((changes) =>
      changes.map(({ type, object: { metadata } }) => `${type} ${metadata.name} ${metadata.uid}`)
    ),
    Effect.timeout("30 seconds")
  )

describe.concurrent("the watch", () => {
  it.live("lists by pages, then watches, and hands out objects with their kind and without managedFields", () =>
    Effect.gen(function* () {
      const page = send(200, { metadata: { resourceVersion: "5", continue: "next" }, items: [item("a", "1", "1")] })
      const api = yield* startApi({
        lists: [page, list("5", item("b", "2", "2"))],
        watches: [stream([added("c", "3", "6")])]
      })
      const changes = yield* api.kube.watch(ConfigMaps, {}).pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(
        changes.map(({ type, key, object }: Change) => `${type} ${object.kind} ${key.namespace}/${key.name}`),
        ["Applied ConfigMap demo/a", "Applied ConfigMap demo/b", "Applied ConfigMap demo/c"]
      )
      for (const { object } of changes) assert.notProperty(object.metadata, "managedFields")
      assert.deepStrictEqual(api.asked, ["list", "list next", "watch 5"])
    })
  )

  it.live("410 in the stream: a new list tells what was deleted and what was made anew meanwhile", () =>
    Effect.gen(function* () {
      const gone = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } }
      const api = yield* startApi({
        lists: [
          list("5", item("a", "1", "1"), item("b", "2", "2"), item("c", "3", "3")),
          list("9", item("b", "2", "2"), item("c", "4", "8"))
        ],
        watches: [stream([gone]), stream([added("d", "5", "10")])]
      })
      assert.deepStrictEqual(yield* take(api, 7), [
        "Applied a 1",
        "Applied b 2",
        "Applied c 3",
        "Deleted a 1",
        "Deleted c 3",
        "Applied c 4",
        "Applied d 5"
      ])
      assert.deepStrictEqual(api.asked, ["list", "watch 5", "list", "watch 9"])
    })
  )

  it.live("410 as the answer to the watch: a new list", () =>
    Effect.gen(function* () {
      const api = yield* startApi({
        lists: [list("5", item("a", "1", "1")), list("9")],
        watches: [refuse(410, "Expired"), stream([])]
      })
      assert.deepStrictEqual(yield* take(api, 2), ["Applied a 1", "Deleted a 1"])
    })
  )

  it.live("503 on the list, 500 on the watch: tried again", () =>
    Effect.gen(function* () {
      const api = yield* startApi({
        lists: [refuse(503, "ServiceUnavailable"), list("5")],
        watches: [refuse(500, "InternalError"), stream([added("a", "1", "6")])]
      })
      assert.deepStrictEqual(yield* take(api, 1), ["Applied a 1"])
      assert.deepStrictEqual(api.asked, ["list", "list", "watch 5", "watch 5"])
    })
  )

  it.live("a connection that is reset: on from the last event, without a list", () =>
    Effect.gen(function* () {
      const api = yield* startApi({
        lists: [list("5")],
        watches: [stream([added("a", "1", "6")], reset), stream([deleted("a", "1", "7")])]
      })
      assert.deepStrictEqual(yield* take(api, 2), ["Applied a 1", "Deleted a 1"])
      assert.deepStrictEqual(api.asked, ["list", "watch 5", "watch 6"])
    })
  )

  it.live("a line that is no event, or cut off by the end: a new list, nothing lost", () =>
    Effect.gen(function* () {
      const cut: Answer = (response) => void response.end(`{"type":"ADDED","object":{"metada`)
      const api = yield* startApi({
        lists: [list("5"), list("8", item("a", "1", "6")), list("9", item("a", "1", "6"), item("b", "2", "9"))],
        watches: [
          stream([added("a", "1", "6"), `{"type":"ADDED"}`, added("never", "9", "7")]),
          stream([], cut),
          stream([])
        ]
      })
      assert.deepStrictEqual(yield* take(api, 2), ["Applied a 1", "Applied b 2"])
      assert.deepStrictEqual(api.asked, ["list", "watch 5", "list", "watch 8", "list"])
    })
  )

  it.live("a connection that says nothing any more is given up; a bookmark keeps the place", () =>
    Effect.gen(function* () {
      const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "70" } } }
      const api = yield* startApi(
        { lists: [list("5")], watches: [stream([bookmark]), stream([added("a", "1", "71")])] },
        { silenceMillis: 200 }
      )
      assert.deepStrictEqual(yield* take(api, 1), ["Applied a 1"])
      assert.deepStrictEqual(api.asked, ["list", "watch 5", "watch 70"])
    })
  )

  it.live("interrupted while it lists: the connection closes, and no watch is opened", () =>
    Effect.gen(function* () {
      const listing = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const hang: Answer = (response) => {
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        Deferred.doneUnsafe(listing, Effect.void)
      }
      const api = yield* startApi({ lists: [hang] })
      const fiber = yield* Effect.forkChild(take(api, 1))
      yield* Deferred.await(listing)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
      assert.deepStrictEqual(api.asked, ["list"])
    })
  )

  it.live("interrupted while it watches: the connection closes", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const told = yield* Queue.unbounded<Change>()
      const hang = stream([added("a", "1", "6")], (response) =>
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      )
      const api = yield* startApi({ lists: [list("5")], watches: [hang] })
      const watching = api.kube.watch(ConfigMaps, {}).pipe(Stream.runForEach((change) => Queue.offer(told, change)))
      const fiber = yield* Effect.forkChild(watching)
      yield* Queue.take(told)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    })
  )
})

describe.concurrent("a call", () => {
  const key = { namespace: "demo", name: "m" }
  const map: KubeObject = { apiVersion: "v1", kind: "ConfigMap", metadata: key }

  const failures: ReadonlyArray<readonly [Answer, string, string]> = [
    [refuse(400, "BadRequest"), "Invalid", "test BadRequest"],
    [refuse(401, "Unauthorized"), "Unavailable", "test Unauthorized"],
    [refuse(403, "Forbidden"), "Forbidden", "test Forbidden"],
    [refuse(404, "NotFound"), "NotFound", "test NotFound"],
    [refuse(409, "Conflict"), "Conflict", "test Conflict"],
    [refuse(409, "AlreadyExists"), "AlreadyExists", "test AlreadyExists"],
    [refuse(410, "Gone"), "Gone", "test Gone"],
    [refuse(422, "Invalid"), "Invalid", "test Invalid"],
    [refuse(500, "InternalError"), "Unavailable", "test InternalError"],
    [refuse(504, "Timeout"), "Unavailable", "test Timeout"],
    [send(503, "upstream connect error"), "Unavailable", "upstream connect error"],
    [send(502, ""), "Unavailable", "HTTP 502"],
    [send(500, "null"), "Unavailable", "null"],
    [send(200, "<html>login</html>"), "Invalid", "not an answer of the Kubernetes API: <html>login</html>"],
    [send(200, "null"), "Invalid", "not an answer of the Kubernetes API: null"],
    [reset, "Unreachable", "read ECONNRESET"]
  ]
  it.live.each(failures)("fails with its reason and the server's sentence: %#", ([answer, reason, detail]) =>
    Effect.gen(function* () {
      const { kube } = yield* startApi({ other: answer })
      const error = yield* Effect.flip(kube.apply(map))
      assert.deepStrictEqual([error.reason, error.message], [reason, `apply ConfigMap demo/m: ${detail}`])
    })
  )

  it.live("to a port where nobody listens is Unreachable", () =>
    Effect.gen(function* () {
      const kube = makeServer({ url: "http://127.0.0.1:1", prepare: async () => {} })
      const error = yield* Effect.flip(kube.get(ConfigMaps, key))
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.message, "get ConfigMap demo/m: connect ECONNREFUSED 127.0.0.1:1")
    })
  )

  it.live("is told to whoever counts them, with the status of the answer", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const onRequest: NonNullable<Endpoint["onRequest"]> = ({ method, status }) => told.push(`${method} ${status}`)
      const api = yield* startApi({ other: refuse(404, "NotFound") }, { onRequest })
      yield* api.kube.delete(ConfigMaps, key)
      const nowhere = makeServer({ url: "http://127.0.0.1:1", prepare: async () => {}, onRequest })
      yield* Effect.ignore(nowhere.get(ConfigMaps, key))
      assert.deepStrictEqual(told, ["DELETE 404", "GET undefined"])
    })
  )

  it.live("that is throttled comes again after the time the server asks for, five times in all", () =>
    Effect.gen(function* () {
      const throttle = refuse(429, "TooManyRequests", { "retry-after": "0.02" })
      let calls = 0
      const twice = yield* startApi({
        other: (response, request) => (calls++ < 2 ? throttle : send(200, item("m", "1", "1")))(response, request)
      })
      assert.strictEqual((yield* twice.kube.apply(map)).metadata.uid, "1")
      assert.strictEqual(calls, 3)
      const always = yield* startApi({ other: throttle })
      assert.strictEqual((yield* Effect.flip(always.kube.apply(map))).reason, "Unavailable")
      assert.strictEqual(always.asked.length, 5)
    })
  )

  it.live("says who writes, by which kind of patch, and keeps odd names within the path", () =>
    Effect.gen(function* () {
      const types: Array<string | undefined> = []
      const api = yield* startApi({
        other: (response, request) => {
          types.push(request.headers["content-type"])
          send(200, item("m", "1", "1"))(response, request)
        }
      })
      yield* api.kube.apply(map)
      yield* api.kube.apply(map, { manager: "kubectl" })
      yield* api.kube.patchStatus(ConfigMaps, key, {})
      yield* api.kube.setFinalizers(ConfigMaps, map, [])
      yield* api.kube.get(ConfigMaps, { namespace: "../secrets", name: "a?b" })
      const base = "/api/v1/namespaces/demo/configmaps/m"
      assert.deepStrictEqual(api.asked, [
        `PATCH ${base}?fieldManager=eventstream-operator&force=true`,
        `PATCH ${base}?fieldManager=kubectl&force=true`,
        `PATCH ${base}/status?fieldManager=eventstream-operator-status&force=true`,
        `PATCH ${base}?fieldManager=eventstream-operator`,
        "GET /api/v1/namespaces/..%2Fsecrets/configmaps/a%3Fb"
      ])
      const apply = "application/apply-patch+yaml"
      assert.deepStrictEqual(types, [apply, apply, apply, "application/merge-patch+json", undefined])
    })
  )
})
