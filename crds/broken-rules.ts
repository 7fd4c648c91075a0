import { below, isObject, type Mistake, shown } from "./check.ts"
import type { Rule } from "./rule.ts"

interface Place {
  readonly path: string
  readonly value: unknown
  readonly oldValue: unknown
}

const fieldOf = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined

const descend = (place: Place, path: string): Place =>
  path
    .split(".")
    .filter((name) => name !== "")
    .reduce<Place>(
      (at, name) => ({
        path: below(at.path, name),
        value: fieldOf(at.value, name),
        oldValue: fieldOf(at.oldValue, name)
      }),
      place
    )

const itemsOf = ({ path, value }: Place): ReadonlyArray<Place> =>
  Array.isArray(value)
    ? value.map((item, index) => ({ path: `${path}[${index}]`, value: item, oldValue: undefined }))
    : []

/** The values a rule is about: none when a field on the way is absent, several when the way leads through lists. */
const placesOf = (path: string, value: unknown, oldValue: unknown): ReadonlyArray<Place> => {
  const [first = "", ...behindLists] = path.split("[]")
  return behindLists
    .reduce<ReadonlyArray<Place>>(
      (places, fields) => places.flatMap(itemsOf).map((place) => descend(place, fields)),
      [descend({ path: "", value, oldValue }, first)]
    )
    .filter((place) => place.value !== undefined)
}

const segments = (path: string) => path.split(/\.|(?=\[)/u).filter((segment) => segment !== "")

/** Whether one path leads to or through the other; `[]` is any item. */
const overlap = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) =>
  a.slice(0, b.length).every((segment, index) => segment === b[index] || (segment.startsWith("[") && b[index] === "[]"))

/** Whether the value and the fields a rule looks at are right in themselves. */
const canJudge = (rule: Rule, { path }: Place, wrong: ReadonlyArray<ReadonlyArray<string>>) => {
  const place = segments(path)
  const read = rule.reads.map((field) => segments(`${path}.${field}`))
  return !wrong.some(
    (mistake) =>
      (mistake.length <= place.length && overlap(mistake, place)) || read.some((field) => overlap(mistake, field))
  )
}

const judge = (rule: Rule, { path, value, oldValue }: Place): ReadonlyArray<Mistake> => {
  if (rule.holds(value, oldValue)) return []
  const names = rule.field?.split(".") ?? []
  const found = names.reduce(fieldOf, value)
  return [
    {
      path: names.reduce(below, path),
      message: rule.field === undefined || found === undefined ? rule.message : `${rule.message}; found ${shown(found)}`
    }
  ]
}

/** Mistakes against `rules`, apart from those rules that look at a field already `found` to be wrong. */
export const brokenRules = (
  rules: ReadonlyArray<Rule>,
  object: unknown,
  old: unknown,
  found: ReadonlyArray<Mistake>
): ReadonlyArray<Mistake> => {
  const wrong = found.map((mistake) => segments(mistake.path))
  return rules.flatMap((rule) =>
    placesOf(rule.path, object, old)
      .filter((place) => !(rule.transition && place.oldValue === undefined) && canJudge(rule, place, wrong))
      .flatMap((place) => judge(rule, place))
  )
}
