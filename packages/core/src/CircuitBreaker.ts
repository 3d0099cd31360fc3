/**
 * Fails fast while a dependency is down: counts the ends of calls, opens when too many failed, and lets single probes find out
 * when it is back.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as PubSub from "effect/PubSub"
import type * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import type * as Subscribable from "effect/Subscribable"
import * as Alarm from "./Alarm.js"
import type { Snapshot, State } from "./CircuitBreakerMachine.js"
import * as Failure from "./Failure.js"
import { BreakerGate, type Transition } from "./internal/breakerGate.js"
import * as breakerHandle from "./internal/breakerHandle.js"
import * as settings from "./internal/breakerOptions.js"
import { tryAgain } from "./internal/durationText.js"
import type * as Step from "./Step.js"
import type * as TripPolicy from "./TripPolicy.js"

export {
  /**
   * Opens as soon as one of the policies says so.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * const tripPolicy = CircuitBreaker.any(
   *   CircuitBreaker.consecutive(10),
   *   CircuitBreaker.slowCallRate({ slowerThan: "2 seconds", threshold: 0.5, window: "30 seconds", minimumCalls: 20 })
   * )
   *
   * console.log(tripPolicy._tag) // "Any"
   *
   * @since 0.1.0
   * @category trip policies
   */
  any,
  /**
   * Opens after so many failures in a row. For low traffic.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * console.log(CircuitBreaker.consecutive(5)) // { _tag: "Consecutive", failures: 5 }
   *
   * @since 0.1.0
   * @category trip policies
   */
  consecutive,
  /**
   * The default: half of at least 20 calls in 30 seconds, or 10 failures in a row.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * // the default, and besides it five failures within a second
   * const quick = CircuitBreaker.failures(5, { within: "1 second" })
   * const tripPolicy = CircuitBreaker.any(CircuitBreaker.defaultTripPolicy, quick)
   *
   * console.log(tripPolicy._tag) // "Any"
   *
   * @since 0.1.0
   * @category trip policies
   */
  defaultTripPolicy,
  /**
   * Opens when this share of the calls in a window failed, once the window holds `minimumCalls`. A duration is a time window, a
   * number of calls is `{ calls: 100 }`.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * const half = CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 100 }, minimumCalls: 20 })
   *
   * console.log(half._tag) // "FailureRate"
   *
   * @since 0.1.0
   * @category trip policies
   */
  failureRate,
  /**
   * Opens after so many failures within a duration.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * const tripPolicy = CircuitBreaker.failures(10, { within: "1 minute" })
   *
   * console.log(tripPolicy) // { _tag: "Failures", failures: 10, withinMillis: 60000 }
   *
   * @since 0.1.0
   * @category trip policies
   */
  failures,
  /**
   * Half of the last ten calls. At a failure rate of 20 % it opens by chance every 118 calls: use it where that is cheap.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   * import * as Effect from "effect/Effect"
   *
   * const breaker = CircuitBreaker.make({ name: "thumbnails", tripPolicy: CircuitBreaker.lastTen })
   *
   * Effect.runPromise(breaker)
   *
   * @since 0.1.0
   * @category trip policies
   */
  lastTen,
  /**
   * For under ten calls per second: five failures in a row.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * console.log(CircuitBreaker.lowTraffic) // { _tag: "Consecutive", failures: 5 }
   *
   * @since 0.1.0
   * @category trip policies
   */
  lowTraffic,
  /**
   * Opens when this share of the calls in a window took longer than `slowerThan`; calls still in flight count as soon as they are slow.
   *
   * @example
   * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
   *
   * const slow = CircuitBreaker.slowCallRate({
   *   slowerThan: "2 seconds",
   *   threshold: 0.5,
   *   window: "30 seconds",
   *   minimumCalls: 20
   * })
   *
   * console.log(slow._tag) // "SlowCallRate"
   *
   * @since 0.1.0
   * @category trip policies
   */
  slowCallRate
} from "./internal/breakerOptions.js"

/**
 * The circuit let the call not through.
 *
 * - `reason: "open"`: the dependency is taken for down until `retryAfter`.
 * - `reason: "probing"`: a probe is finding out whether it is back.
 * - `reason: "isolated"`: somebody took the dependency out by hand.
 *
 * @example
 * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make({ name: "payments" })
 *   yield* breaker.isolate
 *   return yield* Effect.succeed("charged").pipe(
 *     breaker,
 *     Effect.catchTag("CircuitOpen", (error) => Effect.succeed(error.reason))
 *   )
 * })
 *
 * Effect.runPromise(program).then(console.log) // "isolated"
 *
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Failure.Rejected("CircuitOpen")<{
  readonly policy: string
  readonly dependency: string | undefined
  readonly reason: "open" | "probing" | "isolated"
  /** When it is worth asking again; never negative, `undefined` where nobody knows. */
  readonly retryAfter: Duration.Duration | undefined
}> {
  override get message(): string {
    const again = tryAgain(this.retryAfter)
    switch (this.reason) {
      case "open":
        return `The circuit of ${this.dependency ?? this.policy} is open${again}`
      case "probing":
        return `The circuit of ${this.dependency ?? this.policy} is half-open and waits for a probe${again}`
      case "isolated":
        return `The circuit of ${this.dependency ?? this.policy} is isolated by hand`
    }
  }
}

