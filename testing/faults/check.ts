import { Effect } from "effect"
import type { Client } from "pg"
import type { Lane } from "./lane.ts"
import type { Confirmed } from "./producer.ts"
import type { Rig } from "./rig.ts"

/** What a lane holds in the end, against what JetStream confirmed. */
export interface Tally {
  readonly rows: number
  readonly deadLetters: number
  /** Confirmed messages without the outcome they must have, and that the lane does not tell as removed by the stream. */
  readonly lost: number
  /** Ids with more than one row or dead letter, or with both. */
  readonly double: number
  /** Messages that the stream removed before they had an outcome, as the lane counts them. */
  readonly removed: number
}

const chunk = 20_000

const load = async (client: Client, each: Iterable<Confirmed>) => {
  await client.query("CREATE TEMP TABLE confirmed (id int8, seq int8, kind text, digest text)")
  let ids: Array<number> = []
  let seqs: Array<number> = []
  let kinds: Array<string> = []
  let digests: Array<string | null> = []
  const flush = async () => {
    await client.query("INSERT INTO confirmed SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[])", [
      ids,
      seqs,
      kinds,
      digests
    ])
    ids = []
    seqs = []
    kinds = []
    digests = []
  }
  for (const { id, seq, outcome, digest } of each) {
    ids.push(id)
    seqs.push(seq)
    kinds.push(outcome)
    digests.push(digest ?? null)
    if (ids.length === chunk) await flush()
  }
  await flush()
  await client.query("CREATE INDEX ON confirmed (id); ANALYZE confirmed")
}

/** Dead letters name their id in their payload; those that don't are told by their sequence, as only one stream has them. */
const views = (name: string) => `\
CREATE TEMP TABLE dead AS SELECT DISTINCT l.lane, l.seq, coalesce(substring(encode(l.payload, 'escape') FROM '"id":(\\d+)')::int8, c.id) AS id,
  encode(sha256(l.payload), 'hex') AS digest
FROM eventstream_dead_letter l LEFT JOIN confirmed c ON c.seq = l.seq AND c.kind IN ('dead letter', 'row or dead letter')
WHERE l.lane IN (SELECT id FROM eventstream_lane WHERE name = '${name}');
CREATE TEMP TABLE gone AS SELECT c.id FROM eventstream_loss o, confirmed c
WHERE o.lane IN (SELECT id FROM eventstream_lane WHERE name = '${name}') AND o.seqs @> c.seq;
CREATE TEMP TABLE found AS SELECT id, count(*) AS n, 'row' AS kind FROM ${name} GROUP BY id
UNION ALL SELECT id, count(*), 'dead letter' FROM dead GROUP BY id`

const few = (ids: ReadonlyArray<{ readonly id: unknown }>) =>
  ids.length === 0
    ? ""
    : ` (e.g. ${ids
        .slice(0, 5)
        .map(({ id }) => String(id))
        .join(", ")})`

