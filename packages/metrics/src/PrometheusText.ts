/**
 * Effect's metrics in the text format of Prometheus, version 0.0.4.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import { announce } from "./internal/announced.js"
import { Exposition } from "./internal/exposition.js"
import { readOption } from "./internal/options.js"
import { all, type Family } from "./MetricFamilies.js"
import * as RegistryMetrics from "./RegistryMetrics.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * `holdfast`: only the families of `MetricFamilies`. `all`: the program's own metrics as well, and those of Effect. Default
   * `holdfast`.
   *
   * Names and labels of the program's own are made to fit: what Prometheus does not allow in them becomes `_`, and a counter that only
   * grows ends in `_total`. A counter that may also fall is a gauge, a frequency is a counter with the label `key`. A metric whose name
   * is taken by one of another type, by another metric that only reads alike, or by a part of a histogram or a summary, is left out, and a
   * comment says so. Of two labels that only read alike, the second has a number behind its name.
   */
  readonly include?: "holdfast" | "all" | undefined
}

/**
 * The content type of the text.
 *
 * @example
 * import { contentType } from "@holdfast/metrics/PrometheusText"
 *
 * console.log(new Response("", { headers: { "content-type": contentType } }).headers.get("content-type"))
 *
 * @since 0.1.0
 * @category constants
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

const byName: ReadonlyMap<string, Family> = new Map(all.map((family) => [family.metric, family]))

const withOthers = (options: Options): boolean =>
  readOption(
    "PrometheusText",
    options,
    "include",
    "holdfast",
    (include) => include === "holdfast" || include === "all" ? include : undefined,
    "one of \"holdfast\", \"all\""
  ) === "all"

const textOf = (
  snapshot: Iterable<MetricPair.MetricPair.Untyped>,
  readings: Iterable<RegistryMetrics.Reading>,
  others: boolean
): string => {
  const exposition = new Exposition()
  for (const family of all) {
    exposition.family(family.metric, family.exposedAs ?? family.type, family.help)
  }
  for (const pair of snapshot) {
    const family = byName.get(pair.metricKey.name)
    // What was read at the registry before may be of a dependency that is gone.
    if (family === undefined ? others : family.source !== "registry") {
      exposition.pair(pair)
    }
  }
  for (const { family, labels, value } of readings) {
    exposition.sample(
      family.metric,
      family.labels.map((label, place) => [label, labels[place]!] as const),
      value
    )
  }
  return exposition.text()
}

/**
 * The text of a snapshot of Effect's metrics, and of what was read at the registry. Every family has its HELP and its TYPE, those
 * without a series too, so that a scrape shows what there is to know.
 *
 * @example
 * import * as PrometheusText from "@holdfast/metrics/PrometheusText"
 * import * as Metric from "effect/Metric"
 *
 * const text = PrometheusText.format(Metric.unsafeSnapshot(), [], { include: "all" })
 *
 * console.log(text.startsWith("# HELP http_client_request_duration_seconds ")) // true
 *
 * @since 0.1.0
 * @category rendering
 */
export const format = (
  snapshot: Iterable<MetricPair.MetricPair.Untyped>,
  readings: Iterable<RegistryMetrics.Reading>,
  options: Options = {}
): string => textOf(snapshot, readings, withOthers(options))

/**
 * The text as it is now: counters and histograms from Effect's metrics, and everything that is read at the `DependencyRegistry`, at this
 * moment.
 *
 * @example
 * import * as PrometheusText from "@holdfast/metrics/PrometheusText"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(PrometheusText.render({ include: "all" })).then((text) => console.log(text.split("\n")[0]))
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (options: Options = {}): Effect.Effect<string> =>
  // Wrong options are a bug of whoever asks, now, and not one that the first scrape finds.
  rendered(withOthers(options))

const rendered = (others: boolean): Effect.Effect<string> =>
  Effect.map(RegistryMetrics.read, (readings) => {
    announce(readings)
    return textOf(Metric.unsafeSnapshot(), readings, others)
  })
