/**
 * What live figures say at one instant, as plain data: durations are in milliseconds, instants in milliseconds since 1970.
 */
import type * as Call from "../Call.js"
import type * as Outcome from "../Outcome.js"
import type { RetryGivenUp } from "../ResilienceEvent.js"
import type * as TripPolicy from "../TripPolicy.js"
import type { CircuitState } from "./circuitWords.js"

/**
 * How often each class of outcome came.
 *
 * @since 0.1.0
 * @category models
 */
export type ByClass = { readonly [Class in Outcome.Class]: number }

/**
 * How long something took. `undefined` where nothing was counted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Latency {
  /** The oldest sample may be from then. */
  readonly since: number
  readonly samples: number
  readonly meanMillis: number | undefined
  readonly p50Millis: number | undefined
  readonly p95Millis: number | undefined
  readonly p99Millis: number | undefined
  readonly maxMillis: number | undefined
}

/**
 * A time in which calls failed, one after the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spell {
  readonly from: number
  readonly until: number
  readonly calls: number
  /** The time that the callers spent in them, all together. */
  readonly millis: number
}

/**
 * The figures of one operation of one dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface OperationFigures {
  readonly dependency: string
  /** `undefined` for calls that name none, `other` for those beyond what is told apart. */
  readonly operation: string | undefined
  readonly calls: ByClass
  readonly attempts: ByClass
  /** Limits that rang, those of a nearer deadline of the caller left out. */
  readonly timeouts: { readonly attempt: number; readonly total: number; readonly queue: number }
  /** Ended by a deadline of the caller. */
  readonly cutByCaller: number
  /** The limits as they were when they last rang. */
  readonly limits: { readonly attemptMillis: number | undefined; readonly totalMillis: number | undefined }
  readonly retries: number
  /** The most attempts that a call might make. */
  readonly maxAttempts: number
  /** Calls that made more than one attempt, and those of them that succeeded. */
  readonly retriedCalls: number
  readonly successAfterRetry: number
  readonly givenUp: { readonly [Reason in RetryGivenUp["reason"]]: number }
  /** The delays before the first retry, the second and so on; those that the dependency asked for left out. */
  readonly delays: ReadonlyArray<{
    readonly count: number
    readonly shortestMillis: number
    readonly longestMillis: number
  }>
  /** The most retries that fell due in one twentieth of a second. */
  readonly herd: number
  readonly rejections: { readonly circuit: number; readonly bulkhead: number; readonly rateLimit: number }
  /** Calls that ended in an error other than a permanent one, by how much they matter. */
  readonly failed: { readonly [Criticality in Call.Criticality]: number }
  /** The time that callers spent in calls that were let in, all together. */
  readonly callMillis: number
  /** When a call that was let in ended last. */
  readonly lastEndedAt: number | undefined
  /** The most calls that began in one second. */
  readonly busiestSecond: number
  /** Calls that took `slowerThan` or longer and that nothing would have ended, from the beginning of the first to the end of the last. */
  readonly slow: Spell | undefined
  /** Failures, however many in a row, that ended with a success; and the longest time that it took. */
  readonly blips: { readonly count: number; readonly longestMillis: number }
  /** The longest time in which nearly every call failed. */
  readonly failing: Spell | undefined
  /** Attempts that were answered: with a success, or with an answer that will not change. */
  readonly latency: Latency
  /** Calls that were let in, with all their attempts and waits. */
  readonly callLatency: Latency
  /** Of these, those that failed. */
  readonly failedLatency: Latency
}

/**
 * An opening, and how few requests were behind it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opening {
  readonly at: number
  readonly trip: TripPolicy.Trip
  /** The requests whose first attempt had failed within what the breaker looked at. */
  readonly requests: number
}

/**
 * The figures of one circuit breaker.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitFigures {
  readonly breaker: string
  readonly state: CircuitState
  /** When the state began; `undefined` if it has not changed since the figures began. */
  readonly since: number | undefined
  /** Openings from closed. */
  readonly trips: number
  /** Openings by a failed probe. */
  readonly reopened: number
  /** The opening that had the fewest requests for the failures that were counted. */
  readonly narrowest: Opening | undefined
}

/**
 * Who was refused by one bulkhead.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkheadFigures {
  readonly bulkhead: string
  readonly maxConcurrent: number
  readonly rejected: number
  readonly operations: ReadonlyArray<{
    readonly dependency: string
    readonly operation: string | undefined
    readonly rejected: number
  }>
}

/**
 * What one fallback answered.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackFigures {
  readonly fallback: string
  /** Whom it stands in for, where that is known. */
  readonly dependency: string | undefined
  readonly tiers: ReadonlyArray<{
    readonly tier: string
    readonly kind: string
    readonly served: number
    readonly failed: number
  }>
}

/**
 * The name of all that is beyond what is told apart.
 *
 * @internal
 */
export const other = "other"
