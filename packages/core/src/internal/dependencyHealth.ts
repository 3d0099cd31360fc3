/**
 * Makes a report of the health of dependencies out of what the registry holds and what was heard.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { DependencyState, PieceStates } from "../LiveDependency.js"
import { ofState } from "./circuitWords.js"
import { defaultCriticality, heavier } from "./declaredFacts.js"
import {
  type CircuitHealth,
  type DependencyHealth,
  dependencySays,
  type FallbackHealth,
  type Problem,
  problemSays,
  type Report,
  type Status
} from "./healthModel.js"
import type { CircuitRecord, FallbackRecord, HealthRecord } from "./healthRecord.js"
import { groupedBy, keyOf, ownValue } from "./records.js"

/**
 * The numbers of the options.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly stuckMillis: number
  readonly unprovenMillis: number
  readonly flappingAt: number
  readonly rehearsed: { readonly [fallback: string]: number }
}

/** Without a breaker, so many failures in a row mean that it is down: as many as open a breaker by default. */
const downAfter = 10

const hourMillis = 3_600_000
const dayMillis = 24 * hourMillis

/**
 * Builds one report.
 *
 * @since 0.1.0
 * @category models
 */
export class HealthReader {
  private readonly record: HealthRecord
  private readonly limits: Limits
  /** The instant on the clock of the events, and in the calendar. */
  private readonly now: number
  private readonly at: number

  constructor(record: HealthRecord, limits: Limits, now: number, at: number) {
    this.record = record
    this.limits = limits
    this.now = now
    this.at = at
  }

  read(live: ReadonlyArray<DependencyState>): Report {
    const { calls, circuits, fallbacks } = this.record
    const states = new Map(live.map((state) => [state.dependency, state]))
    const heard = groupedBy(circuits.values(), ({ dependency }) => dependency)
    const known = groupedBy(
      [...fallbacks.values()].map((one) => [this.fallback(one), this.troubles(one)] as const),
      ([{ dependency }]) => dependency
    )
    const loose = known.get(undefined) ?? []
    const names = new Set([...states.keys(), ...calls.keys(), ...heard.keys()])
    for (const name of known.keys()) if (name !== undefined) names.add(name)
    const dependencies = [...names].sort().map((name) =>
      this.dependency(name, states.get(name), heard.get(name) ?? [], known.get(name) ?? [])
    )
    return {
      at: this.at,
      status: dependencies.some(({ criticality, status }) => status === "down" && criticality === "critical")
        ? "down"
        : dependencies.some(({ status }) => status !== "healthy") || loose.some(([{ active }]) => active)
        ? "degraded"
        : "healthy",
      dependencies,
      fallbacks: loose.map(([fallback]) => fallback),
      problems: [...dependencies.flatMap(({ problems }) => problems), ...loose.flatMap(([, problems]) => problems)]
    }
  }

  private dependency(
    name: string,
    live: DependencyState | undefined,
    heard: ReadonlyArray<CircuitRecord>,
    own: ReadonlyArray<readonly [FallbackHealth, ReadonlyArray<Problem>]>
  ): DependencyHealth {
    const calls = this.record.calls.get(name)
    const circuits = this.circuits(name, live, heard)
    const fallbacks = own.map(([fallback]) => fallback)
    const guarded = circuits.some(({ operation, state }) => operation === undefined && state !== "disabled")
    const failing = !guarded && calls !== undefined && calls.inRow >= downAfter
      ? { inRow: calls.inRow, since: this.calendar(calls.failingSince) }
      : undefined
    const cutOff = circuits.filter(({ state }) => state === "open" || state === "isolated")
    const whole = cutOff.find(({ operation }) => operation === undefined)
    const status: Status = whole !== undefined || failing !== undefined
      ? "down"
      : cutOff.length > 0 || circuits.some(({ state }) => state === "half_open") ||
          fallbacks.some(({ active }) => active)
      ? "degraded"
      : "healthy"
    const troubled = circuits.flatMap(({ state, troubledSince }) => state === "disabled" ? [] : troubledSince ?? [])
    const answering = fallbacks.flatMap(({ active, activeFor, lastServed }) =>
      active && lastServed !== undefined ? lastServed - Duration.toMillis(activeFor) : []
    )
    const begun = [...troubled, ...answering, ...(failing === undefined ? [] : [failing.since])]
    const health = {
      dependency: name,
      status,
      since: status === "healthy" || begun.length === 0 ? undefined : Math.min(...begun),
      criticality: heavier(calls?.criticality, live?.criticality) ?? defaultCriticality,
      retryAfter: whole?.retryAfter,
      circuits,
      fallbacks,
      problems: [
        ...circuits.flatMap((circuit) => this.circuitTroubles(name, circuit)),
        ...own.flatMap(([, one]) => one)
      ]
    }
    const answeredSince = (fallback: string): boolean =>
      calls !== undefined && calls.lastGood > (this.record.fallbacks.get(keyOf(name, fallback))?.lastServed ?? Infinity)
    return { ...health, says: dependencySays(health, failing, answeredSince, this.at) }
  }

