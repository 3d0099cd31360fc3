/**
 * Tells when a client has left before its answer was sent, and ends what the platform waits for of such a client: that its answer is
 * written, that its request is read, that its handshake is done. The platform waits for these for good, and uninterruptibly.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import { watchUpgrade } from "./upgrade.js"

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

/** What is known of a client. One for all middleware around a request, since listeners of an emitter are limited. */
export class Departure {
  gone: boolean
  private listeners: Array<() => void> | undefined = undefined

  constructor(gone: boolean) {
    this.gone = gone
  }

  /** Calls at the departure, or at once after it. */
  onGone(listener: () => void): void {
    if (this.gone) {
      listener()
    } else if (this.listeners === undefined) {
      this.listeners = [listener]
    } else {
      this.listeners.push(listener)
    }
  }

  leave(): void {
    this.gone = true
    const listeners = this.listeners
    this.listeners = undefined
    listeners?.forEach((listener) => listener())
  }
}

const departures = new WeakMap<object, Departure>()

const isEmitter = (value: unknown): value is Emitter =>
  typeof value === "object" && value !== null && typeof (value as Emitter).once === "function"

const isPipelined = (value: Emitter): value is PipelinedResponse =>
  typeof (value as PipelinedResponse).assignSocket === "function"

const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === "object" && value !== null && typeof (value as Partial<AbortSignal>).aborted === "boolean" &&
  typeof (value as Partial<AbortSignal>).addEventListener === "function"

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

/**
 * The platform goes on when the response calls back, and Node calls back only for what it could send. Here the departure of the client
 * calls back too.
 */
const endAtDeparture = (response: object, departure: Departure): void => {
  const writable = response as { end?: (...all: Array<unknown>) => unknown }
  const end = writable.end
  if (typeof end !== "function") {
    return
  }
  writable.end = (...all) => {
    const at = all.findIndex((one) => typeof one === "function")
    if (at >= 0) {
      let called = false
      const callBack = all[at] as () => void
      const once = () => {
        if (!called) {
          called = true
          callBack()
        }
      }
      all[at] = once
      departure.onGone(once)
    }
    return end.apply(response, all)
  }
}

interface Readable extends Emitter {
  on(event: "newListener", listener: (event: unknown, added: (error: Error) => void) => void): unknown
}

/**
 * The platform reads a body until it ends or fails, and a request that was cut off fails once, at its departure: a reader that comes
 * later hears nothing. Here it hears of the failure as well.
 */
const failLateReaders = (source: Readable): void => {
  source.on("newListener", (event, added) => {
    if (event === "error" && source.destroyed === true) {
      queueMicrotask(() => added(new Error("The client left before its request was read")))
    }
  })
}

const ofResponse = (response: Emitter, source: { readonly socket?: unknown } | undefined): Departure => {
  const departure = new Departure(response.destroyed === true)
  let sent = false
  response.once("finish", () => {
    sent = true
  })
  response.once("close", () => {
    // What was sent to its end ends in the usual way.
    if (!sent) {
      departure.leave()
    }
  })
  endAtDeparture(response, departure)
  if (isEmitter(source)) {
    departure.onGone(() => failLateReaders(source as Readable))
  }
  if (isPipelined(response) && isEmitter(source?.socket)) {
    watchSocket(source.socket, response)
  }
  return departure
}

const ofSocket = (socket: Emitter, request: HttpServerRequest.HttpServerRequest): Departure => {
  const departure = new Departure(socket.destroyed === true)
  socket.once("close", () => departure.leave())
  const { source } = request as { readonly source?: unknown }
  if (isEmitter(source)) {
    departure.onGone(() => failLateReaders(source as Readable))
  }
  watchUpgrade(request, socket, departure, (response) => endAtDeparture(response, departure))
  return departure
}

const ofSignal = (signal: AbortSignal): Departure => {
  const departure = new Departure(signal.aborted)
  signal.addEventListener("abort", () => departure.leave(), { once: true })
  return departure
}

const remembered = (source: object, make: () => Departure): Departure => {
  const known = departures.get(source)
  if (known !== undefined) {
    return known
  }
  const departure = make()
  departures.set(source, departure)
  return departure
}

/**
 * What is known of the departure of this request's client, whatever the place of the request on its connection. From the first call on
 * the platform hears of the departure too, a request to upgrade has a socket whose errors do not end the process, and an answer that
 * nobody receives ends. So every middleware calls it first, before it takes or refuses anything.
 *
 * @internal
 */
export const watchDeparture = (request: HttpServerRequest.HttpServerRequest): Departure => {
  const { response, source } = request as {
    readonly response?: unknown
    readonly source?: { readonly socket?: unknown; readonly signal?: unknown }
  }
  // A request to upgrade makes its response when it is asked for, which would take the socket from the upgrade.
  if (typeof response === "function") {
    const socket = source?.socket
    return isEmitter(socket) ? remembered(socket, () => ofSocket(socket, request)) : new Departure(false)
  }
  if (isEmitter(response)) {
    return remembered(response, () => ofResponse(response, source))
  }
  const signal = source?.signal
  return isSignal(signal) ? remembered(signal, () => ofSignal(signal)) : new Departure(false)
}

/**
 * Watches the request in progress.
 *
 * @internal
 */
export const watchRequest: Effect.Effect<Departure, never, HttpServerRequest.HttpServerRequest> = Effect.map(
  HttpServerRequest.HttpServerRequest,
  watchDeparture
)
