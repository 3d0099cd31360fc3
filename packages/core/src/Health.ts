/**
 * The health of dependencies as data: who is down, since when, when it is worth asking again, and what nobody has noticed yet.
 *
 * It is for dashboards, alerts and people. A load balancer must not read it: when a dependency is down, no server is better than
 * another.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Alarm from "./Alarm.js"
import { DependencyRegistry } from "./DependencyRegistry.js"
import { HealthReader, type Limits } from "./internal/dependencyHealth.js"
import type { Report } from "./internal/healthModel.js"
import { HealthRecord } from "./internal/healthRecord.js"
import { checkOwn, ownNames } from "./internal/own.js"
import { Validation } from "./Options.js"
import * as ResilienceEvent from "./ResilienceEvent.js"

export type {
  /**
   * One circuit breaker of a dependency.
   *
   * @since 0.1.0
   * @category models
   */
  CircuitHealth,
  /**
   * The health of one dependency.
   *
   * @since 0.1.0
   * @category models
   */
  DependencyHealth,
  /**
   * One fallback.
   *
   * @since 0.1.0
   * @category models
   */
  FallbackHealth,
  /**
   * Something that somebody should look at.
   *
   * @since 0.1.0
   * @category models
   */
  Problem,
  /**
   * The health of all dependencies.
   *
   * @since 0.1.0
   * @category models
   */
  Report,
  /**
   * `healthy`, `degraded` or `down`.
   *
   * @since 0.1.0
   * @category models
   */
  Status
} from "./internal/healthModel.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Fallbacks that are looked after from the beginning; one that answers or is rehearsed is looked after anyway. */
  readonly fallbacks?: ReadonlyArray<{ readonly name: string }> | undefined
  /** When fallbacks were last rehearsed elsewhere, in CI for instance: milliseconds since 1970, by name. */
  readonly rehearsed?: { readonly [fallback: string]: number } | undefined
  /** A fallback that answers for so long is stuck. Default 5 minutes. */
  readonly stuckAfter?: Duration.DurationInput | undefined
  /** A fallback that neither answered nor was rehearsed for so long is unproven. Default 30 days. */
  readonly unprovenAfter?: Duration.DurationInput | undefined
  /** A breaker that opens so often in a day flaps. Default 5. */
  readonly flappingAt?: number | undefined
  /** Names that are no dependencies: under them the service limits what comes in. Default `http.server`. */
  readonly own?: ReadonlyArray<string> | undefined
  /** Dependencies, breakers and fallbacks, each, that are followed. Default 500. */
  readonly capacity?: number | undefined
}

const defaults = { stuckAfter: "5 minutes", unprovenAfter: "30 days", flappingAt: 5, capacity: 500 } as const

/** The last instant that a `Date` can be: what is beyond it is no instant in milliseconds. */
const lastInstant = 8.64e15

/**
 * Health that can be read at any time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Live {
  readonly report: Effect.Effect<Report>
}

/**
 * The health of the dependencies of the program.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Health from "@holdfast/core/Health"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * class Warehouse extends Dependency.Service<Warehouse>()("warehouse") {}
 *
 * const program = Effect.gen(function*() {
 *   yield* DependencyRegistry.isolate("warehouse")
 *   const health = yield* Health.Health
 *   const { dependencies } = yield* health.report
 *   console.log(dependencies[0]?.says)
 *   // warehouse is down: its circuit was isolated by hand 0 s ago; every call fails. Its calls are important.
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Layer.merge(Warehouse.layer, Health.layer()))))
 *
 * @since 0.1.0
 * @category tags
 */
export class Health extends Context.Tag("@holdfast/core/Health")<Health, Live>() {}

/**
 * Health with the listener that it is made from, for `ResilienceEvent.listen`; most programs use `layer`. Dependencies of the registry
 * are seen without any event.
 *
 * @example
 * import * as Health from "@holdfast/core/Health"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.flatMap(Health.make({ stuckAfter: "10 minutes" }), ({ report }) => report)
 *
 * Effect.runPromise(program).then(({ status }) => console.log(status)) // "healthy"
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Live & { readonly listener: ResilienceEvent.Listener }> =>
  Effect.gen(function*() {
    const check = new Validation("Health")
    check.record(options, ["fallbacks", "rehearsed", "own", ...Object.keys(defaults)])
    check.done()
    const {
      capacity = defaults.capacity,
      fallbacks = [],
      flappingAt = defaults.flappingAt,
      own = ownNames,
      rehearsed = {},
      stuckAfter = defaults.stuckAfter,
      unprovenAfter = defaults.unprovenAfter
    } = options
    const named = Array.isArray(fallbacks) && fallbacks.every((one) => typeof one?.name === "string")
    if (!named) {
      check.add("fallbacks", fallbacks, "a list of fallbacks")
    }
    check.record(rehearsed, Object.keys(rehearsed))
    Object.entries(rehearsed).forEach(([fallback, at]) => check.number(`rehearsed.${fallback}`, at, 0, lastInstant))
    const limits: Limits = {
      stuckMillis: check.duration("stuckAfter", stuckAfter),
      unprovenMillis: check.duration("unprovenAfter", unprovenAfter),
      flappingAt,
      rehearsed
    }
    check.whole("flappingAt", flappingAt, 1, 64)
    check.whole("capacity", capacity, 1)
    checkOwn(check, own)
    check.done()
    const registry = yield* DependencyRegistry
    const clock = yield* Effect.clock
    const record = new HealthRecord(capacity, own)
    for (const { name } of fallbacks) record.fallback({ fallback: name }, Alarm.of(clock).now())
    return {
      listener: (event) => record.hear(event),
      report: Effect.gen(function*() {
        const live = yield* Effect.flatMap(registry.dependencies, Effect.forEach((one) => one.state))
        const present = yield* Effect.clock
        return new HealthReader(record, limits, Alarm.of(present).now(), yield* Clock.currentTimeMillis).read(live)
      })
    }
  })

/**
 * A layer that follows the health of everything that is built or run with it.
 *
 * @example
 * import * as Health from "@holdfast/core/Health"
 * import * as Effect from "effect/Effect"
 *
 * const says = Effect.gen(function*() {
 *   const { report } = yield* Health.Health
 *   const { dependencies, problems } = yield* report
 *   return [...dependencies, ...problems].map((one) => one.says)
 * })
 *
 * Effect.runPromise(says.pipe(Effect.provide(Health.layer())))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Health> =>
  Layer.scoped(
    Health,
    Effect.flatMap(make(options), ({ listener, report }) =>
      Effect.as(Effect.locallyScopedWith(ResilienceEvent.listeners, HashSet.add(listener)), { report }))
  )
