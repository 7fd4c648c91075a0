import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { chartFolder } from "../../charts/helm.ts"
import { quantise } from "../../operator/status/numbers.ts"
import { tempDirectory } from "../../testing/servers.ts"
import { operatorValues } from "../values.ts"
import {
  counted,
  allOf,
  eventStream,
  longestGap,
  numbers,
  ready,
  rows,
  settled,
  start,
  streamNameOf,
  tableOf,
  writers
} from "../numbers.ts"
import {
  get,
  helm,
  type KubeList,
  type KubeObject,
  leader,
  namespace,
  operatorNamespace,
  report,
  seconds,
  startLoad,
  streamThere,
  waitFor
} from "../world.ts"

/**
 * The operator's chart is upgraded to a version with another CRD and other values, uninstalled, and installed again, while rows
 * come in. Writers do not notice any of it: the same Pods, not restarted. Uninstalling takes the operator and nothing else.
 */

const name = "upgrade"
const table = tableOf(name)
const crd = "eventstreams.eventstream.dev"
const release = "eventstream-operator"

/** The chart as a later version would be: its CRD has one more column. */
const laterChart = Effect.fnUntraced(function* () {
  const folder = join(yield* tempDirectory("eventstream-chart-"), release)
  const definition = join(folder, "files", "crds", `${crd}.yaml`)
  yield* Effect.sync(() => {
    cpSync(chartFolder(release), folder, { recursive: true })
    const text = readFileSync(definition, "utf8")
    const column = "        - name: Age\n"
    const added =
      "        - name: Server\n          type: string\n          jsonPath: .status.target.server\n          priority: 1\n"
    if (!text.includes(column)) throw new Error(`${definition} has no column Age`)
    writeFileSync(definition, text.replace(column, added + column))
  })
  return folder
})

const columns = get("crd", crd).pipe(
  Effect.map(
    ({ spec }) => spec.versions[0].additionalPrinterColumns.map((c: { name: string }) => c.name) as Array<string>
  )
)

/** What makes a Pod the same one, still running. */
const identities = writers().pipe(
  Effect.map((pods) =>
    pods
      .map(({ metadata, status }) => `${metadata.name} ${metadata.uid} ${status.containerStatuses[0].restartCount}`)
      .sort()
  )
)

const identityOf = ({ metadata }: KubeObject) => `${metadata.name} ${metadata.uid}`

/** Everything that outlives the operator. */
const durable = Effect.all({
  definition: Effect.map(get("crd", crd), identityOf),
  objects: Effect.map(get<KubeList>("--namespace", namespace, "eventstreams"), ({ items }) => items.map(identityOf)),
  deployments: Effect.map(get<KubeList>("--namespace", namespace, "deployments"), ({ items }) => items.map(identityOf)),
  stream: Effect.map(streamThere(streamNameOf(name)), ({ created, consumers }) => ({
    created,
    consumers: consumers.map((consumer) => `${consumer.name} ${consumer.created}`)
  }))
})

const install = (verb: "install" | "upgrade", chart: string, values: object) =>
  helm([verb, release, chart, "--namespace", operatorNamespace, "--wait", "--timeout", "3m"], values)

/** A hundred rows more than now. */
const rowsArrive = Effect.fnUntraced(function* (when: string) {
  const { count } = yield* rows(table)
  yield* waitFor(`rows ${when}`, rows(table), (now) => now.count >= count + 100)
})

it.live(
  "upgraded with another CRD, uninstalled, installed again: writers run on, everything is still there",
  () =>
    Effect.gen(function* () {
      yield* start(numbers(name))
      const load = yield* startLoad({ subject: `${name}.a`, rate: 100 })
      yield* waitFor("the first rows", rows(table), ({ count }) => count > 0)
      const started = yield* Clock.currentTimeMillis
      const before = { writers: yield* identities, durable: yield* durable }

      const { pod } = yield* leader
      yield* install("upgrade", yield* laterChart(), { ...operatorValues, logLevel: "debug" })
      assert.include(yield* columns, "Server", "the CRD is the new version's")
      yield* waitFor("a leader of the new version", leader, (now) => now.pod !== "" && now.pod !== pod)
      yield* rowsArrive("after the upgrade")
      assert.deepEqual(yield* identities, before.writers, "the same writers after the upgrade")

      yield* helm(["uninstall", release, "--namespace", operatorNamespace, "--wait", "--timeout", "1m"])
      yield* waitFor("no operator", get<KubeList>("--namespace", operatorNamespace, "pods"), ({ items }) =>
        items.every(({ metadata }) => !metadata.name.startsWith(release))
      )
      yield* rowsArrive("without an operator")
      assert.deepEqual(yield* durable, before.durable, "uninstalling took nothing else")
      assert.deepEqual(yield* identities, before.writers, "the same writers without an operator")

      yield* install("install", "charts/eventstream-operator", operatorValues)
      assert.notInclude(yield* columns, "Server", "the CRD is this version's again")
      // It has adopted them: it reports what has come in since.
      const { count } = yield* rows(table)
      yield* waitFor(
        "a status of the new operator",
        eventStream(name),
        ({ status }) => status.delivery.written >= quantise(count)
      )
      yield* ready(name)
      assert.deepEqual(yield* durable, before.durable, "nothing was made anew")
      assert.deepEqual(yield* identities, before.writers, "the same writers after all")

      const { published } = yield* load.stop
      const found = yield* settled(name, published)
      assert.deepEqual(found, allOf(published))
      const gap = yield* longestGap(name, started, yield* Clock.currentTimeMillis)
      yield* report(
        "upgrade",
        `${counted(published, found)}, ${before.writers.length} writers, none restarted, longest time without rows: ${seconds(gap)}`
      )
    }).pipe(Effect.scoped),
  500_000
)
