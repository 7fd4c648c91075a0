import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { assert, describe, it } from "vitest"

/**
 * The architecture as a test: who may import whom. `docs/architecture.md` says why each rule is there.
 */

const root = import.meta.dirname
const folders = ["crds", "platform", "operator", "writer", "cli", "images", "charts", "testing", "e2e", "demo", "bench"]

const sources = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file))

const isTest = (file: string) => /\.(test|setup)\.ts$/.test(file)

interface Import {
  readonly target: string
  readonly typeOnly: boolean
}

const importsOf = (file: string): ReadonlyArray<Import> => {
  const text = readFileSync(join(root, file), "utf8")
  const found = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^"';]*?from\s+"([^"]+)"/gm)].map((match) => ({
    target: match[2]!,
    typeOnly: match[1] !== undefined
  }))
  const dynamic = [...text.matchAll(/import\("([^"]+)"\)/g)].map((match) => ({ target: match[1]!, typeOnly: false }))
  return [...found, ...dynamic].map((found) =>
    found.target.startsWith(".") ? { ...found, target: relative(root, join(root, dirname(file), found.target)) } : found
  )
}

const inFolder = (path: string, folder: string) => path.startsWith(`${folder}/`)

/** What each folder may import of the others. */
const allowed: Readonly<Record<string, (target: string, from: string, typeOnly: boolean) => boolean>> = {
  crds: () => false,
  platform: () => false,
  operator: (target, from) =>
    inFolder(target, "crds") ||
    inFolder(target, "platform") ||
    target === "writer/config.ts" ||
    (inFolder(from, "operator/local") && (target === "testing/servers.ts" || target === "package.json")),
  writer: (target, _from, typeOnly) => inFolder(target, "platform") || (typeOnly && inFolder(target, "crds")),
  cli: (target) => !inFolder(target, "testing") && !inFolder(target, "images"),
  images: (target) => inFolder(target, "cli"),
  charts: () => true,
  testing: (target) => !inFolder(target, "e2e"),
  e2e: () => true,
  demo: () => true,
  bench: () => true
}

/** Each driver is known to few files, so that it can be replaced and its traps are in one place. */
const drivers: ReadonlyArray<readonly [packages: RegExp, files: RegExp]> = [
  [/^(pg|pg-copy-streams)$/, /^platform\/postgres\.ts$/],
  [/^@nats-io\//, /^(platform\/nats|operator\/jetstream|writer\/source|writer\/relay|writer\/status)\.ts$/],
  [/^@kubernetes\/client-node$/, /^operator\/kube\/server\.ts$/]
]

/** Files that decide: values in, values out. */
const pure = [
  /^operator\/(plan|drift|election|status)\.ts$/,
  /^operator\/specs\//,
  /^writer\/(decode|fields|processors|tables)\//,
  /^writer\/store\/(sql|sqlstate|ledger)\.ts$/,
  /^writer\/settle\.ts$/,
  /^crds\/(?!generate)/
]
const inputOutput = /^(node:(?!crypto$|buffer$)|pg$|@nats-io\/|@kubernetes\/|@effect\/platform-node)/

describe("imports", () => {
  const product = folders.flatMap(sources).filter((file) => !isTest(file))

  it("folders import only what the architecture allows", () => {
    const wrong: Array<string> = []
    for (const file of product) {
      const folder = file.split("/")[0]!
      for (const { target, typeOnly } of importsOf(file)) {
        const into = target.split("/")[0]!
        if (target === "package.json" || !folders.includes(into) || into === folder) continue
        if (!allowed[folder]!(target, file, typeOnly)) wrong.push(`${file} imports ${target}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  it("drivers are imported in one place", () => {
    const wrong: Array<string> = []
    for (const file of product.filter((path) => /^(crds|platform|operator|writer|cli)\//.test(path))) {
      for (const { target, typeOnly } of importsOf(file)) {
        const driver = drivers.find(([packages]) => packages.test(target))
        if (driver && !typeOnly && !driver[1].test(file)) wrong.push(`${file} imports ${target}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  it("pure files do no I/O and read no clock", () => {
    const wrong: Array<string> = []
    for (const file of product.filter((path) => pure.some((pattern) => pattern.test(path)))) {
      for (const { target, typeOnly } of importsOf(file)) {
        if (!typeOnly && inputOutput.test(target)) wrong.push(`${file} imports ${target}`)
      }
      const clock = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(/.exec(
        readFileSync(join(root, file), "utf8")
      )
      if (clock) wrong.push(`${file} calls ${clock[0]}`)
    }
    assert.deepEqual(wrong, [])
  })

  it("nothing imports an entry point", () => {
    const wrong = product.flatMap((file) =>
      importsOf(file)
        .filter(
          ({ target }) => /(^|\/)main\.ts$/.test(target) || (inFolder(target, "cli") && !/^(cli|images)\//.test(file))
        )
        .map(({ target }) => `${file} imports ${target}`)
    )
    assert.deepEqual(wrong, [])
  })

  it("there are no import cycles", () => {
    const graph = new Map(
      product.map((file) => [
        file,
        importsOf(file).flatMap(({ target, typeOnly }) => (typeOnly || !target.endsWith(".ts") ? [] : [target]))
      ])
    )
    const done = new Set<string>()
    const cycles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>) => {
      if (path.includes(file)) return void cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "))
      if (done.has(file)) return
      for (const target of graph.get(file) ?? []) visit(target, [...path, file])
      done.add(file)
    }
    for (const file of graph.keys()) visit(file, [])
    assert.deepEqual(cycles, [])
  })
})

describe("text", () => {
  it("source files stay readable: none over 450 lines", () => {
    const long = folders
      .flatMap(sources)
      .map((file) => [file, readFileSync(join(root, file), "utf8").split("\n").length] as const)
      .filter(([, lines]) => lines > 450)
    assert.deepEqual(long, [])
  })
})
