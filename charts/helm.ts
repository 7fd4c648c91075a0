import { Effect, Schema } from "effect"
import { execFile, execFileSync } from "node:child_process"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import type { ControlPlane } from "../testing/control-plane.ts"
import { tempDirectory } from "../testing/servers.ts"

/** The programs that charts are tested with, as they are run from a shell. */

export interface Output {
  readonly stdout: string
  readonly stderr: string
}

export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `${this.command}: ${this.output.trim()}`
  }
}

/** A manifest as the API server gets it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: any
}

const root = join(import.meta.dirname, "..")
const largestOutput = 32 << 20

let built = false
const binary = (name: string) => {
  if (!built) execFileSync(join(root, "tools", "build.sh"), ["chart"], { stdio: ["ignore", "ignore", "inherit"] })
  built = true
  return join(root, ".bin", name)
}

/** Runs a program to its end; fails when it exits with another code than 0. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {}
): Effect.Effect<Output, CommandFailed> =>
  Effect.callback((resume) => {
    const env = { ...process.env, ...options.env }
    const child = execFile(command, args, { env, maxBuffer: largestOutput }, (error, stdout, stderr) =>
      resume(
        error
          ? Effect.fail(
              new CommandFailed({
                command: [command.replace(/.*\//, ""), ...args].join(" "),
                output: `${stdout}${stderr}` || error.message
              })
            )
          : Effect.succeed({ stdout, stderr })
      )
    )
    child.stdin?.on("error", () => {}) // a program that fails early does not read its input
    child.stdin?.end(options.input ?? "")
    return Effect.sync(() => void child.kill())
  })

/** Folder of a chart, e.g. of `eventstream-operator`. */
export const chartFolder = (chart: string) => join(import.meta.dirname, chart)

/** Runs helm with a home of its own, against `plane` where it is given. */
export const helm = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: { readonly plane?: Pick<ControlPlane, "kubeconfig">; readonly values?: object } = {}
) {
  const home = yield* tempDirectory("eventstream-helm-")
  return yield* run(binary("helm"), [...args, ...(options.values === undefined ? [] : ["--values", "-"])], {
    env: {
      HELM_CACHE_HOME: home,
      HELM_CONFIG_HOME: home,
      HELM_DATA_HOME: home,
      KUBECONFIG: options.plane?.kubeconfig ?? join(home, "none")
    },
    // JSON is YAML.
    ...(options.values === undefined ? {} : { input: JSON.stringify(options.values) })
  })
}, Effect.scoped)

export interface Rendering {
  readonly chart: string
  readonly release: string
  readonly namespace: string
  /** Values files, later ones win; `values` wins over them. */
  readonly files?: ReadonlyArray<string>
  readonly values?: object
}

/** What `helm template` prints: everything of the release, hooks included, as YAML. */
export const render = ({ chart, release, namespace, files = [], values }: Rendering) =>
  helm(
    ["template", release, chartFolder(chart), "--namespace", namespace, ...files.flatMap((file) => ["--values", file])],
    values === undefined ? {} : { values }
  ).pipe(Effect.map(({ stdout }) => stdout))

/** The manifests in YAML text, read as Kubernetes does: by YAML 1.1, in which a bare `n` or `1e3` is no text. */
export const manifestsOf = (yaml: string): ReadonlyArray<Manifest> =>
  parseAllDocuments(yaml, { version: "1.1" })
    .map((document) => {
      if (document.errors[0]) throw document.errors[0]
      return document.toJS() as Manifest | null
    })
    .filter((manifest) => manifest !== null)

/** What helm says of values that it refuses: the schema's sentences, or that of a template's `fail`. */
export const refusal = (rendering: Rendering) =>
  render(rendering).pipe(
    Effect.flip,
    Effect.map(({ output }) =>
      Array.from(output.matchAll(/^(- at .*)$|execution error at \(.*?\): (.*)$/gm), ([, bySchema, byFail]) =>
        String(bySchema ?? byFail)
      ).join("\n")
    )
  )

/** Runs kubectl against `plane` with `input` as its standard input. */
export const kubectlWith = (
  plane: Pick<ControlPlane, "kubeconfig" | "kubectl">,
  args: ReadonlyArray<string>,
  input = ""
) => run(plane.kubectl, ["--kubeconfig", plane.kubeconfig, ...args], { input })

/** Checks manifests against JSON schemas in `folder` (written by `writeSchemas`); fails with everything that is wrong. */
export const kubeconform = (folder: string, yaml: string) =>
  run(
    binary("kubeconform"),
    ["-strict", "-summary", "-schema-location", join(folder, "{{ .ResourceKind }}{{ .KindSuffix }}.json"), "-"],
    { input: yaml }
  )
