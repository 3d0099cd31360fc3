/**
 * Trip policies: when a circuit breaker opens, as plain data.
 *
 * @since 0.1.0
 */
import type * as Window from "./Window.js"

/**
 * Trips at `failures` failures in a row, whatever time lies between them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Consecutive {
  readonly _tag: "Consecutive"
  /** A whole number of at least 1. */
  readonly failures: number
}

/**
 * Trips when the share of failed calls in the window reaches `threshold`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FailureRate {
  readonly _tag: "FailureRate"
  /** More than 0 and at most 1. A rate equal to it trips. */
  readonly threshold: number
  readonly window: Window.Window
  /** Calls the window must hold before a rate means anything; not more than a `Window.calls` can hold. */
  readonly minimumCalls: number
}

/**
 * Trips at `failures` failures of which the first and the last lie no more than `withinMillis` apart.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failures {
  readonly _tag: "Failures"
  /** A whole number of at least 1. */
  readonly failures: number
  /** Milliseconds. */
  readonly withinMillis: number
}

/**
 * Trips when the share of slow calls reaches `threshold`. Slow calls are those that took longer than
 * `slowerThanMillis`, and those still in flight that have taken longer already.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowCallRate {
  readonly _tag: "SlowCallRate"
  /** Milliseconds. A call of exactly this duration is not slow. */
  readonly slowerThanMillis: number
  /** More than 0 and at most 1. A rate equal to it trips. */
  readonly threshold: number
  readonly window: Window.Window
  /** Calls, those in the window and slow ones in flight, that a rate needs. */
  readonly minimumCalls: number
}

/**
 * Trips when one of its policies does; each of them sees every call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any {
  readonly _tag: "Any"
  readonly policies: ReadonlyArray<TripPolicy>
}

/**
 * When a circuit breaker opens, as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export type TripPolicy = Consecutive | FailureRate | Failures | SlowCallRate | Any

/**
 * What made a breaker open: one policy that is not `any`, and what it had counted against its threshold.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trip {
  readonly policy: Exclude<TripPolicy, Any>
  /** Failures; for `SlowCallRate`, slow calls. */
  readonly counted: number
  /** The calls that a rate is of; `undefined` for a policy without one. */
  readonly calls: number | undefined
}

/**
 * Trips at `n` failures in a row. A success starts the count again.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 *
 * console.log(TripPolicy.consecutive(5)) // { _tag: "Consecutive", failures: 5 }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const consecutive = (n: number): Consecutive => ({ _tag: "Consecutive", failures: n })

/**
 * Trips when the share of failed calls in the window is `threshold` or more. It is evaluated after successes as well,
 * and never below `minimumCalls`.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 * import * as Window from "@holdfast/core/Window"
 *
 * const half = TripPolicy.failureRate({ threshold: 0.5, window: Window.time(30_000), minimumCalls: 20 })
 *
 * console.log(half._tag) // "FailureRate"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const failureRate = (options: Omit<FailureRate, "_tag">): FailureRate => ({ _tag: "FailureRate", ...options })

/**
 * Trips at `n` failures within `within` milliseconds, successes between them or not.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 *
 * console.log(TripPolicy.failures(10, { within: 60_000 })) // { _tag: "Failures", failures: 10, withinMillis: 60000 }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const failures = (n: number, options: { readonly within: number }): Failures => ({
  _tag: "Failures",
  failures: n,
  withinMillis: options.within
})

/**
 * Trips when the share of calls slower than `slowerThan` milliseconds is `threshold` or more. Calls still in flight
 * count from the moment they are slow, so a dependency that hangs is seen before its first answer; a call counts once.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 * import * as Window from "@holdfast/core/Window"
 *
 * const window = Window.calls(100)
 * const slow = TripPolicy.slowCallRate({ slowerThan: 2_000, threshold: 0.5, window, minimumCalls: 20 })
 *
 * console.log(slow.slowerThanMillis) // 2000
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowCallRate = (
  options: Omit<SlowCallRate, "_tag" | "slowerThanMillis"> & { readonly slowerThan: number }
): SlowCallRate => {
  const { slowerThan, ...numbers } = options
  return { _tag: "SlowCallRate", slowerThanMillis: slowerThan, ...numbers }
}

/**
 * Trips when any of `policies` trips.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 *
 * const either = TripPolicy.any(TripPolicy.consecutive(5), TripPolicy.failures(10, { within: 60_000 }))
 *
 * console.log(either.policies.length) // 2
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const any = (...policies: ReadonlyArray<TripPolicy>): Any => ({ _tag: "Any", policies })

/**
 * The policies inside `policy` that are not `any`, in order.
 *
 * @example
 * ```ts
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 *
 * const nested = TripPolicy.any(TripPolicy.consecutive(5), TripPolicy.any(TripPolicy.consecutive(10)))
 *
 * console.log(TripPolicy.flatten(nested).map((policy) => policy._tag)) // [ "Consecutive", "Consecutive" ]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const flatten = (policy: TripPolicy): ReadonlyArray<Exclude<TripPolicy, Any>> =>
  policy._tag === "Any" ? policy.policies.flatMap(flatten) : [policy]
