/**
 * Every module of `@holdfast/core` under its name. Importing the modules one by one loads less.
 *
 * @since 0.1.0
 */
export * as Backoff from "./Backoff.js"
export * as Bulkhead from "./Bulkhead.js"
export * as Call from "./Call.js"
export * as CircuitBreaker from "./CircuitBreaker.js"
export * as Deadline from "./Deadline.js"
export * as Dependency from "./Dependency.js"
export * as DependencyRegistry from "./DependencyRegistry.js"
export * as Explain from "./Explain.js"
export * as Failure from "./Failure.js"
export * as Fallback from "./Fallback.js"
export * as Keyed from "./Keyed.js"
export * as LatencyBudget from "./LatencyBudget.js"
export * as Lint from "./Lint.js"
export * as LiveDependency from "./LiveDependency.js"
export * as Options from "./Options.js"
export * as Outcome from "./Outcome.js"
export * as Policy from "./Policy.js"
export * as RateLimiter from "./RateLimiter.js"
export * as ResilienceEvent from "./ResilienceEvent.js"
export * as ResilienceLog from "./ResilienceLog.js"
export * as Retry from "./Retry.js"
export * as RetryBudget from "./RetryBudget.js"
export * as Step from "./Step.js"
export * as Timeout from "./Timeout.js"
