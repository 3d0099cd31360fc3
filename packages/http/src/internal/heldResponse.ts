/**
 * Responses whose body is held: read in full while the policy watched, or read on under an idle limit after it.
 */
import type * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "./transport.js"
import { within } from "./within.js"

type Response = HttpClientResponse.HttpClientResponse
type Failure = HttpClientError.ResponseError
type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<Failure>>

const broken = (response: Response, description: string, cause?: unknown): Failure =>
  new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", description, cause })

const consumed = (response: Response): Failure =>
  broken(response, "the body of this response was read or released already")

type Head = Pick<Response, "headers" | "request" | "status">

/** What is left of a body, and how its connection is given up. */
export interface Rest {
  readonly pull: Pull
  readonly release: Effect.Effect<void>
}

/** A response that nobody reads or releases keeps its connection: the last chance is the garbage collector. */
const forgotten: FinalizationRegistry<Effect.Effect<void>> | undefined = typeof FinalizationRegistry === "undefined"
  ? undefined
  : new FinalizationRegistry((release) => {
    Effect.runFork(release)
  })

const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (chunks.length === 1) {
    return chunks[0]!
  }
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const decoder = new TextDecoder()

/** @internal */
export class HeldResponse extends Inspectable.Class implements Response {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  /** Milliseconds since 1970, by the fiber's clock. */
  readonly arrivedAt: number
  readonly headers: Headers.Headers
  private readonly original: Response
  private readonly begin: ReadonlyArray<Uint8Array>
  private rest: Rest | undefined
  private whole: Uint8Array | undefined

  /** `headers` are those of the original, which makes them anew whenever it is asked. */
  constructor(
    original: Response,
    headers: Headers.Headers,
    arrivedAt: number,
    begin: ReadonlyArray<Uint8Array>,
    rest: Rest | undefined
  ) {
    super()
    this.original = original
    this.headers = headers
    this.arrivedAt = arrivedAt
    this.begin = begin
    this.rest = rest
    this.whole = rest === undefined ? join(begin) : undefined
    if (rest !== undefined) {
      forgotten?.register(this, rest.release, this)
    }
  }

  get request(): HttpClientRequest.HttpClientRequest {
    return this.original.request
  }
  get status(): number {
    return this.original.status
  }
  get cookies(): Cookies.Cookies {
    return this.original.cookies
  }
  get remoteAddress(): Option.Option<string> {
    return this.original.remoteAddress
  }

  /** Is the body here already? */
  get complete(): boolean {
    return this.whole !== undefined
  }

  /**
   * What is left is handed to one reader. Until it is released it is watched still: a reader that is interrupted before its first
   * operation gets lost like a response that nobody reads.
   */
  private takeRest(): Rest | undefined {
    const rest = this.rest
    this.rest = undefined
    return rest === undefined ? undefined : {
      pull: rest.pull,
      // It holds on to the response, which must not be collected as garbage while somebody reads.
      release: Effect.suspend(() => {
        forgotten?.unregister(this)
        return rest.release
      })
    }
  }

  get stream(): Stream.Stream<Uint8Array, Failure> {
    return Stream.suspend((): Stream.Stream<Uint8Array, Failure> => {
      if (this.whole !== undefined) {
        return this.whole.length === 0 ? Stream.empty : Stream.make(this.whole)
      }
      const rest = this.takeRest()
      return rest === undefined
        ? Stream.fail(consumed(this))
        : Stream.ensuring(
          Stream.concat(Stream.fromIterable(this.begin), Stream.repeatEffectChunkOption(rest.pull)),
          rest.release
        )
    })
  }

  private get bytes(): Effect.Effect<Uint8Array, Failure> {
    return Effect.suspend(() =>
      this.whole !== undefined
        ? Effect.succeed(this.whole)
        : this.readRest()
    )
  }

  private readRest(): Effect.Effect<Uint8Array, Failure> {
    const rest = this.takeRest()
    if (rest === undefined) {
      return Effect.fail(consumed(this))
    }
    const parts = [...this.begin]
    const read: Effect.Effect<Uint8Array, Failure> = Effect.matchEffect(rest.pull, {
      onSuccess: (more) => {
        parts.push(...more)
        return read
      },
      onFailure: (end) =>
        Option.isSome(end) ? Effect.fail(end.value) : Effect.sync(() => {
          this.whole = join(parts)
          return this.whole
        })
    })
    return Effect.ensuring(read, rest.release)
  }

  get text(): Effect.Effect<string, Failure> {
    return Effect.map(this.bytes, (bytes) => decoder.decode(bytes))
  }

