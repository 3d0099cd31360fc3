/**
 * What the head of a response says of its body.
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"

/** @internal */
export type Head = Pick<HttpClientResponse.HttpClientResponse, "headers" | "request" | "status">

/**
 * Has no body, whatever its headers say: undici takes their length for a promise that was broken.
 *
 * @internal
 */
export const isBodiless = ({ request, status }: Head): boolean =>
  request.method === "HEAD" || status === 204 || status === 304

/**
 * The size of the body as the transport will deliver it; `undefined` when the server does not say, or the body is packed.
 *
 * @internal
 */
export const contentLength = (head: Head): number | undefined => {
  const { headers } = head
  if (isBodiless(head)) {
    return 0
  }
  const text = headers["content-length"]
  return text !== undefined && /^\d+$/.test(text) && headers["content-encoding"] === undefined
    ? Number(text)
    : undefined
}

/**
 * What comes bit by bit, for as long as it is wanted.
 *
 * @internal
 */
export const isEventStream = ({ headers, status }: Head): boolean =>
  status === 101 || (headers["content-type"] ?? "").toLowerCase().startsWith("text/event-stream")
