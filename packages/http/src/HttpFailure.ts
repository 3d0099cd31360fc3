/**
 * Says what the end of an HTTP exchange means: by the status of an answer, and by the codes in the causes of an error, which
 * differ between the transports (fetch, `node:http`, undici).
 *
 * @since 0.1.0
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { TypeId as ResponseTypeId } from "@effect/platform/HttpClientResponse"
import * as Failure from "@holdfast/core/Failure"
import * as Outcome from "@holdfast/core/Outcome"
import type * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as RateLimitHeaders from "./RateLimitHeaders.js"

/**
 * How far an exchange that failed came.
 *
 * - `NeverSent`: it is proved that no byte of the request left: refused, unknown host, connect timeout, no connection in time.
 * - `MaybeSent`: the connection broke, before or while the answer was read; the server may have done the work.
 * - `Answered`: the server answered; its status or its payload is the failure.
 * - `NotWorthRetrying`: another try ends the same way: a bad certificate, a bad URL, a body that cannot be written.
 *
 * @since 0.1.0
 * @category models
 */
export type Reach = "NeverSent" | "MaybeSent" | "Answered" | "NotWorthRetrying"

/**
 * The code of the error by which `UndiciDispatcher` ends a request that found no connection in time.
 *
 * @since 0.1.0
 * @category constructors
 */
export const poolTimeoutCode = "HOLDFAST_POOL_TIMEOUT"

const neverSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_NODATA",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  poolTimeoutCode
])

/** They prove something only while the connection is being opened: an open one can meet them in mid-request. */
const neverSentWhileConnecting: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"])

const maybeSent: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "HPE_INVALID_EOF_STATE",
  "UND_ERR_SOCKET",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_INFO",
  "UND_ERR_ABORTED"
])

const tls: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_GET_CRL",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "EPROTO"
])

/** Families of codes, for lists that grow with every version of Node. */
const notWorthRetrying =
  /^(?:CERT_|CRL_|ERR_TLS_|ERR_SSL_|ERR_INVALID_|ERR_HTTP_INVALID_|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/

/** Eight links are enough for every transport, and end a cyclic chain. */
const longestChain = 8

const reachOfCode = (code: string, syscall: unknown): Reach | undefined =>
  neverSent.has(code)
    ? "NeverSent"
    : neverSentWhileConnecting.has(code)
    ? (syscall === "connect" ? "NeverSent" : "MaybeSent")
    : maybeSent.has(code)
    ? "MaybeSent"
    : tls.has(code) || notWorthRetrying.test(code)
    ? "NotWorthRetrying"
    : undefined

/** By the first code that we know in the chain of causes. When several addresses were tried, all must prove the same. */
const reachOfCauses = (error: unknown, depth = 0): Reach | undefined => {
  let current: any = error
  for (let link = depth; link < longestChain && typeof current === "object" && current !== null; link++) {
    if (Array.isArray(current.errors) && current.errors.length > 0) {
      const reaches = new Set(current.errors.map((one: unknown) => reachOfCauses(one, link + 1)))
      return reaches.size === 1 ? [...reaches][0] as Reach | undefined : "MaybeSent"
    }
    const reach = typeof current.code === "string" ? reachOfCode(current.code, current.syscall) : undefined
    if (reach !== undefined) {
      return reach
    }
    current = current.cause
  }
  return undefined
}

/**
 * How far an exchange that ended with this error came; `undefined` for errors that are not about HTTP.
 *
 * @example
 * import * as HttpFailure from "@holdfast/http/HttpFailure"
 * import * as HttpClientError from "@effect/platform/HttpClientError"
 * import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
 *
 * const refused = new HttpClientError.RequestError({
 *   request: HttpClientRequest.get("http://localhost:1"),
 *   reason: "Transport",
 *   cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" })
 * })
 *
 * console.log(HttpFailure.reachOf(refused)) // "NeverSent"
 *
 * @since 0.1.0
 * @category classification
 */
export const reachOf = (error: unknown): Reach | undefined => {
  if (!HttpClientError.isHttpClientError(error)) {
    return reachOfCauses(error)
  }
  if (error._tag === "RequestError") {
    // A browser hides what went wrong: any transport error may have sent something.
    return error.reason === "Transport" ? reachOfCauses(error.cause) ?? "MaybeSent" : "NotWorthRetrying"
  }
  // "Decode" is said of a bad payload and of a connection that broke in the middle of the body.
  const broken = error.reason === "Decode" ? reachOfCauses(error.cause) : undefined
  if (broken !== undefined) {
    return broken === "NeverSent" ? "MaybeSent" : broken
  }
  return error.reason === "Decode" && isTransportTypeError(error.cause) ? "MaybeSent" : "Answered"
}

/** fetch tells of a body that broke off by a `TypeError`; a bad payload is a `SyntaxError`. */
const isTransportTypeError = (cause: unknown): boolean =>
  cause instanceof TypeError && (cause.message === "terminated" || /network|load failed/i.test(cause.message))

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Classes of single statuses, over those of `Outcome.ofStatus`: `{ 404: "Retryable" }` for a store that lags behind. */
  readonly statuses?: { readonly [status: number]: Outcome.Class } | undefined
  /** Waits that a server asks for are not believed beyond this. Default 1 hour. */
  readonly longestRetryAfter?: Duration.DurationInput | undefined
  /** What is not about HTTP. Default `Failure.classify`. */
  readonly otherwise?: Failure.Classify | undefined
}

