/**
 * One call over HTTP under a policy: its facts, its attempts, and what becomes of the responses that nobody gets.
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Call from "@holdfast/core/Call"
import * as Deadline from "@holdfast/core/Deadline"
import type * as Failure from "@holdfast/core/Failure"
import type * as Policy from "@holdfast/core/Policy"
import type { Step } from "@holdfast/core/Step"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as HttpFailure from "../HttpFailure.js"
import { check, defaults, type Options } from "../HttpResilienceOptions.js"
import * as IdempotencyKey from "../IdempotencyKey.js"
import { bodyFailed, invalidUrl, unsendable, withFault } from "./callerFault.js"
import * as guard from "./guard.js"
import { HeldResponse } from "./heldResponse.js"
import { hold, keep, type Reading } from "./hold.js"
import { type Sending, sending, usual } from "./ownHeaders.js"
import { Connection } from "./transport.js"
import { type BodyWatch, watched } from "./watchedBody.js"
import { within } from "./within.js"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse
type Send<E, R> = (request: Request) => Effect.Effect<Response, E, R>

/**
 * The policy of every call, or where a dependency has one for each operation, that of the operation of a call.
 *
 * @internal
 */
export type PolicyOf<E, R> =
  | Policy.Policy<E, R>
  | { readonly by: (operation: string | undefined) => Effect.Effect<Policy.Policy<E, R>> }

/** @internal */
export interface Exchange {
  readonly run: <E, R, E2, R2>(
    policy: PolicyOf<E2, R2>,
    request: Request,
    send: Send<E, R>
  ) => Effect.Effect<Response, E | E2 | HttpClientError.HttpClientError, R | R2>
}

/** The origin of a request, `""` when its URL is none of HTTP: schemes of other kinds share the origin `"null"`. */
const originOf = (request: Request): string =>
  Option.match(HttpClientRequest.toUrl(request), {
    onNone: () => "",
    onSome: ({ origin }) => origin.startsWith("http") ? origin : ""
  })

interface Limits {
  /** The shortest limit of an attempt in milliseconds, `Infinity` without one. */
  readonly attempt: number
  readonly any: boolean
}

const limitsOf = (steps: ReadonlyArray<Step>): Limits => {
  let attempt = Infinity
  let any = false
  for (const { kind, settings } of steps) {
    if (kind === "Timeout") {
      any = true
      if (settings.scope === "attempt") {
        attempt = Math.min(attempt, Number(settings.limitMillis))
      }
    }
  }
  return { attempt, any }
}

/**
 * What the steps of a policy say to an exchange. Those of one policy of many by key are known when the first is built.
 *
 * @internal
 */
export interface Known {
  readonly keyed: boolean
  limits: Limits
}

/** @internal */
export const knownOf = (steps: ReadonlyArray<Step>): Known => ({
  keyed: steps.some(({ kind }) => kind === "Keyed"),
  limits: limitsOf(steps)
})

const guarded: guard.Guard = { policy: true, timeout: false }
const timed: guard.Guard = { policy: true, timeout: true }

const discard = (value: unknown): Effect.Effect<void> => value instanceof HeldResponse ? value.discarded : Effect.void

/**
 * Reads the options once; the steps of the policy tell limits that the options leave open. Where `known` is left out, they are read from
 * each policy that a call has.
 */
