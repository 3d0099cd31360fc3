/**
 * PromQL from the families: a metric or a label that a family does not have is a type error, so no expression can drift from the names.
 */
import type { Family } from "../MetricFamilies.js"

/** What a label is compared with: `"open"`, `!"open"`, `~"a|b"`, `!~"a|b"`. */
type Matcher = { readonly is: string } | { readonly not: string } | { readonly matches: string }

type Matchers<F extends Family> = { readonly [Label in F["labels"][number]]?: Matcher | undefined }

const operator = (matcher: Matcher): string =>
  "is" in matcher
    ? `=${JSON.stringify(matcher.is)}`
    : "not" in matcher
    ? `!=${JSON.stringify(matcher.not)}`
    : `=~${JSON.stringify(matcher.matches)}`

const selector = (metric: string, matchers: object): string => {
  const parts = Object.entries(matchers as { readonly [label: string]: Matcher })
    .map(([label, matcher]) => `${label}${operator(matcher)}`)
  return parts.length === 0 ? metric : `${metric}{${parts.join(", ")}}`
}

/**
 * The labels that every expression keeps: `job` is the program, as Prometheus names what it scrapes, and `service` its dependency.
 *
 * @internal
 */
export const kept = ["job", "service"] as const

/** @internal */
export const select = <F extends Family>(family: F, matchers: Matchers<F> = {}): string =>
  selector(family.metric, matchers)

/**
 * The observations of a histogram.
 *
 * @internal
 */
export const countOf = <F extends Family & { readonly type: "histogram" }>(
  family: F,
  matchers: Matchers<F> = {}
): string => selector(`${family.metric}_count`, matchers)

/** @internal */
export const bucketsOf = <F extends Family & { readonly type: "histogram" }>(
  family: F,
  matchers: Matchers<F> = {}
): string => selector(`${family.metric}_bucket`, matchers)

/** @internal */
export const rate = (series: string, window: string): string => `rate(${series}[${window}])`

/** @internal */
export const increase = (series: string, window: string): string => `increase(${series}[${window}])`

/** @internal */
export const sum = (labels: ReadonlyArray<string>, expression: string): string =>
  `sum by (${labels.join(", ")}) (${expression})`

/** @internal */
export const max = (labels: ReadonlyArray<string>, expression: string): string =>
  `max by (${labels.join(", ")}) (${expression})`
