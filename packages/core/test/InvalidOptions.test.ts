import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import * as Options from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

/** JavaScript knows no types: everything may be given. */
type Make = (...values: ReadonlyArray<any>) => unknown

/** What a plain make throws, and what an effectful one dies with. */
const refusalOf = (make: Make, values: ReadonlyArray<unknown>): unknown => {
  let made: unknown
  try {
    made = make(...values)
  } catch (thrown) {
    return thrown
  }
  if (!Effect.isEffect(made)) return "it was accepted"
  const exit = Effect.runSyncExit(made as Effect.Effect<unknown, unknown>)
  if (Exit.isSuccess(exit)) return "it was accepted"
  return Cause.isDie(exit.cause) ? Cause.squash(exit.cause) : `it failed instead of dying: ${exit.cause}`
}

const resize: Make = (limits) =>
  Effect.flatMap(Bulkhead.make({ name: "b", maxConcurrent: 2, maxQueue: 1 }), (b) => b.resize(limits))
const within: Make = (duration) => Deadline.within(Effect.void, duration)
const chaosLayer: Make = (options) => Effect.scoped(Layer.build(Chaos.layer(options)))
const inject: Make = (faults) => Effect.scoped(Chaos.inject(faults)).pipe(Effect.provide(Chaos.layer()), quiet)
const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))
const standard: Make = (options) => Policy.standard("s", options)

const rate = { threshold: 0.5, window: "10 seconds", minimumCalls: 5 }
const bulkhead = { name: "b", maxConcurrent: 1 }
const limiter = { name: "l", rate: 1 }
const breaker = { name: "c" }
const keyed = { name: "k", capacity: 5, make: () => Effect.succeed(Policy.identity) }
const cache = { key: () => "", capacity: 5, serveFor: "1 minute" }

const leaf = { _tag: "FailureRate", threshold: 0.5, window: { _tag: "Calls", size: 10 }, minimumCalls: 5 }

/** Trip policies as a file of settings may hold them: the right tag, and wrong numbers. */
const handWritten: ReadonlyArray<readonly [tripPolicy: unknown, field: string, allowed: string]> = [
  [{ _tag: "Consecutive" }, "tripPolicy.failures", "from 1"],
  [{ _tag: "Failures", failures: 3, withinMillis: "1 second" }, "tripPolicy.withinMillis", "10 or more"],
  [{ _tag: "Failures", failures: 0.5, withinMillis: 1000 }, "tripPolicy.failures", "from 1"],
  [{ ...leaf, threshold: 50 }, "tripPolicy.threshold", "0.5 is half"],
  [{ ...leaf, minimumCalls: 11 }, "tripPolicy.minimumCalls", "at most the 10 calls"],
  [{ ...leaf, minimumCalls: undefined }, "tripPolicy.minimumCalls", "from 1"],
  [{ ...leaf, window: "30 seconds" }, "tripPolicy.window", "Window.calls(100)"],
  [{ ...leaf, window: { _tag: "Calls", size: 0 } }, "tripPolicy.window.size", "from 1"],
  [{ ...leaf, window: { _tag: "Time", millis: Infinity, slices: 10 } }, "tripPolicy.window.millis", "finite"],
  [{ ...leaf, window: { _tag: "Time", millis: 1000 } }, "tripPolicy.window.slices", "from 1"],
  [{ ...leaf, _tag: "SlowCallRate" }, "tripPolicy.slowerThanMillis", "1 or more"],
  [{ _tag: "Any", policies: "x" }, "tripPolicy.policies", "list"],
  [{ _tag: "Any", policies: [] }, "tripPolicy.policies", "list"],
  [
    { _tag: "Any", policies: [leaf, { _tag: "Any", policies: [{ _tag: "Consecutive", failures: -1 }] }] },
    "tripPolicy.policies[1].policies[0].failures",
    "from 1"
  ]
]

/** The make, what it is given, the field that is wrong, and words of what is allowed there. */
const rows: ReadonlyArray<
  readonly [owner: string, make: Make, values: ReadonlyArray<unknown>, field: string, allowed: string]