/** A response that was read under a policy knows when it came, which a date in its headers is read against. */
const arrivedAt = (response: HttpClientResponse.HttpClientResponse): number | undefined =>
  (response as { readonly arrivedAt?: number }).arrivedAt

const isResponse = (value: unknown): value is HttpClientResponse.HttpClientResponse =>
  typeof value === "object" && value !== null && ResponseTypeId in value

/** The request was not made, and the server is not to blame. Not proved unsent: a body may fail after its first part. */
const notMade: Outcome.Outcome = Object.freeze({ class: "Rejected", retryAfter: undefined, neverSent: false })
const unsent: Outcome.Outcome = Outcome.make("Retryable", { neverSent: true })

/**
 * Builds a classifier for policies around HTTP calls.
 *
 * | end | outcome |
 * | --- | --- |
 * | a response, or an error about its status | by status, which it carries, with the wait that it asks for |
 * | never sent | `Retryable`, may be repeated whatever the method |
 * | maybe sent | `Retryable` |
 * | answered with a payload that cannot be read | `Permanent` |
 * | TLS and certificates | `Unclassified`: no retry, but a failure for the breaker, since nothing gets through |
 * | a URL or a body that cannot be written | `Rejected`: no retry, and the breaker ignores it |
 * | an error of a policy inside a `RequestError` | what the policy's error says |
 *
 * @example
 * import * as HttpFailure from "@holdfast/http/HttpFailure"
 *
 * const classify = HttpFailure.make({ statuses: { 404: "Retryable" } })
 *
 * console.log(typeof classify) // "function"
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Failure.Classify => {
  const { longestRetryAfter, otherwise = Failure.classify, statuses } = options
  // Looked up for every answer: a success builds nothing. Statuses have three digits, so it stays small.
  const plain = new Map<number, Outcome.Outcome>()
  const ofStatus = (status: number): Outcome.Outcome => {
    const known = plain.get(status)
    if (known !== undefined) {
      return known
    }
    const outcome = Outcome.make(statuses?.[status] ?? Outcome.ofStatus(status), { status: String(status) })
    if (status >= 100 && status < 1000) {
      plain.set(status, outcome)
    }
    return outcome
  }
  const ofResponse = (response: HttpClientResponse.HttpClientResponse): Outcome.Outcome => {
    const outcome = ofStatus(response.status)
    if (outcome.class === "Success" || outcome.class === "Permanent") {
      return outcome
    }
    const retryAfter = RateLimitHeaders.retryAfter(response.headers, {
      now: arrivedAt(response),
      longest: longestRetryAfter
    })
    return retryAfter === undefined
      ? outcome
      : Outcome.make(outcome.class, { retryAfter, status: outcome.status, neverSent: outcome.neverSent })
  }
  const ofError = (error: unknown, exit: Exit.Exit<unknown, unknown>): Outcome.Outcome => {
    if (!HttpClientError.isHttpClientError(error)) {
      return otherwise(exit)
    }
    if (error._tag === "ResponseError" && error.reason === "StatusCode") {
      return ofResponse(error.response)
    }
    const cause: unknown = error.cause
    if (typeof cause === "object" && cause !== null && Outcome.ClassTypeId in cause) {
      return Failure.classifyError(cause)
    }
    switch (reachOf(error)) {
      case "NeverSent":
        return unsent
      case "MaybeSent":
        return Outcome.retryable
      case "Answered":
        return Outcome.permanent
      default:
        return error._tag === "RequestError" && error.reason !== "Transport" || isOurs(cause)
          ? notMade
          : Outcome.unclassified
    }
  }
  return (exit) =>
    exit._tag === "Success"
      ? (isResponse(exit.value) ? ofResponse(exit.value) : otherwise(exit))
      : exit.cause._tag === "Fail"
      ? ofError(exit.cause.error, exit)
      : Failure.classifyCause(exit.cause, (error) => ofError(error, exit))
}

/** Refused by the transport before it connected: a header or an argument that cannot be sent. */
const isOurs = (cause: unknown): boolean => {
  let current: any = cause
  for (let link = 0; link < longestChain && typeof current === "object" && current !== null; link++) {
    if (
      typeof current.code === "string" &&
      /^(?:ERR_INVALID_|ERR_HTTP_INVALID_|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/.test(current.code)
    ) {
      return true
    }
    current = current.cause
  }
  return false
}

/**
 * The classifier with nothing changed.
 *
 * @since 0.1.0
 * @category classification
 */
export const classify: Failure.Classify = make()
