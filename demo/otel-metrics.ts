import type { Histogram, ObservableCounter, ObservableGauge } from "@opentelemetry/api"
import { ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import {
  AggregationTemporality,
  MeterProvider,
  MetricReader,
  type MeterProviderOptions
} from "@opentelemetry/sdk-metrics"
import { type Family, parseExposition } from "./prometheus.ts"

/** A reader that is asked, instead of one that exports by a clock of its own. */
class OnDemandReader extends MetricReader {
  constructor() {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE })
  }
  protected override onForceFlush = () => Promise.resolve()
  protected override onShutdown = () => Promise.resolve()
}

/**
 * The metrics of one service as OpenTelemetry's SDK exports them: what its Prometheus endpoint shows goes into instruments of
 * the same names.
 */
export class ServiceMetrics {
  readonly #reader = new OnDemandReader()
  readonly #provider: MeterProvider
  readonly #families = new Map<string, Family>()
  readonly #instruments = new Map<string, ObservableCounter | ObservableGauge>()

  /** @param attributes of the resource, `service.name` among them */
  constructor(attributes: Readonly<Record<string, string>>) {
    const options: MeterProviderOptions = { resource: resourceFromAttributes(attributes), readers: [this.#reader] }
    this.#provider = new MeterProvider(options)
  }

  /** Takes over what the text of `/metrics` says now. */
  update(exposition: string) {
    for (const family of parseExposition(exposition)) {
      this.#families.set(family.name, family)
      if (!this.#instruments.has(family.name)) this.#instruments.set(family.name, this.#instrument(family))
    }
  }

  histogram(name: string, unit: string): Histogram {
    return this.#provider.getMeter("eventstream-demo").createHistogram(name, { unit })
  }

  /** An OTLP `ExportMetricsServiceRequest` of all instruments. */
  async export(): Promise<Uint8Array | undefined> {
    const { resourceMetrics } = await this.#reader.collect()
    return ProtobufMetricsSerializer.serializeRequest(resourceMetrics)
  }

  #instrument({ name, type, help }: Family) {
    const meter = this.#provider.getMeter("prometheus")
    const options = { description: help }
    const instrument =
      type === "counter" ? meter.createObservableCounter(name, options) : meter.createObservableGauge(name, options)
    instrument.addCallback((result) => {
      for (const { labels, value } of this.#families.get(name)?.points ?? []) result.observe(value, labels)
    })
    return instrument
  }
}
