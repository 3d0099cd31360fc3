/**
 * What a policy may know of the call in progress.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Failure from "./Failure.js"

/**
 * How much the business needs the answer: a `critical` call fails loudly, an `important` one degrades with a notice, an
 * `optional` one degrades silently.
 *
 * @since 0.1.0
 * @category models
 */
export type Criticality = "critical" | "important" | "optional"

/**
 * Facts about one call, given by `policy.with(facts)(effect)`. All are optional.
 *
 * @since 0.1.0
 * @category models
 */
export interface Facts {
  /** The operation as a route template, `GET /orders/:id`; it becomes a metric label, so it must not carry identifiers. */
  readonly operation?: string | undefined
  /** The request that this call serves; shown in logs. */
  readonly requestId?: string | undefined
  /**
   * May the call be made twice? A `false` of the call or of the declaration of its operation wins over every `true`. Where neither
   * says anything, `repeatableByDefault` counts. A call that may not is retried only if nothing was sent.
   */
  readonly repeatable?: boolean | undefined
  /** What the transport assumes, as HTTP does by the method. Counts only where `repeatable` is not said. Default `true`. */
  readonly repeatableByDefault?: boolean | undefined
  /** What a keyed policy tells calls apart by: tenant, host, shard. */
  readonly key?: string | undefined
  /** Default: that of the declaration of its operation, else `important`. */
  readonly criticality?: Criticality | undefined
  /** What the call costs a rate limiter. Default 1. */
  readonly cost?: number | undefined
  /** Takes the place of the classifier that the policy was built with. */
  readonly classify?: Failure.Classify | undefined
  /** Releases a successful value that is thrown away because the classifier calls it a failure: an HTTP response's body. */
  readonly discard?: ((value: any) => Effect.Effect<unknown>) | undefined
}

/**
 * The call in progress, as events and listeners see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  /** The dependency, or the name that the policy was built with. */
  readonly dependency: string | undefined
  readonly operation: string | undefined
  readonly requestId: string | undefined
  /** 1 for the first attempt. */
  readonly attempt: number
  /** The most attempts that this call may make: retries + 1. */
  readonly maxAttempts: number
  readonly repeatable: boolean
  readonly key: string | undefined
  readonly criticality: Criticality
  /** Absolute, in milliseconds of the fiber's clock; `undefined` when the call may take for ever. */
  readonly deadline: number | undefined
  /** The name of the keyed policy that keeps the policy of this call; metrics count all its keys under this name. */
  readonly keyed?: string | undefined
}

/**
 * No facts at all.
 *
 * @example
 * import * as Call from "@holdfast/core/Call"
 *
 * const facts: Call.Facts = { ...Call.none, operation: "GET /orders/:id", repeatable: true }
 *
 * console.log(facts.operation) // "GET /orders/:id"
 *
 * @since 0.1.0
 * @category constructors
 */
export const none: Facts = Object.freeze({})
