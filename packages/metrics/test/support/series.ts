/** Reads single series back from Effect's metrics. */
import type { Family, Labels } from "@holdfast/metrics/MetricFamilies"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Metric from "effect/Metric"

/** The series that exist of a family for a service, `labels -> value`; of a histogram its count. */
export const seriesOf = (family: Family, service: string): Record<string, number> =>
  Object.fromEntries(
    Metric.unsafeSnapshot().filter(({ metricKey }) =>
      metricKey.name === family.metric &&
      metricKey.tags.some(({ key, value }) => key === "service" && value === service)
    ).map(({ metricKey, metricState }: any) => [
      metricKey.tags.filter(({ key }: any) => key !== "service").map(({ value }: any) => value).join(" "),
      "value" in metricState ? metricState.value : metricState.count
    ])
  )

export const counterOf = <F extends Family & { readonly type: "counter" }>(family: F, labels: Labels<F>): number =>
  (ResilienceMetrics.metric(family, labels) as Metric.Metric.Counter<number>).unsafeValue([]).count

export const gaugeOf = <F extends Family & { readonly type: "gauge" }>(family: F, labels: Labels<F>): number =>
  (ResilienceMetrics.metric(family, labels) as Metric.Metric.Gauge<number>).unsafeValue([]).value

export const histogramOf = <F extends Family & { readonly type: "histogram" }>(family: F, labels: Labels<F>) => {
  const { buckets, count, sum } = (ResilienceMetrics.metric(family, labels) as Metric.Metric.Histogram<number>)
    .unsafeValue([])
  return { buckets: Object.fromEntries(buckets), count, sum }
}
