/** Real servers on loopback, and the three transports that are called on them. */
import { FetchHttpClient, type HttpClient } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import type { Layer } from "effect"
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Net from "node:net"

export interface Seen {
  readonly method: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
  readonly at: number
}

export interface Server {
  readonly url: string
  /** Requests as they came, each when its body was read. */
  readonly seen: Array<Seen>
  readonly sockets: Set<Socket>
  /** Connections ever opened. */
  connections: number
}

export type Answer = (response: Http.ServerResponse, seen: Seen, index: number) => void

const listening = (server: Net.Server): Effect.Effect<number> =>
  Effect.async<number>((resume) => {
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
  })

/** A server that hands every request, with its body, to `answer`. */
export const serve = (answer: Answer): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const seen: Array<Seen> = []
    const sockets = new Set<Socket>()
    const state = { url: "", seen, sockets, connections: 0 }
    const server = Http.createServer((request, response) => {
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part))
      request.on("error", () => {})
      response.on("error", () => {})
      request.on("end", () => {
        const one: Seen = {
          method: request.method!,
          headers: request.headers,
          body: Buffer.concat(parts).toString(),
          at: Date.now()
        }
        seen.push(one)
        answer(response, one, seen.length - 1)
      })
    })
    server.on("connection", (socket) => {
      state.connections++
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
    })
    const port = yield* Effect.acquireRelease(listening(server), () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      }))
    state.url = `http://127.0.0.1:${port}`
    return state
  })

/** What a client sends that wants a WebSocket. */
export const upgradeOf = (path: string): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: a",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "\r\n"
  ].join("\r\n")

/** A server below HTTP: `accept` gets the socket once the first bytes of a request are there. */
export const serveRaw = (
  accept: (socket: Socket, index: number) => void
): Effect.Effect<{ readonly url: string; readonly requests: () => number }, never, Scope.Scope> =>
  Effect.gen(function*() {
    let requests = 0
    const sockets = new Set<Socket>()
    const server = Net.createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      socket.once("data", () => accept(socket, requests++))
    })
    const port = yield* Effect.acquireRelease(listening(server), () =>
      Effect.sync(() => {
        for (const socket of sockets) {
          socket.destroy()
        }
        server.close()
      }))
    return { url: `http://127.0.0.1:${port}`, requests: () => requests }
  })

/** A port on which nobody listens. */
export const closedPort: Effect.Effect<number> = Effect.scoped(Effect.gen(function*() {
  const server = Net.createServer()
  const port = yield* listening(server)
  yield* Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
  })
  return port
}))

export const transports: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["node", NodeHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici]
]
