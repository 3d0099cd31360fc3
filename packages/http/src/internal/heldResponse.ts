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
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { contentLength } from "./responseHead.js"
import { within } from "./within.js"

type Response = HttpClientResponse.HttpClientResponse
/** @internal */
export type Failure = HttpClientError.ResponseError

/** @internal */
export type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<Failure>>

/** @internal */
export const broken = (response: Response, description: string, cause?: unknown): Failure =>
  new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", description, cause })

const consumed = (response: Response): Failure =>
  broken(response, "the body of this response was read or released already")

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
const decode = (bytes: Uint8Array): string => decoder.decode(bytes)

/** @internal */
export class HeldResponse extends Inspectable.Class implements Response {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  /** Milliseconds since 1970, by the fiber's clock. */
  readonly arrivedAt: number
  readonly headers: Headers.Headers
  private readonly original: Response
  private begin: ReadonlyArray<Uint8Array>
  private rest: Rest | undefined
  private whole: Uint8Array | undefined
  /** Somebody reads the rest to its end, or has done so: others get the same. */
  private reading: Deferred.Deferred<Uint8Array, Failure> | undefined = undefined

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
    if (rest === undefined) {
      this.begin = []
    }
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
    return this.whole !== undefined ? Effect.succeed(this.whole) : Effect.suspend(() =>
      this.whole !== undefined
        ? Effect.succeed(this.whole)
        : this.reading !== undefined
        ? Deferred.await(this.reading)
        : this.readRest()
    )
  }

  private readRest(): Effect.Effect<Uint8Array, Failure> {
    const rest = this.takeRest()
    if (rest === undefined) {
      return Effect.fail(consumed(this))
    }
    const reading = this.reading = Deferred.unsafeMake<Uint8Array, Failure>(FiberId.none)
    const parts = [...this.begin]
    const read: Effect.Effect<Uint8Array, Failure> = Effect.matchEffect(rest.pull, {
      onSuccess: (more) => {
        parts.push(...more)
        return read
      },
      onFailure: (end) =>
        Option.isSome(end) ? Effect.fail(end.value) : Effect.sync(() => {
          this.begin = []
          return this.whole = join(parts)
        })
    })
    return Effect.onExit(Effect.ensuring(read, rest.release), (exit) =>
      // A reader that left has lost what came meanwhile.
      Exit.isInterrupted(exit) ? Deferred.fail(reading, consumed(this)) : Deferred.done(reading, exit))
  }

  get text(): Effect.Effect<string, Failure> {
    return Effect.map(this.bytes, decode)
  }

  get json(): Effect.Effect<unknown, Failure> {
    return Effect.flatMap(this.bytes, (bytes) => {
      try {
        const text = decode(bytes)
        return Effect.succeed(text === "" ? null : JSON.parse(text) as unknown)
      } catch (cause) {
        return Effect.fail(broken(this, "the body is not JSON", cause))
      }
    })
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

  /** The connection is given up by somebody else: what was read stays, and to read on fails. */
  cut(failure: Failure): void {
    forgotten?.unregister(this)
    this.rest = { pull: Effect.fail(Option.some(failure)), release: Effect.void }
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

/**
 * Reading so much costs less than opening a new connection.
 *
 * @internal
 */
export const shortBody = 64 * 1024
/**
 * A short body that hangs is not waited for.
 *
 * @internal
 */
export const drainMillis = 250
const drain = (pull: Pull): Effect.Effect<void, Option.Option<Failure>> =>
  within(Effect.forever(pull), drainMillis, Option.none)
