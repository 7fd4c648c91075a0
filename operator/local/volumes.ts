import { Effect, Schema } from "effect"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { ConfigMaps, Kube, type KubeError, type KubeObject, Secrets } from "../kube.ts"
import type { PodSpec, Volume } from "./pod-spec.ts"

/** What a volume needs is not there (yet). */
export class VolumeMissing extends Schema.TaggedError<VolumeMissing>()("VolumeMissing", {
  volume: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `volume ${this.volume}: ${this.detail}`
  }
}

type Files = ReadonlyMap<string, Buffer>

const entries = (value: unknown, encoding: "utf8" | "base64"): ReadonlyArray<readonly [string, Buffer]> =>
  Object.entries((value ?? {}) as Record<string, string>).map(([name, text]) => [name, Buffer.from(text, encoding)])

const filesOf = (object: KubeObject): Files =>
  new Map(
    object.kind === "Secret"
      ? entries(object["data"], "base64")
      : [...entries(object["data"], "utf8"), ...entries(object["binaryData"], "base64")]
  )

const read = Effect.fnUntraced(function* (
  namespace: string,
  volume: Volume
): Effect.fn.Return<Files, VolumeMissing | KubeError, Kube> {
  const kube = yield* Kube
  const { configMap, secret } = volume
  const source = configMap
    ? { resource: ConfigMaps, name: configMap.name, optional: configMap.optional }
    : secret && { resource: Secrets, name: secret.secretName, optional: secret.optional }
  if (!source) return new Map()
  const object = yield* kube.get(source.resource, { namespace, name: source.name })
  if (object) return filesOf(object)
  if (source.optional) return new Map()
  const detail = `${source.resource.kind} ${namespace}/${source.name} not found`
  return yield* new VolumeMissing({ volume: volume.name, detail })
})

const same = (folder: string, files: Files): boolean => {
  const present = existsSync(folder) ? readdirSync(folder) : []
  return (
    present.length === files.size && present.every((name) => files.get(name)?.equals(readFileSync(join(folder, name))))
  )
}

/**
 * Replaces the files of a volume all at once, as a kubelet does: names are links through `..data`, which is a link to the
 * newest folder and is switched by a rename. A reader never sees the certificate of one version with the key of another.
 */
const replace = (folder: string, files: Files): void => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const current = join(folder, "..data")
  if (existsSync(current) && same(current, files)) return
  const version = `..${process.hrtime.bigint()}`
  mkdirSync(join(folder, version), { mode: 0o700 })
  for (const [name, bytes] of files) writeFileSync(join(folder, version, name), bytes, { mode: 0o600 })
  symlinkSync(version, join(folder, "..new"))
  renameSync(join(folder, "..new"), current)
  for (const name of readdirSync(folder)) {
    const old = name.startsWith("..") ? name !== "..data" && name !== version : !files.has(name)
    if (old) rmSync(join(folder, name), { recursive: true })
  }
  for (const name of files.keys()) {
    if (!existsSync(join(folder, name))) symlinkSync(join("..data", name), join(folder, name))
  }
}

const link = (folder: string, mountPath: string, volume: string) => {
  const path = join(folder, "root", mountPath)
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  symlinkSync(join(folder, "volumes", volume), path)
}

/**
 * Brings the Pod's volumes up to date in its folder: `volumes/<name>`, and links to them under `root` at their mount paths, so
 * that paths from one mount to another hold.
 */
export const materialize = Effect.fnUntraced(function* (namespace: string, spec: PodSpec, folder: string) {
  for (const volume of spec.volumes) {
    const files = yield* read(namespace, volume)
    yield* Effect.sync(() => replace(join(folder, "volumes", volume.name), files))
  }
  yield* Effect.sync(() => {
    for (const { volumeMounts } of [...spec.initContainers, ...spec.containers]) {
      for (const { name, mountPath } of volumeMounts) link(folder, mountPath, name)
    }
  })
})

/** The text with every path at or below a mount turned into the path in the Pod's folder. */
export const translatePaths = (text: string, mountPaths: ReadonlyArray<string>, folder: string): string => {
  if (mountPaths.length === 0) return text
  const longestFirst = [...mountPaths].sort((a, b) => b.length - a.length).map((path) => RegExp.escape(path))
  const mounted = new RegExp(`(?<=^|[=:,\\s])(?:${longestFirst.join("|")})(?=$|[/:,\\s])`, "gu")
  return text.replaceAll(mounted, (path) => join(folder, "root", path))
}
