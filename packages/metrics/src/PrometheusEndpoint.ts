/**
 * `/metrics`: the page that Prometheus scrapes.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as PrometheusText from "./PrometheusText.js"

/**
 * Answers with the metrics as they are now. It is an app by itself, and a handler for a route of an `HttpRouter`.
 *
 * It names every dependency and every route: do not show it to strangers. Wrong options throw `InvalidOptions`.
 *
 * @example
 * import * as PrometheusEndpoint from "@holdfast/metrics/PrometheusEndpoint"
 * import * as HttpRouter from "@effect/platform/HttpRouter"
 *
 * const router = HttpRouter.empty.pipe(HttpRouter.get("/metrics", PrometheusEndpoint.make()))
 *
 * console.log(typeof router)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: PrometheusText.Options): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(PrometheusText.render(options), (text) =>
    HttpServerResponse.text(text, {
      contentType: PrometheusText.contentType,
      headers: { "cache-control": "no-store" }
    }))

/**
 * `GET /metrics` for an `HttpLayerRouter`.
 *
 * @example
 * import * as PrometheusEndpoint from "@holdfast/metrics/PrometheusEndpoint"
 * import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const App = Layer.mergeAll(
 *   HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello")),
 *   PrometheusEndpoint.layerRouter()
 * ).pipe(Layer.provide(ResilienceMetrics.layer()))
 *
 * console.log(Layer.isLayer(App)) // true
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (
  path: HttpLayerRouter.PathInput = "/metrics",
  options?: PrometheusText.Options
) => HttpLayerRouter.add("GET", path, make(options))
