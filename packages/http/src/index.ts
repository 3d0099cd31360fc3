/**
 * Every module of `@holdfast/http` under its name. Importing the modules one by one loads less.
 *
 * @since 0.1.0
 */
export * as ClientAddress from "./ClientAddress.js"
export * as HttpAdmission from "./HttpAdmission.js"
export * as HttpAudit from "./HttpAudit.js"
export * as HttpDeadline from "./HttpDeadline.js"
export * as HttpDependencies from "./HttpDependencies.js"
export * as HttpDrain from "./HttpDrain.js"
export * as HttpFailure from "./HttpFailure.js"
export * as HttpHealth from "./HttpHealth.js"
export * as HttpProblem from "./HttpProblem.js"
export * as HttpRateLimit from "./HttpRateLimit.js"
export * as HttpRedirects from "./HttpRedirects.js"
export * as HttpResilience from "./HttpResilience.js"
export * as IdempotencyKey from "./IdempotencyKey.js"
export * as RateLimitHeaders from "./RateLimitHeaders.js"
