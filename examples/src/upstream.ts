/**
 * Somebody to call: a real HTTP server on loopback that answers, hangs, or breaks the connection, as an example wants it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** An answer, or what happens instead of one: `hang` leaves the caller waiting, `reset` breaks the connection. */
export type Reaction = { readonly status?: number; readonly body: unknown } | "hang" | "reset"

const read = async (request: Http.IncomingMessage): Promise<Request> => {
  let body = ""
  request.setEncoding("utf8")
  for await (const part of request) {
    body += part
  }
  return { method: request.method ?? "GET", path: request.url ?? "/", headers: request.headers, body }
}

/** Starts a server on a free port; it goes, connections and all, with the scope. Its value is the address to call. */
export const upstream = (
  react: (request: Request) => Reaction | Promise<Reaction>
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((incoming, response) => {
        read(incoming).then(react).then(
          (reaction) => {
            if (reaction === "reset") {
              incoming.socket.resetAndDestroy()
            } else if (reaction !== "hang" && !response.destroyed) {
              response.writeHead(reaction.status ?? 200, { "content-type": "application/json" })
              response.end(JSON.stringify(reaction.body))
            }
          },
          () => response.destroy()
        )
      })
      // Longer than any example: a connection that is closed just when a request is sent on it would look like a failure.
      server.keepAliveTimeout = 60_000
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`))
