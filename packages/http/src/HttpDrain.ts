/**
 * Ends a server without breaking a request: new ones are refused, those in flight are answered, idle connections are closed.
 *
 * @since 0.1.0
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Timeout from "@holdfast/core/Timeout"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as HttpProblem from "./HttpProblem.js"
import { releaseOnDeparture } from "./internal/departure.js"
import { isHealthCheck } from "./internal/healthPaths.js"
import { OptionsCheck } from "./internal/serverOptions.js"

/**
 * What a drain needs of the server: an `http.Server` of Node has both.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connections {
  readonly closeIdleConnections: () => void
  readonly closeAllConnections: () => void
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The server whose idle connections are closed. Without it they end when their keep-alive does, 5 seconds on Node. */
  readonly server?: Connections | undefined
  /** The longest wait for requests in flight. What is not done then is cut off. Default 30 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * How long requests are still admitted while `/health` says already that the server goes: as long as a load balancer needs to notice.
   * Default 0.
   */
  readonly announce?: Duration.DurationInput | undefined
  /** `Retry-After` of refused requests. Default 1 second: another server is there. */
  readonly retryAfter?: Duration.DurationInput | undefined
  /** Requests that are answered to the end. Default: `/health` and all below it. */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
}

/**
 * How a drain ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Drained {
  /** Every request was answered in time. */
  readonly complete: boolean
  /** Requests that were cut off. */
  readonly cutOff: number
}

/**
 * The drain of one server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Drain {
  /** `announced`: requests are admitted still. `draining`: they are refused. */
  readonly state: Effect.Effect<"running" | "announced" | "draining">
  /** Requests whose answer has not been sent to its end. Health checks are not counted. */
  readonly inFlight: Effect.Effect<number>
  /** Counts requests, and refuses them with 503 and `Connection: close` while it drains. Put it outermost. */
  readonly middleware: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | Scope.Scope>
  /** Announces, refuses, waits and closes connections. Once begun it goes on; who asks again waits for the same end. */
  readonly drain: Effect.Effect<Drained>
}

const fields = ["server", "timeout", "announce", "retryAfter", "exempt"]

const closing = HttpServerResponse.setHeader("connection", "close")

