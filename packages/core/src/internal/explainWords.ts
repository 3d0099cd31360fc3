/**
 * The sentences of an explanation: what a step's numbers mean, why it stands where it stands, what it answers.
 */
import type { Step } from "../Step.js"
import * as TripPolicy from "../TripPolicy.js"
import type * as Window from "../Window.js"
import type { DeclaredFacts } from "./declaredFacts.js"
import { time } from "./worstCase.js"

interface Delays {
  readonly kind: "exponential" | "constant" | "decorrelated"
  readonly baseMillis: number
  readonly factor: number
  readonly capMillis: number
  readonly jitter: "full" | "equal" | "none" | { readonly factor: number }
  readonly delay: (retry: number, previous: number, draw: number) => number
}

/**
 * The least that the delay before a retry can be.
 *
 * @internal
 */
export const shortestDelay = (backoff: Delays, retry: number): number => backoff.delay(retry, backoff.baseMillis, 0)

/**
 * `0.2 s + 0.4 s`; a long list is summed up.
 *
 * @internal
 */
export const delays = (count: number, longest: (retry: number) => number): string => {
  const all = Array.from({ length: count }, (_, retry) => longest(retry))
  if (all.includes(Infinity)) {
    return "delays that are not known"
  }
  return count <= 5
    ? all.map(time).join(" + ")
    : `${time(all.reduce((total, one) => total + one, 0))} of delays`
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`

const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`

const windowWords = (window: Window.Window): string =>
  window._tag === "Calls" ? `the last ${count(window.size, "end")}` : `the ends of ${time(window.millis)}`

/** @internal */
export const tripWords = (policy: TripPolicy.TripPolicy): string => {
  switch (policy._tag) {
    case "Consecutive":
      return `${count(policy.failures, "failure")} in a row`
    case "FailureRate":
      return `${percent(policy.threshold)} failures in ${windowWords(policy.window)} (at least ${policy.minimumCalls})`
    case "Failures":
      return `${count(policy.failures, "failure")} within ${time(policy.withinMillis)}`
    case "SlowCallRate":
      return `${percent(policy.threshold)} slower than ${time(policy.slowerThanMillis)} in ${
        windowWords(policy.window)
      } ` +
        `(at least ${policy.minimumCalls})`
    case "Any":
      return TripPolicy.flatten(policy).map(tripWords).join(", or ")
  }
}

const jitterWords = (jitter: Delays["jitter"]): string =>
  jitter === "none"
    ? "without jitter"
    : typeof jitter === "object"
    ? `${percent(jitter.factor)} of jitter`
    : `${jitter} jitter`

const backoffWords = (backoff: Delays | undefined): string => {
  if (backoff === undefined) {
    return "delays by a schedule of your own"
  }
  if (backoff.capMillis === 0) {
    return "without delay"
  }
  switch (backoff.kind) {
    case "constant":
      return `delays of ${time(backoff.baseMillis)}, ${jitterWords(backoff.jitter)}`
    case "decorrelated":
      return `delays from ${time(backoff.baseMillis)} to three times the last, up to ${time(backoff.capMillis)}`
    case "exponential":
      return `delays from ${time(backoff.baseMillis)} x ${backoff.factor} up to ${time(backoff.capMillis)}, ` +
        jitterWords(backoff.jitter)
  }
}

const numbersOf = (step: Step): string => {
  const settings = step.settings as Record<string, any>
  switch (step.kind) {
    case "Timeout":
      return `timeout, ${time(settings.limitMillis)}${settings.scope === "total" ? " in all" : ""}`
    case "Retry":
      return settings.maxRetries === 0 ?
        "retry, switched off with 0 retries" :
        `retry, ${count(settings.maxRetries, "retry", "retries")}, ${backoffWords(settings.backoff)}` + (
          settings.budget === undefined
            ? ""
            : `, within a budget of ${
              percent(settings.budget.percent)
            } of calls + ${settings.budget.minimumPerSecond} per second`
        )
    case "CircuitBreaker":
      return `circuit breaker, opens at ${tripWords(settings.tripPolicy)}`
    case "Bulkhead":
      return `bulkhead, ${count(settings.maxConcurrent, "call")} at once` + (
        settings.maxQueue === 0
          ? ", nobody waits"
          : `, ${settings.maxQueue} may wait${
            settings.maxWaitMillis === Infinity ? "" : ` up to ${time(settings.maxWaitMillis)}`
          }`
      )
    case "RateLimiter":
      return `rate limiter, ${Number(settings.perSecond.toPrecision(6))} per second, bursts of ${settings.capacity}` +
        (settings.maxWaitMillis > 0 ? `, waits up to ${time(settings.maxWaitMillis)}` : ", nobody waits")
    default:
      return step.kind === "Chaos"
        ? "a place for injected faults, off unless Chaos.layer is provided"
        : "a step of your own"
  }
}

const placeOf = (steps: ReadonlyArray<Step>, index: number): string => {
  const step = steps[index]!
  const outside = steps.slice(0, index)
  const inside = steps.slice(index + 1)
  const retriesInside = inside.some((inner) => inner.kind === "Retry")
  const retriesOutside = outside.some((outer) => outer.kind === "Retry")
  switch (step.kind) {
    case "Timeout":
      return retriesInside
        ? "outside the retry, so that all attempts and all waits together have one limit that the caller can rely on"
        : retriesOutside
        ? "inside the retry, so that every attempt has its own limit, and one that hangs leaves time for the next"
        : inside.length === 0
        ? "around the call, so that a dependency that hangs costs no more than this"
        : "around what follows, so that no wait in it takes longer"
    case "Retry":
      return retriesOutside || retriesInside
        ? "one of several retries: each multiplies the attempts of the others"
        : outside.some((outer) => outer.kind === "CircuitBreaker")
        ? "inside the breaker, so that a call counts once however often it is tried, and an open circuit is not tried at all"
        : "around one attempt, so that every attempt goes through all that follows"
    case "CircuitBreaker":
      return retriesInside
        ? "outside the retry (scope call), so that a call is one sample, not one per attempt, and an open circuit spares them all"
        : retriesOutside
        ? "inside the retry (scope attempt), so that every attempt is a sample; the retry stops at CircuitOpen"
        : "around the call, so that a dependency that is down is not called"
    case "Bulkhead":
      return retriesOutside
        ? "inside the retry, so that a call holds a place only while an attempt runs, and comes again for each retry"
        : retriesInside
        ? "outside the retry, so that a call keeps its place through all its attempts, and retries take no places from others"
        : "around the call, so that this dependency never holds more of the process than this"
    case "RateLimiter":
      return retriesOutside
        ? "inside the retry (scope attempt), so that every attempt pays, and retries cannot exceed the rate"
        : retriesInside
        ? "outside the retry (scope call), so that a call pays once; its retries are not counted"
        : "around the call, so that the dependency sees no more than this rate"
    case "Chaos":
      return inside.length === 0
        ? "innermost, so that all else takes its faults for the dependency's"
        : "not innermost, so that what is inside never sees its faults"
    default:
      return outside.every((outer) => outer.kind === "Custom")
        ? "outside everything: the figures below hold for one run of what is inside it"
        : "inside: what it does with what follows is not known"
  }
}

const answerOf = (step: Step): string => {
  const settings = step.settings as Record<string, any>
  switch (step.kind) {
    case "Timeout":
      return `TimedOut after ${time(settings.limitMillis)}` + (
        settings.disconnect === true
          ? ", at once; the stopped call ends in the background"
          : ", when the stopped call has released what it held"
      )
    case "Retry":
      return "no error of its own; the last failure comes out as it was"
    case "CircuitBreaker":
      return (settings.dryRun === true ? "never, it is a dry run; else " : "") +
        `CircuitOpen for ${time(settings.openMillis)}` +
        (settings.openJitter > 0 ? ` (${percent(settings.openJitter)} either way)` : "") +
        `, then ${count(settings.probes, "probe")} at once`
    case "Bulkhead":
      return settings.maxQueue === 0
        ? "BulkheadFull at once"
        : `BulkheadFull at once when the queue is full, else after ${
          settings.maxWaitMillis === Infinity ? "waiting up to the deadline" : `${time(settings.maxWaitMillis)}`
        }`
    case "RateLimiter":
      return "RateLimited at once, with the time after which it is worth asking again"
    default:
      return step.kind === "Chaos" ? "the injected fault" : "what it likes"
  }
}

/** @internal */
export const describe = (steps: ReadonlyArray<Step>, index: number) => ({
  numbers: numbersOf(steps[index]!),
  because: placeOf(steps, index),
  answers: answerOf(steps[index]!)
})

/** Three digits are as much as a reader can use. */
const often = (ends: number, method: string, unit: string): string => {
  if (ends === Infinity) {
    return "never"
  }
  if (ends > 1e9) {
    return `less than once in 1,000,000,000 ${unit}s`
  }
  const shown = `${Number(ends.toPrecision(3)).toLocaleString("en-US")} ${unit}s`
  return method === "exact"
    ? `once in ${shown}`
    : method === "simulated"
    ? `once in about ${shown}`
    : `less than once in ${shown}`
}

interface Opening {
  readonly policy: string
  readonly unit: string
  readonly failureRate: number
  readonly seenRate: number
  readonly ends: number
  readonly method: string
  readonly withoutRetries: { readonly ends: number; readonly method: string }
}

/** @internal */
export const chanceLines = (openings: ReadonlyArray<Opening>, callsPerSecond: number): ReadonlyArray<string> => {
  const retried = openings.some((opening) => opening.seenRate !== opening.failureRate)
  const methods = openings.flatMap((opening) => [opening.method, opening.withoutRetries.method])
  return [
    ...openings.map(({ ends, failureRate, method, policy, seenRate, unit, withoutRetries }) => {
      const start = `- ${policy}, ${percent(failureRate)} of attempts fail: `
      return seenRate === failureRate
        ? start + often(ends, method, unit)
        : `${start}${often(ends, method, unit)}, since retries leave it ${percent(seenRate)} of failed calls; ` +
          `${often(withoutRetries.ends, withoutRetries.method, unit)} when their budget is empty`
    }),
    ...(retried ? ["- Retries are taken to fail as often as first attempts, and independently."] : []),
    ...(methods.some((method) => method !== "exact")
      ? [
        `- "about" and "less than": from 100,000 ends played on the real machine, seeded, at ${callsPerSecond} per second.`
      ]
      : [])
  ]
}

/**
 * What holds for the calls of an operation, and which of the sources that could say it did.
 *
 * @internal
 */
export const declaredLine = ({ criticality, operation, repeatable }: DeclaredFacts): string => {
  const twice = repeatable === undefined
    ? "repeatable unless the call says otherwise; over HTTP, as the method and the idempotency key say"
    : repeatable
    ? "repeatable unless the call says otherwise, whatever the HTTP method (declared)"
    : "not repeatable, whatever the call, the HTTP method or an idempotency key says (declared)"
  const weight = criticality === undefined ? "important (default)" : `${criticality} (declared)`
  return `Calls of ${operation}: ${twice}; ${weight} unless the call says otherwise.`
}
