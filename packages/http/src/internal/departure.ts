/**
 * Tells when a client has left before its answer was sent: the platform waits for such an answer for good, and the scope of the request
 * stays open.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"

/** What is needed of a response or a socket of Node. Read by shape: `@effect/platform-node` is an optional peer. */
interface Emitter {
  readonly destroyed?: boolean
  once(event: "close" | "finish", listener: () => void): unknown
}

/** One for all middleware around a request, since listeners of an emitter are limited. */
interface Connection {
  gone: boolean
  readonly listeners: Array<() => void>
}

const connections = new WeakMap<object, Connection>()

const isEmitter = (value: unknown): value is Emitter =>
  typeof value === "object" && value !== null && typeof (value as Emitter).once === "function"

const connectionOf = (request: HttpServerRequest.HttpServerRequest): Connection | undefined => {
  const { response, source } = request as {
    readonly response?: unknown
    readonly source?: { readonly socket?: unknown }
  }
  // A request to upgrade makes its response when it is asked for, which would take the socket from the upgrade.
  const upgrade = typeof response === "function"
  const emitter = upgrade ? source?.socket : response
  if (!isEmitter(emitter)) {
    return undefined
  }
  const known = connections.get(emitter)
  if (known !== undefined) {
    return known
  }
  const connection: Connection = { gone: emitter.destroyed === true, listeners: [] }
  connections.set(emitter, connection)
  let sent = false
  if (!upgrade) {
    emitter.once("finish", () => {
      sent = true
    })
  }
  emitter.once("close", () => {
    // What was sent to its end ends in the usual way.
    if (!sent) {
      connection.gone = true
      connection.listeners.forEach((listener) => listener())
    }
  })
  return connection
}

/**
 * Runs the app, and `release` once the app has ended **and** the client is gone without its whole answer. An app that cannot be
 * interrupted goes on after its client has left, and what it holds must not be given to others meanwhile. `release` may run
 * more than once and beside the finalizers of the scope: it has to be idempotent.
 *
 * @internal
 */
export const releaseOnDeparture = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  release: () => void,
  app: HttpApp.Default<E, R>
): HttpApp.Default<E, R> => {
  const connection = connectionOf(request)
  if (connection === undefined) {
    return app
  }
  let answered = false
  const check = () => {
    if (answered && connection.gone) {
      release()
    }
  }
  const answer = () => {
    answered = true
    check()
  }
  connection.listeners.push(check)
  // Around the server the app ends only when its answer was written; around a route the handler may get lost with a fiber.
  const beforeAnswer = HttpApp.appendPreResponseHandler((_, response) =>
    Effect.suspend(() => {
      answer()
      // The platform has interrupted this fiber already. Taking it in here keeps it from writing to nobody.
      return connection.gone ? Effect.as(Effect.interruptible(Effect.void), response) : Effect.succeed(response)
    })
  )
  return Effect.zipRight(beforeAnswer, Effect.ensuring(app, Effect.sync(answer)))
}
