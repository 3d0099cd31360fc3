/**
 * What must be remembered of events to tell the health of dependencies, in bounded memory.
 */
import * as Duration from "effect/Duration"
import type * as Call from "../Call.js"
import * as Outcome from "../Outcome.js"
import type { CallEnded, CircuitChanged, FallbackFailed, FallbackServed, ResilienceEvent } from "../ResilienceEvent.js"
import { type CircuitState, ofChange } from "./circuitWords.js"
import { isDeclared } from "./declared.js"
import { heavier } from "./declaredFacts.js"
import { tripWords } from "./explainWords.js"
import { errorText } from "./logLines.js"
import { keyOf, ofFallback } from "./records.js"

/** So many openings of a breaker are remembered. */
const mostTrips = 64

/** So many breakers of one name that are not closed are told apart. */
const mostTroubles = 64

const becauseOf = ({ lastCause, trip }: CircuitChanged): string | undefined =>
  trip === undefined
    ? undefined
    : tripWords(trip.policy) + (lastCause === undefined ? "" : `, the last: ${errorText(lastCause)}`)

/** A breaker that is not closed. */
interface Trouble {
  readonly generation: number
  readonly state: CircuitState
  readonly since: number
  readonly troubledSince: number
  readonly openMillis: number | undefined
  readonly because: string | undefined
}

/** From the least to the worst. */
const states: ReadonlyArray<CircuitState> = ["closed", "disabled", "half_open", "open", "isolated"]

/**
 * The breakers of one name: of several, made for one key each for instance, the worst is told of. An event does not say whose it is, but
 * each breaker counts its changes, so one that is not closed is known by its count.
 *
 * @internal
 */
export class CircuitRecord {
  readonly dependency: string
  readonly breaker: string
  private troubles: ReadonlyArray<Trouble> = []
  private closedAt: number | undefined = undefined
  private trips: Float64Array | undefined = undefined
  private next = 0

  constructor(dependency: string, breaker: string) {
    this.dependency = dependency
    this.breaker = breaker
  }

  private get worst(): Trouble | undefined {
    return this.troubles.reduce<Trouble | undefined>(
      (worst, one) => worst === undefined || states.indexOf(one.state) > states.indexOf(worst.state) ? one : worst,
      undefined
    )
  }

  get state(): CircuitState {
    return this.worst?.state ?? "closed"
  }

  get since(): number | undefined {
    return this.worst?.since ?? this.closedAt
  }

  get troubledSince(): number | undefined {
    return this.worst?.troubledSince
  }

  get openMillis(): number | undefined {
    return this.worst?.openMillis
  }

  get because(): string | undefined {
    return this.worst?.because
  }

  changed(event: CircuitChanged): void {
    const { at, generation } = event
    const tripped = event._tag === "CircuitOpened" && event.trip !== undefined
    // What trips was closed, and is none of those that are known.
    const before = tripped ? undefined : this.troubles.find((one) => one.generation === generation - 1)
    // One whose time is up and that nobody calls while others are called may be gone for good.
    this.troubles = this.troubles.filter((one) =>
      one !== before && !(one.openMillis !== undefined && at - one.since >= one.openMillis)
    )
    if (tripped) {
      this.tripped(at)
    }
    if (event._tag === "CircuitClosed") {
      this.closedAt = at
    } else if (this.troubles.length < mostTroubles) {
      this.troubles = [...this.troubles, {
        generation,
        state: ofChange[event._tag],
        since: at,
        troubledSince: before?.troubledSince ?? at,
        openMillis: event.openDuration === undefined ? undefined : Duration.toMillis(event.openDuration),
        because: tripped ? becauseOf(event) : before?.because
      }]
    }
  }

  private tripped(at: number): void {
    this.trips ??= new Float64Array(mostTrips).fill(-Infinity)
    this.trips[this.next] = at
    this.next = (this.next + 1) % mostTrips
  }

  tripsSince(from: number): number {
    return this.trips === undefined ? 0 : this.trips.reduce((count, at) => at > from ? count + 1 : count, 0)
  }
}

/** @internal */
export interface CallRecord {
  criticality: Call.Criticality
  /** Failures since the last success, and when the first of them came. */
  inRow: number
  failingSince: number
  /** When a call last succeeded. */
  lastGood: number
}