const checkLane = async (client: Client, rig: Rig, lane: Lane, violations: Array<string>): Promise<Tally> => {
  const { name } = lane
  const query = async <Row extends object>(sql: string) => (await client.query(sql)).rows as Array<Row>
  const number = async (sql: string) => Number((await query<{ readonly n: string }>(`SELECT (${sql}) AS n`))[0]!.n)
  const list = (sql: string) => query<{ readonly id: string }>(sql)
  await client.query(views(name))

  const lost = await list(`SELECT id FROM confirmed c WHERE kind <> 'nothing'
    AND NOT EXISTS (SELECT FROM found f WHERE f.id = c.id AND strpos(c.kind, f.kind) > 0)
    AND NOT EXISTS (SELECT FROM gone WHERE gone.id = c.id)`)
  if (lost.length > 0) violations.push(`V1: ${lost.length} confirmed messages have no outcome in ${name}${few(lost)}`)
  const double = await list("SELECT id FROM found GROUP BY id HAVING sum(n) > 1")
  if (double.length > 0)
    violations.push(`V2: ${double.length} messages have more than one outcome in ${name}${few(double)}`)
  const both = await list("SELECT DISTINCT id FROM found JOIN gone USING (id)")
  if (both.length > 0)
    violations.push(`V2: ${both.length} messages of ${name} have an outcome and count as lost${few(both)}`)
  const torn = await list(
    "SELECT c.id FROM confirmed c JOIN dead USING (id) WHERE c.kind <> 'row' AND c.digest IS DISTINCT FROM dead.digest"
  )
  if (torn.length > 0)
    violations.push(`V1: ${torn.length} dead letters of ${name} do not hold what was sent${few(torn)}`)
  const unlike =
    await list(`SELECT id FROM ${name} WHERE sum IS DISTINCT FROM encode(sha256(convert_to(note, 'UTF8')), 'hex')
    AND sum IS NOT NULL`)
  if (unlike.length > 0) violations.push(`V2: ${unlike.length} rows of ${name} are not what was sent${few(unlike)}`)

  // Coverage, by what the ledger counts and by the sequences themselves.
  const lanes = `SELECT id FROM eventstream_lane WHERE name = '${name}'`
  const rows = await number(`SELECT count(*) FROM ${name}`)
  const deadLetters = await number("SELECT count(*) FROM dead")
  const [counted] = await query<Record<"messages" | "rows" | "dead" | "dropped", string>>(`SELECT
    sum(messages) AS messages, sum(rows) AS rows, sum(dead) AS dead, sum(dropped) AS dropped FROM (
      SELECT messages, rows, dead, dropped FROM eventstream_ledger WHERE lane IN (${lanes})
      UNION ALL SELECT pruned_messages, pruned_rows, pruned_dead, pruned_dropped FROM eventstream_lane WHERE name = '${name}') AS all_of_it`)
  const dropped = Number(counted!.dropped)
  if (Number(counted!.rows) !== rows || Number(counted!.dead) !== deadLetters || Number(counted!.messages) !== rows) {
    violations.push(
      `V3: the ledger of ${name} counts ${counted!.messages} messages, ${counted!.rows} rows and ${counted!.dead} dead letters; there are ${rows} and ${deadLetters}`
    )
  }
  if ((await number(`SELECT count(*) FROM (${lanes}) AS lanes`)) === 1 && dropped === 0) {
    const different = await query<{ readonly more: string; readonly less: string }>(`
      WITH have AS (SELECT coalesce(range_agg(int8range(seq, seq, '[]')), '{}') AS seqs
          FROM (SELECT seq FROM ${name} UNION ALL SELECT seq FROM dead) AS outcome),
        told AS (SELECT coalesce(range_agg(run), '{}') + int8multirange(int8range(1, max(pruned_to) + 1)) AS seqs
          FROM eventstream_lane head LEFT JOIN eventstream_ledger ON lane = head.id AND set_aside_at IS NULL
          LEFT JOIN LATERAL unnest(seqs) AS run ON true WHERE name = '${name}')
      SELECT (told.seqs - have.seqs)::text AS more, (have.seqs - told.seqs)::text AS less FROM have, told`)
    const { more, less } = different[0]!
    const pruned = (await number(`SELECT max(pruned_to) FROM eventstream_lane WHERE name = '${name}'`)) > 0
    if (less !== "{}")
      violations.push(`V3: rows or dead letters of ${name} that the ledger lacks: ${less.slice(0, 200)}`)
    if (more !== "{}" && !pruned)
      violations.push(`V3: the ledger of ${name} has sequences without an outcome: ${more.slice(0, 200)}`)
  }
  const removed = await number(`SELECT coalesce(sum(messages), 0) FROM eventstream_loss WHERE lane IN (${lanes})`)
  await client.query("DROP TABLE found, dead, gone")
  return { rows, deadLetters, lost: lost.length, double: double.length, removed }
}

/** V1 to V4 and V10 over all lanes, after the run has come to rest. */
export const check = Effect.fnUntraced(function* (rig: Rig) {
  const violations: Array<string> = []
  const client = yield* rig.database.session
  const tally = yield* Effect.promise(async () => {
    await load(client, rig.producer.each())
    const tallies: Array<Tally> = []
    for (const lane of rig.lanes) tallies.push(await checkLane(client, rig, lane, violations))
    const sum = (key: keyof Tally) => tallies.reduce((total, each) => total + each[key], 0)
    return {
      rows: sum("rows"),
      deadLetters: sum("deadLetters"),
      lost: sum("lost"),
      double: sum("double"),
      removed: sum("removed")
    } satisfies Tally
  })
  for (const { crashes } of rig.writers) violations.push(...crashes().map((crash) => `V10: ${crash}`))
  return { tally, violations }
})
