/**
 * Single series of metric families: looked up once, then updated without a look at labels.
 */
import { globalValue } from "effect/GlobalValue"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import { type Family, other, unnamed } from "../MetricFamilies.js"
import { labelValue } from "./services.js"

/** @internal */
export interface Series {
  readonly update: (value: number) => void
}

// One key for each family: Effect takes two histograms for the same one only if their bounds are the same array.
const untaggedKeys = globalValue(
  Symbol.for("@holdfast/metrics/untaggedKeys"),
  () => new Map<string, MetricKey.MetricKey<any>>()
)

const untagged = (family: Family): MetricKey.MetricKey<any> => {
  let key = untaggedKeys.get(family.metric)
  if (key === undefined) {
    key = makeKey(family)
    untaggedKeys.set(family.metric, key)
  }
  return key
}

const makeKey = (family: Family): MetricKey.MetricKey<any> => {
  switch (family.type) {
    case "counter":
      return MetricKey.counter(family.metric, { description: family.help, incremental: true })
    case "gauge":
      return MetricKey.gauge(family.metric, { description: family.help })
    case "histogram":
      return MetricKey.histogram(
        family.metric,
        MetricBoundaries.fromIterable(family.buckets ?? []),
        family.help
      )
  }
}

/** @internal */
export const keyOf = (family: Family, values: ReadonlyArray<string>): MetricKey.MetricKey<any> =>
  MetricKey.taggedWithLabels(
    untagged(family),
    family.labels.map((label, place) => MetricLabel.make(label, values[place]!))
  )

/**
 * The series with these label values, which exists from now on. What it answers is what Effect's own metrics update in the end; the
 * metric around it costs as much again.
 *
 * @internal
 */
export const seriesOf = (family: Family, ...values: ReadonlyArray<string>): Series =>
  Metric.globalMetricRegistry.get(keyOf(family, values))

/**
 * How many values are told apart. It may grow while it is used.
 *
 * @internal
 */
export interface Bound {
  readonly most: number
}

/** A longer name is no name but data. In UTF-16 units. */
const longest = 200

/** Is it a name, and one that UTF-8 can hold? Cut or replaced it could equal another one. */
const isFit = (value: string): boolean => value.length <= longest && !/\p{Surrogate}/u.test(value)

/**
 * The values of a label, at most so many: all that come later share one entry, `other`, as do those that are too long. What the program
 * declares always has an entry of its own.
 *
 * @internal
 */
export class Vocabulary<A> {
  private readonly known = new Map<string | undefined, A>()
  private readonly bound: Bound
  private readonly make: (label: string, value: string | undefined) => A
  private readonly isDeclared: (value: string | undefined) => boolean
  private readonly labelOf: (value: string) => string
  private overflow: A | undefined = undefined

  constructor(
    bound: Bound,
    make: (label: string, value: string | undefined) => A,
    { isDeclared = () => false, labelOf = labelValue }: {
      readonly isDeclared?: (value: string | undefined) => boolean
      readonly labelOf?: (value: string) => string
    } = {}
  ) {
    this.bound = bound
    this.make = make
    this.isDeclared = isDeclared
    this.labelOf = labelOf
  }

  of(value: string | undefined): A {
    return this.known.get(value) ?? this.first(value)
  }

  /** What those that come too late share. */
  get others(): A {
    return this.overflow ??= this.make(other, undefined)
  }

  private first(value: string | undefined): A {
    const fits = this.known.size < this.bound.most && (value === undefined || isFit(value))
    if (!fits && !this.isDeclared(value)) {
      return this.others
    }
    const made = this.make(value === undefined || value === "" ? unnamed : this.labelOf(value), value)
    this.known.set(value, made)
    return made
  }
}