/** @internal */
export interface FallbackRecord {
  readonly fallback: string
  readonly knownSince: number
  dependency: string | undefined
  /** The first answer of the present run of answers, and the last. */
  firstServed: number | undefined
  lastServed: number | undefined
  lastFailed: number | undefined
  lastError: string
  /** Of a rehearsal in which every tier answered. */
  lastRehearsed: number | undefined
}

/** A fallback that is silent for so long has a break, if the dependency answered meanwhile. */
export const breakMillis = 60_000

/** @internal */
export class HealthRecord {
  readonly calls = new Map<string, CallRecord>()
  readonly circuits = new Map<string, CircuitRecord>()
  readonly fallbacks = new Map<string, FallbackRecord>()
  private readonly capacity: number

  private readonly own: ReadonlyArray<string>

  constructor(capacity: number, own: ReadonlyArray<string>) {
    this.capacity = capacity
    this.own = own
  }

  hear(event: ResilienceEvent): void {
    switch (event._tag) {
      case "CallEnded":
        this.callEnded(event)
        break
      case "CircuitOpened":
      case "CircuitHalfOpened":
      case "CircuitClosed":
      case "CircuitIsolated":
      case "CircuitDisabled":
        this.circuitChanged(event)
        break
      case "FallbackServed":
        this.served(event)
        break
      case "FallbackFailed":
        this.failed(event)
        break
      case "FallbackRehearsed":
        if (event.problems === 0) {
          this.fallback(event, event.at)
          // A rehearsal is of all that have the name.
          for (const one of this.fallbacks.values()) {
            if (one.fallback === event.fallback) one.lastRehearsed = event.at
          }
        }
        break
      default:
    }
  }

  /** When all places are taken, only what is declared is still followed. */
  private kept<A>(
    map: Map<string, A>,
    key: string,
    make: () => A,
    dependency: string | undefined = key
  ): A | undefined {
    let value = map.get(key)
    if (value === undefined && (map.size < this.capacity || isDeclared(dependency))) {
      value = make()
      map.set(key, value)
    }
    return value
  }

  fallback(
    about: { readonly call?: Call.Call | undefined; readonly fallback: string },
    now: number
  ): FallbackRecord | undefined {
    return ofFallback(this.fallbacks, about, (key, dependency) =>
      this.kept(this.fallbacks, key, () => ({
        fallback: about.fallback,
        knownSince: now,
        dependency,
        firstServed: undefined,
        lastServed: undefined,
        lastFailed: undefined,
        lastError: "",
        lastRehearsed: undefined
      }), dependency))
  }

  private callEnded({ at, call, outcome }: CallEnded): void {
    if (call.dependency === undefined || this.own.includes(call.dependency)) {
      return
    }
    const record = this.kept(this.calls, call.dependency, (): CallRecord => ({
      criticality: call.criticality,
      inRow: 0,
      failingSince: at,
      lastGood: -Infinity
    }))
    if (record === undefined) {
      return
    }
    record.criticality = heavier(record.criticality, call.criticality)!
    const { circuitBreaker } = Outcome.rowOf(outcome)
    if (circuitBreaker === "success") {
      record.inRow = 0
      record.lastGood = at
    } else if (circuitBreaker === "failure") {
      record.failingSince = record.inRow === 0 ? at : record.failingSince
      record.inRow++
    }
  }

  private circuitChanged(event: CircuitChanged): void {
    const { breaker, dependency = breaker } = event
    // The breaker that the operation `charge` of `payments` has is named as that of a dependency `payments.charge`.
    const record = () => new CircuitRecord(dependency, breaker)
    this.kept(this.circuits, keyOf(dependency, breaker), record, event.dependency)?.changed(event)
  }

  private served(event: FallbackServed): void {
    const fallback = this.fallback(event, event.at)
    if (fallback === undefined) {
      return
    }
    if (!this.isActive(fallback, event.at)) {
      fallback.firstServed = event.at
    }
    fallback.lastServed = event.at
  }

  private failed(event: FallbackFailed): void {
    const fallback = this.fallback(event, event.at)
    if (fallback !== undefined) {
      fallback.lastFailed = event.at
      fallback.lastError = errorText(event.cause)
    }
  }

  /** It answered within the last minute, or nothing but it has answered since. */
  isActive({ dependency, lastServed }: FallbackRecord, now: number): boolean {
    if (lastServed === undefined) {
      return false
    }
    const calls = dependency === undefined ? undefined : this.calls.get(dependency)
    return now - lastServed < breakMillis || (calls !== undefined && calls.inRow > 0 && calls.lastGood < lastServed)
  }
}
