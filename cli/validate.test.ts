import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { mistakeLines, validate } from "./validation.ts"

const eventStream = (name: string, stream: string, more = "") => `apiVersion: eventstream.dev/v1alpha1
kind: EventStream
metadata: {name: ${name}, namespace: demo}
spec:
  nats: {servers: ["nats://nats.nats.svc:4222"]}
  stream: ${stream}
  processor: {type: Telemetry}
  target: {postgres: {secretRef: {name: pg-app}}}
${more}`

const lines = (files: Readonly<Record<string, string>>) => mistakeLines(validate(new Map(Object.entries(files))))

describe("validation", () => {
  it("finds nothing wrong with valid objects, in several documents and files", () => {
    const a = eventStream("a", '{subjects: ["a.>"]}')
    const b = eventStream("b", '{subjects: ["b.>"]}')
    const found = validate(
      new Map([
        ["1.yaml", `# first\n---\n${a}---\n${b}`],
        ["2.yaml", eventStream("c", '{subjects: ["c"]}')]
      ])
    )
    assert.deepEqual(mistakeLines(found), [])
    assert.deepEqual(
      found.objects.map(({ name }) => name),
      ["a", "b", "c"]
    )
  })

  it("finds nothing wrong with what docs/json.md shows", () => {
    const text = readFileSync(new URL("../docs/json.md", import.meta.url), "utf8")
    const shown = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((block) => block[1]!)
    assert.isAtLeast(shown.length, 2)
    for (const yaml of shown) assert.deepEqual(lines({ "json.md": yaml }), [])
  })

  it("names every mistake of every document", () => {
    const wrong = eventStream("orders", "{subjects: []}", "  batch: {maxMesages: 10}\n")
    assert.sameMembers(
      [...lines({ "orders.yaml": `${wrong}---\n${wrong.replace("name: orders", "name: other")}` })],
      [
        "orders.yaml: EventStream demo/orders: spec.batch.maxMesages: unknown field; did you mean maxMessages?",
        "orders.yaml: EventStream demo/orders: spec.stream.subjects: must have at least one subject when management is Managed; found []",
        "orders.yaml: EventStream demo/other: spec.batch.maxMesages: unknown field; did you mean maxMessages?",
        "orders.yaml: EventStream demo/other: spec.stream.subjects: must have at least one subject when management is Managed; found []"
      ]
    )
  })

  it.each([
    ["a: [1\nb: 2\n", 2],
    ["a: 1\n\tb: 2\n", 2],
    ["---\na: 1\n---\na: 1\na: 2\n", 5],
    ["a: *nowhere\n", 1]
  ])("says where %j is not YAML", (text, line) => {
    const [first] = lines({ "bad.yaml": text }).filter((found) => found.includes("not YAML"))
    assert.match(first ?? "", new RegExp(`^bad\\.yaml:${line}:\\d+: not YAML: `))
  })

  it("still checks what stands beside a document that is not YAML", () => {
    const found = lines({ "x.yaml": `a: 1\na: 2\n---\n${eventStream("a", "{}")}` })
    assert.lengthOf(found, 2)
    assert.include(found[1], "EventStream demo/a: spec.stream.subjects")
  })

  it("passes over other kinds with a note, and refuses what is no object", () => {
    const found = validate(new Map([["x.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: pg}\n---\n- 1\n"]]))
    assert.deepEqual(found.notes, ["x.yaml: Secret pg is not an EventStream: not checked"])
    assert.deepEqual(mistakeLines(found), ["x.yaml: expected a Kubernetes object with apiVersion and kind"])
  })

  it("takes a wrong kind of the group for a misspelt EventStream", () => {
    const found = lines({ "x.yaml": eventStream("a", '{subjects: ["a"]}').replace("EventStream", "EventSteam") })
    assert.deepEqual(found, ['x.yaml: EventStream demo/a: kind: expected EventStream, found "EventSteam"'])
  })

  it("finds what only the processor knows, such as a default that is not of its column's type", () => {
    const mapping = "processor: {type: Json, json: {table: t, columns: [{name: id, type: int4, defaultValue: abc}]}}"
    const manifest = eventStream("a", '{subjects: ["a.>"]}').replace(/processor: \{.*\}/, mapping)
    assert.deepEqual(lines({ "x.yaml": manifest }), [
      'x.yaml: EventStream demo/a: spec.processor.json.columns[0].defaultValue: "abc" is no int4'
    ])
  })

  describe("two EventStreams", () => {
    const together = (a: string, b: string) => lines({ "a.yaml": a, "b.yaml": b })
    const conflict =
      "b.yaml: EventStream demo/b: spec.stream.name: stream DEMO_A is managed by EventStream demo/a (a.yaml) already"

    it("cannot manage one stream, named or by default", () => {
      const a = eventStream("a", '{subjects: ["a"]}')
      const b = eventStream("b", '{name: DEMO_A, subjects: ["b"]}')
      assert.deepEqual(together(a, b), [conflict])
      assert.include(together(a, b.replace('["b"]', "[1]")), conflict)
    })

    it("may read one stream when at most one manages it, or on different servers", () => {
      const a = eventStream("a", '{subjects: ["a"]}')
      assert.deepEqual(together(a, eventStream("b", "{name: DEMO_A, management: Observed}")), [])
      const elsewhere = eventStream("b", '{name: DEMO_A, subjects: ["b"]}').replace("nats.nats.svc", "other")
      assert.deepEqual(together(a, elsewhere), [])
    })

    it("cannot have one name", () => {
      const a = eventStream("a", '{subjects: ["a"]}')
      assert.deepEqual(together(a, a), [
        "b.yaml: EventStream demo/a: metadata.name: EventStream demo/a is in a.yaml already"
      ])
    })
  })
})

describe("eventstream validate", () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "validate-"))
    writeFileSync(join(folder, "good.yaml"), eventStream("a", '{subjects: ["a.>"]}'))
    writeFileSync(join(folder, "bad.yaml"), eventStream("b", '{subjects: ["$JS.>"]}'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const run = (args: ReadonlyArray<string>, input = "") =>
    spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), "validate", ...args], {
      cwd: folder,
      input,
      encoding: "utf8"
    })

  it("exits with 0 and counts what is valid", () => {
    const { status, stdout, stderr } = run(["-f", "good.yaml", "-f", "-"], eventStream("c", '{subjects: ["c"]}'))
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "2 objects valid\n", stderr: "" })
  })

  it("exits with 1 and prints the mistakes of a whole folder", () => {
    const { status, stdout, stderr } = run(["-f", "."])
    assert.strictEqual(status, 1)
    assert.strictEqual(stdout, "")
    assert.match(stderr, /^bad\.yaml: EventStream demo\/b: spec\.stream\.subjects\[0\]: expected .*\n1 mistake\n$/)
  })

  it("prints the value as JSON, also of what is not there", () => {
    const { status, stdout } = run(["--output", "json", "-f", "good.yaml", "nowhere.yaml"])
    assert.strictEqual(status, 1)
    assert.deepEqual(JSON.parse(stdout), {
      objects: [{ file: "good.yaml", namespace: "demo", name: "a", mistakes: [] }],
      mistakes: ["nowhere.yaml: no such file or folder"],
      notes: []
    })
  })
})
