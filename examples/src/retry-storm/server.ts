/**
 * The server of the storm: it works on one request after the other, keeps a short queue, and answers 503 to whoever finds the
 * queue full.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { Story } from "./story.js"

/** What becomes of a request that arrives: how long until it is answered, or `undefined` for one that is refused. */
export type Arrive = (millis: number) => number | undefined

/** So many requests a second, one after the other, and a queue of one second's work. Plain arithmetic, whatever the clock. */
export const capacity = ({ capacityPerSecond, scale }: Story): Arrive => {
  const each = scale * 1000 / capacityPerSecond
  let busyUntil = 0
  return (millis) => {
    const done = Math.max(millis, busyUntil) + each
    if (done - millis > 1000 * scale) {
      return undefined
    }
    busyUntil = done
    return done - millis
  }
}

/**
 * The same on a real socket. It leaves its first requests unanswered until `restart` breaks their connections, all at the same moment,
 * as a server does that is stopped in the middle of its work.
 */
export interface Sockets {
  readonly port: number
  /** How many requests it holds. */
  readonly held: () => number
  readonly restart: () => void
}

export const listen = (arrive: Arrive, onArrival: () => number): Effect.Effect<Sockets, never, Scope.Scope> =>
  Effect.gen(function*() {
    const held = new Set<Http.IncomingMessage>()
    let restarted = false
    const server = Http.createServer((request, response) => {
      if (!restarted) {
        held.add(request)
        return
      }
      const answerIn = arrive(onArrival())
      if (answerIn === undefined) {
        response.writeHead(503).end()
      } else {
        setTimeout(() => response.end(), answerIn)
      }
    })
    // Longer than the story: a connection that is closed for its idleness would look like a failure.
    server.keepAliveTimeout = 120_000
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        // All clients come at the same moment: they must not find the line of those who wait to be accepted full.
        server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    return {
      port: (server.address() as AddressInfo).port,
      held: () => held.size,
      restart: () => {
        restarted = true
        held.forEach((request) => request.socket.resetAndDestroy())
      }
    }
  })
