/**
 * Admits at most so many requests at once: a bulkhead for the server itself, the rest is answered with 503 at once.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as HttpProblem from "./HttpProblem.js"
import { watchDeparture } from "./internal/departure.js"
import { exemption } from "./internal/exemption.js"
import { holding, type Lease } from "./internal/lease.js"
import { OptionsCheck } from "./internal/serverOptions.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the bulkhead in events and metrics. Default `http.server`. */
  readonly name?: string | undefined
  /** Requests in progress at once, answers on their way included. */
  readonly maxConcurrent: number
  /** Requests that may wait for a place, first in, first out. Default 0: refuse at once. */
  readonly maxQueue?: number | undefined
  /** The longest wait. Default: until the deadline of the request. */
  readonly maxWait?: Duration.DurationInput | undefined
  /** `Retry-After` of refused requests. Default 1 second. */
  readonly retryAfter?: Duration.DurationInput | undefined
  /** More requests that need no place, beside `GET` and `HEAD` of `/health`, `/health/dependencies` and `/metrics`. */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
}

/**
 * The admission of a server: middleware whose bulkhead can be read and resized.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpAdmission {
  readonly bulkhead: Bulkhead.Bulkhead
  /**
   * Takes a place before the app runs and gives it back when the answer has been sent, a stream to its last byte, or when the client
   * is gone. It may stand around an app, around a route, and as the argument of `HttpServer.serve`.
   */
  readonly middleware: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | Scope.Scope>
}

const fields = ["name", "maxConcurrent", "maxQueue", "maxWait", "retryAfter", "exempt"]

/**
 * Takes a place for a request. A policy protects one effect, and the place outlives the app: it has to last until the answer is sent.
 * So a fiber of its own stands in the bulkhead for the request, and the lease ends it.
 */
const place = (bulkhead: Bulkhead.Bulkhead, lease: Lease): Effect.Effect<void, Bulkhead.BulkheadFull> =>
  Effect.suspend(() => {
    const admitted = Deferred.unsafeMake<void, Bulkhead.BulkheadFull>(FiberId.none)
    const done = Deferred.unsafeMake<void, unknown>(FiberId.none)
    let here = false
    const stay = Effect.suspend(() => {
      here = true
      Deferred.unsafeDone(admitted, Exit.void)
      return Deferred.await(done)
    })
    const standing = bulkhead(stay).pipe(
      // Where the request itself failed, this finds the deferred done.
      Effect.catchAllCause((cause) => Deferred.failCause(admitted, cause as Cause.Cause<Bulkhead.BulkheadFull>)),
      Effect.interruptible
    )
    return Effect.flatMap(Effect.forkDaemon(standing), (holder) => {
      lease.taken((exit) => {
        Deferred.unsafeDone(done, Exit.asVoid(exit))
        if (!here) {
          Deferred.unsafeDone(admitted, Exit.failCause(Cause.interrupt(holder.id())))
          holder.unsafeInterruptAsFork(holder.id())
        }
      }, Fiber.await(holder))
      // Servers run apps uninterruptibly, but a client that is gone must not keep its place in the queue.
      return Effect.interruptible(Deferred.await(admitted))
    })
  })

/**
 * Makes the admission of a server. Keep it: one made anew for every request admits everybody.
 *
 * @example
 * ```ts
 * import * as HttpAdmission from "@holdfast/http/HttpAdmission"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const admission = yield* HttpAdmission.make({ maxConcurrent: 100, maxQueue: 50, maxWait: "200 millis" })
 *   return admission.middleware(HttpServerResponse.text("hello"))
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<HttpAdmission> =>
  Effect.suspend(() => {
    const check = new OptionsCheck("HttpAdmission.make")
    check.record(options, fields)
    check.optional(options.name, (value) => check.text("name", value))
    check.whole("maxConcurrent", options.maxConcurrent, 1)
    check.optional(options.maxQueue, (value) => check.whole("maxQueue", value, 0))
    check.optional(options.maxWait, (value) => {
      check.duration("maxWait", value)
      if ((options.maxQueue ?? 0) === 0) {
        check.add("maxWait", value, "nothing while maxQueue is 0: nobody waits")
      }
    })
    check.optional(options.retryAfter, (value) => check.duration("retryAfter", value))
    check.optional(options.exempt, (value) => check.callable("exempt", value))
    check.done()
    const exempt = exemption(options.exempt)
    const problemOf = HttpProblem.make(options.retryAfter === undefined ? {} : { retryAfter: options.retryAfter })
    const { maxConcurrent, maxQueue, maxWait } = options
    return Effect.map(
      Bulkhead.make({
        name: options.name ?? "http.server",
        // The server itself, whatever the name: it is nobody's dependency, and metrics and diagnosis know it by this.
        dependency: "http.server",
        maxConcurrent,
        maxQueue,
        maxWait
      }),
      (bulkhead): HttpAdmission => ({
        bulkhead,
        middleware: <E, R>(app: HttpApp.Default<E, R>) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): HttpApp.Default<E, R | Scope.Scope> => {
            watchDeparture(request)
            return exempt(request) ? app : holding(
              request,
              (lease) =>
                Effect.match(place(bulkhead, lease), {
                  onFailure: (full) => HttpProblem.response(problemOf(full)),
                  onSuccess: () => undefined
                }),
              app
            )
          })
      })
    )
  })

/**
 * One admission for all routes of an `HttpLayerRouter`.
 *
 * @example
 * ```ts
 * import * as HttpAdmission from "@holdfast/http/HttpAdmission"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Routes = HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const App = Layer.mergeAll(Routes, HttpAdmission.layerRouter({ maxConcurrent: 100 }))
 *
 * console.log(typeof App)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (options: Options) =>
  HttpLayerRouter.middleware(Effect.map(make(options), ({ middleware }) => middleware), { global: true })

/**
 * One admission for those routes of an `HttpLayerRouter` that its `layer` is provided to: a report that is slow does not take the places of
 * the rest.
 *
 * @example
 * ```ts
 * import * as HttpAdmission from "@holdfast/http/HttpAdmission"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Report = HttpLayerRouter.add("GET", "/report", HttpServerResponse.text("done")).pipe(
 *   Layer.provide(HttpAdmission.forRoutes({ name: "reports", maxConcurrent: 2 }).layer)
 * )
 *
 * console.log(typeof Report)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const forRoutes = (options: Options) =>
  HttpLayerRouter.middleware(Effect.map(make(options), ({ middleware }) => middleware))
