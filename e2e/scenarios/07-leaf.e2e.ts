import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { leafValues } from "../values.ts"
import { counted, allOf, numbers, rows, settled, start, streamNameOf, tableOf } from "../numbers.ts"
import {
  apply,
  helm,
  kubectl,
  publish,
  report,
  seconds,
  secondsSince,
  streamOf,
  streamThere,
  waitFor
} from "../world.ts"

/**
 * A NATS server at an edge with a JetStream domain of its own, joined to the hub by one leaf connection. An EventStream names that
 * domain: its stream is at the edge, its writers are at the hub. The link is cut and events go on being published at the edge;
 * they arrive once it is back, once each.
 *
 * The link goes through a TCP proxy, the only address the edge knows; with no proxy there is no way to the hub.
 */

const name = "edge-readings"
const stream = streamNameOf(name)
const table = tableOf(name)
const edge = { server: "nats://edge.edge.svc:4222", domain: "edge" }
const link = "hub-link"
const events = 1_000

const selector = { "app.kubernetes.io/name": link }
const proxy = [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: link, namespace: "edge" },
    spec: { selector, ports: [{ name: "leaf", port: 7422, targetPort: 7422 }] }
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: link, namespace: "edge" },
    spec: {
      replicas: 1,
      selector: { matchLabels: selector },
      template: {
        metadata: { labels: selector },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 1,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              name: "proxy",
              image: `eventstream-e2e/publisher:${packageJson.version}`,
              imagePullPolicy: "IfNotPresent",
              command: ["node", "/app/publisher.js", "proxy", "--listen", "7422", "--to", "nats-leaf.nats.svc:7422"],
              readinessProbe: { tcpSocket: { port: 7422 }, periodSeconds: 1 },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] }
              }
            }
          ]
        }
      }
    }
  }
]

const setLink = (replicas: 0 | 1) =>
  kubectl("scale", "--namespace", "edge", `deployment/${link}`, `--replicas=${replicas}`)

it.live(
  "events published at an edge while its link is cut arrive once it is back, once each",
  () =>
    Effect.gen(function* () {
      yield* apply(...proxy)
      yield* helm(
        ["upgrade", "--install", "edge", "charts/eventstream-nats", "--namespace", "edge", "--wait", "--timeout", "3m"],
        leafValues(`nats://${link}.edge.svc:7422`)
      )
      yield* start(numbers(name, { nats: { jetstreamDomain: edge.domain } }))
      yield* publish({ subject: `${name}.a`, count: events, server: edge.server })
      assert.deepEqual(yield* settled(name, events, edge), allOf(events))
      assert.isNull(yield* streamOf(stream), "the hub has no such stream")

      yield* setLink(0)
      yield* waitFor(
        "no answer from the edge at the hub",
        streamOf(stream, { domain: edge.domain }).pipe(
          Effect.match({ onFailure: () => "no answer", onSuccess: (answer) => answer })
        ),
        (answer) => answer === "no answer"
      )
      yield* publish({ subject: `${name}.a`, from: events + 1, count: events, server: edge.server })
      assert.equal((yield* streamThere(stream, edge)).lastSequence, 2 * events, "the edge took them")
      assert.deepEqual(yield* rows(table), allOf(events), "none has come through")

      const back = yield* Clock.currentTimeMillis
      yield* setLink(1)
      yield* waitFor("the rows of the time without a link", rows(table), ({ distinct }) => distinct === 2 * events, 120)
      const recovery = yield* secondsSince(back)
      const found = yield* settled(name, 2 * events, edge)
      assert.deepEqual(found, allOf(2 * events))
      yield* report(
        "leaf",
        `${counted(2 * events, found)}, of these ${events} published while the link was cut, all there ${seconds(recovery)} after it was back`
      )
    }).pipe(Effect.scoped),
  500_000
)
