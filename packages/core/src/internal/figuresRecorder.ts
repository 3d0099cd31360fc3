/**
 * Keeps figures of what it hears, in bounded memory: names beyond what is told apart are `other`, counts are of the present and the
 * previous period, and what was silent for two periods is forgotten.
 */
import type * as Call from "../Call.js"
import * as Outcome from "../Outcome.js"
import type {
  AttemptEnded,
  BulkheadRejected,
  CallEnded,
  CircuitChanged,
  FallbackFailed,
  FallbackServed,
  ResilienceEvent
} from "../ResilienceEvent.js"
import { ofChange } from "./circuitWords.js"
import { isDeclared } from "./declared.js"
import { Cell, type Measures } from "./figuresCell.js"
import {
  type BulkheadFigures,
  type CircuitFigures,
  type FallbackFigures,
  type Opening,
  type OperationFigures,
  other
} from "./figuresModel.js"
import { FailedRequests } from "./figuresRequests.js"
import { keyOf, ofFallback, ownerOf } from "./records.js"

interface Circuit {
  readonly breaker: string
  readonly dependency: string | undefined
  state: CircuitFigures["state"]
  since: number | undefined
  closedAt: number
  readonly trips: Periods
  readonly reopened: Periods
  narrowest: Opening | undefined
}

interface Refusals {
  readonly bulkhead: string
  maxConcurrent: number
  readonly byCell: Map<Cell, Periods>
}

interface Served {
  readonly fallback: string
  dependency: string | undefined
  readonly tiers: Map<string, { readonly kind: string; readonly served: Periods; readonly failed: Periods }>
}

/** A count of the present and the previous period. */
class Periods {
  current = 0
  previous = 0
  rotate(gap: boolean): void {
    this.previous = gap ? 0 : this.current
    this.current = 0
  }
  get total(): number {
    return this.current + this.previous
  }
}

/** The value of a key, made on first use; beyond `most` of them, that of `other`, unless the dependency it is about is declared. */
const kept = <A>(
  map: Map<string, A>,
  key: string,
  most: number,
  make: (key: string) => A,
  dependency: string | undefined = key
): A => {
  let value = map.get(key)
  if (value === undefined) {
    const name = map.size < most || isDeclared(dependency) ? key : other
    value = map.get(name) ?? make(name)
    map.set(name, value)
  }
  return value
}

/** @internal */
export class Recorder {
  private readonly measures: Measures
  private readonly mostDependencies: number
  private readonly mostOperations: number
  private readonly dependencies = new Map<string, Map<string | undefined, Cell>>()
  private cells = 0
  private readonly failedRequests = new Map<string, FailedRequests>()
  private readonly circuits = new Map<string, Circuit>()
  private readonly bulkheads = new Map<string, Refusals>()
  private readonly fallbacks = new Map<string, Served>()
  private readonly beganAt: number
  private periodStart: number
  private previousStart: number

  constructor(measures: Measures, mostDependencies: number, mostOperations: number, now: number) {
    this.measures = measures
    this.mostDependencies = mostDependencies
    this.mostOperations = mostOperations
    this.beganAt = this.periodStart = this.previousStart = now
  }

  hear(event: ResilienceEvent): void {
    this.turn(event.at)
    switch (event._tag) {
      case "CallEnded":
        this.callEnded(event)
        break
      case "AttemptEnded":
        this.attemptEnded(event)
        break
      case "TimeoutFired":
        this.cellOf(event.call, event.at)?.timedOut(event)
        break
      case "RetryScheduled":
        this.cellOf(event.call, event.at)?.retryScheduled(event)
        break
      case "RetryGivenUp": {
        const cell = this.cellOf(event.call, event.at)
        if (cell !== undefined) cell.counts.givenUp[event.reason]++
        break
      }
      case "CircuitRejected":
        this.rejected(event, "circuit")
        break
      case "RateLimitExceeded":
        this.rejected(event, "rateLimit")
        break
      case "BulkheadRejected":
        this.bulkheadRejected(event)
        break
      case "CircuitOpened":
      case "CircuitHalfOpened":
      case "CircuitClosed":
      case "CircuitIsolated":
      case "CircuitDisabled":
        this.circuitChanged(event)
        break
      case "FallbackServed":
        this.tierOf(event).served.current++
        break
      case "FallbackFailed":
        this.tierOf(event).failed.current++
        break
      default:
    }
  }

