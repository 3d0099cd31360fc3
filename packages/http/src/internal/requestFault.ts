/**
 * What of a request no transport can send: the part that is wrong, as a sentence. One home for the check before a pool and for the
 * question whose fault a failed request is.
 */
import type * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Option from "effect/Option"
import { isToken } from "./token.js"

type Request = HttpClientRequest.HttpClientRequest

const notInValue = /[^\t\x20-\x7e\x80-\xff]/

/** Shows what may be long and secret: its place and code, not the value. */
const characterIn = (value: string): string => {
  const at = value.search(notInValue)
  return `the character U+${value.codePointAt(at)!.toString(16).toUpperCase().padStart(4, "0")} at index ${at}`
}

/** @internal */
export const methodFault = (method: string): string | undefined =>
  isToken(method) ? undefined : `the method ${JSON.stringify(method)} is no token`

/** A length in any other form is read differently by client, server and proxy, which then part the requests at different places. */
const isLength = (value: string): boolean => /^\d+$/.test(value)

/**
 * A `content-length` that is no length, as the caller set it or as a body states it. Node and `fetch` let some of them through.
 *
 * @internal
 */
export const malformedLength = (value: string | undefined): string | undefined =>
  value === undefined || isLength(value)
    ? undefined
    : `the header content-length is ${JSON.stringify(value)}; allowed are digits`

/** @internal */
export const headerFault = (name: string, value: string): string | undefined =>
  !isToken(name)
    ? `the header name ${JSON.stringify(name)} is no token`
    : notInValue.test(value)
    ? `the header ${name} has ${
      characterIn(value)
    }; allowed are tabs, printable ASCII and the characters from U+0080 to U+00FF`
    : name.toLowerCase() === "content-length"
    ? malformedLength(value)
    : undefined

/**
 * What is wrong with the method, the URL or the headers of a request.
 *
 * @internal
 */
export const requestFault = (request: Request): string | undefined => {
  const method = methodFault(request.method)
  if (method !== undefined) {
    return method
  }
  const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
  if (url === undefined) {
    return `${JSON.stringify(request.url)} is no URL`
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return `the scheme of the URL is ${url.protocol.slice(0, -1)}; allowed are http and https`
  }
  for (const name in request.headers) {
    const fault = headerFault(name, request.headers[name]!)
    if (fault !== undefined) {
      return fault
    }
  }
  return undefined
}

/** The bytes of a body that is not a stream, where they can be told without reading it. */
const lengthOf = (body: HttpBody.HttpBody): number | undefined => {
  switch (body._tag) {
    case "Empty":
      return 0
    case "Uint8Array":
      return body.contentLength
    case "Raw":
      return typeof body.body === "string"
        ? new TextEncoder().encode(body.body).length
        : ArrayBuffer.isView(body.body) || body.body instanceof ArrayBuffer
        ? body.body.byteLength
        : undefined
    default:
      return undefined
  }
}

/**
 * The length that the headers of a request state, where they state one.
 *
 * @internal
 */
export const statedLength = (request: Request): number | undefined => {
  const stated = request.headers["content-length"]
  return stated !== undefined && isLength(stated) ? Number(stated) : undefined
}

/** @internal */
export const wrongLength = (stated: number, sent: string): string =>
  `the header content-length states ${stated} bytes, and the body has ${sent}`

/**
 * A `content-length` that is not that of the body. Sent as it is, it lets the server wait for bytes that never come, or take the rest of
 * the body for the next request.
 *
 * @internal
 */
export const lengthFault = (request: Request): string | undefined => {
  const stated = statedLength(request)
  const length = stated === undefined ? undefined : lengthOf(request.body)
  return length === undefined || length === stated ? undefined : wrongLength(stated!, String(length))
}
