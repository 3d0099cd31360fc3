/**
 * What must be remembered of events to tell the health of dependencies, in bounded memory.
 */
import * as Duration from "effect/Duration"
import type * as Call from "../Call.js"
import type { CallEnded, CircuitChanged, FallbackFailed, FallbackServed, ResilienceEvent } from "../ResilienceEvent.js"
import { type CircuitState, ofChange } from "./circuitWords.js"
import { tripWords } from "./explainWords.js"
import { errorText } from "./logLines.js"

/** So many openings of a breaker are remembered. */
const mostTrips = 64

/** @internal */
export class CircuitRecord {
  readonly dependency: string
  state: CircuitState = "closed"
  since: number | undefined = undefined
  troubledSince: number | undefined = undefined
  openMillis: number | undefined = undefined
  because: string | undefined = undefined
  private trips: Float64Array | undefined = undefined
  private next = 0

  constructor(dependency: string) {
    this.dependency = dependency
  }

  tripped(at: number): void {
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

const weight: Record<Call.Criticality, number> = { optional: 0, important: 1, critical: 2 }

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
          const fallback = this.fallback(event.fallback, event.at)
          if (fallback !== undefined) fallback.lastRehearsed = event.at
        }
        break
      default:
    }
  }

  /** Whoever comes when all places are taken is not followed. */
  private kept<A>(map: Map<string, A>, key: string, make: () => A): A | undefined {
    let value = map.get(key)
    if (value === undefined && map.size < this.capacity) {
      value = make()
      map.set(key, value)
    }
    return value
  }

  fallback(name: string, now: number): FallbackRecord | undefined {
    return this.kept(this.fallbacks, name, () => ({
      knownSince: now,
      dependency: undefined,
      firstServed: undefined,
      lastServed: undefined,
      lastFailed: undefined,
      lastError: "",
      lastRehearsed: undefined
    }))
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
    if (weight[call.criticality] > weight[record.criticality]) {
      record.criticality = call.criticality
    }
    if (outcome.class === "Success" || outcome.class === "Permanent") {
      record.inRow = 0
      record.lastGood = at
    } else if (outcome.class === "Retryable" || outcome.class === "Unclassified") {
      record.failingSince = record.inRow === 0 ? at : record.failingSince
      record.inRow++
    }
  }

  private circuitChanged(event: CircuitChanged): void {
    const circuit = this.kept(
      this.circuits,
      event.breaker,
      () => new CircuitRecord(event.dependency ?? event.breaker)
    )
    if (circuit === undefined) {
      return
    }
    circuit.state = ofChange[event._tag]
    circuit.since = event.at
    circuit.openMillis = event.openDuration === undefined ? undefined : Duration.toMillis(event.openDuration)
    if (event._tag === "CircuitClosed") {
      circuit.troubledSince = undefined
      circuit.because = undefined
      return
    }
    circuit.troubledSince ??= event.at
    if (event._tag === "CircuitOpened" && event.trip !== undefined) {
      circuit.tripped(event.at)
      circuit.because = tripWords(event.trip.policy) +
        (event.lastCause === undefined ? "" : `, the last: ${errorText(event.lastCause)}`)
    }
  }

  private served(event: FallbackServed): void {
    const fallback = this.fallback(event.fallback, event.at)
    if (fallback === undefined) {
      return
    }
    fallback.dependency = event.call?.dependency ?? fallback.dependency
    if (!this.isActive(fallback, event.at)) {
      fallback.firstServed = event.at
    }
    fallback.lastServed = event.at
  }

  private failed(event: FallbackFailed): void {
    const fallback = this.fallback(event.fallback, event.at)
    if (fallback !== undefined) {
      fallback.dependency = event.call?.dependency ?? fallback.dependency
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