  /** Where a call is counted: nowhere if nobody says whom it is to. */
  private cellOf(call: Call.Call, now: number): Cell | undefined {
    if (call.dependency === undefined) {
      return undefined
    }
    const operations = kept(this.dependencies, call.dependency, this.mostDependencies, () => new Map())
    const known = operations.get(call.operation)
    if (known !== undefined) {
      return known
    }
    const operation = call.operation === undefined || this.cells < this.mostOperations ||
        isDeclared(call.dependency, call.operation)
      ? call.operation
      : other
    let cell = operations.get(operation)
    if (cell === undefined) {
      const dependency = this.dependencies.has(call.dependency) ? call.dependency : other
      cell = new Cell(dependency, operation, this.measures, now)
      operations.set(operation, cell)
      this.cells++
    }
    return cell
  }

  private failuresOf(dependency: string): FailedRequests {
    return kept(this.failedRequests, dependency, this.mostDependencies, () => new FailedRequests())
  }

  private callEnded(event: CallEnded): void {
    const { at, call, outcome } = event
    this.cellOf(call, at)?.callEnded(event)
    if (call.dependency !== undefined && Outcome.rowOf(outcome).circuitBreaker === "failure") {
      this.failuresOf(call.dependency).callFailed(at)
    }
  }

  private attemptEnded(event: AttemptEnded): void {
    const { at, call, outcome } = event
    this.cellOf(call, at)?.attemptEnded(event)
    if (call.dependency === undefined) {
      return
    }
    if (Outcome.rowOf(outcome).circuitBreaker === "success") {
      const known = this.failedRequests.get(call.dependency)
      if (known !== undefined) known.lastGood = at
    } else if (call.attempt === 1 && outcome.fault === undefined) {
      // An attempt that a limit cut may read as interrupted: the breaker counts it all the same.
      this.failuresOf(call.dependency).firstFailed(at)
    }
  }

  private rejected(
    { at, call, dryRun }: { readonly at: number; readonly call: Call.Call; readonly dryRun?: boolean | undefined },
    by: keyof OperationFigures["rejections"]
  ): Cell | undefined {
    const cell = dryRun === true ? undefined : this.cellOf(call, at)
    if (cell !== undefined) cell.counts.rejections[by]++
    return cell
  }

  private bulkheadRejected(event: BulkheadRejected): void {
    const id = keyOf(ownerOf(event.call.dependency, event.bulkhead), event.bulkhead)
    const refusals = kept(this.bulkheads, id, this.mostOperations, (key) => ({
      bulkhead: key === other ? other : event.bulkhead,
      maxConcurrent: 0,
      byCell: new Map<Cell, Periods>()
    }), event.call.dependency)
    refusals.maxConcurrent = event.maxConcurrent
    const cell = this.rejected(event, "bulkhead")
    if (cell !== undefined) {
      const count = refusals.byCell.get(cell) ?? new Periods()
      count.current++
      refusals.byCell.set(cell, count)
    }
  }

  private circuitChanged(event: CircuitChanged): void {
    const id = keyOf(event.dependency, event.breaker)
    const circuit = kept(this.circuits, id, this.mostOperations, (key): Circuit => ({
      breaker: key === other ? other : event.breaker,
      dependency: event.dependency,
      state: "closed",
      since: undefined,
      closedAt: this.beganAt,
      trips: new Periods(),
      reopened: new Periods(),
      narrowest: undefined
    }), event.dependency)
    circuit.state = ofChange[event._tag]
    circuit.since = event.at
    if (event._tag === "CircuitClosed") {
      circuit.closedAt = event.at
    } else if (event._tag === "CircuitOpened") {
      if (event.trip === undefined) {
        circuit.reopened.current++
      } else {
        circuit.trips.current++
        const requests = this.failuresOf(event.dependency ?? event.breaker).behind(
          event,
          event.trip.policy,
          circuit.closedAt
        )
        const narrowest = circuit.narrowest
        if (narrowest === undefined || requests / event.trip.counted < narrowest.requests / narrowest.trip.counted) {
          circuit.narrowest = { at: event.at, trip: event.trip, requests }
        }
      }
    }
  }

