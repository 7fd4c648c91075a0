import { describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { admit } from "../../crds/admission.ts"
import { tempDirectory } from "../../testing/servers.ts"
import { layerMemory } from "../kube/memory.ts"
import { EventStreams, Kube, type KubeObject, Secrets } from "../kube.ts"
import { openManifests } from "./manifests.ts"

const eventStream = (name: string, more = "") => `
apiVersion: eventstream.dev/v1alpha1
kind: EventStream
metadata: { name: ${name} }
spec:
  nats: { servers: ["nats://nats.nats.svc:4222"] }
  stream: { subjects: ["${name}.>"] }
  processor: { type: Telemetry }
  target: { postgres: { secretRef: { name: pg-app } } }
${more}`

const secret = (namespace: string, uri: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "pg-app", namespace },
  stringData: { uri }
})

const test = (name: string, body: (folder: string) => Effect.Effect<void, unknown, Kube | Scope.Scope>) =>
  it.live(name, () =>
    Effect.flatMap(tempDirectory("eventstream-manifests-"), body).pipe(
      Effect.scoped,
      Effect.provide(layerMemory([{ resource: EventStreams, status: true, generation: true, admit }]))
    )
  )

/** Opens and follows the folder; `until` waits for a sentence, `now` gives the names of the EventStreams. */
const follow = Effect.fnUntraced(function* (folder: string) {
  const kube = yield* Kube
  const notices: Array<string> = []
  const manifests = yield* openManifests([folder])
  yield* manifests.follow({
    defaults: (namespace) => [secret(namespace, "of the platform")],
    notice: (text) => notices.push(text)
  })
  return {
    notices,
    until: (text: RegExp) =>
      Effect.sync(() => notices.findIndex((notice) => text.test(notice))).pipe(
        Effect.tap(Effect.sleep("20 millis")),
        Effect.repeat({ until: (index) => index >= 0 }),
        Effect.tap((index) => Effect.sync(() => notices.splice(0, index + 1))),
        Effect.timeout("5 seconds")
      ),
    get: (name: string) =>
      Effect.map(kube.get(EventStreams, { namespace: "default", name }), (object) => object as any),
    names: Effect.map(kube.list(EventStreams, {}), (objects: ReadonlyArray<KubeObject>) =>
      objects.map(({ metadata }) => metadata.name).sort()
    ),
    uri: Effect.map(kube.get(Secrets, { namespace: "default", name: "pg-app" }), (object: any) =>
      Buffer.from(object?.data.uri ?? "", "base64").toString()
    )
  }
})

