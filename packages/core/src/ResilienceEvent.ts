/**
 * What can happen in a policy, as one closed union, told to a set of listeners: metrics, logs and dashboards are listeners.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import type * as Call from "./Call.js"
import type * as Outcome from "./Outcome.js"
import type * as TripPolicy from "./TripPolicy.js"

interface Base {
  /** Milliseconds of the fiber's clock. */
  readonly at: number
  readonly call: Call.Call
}

interface OfTier {
  readonly at: number
  /** Known where the fallback or the error says whom it is about. */
  readonly call: Call.Call | undefined
  readonly fallback: string
  readonly tier: string
  readonly kind: string
}

/**
 * A whole call ended, after all its attempts.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallEnded extends Base {
  readonly _tag: "CallEnded"
  readonly outcome: Outcome.Outcome
  readonly duration: Duration.Duration
  readonly attempts: number
  /** `false` if nothing would have ended it: no timeout around it or around any attempt, no deadline of its caller. */
  readonly limited?: boolean | undefined
}

/**
 * One attempt ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface AttemptEnded extends Base {
  readonly _tag: "AttemptEnded"
  readonly outcome: Outcome.Outcome
  readonly duration: Duration.Duration
}

/**
 * A time limit ran out.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimeoutFired extends Base {
  readonly _tag: "TimeoutFired"
  readonly scope: "attempt" | "total" | "queue"
  readonly limit: Duration.Duration
  /** The deadline of the caller was nearer than the limit. */
  readonly inherited: boolean
  /** How late the alarm rang: the event loop was blocked for so long. */
  readonly delay: Duration.Duration
  /** An uninterruptible part of the effect succeeded after the alarm: its value is lost, and its work is done. */
  readonly late: boolean
}

/**
 * The effect that a timeout stopped died while it released its resources.
 *
 * @since 0.1.0
 * @category models
 */
export interface FinalizerDied extends Base {
  readonly _tag: "FinalizerDied"
  readonly cause: Cause.Cause<unknown>
}

/**
 * Another attempt will be made after the delay.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryScheduled extends Base {
  readonly _tag: "RetryScheduled"
  readonly delay: Duration.Duration
  readonly outcome: Outcome.Outcome
}

/**
 * A call failed and is not tried again although its failure could be cured by another try.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryGivenUp extends Base {
  readonly _tag: "RetryGivenUp"
  readonly reason: "exhausted" | "budget" | "deadline" | "retryAfter" | "notRepeatable" | "probe"
  readonly outcome: Outcome.Outcome
}

/**
 * A circuit breaker changed its state.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitChanged {
  readonly _tag: "CircuitOpened" | "CircuitHalfOpened" | "CircuitClosed" | "CircuitIsolated" | "CircuitDisabled"
  readonly at: number
  /** The call that caused it; `undefined` when it was done by hand. */
  readonly call: Call.Call | undefined
  readonly breaker: string
  readonly dependency: string | undefined
  readonly generation: number
  readonly failures: number
  readonly calls: number
  /** For `CircuitOpened`: the threshold that was reached, and its window; `undefined` when a failed probe opened it again. */
  readonly trip: TripPolicy.Trip | undefined
  /** Probes that failed since it was last closed. */
  readonly failedProbes: number
  /** For `CircuitOpened`: how long it stays open. */
  readonly openDuration: Duration.Duration | undefined
  /** For `CircuitOpened`: the end that tripped it. */
  readonly lastCause: Cause.Cause<unknown> | undefined
}

/**
 * A circuit breaker refused a call, or would have in a dry run.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitRejected extends Base {
  readonly _tag: "CircuitRejected"
  readonly breaker: string
  readonly reason: "open" | "probing" | "isolated"
  readonly retryAfter: Duration.Duration | undefined
  readonly dryRun: boolean
}

/**
 * A result came from a call that was admitted in an earlier state of the breaker: it changed nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface LateResult extends Base {
  readonly _tag: "LateResult"
  readonly breaker: string
  readonly outcome: Outcome.Outcome
}

/**
 * A call waits for a place in a bulkhead.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkheadQueued extends Base {
  readonly _tag: "BulkheadQueued"
  readonly bulkhead: string
  readonly active: number
  readonly queued: number
}

/**
 * A bulkhead refused a call.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkheadRejected extends Base {
  readonly _tag: "BulkheadRejected"
  readonly bulkhead: string
  readonly reason: "full" | "waited" | "deadline"
  readonly maxConcurrent: number
  readonly active: number
  readonly queued: number
  readonly rejected: number
}

/**
 * A rate limiter refused a call.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimitExceeded extends Base {
  readonly _tag: "RateLimitExceeded"
  readonly limiter: string
  readonly key: string | undefined
  readonly retryAfter: Duration.Duration | undefined
  /** Only in a dry run: the call was let through all the same. */
  readonly dryRun?: true | undefined
}

