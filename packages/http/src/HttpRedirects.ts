/**
 * Follows redirects without taking along what was meant for the first server alone.
 *
 * @since 0.1.0
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as IdempotencyKey from "./IdempotencyKey.js"
import { callerFaultOf, refusalIn } from "./internal/callerFault.js"
import { hopCode, redirectCode } from "./internal/codes.js"
import { drainMillis, shortBody } from "./internal/heldResponse.js"
import { type Sending, sending } from "./internal/ownHeaders.js"
import { reachOfCauses } from "./internal/reach.js"
import { contentLength } from "./internal/responseHead.js"
import { OptionsCheck } from "./internal/serverOptions.js"
import { isToken } from "./internal/token.js"
import { halvesOf, withoutHeaders } from "./internal/transport.js"
import { within } from "./internal/within.js"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Redirects that one call follows; one more is a failure. Default 10. */
  readonly maxRedirects?: number | undefined
  /** Further headers that no other origin gets, such as `x-api-key`. */
  readonly strip?: ReadonlyArray<string> | undefined
}

/**
 * The values of what is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaults = { maxRedirects: 10 } as const

/** What gives access, and what names the host that was called. */
const credentials = ["authorization", "proxy-authorization", "cookie", "host"]

/** What tells of a body, and goes with it. */
const aboutBody = [
  "content-type",
  "content-length",
  "content-encoding",
  "content-language",
  "content-location",
  "trailer"
]

const read = (options: Options) => {
  const check = new OptionsCheck("HttpResilience.followRedirects")
  check.record(options, ["maxRedirects", "strip"])
  const { maxRedirects = defaults.maxRedirects, strip = [] } = options
  check.whole("maxRedirects", maxRedirects, 0, 100)
  if (!Array.isArray(strip) || !strip.every((name) => typeof name === "string" && isToken(name))) {
    check.add("strip", strip, "a list of names of headers")
  }
  check.done()
  return { maxRedirects, strip: strip.map((name) => name.toLowerCase()) }
}

const isRedirect = ({ status }: Response): boolean =>
  status === 301 || status === 302 || status === 303 || status === 307 || status === 308

const failed = (request: Request, description: string): Effect.Effect<never, HttpClientError.RequestError> =>
  Effect.fail(
    new HttpClientError.RequestError({
      request,
      reason: "Transport",
      description,
      cause: Object.assign(new Error(description), { code: redirectCode })
    })
  )

/**
 * The end of a later hop. The server chose where it goes: an address that cannot be called is the server's fault. What was sent before
 * it was answered: a hop that never left proves nothing of the call.
 */
const ofHop = <E>(cause: Cause.Cause<E>, request: Request): Effect.Effect<never, E | HttpClientError.RequestError> => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  const isPlain = HttpClientError.isHttpClientError(error)
  const fault = refusalIn(cause) ?? (isPlain ? callerFaultOf(error) : undefined)
  if (fault?.class === "Rejected") {
    return failed(request, `the server redirects to ${JSON.stringify(request.url)}, which cannot be called`)
  }
  if (isPlain && error._tag === "RequestError" && reachOfCauses(error.cause) === "NeverSent") {
    const description = error.description ?? "no answer came after a redirect"
    const cause = Object.assign(new Error(description, { cause: error.cause }), { code: hopCode })
    return Effect.fail(
      new HttpClientError.RequestError({ request: error.request, reason: error.reason, description, cause })
    )
  }
  return Effect.failCause(cause)
}

/** A server's `fetch` shows a redirect that it does not follow; that of a browser hides it, and follows by rules of its own. */
const showsRedirects = typeof process === "object" && process.versions?.node !== undefined

const unfollowed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  showsRedirects
    ? Effect.mapInputContext(effect, (context: Context.Context<R>) =>
      Context.add(context, FetchHttpClient.RequestInit, {
        ...Option.getOrUndefined(Context.getOption(context as Context.Context<any>, FetchHttpClient.RequestInit)),
        redirect: "manual"
      }) as Context.Context<R>)
    : effect

/**
 * Gives the connection back before the next hop, which may need the same pool: a short answer is read to its end, any other is stopped in
 * the middle. A stream has to run to be stopped.
 */
const passedOver = (response: Response): Effect.Effect<void> => {
  const length = contentLength(response)
  const most = length === undefined || length <= shortBody ? shortBody : 0
  const read = Stream.runFoldWhile(response.stream, 0, (size) => size <= most, (size, part) => size + part.length)
  return Effect.ignore(within(read, drainMillis, () => undefined))
}