describe("manifests", () => {
  test("applies files and folders, documents and lists, with a Secret beside them", (folder) =>
    Effect.gen(function* () {
      mkdirSync(join(folder, "below"))
      writeFileSync(join(folder, "below", "not-entered.yaml"), "kind: [")
      writeFileSync(join(folder, "README.md"), "not a manifest")
      writeFileSync(join(folder, "two.yaml"), `# both\n---${eventStream("a")}---${eventStream("b")}---\n`)
      const listed = { apiVersion: "v1", kind: "List", items: [{ ...secret("default", "of the user") }] }
      writeFileSync(join(folder, "list.json"), JSON.stringify(listed))
      writeFileSync(join(folder, "other.yaml"), "apiVersion: v1\nkind: Service\nmetadata: { name: nats }\n")
      const { names, uri, notices } = yield* follow(folder)
      assert.deepEqual(yield* names, ["a", "b"])
      assert.equal(yield* uri, "of the user")
      assert.match(notices.join(), /other\.yaml: Service nats is left out/)
    }))

  test("follows edits, new files and removals", (folder) =>
    Effect.gen(function* () {
      writeFileSync(join(folder, "a.yaml"), eventStream("a"))
      const { names, uri, until, get } = yield* follow(folder)
      assert.equal(yield* uri, "of the platform")
      writeFileSync(join(folder, "a.yaml"), eventStream("a", "  suspend: true\n"))
      writeFileSync(join(folder, "b.yaml"), eventStream("b"))
      yield* until(/EventStream default\/b created/)
      assert.isTrue((yield* get("a")).spec.suspend)
      assert.equal((yield* get("a")).metadata.generation, 2)
      writeFileSync(join(folder, "a.yaml"), eventStream("a")) // a field taken away is taken back, as kubectl apply does
      yield* until(/EventStream default\/a configured/)
      assert.isFalse((yield* get("a")).spec.suspend)
      rmSync(join(folder, "b.yaml"))
      yield* until(/EventStream default\/b deleted/)
      assert.deepEqual(yield* names, ["a"])
    }))

  test("leaves what runs alone when an edit is broken, and goes on when it is mended", (folder) =>
    Effect.gen(function* () {
      writeFileSync(join(folder, "a.yaml"), eventStream("a"))
      const { until, get, names } = yield* follow(folder)
      writeFileSync(join(folder, "a.yaml"), `${eventStream("a")}  batch: {`)
      yield* until(/a\.yaml:\d+:\d+: not YAML/)
      writeFileSync(join(folder, "a.yaml"), eventStream("a", "  batch: { maxMessages: 0, maxLatencyy: 1s }\n"))
      yield* until(/a\.yaml: EventStream default\/a: spec\.batch\.maxMessages: .*found 0/)
      yield* until(/spec\.batch\.maxLatencyy: unknown field; did you mean maxLatency/)
      yield* until(/EventStream default\/a stays as it was/)
      assert.deepEqual(yield* names, ["a"])
      assert.equal((yield* get("a")).metadata.generation, 1)
      writeFileSync(join(folder, "a.yaml"), eventStream("a", "  batch: { maxMessages: 7 }\n"))
      yield* until(/EventStream default\/a configured/)
      assert.equal((yield* get("a")).spec.batch.maxMessages, 7)
    }))

  test("waits for an object that is on its way out before it makes it anew", (folder) =>
    Effect.gen(function* () {
      const kube = yield* Kube
      writeFileSync(join(folder, "a.yaml"), eventStream("a"))
      writeFileSync(join(folder, "keep.yaml"), eventStream("keep"))
      const { until, get } = yield* follow(folder)
      const before = yield* get("a")
      yield* kube.setFinalizers(EventStreams, before, ["eventstream.dev/finalizer"])
      rmSync(join(folder, "a.yaml"))
      yield* until(/a deleted/)
      writeFileSync(join(folder, "a.yaml"), eventStream("a"))
      writeFileSync(join(folder, "b.yaml"), eventStream("b"))
      yield* until(/b created/)
      assert.equal((yield* get("a")).metadata.uid, before.metadata.uid)
      yield* kube.setFinalizers(EventStreams, yield* get("a"), [])
      yield* until(/a created/)
      assert.notEqual((yield* get("a")).metadata.uid, before.metadata.uid)
    }))

  test("refuses to start with every mistake of every file", (folder) =>
    Effect.gen(function* () {
      writeFileSync(join(folder, "broken.yaml"), "a: [1\nb: 2\n")
      writeFileSync(join(folder, "invalid.yaml"), eventStream("x", "  batch: { maxMessages: many }\n  bogus: 1\n"))
      writeFileSync(join(folder, "again.yaml"), eventStream("x"))
      writeFileSync(join(folder, "nameless.yaml"), "apiVersion: v1\nkind: Secret\n")
      writeFileSync(join(folder, "old.yaml"), eventStream("old").replace("v1alpha1", "v0"))
      const { mistakes } = yield* Effect.flip(openManifests([folder, join(folder, "nowhere")]))
      const all = mistakes.join("\n")
      for (const part of [
        /nowhere: wanted a file or folder/,
        /broken\.yaml:\d+:\d+: not YAML/,
        /spec\.batch\.maxMessages: .*"many"/,
        /spec\.bogus: unknown field/,
        /EventStream default\/x is in .* already/,
        /nameless\.yaml: Secret: wanted metadata\.name/,
        /old\.yaml: EventStream old: wanted apiVersion eventstream\.dev\/v1alpha1, found eventstream\.dev\/v0/
      ]) {
        assert.match(all, part)
      }
    }))

  test("refuses to start without an EventStream", (folder) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(openManifests([folder]))
      assert.match(error.message, /wanted an EventStream, found none/)
    }))
})
