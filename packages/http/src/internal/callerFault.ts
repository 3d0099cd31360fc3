/**
 * Whose fault a failed exchange is: finds the ends that the request itself is to blame for, and marks their errors, so that every
 * classifier can tell.
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Outcome from "@holdfast/core/Outcome"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Option from "effect/Option"
import { isRefused, longestChain, reachOfCauses } from "./reach.js"
import { lengthFault, malformedLength, requestFault } from "./requestFault.js"
import { type BodyWatch, isNodeStream } from "./watchedBody.js"

type Request = HttpClientRequest.HttpClientRequest

/** The request cannot be made as it is: nothing of it was sent. */
const unmakeable: Outcome.Outcome = Outcome.make("Rejected", { neverSent: true, fault: "caller" })

/** The body failed, or is not as long as was stated: part of it may have been sent. */
const badBody: Outcome.Outcome = Outcome.make("Permanent", { fault: "caller" })

const lengthCodes: ReadonlySet<string> = new Set([
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH",
  "ERR_HTTP_CONTENT_LENGTH_MISMATCH"
])

const chainOf = (error: unknown): ReadonlyArray<any> => {
  const links: Array<unknown> = []
  for (
    let link: any = error;
    links.length < longestChain && typeof link === "object" && link !== null;
    link = link.cause
  ) {
    links.push(link)
  }
  return links
}

/** Would `fetch` refuse it? Its errors carry no code: the platform's own constructor is asked, which sends nothing. */
const isRefusedByFetch = (request: Request): boolean => {
  if (typeof globalThis.Request === "undefined") {
    return false
  }
  const body = request.body._tag === "Empty" ? {} : { body: "" }
  try {
    new globalThis.Request(request.url, { method: request.method, headers: { ...request.headers }, ...body })
    return false
  } catch {
    return true
  }
}

/** A stream of Node that was given as the body keeps the error that it ended with. Its user may have given that any code. */
const bodyError = ({ body }: Request): unknown =>
  body._tag === "Raw" && isNodeStream(body.body) ? body.body.errored ?? undefined : undefined

/** What `fetch` says of a body that was read, or that has another reader. */
const usedBody = "Response body object should not be disturbed or locked"

/** `fetch` refuses these of any request, before it connects. */
const refusals: ReadonlySet<unknown> = new Set([
  "RequestInit: duplex option is required when sending a body."
])

/** The ports that the standard of `fetch` lets nothing call. */
const badPorts: ReadonlySet<string> = new Set(
  ("0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137 139 143 " +
    "161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 " +
    "4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080").split(" ")
)

/** `fetch` says the same of the port that the caller called and of one that a server redirects to. */
const isBadPort = (message: unknown, { url }: Request): boolean =>
  message === "bad port" && URL.canParse(url) && badPorts.has(new URL(url).port)

const ofTransport = (error: HttpClientError.RequestError): Outcome.Outcome | undefined => {
  const { request } = error
  const links = chainOf(error.cause)
  const ofBody = bodyError(request)
  // A transport ends the stream with its own error when the connection breaks.
  if (ofBody !== undefined && links.includes(ofBody) && reachOfCauses(ofBody) === undefined) {
    return badBody
  }
  if (links.some(({ message }) => message === usedBody)) {
    return badBody
  }
  for (const { code } of links) {
    if (typeof code === "string") {
      return isRefused(code) ? unmakeable : lengthCodes.has(code) ? badBody : undefined
    }
  }
  return requestFault(request) !== undefined ||
      links.some(({ message }) => refusals.has(message) || isBadPort(message, request)) ||
      links[0] instanceof TypeError && isRefusedByFetch(request)
    ? unmakeable
    : undefined
}

/**
 * The outcome of an error that is the caller's own fault, `undefined` for any other.
 *
 * @internal
 */
