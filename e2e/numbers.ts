import { Effect } from "effect"
import type { CommandFailed } from "../charts/helm.ts"
import { conditionsOf } from "../testing/operator-services.ts"
import {
  apply,
  get,
  hub,
  kubectl,
  type KubeList,
  type KubeObject,
  namespace,
  type Place,
  sql,
  streamThere,
  waitFor
} from "./world.ts"

/**
 * EventStreams whose messages are numbers from 1 on, each a row: so that what is lost and what is there twice can be counted.
 */

/** The numbers in column `n` of a table. */
export interface Rows {
  readonly count: number
  readonly distinct: number
  readonly max: number
  /** The first numbers from 1 to `max` that are not there. */
  readonly missing: ReadonlyArray<number>
}

export const rows = (table: string): Effect.Effect<Rows, CommandFailed> =>
  sql<Rows>(
    `SELECT count(*)::int AS count, count(DISTINCT n)::int AS "distinct", coalesce(max(n), 0)::int AS max,
       ARRAY(SELECT m::int FROM generate_series(1, (SELECT max(n) FROM ${table})) m
             WHERE NOT EXISTS (SELECT FROM ${table} t WHERE t.n = m) ORDER BY m LIMIT 10) AS missing
     FROM ${table}`
  ).pipe(Effect.map(([found]) => found!))

/** Every number from 1 to `count`, once. */
export const allOf = (count: number): Rows => ({ count, distinct: count, max: count, missing: [] })

/** Waits until as many numbers as published are there, and JetStream has nothing left that could come once more. */
export const settled = Effect.fnUntraced(function* (name: string, published: number, where: Place = {}) {
  const table = tableOf(name)
  yield* waitFor(`${published} rows in ${table}`, rows(table), ({ distinct }) => distinct >= published)
  yield* waitFor(`every message of ${name} acknowledged`, streamThere(streamNameOf(name), where), ({ consumers }) =>
    consumers.every(({ pending, ackPending }) => pending === 0 && ackPending === 0)
  )
  return yield* rows(table)
})

/** Longest time between two commits of an EventStream's rows that ended after `since`, in seconds. Source: the ledger. */
export const longestGap = (name: string, since: number, until: number) =>
  sql<{ readonly seconds: number }>(
    `SELECT coalesce(max(extract(epoch FROM committed_at - before)), 0)::float8 AS seconds FROM (
       SELECT committed_at, lag(committed_at) OVER (ORDER BY committed_at) AS before
       FROM eventstream_ledger JOIN eventstream_lane ON eventstream_lane.id = eventstream_ledger.lane
       WHERE namespace = '${namespace}' AND name = '${name}' AND rows > 0) commits
     WHERE committed_at > to_timestamp(${since / 1000}) AND before < to_timestamp(${until / 1000})`
  ).pipe(Effect.map(([found]) => found!.seconds))

const merged = (base: object, overrides: object): object => {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(overrides)) {
    const before = result[key]
    const nested = [before, value].every((v) => typeof v === "object" && v !== null && !Array.isArray(v))
    result[key] = nested ? merged(before as object, value as object) : value
  }
  return result
}

export const tableOf = (name: string) => name.replaceAll("-", "_")
export const streamNameOf = (name: string) => `${namespace}_${name}`.toUpperCase()

/** An EventStream whose messages are numbers: table and subjects have its name. Its times are short, so that tests are. */
export const numbers = (name: string, spec: object = {}) => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name, namespace },
  spec: merged(
    {
      nats: { servers: [hub] },
      stream: { subjects: [`${name}.>`], deletionPolicy: "Delete" },
      consumer: { ackWait: "10s" },
      processor: {
        type: "Json",
        json: { table: tableOf(name), columns: [{ name: "n", type: "int8", required: true }] }
      },
      target: { postgres: { secretRef: { name: "pg-app" }, statementTimeout: "5s" } },
      writer: { terminationGracePeriodSeconds: 15 },
      drainTimeout: "20s"
    },
    spec
  )
})

/** An EventStream as the API server has it now. */
export const eventStream = (name: string) => get("--namespace", namespace, "eventstream", name)

/** A condition in two words, e.g. `True Running`; none: `absent`. */
export const condition = ({ status }: KubeObject, type: string): string => conditionsOf(status ?? {})[type] ?? "absent"

/** Ready as it stands in the spec now, with all its writers. */
export const isReady = (object: KubeObject & { readonly metadata: { readonly generation?: number } }): boolean =>
  object.status?.observedGeneration === object.metadata.generation &&
  condition(object, "Ready").startsWith("True") &&
  condition(object, "Reconciling") === "absent" &&
  (object.status?.writer?.readyReplicas ?? 0) === (object.spec.suspend ? 0 : object.spec.writer.replicas)

export const ready = (name: string, seconds = 120) =>
  waitFor(`EventStream ${name} ready`, eventStream(name), isReady, seconds)

/** Removes an EventStream, if there is one, and by its deletion policy its stream. */
export const remove = (name: string) =>
  kubectl("delete", "eventstream", "--namespace", namespace, name, "--ignore-not-found", "--timeout=60s")

/** Applies an EventStream of {@link numbers} with an empty table, waits until it is ready, and removes it with the scope. */
export const start = Effect.fnUntraced(function* (manifest: ReturnType<typeof numbers>) {
  const { name } = manifest.metadata
  yield* remove(name)
  yield* sql(`DROP TABLE IF EXISTS ${tableOf(name)}`)
  yield* Effect.acquireRelease(apply(manifest), () => Effect.ignore(remove(name)))
  return yield* ready(name)
})

/** Changes a part of an EventStream's spec. */
export const edit = (name: string, spec: object) => {
  const patch = JSON.stringify({ spec })
  return kubectl("patch", "eventstream", "--namespace", namespace, name, "--type=merge", "--patch", patch)
}

/** The writers of an EventStream, or of all, that are not being stopped. */
export const writers = (name?: string) => {
  const labels = `app.kubernetes.io/name=eventstream-writer${name === undefined ? "" : `,eventstream.dev/name=${name}`}`
  return get<KubeList>("--namespace", namespace, "pods", "--selector", labels).pipe(
    Effect.map(({ items }) => items.filter(({ metadata }) => metadata.deletionTimestamp === undefined))
  )
}

/** The usual part of the line of figures that a scenario ends with. */
export const counted = (expected: number, { count, distinct }: Rows) =>
  `expected ${expected} rows, found ${count}, distinct ${distinct}`
