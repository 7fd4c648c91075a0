import type { KubeObject } from "../kube.ts"

/** The live table: the columns of `kubectl get eventstreams`. Pure: objects in, lines out. */

export interface TableLine {
  readonly text: string
  readonly tone: "header" | "good" | "bad" | "detail"
  /** The same for the same row of two tables. */
  readonly key: string
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

interface Status {
  readonly conditions?: ReadonlyArray<Condition>
  readonly consumer?: { readonly lag?: string }
  readonly writer?: { readonly readyReplicas?: number }
  readonly delivery?: { readonly deadLettered?: number }
}

const statusOf = (object: KubeObject): Status => object["status"] ?? {}

export const readyCondition = (object: KubeObject): Condition | undefined =>
  statusOf(object).conditions?.find(({ type }) => type === "Ready")

export const isReady = (object: KubeObject): boolean => readyCondition(object)?.status === "True"

/** As the operator reports it; `undefined` until it does. */
export const lagOf = (object: KubeObject): string | undefined => statusOf(object).consumer?.lag

const columns = ["NAMESPACE", "NAME", "READY", "REASON", "LAG", "WRITERS", "DLQ"] as const
/** Room for the usual values from the beginning, so that columns stay where they are. */
const minimumWidths = [9, 4, 5, "TargetUnreachable".length, 4, 7, 3] as const

const cells = (object: KubeObject): ReadonlyArray<string> => {
  const { consumer, writer, delivery } = statusOf(object)
  const ready = readyCondition(object)
  const numbers = [consumer?.lag, writer?.readyReplicas, delivery?.deadLettered]
  return [
    object.metadata.namespace ?? "",
    object.metadata.name,
    ready?.status ?? "",
    ready?.reason ?? "",
    ...numbers.map((value) => String(value ?? ""))
  ]
}

const isOrdered = (a: KubeObject, b: KubeObject) =>
  `${a.metadata.namespace}/${a.metadata.name}`.localeCompare(`${b.metadata.namespace}/${b.metadata.name}`)

/** Header, one line for each EventStream, and below what keeps those that are not ready. Without namespaces if there is only one. */
export const renderTable = (objects: ReadonlyArray<KubeObject>): ReadonlyArray<TableLine> => {
  const sorted = [...objects].sort(isOrdered)
  const from = new Set(sorted.map(({ metadata }) => metadata.namespace)).size > 1 ? 0 : 1
  const rows = sorted.map((object) => cells(object).slice(from))
  const header = columns.slice(from)
  const widths = minimumWidths.slice(from).map((width, i) => Math.max(width, ...rows.map((row) => row[i]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("   ")
      .trimEnd()
  const details = sorted.flatMap((object): ReadonlyArray<TableLine> => {
    const ready = readyCondition(object)
    if (!ready || ready.status === "True" || ready.message === "") return []
    const text = `${object.metadata.name}: ${ready.message.replaceAll(/\s+/g, " ")}`
    return [{ text, tone: "detail", key: `${object.metadata.uid} message` }]
  })
  return [
    { text: line(header), tone: "header", key: "header" },
    ...sorted.map((object, i): TableLine => ({
      text: line(rows[i]!),
      tone: isReady(object) ? "good" : "bad",
      key: `${object.metadata.uid}`
    })),
    ...details
  ]
}