export const callerFaultOf = (error: HttpClientError.HttpClientError): Outcome.Outcome | undefined => {
  if (error._tag === "ResponseError") {
    return undefined
  }
  switch (error.reason) {
    case "InvalidUrl":
      return unmakeable
    case "Encode":
      return badBody
    case "Transport":
      return ofTransport(error)
  }
}

const isRefusal = (defect: unknown): boolean => {
  const code = chainOf(defect).map((link) => link.code).find((one) => typeof one === "string")
  return code !== undefined && isRefused(code)
}

/**
 * Node throws what it refuses, and the platform's client lets that through as a defect.
 *
 * @internal
 */
export const refusalIn = (cause: Cause.Cause<unknown>): Outcome.Outcome | undefined => {
  if (cause._tag === "Fail" || !Cause.isDie(cause)) {
    return undefined
  }
  return Chunk.every(Cause.defects(cause), isRefusal) ? unmakeable : undefined
}

const marked = <E extends HttpClientError.HttpClientError>(
  error: E,
  { class: outcomeClass, neverSent }: Outcome.Outcome
): E =>
  Object.defineProperties(error, {
    [Outcome.ClassTypeId]: { value: outcomeClass, configurable: true },
    fault: { value: "caller", configurable: true },
    neverSent: { value: neverSent, configurable: true }
  })

/**
 * The error of a body that failed, whatever the transport made of it.
 *
 * @internal
 */
export const bodyFailed = (
  request: Request,
  { cause, description = "the body of the request failed" }: NonNullable<BodyWatch["failed"]>
): HttpClientError.RequestError =>
  marked(new HttpClientError.RequestError({ request, reason: "Encode", cause, description }), badBody)

/** A stream of Node that is destroyed before it is sent gives no part. Only undici tells its error. */
const destroyed = ({ body }: Request): BodyWatch["failed"] => {
  if (body._tag !== "Raw" || !isNodeStream(body.body) || !body.body.destroyed) {
    return undefined
  }
  const description = "the body of the request is a stream that is destroyed"
  return { cause: body.body.errored ?? new Error(description), description }
}

/**
 * What is wrong with a request that some transports would send all the same: a length that is none, or that is not the body's, and a
 * body that is gone.
 *
 * @internal
 */
export const unsendable = (request: Request): HttpClientError.RequestError | undefined => {
  const malformed = malformedLength(request.headers["content-length"])
  if (malformed !== undefined) {
    const cause = new Error(malformed)
    return marked(
      new HttpClientError.RequestError({ request, reason: "Transport", cause, description: malformed }),
      unmakeable
    )
  }
  const wrong = lengthFault(request)
  const failed = wrong === undefined ? destroyed(request) : { cause: new Error(wrong), description: wrong }
  return failed === undefined ? undefined : bodyFailed(request, failed)
}

/**
 * The error of a request that cannot be made, in the words of what is wrong.
 *
 * @internal
 */
export const invalidUrl = (request: Request): HttpClientError.RequestError =>
  marked(
    new HttpClientError.RequestError({
      request,
      reason: "InvalidUrl",
      description: requestFault(request) ?? "the URL has no origin"
    }),
    unmakeable
  )

/**
 * The end of an attempt with the caller's own faults made known: what Node threw is a `RequestError` too, and every such error carries
 * its class.
 *
 * @internal
 */
export const withFault = <E>(
  cause: Cause.Cause<E>,
  request: Request
): Cause.Cause<E | HttpClientError.HttpClientError> => {
  const refusal = refusalIn(cause)
  if (refusal !== undefined) {
    const defect = Cause.squash(cause)
    const description = requestFault(request) ?? (defect instanceof Error ? defect.message : String(defect))
    return Cause.fail(
      marked(new HttpClientError.RequestError({ request, reason: "Transport", cause: defect, description }), refusal)
    )
  }
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (HttpClientError.isHttpClientError(error) && !(Outcome.ClassTypeId in error)) {
    const fault = callerFaultOf(error)
    if (fault !== undefined) {
      marked(error, fault)
    }
  }
  return cause
}
