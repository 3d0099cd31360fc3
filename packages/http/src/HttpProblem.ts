/**
 * Answers the toolkit's errors with problem details (RFC 9457): the right status, `Retry-After`, and a body that a program can read.
 *
 * | error | status | type | `Retry-After` |
 * | --- | --- | --- | --- |
 * | `CircuitOpen` | 503 | `about:blank` | when the circuit lets a probe through, where known |
 * | `BulkheadFull` | 503 | `#temporary-reduced-capacity` | 1 second |
 * | `BulkheadFull`, reason `deadline` | 504 | `about:blank` | none |
 * | `RateLimited` | 503 | `#temporary-reduced-capacity` | when the same call would pass |
 * | `TimedOut` | 504 | `about:blank` | none |
 *
 * A limiter inside a handler protects a dependency, and its caller did nothing wrong: hence 503. The limit of a caller is the business of
 * `HttpRateLimit`, which answers 429; a limiter of your own that counts callers says so by `statuses`.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { BulkheadFull } from "@holdfast/core/Bulkhead"
import { CircuitOpen } from "@holdfast/core/CircuitBreaker"
import { RateLimited } from "@holdfast/core/RateLimiter"
import { TimedOut } from "@holdfast/core/Timeout"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { watchRequest } from "./internal/departure.js"
import { OptionsCheck } from "./internal/serverOptions.js"
import { statusPhrases } from "./internal/statusPhrases.js"

/**
 * The errors that are answered here.
 *
 * @since 0.1.0
 * @category models
 */
export type Handled = BulkheadFull | CircuitOpen | RateLimited | TimedOut

/**
 * Problem details. Members beside the five of the standard are extensions, in `extensions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly status: number
  /** A URI that names the kind of problem. Default `about:blank`: no more than the status says. */
  readonly type?: string | undefined
  /** Default: the phrase of the status, of those from 400 on that IANA knows. */
  readonly title?: string | undefined
  /** What happened this time, for a person. */
  readonly detail?: string | undefined
  /** A URI of this very occurrence. */
  readonly instance?: string | undefined
  /** Written as `Retry-After`, in whole seconds, rounded up, at least 1; an infinite one is left out. */
  readonly retryAfter?: Duration.Duration | undefined
  readonly extensions?: { readonly [member: string]: unknown } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Other statuses, by the tag of the error. A status from 400 to 599. */
  readonly statuses?: { readonly [Tag in Handled["_tag"]]?: number | undefined } | undefined
  /**
   * `true` adds the dependency, the tag and the message of the error to the body. Default `false`: a stranger must not learn what stands
   * behind a service, and whose key was limited.
   */
  readonly expose?: boolean | undefined
  /** `Retry-After` of a full bulkhead, which cannot know. Default 1 second. */
  readonly retryAfter?: Duration.DurationInput | undefined
}

const registry = "https://iana.org/assignments/http-problem-types"

/**
 * The problem types of the IETF draft "RateLimit header fields for HTTP".
 *
 * @since 0.1.0
 * @category constants
 */
export const types = {
  quotaExceeded: `${registry}#quota-exceeded`,
  temporaryReducedCapacity: `${registry}#temporary-reduced-capacity`
} as const

/** More than a recipient has to understand of a number of seconds (RFC 9111), 68 years, is written as that. */
const mostSeconds = 2_147_483_647

const wholeSeconds = (duration: Duration.Duration): number =>
  Math.min(mostSeconds, Math.max(1, Math.ceil(Duration.toMillis(duration) / 1000)))

/**
 * The value of `Retry-After`: whole seconds, rounded up, at least 1, so that nobody comes back too early, and 2,147,483,647 at most.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 * import * as Duration from "effect/Duration"
 *
 * console.log(HttpProblem.retryAfter(Duration.millis(1001))) // "2"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const retryAfter = (duration: Duration.Duration): string => String(wholeSeconds(duration))

/**
 * A response with problem details as its body. It is never cached: it speaks of this moment.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 *
 * const response = HttpProblem.response({ status: 402, title: "Payment Required", detail: "The card has expired." })
 *
 * console.log(response.status) // 402
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const response = (problem: Problem): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(
    JSON.stringify({
      type: problem.type ?? "about:blank",
      title: problem.title ?? statusPhrases[problem.status],
      status: problem.status,
      detail: problem.detail,
      instance: problem.instance,
      ...problem.extensions
    }),
    {
      status: problem.status,
      contentType: "application/problem+json",
      headers: {
        "cache-control": "no-store",
        ...(problem.retryAfter === undefined || !Duration.isFinite(problem.retryAfter)
          ? {}
          : { "retry-after": retryAfter(problem.retryAfter) })
      }
    }
  )

/**
 * Is this one of the errors that are answered here?
 *
 * @since 0.1.0
 * @category guards
 */
