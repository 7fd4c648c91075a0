import { Effect, Layer, Schedule } from "effect"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { JetStream } from "../operator/jetstream.ts"
import { Kube, type KubeObject } from "../operator/kube.ts"
import { OperatorMetrics } from "../operator/metrics.ts"
import { Metrics } from "../platform/metrics.ts"
import { minimalSpec } from "./operator-world.ts"

/** What tests of the operator over a real nats-server share. */

/** A manifest of `demo/<name>`, merged one level deep over the minimal spec. */
export const manifest = (name: string, spec: Readonly<Record<string, unknown>> = {}): KubeObject => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name, namespace: "demo" },
  spec: { ...minimalSpec, ...spec }
})

const writes = ["apply", "create", "patchStatus", "setFinalizers", "delete", "event"] as const

/** `Kube` that notes the name of every call that writes. */
const counted = <E>(kubeLayer: Layer.Layer<Kube, E>, calls: Array<string>) =>
  Layer.effect(
    Kube,
    Effect.map(Kube, (kube) => {
      const watched = { ...kube } as Record<string, (...args: ReadonlyArray<unknown>) => unknown>
      for (const name of writes) {
        const call = watched[name]!
        watched[name] = (...args) => {
          calls.push(name)
          return call(...args)
        }
      }
      return Kube.of(watched as unknown as Kube["Service"])
    })
  ).pipe(Layer.provide(kubeLayer))

/** What a reconciler needs; the manifests' NATS is the one at `port`. Calls that write are noted in `calls`. */
export const operatorServices = <E>(port: number, kubeLayer: Layer.Layer<Kube, E>, calls: Array<string>) =>
  JetStream.layer(new Map([["nats.nats.svc", { host: "127.0.0.1", port }]])).pipe(
    Layer.provideMerge(OperatorMetrics.layer),
    Layer.provideMerge(Metrics.layer()),
    Layer.provideMerge(counted(kubeLayer, calls))
  )

/** Conditions as `{ Ready: "True Running" }`. */
export const conditionsOf = ({ conditions = [] }: EventStreamStatus) =>
  Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]))

/** What is found as soon as it fits; looks every 50 ms, for 20 s. */
export const until = <A, E, R>(found: Effect.Effect<A, E, R>, fits: (value: A) => boolean) =>
  found.pipe(
    Effect.filterOrFail(fits, (value) => new Error(`not yet: ${JSON.stringify(value)}`)),
    Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 })
  )
