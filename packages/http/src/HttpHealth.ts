/**
 * `/health`: says whether this process can answer, and nothing about others.
 *
 * A health check that asks dependencies turns an outage of one into an outage of all: their breakers open, the check fails, the load
 * balancer takes away healthy servers. So nothing can be passed in here that knows a dependency; their states are a page of
 * their own, `HttpDependencies`, for dashboards.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as HttpDrain from "./HttpDrain.js"

/**
 * The body of the answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  /** `draining`: it answers, and goes down soon; no more requests should be sent here. */
  readonly status: "healthy" | "draining"
  /** Seconds since the process began, to three decimals; left out where the platform does not say. */
  readonly uptime?: number
  /** Resident memory in megabytes of 1,048,576 bytes, to one decimal; left out where the platform does not say. */
  readonly memory_mb?: number
}

/** What Node, Bun and Deno know about themselves; elsewhere there is no `process`. */
interface OwnProcess {
  readonly uptime?: () => number
  readonly memoryUsage?: { readonly rss?: () => number }
}

const read = (draining: boolean): Health => {
  const own = (globalThis as { readonly process?: OwnProcess }).process
  const seconds = own?.uptime?.()
  const bytes = own?.memoryUsage?.rss?.()
  return {
    status: draining ? "draining" : "healthy",
    ...(seconds === undefined ? {} : { uptime: Math.round(seconds * 1000) / 1000 }),
    ...(bytes === undefined ? {} : { memory_mb: Math.round((bytes / 1_048_576) * 10) / 10 })
  }
}

/**
 * Answers 200 with the process's own health; 503 while an `HttpDrain` of the program takes it out of service. It takes no options
 * and needs no service: there is no way to make it depend on anything else.
 *
 * @example
 * ```ts
 * import * as HttpHealth from "@holdfast/http/HttpHealth"
 * import * as HttpRouter from "@effect/platform/HttpRouter"
 *
 * const router = HttpRouter.empty.pipe(HttpRouter.get("/health", HttpHealth.handler))
 *
 * console.log(typeof router)
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const handler: Effect.Effect<HttpServerResponse.HttpServerResponse> = Effect.flatMap(
  Effect.serviceOption(HttpDrain.HttpDrain),
  (drain) =>
    Effect.map(Option.isNone(drain) ? Effect.succeed("running") : drain.value.state, (state) => {
      const health = read(state !== "running")
      return HttpServerResponse.unsafeJson(health, {
        status: health.status === "healthy" ? 200 : 503,
        headers: { "cache-control": "no-store" }
      })
    })
)

/**
 * `GET /health` for an `HttpLayerRouter`. On another path it is a request like any other to the middleware of this package, unless their
 * `exempt` knows it.
 *
 * @example
 * ```ts
 * import * as HttpHealth from "@holdfast/http/HttpHealth"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const App = Layer.mergeAll(HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello")), HttpHealth.layerRouter())
 *
 * console.log(typeof App)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (path: HttpLayerRouter.PathInput = "/health") =>
  HttpLayerRouter.use((router) =>
    Effect.flatMap(Effect.serviceOption(HttpDrain.HttpDrain), (drain) =>
      router.add(
        "GET",
        path,
        Option.isNone(drain) ? handler : Effect.provideService(handler, HttpDrain.HttpDrain, drain.value)
      ))
  )