export const makeExchange = (owner: string, options: Options, known?: Known): Exchange => {
  check(owner, options)
  const { facts: factsOf, headers, idempotencyKey, key, operation, until } = options
  const keyOptions: IdempotencyKey.Options = typeof idempotencyKey === "object" ? idempotencyKey : {}
  const createsKeys = idempotencyKey !== undefined && idempotencyKey !== false
  const bodyLimit = until === "headers" ? 0 : options.bodyLimit ?? defaults.bodyLimit
  const headersMillis = options.headersTimeout === undefined ? undefined : Duration.toMillis(options.headersTimeout)
  const deadlineHeader = headers === false ? false : headers?.deadline ?? defaults.deadlineHeader
  const attemptHeader = headers === false ? false : headers?.attempt ?? defaults.attemptHeader
  const ownHeaders = [keyOptions.header ?? IdempotencyKey.defaultHeader, deadlineHeader, attemptHeader]
    .filter((name) => name !== false).map((name) => name.toLowerCase())
  // The usual is known without being told, which costs something for every request.
  const told: Sending | undefined =
    options.replayableBody === true || !ownHeaders.every((name) => usual.ownHeaders.includes(name))
      ? {
        ownHeaders: [...usual.ownHeaders, ...ownHeaders],
        deadlineHeader,
        replayableBody: options.replayableBody === true
      }
      : undefined
  const { longestRetryAfter, statuses } = options
  const classify = options.classify ?? HttpFailure.make({ longestRetryAfter, statuses })
  const classifyWithKey = keyOptions.retryConflict !== true || options.classify !== undefined
    ? classify
    : HttpFailure.make({ longestRetryAfter, statuses: { 409: "Overloaded", ...statuses } })
  const keyOf = typeof key === "function" ? key : key === "origin" || known?.keyed === true ? originOf : undefined
  const idleTimeout = options.idleTimeout === undefined ? undefined : Duration.toMillis(options.idleTimeout)
  const defaultIdleTimeout = Duration.toMillis(defaults.idleTimeout)

  const read = new WeakMap<Policy.Policy.Any, Known>()
  /** The policy of a dependency is replaced when it is reconfigured: what was read from its steps goes with it. */
  const knownBy = (policy: Policy.Policy.Any): Known => {
    let found = known ?? read.get(policy)
    if (found === undefined) {
      found = knownOf(policy.steps)
      read.set(policy, found)
    }
    return found
  }

  // The method and the key only say what is assumed: what the call and its operation say of repeating goes over them.
  const facts = (request: Request, oneShot: BodyWatch | undefined): Call.Facts => {
    const given = factsOf?.(request)
    const hasKey = IdempotencyKey.isPresent(request, keyOptions.header)
    const base = given?.classify ?? (hasKey ? classifyWithKey : classify)
    return {
      ...given,
      operation: given?.operation ?? operation?.(request),
      key: given?.key ?? keyOf?.(request),
      repeatable: oneShot === undefined ? given?.repeatable : false,
      repeatableByDefault: given?.repeatableByDefault ?? (hasKey || IdempotencyKey.isRepeatable(request.method)),
      classify: oneShot === undefined ? base : onceBegun(base, oneShot),
      discard
    }
  }

  const outgoing = (request: Request, call: Call.Call, left: number): Request => {
    const added: Record<string, string> = {}
    if (attemptHeader !== false) {
      added[attemptHeader] = String(call.attempt)
    }
    if (deadlineHeader !== false && left < Infinity) {
      added[deadlineHeader] = String(Math.max(0, Math.floor(left)))
    }
    // Always a new object: the abort of an exchange is tied to the identity of its request.
    return HttpClientRequest.setHeaders(request, added)
  }

  const limited = <E, R>(effect: Effect.Effect<Response, E, R>, request: Request) =>
    headersMillis === undefined ? effect : within(effect, headersMillis, () =>
      new HttpClientError.RequestError({
        request,
        reason: "Transport",
        description: `no headers came for ${headersMillis} ms`,
        cause: Object.assign(new Error("headers timeout"), { code: "UND_ERR_HEADERS_TIMEOUT" })
      }))

  /** `origin` is the request as the caller made it, `given` the one that every attempt sends a copy of. */
  const attempt = <E, R>(
    origin: Request,
    given: Request,
    body: BodyWatch,
    call: Call.Call,
    send: Send<E, R>,
    handedOver: Array<HeldResponse>,
    { limits }: Known
  ): Effect.Effect<HeldResponse, E | HttpClientError.HttpClientError, R> =>
    Effect.uninterruptibleMask((restore) => {
      const fiber = Option.getOrThrow(Fiber.getCurrentFiber())
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      const idleMillis = idleTimeout ?? (limits.attempt < Infinity ? limits.attempt : defaultIdleTimeout)
      const request = outgoing(given, call, Math.min(limits.attempt, Deadline.unsafeRemaining(fiber)))
      const connection = new Connection(request, origin)
      const reading = (upTo: number): Reading => ({ upTo, idleMillis, arrivedAt: clock.unsafeCurrentTimeMillis() })
      const unlimited = send(request)
      const sent = guard.within(
        limited(told === undefined ? unlimited : Effect.locally(unlimited, sending, told), request),
        limits.any || call.deadline !== undefined ? timed : guarded
      )
      const held = Effect.flatMap(sent, (response) => {
        connection.answered(response)
        return hold(response, connection, reading(bodyLimit))
      })
      const giveUp = (cause: Cause.Cause<E | HttpClientError.HttpClientError>) => {
        connection.sent()
        return Effect.zipRight(
          connection.close,
          Effect.failCause(
            body.failed !== undefined && isUnanswered(cause)
              ? Cause.fail(bodyFailed(request, body.failed))
              : withFault(cause, request)
          )
        )
      }
      return Effect.matchCauseEffect(
        restore(call.attempt > 1 ? Effect.annotateSpans(held, "http.request.resend_count", call.attempt - 1) : held),
        {
          onFailure: (cause) => {
            const error = statusError(cause)
            return error === undefined ? giveUp(cause) : Effect.matchCauseEffect(
              // The error keeps its response: the body is read now, since the connection is given up with the attempt.
              restore(keep(error.response, connection, reading(options.bodyLimit ?? defaults.bodyLimit))),
              {
                onFailure: giveUp,
                onSuccess: (response) => giveUp(Cause.fail(withResponse(error, response)))
              }
            )
          },
          onSuccess: (response) => {
            connection.sent()
            if (response.complete) {
              connection.settled(!IdempotencyKey.isReplayable(given.body))
            } else {
              handedOver.push(response)
            }
            return Effect.succeed(response)
          }
        }
      )
    })

  return {
    run: (policyOf, given, send) => {
      const begin = (request: Request) => {
        if (keyOf === originOf && originOf(request) === "") {
          // A policy of its own would be built for it, and take the place of another.
          return Effect.fail(invalidUrl(request))
        }
        const failed = unsendable(request)
        if (failed !== undefined) {
          const stated = facts(request, undefined)
          return chosen(policyOf, stated, (policy) => policy.run(() => Effect.fail(failed), stated))
        }
        const body: BodyWatch = { begun: request.body._tag !== "Stream", failed: undefined }
        const replayable = IdempotencyKey.isReplayable(request.body)
        const oneShot = replayable || options.replayableBody === true ? undefined : body
        const watchedRequest = replayable ? request : watched(request, body)
        // Open responses of this call. One that does not become its end, since a limit rang or the caller left while it was handed over,
        // would keep its connection until it is collected as garbage.
        const handedOver: Array<HeldResponse> = []
        const others = (kept: unknown): Effect.Effect<void> =>
          Effect.forEach(handedOver, (response) => response === kept ? Effect.void : response.released, {
            discard: true
          })
        const stated = facts(request, oneShot)
        return Effect.uninterruptibleMask((restore) => {
          const under = (policy: Policy.Policy<any, any>) => {
            const about = knownBy(policy)
            return policy.run((call) => attempt(given, watchedRequest, body, call, send, handedOver, about), stated)
          }
          return Effect.matchCauseEffect(
            restore(chosen(policyOf, stated, under)),
            {
              onFailure: (cause) =>
                handedOver.length === 0
                  ? Effect.failCause(cause)
                  : Effect.zipRight(others(undefined), Effect.failCause(cause)),
              onSuccess: (response) =>
                handedOver.length === 0 ? Effect.succeed(response) : Effect.as(others(response), response)
            }
          )
        })
      }
      return createsKeys ? Effect.flatMap(IdempotencyKey.ensure(given, keyOptions), begin) : begin(given)
    }
  }
}