  private tierOf(event: FallbackServed | FallbackFailed) {
    const fallback = ofFallback(this.fallbacks, event, (id, dependency) => {
      const make = (key: string): Served =>
        key === other
          ? { fallback: other, dependency: undefined, tiers: new Map() }
          : { fallback: event.fallback, dependency, tiers: new Map() }
      return kept(this.fallbacks, id, this.mostOperations, make, dependency)
    })!
    return kept(fallback.tiers, event.tier, this.mostOperations, () => ({
      kind: event.kind,
      served: new Periods(),
      failed: new Periods()
    }))
  }

  /** Begins a period when the present one is over. */
  private turn(now: number): void {
    const age = now - this.periodStart
    if (age < 0) {
      // The clock was set back: what is counted keeps its age.
      this.previousStart += age
      this.periodStart = now
    } else if (age >= this.measures.windowMillis) {
      const gap = age >= 2 * this.measures.windowMillis
      this.previousStart = gap ? now : this.periodStart
      this.periodStart = gap ? now : this.periodStart + this.measures.windowMillis
      this.rotate(gap, now)
    }
  }

  private rotate(gap: boolean, now: number): void {
    for (const [dependency, operations] of this.dependencies) {
      for (const [operation, cell] of operations) {
        cell.rotate(gap)
        if (cell.isForgotten(now)) {
          operations.delete(operation)
          this.cells--
        }
      }
      if (operations.size === 0) {
        this.dependencies.delete(dependency)
        this.failedRequests.delete(dependency)
      }
    }
    for (const [breaker, circuit] of this.circuits) {
      circuit.trips.rotate(gap)
      circuit.reopened.rotate(gap)
      if (circuit.narrowest !== undefined && circuit.narrowest.at < this.previousStart) circuit.narrowest = undefined
      if (circuit.state === "closed" && circuit.trips.total + circuit.reopened.total === 0) {
        this.circuits.delete(breaker)
      }
    }
    for (const [bulkhead, { byCell }] of this.bulkheads) {
      byCell.forEach((count, cell) => {
        count.rotate(gap)
        if (count.total === 0) byCell.delete(cell)
      })
      if (byCell.size === 0) this.bulkheads.delete(bulkhead)
    }
    for (const [fallback, { tiers }] of this.fallbacks) {
      tiers.forEach((tier, name) => {
        tier.served.rotate(gap)
        tier.failed.rotate(gap)
        if (tier.served.total + tier.failed.total === 0) tiers.delete(name)
      })
      if (tiers.size === 0) this.fallbacks.delete(fallback)
    }
  }

  /** Everything as data of its own; `offset` makes instants of the clock those of the calendar. */
  read(now: number, offset: number): {
    readonly since: number
    readonly operations: ReadonlyArray<OperationFigures>
    readonly circuits: ReadonlyArray<CircuitFigures & { readonly dependency: string | undefined }>
    readonly bulkheads: ReadonlyArray<BulkheadFigures>
    readonly fallbacks: ReadonlyArray<FallbackFigures>
  } {
    this.turn(now)
    const since = this.previousStart
    return {
      since: since + offset,
      operations: [...this.dependencies.values()].flatMap((operations) =>
        [...operations.values()].map((cell) => cell.read(now, offset, since))
      ),
      circuits: [...this.circuits.values()].map(({ closedAt: _, narrowest, reopened, trips, ...circuit }) => ({
        ...circuit,
        since: circuit.since === undefined ? undefined : circuit.since + offset,
        trips: trips.total,
        reopened: reopened.total,
        narrowest: narrowest === undefined ? undefined : { ...narrowest, at: narrowest.at + offset }
      })),
      bulkheads: [...this.bulkheads.values()].map(({ bulkhead, byCell, maxConcurrent }) => {
        const operations = [...byCell].map(([{ dependency, operation }, count]) => ({
          dependency,
          operation,
          rejected: count.total
        }))
        return {
          bulkhead,
          maxConcurrent,
          rejected: operations.reduce((sum, { rejected }) => sum + rejected, 0),
          operations
        }
      }),
      fallbacks: [...this.fallbacks.values()].map(({ dependency, fallback, tiers }) => ({
        fallback,
        dependency,
        tiers: [...tiers].map(([tier, { failed, kind, served }]) => ({
          tier,
          kind,
          served: served.total,
          failed: failed.total
        }))
      }))
    }
  }
}
