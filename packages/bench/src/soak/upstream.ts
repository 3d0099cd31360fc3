/** What the protected clients call: a server of every bad manner, behind a proxy that breaks connections. */
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { oneOf } from "./seeded.js"

export interface Upstream {
  /** Straight to the server. */
  readonly direct: string
  /** Through the proxy. */
  readonly proxied: string
  readonly server: Http.Server
  readonly proxy: FaultProxy.FaultProxy
  /** Another fault in the proxy, or none. */
  readonly change: (random: () => number) => Effect.Effect<void>
}

const answer = (request: Http.IncomingMessage, response: Http.ServerResponse, draw: number): void => {
  if (request.url === "/good" || draw < 0.5) return void response.end("{\"state\":\"charged\"}")
  if (draw < 0.6) return void response.writeHead(503, { "retry-after": "0" }).end("busy")
  if (draw < 0.65) return void response.writeHead(429, { "retry-after": "1" }).end("too many")
  if (draw < 0.7) return void response.writeHead(404).end("unknown")
  if (draw < 0.75) return void response.end(Buffer.alloc(300_000, 97))
  if (draw < 0.8) return void response.writeHead(302, { location: "/good" }).end()
  if (draw < 0.85) return void request.socket.resetAndDestroy()
  if (draw < 0.9) {
    response.writeHead(200, { "content-length": "1000" }).write("half")
    return void setTimeout(() => response.destroy(), 5)
  }
  if (draw < 0.95) return void setTimeout(() => response.end("late"), 30)
  // Says nothing: the limits of the caller end it.
}

const faults: ReadonlyArray<ReadonlyArray<Toxic.Toxic>> = [
  [],
  [Toxic.resetPeer({ stream: "downstream", toxicity: 0.3 })],
  [Toxic.resetPeer({ after: "5 millis", toxicity: 0.3 })],
  [Toxic.latency({ latency: "20 millis", jitter: "10 millis" })],
  [Toxic.slicer({ averageSize: 64, sizeVariation: 32, delay: "10 micros" })],
  [Toxic.limitData({ bytes: 150, stream: "downstream", toxicity: 0.5 })],
  [Toxic.timeout({ after: "50 millis", toxicity: 0.3 })]
]

export const start = (random: () => number): Effect.Effect<Upstream, never, Scope.Scope> =>
  Effect.gen(function*() {
    const server = Http.createServer((request, response) => {
      request.on("error", () => {})
      response.on("error", () => {})
      request.resume()
      request.on("end", () => answer(request, response, random()))
    })
    server.on("connection", (socket) => socket.on("error", () => {}))
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const proxy = yield* Effect.orDie(FaultProxy.make({ upstream: address }))
    return {
      direct: `http://${address}`,
      proxied: `http://${proxy.address()}`,
      server,
      proxy,
      change: (draw) =>
        Effect.zipRight(
          proxy.clear,
          Effect.orDie(Effect.forEach(oneOf(draw, faults), (toxic) => proxy.add(toxic), { discard: true }))
        )
    }
  })
