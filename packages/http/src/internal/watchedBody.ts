/**
 * A body that tells when it is begun and when it fails: a transport that ends with the error of a body makes it look like its own.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { statedLength, wrongLength } from "./requestFault.js"

type Request = HttpClientRequest.HttpClientRequest

/** What is known of the body of a call. */
export interface BodyWatch {
  /** Something may have been read from it. */
  begun: boolean
  /** How it failed, if it did. */
  failed: { readonly cause: unknown; readonly description?: string | undefined } | undefined
}

/** The length is counted against the one that the headers state: what is beyond it would be taken for the next request. */
const counted = (stream: Stream.Stream<Uint8Array, unknown>, stated: number, watch: BodyWatch) => {
  let sent = 0
  const check = (isWrong: boolean, words: string) =>
    Effect.suspend(() => {
      if (!isWrong) {
        return Effect.void
      }
      const description = wrongLength(stated, words)
      const cause = new Error(description)
      watch.failed = { cause, description }
      return Effect.fail<unknown>(cause)
    })
  return Stream.concat(
    Stream.mapChunksEffect(stream, (parts) => {
      for (const part of parts) {
        sent += part.length
      }
      return Effect.as(check(sent > stated, `${sent} or more`), parts)
    }),
    Stream.execute(Effect.suspend(() => check(sent < stated, String(sent))))
  )
}

const watchedStream = (stream: Stream.Stream<Uint8Array, unknown>, watch: BodyWatch, stated: number | undefined) =>
  Stream.suspend(() => {
    watch.begun = true
    // An interruption that gets here is the stream's own: that of the attempt ends the fiber that reads it, and nothing runs after.
    const told = Stream.catchAllCause(stream, (cause) => {
      const isOwn = Cause.isInterruptedOnly(cause)
      const failed = Cause.squash(cause)
      watch.failed = isOwn
        ? { cause: failed, description: "the body of the request interrupted itself" }
        : { cause: failed }
      // As a failure, since an interruption would pass for one of the call.
      return isOwn ? Stream.fail<unknown>(failed) : Stream.failCause(cause)
    })
    return stated === undefined ? told : counted(told, stated, watch)
  })

const told = <A>(watch: BodyWatch, read: () => Promise<A>): Promise<A> =>
  read().catch((cause: unknown) => {
    watch.failed = { cause }
    throw cause
  })

/** A stream of the web, read only as fast as it is asked for. */
const watchedWeb = (source: ReadableStream<unknown>, watch: BodyWatch): ReadableStream<unknown> => {
  let reader: ReadableStreamDefaultReader<unknown> | undefined
  const open = () => (reader ??= source.getReader())
  return new ReadableStream({
    pull: (controller) =>
      told(watch, () => open().read()).then(({ done, value }) => done ? controller.close() : controller.enqueue(value)),
    cancel: (reason) => open().cancel(reason)
  }, { highWaterMark: 0 })
}

const watchedIterable = async function*(source: AsyncIterable<unknown>, watch: BodyWatch) {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (
      let next = await told(watch, () => iterator.next());
      next.done !== true;
      next = await told(watch, () => iterator.next())
    ) {
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}

/** What a stream of Node tells of itself. */
interface NodeStream {
  readonly destroyed?: boolean
  readonly errored?: unknown
}

/**
 * A stream of Node is left as it is: it keeps its own error, and its owner listens to it.
 *
 * @internal
 */
export const isNodeStream = (body: unknown): body is NodeStream =>
  typeof body === "object" && body !== null && "pipe" in body

const watchedRaw = (body: unknown, watch: BodyWatch): unknown =>
  typeof body !== "object" || body === null || isNodeStream(body)
    ? body
    : body instanceof ReadableStream
    ? watchedWeb(body, watch)
    : Symbol.asyncIterator in body
    ? watchedIterable(body as AsyncIterable<unknown>, watch)
    : body

/**
 * The request with its body watched. A body brings headers of its own: those that the request had before it win.
 *
 * @internal
 */
export const watched = (request: Request, watch: BodyWatch): Request => {
  const { body } = request
  const body2 = body._tag === "Stream"
    ? HttpBody.stream(watchedStream(body.stream, watch, statedLength(request)), body.contentType, body.contentLength)
    : body._tag === "Raw"
    ? rawOf(body, watchedRaw(body.body, watch))
    : body
  return body2 === body
    ? request
    : HttpClientRequest.setHeaders(HttpClientRequest.setBody(request, body2), request.headers)
}

const rawOf = (body: HttpBody.Raw, source: unknown): HttpBody.HttpBody =>
  source === body.body
    ? body
    : HttpBody.raw(source, { contentType: body.contentType, contentLength: body.contentLength })