/** Runs what is to be run under the policy of the call. */
const chosen = <E2, R2, A, E, R>(
  policyOf: PolicyOf<E2, R2>,
  { operation }: Call.Facts,
  under: (policy: Policy.Policy<E2, R2>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => "by" in policyOf ? Effect.flatMap(policyOf.by(operation), under) : under(policyOf)

/** The error of an answer whose status somebody below does not take. */
const statusError = (cause: Cause.Cause<unknown>): HttpClientError.ResponseError | undefined => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  return HttpClientError.isHttpClientError(error) && error._tag === "ResponseError" && error.reason === "StatusCode"
    ? error
    : undefined
}

/** A body that failed is why there is no answer. An answer that is there, and an interruption, stand for themselves. */
const isUnanswered = (cause: Cause.Cause<unknown>): boolean => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  return !Cause.isInterruptedOnly(cause) &&
    !(HttpClientError.isHttpClientError(error) && error._tag === "ResponseError")
}

const withResponse = (
  { cause, description, request }: HttpClientError.ResponseError,
  response: Response
): HttpClientError.ResponseError =>
  new HttpClientError.ResponseError({
    request,
    response,
    reason: "StatusCode",
    cause,
    ...(description === undefined ? {} : { description })
  })

/** Nothing may be sent a second time from a body that was read into, even if no byte of it reached the server. */
const onceBegun = (classify: Failure.Classify, oneShot: BodyWatch): Failure.Classify => (exit) => {
  const outcome = classify(exit)
  return oneShot.begun && outcome.neverSent && outcome.class !== "Rejected" ? { ...outcome, neverSent: false } : outcome
}
