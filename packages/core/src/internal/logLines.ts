/**
 * The log line of every event: its level, its sentence and its fields.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Call from "../Call.js"
import type {
  ChaosInjected,
  CircuitChanged,
  FallbackServed,
  ResilienceEvent,
  RetryGivenUp,
  TimeoutFired
} from "../ResilienceEvent.js"
import type * as TripPolicy from "../TripPolicy.js"
import type * as Window from "../Window.js"
import { callFields, endpointOf, whomOf } from "./log.js"
import { ownNames } from "./own.js"
import { keyOf } from "./records.js"

type Fields = Readonly<Record<string, unknown>>

/** @internal */
export interface Line {
  readonly level: LogLevel.LogLevel
  readonly message: string
  /** What is true of every line of this kind about this piece. */
  readonly fields: Fields
  /** What is true of this one event. */
  readonly own: Fields
  readonly cause?: Cause.Cause<unknown> | undefined
}

/**
 * The level of each kind of event. `None` for what core logs on its own, whether anybody listens or not, and for the ends of calls,
 * which metrics are for.
 *
 * @internal
 */
export const levels: Readonly<Record<ResilienceEvent["_tag"], LogLevel.LogLevel>> = {
  CallEnded: LogLevel.None,
  AttemptEnded: LogLevel.None,
  TimeoutFired: LogLevel.Warning,
  FinalizerDied: LogLevel.None,
  RetryScheduled: LogLevel.Debug,
  RetryGivenUp: LogLevel.Debug,
  CircuitOpened: LogLevel.Error,
  CircuitHalfOpened: LogLevel.Info,
  CircuitClosed: LogLevel.Info,
  CircuitIsolated: LogLevel.Warning,
  CircuitDisabled: LogLevel.Warning,
  CircuitRejected: LogLevel.Info,
  LateResult: LogLevel.Debug,
  BulkheadQueued: LogLevel.Debug,
  BulkheadRejected: LogLevel.Warning,
  RateLimitExceeded: LogLevel.Warning,
  FallbackServed: LogLevel.Info,
  FallbackFailed: LogLevel.Warning,
  FallbackRehearsed: LogLevel.Info,
  ChaosInjected: LogLevel.Warning,
  UnclassifiedFailure: LogLevel.None,
  PolicyFault: LogLevel.None
}

/** What a line is told apart by from others of its kind, when they are counted. */
type Subject = string

const millis = (duration: Duration.Duration): string => `${Math.round(Duration.toMillis(duration))}ms`

/** @internal */
export const seconds = (millis: number): string => `${Math.round(millis / 100) / 10}s`

const snake = (tag: string): string => tag.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase()

const longestText = 200

/**
 * What the failure says of itself, in one line.
 *
 * @internal
 */
export const errorText = (cause: Cause.Cause<unknown>): string => {
  const error: any = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
  const said = typeof error?.message === "string" && error.message !== "" ? error.message : error?._tag ?? String(error)
  const line = String(said).split("\n")[0]!
  return line.length > longestText ? `${line.slice(0, longestText)}...` : line
}

const aboutCall = (call: Call.Call): Fields => ({ dependency: call.dependency, endpoint: endpointOf(call) })

const ofCall = (call: Call.Call): Subject => keyOf(call.dependency, call.operation)

const windowText = (window: Window.Window): string =>
  window._tag === "Time" ? seconds(window.millis) : `${window.size} calls`

const percent = (share: number): string => `${Math.round(share * 1000) / 10}%`

const tripFields = ({ calls, counted, policy }: TripPolicy.Trip): Fields => {
  switch (policy._tag) {
    case "Consecutive":
      return { failure_count: counted, threshold: policy.failures, window: "consecutive" }
    case "Failures":
      return { failure_count: counted, threshold: policy.failures, window: seconds(policy.withinMillis) }
    case "FailureRate":
      return { failure_count: counted, calls, threshold: percent(policy.threshold), window: windowText(policy.window) }
    case "SlowCallRate":
      return {
        slow_count: counted,
        slower_than: seconds(policy.slowerThanMillis),
        calls,
        threshold: percent(policy.threshold),
        window: windowText(policy.window)
      }
  }
}

const timeoutText = ({ call, inherited, limit, scope }: TimeoutFired): string => {
  const whom = `Request to ${whomOf(call)}`
  if (inherited) {
    return scope === "queue"
      ? `${whom} was not sent before the deadline of its caller`
      : `${whom} was ended by the deadline of its caller`
  }
  return scope === "queue"
    ? `${whom} ran out of its ${millis(limit)} before it was sent`
    : `${whom} timed out after ${millis(limit)}${scope === "total" ? " in all" : ""}`
}

/** A later alarm than this means that the event loop was blocked. */
const lateness = 20

const givenUpWords: Readonly<Record<RetryGivenUp["reason"], string>> = {
  exhausted: "all attempts are made",
  budget: "the retry budget is used up",
  deadline: "the deadline is nearer than the next attempt",
  retryAfter: "the dependency asks for a longer wait than is allowed",
  notRepeatable: "it must not be made twice",
  probe: "a probe makes one attempt"
}

