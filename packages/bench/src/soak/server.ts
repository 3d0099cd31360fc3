/** The server under load: the whole arrangement of `packages/http/docs/server.md`, on a port of the loopback. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDependencies from "@holdfast/http/HttpDependencies"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as PrometheusEndpoint from "@holdfast/metrics/PrometheusEndpoint"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Server {
  readonly port: number
  readonly http: Http.Server
  readonly admission: HttpAdmission.HttpAdmission
  readonly rateLimit: HttpRateLimit.HttpRateLimit
  readonly drain: HttpDrain.Drain
  /** Handlers that run now, by their path. */
  readonly running: ReadonlyMap<string, number>
  /** The shutdown of the server: it ends with the drain. */
  readonly shutdown: Effect.Effect<void>
}

/** Requests under this path are limited to few. */
export const limitedPath = "/limited"

export const start: Effect.Effect<Server> = Effect.gen(function*() {
  const http = Http.createServer({ connectionsCheckingInterval: 250 })
  http.headersTimeout = 1_000
  http.requestTimeout = 2_000
  http.keepAliveTimeout = 2_000
  const running = new Map<string, number>()
  const made: { admission?: HttpAdmission.HttpAdmission; rateLimit?: HttpRateLimit.HttpRateLimit } = {}

  /** A handler that is counted while it runs. */
  const counted = <E, R>(path: string, app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => {
    const add = (by: number) => Effect.sync(() => running.set(path, (running.get(path) ?? 0) + by))
    return Effect.acquireUseRelease(add(1), () => app, () => add(-1))
  }

  const Protection = HttpLayerRouter.middleware(
    Effect.gen(function*() {
      const drain = yield* HttpDrain.HttpDrain
      const rateLimit = yield* HttpRateLimit.make({
        rate: 100_000,
        per: "1 second",
        maximumKeys: 500,
        key: ({ headers }) => headers["x-client"],
        tiers: { few: { rate: 5, per: "1 second" } },
        tierOf: ({ url }) => url.startsWith(limitedPath) ? "few" : undefined
      })
      const admission = yield* HttpAdmission.make({ maxConcurrent: 12, maxQueue: 12, maxWait: "300 millis" })
      const deadline = HttpDeadline.middleware({ limit: "2 seconds" })
      const problem = HttpProblem.middleware()
      made.admission = admission
      made.rateLimit = rateLimit
      return (app) => drain.middleware(rateLimit.middleware(deadline(admission.middleware(problem(app)))))
    }),
    { global: true }
  )

  const part = new Uint8Array(16_384).fill(97)
  const text = Effect.succeed(HttpServerResponse.text("done"))
  const routes = {
    "/fast": text,
    [limitedPath]: text,
    "/slow": Effect.delay(text, "25 millis"),
    "/stubborn": Effect.uninterruptible(Effect.delay(text, "40 millis")),
    "/large": Effect.succeed(HttpServerResponse.uint8Array(new Uint8Array(1_000_000))),
    "/stream": Effect.succeed(
      HttpServerResponse.stream(
        Stream.tap(Stream.repeatValue(part).pipe(Stream.take(20)), () => Effect.sleep("2 millis"))
      )
    ),
    "/fail": Effect.fail(new Error("a handler that fails")),
    "/die": Effect.die("a handler that dies"),
    "/hang": Effect.never
  }
  const Routes = Layer.mergeAll(
    ...Object.entries(routes).map(([path, app]) =>
      // GET routes answer HEAD too.
      HttpLayerRouter.add("GET", path as `/${string}`, counted(path, app))
    ) as any as [Layer.Layer<never, never, HttpLayerRouter.HttpRouter>],
    HttpLayerRouter.add(
      "POST",
      "/echo",
      counted(
        "/echo",
        Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          (request) => Effect.map(request.text, (body) => HttpServerResponse.text(body))
        )
      )
    ),
    HttpLayerRouter.add(
      "GET",
      "/socket",
      counted(
        "/socket",
        Effect.flatMap(HttpServerRequest.upgrade, (socket) =>
          Effect.as(
            socket.run(() => Effect.void),
            HttpServerResponse.empty()
          ))
      )
    ),
    HttpHealth.layerRouter(),
    HttpDependencies.layerRouter(),
    PrometheusEndpoint.layerRouter(),
    Protection
  )
  const Served = HttpLayerRouter.serve(Routes as Layer.Layer<never, never, HttpLayerRouter.HttpRouter>, {
    disableLogger: true,
    disableListenLog: true
  }) as Layer.Layer<never, never, any>
  const Main = HttpDrain.layerShutdown.pipe(
    Layer.provide(Served),
    Layer.provideMerge(HttpDrain.layer({ server: http, timeout: "5 seconds" })),
    Layer.provide(NodeHttpServer.layerServer(() => http, { port: 0, host: "127.0.0.1" })),
    Layer.provide(ResilienceMetrics.layer()),
    Layer.provide(DependencyRegistry.layer)
  ) as Layer.Layer<HttpDrain.HttpDrain>
  const scope = yield* Scope.make()
  const drain = yield* Effect.provide(HttpDrain.HttpDrain, yield* Layer.buildWithScope(Main, scope))
  return {
    port: (http.address() as AddressInfo).port,
    http,
    admission: made.admission!,
    rateLimit: made.rateLimit!,
    drain,
    running,
    shutdown: Scope.close(scope, Exit.void)
  }
})
