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

/** A response of HTTP/1, which waits without a socket while another one is before it on the same connection. */
interface PipelinedResponse extends Emitter {
  readonly socket: unknown
  readonly writableFinished: boolean
  readonly assignSocket: unknown
  destroy(): unknown
  emit(event: "close"): unknown
}

/** One for all middleware around a request, since listeners of an emitter are limited. */
interface Connection {
  gone: boolean
  readonly listeners: Array<() => void>
}

const connections = new WeakMap<object, Connection>()

const isEmitter = (value: unknown): value is Emitter =>
  typeof value === "object" && value !== null && typeof (value as Emitter).once === "function"

const isPipelined = (value: Emitter): value is PipelinedResponse =>
  typeof (value as PipelinedResponse).assignSocket === "function"

/** The unfinished responses of a connection, under one listener of its socket: a client may send any number of requests ahead. */
const unfinished = new WeakMap<object, Set<PipelinedResponse>>()

/**
 * Node says that a response was cut off only if it had its turn already: one that waits behind another on the same connection hears
 * nothing when the connection dies. It is told here, in the way of Node, so that the platform stops its handler too.
 */
const closeUnattached = (response: PipelinedResponse): void => {
  if (!isEmitter(response.socket) && !response.writableFinished) {
    response.destroy()
    response.emit("close")
  }
}

const watchSocket = (socket: Emitter, response: PipelinedResponse): void => {
  if (socket.destroyed === true) {
    closeUnattached(response)
    return
  }
  const known = unfinished.get(socket)
  const open = known ?? new Set()
  if (known === undefined) {
    unfinished.set(socket, open)
    socket.once("close", () => {
      const left = [...open]
      open.clear()
      left.forEach(closeUnattached)
    })
  }
  open.add(response)
  const remove = () => {
    open.delete(response)
  }
  response.once("finish", remove)
  response.once("close", remove)
}

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
  if (!upgrade && isPipelined(emitter) && isEmitter(source?.socket)) {
    watchSocket(source.socket, emitter)
  }
  return connection
}

/**
 * Sees to it that the platform hears of the departure of this request's client, whatever the place of the request on its connection.
 *
 * @internal
 */
export const watchDeparture = (request: HttpServerRequest.HttpServerRequest): void => {
  connectionOf(request)
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