> = [
  ["Timeout.make", Timeout.make, [0], "limit", "1ms or more"],
  ["Timeout.make", Timeout.make, [-5], "limit", "1ms or more"],
  ["Timeout.make", Timeout.make, ["-5 seconds"], "limit", "1ms or more"],
  ["Timeout.make", Timeout.make, [-5n], "limit", "1ms or more"],
  ["Timeout.make", Timeout.make, [[-1, 0]], "limit", "1ms or more"],
  ["Backoff.constant", Backoff.constant, ["-5 seconds"], "delay", "or more"],
  ["Retry.make", Retry.make, [{ maxRetryAfter: "-1 second" }], "maxRetryAfter", "or more"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maxWait: -5n }], "maxWait", "or more"],
  ["Timeout.make", Timeout.make, [NaN], "limit", "duration"],
  ["Timeout.make", Timeout.make, [Infinity], "limit", "finite"],
  ["Timeout.make", Timeout.make, [Duration.infinity], "limit", "finite"],
  ["Timeout.make", Timeout.make, ["5 secs"], "limit", "2 seconds"],
  ["Timeout.make", Timeout.make, [undefined], "limit", "duration"],
  ["Timeout.make", Timeout.make, [null], "limit", "duration"],
  ["Timeout.make", Timeout.make, [{}], "limit", "duration"],
  ["Timeout.make", Timeout.make, [true], "limit", "duration"],
  ["Timeout.make", Timeout.make, [1, { scope: "queue" }], "scope", "\"attempt\", \"total\""],
  ["Timeout.make", Timeout.make, [1, { disconnect: 1 }], "disconnect", "true or false"],
  ["Timeout.make", Timeout.make, [1, { name: "" }], "name", "not empty"],
  ["Timeout.make", Timeout.make, [1, { dependency: 7 }], "dependency", "text"],
  ["Timeout.make", Timeout.make, [1, { scop: "total" }], "scop", "did you mean scope?"],
  ["Timeout.make", Timeout.make, [1, null], "options", "record"],
  ["Timeout.make", Timeout.make, [1, "total"], "options", "record"],
  ["Timeout.fromLatency", Timeout.fromLatency, [{ p99: -1 }], "p99", "or more"],
  ["Timeout.fromLatency", Timeout.fromLatency, [{}], "p99", "duration"],
  ["Timeout.fromLatency", Timeout.fromLatency, [undefined], "options", "record"],
  ["Retry.make", Retry.make, [{ maxRetries: -1 }], "maxRetries", "from 0 to 1000"],
  ["Retry.make", Retry.make, [{ maxRetries: 1.5 }], "maxRetries", "whole number"],
  ["Retry.make", Retry.make, [{ maxRetries: Infinity }], "maxRetries", "from 0 to 1000"],
  ["Retry.make", Retry.make, [{ maxRetries: NaN }], "maxRetries", "whole number"],
  ["Retry.make", Retry.make, [{ maxRetries: "2" }], "maxRetries", "whole number"],
  ["Retry.make", Retry.make, [{ maxRetries: null }], "maxRetries", "whole number"],
  ["Retry.make", Retry.make, [{ schedule: "1 second" }], "schedule", "Backoff"],
  ["Retry.make", Retry.make, [{ budget: { percent: 0.2 } }], "budget", "RetryBudget"],
  ["Retry.make", Retry.make, [{ when: [] }], "when", "not empty"],
  ["Retry.make", Retry.make, [{ when: ["Busy", "retryable"] }], "when", "the class Retryable"],
  ["Retry.make", Retry.make, [{ when: "Retryable" }], "when", "predicate"],
  ["Retry.make", Retry.make, [{ classify: "Retryable" }], "classify", "function"],
  ["Retry.make", Retry.make, [{ discard: true }], "discard", "function"],
  ["Retry.make", Retry.make, [{ name: 3 }], "name", "text"],
  ["Retry.make", Retry.make, [{ dependency: "" }], "dependency", "text"],
  ["Retry.make", Retry.make, [{ retries: 3 }], "retries", "maxRetries"],
  ["Retry.make", Retry.make, [null], "options", "record"],
  ["Retry.make", Retry.make, [3], "options", "record"],
  ["Backoff.exponential", Backoff.exponential, [-1], "base", "or more"],
  ["Backoff.exponential", Backoff.exponential, [NaN], "base", "duration"],
  ["Backoff.exponential", Backoff.exponential, [1, { factor: 0.5 }], "factor", "from 1 to 1000"],
  ["Backoff.exponential", Backoff.exponential, [1, { factor: NaN }], "factor", "number"],
  ["Backoff.exponential", Backoff.exponential, [1, { factor: null }], "factor", "number"],
  ["Backoff.exponential", Backoff.exponential, [1, { cap: Infinity }], "cap", "finite"],
  ["Backoff.exponential", Backoff.exponential, [1, { jitter: true }], "jitter", "\"full\", \"equal\", \"none\""],
  ["Backoff.exponential", Backoff.exponential, [1, { jitter: { factor: 2 } }], "jitter.factor", "from 0 to 1"],
  ["Backoff.exponential", Backoff.exponential, [1, { maxDelay: 5 }], "maxDelay", "factor, cap, jitter"],
  ["Backoff.exponential", Backoff.exponential, [1, null], "options", "record"],
  ["Backoff.constant", Backoff.constant, ["often"], "delay", "duration"],
  ["Backoff.constant", Backoff.constant, [1, { jitter: "some" }], "jitter", "\"full\""],
  ["Backoff.constant", Backoff.constant, [1, { cap: 5 }], "cap", "jitter"],
  ["Backoff.decorrelated", Backoff.decorrelated, [-1], "base", "or more"],
  ["Backoff.decorrelated", Backoff.decorrelated, [100, { cap: 50 }], "cap", "not shorter than the base"],
  ["Backoff.decorrelated", Backoff.decorrelated, [100, { cap: null }], "cap", "leave it out"],
  ["RetryBudget.make", RetryBudget.make, [{ percent: -0.1 }], "percent", "10000"],
  ["RetryBudget.make", RetryBudget.make, [{ percent: NaN }], "percent", "number"],
  ["RetryBudget.make", RetryBudget.make, [{ percent: "20%" }], "percent", "number"],
  ["RetryBudget.make", RetryBudget.make, [{ minimumPerSecond: -1 }], "minimumPerSecond", "from 0"],
  ["RetryBudget.make", RetryBudget.make, [{ minimumPerSecond: Infinity }], "minimumPerSecond", "from 0"],
  ["RetryBudget.make", RetryBudget.make, [{ ttl: "5 millis" }], "ttl", "from 1s to 1m"],
  ["RetryBudget.make", RetryBudget.make, [{ ttl: "2 hours" }], "ttl", "from 1s to 1m"],
  ["RetryBudget.make", RetryBudget.make, [{ ratio: 0.2 }], "ratio", "percent"],
  ["RetryBudget.make", RetryBudget.make, [null], "options", "record"],
  ["CircuitBreaker.make", CircuitBreaker.make, [undefined], "options", "record"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{}], "name", "text"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ name: "" }], "name", "not empty"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, dependency: 1 }], "dependency", "text"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, openDuration: 0 }], "openDuration", "duration"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, openDuration: null }], "openDuration", "leave it out"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, openDuration: Infinity }], "openDuration", "finite"],
  [
    "CircuitBreaker.make",
    CircuitBreaker.make,
    [{ ...breaker, maxOpenDuration: "1 second" }],
    "maxOpenDuration",
    "not shorter than openDuration"
  ],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, openJitter: 1.1 }], "openJitter", "from 0 to 1"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, openJitter: NaN }], "openJitter", "number"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, probes: 0 }], "probes", "from 1 to 1000"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, probes: 2.5 }], "probes", "whole number"],
  [
    "CircuitBreaker.make",
    CircuitBreaker.make,
    [{ ...breaker, successThreshold: 0 }],
    "successThreshold",
    "from 1 to 1000"
  ],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, probeTimeout: -1 }], "probeTimeout", "duration"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, when: [""] }], "when", "tags"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, classify: {} }], "classify", "function"],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, dryRun: "yes" }], "dryRun", "true or false"],
  [
    "CircuitBreaker.make",
    CircuitBreaker.make,
    [{ ...breaker, tripPolicy: 5 }],
    "tripPolicy",
    "CircuitBreaker.consecutive(5)"
  ],
  [
    "CircuitBreaker.make",
    CircuitBreaker.make,
    [{ ...breaker, tripPolicy: { _tag: "sometimes" } }],
    "tripPolicy",
    "CircuitBreaker.consecutive(5)"
  ],
  ...handWritten.map(([tripPolicy, field, allowed]) =>
    ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, tripPolicy }], field, allowed] as const
  ),
  [
    "CircuitBreaker.any",
    CircuitBreaker.any,
    [{ _tag: "Consecutive", failures: 0 }],
    "policies[0].failures",
    "from 1"
  ],
  ["CircuitBreaker.make", CircuitBreaker.make, [{ ...breaker, threshold: 5 }], "threshold", "tripPolicy"],
  ["CircuitBreaker.consecutive", CircuitBreaker.consecutive, [0], "failures", "from 1"],
  ["CircuitBreaker.consecutive", CircuitBreaker.consecutive, [1.5], "failures", "whole number"],
  ["CircuitBreaker.failures", CircuitBreaker.failures, [5, { within: 0 }], "within", "duration"],
  ["CircuitBreaker.failures", CircuitBreaker.failures, [-5, { within: "1 second" }], "failures", "from 1"],
  ["CircuitBreaker.failures", CircuitBreaker.failures, [5], "options", "record"],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, threshold: 50 }], "threshold", "0.5 is half"],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, threshold: 0 }], "threshold", "above 0"],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, threshold: NaN }], "threshold", "above 0"],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, window: -1 }], "window", "duration"],
  [
    "CircuitBreaker.failureRate",
    CircuitBreaker.failureRate,
    [{ ...rate, window: { calls: 0 } }],
    "window.calls",
    "from 1"
  ],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, window: null }], "window", "duration"],
  [
    "CircuitBreaker.failureRate",
    CircuitBreaker.failureRate,
    [{ ...rate, window: { calls: 3 } }],
    "minimumCalls",
    "at most the 3 calls"
  ],
  [
    "CircuitBreaker.failureRate",
    CircuitBreaker.failureRate,
    [{ ...rate, minimumCalls: 0.5 }],
    "minimumCalls",
    "whole number"
  ],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [{ ...rate, minimum: 3 }], "minimum", "minimumCalls"],
  ["CircuitBreaker.failureRate", CircuitBreaker.failureRate, [null], "options", "record"],
  ["CircuitBreaker.slowCallRate", CircuitBreaker.slowCallRate, [{ ...rate, slowerThan: 0 }], "slowerThan", "duration"],
  ["CircuitBreaker.slowCallRate", CircuitBreaker.slowCallRate, [undefined], "options", "record"],
  ["CircuitBreaker.any", CircuitBreaker.any, [], "policies.length", "from 1"],
  ["CircuitBreaker.any", CircuitBreaker.any, [5], "policies[0]", "trip policy"],
  ["Bulkhead.make", Bulkhead.make, [undefined], "options", "record"],
  ["Bulkhead.make", Bulkhead.make, [[]], "options", "record"],
  ["Bulkhead.make", Bulkhead.make, [{ maxConcurrent: 1 }], "name", "text"],
  ["Bulkhead.make", Bulkhead.make, [{ name: "b" }], "maxConcurrent", "whole number from 1"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: 0 }], "maxConcurrent", "from 1"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: -3 }], "maxConcurrent", "from 1"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: 2.5 }], "maxConcurrent", "whole number"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: NaN }], "maxConcurrent", "whole number"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: Infinity }], "maxConcurrent", "to 1000000"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: "20" }], "maxConcurrent", "whole number"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxConcurrent: 20n }], "maxConcurrent", "whole number"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxQueue: -1 }], "maxQueue", "from 0"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxQueue: null }], "maxQueue", "leave it out"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxQueue: 1, maxWait: 0 }], "maxWait", "duration"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxQueue: 1, maxWait: "soon" }], "maxWait", "duration"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxWait: "1 second" }], "maxWait", "nobody waits"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, dependency: "" }], "dependency", "text"],
  ["Bulkhead.make", Bulkhead.make, [{ ...bulkhead, maxWaiting: 1 }], "maxWaiting", "did you mean maxWait?"],
  ["Bulkhead.resize", resize, [{ maxConcurrent: 0 }], "maxConcurrent", "from 1"],
  ["Bulkhead.resize", resize, [{ maxConcurrent: 1, maxQueue: 0.5 }], "maxQueue", "whole number"],
  ["Bulkhead.resize", resize, [{ maxConcurrent: 1, maxQueue: null }], "maxQueue", "leave it out"],
  ["Bulkhead.resize", resize, [{ maxConcurrent: 1, maxWait: 0 }], "maxWait", "duration"],
  ["Bulkhead.resize", resize, [{ maxConcurrent: 1, size: 5 }], "size", "unknown field"],
  ["Bulkhead.resize", resize, [undefined], "options", "record"],
  ["RateLimiter.make", RateLimiter.make, [null], "options", "record"],
  ["RateLimiter.make", RateLimiter.make, [{ name: "l" }], "rate", "number"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, rate: 0 }], "rate", "number from"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, rate: NaN }], "rate", "number"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, rate: Infinity }], "rate", "to 1000000000"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, rate: "5/s" }], "rate", "number"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, per: 0 }], "per", "duration"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, per: null }], "per", "duration"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, capacity: 0 }], "capacity", "number from"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, capacity: null }], "capacity", "number"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maxWait: -1 }], "maxWait", "duration"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maxWait: Infinity }], "maxWait", "finite"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maxQueue: 1.5 }], "maxQueue", "whole number"],
  [
    "RateLimiter.make",
    RateLimiter.make,
    [{ ...limiter, maxWait: 5, maxQueue: 0 }],
    "maxQueue",
    "maxWait lets calls wait"
  ],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maximumKeys: 0 }], "maximumKeys", "from 1"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, maximumKeys: 1e9 }], "maximumKeys", "to 10000000"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, bypass: true }], "bypass", "function"],
  [
    "RateLimiter.make",
    RateLimiter.make,
    [{ ...limiter, tiers: { gold: { rate: 1 } }, tierOf: "gold" }],
    "tierOf",
    "function"
  ],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, tiers: { gold: { rate: 1 } } }], "tierOf", "together"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, tierOf: () => "gold" }], "tiers", "together"],
  [
    "RateLimiter.make",
    RateLimiter.make,
    [{ ...limiter, tiers: { gold: { rate: -1 } }, tierOf: () => "gold" }],
    "tiers.gold.rate",
    "number from"
  ],
  [
    "RateLimiter.make",
    RateLimiter.make,
    [{ ...limiter, tiers: { gold: { rate: 1, burst: 5 } }, tierOf: () => "gold" }],
    "tiers.gold.burst",
    "unknown field"
  ],
  [
    "RateLimiter.make",
    RateLimiter.make,
    [{ ...limiter, tiers: { gold: null }, tierOf: () => "gold" }],
    "tiers.gold",
    "a rate"
  ],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, tiers: 5, tierOf: () => "gold" }], "tiers", "record"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, burst: 5 }], "burst", "capacity"],
  ["RateLimiter.make", RateLimiter.make, [{ ...limiter, dryRun: "yes" }], "dryRun", "true or false"],
  ["Keyed.make", Policy.keyed, [null], "options", "record"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, name: "" }], "name", "text"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, capacity: 0 }], "capacity", "from 1"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, capacity: NaN }], "capacity", "whole number"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, idle: "x" }], "idle", "duration"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, make: 5 }], "make", "function"],
  ["Keyed.make", Policy.keyed, [{ ...keyed, size: 5 }], "size", "capacity"],
  ["Fallback.make", Fallback.make as Make, [null], "options", "record"],
  ["Fallback.make", Fallback.make as Make, [{ name: "f", tiers: [] }], "tiers", "one or more"],
  ["Fallback.make", Fallback.make as Make, [{ name: "", tiers: [Fallback.value(1)] }], "name", "not empty"],
  ["Fallback.make", Fallback.make as Make, [{ name: "f", tiers: [Fallback.value(1)], tier: 1 }], "tier", "tiers"],
  ["Fallback.cached", Fallback.cached as Make, [null], "options", "record"],
  ["Fallback.cached", Fallback.cached as Make, [{ ...cache, capacity: 0 }], "capacity", "from 1"],
  ["Fallback.cached", Fallback.cached as Make, [{ ...cache, serveFor: undefined }], "serveFor", "duration"],
  ["Fallback.cached", Fallback.cached as Make, [{ ...cache, key: "id" }], "key", "function"],
  ["Chaos.make", Chaos.make as Make, [null], "options", "record"],
  ["Chaos.make", Chaos.make as Make, [{ failure: "busy" }], "failure", "function"],
  ["Chaos.make", Chaos.make as Make, [{ answer: 0 }], "answer", "function"],
  ["Chaos.make", Chaos.make as Make, [{ name: "" }], "name", "not empty"],
  ["Chaos.make", Chaos.make as Make, [{ dependency: 1 }], "dependency", "text"],
  ["Chaos.make", Chaos.make as Make, [{ probability: 0.1 }], "probability", "failure, answer"],
  ["Chaos.layer", chaosLayer, [null], "options", "record"],
  ["Chaos.layer", chaosLayer, [{ faults: 5 }], "faults", "Fault.failure()"],
  ["Chaos.layer", chaosLayer, [{ faults: [Fault.hang(), {}] }], "faults[1]", "Fault.failure()"],
  ["Chaos.layer", chaosLayer, [{ seed: NaN }], "seed", "number"],
  ["Chaos.layer", chaosLayer, [{ seed: "" }], "seed", "not empty"],
  ["Chaos.layer", chaosLayer, [{ inProduction: "yes" }], "inProduction", "true or false"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: 0.5 }], "blastRadius", "share"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: {} }], "blastRadius", "concurrent, share or injections"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: { share: 0 } }], "blastRadius.share", "above 0"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: { share: 50 } }], "blastRadius.share", "0.5 is half"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: { concurrent: 0.5 } }], "blastRadius.concurrent", "whole number"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: { injections: 0 } }], "blastRadius.injections", "from 1"],
  ["Chaos.layer", chaosLayer, [{ blastRadius: { percent: 5 } }], "blastRadius.percent", "concurrent"],
  ["Chaos.layer", chaosLayer, [{ fault: Fault.hang() }], "fault", "faults"],
  ["Chaos.inject", inject, [{ dependency: "payments" }], "faults", "Fault.failure()"],
  ["Fault.failure", Fault.failure as Make, [null], "options", "record"],
  ["Fault.failure", Fault.failure as Make, [{ probability: 10 }], "probability", "from 0 to 1"],
  ["Fault.failure", Fault.failure as Make, [{ probability: NaN }], "probability", "number"],
  ["Fault.failure", Fault.failure as Make, [{ dependency: "" }], "dependency", "name of a dependency"],
  ["Fault.failure", Fault.failure as Make, [{ dependency: [] }], "dependency", "not empty"],
  ["Fault.failure", Fault.failure as Make, [{ dependency: ["a", 1] }], "dependency", "list of names"],
  ["Fault.failure", Fault.failure as Make, [{ when: "charge" }], "when", "function"],
  ["Fault.failure", Fault.failure as Make, [{ during: "1 minute" }], "during", "from and to"],
  ["Fault.failure", Fault.failure as Make, [{ during: { from: -1 } }], "during.from", "duration"],
  ["Fault.failure", Fault.failure as Make, [{ during: { until: 1 } }], "during.until", "from, to"],
  ["Fault.failure", Fault.failure as Make, [{ during: { from: 5, to: 5 } }], "during.to", "later than from"],
  ["Fault.hang", Fault.hang as Make, [{ share: 0.1 }], "share", "probability"],
  ["Fault.defect", Fault.defect as Make, [{ probability: -1 }], "probability", "from 0"],
  ["Fault.answer", Fault.answer as Make, [{ answer: 5 }], "answer", "unknown field"],
  ["Fault.latency", Fault.latency as Make, ["soon"], "delay", "duration"],
  ["Fault.latency", Fault.latency as Make, [undefined], "delay", "duration"],
  ["Fault.latency", Fault.latency as Make, [Infinity], "delay", "to 1d"],
  ["Fault.latency", Fault.latency as Make, [{ from: 5 }], "to", "duration"],
  ["Fault.latency", Fault.latency as Make, [{ from: 5, to: 1 }], "to", "from 5ms"],
  ["Fault.latency", Fault.latency as Make, [{ mean: 5 }], "deviation", "duration"],
  ["Fault.latency", Fault.latency as Make, [{ mean: 5, deviation: 1, largest: 2 }], "largest", "from 5ms"],
  ["Fault.latency", Fault.latency as Make, [{ mean: 5, deviation: 1, sigma: 1 }], "sigma", "deviation"],
  ["Fault.latency", Fault.latency as Make, [1, { probability: "0.1" }], "probability", "number"],
  ["Deadline.within", within, ["never"], "duration", "duration"],
  ["Deadline.within", within, [NaN], "duration", "duration"],
  ["Policy.make", Policy.make, ["", (effect: unknown) => effect], "name", "text"],
  ["Policy.make", Policy.make, ["traced", "span"], "wrap", "function"],
  ["Policy.compose", Policy.compose, [Policy.identity, 5], "policies[1]", "a policy"],
  ["Policy.standard", Policy.standard, [""], "name", "text"],
  ["Policy.standard", Policy.standard, [undefined], "name", "text"],
  ["Policy.standard", standard, [null], "options", "record"],
  ["Policy.standard", standard, [{ retries: {} }], "retries", "totalTimeout"],
  ["Policy.standard", standard, [{ totalTimeout: null }], "totalTimeout", "leave it out"],
  ["Policy.standard", standard, [{ totalTimeout: true }], "totalTimeout", "duration"],
  ["Policy.standard", standard, [{ attemptTimeout: 0 }], "attemptTimeout", "duration"],
  ["Policy.standard", standard, [{ bulkhead: true }], "bulkhead", "or false"],
  ["Policy.standard", standard, [{ bulkhead: 20 }], "bulkhead", "or false"],
  ["Policy.standard", standard, [{ bulkhead: null }], "bulkhead", "or false"],
  ["Policy.standard", standard, [{ bulkhead: {} }], "bulkhead.maxConcurrent", "whole number"],
  ["Policy.standard", standard, [{ bulkhead: { maxConcurrent: 1, name: "mine" } }], "bulkhead.name", "the policy"],
  ["Policy.standard", standard, [{ chaos: null }], "chaos", "or false"],
  ["Policy.standard", standard, [{ chaos: 0.1 }], "chaos", "or false"],
  ["Policy.standard", standard, [{ chaos: { failure: 5 } }], "chaos.failure", "function"],
  ["Policy.standard", standard, [{ chaos: { probability: 0.1 } }], "chaos.probability", "failure, answer"],
  ["Policy.standard", standard, [{ chaos: { name: "mine" } }], "chaos.name", "the policy"],
  ["Policy.standard", standard, [{ circuitBreaker: null }], "circuitBreaker", "leave it out"],
  ["Policy.standard", standard, [{ circuitBreaker: "on" }], "circuitBreaker", "or false"],
  [
    "Policy.standard",
    standard,
    [{ circuitBreaker: { scope: "call " } }],
    "circuitBreaker.scope",
    "\"call\", \"attempt\""
  ],
  ["Policy.standard", standard, [{ circuitBreaker: { openFor: 5 } }], "circuitBreaker.openFor", "openDuration"],
  ["Policy.standard", standard, [{ retry: null }], "retry", "leave it out"],
  ["Policy.standard", standard, [{ retry: { maxRetries: -1 } }], "retry.maxRetries", "from 0"],
  ["Policy.standard", standard, [{ retry: { attempts: 3 } }], "retry.attempts", "maxRetries"],
  ["Policy.standard", standard, [{ retry: { budget: { percent: -1 } } }], "retry.budget.percent", "number"],
  ["Policy.standard", standard, [{ retry: { budget: 0.2 } }], "retry.budget", "record"],
  [
    "Policy.standard",
    standard,
    [{ rateLimiter: { rate: 1, scope: "key" } }],
    "rateLimiter.scope",
    "\"call\", \"attempt\""
  ],
  ["Policy.standard", standard, [{ rateLimiter: { capacity: 1 } }], "rateLimiter.rate", "number"],
  ["Policy.standard", standard, [{ rateLimiter: null }], "rateLimiter", "or false"],
  ["Policy.standard", standard, [{ classify: "Retryable" }], "classify", "function"]
]