const circuitOpen = Failure.stackless(CircuitOpen)

const refuse = (fields: ConstructorParameters<typeof CircuitOpen>[0]): Exit.Exit<never, CircuitOpen> =>
  Exit.fail(circuitOpen(fields))

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the breaker in errors, events and metrics. */
  readonly name: string
  /** Default: the name. */
  readonly dependency?: string | undefined
  /** Default `defaultTripPolicy`. */
  readonly tripPolicy?: TripPolicy.TripPolicy | undefined
  /** How long it stays open: a duration, or a schedule whose delays are used one after the other while probes keep failing. Default 30 seconds. */
  readonly openDuration?: Duration.DurationInput | Schedule.Schedule<unknown> | undefined
  /** The share by which each open period is spread. Default 0.1: 10 % either way. */
  readonly openJitter?: number | undefined
  /** No open period is longer, whatever the schedule or the dependency's `retryAfter` say. Default 1 hour. */
  readonly maxOpenDuration?: Duration.DurationInput | undefined
  /** Calls let through at once while half-open. Default 1. */
  readonly probes?: number | undefined
  /** Probes that must succeed before it closes. Default: `probes`. */
  readonly successThreshold?: number | undefined
  /** A probe that takes longer gives up its slot. Default: the first open duration. */
  readonly probeTimeout?: Duration.DurationInput | undefined
  /** Which ends count as failures. Default: as the outcome table says, `Retryable` and `Unclassified`. */
  readonly when?: Failure.When | undefined
  /** Default `Failure.classify`. */
  readonly classify?: Failure.Classify | undefined
  /** Counts and tells, but rejects only what `isolate` says. Default `false`. */
  readonly dryRun?: boolean | undefined
}

export type {
  /**
   * What a breaker holds at one instant.
   *
   * @since 0.1.0
   * @category models
   */
  Snapshot,
  /**
   * The states of a breaker: closed, open, half-open, and isolated or disabled by hand.
   *
   * @since 0.1.0
   * @category models
   */
  State
} from "./CircuitBreakerMachine.js"

export type {
  /**
   * When a breaker opens.
   *
   * @since 0.1.0
   * @category models
   */
  TripPolicy
} from "./TripPolicy.js"

export type {
  /**
   * One change of state.
   *
   * @since 0.1.0
   * @category models
   */
  Transition
} from "./internal/breakerGate.js"

/**
 * A circuit breaker: a policy that can be read and moved by hand.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreaker extends Step.Policy<CircuitOpen> {
  /** The state now, and every state from now on. An open circuit that is due reads as open until a call probes it. */
  readonly state: Subscribable.Subscribable<State>
  readonly transitions: Stream.Stream<Transition>
  readonly snapshot: Effect.Effect<Snapshot>
  /** Rejects every call until `reset`, in a dry run too. */
  readonly isolate: Effect.Effect<void>
  /** Lets every call through and counts nothing until `reset`. */
  readonly disable: Effect.Effect<void>
  /** Closes with clean counts. */
  readonly reset: Effect.Effect<void>
  /**
   * Changes the numbers that are given, from the next call on; `undefined` changes nothing. State, generation, the end of an open period and the counts of every
   * window that keeps its shape stay; a window of another shape starts empty.
   */
  readonly reconfigure: (
    change: Partial<Omit<Options, "name" | "dependency" | "when" | "classify">>
  ) => Effect.Effect<void>
  /**
   * The same with all numbers anew: what is left out has its default, or follows from the others, again.
   *
   * @internal
   */
  readonly renumber: (
    numbers: Partial<Omit<Options, "name" | "dependency" | "when" | "classify">>
  ) => Effect.Effect<void>
  /** @internal */
  readonly hub: Effect.Effect<PubSub.PubSub<Transition>>
}

/**
 * Makes a circuit breaker. Keep it: a breaker made anew for every call never sees two failures.
 *
 * Put outside `Retry` it records one end per call (scope "call"); put inside, one per attempt, and `Retry` stops at
 * `CircuitOpen`. Interruption from outside is neutral; a limit of the same policy that ends a hanging call is a failure.
 *
 * @example
 * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make({ name: "payments", tripPolicy: CircuitBreaker.consecutive(5) })
 *   return yield* Effect.succeed("charged").pipe(breaker)
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<CircuitBreaker> =>
  Effect.flatMap(settings.check(options), ({ config, described }) =>
    Clock.clockWith((clock) =>
      Effect.sync(() => {
        const gate = new BreakerGate(options, config, described, Alarm.of(clock).now(), refuse)
        return breakerHandle.make(gate, options)
      })
    ))