const circuitText = (event: CircuitChanged, whom: string): string => {
  switch (event._tag) {
    case "CircuitOpened":
      return event.trip === undefined
        ? `Circuit OPENED again for ${whom}, its probe failed`
        : `Circuit OPENED for ${whom}`
    case "CircuitHalfOpened":
      return `Circuit HALF-OPEN for ${whom}, testing`
    case "CircuitClosed":
      return event.call === undefined
        ? `Circuit CLOSED for ${whom}, reset by hand`
        : `Circuit CLOSED for ${whom} (recovered)`
    case "CircuitIsolated":
      return `Circuit ISOLATED by hand for ${whom}, every call fails until it is reset`
    case "CircuitDisabled":
      return `Circuit DISABLED by hand for ${whom}, every call passes and none is counted until it is reset`
  }
}

const servedText = (kind: string, whom: string): string => {
  switch (kind) {
    case "cache":
      return `Serving cached ${whom} (fallback)`
    case "default":
      return `Serving the default of ${whom} (fallback)`
    case "defer":
      return `Accepted for later: ${whom} (fallback)`
    case "disable":
      return `Switched off for now: ${whom} (fallback)`
    default:
      return `Serving a substitute of ${whom} (fallback)`
  }
}

const chaosText = ({ delay, fault }: ChaosInjected): string =>
  fault === "latency" && delay !== undefined ? `${millis(delay)} delay` : fault === "answer" ? "wrong answer" : fault

/** What was wrong before the fallback was used, where it was more than a circuit that is open. */
const beforeOf = (event: FallbackServed): "failed" | "full" | undefined =>
  event.outcome.class !== "Rejected" ? "failed" : event.reason === "BulkheadFull" ? "full" : undefined

const beforeText = (before: "failed" | "full", whom: string): string =>
  before === "failed" ? `All attempts to ${whom} failed, using fallback` : `Bulkhead of ${whom} full, using fallback`

/**
 * The level of one event, cheap to ask for; `None` for one that is not logged.
 *
 * @internal
 */
export const levelOf = (event: ResilienceEvent): LogLevel.LogLevel => {
  switch (event._tag) {
    case "RetryGivenUp":
      return event.reason === "budget" ? LogLevel.Warning : levels.RetryGivenUp
    case "FallbackServed":
      return beforeOf(event) === undefined ? levels.FallbackServed : LogLevel.Warning
    case "FallbackFailed":
      // An empty cache is everyday life; the next tier answers.
      return event.kind === "cache" && !Cause.isDie(event.cause) ? LogLevel.Debug : levels.FallbackFailed
    case "RateLimitExceeded":
      // The limits of a server sum up what they refuse in a warning of their own; what they would refuse is told nowhere else.
      return event.dryRun !== true && event.call.dependency !== undefined && ownNames.includes(event.call.dependency)
        ? LogLevel.Debug
        : levels.RateLimitExceeded
    case "FallbackRehearsed":
      return event.problems > 0 ? LogLevel.Warning : levels.FallbackRehearsed
    default:
      return levels[event._tag]
  }
}

/**
 * What tells the line apart from others of its kind and its level: whatever makes its sentence another one, as far as it is no number.
 *
 * @internal
 */
export const subjectOf = (event: ResilienceEvent): Subject => {
  switch (event._tag) {
    case "TimeoutFired":
      return keyOf(event.scope, event.inherited, ofCall(event.call))
    case "RetryGivenUp":
      return keyOf(event.reason, ofCall(event.call))
    case "CircuitRejected":
      return keyOf(event.call.dependency, event.breaker, event.reason, event.dryRun)
    case "CircuitOpened":
      return keyOf(event.dependency, event.breaker, event.trip === undefined)
    case "CircuitClosed":
      return keyOf(event.dependency, event.breaker, event.call === undefined)
    case "CircuitHalfOpened":
    case "CircuitIsolated":
    case "CircuitDisabled":
      return keyOf(event.dependency, event.breaker)
    case "LateResult":
      return keyOf(event.call.dependency, event.breaker)
    case "BulkheadQueued":
      return keyOf(event.bulkhead, ofCall(event.call))
    case "BulkheadRejected":
      return keyOf(event.bulkhead, event.reason, ofCall(event.call))
    case "RateLimitExceeded":
      return keyOf(event.call.dependency, event.limiter, event.dryRun === true, event.key)
    case "FallbackServed":
      return keyOf(event.fallback, event.tier, event.call?.dependency, beforeOf(event))
    case "FallbackFailed":
      return keyOf(event.fallback, event.tier, event.call?.dependency)
    case "FallbackRehearsed":
      return event.fallback
    case "ChaosInjected":
      return keyOf(event.call.dependency, event.chaos, event.fault)
    case "PolicyFault":
      return event.part
    default:
      return ofCall(event.call)
  }
}

/**
 * The lines of an event, the gravest first; none for one that is not logged.
 *
 * @internal
 */