  get json(): Effect.Effect<unknown, Failure> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: () => text === "" ? null : JSON.parse(text) as unknown,
        catch: (cause) => broken(this, "the body is not JSON", cause)
      }))
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, Failure> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, Failure> {
    return Effect.map(
      this.bytes,
      ({ buffer, byteLength, byteOffset }) => buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
    )
  }

  get formData(): Effect.Effect<FormData, Failure> {
    return Effect.flatMap(this.arrayBuffer, (body) =>
      Effect.tryPromise({
        try: () =>
          new globalThis.Response(body, { headers: { "content-type": this.headers["content-type"] ?? "" } }).formData(),
        catch: (cause) => broken(this, "the body is not form data", cause)
      }))
  }

  /** Aborts what is left of the body. */
  get released(): Effect.Effect<void> {
    return Effect.suspend(() => this.takeRest()?.release ?? Effect.void)
  }

  /** Gives the connection back: what is short and about to come is read, anything else is aborted. */
  get discarded(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const rest = this.takeRest()
      if (rest === undefined) {
        return Effect.void
      }
      const length = contentLength(this)
      return length === undefined || length > shortBody
        ? rest.release
        : Effect.ensuring(Effect.interruptible(Effect.ignore(drain(rest.pull))), rest.release)
    })
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

/** Reading so much costs less than opening a new connection. */
const shortBody = 64 * 1024
/** A short body that hangs is not waited for. */
const drainMillis = 250
const drain = (pull: Pull): Effect.Effect<void, Option.Option<Failure>> =>
  within(Effect.forever(pull), drainMillis, Option.none)

/** The size of the body as the transport will deliver it; `undefined` when the server does not say, or the body is packed. */
const contentLength = ({ headers, request, status }: Head): number | undefined => {
  if (request.method === "HEAD" || status === 204 || status === 304) {
    return 0
  }
  const text = headers["content-length"]
  return text !== undefined && /^\d+$/.test(text) && headers["content-encoding"] === undefined
    ? Number(text)
    : undefined
}

/** What comes bit by bit, for as long as it is wanted. */
const isEventStream = ({ headers, status }: Head): boolean =>
  status === 101 || (headers["content-type"] ?? "").startsWith("text/event-stream")

/** Pulls with the end and the missing body (which a transport may report as a failure) told apart from what breaks. */
const pullOf = (response: Response, connection: Connection): Effect.Effect<Pull> =>
  Effect.map(
    Effect.flatMap(connection.scope, (scope) => Scope.extend(Stream.toPull(response.stream), scope)),
    (pull) => Effect.mapError(pull, (end) => Option.filter(end, (error) => error.reason !== "EmptyBody"))
  )

/** @internal */
export interface Reading {
  /** Bytes read before the response is handed over; 0 hands it over at its headers. */
  readonly upTo: number
  /** The longest wait for the next part of a body that is read on after the policy. */
  readonly idleMillis: number
  readonly arrivedAt: number
}

const idleLimited = (response: Response, pull: Pull, idleMillis: number): Pull =>
  within(pull, idleMillis, () => Option.some(broken(response, `no part of the body came for ${idleMillis} ms`)))

/**
 * Holds a response: reads its body up to a number of bytes, and no byte of an event stream. `connection` is closed when the rest of a
 * longer body has been read, released or forgotten; a body that was read in full has given its connection back by itself.
 *
 * @internal
 */
export const hold = (
  response: Response,
  connection: Connection,
  { arrivedAt, idleMillis, upTo }: Reading
): Effect.Effect<HeldResponse, Failure> => {
  const { headers, request, status } = response
  const head: Head = { headers, request, status }
  const limit = isEventStream(head) ? 0 : upTo
  const length = contentLength(head)
  if (length !== undefined && length <= limit) {
    return Effect.map(
      response.arrayBuffer,
      (buffer) => new HeldResponse(response, headers, arrivedAt, [new Uint8Array(buffer)], undefined)
    )
  }
  return Effect.flatMap(pullOf(response, connection), (pull) => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    const handOver = (): HeldResponse =>
      new HeldResponse(response, headers, arrivedAt, chunks, {
        pull: idleLimited(response, pull, idleMillis),
        release: connection.close
      })
    const read: Effect.Effect<HeldResponse, Failure> = Effect.matchEffect(pull, {
      onSuccess: (parts) => {
        for (const part of parts) {
          chunks.push(part)
          size += part.length
        }
        return size > limit ? Effect.sync(handOver) : read
      },
      onFailure: (end) =>
        Option.isSome(end)
          ? Effect.fail(end.value)
          : Effect.as(connection.close, new HeldResponse(response, headers, arrivedAt, chunks, undefined))
    })
    return limit <= 0 ? Effect.sync(handOver) : read
  })
}
