/**
 * The one place that knows how a client of `@effect/platform` is built inside, and how an exchange of it is aborted.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { globalValue } from "effect/GlobalValue"
import * as Scope from "effect/Scope"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

/**
 * The two halves of a client. What runs before (`mapRequest`) runs once for each call, however often the call is tried: a key or a
 * signature that it makes is then the same on every attempt.
 *
 * @internal
 */
export interface Halves<E, R> {
  readonly preprocess: HttpClient.HttpClient.Preprocess<E, R>
  readonly send: (request: Request) => Effect.Effect<Response, E, R>
}

/** Where a client of the platform looks for the controller of a request object that somebody else aborts: `HttpClient.withScope`. */
const controllers = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<Request, AbortController>()
)

/** Are the clients of this version built as we think? `withScope` is asked once, with nothing under it. */
let known: boolean | undefined
const isKnown = (): boolean => {
  if (known === undefined) {
    const request = HttpClientRequest.get("")
    const nothing = HttpClient.makeWith<never, never, never, never>(
      () => Effect.succeed(undefined as unknown as Response),
      Effect.succeed
    )
    Effect.runSync(Effect.scoped(HttpClient.withScope(nothing).execute(request)))
    known = controllers.has(request)
  }
  return known
}

/** @internal */
export const halvesOf = <E, R>(client: HttpClient.HttpClient.With<E, R>): Halves<E, R> => {
  const { postprocess, preprocess } = client as unknown as {
    readonly postprocess?: HttpClient.HttpClient.Postprocess<E, R>
    readonly preprocess?: HttpClient.HttpClient.Preprocess<E, R>
  }
  if (typeof preprocess !== "function" || typeof postprocess !== "function" || !isKnown()) {
    throw new Error(
      "@holdfast/http does not know the clients of this version of @effect/platform. It is built for 0.97; install that line."
    )
  }
  return { preprocess, send: (request) => postprocess(Effect.succeed(request)) }
}

/**
 * Ties the exchange of this very request object to what is made here: when it is closed, the socket is aborted, in all transports.
 * Without it a response that gets lost keeps its connection until it is collected as garbage.
 *
 * @internal
 */
export class Connection {
  private readonly controller = new AbortController()
  private streams: Scope.CloseableScope | undefined = undefined

  constructor(request: Request) {
    controllers.set(request, this.controller)
  }

  /** A scope that ends with the connection, for a body that is read as a stream. */
  get scope(): Effect.Effect<Scope.Scope> {
    return Effect.map(Scope.make(), (made) => this.streams = made)
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const abort = Effect.sync(() => this.controller.abort())
      return this.streams === undefined ? abort : Effect.ensuring(Scope.close(this.streams, Exit.void), abort)
    })
  }
}
