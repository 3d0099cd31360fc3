/**
 * The one place that knows how a client of `@effect/platform` is built inside, and how an exchange of it is aborted.
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
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

/** What a client of the platform asks of whoever aborts a request object in its place. */
interface Controller {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}

/** Where it looks for that: `HttpClient.withScope` puts a controller there. */
const controllers = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<Request, Controller>()
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
 * The request without some of its headers, for which the platform has no function.
 *
 * @internal
 */
export const withoutHeaders = (request: Request, names: ReadonlyArray<string>): Request =>
  Object.assign(Object.create(Object.getPrototypeOf(request)), request, {
    headers: Headers.remove(request.headers, names)
  })

/**
 * What a transport answered with, or what holds the body of that.
 *
 * @internal
 */
export interface Source {
  readonly body?: unknown
}

/**
 * What a response of the platform keeps of its transport, and of whoever read its body.
 *
 * @internal
 */
export interface Kept {
  readonly source?: Source
  arrayBufferBody?: unknown
  readonly textBody?: unknown
  readonly textEffect?: unknown
}

/** @internal */
export const keptBy = (response: Response): Kept => {
  const { original = response } = response as { readonly original?: object }
  return original as Kept
}

/**
 * What the transport itself has of this body. `undefined` where something stands before it, and must be asked: a response that is held,
 * one that aborts the exchange of a redirect when its reader leaves, one that somebody wrapped to change what is read.
 *
 * @internal
 */
export const sourceOf = (response: Response): Source | undefined =>
  Object.hasOwn(response, "source") && !Object.hasOwn(response, "stream") && !Object.hasOwn(response, "arrayBuffer")
    ? (response as Kept).source
    : undefined

/**
 * A body that was read inside the client, by a `tap` that logs it, cannot be read a second time: transports keep what was read, each
 * under a name of its own, and answer the same question with it. `undefined` when nobody has read it.
 *
 * @internal
 */
export const readBefore = (
  response: Response
): Effect.Effect<Uint8Array, HttpClientError.ResponseError> | undefined => {
  const { arrayBufferBody, textBody, textEffect } = keptBy(response)
  return arrayBufferBody !== undefined
    ? Effect.map(response.arrayBuffer, (buffer) => new Uint8Array(buffer))
    : textBody !== undefined || textEffect !== undefined
    ? Effect.map(response.text, (text) => encoder.encode(text))
    : undefined
}

const encoder = new TextEncoder()

/** The body of an answer of undici, or an answer of `fetch`. */
interface Readable {
  readonly bodyUsed: boolean
  arrayBuffer(): Promise<ArrayBuffer>
}

const isUnread = (value: unknown): value is Readable =>
  typeof (value as Readable | undefined)?.arrayBuffer === "function" && (value as Readable).bodyUsed === false

/**
 * All bytes of the body, asked of the transport itself where it is known: `arrayBuffer` of a response makes a value that is read once and
 * kept, for which the platform runs a fiber of its own. That costs a fifth of a short request. The bytes are put where it keeps them: a
 * client may give the same response to several calls.
 *
 * @internal
 */
export const readAll = (response: Response): Effect.Effect<Uint8Array, HttpClientError.ResponseError> => {
  const source = sourceOf(response)
  const readable = isUnread(source?.body) ? source.body : isUnread(source) ? source : undefined
  if (readable === undefined) {
    return Effect.map(response.arrayBuffer, (buffer) => new Uint8Array(buffer))
  }
  const failed = (cause: unknown) =>
    new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", cause })
  return Effect.map(
    Effect.tryPromise({
      try: () => {
        const bytes = readable.arrayBuffer()
        keptBy(response).arrayBufferBody = Effect.tryPromise({ try: () => bytes, catch: failed })
        return bytes
      },
      catch: failed
    }),
    (buffer) => new Uint8Array(buffer)
  )
}

/** Why a transport gives up what an attempt left open. One for all: nobody hears it, and to make one captures a stack. */
const over = new DOMException("The attempt is over", "AbortError")

/**
 * What one attempt opens: all exchanges of this very request object, by whatever stands between us and the transport. When it is closed,
 * they are aborted. A registered request is not watched by the platform's own collector of forgotten responses, so every attempt must
 * come to `settled` or `close`.
 *
 * @internal
 */
export class Connection implements Controller {
  private readonly controller = new AbortController()
  /** How many exchanges asked for the signal. */
  private exchanges = 0
  /** The answer may be of an exchange that has a controller of its own, as the one behind a redirect has. */
  private elsewhere = false
  private readonly request: Request
  /** The scope around the whole call, if somebody put `HttpClient.withScope` over the policy. */
  private readonly outer: AbortSignal | undefined
  /** The scope that `HttpClient.withScope` under the policy put in our place. */
  private inner: Controller | undefined = undefined
  private streams: Scope.CloseableScope | undefined = undefined

  /** `origin` is the request as the caller made it, of which every attempt sends a copy. */
  constructor(request: Request, origin: Request) {
    this.request = request
    this.outer = controllers.get(origin)?.signal
    controllers.set(request, this)
    if (this.outer !== undefined) {
      this.outer.addEventListener("abort", this.abort)
      if (this.outer.aborted) {
        this.abort()
      }
    }
  }

  get signal(): AbortSignal {
    this.exchanges++
    return this.controller.signal
  }

  /** A scope that ends with the connection, for a body that is read as a stream. */
  get scope(): Effect.Effect<Scope.Scope> {
    return Effect.map(Scope.make(), (made) => this.streams = made)
  }

  /** The request was sent, and answered or not: whoever sends the same object again starts anew. */
  sent(): void {
    const found = controllers.get(this.request)
    if (found === this) {
      controllers.delete(this.request)
    } else {
      this.inner = found
    }
  }

  /** This answer will be held. The platform wraps those whose exchange is not ours, and others may wrap them again. */
  answered(response: Response): void {
    this.elsewhere = sourceOf(response) === undefined
  }

  /**
   * The answer is here in full. What was left behind on the way to it, by a redirect or a retry under the policy, is still open, and so
   * may be an upload that the server did not wait for. With neither the signal has nobody left to tell.
   */
  settled(uploads: boolean): void {
    this.outer?.removeEventListener("abort", this.abort)
    if (uploads || this.elsewhere || this.exchanges > 1) {
      this.controller.abort(over)
    }
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.outer?.removeEventListener("abort", this.abort)
      this.abort()
      return this.streams === undefined ? Effect.void : Scope.close(this.streams, Exit.void)
    })
  }

  readonly abort = (): void => {
    this.controller.abort(over)
    this.inner?.abort(over)
  }
}
