/**
 * Turns events into updates of metric series. Everything that an event needs is found by the names in it, and kept.
 */
import type * as Call from "@holdfast/core/Call"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import type * as Outcome from "@holdfast/core/Outcome"
import type * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import type * as Duration from "effect/Duration"
import { families, type Family, other } from "../MetricFamilies.js"
import { type Bound, type Series, seriesOf, Vocabulary } from "./series.js"
import { namesOf, serviceKey, serviceLabel } from "./services.js"

/**
 * Under these names a service limits what comes in to itself. A request passes several such guards, so their calls are neither requests
 * nor anything that was asked of a dependency; what they refuse is counted.
 */
const own: ReadonlySet<string | undefined> = new Set(["http.server"])

/** Longer gaps between answers of a fallback are no time in fallback: nobody asked. In milliseconds. */
const longestGap = 60_000

const labelOf: Readonly<Record<Outcome.Class, string>> = {
  Success: "success",
  Retryable: "retryable",
  Overloaded: "overloaded",
  Permanent: "permanent",
  Unclassified: "unclassified",
  Rejected: "rejected",
  Interrupted: "interrupted"
}

/** `Duration.toSeconds` costs more than the update of a histogram, and this is done for every attempt. */
const secondsOf = ({ value }: Duration.Duration): number =>
  value._tag === "Millis" ? value.millis / 1000 : value._tag === "Nanos" ? Number(value.nanos) / 1e9 : Infinity

const stateOf = {
  CircuitClosed: "closed",
  CircuitOpened: "open",
  CircuitHalfOpened: "half_open",
  CircuitIsolated: "isolated",
  CircuitDisabled: "disabled"
} as const

/** One operation of a service. */
class Endpoint {
  readonly timeouts: Series
  private readonly calls: Vocabulary<Series>
  private readonly attempts: Vocabulary<Series>
  private readonly durations: Vocabulary<Series>
  // Outcomes without a wait are shared values: most calls end as the one before.
  private lastOutcome: Outcome.Outcome | undefined = undefined
  private lastDuration!: Series
  private lastAttempts!: Series
  private lastCallClass: Outcome.Class | undefined = undefined
  private lastCalls!: Series

  constructor(service: string, endpoint: string, bound: Bound) {
    const by = (family: Family) => new Vocabulary(bound, (value) => seriesOf(family, service, endpoint, value))
    this.timeouts = seriesOf(families.timeouts, service, endpoint)
    this.calls = by(families.calls)
    this.attempts = by(families.attempts)
    this.durations = by(families.requestDuration)
  }

  attempt(outcome: Outcome.Outcome, seconds: number): void {
    if (outcome !== this.lastOutcome) {
      const label = labelOf[outcome.class]
      this.lastOutcome = outcome
      this.lastDuration = this.durations.of(outcome.status ?? label)
      this.lastAttempts = this.attempts.of(label)
    }
    this.lastDuration.update(seconds)
    this.lastAttempts.update(1)
  }

  call(outcomeClass: Outcome.Class): void {
    if (outcomeClass !== this.lastCallClass) {
      this.lastCallClass = outcomeClass
      this.lastCalls = this.calls.of(labelOf[outcomeClass])
    }
    this.lastCalls.update(1)
  }
}

/** One dependency, or an operation that has pieces of its own. Its counters are there, at 0, from the first event about it. */
class Service {
  readonly endpoints: Vocabulary<Endpoint>
  readonly retriesPerCall: Series
  readonly trips: Series
  readonly bulkheadRejected: Series
  readonly lateAnswers: Series
  readonly lateResults: Series
  private readonly fallbackSeconds: Series
  private readonly retries: Vocabulary<Vocabulary<Series>>
  private readonly families = new Map<Family, Vocabulary<Series>>()
  private readonly service: string
  private readonly bound: Bound
  private lastFallback: number | undefined = undefined

