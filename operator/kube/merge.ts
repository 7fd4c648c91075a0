import { isDeepStrictEqual } from "node:util"
import type { KubeObject } from "../kube.ts"

/**
 * Server-side apply as the API server does it, on objects flattened to fields: JSON pointer -> leaf. A leaf is a scalar, a list
 * or an empty map. Lists are replaced whole, but for those the API merges by a key, which are flattened by it.
 */

export type Fields = ReadonlyMap<string, unknown>

/** What each field manager has applied: its name -> pointers of its fields. */
export type Owners = ReadonlyMap<string, ReadonlySet<string>>

/** Lists merged by item. Source: `x-kubernetes-list-map-keys`, and the patch strategies of ObjectMeta; "" is a set. */
const keyedLists: Readonly<Record<string, string>> = {
  "/metadata/finalizers": "",
  "/metadata/ownerReferences": "uid",
  "/status/conditions": "type"
}

const escape = (segment: string) => segment.replaceAll("~", "~0").replaceAll("/", "~1")
const unescape = (segment: string) => segment.replaceAll("~1", "/").replaceAll("~0", "~")

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The list as a map from key to item; `undefined` when it is not one of those, or some item has no key. */
const byKey = (pointer: string, list: unknown): Readonly<Record<string, unknown>> | undefined => {
  const key = keyedLists[pointer]
  if (key === undefined || !Array.isArray(list) || list.length === 0) return undefined
  const keys = list.map((item: unknown) => (key !== "" && isMap(item) ? item[key] : item))
  return keys.every((each) => typeof each === "string")
    ? Object.fromEntries(keys.map((each, index) => [each, list[index]]))
    : undefined
}

/** The fields of a value; `undefined` ones are not there, as in JSON. */
export const flatten = (value: unknown, pointer = "", into = new Map<string, unknown>()): Map<string, unknown> => {
  const map = byKey(pointer, value) ?? value
  if (isMap(map) && Object.keys(map).length > 0) {
    for (const [name, child] of Object.entries(map)) flatten(child, `${pointer}/${escape(name)}`, into)
  } else if (value !== undefined) {
    into.set(pointer, value)
  }
  return into
}

interface Branch {
  [name: string]: unknown
}

/** The value with these fields. */
export const unflatten = (fields: Fields): unknown => {
  const root: Branch = Object.create(null) as Branch
  for (const [pointer, leaf] of fields) {
    const segments = pointer.split("/").slice(1).map(unescape)
    const last = segments.pop()
    if (last === undefined) continue
    let branch = root
    for (const segment of segments) branch = (branch[segment] ??= Object.create(null) as Branch) as Branch
    branch[last] = leaf
  }
  return listed(root, "")
}

/** Turns the maps that stand for keyed lists back into lists. */
const listed = (value: unknown, pointer: string): unknown => {
  if (!isMap(value)) return value
  const entries = Object.entries(value).map(
    ([name, child]) => [name, listed(child, `${pointer}/${escape(name)}`)] as const
  )
  return keyedLists[pointer] === undefined ? Object.fromEntries(entries) : entries.map(([, child]) => child)
}

/** The pointer itself and those of the maps it is in, up to the top. */
const upwards = (pointer: string): ReadonlyArray<string> => {
  const above = pointer.lastIndexOf("/")
  return above > 0 ? [pointer, ...upwards(pointer.slice(0, above))] : [pointer]
}

const withMaps = (pointers: Iterable<string>) => new Set([...pointers].flatMap(upwards))

/** Sets one field; what it can't stand beside (a scalar above it, a map below it) makes way. */
const set = (fields: Map<string, unknown>, pointer: string, leaf: unknown) => {
  const children = [...fields.keys()].filter((each) => each.startsWith(`${pointer}/`))
  // An empty map asks only for the map to be there.
  if (isMap(leaf) && children.length > 0) return
  for (const each of [...children, ...upwards(pointer)]) fields.delete(each)
  fields.set(pointer, leaf)
}

/**
 * `manager` applies `wanted` to `live` by force: its fields are set and other managers lose those that change. What it applied
 * before and nobody applies any more is removed; a map that only it applied goes whole, with defaults that were filled in.
 * Source: sigs.k8s.io/structured-merge-diff, merge.Updater.Apply and prune.
 */
export const applyFields = (
  live: Fields,
  owners: Owners,
  manager: string,
  wanted: Fields
): { readonly fields: Fields; readonly owners: Owners } => {
  const others = [...owners].filter(([name]) => name !== manager)
  const applied = withMaps([...wanted.keys(), ...others.flatMap(([, owned]) => [...owned])])
  const dropped = withMaps(owners.get(manager) ?? []).difference(applied)
  const fields = new Map([...live].filter(([pointer]) => !upwards(pointer).some((each) => dropped.has(each))))
  for (const [pointer, leaf] of wanted) set(fields, pointer, leaf)
  const kept = others.map(([name, owned]) => {
    const unchanged = [...owned].filter((pointer) => isDeepStrictEqual(fields.get(pointer), live.get(pointer)))
    return [name, new Set(unchanged)] as const
  })
  return { fields, owners: new Map([...kept, [manager, new Set(wanted.keys())]]) }
}

/** Whether the parts that `metadata.generation` counts are the same: all but metadata and status. */
export const sameSpec = (a: KubeObject, b: KubeObject) => {
  const { metadata: _a, status: _s, ...one } = a
  const { metadata: _b, status: _t, ...other } = b
  return isDeepStrictEqual(one, other)
}
