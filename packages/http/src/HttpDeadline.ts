/**
 * Honours the time that a caller has left: the request runs under that deadline, and is answered with 504 when it has passed.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Deadline from "@holdfast/core/Deadline"
import type * as Step from "@holdfast/core/Step"
import * as Timeout from "@holdfast/core/Timeout"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as HttpProblem from "./HttpProblem.js"
import { watchDeparture } from "./internal/departure.js"
import { exemption } from "./internal/exemption.js"
import { OptionsCheck } from "./internal/serverOptions.js"

/**
 * The header that carries how long the caller still waits, in whole milliseconds. Remaining time and not an instant: two machines
 * do not share a clock.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultHeader = "x-deadline-remaining-ms"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Default `x-deadline-remaining-ms`. */
  readonly header?: string | undefined
  /**
   * The longest that a request may take until its answer begins, whatever the caller says, and without a word from it. Default: no
   * limit of its own.
   */
  readonly limit?: Duration.DurationInput | undefined
  /**
   * Kept back for the way of the answer, from what the caller has left and from `limit` alike. What is left after it is the deadline.
   * Less than `limit`. Default 0.
   */
  readonly reserve?: Duration.DurationInput | undefined
  /**
   * How much earlier the deadline of the app passes than the 504 is answered, so that a fallback can answer at the deadline. Of a short
   * time it is half at most. Less than what `reserve` leaves of `limit`. Default 50 milliseconds.
   */
  readonly grace?: Duration.DurationInput | undefined
  /** More requests without a deadline, beside `GET` and `HEAD` of `/health`, `/health/dependencies` and `/metrics`. */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
}

/**
 * Reads remaining time: digits only, in milliseconds. Anything else is `None`: a header that cannot be read is no header, and `-1` or
 * `1e9` must not be taken for a number.
 *
 * @example
 * ```ts
 * import * as HttpDeadline from "@holdfast/http/HttpDeadline"
 *
 * console.log(HttpDeadline.parse("1500")) // Option.some(Duration.millis(1500))
 * console.log(HttpDeadline.parse("1.5s")) // Option.none()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (text: string): Option.Option<Duration.Duration> =>
  /^\d{1,15}$/.test(text) ? Option.some(Duration.millis(Number(text))) : Option.none()

const policy = "request deadline"

const defaultGrace = 50

const passed = HttpProblem.response({ status: 504, detail: "The time for this request has run out." })

/**
 * The app under a limit. Servers run apps uninterruptibly, and a limit in such a place waits without hearing that the client has left.
 * So the limit listens, and the app keeps the flag that it had.
 */
const limited = <E, R>(app: HttpApp.Default<E, R>, limit: Step.Policy<Timeout.TimedOut>) =>
  Effect.checkInterruptible((interruptible) =>
    interruptible ? limit(app) : Effect.interruptible(limit(Effect.uninterruptible(app)))
  )

const fields = ["header", "limit", "reserve", "grace", "exempt"]

/**
 * Middleware that gives the app the caller's deadline: policies inside cut their waits to it and give up retries that cannot be in
 * time, and calls to other services carry on what is left. It passes a little before the time is over (`grace`): what ran out of time
 * inside can still be answered by a fallback. When the time is over, the app is interrupted, what it holds is released, and the answer
 * is 504. A request that arrives with nothing left is answered without running the app.
 *
 * A client that leaves ends the app too, wherever this stands.
 *
 * The app has ended when it has given its answer: a stream that is the body of one goes on after the deadline. Bound it where it is
 * made, with `Stream.interruptAfter` for instance.
 *
 * It belongs around the app or a route, inside the server, as `HttpProblem.middleware` does. What cannot be interrupted is waited for: a
 * bare app that is no router runs uninterruptibly and has to say `Effect.interruptible` itself.
 *
 * @example
 * ```ts
 * import * as HttpDeadline from "@holdfast/http/HttpDeadline"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 *
 * const app = HttpServerResponse.text("hello").pipe(HttpDeadline.middleware({ limit: "30 seconds", reserve: "50 millis" }))
 *
 * console.log(typeof app)
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = (options: Options = {}): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R> => {
  const check = new OptionsCheck("HttpDeadline.middleware")
  check.record(options, fields)
  check.optional(options.header, (value) => check.headerName("header", value))
  const limit = options.limit === undefined ? Infinity : check.duration("limit", options.limit)
  const reserve = options.reserve === undefined ? 0 : check.duration("reserve", options.reserve, 0)
  if (reserve >= limit) {
    check.add("reserve", options.reserve, "less than limit: nothing would be left for the app")
  }
  const grace = options.grace === undefined ? defaultGrace : check.duration("grace", options.grace, 0)
  if (options.grace !== undefined && reserve < limit && grace >= limit - reserve) {
    check.add("grace", options.grace, "less than what reserve leaves of limit: nothing would be left for the app")
  }
  check.optional(options.exempt, (value) => check.callable("exempt", value))
  check.done()
  const exempt = exemption(options.exempt)
  const header = (options.header ?? defaultHeader).toLowerCase()
  return <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      watchDeparture(request)
      if (exempt(request)) {
        return app
      }
      const asked = Option.flatMap(Option.fromNullable(request.headers[header]), parse)
      const left = Math.min(limit, Option.isNone(asked) ? Infinity : Duration.toMillis(asked.value)) - reserve
      if (left === Infinity) {
        return app
      }
      if (left < 1) {
        return Effect.succeed(passed)
      }
      const inTime = Deadline.within(app, left - Math.min(grace, left / 2))
      return limited(inTime, Timeout.make(left, { scope: "total", name: policy, dependency: "http.server" })).pipe(
        // A timeout of a dependency is the app's own error and goes on.
        Effect.catchIf(
          (error): error is Timeout.TimedOut => error instanceof Timeout.TimedOut && error.policy === policy,
          // A client that left while the app was stopped needs no answer, and nothing would ever end the writing of one.
          () => Effect.as(Effect.interruptible(Effect.void), passed)
        )
      ) as HttpApp.Default<E, R>
    })
}

/**
 * The caller's deadline for all routes of an `HttpLayerRouter`.
 *
 * @example
 * ```ts
 * import * as HttpDeadline from "@holdfast/http/HttpDeadline"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Routes = HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const App = Layer.mergeAll(Routes, HttpDeadline.layerRouter({ limit: "30 seconds" }))
 *
 * console.log(typeof App)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (options: Options = {}) => HttpLayerRouter.middleware(middleware(options), { global: true })

/**
 * The caller's deadline for those routes of an `HttpLayerRouter` that its `layer` is provided to.
 *
 * @since 0.1.0
 * @category layers
 */
export const forRoutes = (options: Options = {}) => HttpLayerRouter.middleware(middleware(options))