/**
 * Makes the drain of a server. Most programs use `layer`, `layerRouter` and `layerShutdown` instead.
 *
 * @example
 * ```ts
 * import * as HttpDrain from "@holdfast/http/HttpDrain"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const drain = yield* HttpDrain.make({ timeout: "20 seconds" })
 *   const app = drain.middleware(HttpServerResponse.text("hello"))
 *   return { app, drain }
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Drain> =>
  Effect.gen(function*() {
    const check = new OptionsCheck("HttpDrain.make")
    check.record(options, fields)
    const timeout = options.timeout === undefined ? 30_000 : check.duration("timeout", options.timeout)
    const announce = options.announce === undefined ? 0 : check.duration("announce", options.announce, 0)
    const again = options.retryAfter === undefined ? 1000 : check.duration("retryAfter", options.retryAfter)
    check.optional(options.exempt, (value) => check.callable("exempt", value))
    check.optional(options.server, (value) => {
      if (typeof value.closeIdleConnections !== "function" || typeof value.closeAllConnections !== "function") {
        check.add("server", value, "a server with closeIdleConnections and closeAllConnections")
      }
    })
    check.done()
    const server = options.server
    const exempt = options.exempt ?? isHealthCheck
    const refusal = closing(HttpProblem.response({
      status: 503,
      type: HttpProblem.types.temporaryReducedCapacity,
      title: "Request cannot be satisfied due to temporary server capacity constraints",
      detail: "This server is going down; another one will answer.",
      retryAfter: Duration.millis(again)
    }))

    let state: "running" | "announced" | "draining" = "running"
    let inFlight = 0
    const empty = yield* Deferred.make<void>()
    const settle = () => {
      if (state === "draining" && inFlight === 0) {
        Deferred.unsafeDone(empty, Effect.void)
      }
    }
    // Counted until the request's scope closes: a streamed answer is in flight until its last byte. Answers how to end that earlier.
    const counted = Effect.acquireRelease(
      Effect.sync(() => {
        inFlight++
        let counts = true
        return () => {
          if (counts) {
            counts = false
            inFlight--
            settle()
          }
        }
      }),
      (leave) => Effect.sync(leave)
    )
    // Asked when the answer is ready, since the drain may have begun after the request.
    const closeWhileLeaving = HttpApp.appendPreResponseHandler((_, response) =>
      Effect.sync(() => state === "running" ? response : closing(response))
    )

    const run = Effect.gen(function*() {
      state = "announced"
      yield* Effect.sleep(announce)
      state = "draining"
      settle()
      server?.closeIdleConnections()
      // A finalizer asks uninterruptibly, and a wait that cannot be interrupted has no timeout.
      const complete = yield* Effect.interruptible(Deferred.await(empty)).pipe(
        Timeout.make(timeout, { name: "drain", dependency: "http.server" }),
        Effect.as(true),
        Effect.catchTag("TimedOut", () => Effect.succeed(false))
      )
      const cutOff = inFlight
      if (complete) {
        server?.closeIdleConnections()
      } else {
        yield* Effect.logWarning("Requests were cut off: they did not end before the drain did").pipe(
          Effect.annotateLogs({ cutOff, timeoutMillis: timeout })
        )
        server?.closeAllConnections()
      }
      return { complete, cutOff }
    })

    // A fiber of its own: the drain belongs to nobody who asked for it.
    const ended = yield* Deferred.make<Drained>()
    let begun = false
    const begin = Effect.uninterruptible(Effect.suspend(() => {
      if (begun) {
        return Effect.void
      }
      begun = true
      return Effect.forkDaemon(Effect.intoDeferred(run, ended))
    }))

    return {
      state: Effect.sync(() => state),
      inFlight: Effect.sync(() => inFlight),
      middleware: (app) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          if (exempt(request)) {
            return Effect.zipRight(closeWhileLeaving, app)
          }
          return state === "draining"
            ? Effect.succeed(refusal)
            : Effect.flatMap(Effect.zipLeft(counted, closeWhileLeaving), (leave) =>
              releaseOnDeparture(request, leave, app))
        }),
      drain: Effect.zipRight(begin, Deferred.await(ended))
    }
  })

/**
 * The drain of the server of this program.
 *
 * @since 0.1.0
 * @category services
 */
export class HttpDrain extends Context.Tag("@holdfast/http/HttpDrain")<HttpDrain, Drain>() {}

/**
 * The drain as a service, to be read by `/health` and used by the two layers below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<HttpDrain> => Layer.effect(HttpDrain, make(options))

/**
 * Counts and refuses the requests of all routes of an `HttpLayerRouter`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter: Layer.Layer<never, never, HttpDrain | HttpLayerRouter.HttpRouter> = HttpLayerRouter
  .middleware(
    Effect.map(HttpDrain, (drain) => drain.middleware),
    { global: true }
  )

/**
 * Drains when the program ends. Put it **over** the layer that serves: layers are taken down in the reverse order in which they were
 * built, and the drain must come before the server stops answering.
 *
 * @example
 * ```ts
 * import * as HttpDrain from "@holdfast/http/HttpDrain"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Routes = HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const Served = HttpLayerRouter.serve(Layer.mergeAll(Routes, HttpDrain.layerRouter))
 *
 * const Main = HttpDrain.layerShutdown.pipe(Layer.provide(Served), Layer.provide(HttpDrain.layer({ timeout: "20 seconds" })))
 *
 * console.log(typeof Main)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerShutdown: Layer.Layer<never, never, HttpDrain> = Layer.scopedDiscard(
  Effect.flatMap(HttpDrain, (drain) => Effect.addFinalizer(() => drain.drain))
)
