/**
 * Live figures of every dependency and operation, from the events of their policies, in bounded memory: what happened, how often,
 * how long it took. `Diagnosis` and `Tuning` read them.
 *
 * Counts are of the present and the previous period, so that they reach back between one and two periods; what is beyond the
 * number of operations that are told apart is counted as `other`. A policy that names no dependency is not counted.
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
import { DependencyRegistry, type Registry } from "./DependencyRegistry.js"
import type { BulkheadFigures, CircuitFigures, FallbackFigures, OperationFigures } from "./internal/figuresModel.js"
import { Recorder } from "./internal/figuresRecorder.js"
import { groupedBy } from "./internal/records.js"
import type { DependencyState } from "./LiveDependency.js"
import { Validation } from "./Options.js"
import * as ResilienceEvent from "./ResilienceEvent.js"

export type {
  /**
   * Who was refused by one bulkhead.
   *
   * @since 0.1.0
   * @category models
   */
  BulkheadFigures,
  /**
   * How often each class of outcome came.
   *
   * @since 0.1.0
   * @category models
   */
  ByClass,
  /**
   * The figures of one circuit breaker.
   *
   * @since 0.1.0
   * @category models
   */
  CircuitFigures,
  /**
   * What one fallback answered.
   *
   * @since 0.1.0
   * @category models
   */
  FallbackFigures,
  /**
   * How long something took. `undefined` where nothing was counted.
   *
   * @since 0.1.0
   * @category models
   */
  Latency,
  /**
   * An opening of a breaker, and how few requests were behind it.
   *
   * @since 0.1.0
   * @category models
   */
  Opening,
  /**
   * The figures of one operation of one dependency.
   *
   * @since 0.1.0
   * @category models
   */
  OperationFigures,
  /**
   * A time in which calls were slow, or failed.
   *
   * @since 0.1.0
   * @category models
   */
  Spell
} from "./internal/figuresModel.js"

/**
 * The figures of one dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface DependencyFigures {
  readonly dependency: string
  readonly operations: ReadonlyArray<OperationFigures>
  readonly circuits: ReadonlyArray<CircuitFigures>
  /** Whether its policy has a time limit. Only for a dependency of the registry. */
  readonly limited: boolean | undefined
  /** What its pieces hold now: calls in flight, queues, budgets. Only for a dependency of the registry. */
  readonly live: DependencyState | undefined
}

/**
 * All figures at one instant. It does not change any more: durations are in milliseconds, instants in milliseconds since 1970.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly at: number
  /** Counts are from then on. */
  readonly since: number
  /** A call that takes so long is slow. */
  readonly slowerThanMillis: number
  readonly dependencies: ReadonlyArray<DependencyFigures>
  readonly bulkheads: ReadonlyArray<BulkheadFigures>
  readonly fallbacks: ReadonlyArray<FallbackFigures>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The period of the counts. Default 1 hour. */
  readonly window?: Duration.DurationInput | undefined
  /** The period of the latencies of good attempts, which recommendations are made from. Default 7 days. */
  readonly latencyWindow?: Duration.DurationInput | undefined
  /** A call that takes so long is slow. Default 5 seconds. */
  readonly slowerThan?: Duration.DurationInput | undefined
  /** Dependencies that are told apart; the others are `other`. Default 100. */
  readonly maximumDependencies?: number | undefined
  /** Operations that are told apart, of all dependencies together; the others of a dependency are its `other`. Default 200. */
  readonly maximumOperations?: number | undefined
}

/** The values of options that are left out. */
const defaults = {
  window: "1 hour",
  latencyWindow: "7 days",
  slowerThan: "5 seconds",
  maximumDependencies: 100,
  maximumOperations: 200
} as const

/**
 * Figures that can be read at any time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Live {
  readonly snapshot: Effect.Effect<Snapshot>
}

/**
 * The figures of the program.
 *
 * @example
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* Policy.standard("payments")
 *   yield* Effect.succeed("charged").pipe(payments.with({ operation: "POST /charges" }))
 *   const { snapshot } = yield* Figures.Figures
 *   const { dependencies } = yield* snapshot
 *   console.log(dependencies[0]?.operations[0]?.calls.Success) // 1
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Figures.layer())))
 *
 * @since 0.1.0
 * @category tags
 */
export class Figures extends Context.Tag("@holdfast/core/Figures")<Figures, Live>() {}