const valueAt = (values: ReadonlyArray<unknown>): string => {
  try {
    return JSON.stringify(
      values,
      (_, value) =>
        typeof value === "number" || typeof value === "bigint" || value === undefined || typeof value === "function"
          ? String(value)
          : value
    )
  } catch {
    return String(values)
  }
}

describe("InvalidOptions", () => {
  for (const [owner, make, values, field, allowed] of rows) {
    it(`${owner} refuses ${valueAt(values)}: ${field}`, () => {
      const error = refusalOf(make, values)
      assert.instanceOf(error, Options.InvalidOptions, String(error))
      assert.strictEqual(error._tag, "InvalidOptions")
      assert.strictEqual(error.owner, owner)
      assert.deepStrictEqual(error.findings.map((finding) => finding.field), [field])
      assert.include(error.findings[0]!.allowed, allowed)
      assert.include(error.message, `${owner}: ${field} is `)
      const finding = error.findings[0]!
      assert.include(
        error.message,
        Options.describeFinding(field, Options.show(finding.value), finding.allowed)
      )
    })
  }

  it("has a row for every public make", () => {
    assert.isAtLeast(rows.length, 60)
    const owners = new Set(rows.map(([owner]) => owner))
    for (const owner of ["Timeout", "Retry", "RetryBudget", "CircuitBreaker", "Bulkhead", "RateLimiter", "Policy"]) {
      assert.isTrue(owners.has(`${owner}.make`), owner)
    }
  })

  it("reports all findings at once, each with its value as it was given", () => {
    const several: ReadonlyArray<readonly [Make, ReadonlyArray<unknown>, Record<string, unknown>]> = [
      [Timeout.make, [-1, { scope: "x", name: "" }], { limit: -1, scope: "x", name: "" }],
      [Retry.make, [{ maxRetries: -1, when: 5, retry: 1 }], { maxRetries: -1, when: 5, retry: 1 }],
      [Bulkhead.make, [{ name: "", maxConcurrent: 0, maxQueue: -1, size: 3 }], {
        name: "",
        maxConcurrent: 0,
        maxQueue: -1,
        size: 3
      }],
      [
        RateLimiter.make,
        [{ name: 7, rate: NaN, capacity: -1, maxQueue: 0.5, maximumKeys: 0, bypass: 1, limit: 9 }],
        { name: 7, rate: NaN, capacity: -1, maxQueue: 0.5, maximumKeys: 0, bypass: 1, limit: 9 }
      ],
      [CircuitBreaker.make, [{ name: "", probes: 0, dryRun: 1 }], { name: "", probes: 0, dryRun: 1 }],
      [CircuitBreaker.failureRate, [{ threshold: 2, window: 0, minimumCalls: 0 }], {
        threshold: 2,
        window: 0,
        minimumCalls: 0
      }],
      [Backoff.exponential, [-1, { factor: 0, cap: -1 }], { base: -1, factor: 0, cap: -1 }],
      [RetryBudget.make, [{ percent: -1, ttl: 5 }], { percent: -1, ttl: 5 }]
    ]
    for (const [make, values, expected] of several) {
      const error = refusalOf(make, values)
      assert.instanceOf(error, Options.InvalidOptions, String(error))
      const found = Object.fromEntries(error.findings.map((finding) => [finding.field, finding.value]))
      assert.deepStrictEqual(found, expected)
    }
  })

  it("prints values so that they can be told apart", () => {
    const message = (value: unknown) =>
      (refusalOf(Bulkhead.make, [{ name: "b", maxConcurrent: value }]) as Error).message
    assert.include(message("20"), "maxConcurrent is \"20\",")
    assert.include(message(undefined), "maxConcurrent is undefined,")
    assert.include(message({ n: 1 }), "maxConcurrent is {\"n\":1},")
    assert.include(message(() => 1), "maxConcurrent is a function,")
    assert.include(message(Duration.seconds(2)), "maxConcurrent is 2s,")
    assert.include(message(Symbol("s")), "maxConcurrent is Symbol(s),")
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    assert.include(message(cyclic), "maxConcurrent is [object Object],")
  })

  it("refuses before anything is built: an effectful make dies when it is run, not when it is called", () => {
    const effect = Bulkhead.make({ name: "b", maxConcurrent: 0 })
    assert.isTrue(Effect.isEffect(effect))
    const exit = Effect.runSyncExit(effect)
    assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
  })

  it("accepts undefined for every optional field, as if it were left out", () => {
    const none = undefined
    Timeout.make(1, { scope: none, disconnect: none, name: none, dependency: none })
    Retry.make({
      maxRetries: none,
      schedule: none,
      budget: none,
      when: none,
      classify: none,
      discard: none,
      name: none
    })
    Backoff.exponential(1, { factor: none, cap: none, jitter: none })
    Effect.runSync(Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: none, maxWait: none, dependency: none }))
    Effect.runSync(
      RateLimiter.make({ name: "l", rate: 1, per: none, capacity: none, maxWait: none, tiers: none, tierOf: none })
    )
    Effect.runSync(CircuitBreaker.make({ name: "c", tripPolicy: none, openDuration: none, probes: none, when: none }))
    Effect.runSync(
      Policy.standard("undefined", { totalTimeout: none, bulkhead: none, circuitBreaker: none, retry: none })
    )
  })

  it("undefined in a change leaves the number that was set before, and null is refused", () => {
    const none = undefined
    const program = Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "c",
        openDuration: "5 minutes",
        tripPolicy: CircuitBreaker.consecutive(2),
        dryRun: true
      })
      yield* breaker.reconfigure({ openDuration: none, dryRun: none, tripPolicy: none, probes: 2 })
      assert.include(breaker.steps[0]!.settings, { openMillis: 300_000, dryRun: true, probes: 2 })
      assert.deepStrictEqual((breaker.steps[0]!.settings as any).tripPolicy, CircuitBreaker.consecutive(2))
      const limiter = yield* RateLimiter.make({ name: "l", rate: 5, capacity: 10, maxWait: "1 second" })
      yield* limiter.reconfigure({ rate: 7, capacity: none, maxWait: none })
      assert.include(limiter.steps[0]!.settings, { capacity: 10, maxWaitMillis: 1000 })
      const budget = yield* RetryBudget.make({ percent: 0.5 })
      yield* budget.reconfigure!({ percent: none, minimumPerSecond: 3 })
      assert.include(budget.settings, { percent: 0.5, minimumPerSecond: 3 })
      const places = yield* Bulkhead.make({ name: "b", maxConcurrent: 2, maxQueue: 3, maxWait: "1 second" })
      yield* places.resize({ maxConcurrent: 4, maxQueue: none, maxWait: none })
      assert.include(places.steps[0]!.settings, { maxConcurrent: 4, maxQueue: 3, maxWaitMillis: 1000 })
    })
    Effect.runSync(program)
    const changes: ReadonlyArray<Make> = [
      (change) => Effect.flatMap(CircuitBreaker.make(breaker), (one) => one.reconfigure(change)),
      (change) => Effect.flatMap(RateLimiter.make(limiter), (one) => one.reconfigure(change)),
      (change) => Effect.flatMap(RetryBudget.make(), (one) => one.reconfigure!(change))
    ]
    for (const change of changes) {
      assert.instanceOf(refusalOf(change, [null]), Options.InvalidOptions)
    }
  })
})
