/**
 * Holdfast as a program uses it: five policies composed by hand, and the standard stack with all its defaults.
 */
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import { limitMillis } from "../styles.js"

type Apply = (self: Effect.Effect<number>) => Effect.Effect<unknown, unknown>

/** More than any style has at once, so that nobody is refused; every contender has the same. */
export const places = 200_000

/** Bulkhead, circuit breaker, retry and attempt timeout, each with its defaults. */
export const composed = (name: string, classify?: Failure.Classify) =>
  Policy.compose(
    Effect.runSync(Bulkhead.make({ name, maxConcurrent: places })),
    Effect.runSync(CircuitBreaker.make({ name, classify })),
    Retry.make({ maxRetries: 2, classify }),
    Timeout.make(limitMillis)
  )

/** The five: the four above and a fallback outside. */
export const five = (name: string, classify?: Failure.Classify): Apply => {
  const policy = composed(name, classify)
  const fallback = Fallback.orElse(-1)
  return (self) => fallback(policy(self))
}

/** Total timeout, circuit breaker, retry with its budget, attempt timeout, with all defaults; no bulkhead and no fallback. */
export const standard = (name: string, classify?: Failure.Classify): Apply =>
  Effect.runSync(Policy.standard(name, classify === undefined ? {} : { classify }))

/** A classifier that looks at every value, as one for HTTP does. */
export const byValue: Failure.Classify = (exit) =>
  exit._tag === "Success" && typeof exit.value === "number" && exit.value < 0
    ? Outcome.retryable
    : Failure.classify(exit)