const byName = <A extends { readonly dependency: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...all].sort((a, b) => a.dependency < b.dependency ? -1 : 1)

const snapshotOf = (
  recorder: Recorder,
  now: number,
  calendar: number,
  slowerThanMillis: number,
  live: ReadonlyArray<{ readonly dependency: string; readonly state: DependencyState; readonly limited: boolean }>
): Snapshot => {
  const { bulkheads, circuits, fallbacks, operations, since } = recorder.read(now, calendar - now)
  const states = new Map(live.map((one) => [one.dependency, one]))
  const called = groupedBy(operations, ({ dependency }) => dependency)
  const guarded = groupedBy(circuits, ({ breaker, dependency }) => dependency ?? breaker)
  const names = new Set([...called.keys(), ...states.keys(), ...guarded.keys()])
  return {
    at: calendar,
    since,
    slowerThanMillis,
    dependencies: byName([...names].map((name) => {
      const one = states.get(name)
      return {
        dependency: name,
        operations: called.get(name) ?? [],
        circuits: (guarded.get(name) ?? []).map(({ dependency: _, ...circuit }) => circuit),
        limited: one?.limited,
        live: one?.state
      }
    })),
    bulkheads,
    fallbacks
  }
}

/**
 * Figures with the listener that they are made from, for `ResilienceEvent.listen`; most programs use `layer`.
 *
 * @example
 * import * as Figures from "@holdfast/core/Figures"
 * import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const figures = yield* Figures.make({ window: "10 minutes" })
 *   // a retry without retries protects from nothing: it is there to be listened to
 *   const watched = Retry.make({ maxRetries: 0, dependency: "catalogue" })
 *   yield* Effect.succeed("page").pipe(watched, ResilienceEvent.listen(figures.listener))
 *   return yield* figures.snapshot
 * })
 *
 * Effect.runPromise(program).then(({ dependencies }) => console.log(dependencies[0]?.dependency)) // "catalogue"
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Live & { readonly listener: ResilienceEvent.Listener }> =>
  Effect.gen(function*() {
    const check = new Validation("Figures")
    check.record(options, Object.keys(defaults))
    check.done()
    const {
      latencyWindow = defaults.latencyWindow,
      maximumDependencies = defaults.maximumDependencies,
      maximumOperations = defaults.maximumOperations,
      slowerThan = defaults.slowerThan,
      window = defaults.window
    } = options
    const measures = {
      windowMillis: check.duration("window", window),
      latencyWindowMillis: check.duration("latencyWindow", latencyWindow),
      slowerThanMillis: check.duration("slowerThan", slowerThan)
    }
    check.whole("maximumDependencies", maximumDependencies, 1, 10_000)
    check.whole("maximumOperations", maximumOperations, 1, 10_000)
    check.done()
    const registry: Registry = yield* DependencyRegistry
    const clock = yield* Effect.clock
    const recorder = new Recorder(measures, maximumDependencies, maximumOperations, Alarm.of(clock).now())
    return {
      listener: (event) => recorder.hear(event),
      snapshot: Effect.gen(function*() {
        const live = yield* Effect.flatMap(
          registry.dependencies,
          Effect.forEach((one) =>
            Effect.zipWith(one.state, one.policy(), (state, { steps }) => ({
              dependency: one.dependency,
              state,
              limited: steps.some(({ kind }) => kind === "Timeout")
            }))
          )
        )
        const present = yield* Effect.clock
        const calendar = yield* Clock.currentTimeMillis
        return snapshotOf(recorder, Alarm.of(present).now(), calendar, measures.slowerThanMillis, live)
      })
    }
  })

/**
 * A layer that keeps figures of everything that is built or run with it.
 *
 * @example
 * import * as Diagnosis from "@holdfast/core/Diagnosis"
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Effect from "effect/Effect"
 *
 * const whatIsWrong = Effect.flatMap(Figures.Figures, ({ snapshot }) => Effect.map(snapshot, Diagnosis.fromSnapshot))
 *
 * Effect.runPromise(whatIsWrong.pipe(Effect.provide(Figures.layer()))).then(console.log) // []
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Figures> =>
  Layer.scoped(
    Figures,
    Effect.flatMap(make(options), ({ listener, snapshot }) =>
      Effect.as(Effect.locallyScopedWith(ResilienceEvent.listeners, HashSet.add(listener)), { snapshot }))
  )
