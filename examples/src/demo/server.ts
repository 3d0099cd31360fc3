/**
 * The service around the checkout: routes on Node's HTTP server, all of them served by the same few workers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDependencies from "@holdfast/http/HttpDependencies"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as PrometheusEndpoint from "@holdfast/metrics/PrometheusEndpoint"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Answer, Checkout } from "./orderService.js"
import type { ScaledClock, Scenario } from "./scenario.js"
import { makeWorkers } from "./workers.js"

const Order = Schema.Struct({ id: Schema.String, number: Schema.Number, total: Schema.Number })

const statusOf = { confirmed: 200, pending: 202, refused: 402, unavailable: 503 } as const

const answer = (given: Answer) => HttpServerResponse.unsafeJson(given, { status: statusOf[given.status] })

const failed = (status: number, message: string) => HttpServerResponse.unsafeJson({ message }, { status })

/** What stands between the socket and the routes. */
interface Entrance {
  readonly app: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | Scope.Scope>
  /** Requests that wait for their place. */
  readonly waiting: Effect.Effect<number>
}

/** Lets everything in. */
const openDoor: Entrance = { app: (app) => app, waiting: Effect.succeed(0) }

/**
 * Lets in what the workers can serve, gives every request the time that its user waits, and lets none be cut off when the service goes down.
 */
const guardedDoor = (
  { load, service }: Scenario,
  clock: ScaledClock,
  server: Http.Server
): Effect.Effect<Entrance, never, Scope.Scope> =>
  Effect.gen(function*() {
    const drain = yield* HttpDrain.make({ server, timeout: "500 millis" })
    const admission = yield* HttpAdmission.make({
      maxConcurrent: service.workers,
      maxQueue: service.acceptQueue
    })
    const deadline = HttpDeadline.middleware({ limit: clock.seconds(load.patience) })
    yield* Effect.addFinalizer(() => drain.drain)
    return {
      app: (app) => drain.middleware(deadline(admission.middleware(app))),
      waiting: Effect.map(admission.bulkhead.snapshot, ({ queued }) => queued)
    }
  })

export interface Service {
  readonly url: string
  readonly busy: () => number
  /** Requests that wait for a worker. */
  readonly queued: Effect.Effect<number>
}

/** Starts the service, with a guarded door or an open one; it ends, connections and all, with the scope. */
export const startService = <E>(
  scenario: Scenario,
  clock: ScaledClock,
  checkout: Checkout<E>,
  guarded: boolean
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function*() {
    const workers = yield* makeWorkers(scenario.service.workers, scenario.service.acceptQueue)
    const onWorker = <E2>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E2>) =>
      workers.run(handler, Effect.succeed(failed(503, "All workers are busy."))).pipe(
        Effect.tapDefect((cause) => Effect.logError("A request died", cause)),
        Effect.catchAll(() => Effect.succeed(failed(500, "Something went wrong.")))
      )
    const router = HttpRouter.empty.pipe(
      HttpRouter.post(
        "/orders",
        Effect.flatMap(HttpServerRequest.schemaBodyJson(Order), (order) =>
          onWorker(Effect.map(checkout.place(order), answer)))
      ),
      // Needs the database and nothing else: no payment, no other service.
      HttpRouter.get(
        "/catalog",
        onWorker(Effect.as(
          Effect.sleep(clock.seconds(scenario.service.databaseLatency)),
          HttpServerResponse.unsafeJson({ products: ["kelp", "limpet", "mussel"] })
        ))
      ),
      // Liveness: asks no dependency. It still needs a worker, as in every server with a fixed number of threads.
      HttpRouter.get("/health", onWorker(HttpHealth.handler)),
      // For people, and never for the load balancer.
      HttpRouter.get("/health/dependencies", HttpDependencies.make()),
      HttpRouter.get("/metrics", PrometheusEndpoint.make())
    )
    const nodeServer = Http.createServer()
    nodeServer.keepAliveTimeout = 120_000
    const server = yield* Effect.orDie(NodeHttpServer.make(() =>
      nodeServer, { port: 0, host: "127.0.0.1" }))
    // Runs before the server's own end, which would wait for connections that are idle or stuck.
    yield* Effect.addFinalizer(() => Effect.sync(() => nodeServer.closeAllConnections()))
    const door = guarded ? yield* guardedDoor(scenario, clock, nodeServer) : openDoor
    yield* Effect.provideService(HttpServer.serveEffect(door.app(router)), HttpServer.HttpServer, server)
    const port = server.address._tag === "TcpAddress" ? server.address.port : 0
    return {
      url: `http://127.0.0.1:${port}`,
      busy: workers.busy,
      queued: Effect.map(door.waiting, (waiting) => waiting + workers.queued())
    }
  })
