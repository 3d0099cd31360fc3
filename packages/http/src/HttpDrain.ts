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
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as HttpProblem from "./HttpProblem.js"
import { watchDeparture } from "./internal/departure.js"
import { exemption } from "./internal/exemption.js"
import { holding, type Lease } from "./internal/lease.js"
import { OptionsCheck } from "./internal/serverOptions.js"
import { surviveErrors } from "./internal/upgradeSocket.js"

/**
 * What a drain needs of a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly destroy: () => unknown
  readonly once: (event: "close", listener: () => void) => unknown
  /** With it, an error of a connection that is becoming a WebSocket does not end the process. */
  readonly on?: ((event: "error", listener: () => void) => unknown) | undefined
}

/**
 * What a drain needs of the server: an `http.Server` of Node has it all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connections {
  readonly closeIdleConnections: () => void
  readonly closeAllConnections: () => void
  /** Without it, connections that have become WebSockets are not closed, and new ones are let in until the server is closed. */
  readonly on?: ((event: "connection", listener: (connection: Connection) => void) => unknown) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * The server whose connections are closed. Without it they end when their keep-alive does, 5 seconds on Node, and one that never
   * sent a whole request keeps the server from closing for as long as its client likes.
   */
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
  /** More requests that are answered to the end, beside `GET` and `HEAD` of `/health`, `/health/dependencies` and `/metrics`. */
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
  /** Requests whose answer has not been sent to its end, and WebSockets that are open. Health checks are not counted. */
  readonly inFlight: Effect.Effect<number>
  /** Counts requests, and refuses them with 503 and `Connection: close` while it drains. Put it outermost. */
  readonly middleware: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | Scope.Scope>
  /** Announces, refuses, waits and closes connections. Once begun it goes on; who asks again waits for the same end. */
  readonly drain: Effect.Effect<Drained>
}

const fields = ["server", "timeout", "announce", "retryAfter", "exempt"]

/** For what the operating system still has to send, such as refusals, when the last request is answered. */
const flushing = Duration.millis(100)

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
      const given: Partial<Connections> | null = value
      if (typeof given?.closeIdleConnections !== "function" || typeof given.closeAllConnections !== "function") {
        check.add("server", value, "a server with closeIdleConnections and closeAllConnections")
      }
    })
    check.done()
    const server = options.server
    const exempt = exemption(options.exempt)
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
    // A server forgets a connection that has become a WebSocket, and waits for it all the same when it closes.
    const connections = new Set<Connection>()
    let closed = false
    server?.on?.("connection", (connection) => {
      surviveErrors(connection)
      if (closed) {
        connection.destroy()
        return
      }
      connections.add(connection)
      connection.once("close", () => connections.delete(connection))
    })
    const closeAll = () => {
      closed = true
      server?.closeAllConnections()
      connections.forEach((connection) => connection.destroy())
    }
    // Counted until the answer is sent: a streamed answer is in flight until its last byte.
    const count = (lease: Lease) =>
      Effect.sync(() => {
        if (state === "draining") {
          return refusal
        }
        inFlight++
        lease.taken(() => {
          inFlight--
          settle()
        })
        return undefined
      })
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
      if (complete && server !== undefined) {
        server.closeIdleConnections()
        // By the real clock, whatever clock the program has: the wait is for the operating system.
        yield* Effect.withClock(Effect.sleep(flushing), Clock.make())
      } else if (!complete) {
        yield* Effect.logWarning("Requests were cut off: they did not end before the drain did").pipe(
          Effect.annotateLogs({ cutOff, timeoutMillis: timeout })
        )
      }
      // One that has sent no whole request is not idle, and the closing of a server stops the timer that would end it.
      closeAll()
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
          watchDeparture(request)
          const answered = Effect.zipRight(closeWhileLeaving, app)
          return exempt(request) ? answered : holding(request, count, answered)
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
