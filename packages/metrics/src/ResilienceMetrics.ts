/**
 * Counts what happens in policies: a listener that turns every `ResilienceEvent` into updates of Effect metrics, so that whatever
 * exports those, `PrometheusText` or OpenTelemetry, exports these.
 *
 * @since 0.1.0
 */
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { readOption } from "./internal/options.js"
import { Recorder } from "./internal/recorder.js"
import { keyOf } from "./internal/series.js"
import type { Family, Labels } from "./MetricFamilies.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * The most values of one label: services of the process, endpoints of a service, statuses of an endpoint. All that come later share
   * the value `other`, except what is declared: a metric is never removed again, and a name made of data would fill the memory.
   * Default 100. Where the layer is built more than once in a process, the largest counts.
   */
  readonly maximumLabelValues?: number | undefined
}

const defaultMost = 100

/** Effect's metrics are those of the process, and so is who counts them: a layer that is built twice counts every event once. */
const recorder = globalValue(Symbol.for("@holdfast/metrics/ResilienceMetrics/recorder"), () => new Recorder())

const read = (options: Options): number =>
  readOption(
    "ResilienceMetrics.layer",
    options,
    "maximumLabelValues",
    defaultMost,
    (value) => Number.isInteger(value) && value >= 1 && value <= 100_000 ? value : undefined,
    "a whole number from 1 to 100000"
  )

/**
 * The listener alone, for `ResilienceEvent.listen` around a part of a program. It is one for the whole process. Wrong options
 * throw `InvalidOptions`.
 *
 * @example
 * import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
 *
 * console.log(ResilienceMetrics.listener() === ResilienceMetrics.listener()) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const listener = (options: Options = {}): ResilienceEvent.Listener => {
  recorder.allow(read(options))
  return recorder.listen
}

/**
 * Counts everything that is built or run with it. It adds itself to the other listeners, whatever the order of the layers.
 *
 * Figures that are read and not counted, such as the state of a breaker, come from the `DependencyRegistry`: `PrometheusText` reads
 * them at every scrape, and `RegistryMetrics.layer` keeps them fresh for other exporters.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
 * import { families } from "@holdfast/metrics/MetricFamilies"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Metric from "effect/Metric"
 *
 * class Payments extends Dependency.Service<Payments>()("payments") {}
 *
 * const program = Effect.gen(function*() {
 *   yield* Payments.call(Effect.succeed("charged"))
 *   const calls = ResilienceMetrics.metric(families.calls, { service: "payments", endpoint: "unnamed", class: "success" })
 *   return (yield* Metric.value(calls)).count // 1
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Layer.merge(Payments.layer, ResilienceMetrics.layer()))))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.suspend(() => ResilienceEvent.layer(listener(options)))

/**
 * The metric of one series of a family.
 *
 * @since 0.1.0
 * @category models
 */
export type MetricOf<F extends Family> = {
  readonly counter: Metric.Metric.Counter<number>
  readonly gauge: Metric.Metric.Gauge<number>
  readonly histogram: Metric.Metric.Histogram<number>
}[F["type"]]

/**
 * One series as an Effect metric, to be read by `Metric.value`. A series that nothing was counted in yet reads 0.
 *
 * @example
 * import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
 * import { families } from "@holdfast/metrics/MetricFamilies"
 * import * as Effect from "effect/Effect"
 * import * as Metric from "effect/Metric"
 *
 * const trips = ResilienceMetrics.metric(families.circuitTrips, { service: "payments" })
 *
 * Effect.runPromise(Effect.map(Metric.value(trips), ({ count }) => count)).then(console.log) // 0
 *
 * @since 0.1.0
 * @category accessors
 */
export const metric = <F extends Family>(family: F, labels: Labels<F>): MetricOf<F> =>
  Metric.fromMetricKey(
    keyOf(family, family.labels.map((label) => (labels as { readonly [label: string]: string })[label]!))
  ) as MetricOf<F>
