/**
 * Reads the first parts of a body from the transport itself, where it is known. What comes after them is still in the response's stream.
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import { broken, type Failure } from "./heldResponse.js"
import { keptBy, type Source, sourceOf } from "./transport.js"

type Response = HttpClientResponse.HttpClientResponse

/** What is needed of a body that is a stream of Node: undici has one in each answer, and an answer of `node:http` is one. */
interface NodeReadable {
  readonly readableFlowing: boolean | null
  readonly readableEnded: boolean
  readonly errored: Error | null
  readonly destroyed: boolean
  pause(): unknown
  destroy(): unknown
  on(event: string, listener: (value: any) => void): unknown
  off(event: string, listener: (value: any) => void): unknown
}

const isNodeReadable = (value: unknown): value is NodeReadable =>
  value !== null && typeof value === "object" && "readableFlowing" in value && "pause" in value

const nodeReadable = (source: Source | undefined): NodeReadable | undefined =>
  isNodeReadable(source?.body) ? source.body : isNodeReadable(source) ? source : undefined

const isWebStream = (value: unknown): value is ReadableStream<Uint8Array> =>
  typeof ReadableStream !== "undefined" && value instanceof ReadableStream

/**
 * The failure of a body that broke off before anybody had read it to its end. A stream of Node tells that to those who listen at that
 * moment; to whoever comes later, the platform's own stream among them, it looks like one that has ended.
 *
 * @internal
 */
export const cutShort = (response: Response): Failure | undefined => {
  const readable = nodeReadable(keptBy(response).source)
  return readable !== undefined && readable.destroyed && !readable.readableEnded
    ? broken(response, "the body broke off before its end", readable.errored)
    : undefined
}

/** @internal */
export interface FirstParts {
  readonly parts: ReadonlyArray<Uint8Array>
  /** Was this all of the body? */
  readonly ended: boolean
}

/**
 * The parts of a body until there are more bytes than `upTo`; `undefined` for a transport that is not known, or a body that somebody has
 * begun to read. A reader that leaves gives the body up.
 *
 * @internal
 */
export const firstParts = (
  response: Response,
  upTo: number
): Effect.Effect<FirstParts, Failure> | undefined => {
  const failed = (cause: unknown) =>
    new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", cause })
  const source = sourceOf(response)
  const body = source?.body
  if (isWebStream(body)) {
    return body.locked ? undefined : fromWeb(body, upTo, failed)
  }
  const readable = nodeReadable(source)
  return readable === undefined || readable.destroyed || readable.readableFlowing !== null
    ? undefined
    : fromNode(readable, upTo, failed)
}

const fromWeb = <E>(stream: ReadableStream<Uint8Array>, upTo: number, failed: (cause: unknown) => E) =>
  Effect.async<FirstParts, E>((resume) => {
    const reader = stream.getReader()
    const read = async (): Promise<FirstParts> => {
      const parts: Array<Uint8Array> = []
      try {
        for (let size = 0; size <= upTo;) {
          const { done, value } = await reader.read()
          if (done) {
            return { parts, ended: true }
          }
          parts.push(value)
          size += value.length
        }
        return { parts, ended: false }
      } finally {
        reader.releaseLock()
      }
    }
    read().then((first) => resume(Effect.succeed(first)), (cause) => resume(Effect.fail(failed(cause))))
    return Effect.sync(() => {
      reader.cancel().catch(() => {})
    })
  })

const fromNode = <E>(stream: NodeReadable, upTo: number, failed: (cause: unknown) => E) =>
  Effect.async<FirstParts, E>((resume) => {
    const parts: Array<Uint8Array> = []
    let size = 0
    const listeners: ReadonlyArray<readonly [event: string, listener: (value: any) => void]> = [
      ["data", (part: Uint8Array) => {
        parts.push(part)
        size += part.length
        if (size > upTo) {
          stream.pause()
          leave()
          resume(Effect.succeed({ parts, ended: false }))
        }
      }],
      // Whoever reads no further is not taken off: the stream is over, and what it tells later is not heard.
      ["end", () => resume(Effect.succeed({ parts, ended: true }))],
      ["error", (cause) => resume(Effect.fail(failed(cause)))],
      ["close", () => resume(Effect.fail(failed(new Error("the connection was closed before the end of the body"))))]
    ]
    const leave = () => listeners.forEach(([event, listener]) => stream.off(event, listener))
    listeners.forEach(([event, listener]) => stream.on(event, listener))
    return Effect.sync(() => {
      leave()
      stream.destroy()
    })
  })
