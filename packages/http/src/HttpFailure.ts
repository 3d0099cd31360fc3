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
import { callerFaultOf, refusalIn } from "./internal/callerFault.js"
import { reachOfCauses } from "./internal/reach.js"
import { OptionsCheck } from "./internal/serverOptions.js"
import * as RateLimitHeaders from "./RateLimitHeaders.js"

/**
 * How far an exchange that failed came.
 *
 * - `NeverSent`: it is proved that no byte of the request left: refused, unknown host, connect timeout, no connection in time.
 * - `MaybeSent`: the connection broke, before or while the answer was read; the server may have done the work.
 * - `Answered`: the server answered; its status or its payload is the failure.
 * - `NotWorthRetrying`: another try ends the same way: a bad certificate, a bad URL, a header that cannot be sent.
 *
 * @since 0.1.0
 * @category models
 */
export type Reach = "NeverSent" | "MaybeSent" | "Answered" | "NotWorthRetrying"

export {
  /**
   * The code of the error by which `UndiciDispatcher` ends a request that found no connection in time.
   *
   * @since 0.1.0
   * @category constructors
   */
  poolTimeoutCode
} from "./internal/codes.js"

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
    return error.reason === "Transport"
      ? reachOfCauses(error.cause) ?? (isRedirectFailure(error.cause) ? "Answered" : "MaybeSent")
      : "NotWorthRetrying"
  }
  // "Decode" is said of a bad payload and of a connection that broke in the middle of the body.
  const broken = error.reason === "Decode" ? reachOfCauses(error.cause) : undefined
  if (broken !== undefined) {
    return broken === "NeverSent" ? "MaybeSent" : broken
  }
  return error.reason === "Decode" && isTransportTypeError(error.cause) ? "MaybeSent" : "Answered"
}

/** What `fetch` and undici say of redirects that they do not follow: a loop, an address that they do not call. They give it no code. */
const redirectFailures: ReadonlySet<unknown> = new Set([
  "redirect count exceeded",
  "max redirects",
  "unexpected redirect",
  "URL scheme must be a HTTP(S) scheme",
  "bad port",
  "cross origin not allowed for request mode \"cors\"",
  "URL cannot contain credentials for request mode \"cors\""
])

const isRedirectFailure = (cause: any): boolean =>
  redirectFailures.has(cause?.message) || redirectFailures.has(cause?.cause?.message)

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
  /** A longer wait that a server asks for is longer than any caller waits: no retry, and an open circuit for as long as it may be. Default 1 hour. */
  readonly longestRetryAfter?: Duration.DurationInput | undefined
  /** What is not about HTTP. Default `Failure.classify`. */
  readonly otherwise?: Failure.Classify | undefined
}

/** A response that was read under a policy knows when it came, which a date in its headers is read against. */
const arrivedAt = (response: HttpClientResponse.HttpClientResponse): number | undefined =>
  (response as { readonly arrivedAt?: number }).arrivedAt

const isResponse = (value: unknown): value is HttpClientResponse.HttpClientResponse =>
  typeof value === "object" && value !== null && ResponseTypeId in value

const unsent: Outcome.Outcome = Outcome.make("Retryable", { neverSent: true })

/**
 * Builds a classifier for policies around HTTP calls.
 *
 * | end | outcome |
 * | --- | --- |
 * | a response, or an error about its status | by status, which it carries, with the wait that it asks for |
 * | never sent | `Retryable`, may be repeated whatever the method |
 * | maybe sent | `Retryable` |
 * | answered with a payload that cannot be read, or with redirects that go round or nowhere | `Permanent` |
 * | TLS and certificates | `Unclassified`: no retry, but a failure for the breaker, since nothing gets through |
 * | a URL, a scheme, a method or a header that cannot be sent | `Rejected`, by the caller's fault: no retry, no fallback, and the breaker ignores it |
 * | a body of the caller's that fails, or whose length is not the one stated | `Permanent`, by the caller's fault: the same, but part of it may have been sent |
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
  const check = new OptionsCheck("HttpFailure.make")
  check.record(options, ["statuses", "longestRetryAfter", "otherwise"])
  const { longestRetryAfter, otherwise = Failure.classify, statuses } = options
  check.optional(longestRetryAfter, (value) => check.duration("longestRetryAfter", value))
  check.optional(statuses, (value) => check.statuses("statuses", value))
  check.callable("otherwise", otherwise)
  check.done()
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
    if (Outcome.ClassTypeId in error) {
      return Failure.classifyError(error)
    }
    const cause: unknown = error.cause
    if (typeof cause === "object" && cause !== null && Outcome.ClassTypeId in cause) {
      return Failure.classifyError(cause)
    }
    const fault = callerFaultOf(error)
    if (fault !== undefined) {
      return fault
    }
    switch (reachOf(error)) {
      case "NeverSent":
        return unsent
      case "MaybeSent":
        return Outcome.retryable
      case "Answered":
        return Outcome.permanent
      default:
        return Outcome.unclassified
    }
  }
  return (exit) =>
    exit._tag === "Success"
      ? (isResponse(exit.value) ? ofResponse(exit.value) : otherwise(exit))
      : exit.cause._tag === "Fail"
      ? ofError(exit.cause.error, exit)
      : refusalIn(exit.cause) ?? Failure.classifyCause(exit.cause, (error) => ofError(error, exit))
}

/**
 * The classifier with nothing changed.
 *
 * @since 0.1.0
 * @category classification
 */
export const classify: Failure.Classify = make()
