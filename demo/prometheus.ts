/** Reads the Prometheus text format, as far as prom-client writes it. Pure. */

export interface Point {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Series of one name. A histogram comes as its `_sum` and `_count`, which are counters; its buckets are left out. */
export interface Family {
  readonly name: string
  readonly type: "counter" | "gauge"
  readonly help: string
  readonly points: ReadonlyArray<Point>
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g
const escapes: Readonly<Record<string, string>> = { n: "\n", "\\": "\\", '"': '"' }

const labelsOf = (text: string): Point["labels"] =>
  Object.fromEntries(
    [...text.matchAll(labelPair)].map(([, name, value]) => [
      name!,
      value!.replaceAll(/\\(.)/g, (_, escaped: string) => escapes[escaped] ?? escaped)
    ])
  )

export const parseExposition = (text: string): ReadonlyArray<Family> => {
  const families = new Map<string, { type: string; help: string; points: Array<Point> }>()
  let help = ""
  let type = ""
  for (const line of text.split("\n")) {
    if (line.startsWith("# HELP ")) help = line.split(" ").slice(3).join(" ")
    else if (line.startsWith("# TYPE ")) type = line.split(" ")[3]!
    const match = sampleLine.exec(line)
    if (!match || match[1]!.endsWith("_bucket")) continue
    const [, name, labels = "", value] = match
    const family = families.get(name!) ?? { type: type === "histogram" ? "counter" : type, help, points: [] }
    family.points.push({ labels: labelsOf(labels), value: Number(value) })
    families.set(name!, family)
  }
  return [...families].map(([name, { type, ...rest }]) => ({
    name,
    type: type === "counter" ? "counter" : "gauge",
    ...rest
  }))
}