/** Each hop takes of the time that the server is told it has. */
const withLessTime = (request: Request, { deadlineHeader }: Sending, elapsed: number): Request => {
  const left = deadlineHeader === false ? undefined : request.headers[deadlineHeader.toLowerCase()]
  return left === undefined || deadlineHeader === false
    ? request
    : HttpClientRequest.setHeader(request, deadlineHeader, String(Math.max(0, Math.floor(Number(left) - elapsed))))
}

/** As browsers and `fetch` do it: what was posted is not posted to another address, unless the server says so by 307 or 308. */
const asGet = (request: Request, status: number): boolean =>
  status === 303
    ? request.method !== "GET" && request.method !== "HEAD"
    : (status === 301 || status === 302) && request.method === "POST"

/**
 * Follows redirects, in the place of `HttpClient.followRedirects` and of what `fetch` does by itself. Put it on before the policy.
 *
 * On a change of origin it takes `authorization`, `proxy-authorization`, `cookie`, `host`, the idempotency key and the other headers of
 * this package off, and what `strip` names. After a 303, and a POST after 301 or 302, the next request is a GET without a body. One
 * redirect more than `maxRedirects`, one to an address that is none of HTTP, and one of a body that can be sent once are failures that
 * no retry cures: `HttpFailure` reads them as `Permanent`.
 *
 * In a browser `fetch` follows redirects itself, and shows none of them.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Effect from "effect/Effect"
 *
 * const client = Effect.map(HttpClient.HttpClient, (client) =>
 *   client.pipe(
 *     HttpResilience.followRedirects({ maxRedirects: 3, strip: ["x-api-key"] }),
 *     HttpResilience.withPolicy(Timeout.make("2 seconds"))
 *   )
 * )
 *
 * console.log(Effect.isEffect(client))
 *
 * @since 0.1.0
 * @category combinators
 */
export const followRedirects: {
  (options?: Options): <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ) => HttpClient.HttpClient.With<E | HttpClientError.HttpClientError, R>
  <E, R>(
    client: HttpClient.HttpClient.With<E, R>,
    options?: Options
  ): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError, R>
} = dual((args) => Predicate.hasProperty(args[0], HttpClient.TypeId), <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  options: Options = {}
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError, R> => {
  const { maxRedirects, strip } = read(options)
  const { preprocess, send } = halvesOf(client)

  const next = (request: Request, response: Response, location: string, elapsed: number, facts: Sending) => {
    const { ownHeaders, replayableBody } = facts
    const from = Option.getOrThrow(HttpClientRequest.toUrl(request))
    const to = URL.canParse(location, from) ? new URL(location, from) : undefined
    if (to === undefined || to.protocol !== "http:" && to.protocol !== "https:") {
      return failed(
        request,
        `the server redirects to ${JSON.stringify(location)}; allowed are addresses of http and https`
      )
    }
    const rewritten = asGet(request, response.status)
    if (!rewritten && !replayableBody && !IdempotencyKey.isReplayable(request.body)) {
      return failed(request, `the server redirects by ${response.status} a body that can be sent once`)
    }
    const moved = HttpClientRequest.setUrl(request, to)
    const kept = to.origin === from.origin
      ? withLessTime(moved, facts, elapsed)
      : withoutHeaders(moved, [...credentials, ...ownHeaders, ...strip])
    return Effect.succeed(
      rewritten
        ? withoutHeaders(HttpClientRequest.setMethod(HttpClientRequest.setBody(kept, HttpBody.empty), "GET"), aboutBody)
        : kept
    )
  }

  const atHop = (request: Request) => Effect.catchAllCause(send(request), (cause) => ofHop(cause, request))

  const follow = (
    request: Request,
    hops: number
  ): Effect.Effect<Response, E | HttpClientError.HttpClientError, R> =>
    Effect.flatMap(Effect.timed(hops === 0 ? send(request) : atHop(request)), ([elapsed, response]): Effect.Effect<
      Response,
      E | HttpClientError.HttpClientError,
      R
    > => {
      const location = isRedirect(response) ? response.headers["location"] : undefined
      if (location === undefined) {
        return Effect.succeed(response)
      }
      return Effect.zipRight(
        passedOver(response),
        hops >= maxRedirects
          ? failed(request, `the server redirects more than ${maxRedirects} times`)
          : Effect.flatMap(
            Effect.flatMap(
              FiberRef.get(sending),
              (facts) => next(request, response, location, Duration.toMillis(elapsed), facts)
            ),
            (request) => follow(request, hops + 1)
          )
      )
    })

  return HttpClient.makeWith<E, R, E | HttpClientError.HttpClientError, R>(
    Effect.flatMap((request) => unfollowed(follow(request, 0))),
    preprocess
  )
})
