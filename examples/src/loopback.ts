/**
 * Real servers on this machine for the examples: each on a free port, and gone, connections and all, when its scope closes.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"

/** Serves an app and answers with its URL. A request that is under way ends when its client leaves, or with the server. */
export const serve = <E, R>(
  app: HttpApp.Default<E, R>
): Effect.Effect<
  string,
  never,
  Scope.Scope | Exclude<Exclude<R, HttpServerRequest.HttpServerRequest>, HttpServer.HttpServer>
> =>
  Effect.gen(function*() {
    const node = Http.createServer()
    // Longer than any example: a connection that is closed for its idleness would look like a failure of the service.
    node.keepAliveTimeout = 120_000
    const server = yield* Effect.orDie(NodeHttpServer.make(() => node, { port: 0, host: "127.0.0.1" }))
    // Runs before the server's own end, which would wait for connections that are idle or stuck.
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    yield* Effect.provideService(HttpServer.serveEffect(Effect.interruptible(app)), HttpServer.HttpServer, server)
    const { address } = server
    return address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : yield* Effect.dieMessage("no port")
  })

/** Runs an example with an HTTP client. No spans: nobody collects them here, and they cost as much as the rest of a request. */
export const run = <A, E>(example: Effect.Effect<A, E, HttpClient.HttpClient>): Promise<A> =>
  Effect.runPromise(example.pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.withTracerEnabled(false)))