  private calendar(instant: number): number {
    return this.at - (this.now - instant)
  }

  /** The registry knows the present, events know how it came to it. */
  private circuits(
    dependency: string,
    live: DependencyState | undefined,
    records: ReadonlyArray<CircuitRecord>
  ): ReadonlyArray<CircuitHealth> {
    const heard = new Map(records.map((circuit) => [circuit.breaker, circuit]))
    const found: Array<CircuitHealth> = []
    const add = (breaker: string, operation: string | undefined, piece: PieceStates["circuitBreaker"]) => {
      if (piece?.on === true) {
        found.push(this.liveCircuit(breaker, operation, piece, heard.get(breaker)))
      }
      heard.delete(breaker)
    }
    if (live !== undefined) {
      add(`${dependency}.circuitBreaker`, undefined, live.circuitBreaker)
      for (const [operation, { circuitBreaker }] of Object.entries(live.operations)) {
        add(`${dependency}.${operation}.circuitBreaker`, operation, circuitBreaker)
      }
    }
    for (const [breaker, circuit] of heard) {
      found.push(this.heardCircuit(breaker, circuit))
    }
    return found
  }

  private liveCircuit(
    breaker: string,
    operation: string | undefined,
    piece: NonNullable<PieceStates["circuitBreaker"]>,
    heard: CircuitRecord | undefined
  ): CircuitHealth {
    const { inState, since, state } = piece
    const troubled = heard?.troubledSince === undefined ? since : this.calendar(heard.troubledSince)
    return {
      breaker,
      operation,
      state: ofState[state._tag],
      since,
      troubledSince: state._tag === "Closed" ? undefined : troubled,
      retryAfter: state._tag === "Open"
        ? Duration.millis(Math.max(0, state.openMillis - Duration.toMillis(inState)))
        : undefined,
      trips: this.trips(heard),
      because: state._tag === "Closed" ? undefined : heard?.because
    }
  }

  private heardCircuit(breaker: string, circuit: CircuitRecord): CircuitHealth {
    const { because, openMillis, since, state, troubledSince } = circuit
    return {
      breaker,
      operation: undefined,
      state,
      since: this.calendar(since ?? this.now),
      troubledSince: troubledSince === undefined ? undefined : this.calendar(troubledSince),
      retryAfter: openMillis === undefined || since === undefined
        ? undefined
        : Duration.millis(Math.max(0, openMillis - (this.now - since))),
      trips: this.trips(circuit),
      because
    }
  }

  private trips(circuit: CircuitRecord | undefined): CircuitHealth["trips"] {
    return {
      lastHour: circuit?.tripsSince(this.now - hourMillis) ?? 0,
      lastDay: circuit?.tripsSince(this.now - dayMillis) ?? 0
    }
  }

  private circuitTroubles(dependency: string, circuit: CircuitHealth): ReadonlyArray<Problem> {
    const { breaker, since, state, trips } = circuit
    const problems: Array<Problem> = []
    if (trips.lastDay >= this.limits.flappingAt) {
      problems.push({
        problem: "flapping-circuit",
        at: breaker,
        says: problemSays.flapping(dependency, trips.lastDay)
      })
    }
    if (state === "isolated" || state === "disabled") {
      problems.push({ problem: state, at: breaker, says: problemSays.byHand(dependency, state, this.at - since) })
    }
    return problems
  }

  private fallback(one: FallbackRecord): FallbackHealth {
    const active = this.record.isActive(one, this.now)
    const { fallback, firstServed, lastServed } = one
    return {
      fallback,
      dependency: one.dependency,
      active,
      activeFor: Duration.millis(active && firstServed !== undefined ? lastServed! - firstServed : 0),
      lastServed: lastServed === undefined ? undefined : this.calendar(lastServed),
      lastRehearsed: one.lastRehearsed === undefined
        ? ownValue(this.limits.rehearsed, fallback)
        : this.calendar(one.lastRehearsed)
    }
  }

  private troubles(one: FallbackRecord): ReadonlyArray<Problem> {
    const { activeFor, fallback, lastRehearsed, lastServed } = this.fallback(one)
    const problems: Array<Problem> = []
    const stuckFor = Duration.toMillis(activeFor)
    if (stuckFor >= this.limits.stuckMillis) {
      const says = problemSays.stuck(fallback, one.dependency, stuckFor)
      problems.push({ problem: "stuck-fallback", at: fallback, says })
    }
    const failedFor = this.now - (one.lastFailed ?? -Infinity)
    if (failedFor < hourMillis && one.lastFailed! > (one.lastServed ?? -Infinity)) {
      const says = problemSays.failing(fallback, failedFor, one.lastError)
      problems.push({ problem: "failing-fallback", at: fallback, says })
    }
    const proved = Math.max(lastServed ?? -Infinity, lastRehearsed ?? this.calendar(one.knownSince))
    if (this.at - proved >= this.limits.unprovenMillis) {
      const says = problemSays.unproven(fallback, this.at - proved)
      problems.push({ problem: "unproven-fallback", at: fallback, says })
    }
    return problems
  }
}
