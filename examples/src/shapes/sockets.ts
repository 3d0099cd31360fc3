/**
 * The dependency on a real socket, and the call to it by Node's own client.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { behaviourAt, type CallFailed, connectionFailed, failureOf, type Shape, type Story } from "./dependency.js"

const listen = (server: Http.Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })

const serve = (behave: () => ReturnType<typeof behaviourAt>) =>
  Http.createServer((request, response) => {
    const behaviour = behave()
    switch (behaviour._tag) {
      case "Answer":
        setTimeout(() => response.end("answer"), behaviour.afterMillis)
        break
      case "Hang":
      case "Refuse":
        break
      case "Reset":
        setTimeout(() => request.socket.resetAndDestroy(), behaviour.afterMillis)
        break
      case "Status":
        response.writeHead(
          behaviour.status,
          behaviour.retryAfterSeconds === undefined ? {} : { "retry-after": String(behaviour.retryAfterSeconds) }
        )
        response.end()
        break
      case "SlowBody":
        response.writeHead(200)
        response.write("ans")
        setTimeout(() => response.end("wer"), behaviour.bodyMillis)
        break
    }
  })

const request = (port: number): Effect.Effect<string, CallFailed> =>
  Effect.async((resume) => {
    // No kept connections: a refused shape closes the listening socket, and kept ones would go on working.
    const sent = Http.get({ host: "127.0.0.1", port, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk) => (body += chunk))
      response.on("error", (error) => resume(Effect.fail(connectionFailed(error))))
      response.on("end", () =>
        resume(
          response.statusCode === 200
            ? Effect.succeed(body)
            : Effect.fail(failureOf(response.statusCode ?? 500, Number(response.headers["retry-after"]) || undefined))
        ))
    })
    sent.on("error", (error) => resume(Effect.fail(connectionFailed(error))))
    return Effect.sync(() => sent.destroy())
  })

/** A server that plays the shape from now on; for the refused shape its listening socket is closed while it is sick. */
export const socketCall = (
  shape: Shape,
  plan: Story
): Effect.Effect<Effect.Effect<string, CallFailed>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const start = performance.now()
    const make = () => serve(() => behaviourAt(shape, performance.now() - start, plan))
    let server = make()
    const port = yield* Effect.promise(() => listen(server, 0))
    const close = Effect.promise(() =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
    )
    yield* Effect.addFinalizer(() => close)
    if (shape === "refused") {
      yield* Effect.forkScoped(Effect.gen(function*() {
        yield* Effect.sleep(plan.healthyMillis * plan.scale)
        yield* close
        yield* Effect.sleep(plan.sickMillis * plan.scale)
        server = make()
        yield* Effect.promise(() => listen(server, port))
      }))
    }
    return request(port)
  })
