import { Effect, Schema, type Scope } from "effect"
import { isDeepStrictEqual } from "node:util"
import { admit } from "../../crds/admission.ts"
import { Kube, keyOf, type KubeObject, resourceOf } from "../kube.ts"
import { type Manifest, type Parsed, parseManifests, readManifests, titleOf } from "./manifest-files.ts"

/**
 * Keeps the API at what manifest files say, as `kubectl apply` after every save and `kubectl delete` after every removal would.
 */

/** The manifests at start can't be used; every mistake of them. */
export class ManifestsInvalid extends Schema.TaggedError<ManifestsInvalid>()("ManifestsInvalid", {
  mistakes: Schema.Array(Schema.String)
}) {
  override get message() {
    const count = this.mistakes.length === 1 ? "a mistake" : `${this.mistakes.length} mistakes`
    return `${count} in the manifests:\n${this.mistakes.map((mistake) => `  ${mistake}`).join("\n")}`
  }
}

/** How often the files are read. Reading is surer than the system's notifications, which some file systems never send. */
const pollMillis = 250

/** Stands in place of a file for what the platform itself gives. */
const platform = "the platform"

const manager = { manager: "eventstream-local" }

export interface Follow {
  /** Objects applied in a namespace that has an EventStream, unless a file brings one of the same kind and name. */
  readonly defaults: (namespace: string) => ReadonlyArray<KubeObject>
  /** Told in a sentence what an edit did, or why it was refused. */
  readonly notice: (text: string) => void
}

export interface Manifests {
  /** Applies edits and removals until the scope closes. */
  readonly follow: (options: Follow) => Effect.Effect<void, never, Kube | Scope.Scope>
}

const duplicates = (manifests: ReadonlyArray<Manifest>): ReadonlyArray<string> => {
  const seen = new Map<string, string>()
  const mistakes: Array<string> = []
  for (const { file, object } of manifests) {
    const title = titleOf(object)
    const before = seen.get(title)
    if (before !== undefined) mistakes.push(`${file}: ${title} is in ${before} already`)
    else seen.set(title, file)
  }
  return mistakes
}

/** Applies one object. The answer is empty, or every reason why it is refused. */
const apply = Effect.fnUntraced(
  function* ({ file, object }: Manifest) {
    const kube = yield* Kube
    const stored = yield* kube.get(resourceOf(object)!, keyOf(object))
    const admission = object.kind === "EventStream" ? admit(object, stored) : { object }
    if ("errors" in admission) {
      return admission.errors.map(({ path, message }) => `${file}: ${titleOf(object)}: ${path}: ${message}`)
    }
    yield* kube.apply(object, manager)
    return []
  },
  (effect, { file }) => Effect.catchTag(effect, "KubeError", (error) => Effect.succeed([`${file}: ${error.detail}`]))
)

/**
 * Reads and applies what is there now; fails with every mistake of all files.
 *
 * @param paths files and folders
 */
export const openManifests = Effect.fnUntraced(function* (
  paths: ReadonlyArray<string>
): Effect.fn.Return<Manifests, ManifestsInvalid, Kube> {
  const { files, missing } = readManifests(paths)
  const parsed = new Map([...files].map(([file, text]) => [file, parseManifests(file, text)]))
  const manifests = [...parsed.values()].flatMap((each) => each.manifests)
  const mistakes = [
    ...missing.map((path) => `${path}: wanted a file or folder with manifests, found none`),
    ...[...parsed.values()].flatMap((each) => each.mistakes),
    ...duplicates(manifests)
  ]
  for (const manifest of manifests) {
    mistakes.push(...(yield* apply(manifest)))
  }
  if (mistakes.length === 0 && !manifests.some(({ object }) => object.kind === "EventStream")) {
    mistakes.push(`${paths.join(", ")}: wanted an EventStream, found none`)
  }
  if (mistakes.length > 0) return yield* new ManifestsInvalid({ mistakes })
  return { follow: (options) => follow(paths, files, parsed, options) }
})

