/**
 * The one place that knows how a client of `@effect/platform` is built inside, and how an exchange of it is aborted.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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

/** @internal */
export const halvesOf = <E, R>(client: HttpClient.HttpClient.With<E, R>): Halves<E, R> => {
  const { postprocess, preprocess } = client as unknown as {
    readonly postprocess?: HttpClient.HttpClient.Postprocess<E, R>
    readonly preprocess?: HttpClient.HttpClient.Preprocess<E, R>
  }
  if (typeof preprocess !== "function" || typeof postprocess !== "function") {
    throw new Error(
      "@holdfast/http does not know the clients of this version of @effect/platform. It is built for 0.97; install that line."
    )
  }
  return { preprocess, send: (request) => postprocess(Effect.succeed(request)) }
}

/** `withScope` ties a request object to a scope before the client under it runs; here there is nothing under it. */
const claim = HttpClient.withScope(
  HttpClient.makeWith<never, never, never, never>(
    () => Effect.succeed(undefined as unknown as Response),
    Effect.succeed
  )
)

/**
 * Ties the exchange of this very request object to a scope: when the scope closes, its socket is aborted, in all transports. Without
 * it a response that gets lost keeps its connection until it is collected as garbage.
 *
 * @internal
 */
export const abortedBy = (request: Request, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.asVoid(Scope.extend(claim.execute(request), scope))

/** @internal */
export const close = (scope: Scope.CloseableScope): Effect.Effect<void> => Scope.close(scope, Exit.void)