export const linesOf = (event: ResilienceEvent): ReadonlyArray<Line> => {
  const level = levelOf(event)
  const line = (message: string, fields: Fields, own: Fields, cause?: Cause.Cause<unknown>): ReadonlyArray<Line> => [
    { level, message, fields, own, cause }
  ]
  switch (event._tag) {
    case "TimeoutFired":
      return line(timeoutText(event), { ...aboutCall(event.call), scope: event.scope }, {
        ...callFields(event.call),
        late: event.late || undefined,
        delay: Duration.toMillis(event.delay) > lateness ? millis(event.delay) : undefined
      })
    case "RetryScheduled":
      return line(`Retrying ${whomOf(event.call)} in ${millis(event.delay)}`, aboutCall(event.call), {
        ...callFields(event.call),
        reason: snake(event.outcome.class)
      })
    case "RetryGivenUp":
      return line(`Not retrying ${whomOf(event.call)}: ${givenUpWords[event.reason]}`, {
        ...aboutCall(event.call),
        reason: snake(event.reason)
      }, callFields(event.call))
    case "CircuitOpened":
    case "CircuitHalfOpened":
    case "CircuitClosed":
    case "CircuitIsolated":
    case "CircuitDisabled":
      return line(circuitText(event, event.dependency ?? event.breaker), {
        dependency: event.dependency,
        breaker: event.breaker
      }, {
        ...(event.trip === undefined ? {} : tripFields(event.trip)),
        failed_probes: event.failedProbes > 0 ? event.failedProbes : undefined,
        last_error: event.lastCause === undefined ? undefined : errorText(event.lastCause),
        recovery_timeout: event.openDuration === undefined ? undefined : seconds(Duration.toMillis(event.openDuration)),
        request_id: event.call?.requestId
      })
    case "CircuitRejected":
      return line(
        `Circuit of ${event.call.dependency ?? event.breaker} ${event.dryRun ? "would fail" : "fails"} calls fast`,
        { dependency: event.call.dependency, breaker: event.breaker, reason: event.reason },
        {}
      )
    case "LateResult":
      return line(
        `A result of ${event.call.dependency ?? event.breaker} came too late for its circuit and counts for nothing`,
        { ...aboutCall(event.call), breaker: event.breaker },
        { ...callFields(event.call), outcome: snake(event.outcome.class) }
      )
    case "BulkheadQueued":
      return line(`Waiting for a place in the pool of ${event.call.dependency ?? event.bulkhead}`, {
        ...aboutCall(event.call),
        bulkhead: event.bulkhead
      }, { active: event.active, queued: event.queued, request_id: event.call.requestId })
    case "BulkheadRejected":
      return line(`Pool of ${event.call.dependency ?? event.bulkhead} exhausted, rejecting request`, {
        ...aboutCall(event.call),
        bulkhead: event.bulkhead,
        pool_size: event.maxConcurrent,
        reason: event.reason
      }, {
        active: event.active,
        queued: event.queued,
        rejected: event.rejected,
        request_id: event.call.requestId
      })
    case "RateLimitExceeded":
      return line(
        `Rate limit ${event.limiter} ${event.dryRun === true ? "would refuse" : "exceeded, refusing"} request`,
        { ...aboutCall(event.call), limiter: event.limiter, key: event.key },
        {
          retry_after: event.retryAfter === undefined ? undefined : millis(event.retryAfter),
          request_id: event.call.requestId
        }
      )
    case "FallbackServed":
      return fallbackLines(event)
    case "FallbackFailed":
      return line(
        `The tier ${event.tier} of the fallback ${event.fallback} could not answer`,
        { dependency: event.call?.dependency, fallback: event.fallback, tier: event.tier, kind: event.kind },
        { last_error: errorText(event.cause), request_id: event.call?.requestId },
        Cause.isDie(event.cause) ? event.cause : undefined
      )
    case "FallbackRehearsed":
      return line(
        event.problems === 0
          ? `Fallback ${event.fallback} rehearsed, every tier answers`
          : `Fallback ${event.fallback} rehearsed, not every tier answers`,
        { fallback: event.fallback },
        { tiers: event.tiers, problems: event.problems }
      )
    case "ChaosInjected":
      return line(
        `CHAOS: Injecting ${chaosText(event)} for ${event.call.dependency ?? event.chaos}`,
        { ...aboutCall(event.call), chaos: event.chaos, fault: event.fault },
        callFields(event.call)
      )
    default:
      return []
  }
}

const fallbackLines = (event: FallbackServed): ReadonlyArray<Line> => {
  const whom = event.call?.dependency ?? event.fallback
  const fields = { dependency: event.call?.dependency, fallback: event.fallback, tier: event.tier, kind: event.kind }
  const own = { reason: snake(event.reason), request_id: event.call?.requestId }
  const before = beforeOf(event)
  const serving: Line = {
    level: levels.FallbackServed,
    message: servedText(event.kind, whom),
    fields,
    own: {
      ...own,
      cache_age: event.age === undefined ? undefined : seconds(Duration.toMillis(event.age)),
      inside: event.inside
    }
  }
  return before === undefined
    ? [serving]
    : [{ level: LogLevel.Warning, message: beforeText(before, whom), fields, own }, serving]
}
