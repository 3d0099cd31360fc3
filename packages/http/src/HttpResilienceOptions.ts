/**
 * What can be chosen about HTTP beside the policy itself.
 *
 * @since 0.1.0
 */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as Call from "@holdfast/core/Call"
import type * as Failure from "@holdfast/core/Failure"
import * as CoreOptions from "@holdfast/core/Options"
import * as Outcome from "@holdfast/core/Outcome"
import * as Duration from "effect/Duration"
import type * as IdempotencyKey from "./IdempotencyKey.js"
import { isToken } from "./internal/token.js"

/**
 * How a policy is fitted to HTTP: how far it reaches (`until`, `bodyLimit`, the timeouts), what may be sent again (`idempotencyKey`,
 * `replayableBody`), what a call is (`operation`, `key`, `facts`), what an answer means (`statuses`, `classify`), and what the server is
 * told (`headers`). All are optional, and what is left out is safe: nothing is sent twice that may not be.
 *
 * @example
 * import type * as HttpResilience from "@holdfast/http/HttpResilience"
 *
 * const options: HttpResilience.Options = {
 *   operation: (request) => request.url.includes("/orders/") ? "GET /orders/:id" : undefined,
 *   idempotencyKey: true,
 *   statuses: { 423: "Retryable" },
 *   bodyLimit: 64 * 1024
 * }
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How far the policy reaches. `"body"` (default): until the body is read, up to `bodyLimit`; a connection that breaks off or hangs in the
   * middle of it is a failure of the attempt. `"headers"`: until the headers are there, and the body is read by the caller
   * under `idleTimeout`. Event streams (`text/event-stream`) are handed over at their headers either way; the body of an error about a
   * status (`filterStatus`) is read inside either way, since its connection goes with the attempt.
   */
  readonly until?: "body" | "headers" | undefined
  /** The bytes of a body that are read inside the policy; the rest is read by the caller under `idleTimeout`. Default 1 MiB. */
  readonly bodyLimit?: number | undefined
  /** The longest wait for the next part of a body that is read on after the policy. Default: the attempt timeout of the policy, else 30 s. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** The longest wait for the headers of an answer, within the limits of the policy. Default: none of its own. */
  readonly headersTimeout?: Duration.DurationInput | undefined
  /**
   * `true` gives every POST and PATCH a key that all its attempts carry, which makes it repeatable unless `facts` or the declared
   * operation say that it is not. Default `false`: they are sent again only if nothing was sent, or if they carry an `idempotency-key`
   * already.
   */
  readonly idempotencyKey?: boolean | IdempotencyKey.Options | undefined
  /**
   * A promise of yours: streams given as bodies can be run again from their beginning. Default `false`: such a request is sent once. If it
   * is `true` and a stream cannot, an attempt after the first sends what is left of it.
   */
  readonly replayableBody?: boolean | undefined
  /** The route template of a request, `GET /orders/:id`: a metric label, so it must not carry identifiers. Default none. */
  readonly operation?: ((request: HttpClientRequest.HttpClientRequest) => string | undefined) | undefined
  /** What a keyed policy or limiter tells requests apart by: `"origin"` or a function. Default: the origin, where a policy is keyed. */
  readonly key?: "origin" | ((request: HttpClientRequest.HttpClientRequest) => string) | undefined
  /**
   * Further facts about the call; one that is given goes over what is found out here. `repeatable: true` goes over the method, and never
   * over an operation that is declared `repeatable: false`. A body that cannot be sent twice is not, whatever they say.
   */
  readonly facts?: ((request: HttpClientRequest.HttpClientRequest) => Call.Facts) | undefined
  /** Classes of single statuses, over those of `Outcome.ofStatus`. A `classify` of your own does not see them. */
  readonly statuses?: { readonly [status: number]: Outcome.Class } | undefined
  /**
   * Takes the place of the whole classification, `HttpFailure.make(...)`, and so of `statuses`, `longestRetryAfter` and the
   * `retryConflict` of a key: give them to the `HttpFailure.make` of your own.
   */
  readonly classify?: Failure.Classify | undefined
  /** A longer wait that a server asks for is longer than any caller waits: no retry, and an open circuit for as long as it may be. Default 1 hour. */
  readonly longestRetryAfter?: Duration.DurationInput | undefined
  /** The headers that tell the server about the call; `false` sends none of them. */
  readonly headers?: false | {
    /** Carries what is left for this attempt, in whole milliseconds. Default `x-deadline-remaining-ms`. */
    readonly deadline?: string | false | undefined
    /** Carries the number of the attempt, 1 for the first. Default `x-request-attempt`. */
    readonly attempt?: string | false | undefined
  } | undefined
}

