/**
 * The service of an example: routes on Node's HTTP server, on loopback.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"

/** Serves an app on a port, by default a free one; it goes, connections and all, with the scope. Its value is the address to call. */
export const service = <E, R>(
  app: HttpApp.Default<E, R>,
  port = 0
): Effect.Effect<
  string,
  never,
  Scope.Scope | Exclude<Exclude<R, HttpServerRequest.HttpServerRequest>, HttpServer.HttpServer>
> =>
  Effect.gen(function*() {
    const node = Http.createServer()
    node.keepAliveTimeout = 60_000
    const server = yield* Effect.orDie(NodeHttpServer.make(() => node, { port, host: "127.0.0.1" }))
    // Runs before the server's own end, which would wait for connections that are idle.
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    yield* Effect.provideService(HttpServer.serveEffect(app), HttpServer.HttpServer, server)
    return `http://127.0.0.1:${server.address._tag === "TcpAddress" ? server.address.port : port}`
  })