/**
 * A tier of a fallback answered in place of the dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackServed extends OfTier {
  readonly _tag: "FallbackServed"
  /** The tag of the failure that was covered, or the class of its outcome where it has none. */
  readonly reason: string
  readonly outcome: Outcome.Outcome
  readonly age: Duration.Duration | undefined
  /** The breaker or retry inside of which it answered, and which takes the failure for a success: a mistake in the composition. */
  readonly inside: string | undefined
}

/**
 * A tier of a fallback could not answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackFailed extends OfTier {
  readonly _tag: "FallbackFailed"
  readonly cause: Cause.Cause<unknown>
}

/**
 * Every tier of a fallback was run against made-up failures by `Fallback.rehearse`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackRehearsed {
  readonly _tag: "FallbackRehearsed"
  readonly at: number
  readonly call: undefined
  readonly fallback: string
  readonly tiers: number
  /** What was found wrong; 0 when every tier was reached and answered. */
  readonly problems: number
}

/**
 * A fault was put in the way of a call, by a `Chaos` that is switched on.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChaosInjected extends Base {
  readonly _tag: "ChaosInjected"
  /** The name of the chaos policy. */
  readonly chaos: string
  readonly fault: "failure" | "latency" | "hang" | "defect" | "answer"
  /** For `latency`: the delay that was added. */
  readonly delay: Duration.Duration | undefined
}

/**
 * An error of an unknown class reached a circuit breaker, once per tag and breaker.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnclassifiedFailure extends Base {
  readonly _tag: "UnclassifiedFailure"
  readonly tag: string
}

/**
 * A piece of a policy threw: a classifier, a predicate, a listener. The call went on without it.
 *
 * @since 0.1.0
 * @category models
 */
export interface PolicyFault {
  readonly _tag: "PolicyFault"
  readonly at: number
  readonly call: Call.Call | undefined
  readonly part: string
  readonly defect: unknown
}

/**
 * All that can happen.
 *
 * @since 0.1.0
 * @category models
 */
export type ResilienceEvent =
  | CallEnded
  | AttemptEnded
  | TimeoutFired
  | FinalizerDied
  | RetryScheduled
  | RetryGivenUp
  | CircuitChanged
  | CircuitRejected
  | LateResult
  | BulkheadQueued
  | BulkheadRejected
  | RateLimitExceeded
  | FallbackServed
  | FallbackFailed
  | FallbackRehearsed
  | ChaosInjected
  | UnclassifiedFailure
  | PolicyFault

/**
 * Hears every event, in the step in which it happens: it must be quick and must not block. One that throws is reported once per
 * call and stops neither the call nor the others. Nothing waits for an `async` one; its rejection is told to the others, and logged once for
 * each listener. The fiber is the one whose call it is, to be read and not to be moved; it need not
 * be the one that runs, since an alarm or the end of another call can end its wait.
 *
 * @since 0.1.0
 * @category models
 */
export type Listener = (event: ResilienceEvent, fiber?: Fiber.RuntimeFiber<any, any> | undefined) => void

/** @internal */
export const noListeners: HashSet.HashSet<Listener> = HashSet.empty<Listener>()

/**
 * The listeners of the fiber. A set with a patch, as Effect's loggers are, so that two merged layers add to each other.
 *
 * @internal
 */
export const listeners: FiberRef.FiberRef<HashSet.HashSet<Listener>> = globalValue(
  Symbol.for("@holdfast/core/ResilienceEvent/listeners"),
  () => FiberRef.unsafeMakeHashSet(noListeners)
)

/**
 * A layer that adds a listener for everything that is built or run with it.
 *
 * @example
 * import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
 * import * as Effect from "effect/Effect"
 *
 * const Recorder = ResilienceEvent.layer((event) => console.log(event._tag))
 *
 * Effect.runPromise(Effect.void.pipe(Effect.provide(Recorder)))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (listener: Listener): Layer.Layer<never> =>
  Layer.scopedDiscard(Effect.locallyScopedWith(listeners, HashSet.add(listener)))

/**
 * Adds a listener for one effect.
 *
 * @example
 * import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Effect from "effect/Effect"
 *
 * const call = Effect.succeed("answer").pipe(Retry.make(), ResilienceEvent.listen((event) => console.log(event._tag)))
 *
 * Effect.runPromise(call) // prints the events of this call only
 *
 * @since 0.1.0
 * @category combinators
 */
export const listen = (listener: Listener) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locallyWith(self, listeners, HashSet.add(listener))
