/**
 * Figures that are read and not counted: what the pieces of every live dependency hold at the moment at which somebody asks.
 *
 * @since 0.1.0
 */
import type { State } from "@holdfast/core/CircuitBreakerMachine"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import type { PieceStates } from "@holdfast/core/LiveDependency"
import { millisOf } from "@holdfast/core/Options"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { announce } from "./internal/announced.js"
import { readOption } from "./internal/options.js"
import { type Series, seriesOf } from "./internal/series.js"
import { serviceKey, serviceLabel } from "./internal/services.js"
import { families, type Family } from "./MetricFamilies.js"

/**
 * The value of one series.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reading {
  readonly family: Family
  /** In the order of the family's labels. */
  readonly labels: ReadonlyArray<string>
  readonly value: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The time between two readings. Default 5 seconds. */
  readonly every?: Duration.DurationInput | undefined
}

const valueOf: Readonly<Record<State["_tag"], number>> = { Closed: 0, Open: 1, HalfOpen: 2, Isolated: 1, Disabled: 0 }

const nameOf: Readonly<Record<State["_tag"], string>> = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open",
  Isolated: "isolated",
  Disabled: "disabled"
}

/** A piece that is switched off has nothing to tell. */
const piecesOf = (service: string, pieces: PieceStates): ReadonlyArray<Reading> => {
  const readings: Array<Reading> = []
  const add = (family: Family, value: number, ...labels: ReadonlyArray<string>) =>
    readings.push({ family, labels: [service, ...labels], value })
  const { bulkhead, circuitBreaker, rateLimiter, retryBudget } = pieces
  if (circuitBreaker?.on === true) {
    add(families.circuitState, valueOf[circuitBreaker.state._tag])
    add(families.circuitAge, Duration.toSeconds(circuitBreaker.inState))
    for (const [tag, millis] of Object.entries(circuitBreaker.millisIn)) {
      add(families.circuitSeconds, millis / 1000, nameOf[tag as State["_tag"]])
    }
  }
  if (bulkhead?.on === true) {
    add(families.bulkheadActive, bulkhead.active)
    add(families.bulkheadCapacity, bulkhead.maxConcurrent)
    add(families.bulkheadQueued, bulkhead.queued)
  }
  if (rateLimiter?.on === true) {
    add(families.limiterDecisions, rateLimiter.decisions.admitted, "admitted")
    add(families.limiterDecisions, rateLimiter.decisions.waited, "waited")
  }
  if (retryBudget !== undefined) {
    add(families.retryBudget, retryBudget.balance)
  }
  return readings
}

/**
 * What the dependencies of the registry hold now. An operation with pieces of its own is a service of its own, `payments.charge`, or where
 * a dependency has that name, `payments.charge ["payments","charge"]`. An open breaker that is due reads as open until a call probes it.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as RegistryMetrics from "@holdfast/metrics/RegistryMetrics"
 * import { families } from "@holdfast/metrics/MetricFamilies"
 * import * as Effect from "effect/Effect"
 *
 * class Mail extends Dependency.Service<Mail>()("mail", { bulkhead: { maxConcurrent: 5 } }) {}
 *
 * const capacity = Effect.map(RegistryMetrics.read, (readings) =>
 *   readings.find(({ family }) => family === families.bulkheadCapacity)?.value)
 *
 * Effect.runPromise(capacity.pipe(Effect.provide(Mail.layer))).then(console.log) // 5
 *
 * @since 0.1.0
 * @category accessors
 */
export const read: Effect.Effect<ReadonlyArray<Reading>> = Effect.map(
  DependencyRegistry.states,
  (states) => {
    // Dependencies first: of two that read alike, the dependency keeps its name.
    const ofDependencies = states.map(({ dependency, ...pieces }) =>
      piecesOf(serviceLabel(serviceKey(dependency)), pieces)
    )
    return states.flatMap(({ dependency, operations }, place) => [
      ...ofDependencies[place]!,
      ...Object.entries(operations).flatMap(([operation, own]) =>
        piecesOf(serviceLabel(serviceKey(dependency, operation)), own)
      )
    ])
  }
)

/** What was written to a series last, which a counter needs to know. Counters are those of the process. */
interface Written {
  readonly family: Family
  readonly series: Series
  value: number
}

const written = globalValue(Symbol.for("@holdfast/metrics/RegistryMetrics/written"), () => new Map<string, Written>())

const write = ({ family, labels, value }: Reading): string => {
  const id = JSON.stringify([family.metric, ...labels])
  let one = written.get(id)
  if (one === undefined) {
    one = { family, series: seriesOf(family, ...labels), value: 0 }
    written.set(id, one)
  }
  if (family.type === "gauge") {
    one.series.update(value)
  } else {
    // A dependency that was started anew counts from 0 again; what its predecessor counted stays.
    one.series.update(value >= one.value ? value - one.value : value)
  }
  one.value = value
  return id
}

const zero = (ids: Iterable<string>): void => {
  for (const id of ids) {
    const one = written.get(id)
    if (one?.family.type === "gauge") {
      one.series.update(0)
    }
  }
}

const check = (options: Options): Duration.Duration =>
  readOption(
    "RegistryMetrics.layer",
    options,
    "every",
    "5 seconds",
    (every: Duration.DurationInput) => {
      const millis = millisOf(every)
      return millis >= 1 && millis < Infinity ? Duration.millis(millis) : undefined
    },
    "a finite duration of 1ms or more, such as \"5 seconds\""
  )

/**
 * Reads the registry and writes what it holds into Effect's metrics, at once and then again and again, for exporters that collect
 * those by themselves: OpenTelemetry's. Choose the time not longer than between two exports. Effect's metrics cannot be removed: the
 * gauges of a dependency that is gone, and all when the scope of the layer closes, read 0.
 *
 * `PrometheusText` reads the registry itself and does not need it.
 *
 * @example
 * import * as RegistryMetrics from "@holdfast/metrics/RegistryMetrics"
 * import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
 * import * as Layer from "effect/Layer"
 *
 * const Metrics = Layer.merge(ResilienceMetrics.layer(), RegistryMetrics.layer({ every: "10 seconds" }))
 *
 * console.log(Layer.isLayer(Metrics)) // true
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.scopedDiscard(Effect.suspend(() => {
    const every = check(options)
    let present: ReadonlySet<string> = new Set()
    const refresh = Effect.map(read, (readings) => {
      const before = present
      announce(readings)
      present = new Set(readings.map(write))
      zero([...before].filter((id) => !present.has(id)))
    })
    return Effect.zipRight(
      Effect.addFinalizer(() => Effect.sync(() => zero(present))),
      Effect.zipRight(
        refresh,
        Effect.forkScoped(Effect.schedule(refresh, Schedule.spaced(every)))
      )
    )
  }))
