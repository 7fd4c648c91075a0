import { Context, Effect, Layer } from "effect"
import { collectDefaultMetrics, Registry } from "prom-client"

/**
 * The process's Prometheus registry with the `process_*` and `nodejs_*` metrics in it. A service and not prom-client's global
 * one, so that two of them in one process (tests, `eventstream local`) never share a counter.
 */
export class Metrics extends Context.Service<
  Metrics,
  {
    readonly registry: Registry
    /** The text of `/metrics`. */
    readonly exposition: Effect.Effect<string>
  }
>()("platform/Metrics") {
  /** @param labels put on every series, e.g. the name of the EventStream */
  static readonly layer = (labels: Readonly<Record<string, string>> = {}): Layer.Layer<Metrics> =>
    Layer.sync(Metrics, () => {
      const registry = new Registry()
      registry.setDefaultLabels(labels)
      // The default of 10 ms wakes an idle process a hundred times a second.
      collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
      return Metrics.of({ registry, exposition: Effect.promise(() => registry.metrics()) })
    })
}
