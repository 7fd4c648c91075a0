import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { LineCounter, parseAllDocuments } from "yaml"
import { apiVersion } from "../../crds/eventstream.ts"
import { type KubeObject, resourceOf } from "../kube.ts"

/** Manifests as they stand in files, not yet looked at by the API. */

/** Manifests are applied in these folders' files only, as by `kubectl apply -f`; folders in folders are not entered. */
const manifestFile = /\.(ya?ml|json)$/

/** The kinds that make sense without a cluster. */
const supportedKinds = ["EventStream", "Secret", "ConfigMap", "Namespace"]

export interface Manifest {
  readonly file: string
  readonly object: KubeObject
}

export interface Parsed {
  readonly manifests: ReadonlyArray<Manifest>
  /** Sentences, each with the file and where it can be, the line. */
  readonly mistakes: ReadonlyArray<string>
  /** What is left out, and why that is no mistake. */
  readonly notes: ReadonlyArray<string>
}

/** `Kind namespace/name`, which names an object among all that are applied. */
export const titleOf = ({ kind, metadata }: KubeObject) =>
  metadata.namespace === undefined ? `${kind} ${metadata.name}` : `${kind} ${metadata.namespace}/${metadata.name}`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A `List` as its items. */
const items = (value: unknown): ReadonlyArray<unknown> =>
  isObject(value) && value["kind"] === "List" && Array.isArray(value["items"]) ? value["items"] : [value]

/** Why the value is not a Kubernetes object; `undefined` when it is. */
const flaw = (value: unknown): string | undefined => {
  if (!isObject(value)) return "wanted a Kubernetes object with apiVersion, kind and metadata, found another value"
  for (const field of ["apiVersion", "kind"]) {
    if (typeof value[field] !== "string" || value[field] === "")
      return `wanted ${field} of a Kubernetes object, found none`
  }
  const metadata = value["metadata"]
  if (!isObject(metadata) || typeof metadata["name"] !== "string" || metadata["name"] === "") {
    return `${String(value["kind"])}: wanted metadata.name, found none`
  }
  if (metadata["namespace"] !== undefined && typeof metadata["namespace"] !== "string") {
    return `${String(value["kind"])} ${metadata["name"]}: wanted metadata.namespace to be text`
  }
  const object = value as unknown as KubeObject
  if (supportedKinds.includes(object.kind) && !resourceOf(object)) {
    const wanted = object.kind === "EventStream" ? apiVersion : "v1"
    return `${object.kind} ${object.metadata.name}: wanted apiVersion ${wanted}, found ${object.apiVersion}`
  }
  return undefined
}

/** As kubectl sets it for the namespace `default`. */
const inNamespace = (object: KubeObject): KubeObject =>
  resourceOf(object)?.scope === "Cluster"
    ? object
    : { ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? "default" } }

/** The values of a file's YAML documents, items of a `List` one by one, and what in it is not YAML. */
export const parseDocuments = (
  file: string,
  text: string
): { readonly values: ReadonlyArray<unknown>; readonly mistakes: ReadonlyArray<string> } => {
  const values: Array<unknown> = []
  const mistakes: Array<string> = []
  const lines = new LineCounter()
  const mistake = (offset: number, message: string) => {
    const { line, col } = lines.linePos(offset)
    mistakes.push(`${file}:${line}:${col}: not YAML: ${message.split("\n")[0]}`)
  }
  for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true })) {
    if (!("errors" in document)) continue
    for (const { message, pos } of document.errors) mistake(pos[0], message)
    if (document.errors.length > 0) continue
    try {
      // As JSON, which knows no cycles. A document of comments only is null.
      const value: unknown = JSON.parse(JSON.stringify(document.toJS()) ?? "null")
      values.push(...items(value).filter((item) => item !== null))
    } catch (error) {
      mistake(document.range[0], (error as Error).message)
    }
  }
  return { values, mistakes }
}

export const parseManifests = (file: string, text: string): Parsed => {
  const { values, mistakes: notYaml } = parseDocuments(file, text)
  const manifests: Array<Manifest> = []
  const mistakes: Array<string> = [...notYaml]
  const notes: Array<string> = []
  for (const value of values) {
    const wrong = flaw(value)
    if (wrong !== undefined) mistakes.push(`${file}: ${wrong}`)
    else if (!supportedKinds.includes((value as KubeObject).kind)) {
      const { kind, metadata } = value as KubeObject
      notes.push(`${file}: ${kind} ${metadata.name} is left out; applied are ${supportedKinds.join(", ")}`)
    } else manifests.push({ file, object: inNamespace(value as KubeObject) })
  }
  return { manifests, mistakes, notes }
}

/** Text of every manifest file below the paths, and which paths are not there. */
export const readManifests = (
  paths: ReadonlyArray<string>
): { readonly files: ReadonlyMap<string, string>; readonly missing: ReadonlyArray<string> } => {
  const files = new Map<string, string>()
  const missing: Array<string> = []
  for (const path of paths) {
    try {
      const found = statSync(path).isDirectory()
        ? readdirSync(path)
            .filter((name) => manifestFile.test(name))
            .map((name) => join(path, name))
        : [path]
      for (const file of found) files.set(file, readFileSync(file, "utf8"))
    } catch {
      missing.push(path)
    }
  }
  return { files, missing }
}