  constructor(service: string, key: string | undefined, bound: Bound) {
    this.service = service
    this.bound = bound
    this.endpoints = new Vocabulary(bound, (endpoint) => new Endpoint(service, endpoint, bound), {
      isDeclared: (endpoint) =>
        key !== undefined && endpoint !== undefined && DependencyRegistry.isDeclared(namesOf(key)[0], endpoint)
    })
    this.retriesPerCall = seriesOf(families.retriesPerCall, service)
    this.trips = seriesOf(families.circuitTrips, service)
    this.bulkheadRejected = seriesOf(families.bulkheadRejected, service)
    this.lateAnswers = seriesOf(families.lateAnswers, service)
    this.lateResults = seriesOf(families.circuitLateResults, service)
    this.fallbackSeconds = seriesOf(families.fallbackSeconds, service)
    // Where no retried call has succeeded yet, the share of those that did is 0 and not unknown.
    seriesOf(families.retriedCalls, service, "success")
    this.retries = new Vocabulary(
      bound,
      (attempt) => new Vocabulary(bound, (result) => seriesOf(families.retries, service, attempt, result))
    )
  }

  retry(attempt: number, outcome: Outcome.Outcome): void {
    this.retries.of(String(attempt)).of(labelOf[outcome.class]).update(1)
  }

  /** Counts one of a family whose labels are the service and one value. */
  count(family: Family, value: string): void {
    let vocabulary = this.families.get(family)
    if (vocabulary === undefined) {
      vocabulary = new Vocabulary(this.bound, (label) => seriesOf(family, this.service, label))
      this.families.set(family, vocabulary)
    }
    vocabulary.of(value).update(1)
  }

  fellBack(at: number): void {
    const since = this.lastFallback === undefined ? 0 : at - this.lastFallback
    if (since > 0 && since <= longestGap) {
      this.fallbackSeconds.update(since / 1000)
    }
    this.lastFallback = at
  }

  succeeded(): void {
    this.lastFallback = undefined
  }
}

interface Place {
  readonly service: Service
  readonly endpoint: Endpoint
}

/**
 * The service that a piece is of: `payments` for `payments.circuitBreaker`, the operation `charge` of it for `payments.charge.circuitBreaker`,
 * which an operation has for itself; a piece with a name of its own is of its dependency.
 */
const serviceOf = (dependency: string, piece: string): string => {
  const from = dependency.length + 1
  const to = piece.lastIndexOf(".")
  return serviceKey(dependency, piece.startsWith(`${dependency}.`) && to > from ? piece.slice(from, to) : undefined)
}

/** A name that is remembered, told apart from the words that stand for what is not. */
const remember = (name: string): string => `=${name}`
const isRemembered = (word: string): boolean => word.startsWith("=")

/** Under which name a call is counted: the policies that a keyed policy keeps are one service. */
const nameOf = (call: Call.Call | undefined): string | undefined => call?.keyed ?? call?.dependency

/** Is a service one that the program declares, a dependency or an operation of one? */
const isDeclared = (key: string | undefined): boolean => {
  const [dependency, operation] = key === undefined ? [] : namesOf(key)
  return DependencyRegistry.isDeclared(dependency, operation)
}

/**
 * Effect's metrics are those of the process, and so is who counts them: a second one would count every event a second time.
 *
 * @internal
 */
export class Recorder {
  private readonly services: Vocabulary<Service>
  /** By the names of breakers and bulkheads. */
  private readonly pieces: Vocabulary<Vocabulary<Service>>
  private most = 0
  private lastName: string | undefined = undefined
  private lastOperation: string | undefined = undefined
  private lastPlace: Place | undefined = undefined

  constructor() {
    const most = () => this.most
    const bound: Bound = {
      get most() {
        return most()
      }
    }
    // No label of its own: the bound only keeps what is remembered small, and there are more pieces than services.
    const remembered: Bound = {
      get most() {
        return 4 * most()
      }
    }
    this.services = new Vocabulary(bound, (label, key) => new Service(label, key, bound), {
      isDeclared,
      labelOf: serviceLabel
    })
    const service = (dependency: string, piece: string): Service =>
      dependency === other || piece === other
        ? this.services.others
        : !isRemembered(dependency)
        ? this.services.of(undefined)
        : this.services.of(serviceOf(dependency.slice(1), piece.slice(1)))
    this.pieces = new Vocabulary(
      remembered,
      (dependency) => new Vocabulary(remembered, (piece) => service(dependency, piece), { labelOf: remember }),
      { isDeclared: (dependency) => DependencyRegistry.isDeclared(dependency), labelOf: remember }
    )
  }

  /** Of several bounds the largest counts. */
  allow(most: number): void {
    this.most = Math.max(this.most, most)
  }