/**
 * The values of what is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaults = {
  bodyLimit: 1024 * 1024,
  idleTimeout: Duration.seconds(30),
  deadlineHeader: "x-deadline-remaining-ms",
  attemptHeader: "x-request-attempt"
} as const

type Test = readonly [allowed: string, isAllowed: (value: any) => boolean]

const duration: Test = ["a finite duration above zero, such as \"2 seconds\"", (value) => {
  const millis = CoreOptions.millisOf(value)
  return millis > 0 && millis < Infinity
}]
const callable: Test = ["a function", (value) => typeof value === "function"]
const flag: Test = ["true or false", (value) => typeof value === "boolean"]
const record = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const header = (value: unknown): boolean =>
  value === undefined || value === false || typeof value === "string" && isToken(value)

const keyFields: ReadonlyArray<string> = ["header", "form", "create", "methods", "retryConflict"]

const headerFields: ReadonlyArray<string> = ["deadline", "attempt"]

const fields: { readonly [K in keyof Required<Options>]: Test } = {
  until: ["one of \"body\", \"headers\"", (value) => value === "body" || value === "headers"],
  bodyLimit: ["a whole number of bytes, 0 or more", (value) => Number.isInteger(value) && value >= 0],
  idleTimeout: duration,
  headersTimeout: duration,
  idempotencyKey: [
    `true, false, or a record of ${keyFields.join(", ")}`,
    (value) =>
      typeof value === "boolean" || record(value) && Object.keys(value).every((field) => keyFields.includes(field)) &&
        [undefined, "quoted", "bare"].includes(value.form as string | undefined) &&
        (value.header === undefined || typeof value.header === "string" && isToken(value.header))
  ],
  replayableBody: flag,
  operation: callable,
  key: ["\"origin\" or a function", (value) => value === "origin" || typeof value === "function"],
  facts: callable,
  statuses: [
    "a record of classes by status",
    (value) => record(value) && Object.values(value).every((one) => Outcome.classes.includes(one as Outcome.Class))
  ],
  classify: callable,
  longestRetryAfter: duration,
  headers: [
    `false, or a record of ${headerFields.join(", ")}, each a name or false`,
    (value) =>
      value === false || record(value) &&
        Object.entries(value).every(([field, one]) => headerFields.includes(field) && header(one))
  ]
}

/** A record whose fields throw when they are read is none. */
const passes = ([, isAllowed]: Test, value: unknown): boolean => {
  try {
    return isAllowed(value)
  } catch {
    return false
  }
}

/**
 * Throws `InvalidOptions` with all that is wrong at once.
 *
 * @internal
 */
export const check = (owner: string, options: Options): void => {
  const findings: Array<CoreOptions.Finding> = []
  for (const [field, value] of new CoreOptions.Validation(owner).entries("options", options)) {
    const test = Object.hasOwn(fields, field) ? fields[field as keyof Options] : undefined
    if (test === undefined) {
      findings.push({ field, value, allowed: CoreOptions.unknownName("field", field, Object.keys(fields)) })
    } else if (value !== undefined && !passes(test, value)) {
      findings.push({ field, value, allowed: test[0] })
    }
  }
  if (findings.length > 0) {
    throw new CoreOptions.InvalidOptions({ owner, findings })
  }
}