const follow = Effect.fnUntraced(function* (
  paths: ReadonlyArray<string>,
  textAtStart: ReadonlyMap<string, string>,
  parsedAtStart: ReadonlyMap<string, Parsed>,
  { defaults, notice }: Follow
) {
  const kube = yield* Kube
  for (const { notes } of parsedAtStart.values()) notes.forEach(notice)
  /** What each file said when it was last right. */
  const accepted = new Map(parsedAtStart)
  /** Title -> the object as it was last applied. */
  const applied = new Map(
    [...accepted.values()].flatMap((each) => each.manifests).map(({ object }) => [titleOf(object), object])
  )
  /** Titles of those that the API refuses as they are. */
  const refused = new Set<string>()
  /** With an EventStream, now or before: one that is being deleted still needs what it was given. */
  const namespaces = new Set<string>()
  let acted = textAtStart
  let lastRead = textAtStart

  /** Takes over the files that changed. A file in the middle of being saved is left for the next time. */
  const takeEdits = () => {
    const { files } = readManifests(paths)
    const settled = isDeepStrictEqual(files, lastRead)
    lastRead = files
    if (!settled || isDeepStrictEqual(files, acted)) return
    for (const [file, text] of files) {
      if (text === acted.get(file)) continue
      const parsed = parseManifests(file, text)
      const others = [...accepted]
        .filter(([other]) => other !== file && files.has(other))
        .flatMap(([, each]) => each.manifests)
      const mistakes = [...parsed.mistakes, ...duplicates([...others, ...parsed.manifests])]
      if (mistakes.length === 0) accepted.set(file, parsed)
      for (const text of [...mistakes, ...parsed.notes]) notice(text)
      if (mistakes.length > 0) notice(`${file}: nothing of it is applied until that is mended`)
    }
    for (const file of acted.keys()) if (!files.has(file)) accepted.delete(file)
    acted = files
  }

  const wanted = (): ReadonlyMap<string, Manifest> => {
    const manifests = [...accepted.values()].flatMap((each) => each.manifests)
    for (const { object } of manifests) if (object.kind === "EventStream") namespaces.add(object.metadata.namespace!)
    const given = [...namespaces].flatMap(defaults).map((object) => ({ file: platform, object }))
    return new Map([...given, ...manifests].map((manifest) => [titleOf(manifest.object), manifest]))
  }

  const applyWanted = Effect.fnUntraced(function* (title: string, manifest: Manifest) {
    const { object } = manifest
    const isNew = !isDeepStrictEqual(applied.get(title), object)
    const stored = yield* kube.get(resourceOf(object)!, keyOf(object))
    // One that is on its way out is waited for; then it is made anew.
    if (stored?.metadata.deletionTimestamp !== undefined) return
    if (!isNew && (stored !== undefined || refused.has(title))) return
    applied.set(title, object)
    refused.delete(title)
    const refusals = yield* apply(manifest)
    if (refusals.length > 0) {
      refused.add(title)
      refusals.forEach(notice)
      return notice(`${title} ${stored ? "stays as it was" : "is not applied"}`)
    }
    if (manifest.file !== platform) notice(`${title} ${stored ? "configured" : "created"}`)
  })

  const removeUnwanted = Effect.fnUntraced(function* (title: string, object: KubeObject) {
    applied.delete(title)
    yield* kube.delete(resourceOf(object)!, keyOf(object))
    notice(`${title} deleted`)
  })

  const pass = Effect.gen(function* () {
    takeEdits()
    const manifests = wanted()
    for (const [title, manifest] of manifests) yield* applyWanted(title, manifest)
    for (const [title, object] of applied) if (!manifests.has(title)) yield* removeUnwanted(title, object)
  }).pipe(Effect.catchTag("KubeError", (error) => Effect.sync(() => notice(error.message))))

  yield* pass
  yield* Effect.forkScoped(Effect.forever(Effect.delay(pass, pollMillis)))
})