  readonly listen: ResilienceEvent.Listener = (event) => {
    switch (event._tag) {
      case "AttemptEnded": {
        const { call, duration, outcome } = event
        const place = this.placeOf(call)
        if (place === undefined) {
          return
        }
        place.endpoint.attempt(outcome, secondsOf(duration))
        if (call.attempt > 1) {
          place.service.retry(call.attempt, outcome)
        }
        return
      }
      case "CallEnded": {
        const { attempts, call, outcome } = event
        const place = this.placeOf(call)
        if (place === undefined) {
          return
        }
        const { endpoint, service } = place
        endpoint.call(outcome.class)
        if (outcome.class === "Success") {
          service.succeeded()
        }
        if (attempts > 0) {
          service.retriesPerCall.update(attempts - 1)
        }
        if (attempts > 1) {
          service.count(families.retriedCalls, labelOf[outcome.class])
        }
        return
      }
      case "TimeoutFired": {
        if (own.has(event.call.dependency)) {
          return
        }
        const service = this.about(event.call)
        const { timeouts } = service.endpoints.of(event.call.operation)
        // The caller was in a hurry, or nothing was sent: neither says that the dependency is slow.
        if (!event.inherited && event.scope !== "queue") {
          timeouts.update(1)
        }
        if (event.late) {
          service.lateAnswers.update(1)
        }
        return
      }
      case "RetryGivenUp":
        return this.about(event.call).count(families.retriesGivenUp, event.reason)
      case "CircuitOpened":
      case "CircuitHalfOpened":
      case "CircuitClosed":
      case "CircuitIsolated":
      case "CircuitDisabled": {
        const service = event.call?.keyed === undefined
          ? this.piece(event.dependency, event.breaker)
          : this.services.of(event.call.keyed)
        if (event._tag === "CircuitOpened") {
          service.trips.update(1)
        }
        return service.count(families.circuitTransitions, stateOf[event._tag])
      }
      case "CircuitRejected":
        return this.pieceOf(event.call, event.breaker).count(families.circuitRejected, event.reason)
      case "LateResult":
        return this.pieceOf(event.call, event.breaker).lateResults.update(1)
      case "BulkheadRejected":
        return this.pieceOf(event.call, event.bulkhead).bulkheadRejected.update(1)
      case "RateLimitExceeded":
        return this.pieceOf(event.call, event.limiter)
          .count(families.limiterDecisions, event.dryRun === true ? "would_refuse" : "refused")
      case "FallbackServed": {
        const service = this.service(nameOf(event.call) ?? event.fallback)
        service.count(families.fallbackInvocations, event.kind)
        return service.fellBack(event.at)
      }
      case "FallbackFailed":
        return this.service(nameOf(event.call) ?? event.fallback).count(families.fallbackFailures, event.kind)
      case "ChaosInjected":
        return this.about(event.call).count(families.chaosInjections, event.fault)
      case "UnclassifiedFailure":
        return this.about(event.call).count(families.unclassified, event.tag)
      case "PolicyFault":
        return this.service(nameOf(event.call)).count(families.policyFaults, "policy")
      case "FinalizerDied":
        return this.about(event.call).count(families.policyFaults, "finalizer")
      // A retry is counted when it has ended, who waits for a place is read at the registry, and a rehearsal is no call.
      case "RetryScheduled":
      case "BulkheadQueued":
      case "FallbackRehearsed":
        return
    }
  }

  private service(dependency: string | undefined): Service {
    return this.services.of(dependency === undefined ? undefined : serviceKey(dependency))
  }

  private about(call: Call.Call): Service {
    return this.service(nameOf(call))
  }

  /** Where the ends of a call are counted, and of its attempts before; `undefined` for a guard of the server's. */
  private placeOf(call: Call.Call): Place | undefined {
    const name = nameOf(call)
    const { operation } = call
    if (this.lastName !== name || this.lastOperation !== operation || this.lastPlace === undefined) {
      if (own.has(name)) {
        return undefined
      }
      const service = this.service(name)
      this.lastName = name
      this.lastOperation = operation
      this.lastPlace = { service, endpoint: service.endpoints.of(operation) }
    }
    return this.lastPlace
  }

  private pieceOf(call: Call.Call, piece: string): Service {
    return call.keyed === undefined ? this.piece(call.dependency, piece) : this.service(call.keyed)
  }

  private piece(dependency: string | undefined, piece: string): Service {
    return this.pieces.of(dependency ?? piece).of(piece)
  }
}