export const isHandled = <E>(error: E): error is E & Handled =>
  error instanceof CircuitOpen || error instanceof BulkheadFull || error instanceof RateLimited ||
  error instanceof TimedOut

const reducedCapacity = {
  type: types.temporaryReducedCapacity,
  title: "Request cannot be satisfied due to temporary server capacity constraints"
}

const passed: Problem = { status: 504, detail: "The time for this request has run out." }

const describe = (error: Handled, busy: Duration.Duration): Problem => {
  switch (error._tag) {
    case "CircuitOpen":
      return {
        status: 503,
        detail: "A part that this request needs is out of order.",
        retryAfter: error.retryAfter
      }
    case "BulkheadFull":
      return error.reason === "deadline"
        ? passed
        : { status: 503, ...reducedCapacity, detail: "Too many requests are in progress.", retryAfter: busy }
    case "RateLimited":
      return { status: 503, ...reducedCapacity, detail: "A rate is used up.", retryAfter: error.retryAfter }
    case "TimedOut":
      return passed
  }
}

const fields = ["statuses", "expose", "retryAfter"]
const tags: ReadonlyArray<string> = ["CircuitOpen", "BulkheadFull", "RateLimited", "TimedOut"]

/**
 * A function from the toolkit's errors to problem details.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 *
 * const problemOf = HttpProblem.make({ statuses: { RateLimited: 429 } })
 *
 * console.log(typeof problemOf)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): (error: Handled) => Problem => {
  const check = new OptionsCheck("HttpProblem.make")
  check.record(options, fields)
  const busy = options.retryAfter === undefined ? 1000 : check.duration("retryAfter", options.retryAfter)
  check.optional(options.expose, (value) => check.flag("expose", value))
  check.optional(options.statuses, (statuses) => {
    if (!check.isRecord("statuses", statuses)) {
      return
    }
    for (const [tag, status] of check.entries("statuses", statuses)) {
      if (!tags.includes(tag)) {
        check.add(`statuses.${tag}`, status, `no such error; the errors are ${tags.join(", ")}`)
      } else if (status !== undefined) {
        check.whole(`statuses.${tag}`, status, 400, 599)
      }
    }
  })
  check.done()
  return (error) => {
    const problem = describe(error, Duration.millis(busy))
    const status = options.statuses?.[error._tag]
    // The title belongs to the type, and the type to the status: another status starts from none.
    const placed: Problem = status === undefined || status === problem.status
      ? problem
      : { status, detail: problem.detail, retryAfter: problem.retryAfter }
    return options.expose === true
      ? { ...placed, detail: error.message, extensions: { error: error._tag, dependency: error.dependency } }
      : placed
  }
}

/**
 * Middleware that answers the toolkit's errors and lets every other error through. It belongs around the app or a route, inside the
 * server: `HttpServer.serve(app.pipe(HttpProblem.middleware()))`. As the argument of `serve` it would come too late, since errors are answered
 * with 500 before.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Timeout from "@holdfast/core/Timeout"
 *
 * const app = HttpServerResponse.text("hello").pipe(Timeout.make("1 second"), HttpProblem.middleware())
 *
 * console.log(typeof app)
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = (
  options: Options = {}
): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<Exclude<E, Handled>, R> => {
  const problemOf = make(options)
  return <E, R>(app: HttpApp.Default<E, R>) =>
    Effect.zipRight(
      watchRequest,
      Effect.catchAll(app, (error) =>
        isHandled(error)
          ? Effect.succeed(response(problemOf(error)))
          : Effect.fail(error as Exclude<E, Handled>))
    )
}

/**
 * Problem details for all routes of an `HttpLayerRouter`.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Routes = HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const App = Layer.mergeAll(Routes, HttpProblem.layerRouter())
 *
 * console.log(typeof App)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (options: Options = {}) => {
  const answer = middleware(options)
  return HttpLayerRouter.middleware<{ handles: Handled }>()((app) => answer(app), { global: true })
}

/**
 * Problem details for those routes of an `HttpLayerRouter` that its `layer` is provided to; they may fail with the toolkit's errors.
 *
 * @example
 * ```ts
 * import * as HttpProblem from "@holdfast/http/HttpProblem"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Layer from "effect/Layer"
 *
 * const Slow = HttpLayerRouter.add("GET", "/slow", HttpServerResponse.text("done").pipe(Timeout.make("1 second"))).pipe(
 *   Layer.provide(HttpProblem.forRoutes().layer)
 * )
 *
 * console.log(typeof Slow)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const forRoutes = (options: Options = {}) => {
  const answer = middleware(options)
  return HttpLayerRouter.middleware<{ handles: Handled }>()((app) => answer(app))
}
