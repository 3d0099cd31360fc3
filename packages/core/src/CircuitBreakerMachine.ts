/**
 * The circuit breaker as a plain synchronous machine; the clock reading and the random draw are arguments.
 * There is no timer: calls compare the clock. `now` is in milliseconds, may be fractional and may step either way.
 *
 * @since 0.1.0
 */
import { openPeriod } from "./internal/openPeriod.js"
import { ProbeSlots } from "./internal/probeSlots.js"
import { StateTime } from "./internal/stateTime.js"
import * as Ticket from "./internal/ticket.js"
import { TripCounters } from "./internal/tripCounters.js"
import type * as TripPolicy from "./TripPolicy.js"

/**
 * Calls pass and their results are counted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Closed {
  readonly _tag: "Closed"
  /** Grows by one with every change of state, from 1. */
  readonly generation: number
  /** When the state began, in milliseconds. */
  readonly since: number
}

/**
 * Calls are rejected until a call arrives at `until` or later. A breaker that is due still reads as open until then.
 *
 * @since 0.1.0
 * @category models
 */
export interface Open {
  readonly _tag: "Open"
  readonly generation: number
  readonly since: number
  /** When a probe may pass, on the clock as it read when the state began. */
  readonly until: number
  /** How long the state lasts, with jitter, hint and cap applied, in milliseconds. */
  readonly openMillis: number
  /** Failed probes since the breaker was last closed. */
  readonly failedProbes: number
}

/**
 * Probes pass, a limited number at once, and their results decide.
 *
 * @since 0.1.0
 * @category models
 */
export interface HalfOpen {
  readonly _tag: "HalfOpen"
  readonly generation: number
  readonly since: number
  readonly failedProbes: number
}

/**
 * Every call is rejected until the breaker is reset by hand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Isolated {
  readonly _tag: "Isolated"
  readonly generation: number
  readonly since: number
}

/**
 * Every call passes and nothing is counted until the breaker is reset by hand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Disabled {
  readonly _tag: "Disabled"
  readonly generation: number
  readonly since: number
}

/**
 * The state of a circuit breaker, immutable. Two states are the same exactly when their generations are.
 *
 * @since 0.1.0
 * @category models
 */
export type State = Closed | Open | HalfOpen | Isolated | Disabled

/**
 * What the result of a call says about the dependency. `ignored` says nothing: it only gives a probe's slot back.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = "success" | "failure" | "ignored"

/**
 * Why a call was not admitted, and in how many milliseconds it is worth asking again, where that is known.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rejection {
  readonly reason: "open" | "probing" | "isolated"
  /** Never negative. */
  readonly retryAfterMillis: number | undefined
}

/**
 * The numbers of a circuit breaker. They are taken as given: they are checked where the options are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Config {
  readonly tripPolicy: TripPolicy.TripPolicy
  /** Milliseconds to stay open after `failedProbes` failed probes; 0 of them when the breaker trips. */
  readonly openMillis: (failedProbes: number) => number
  /** The share by which a random draw shortens or lengthens the open period: 0.1 is 10 % either way. */
  readonly openJitter: number
  /** The longest open period in milliseconds, whatever growth, jitter and hints from the server say. */
  readonly maxOpenMillis: number
  /** How many probes may be in flight at once, at least 1. */
  readonly probes: number
  /** How many probes must succeed before the breaker closes, at least 1. */
  readonly successThreshold: number
  /** Milliseconds after which the slot of a probe without a result may be given to another call. */
  readonly probeTimeoutMillis: number
  /** Counts and changes state as usual, but admits what it would reject; isolated by hand it rejects in a dry run too. */
  readonly dryRun: boolean
}

/**
 * What the machine holds at one instant, as data of its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly state: State
  /** Calls in the window of the first trip policy that has one, else since the breaker was last closed or reset. */
  readonly calls: number
  readonly failures: number
  /** Slow ones among the calls of the first `slowCallRate`, those in flight included; 0 without one. */
  readonly slow: number
  readonly consecutiveFailures: number
  readonly probesInFlight: number
  readonly probeSuccesses: number
  /** Probes whose slot was taken back because they hung. */
  readonly reclaimed: number
  /** Results that came too late to count. */
  readonly late: number
  /** Calls admitted in a dry run that would have been rejected. */
  readonly wouldHaveRejected: number
  readonly trips: number
  /** Milliseconds that the breaker has spent in each state since it was made. */
  readonly millisIn: Readonly<Record<State["_tag"], number>>
}

/**
 * Whether a ticket that `enter` gave out was given to a probe.
 *
 * @example
 * import { isProbe } from "@holdfast/core/CircuitBreakerMachine"
 *
 * const kindOf = (ticket: number) => isProbe(ticket) ? "probe" : "call"
 *
 * @since 0.1.0
 * @category guards
 */
export const isProbe: (ticket: number) => boolean = Ticket.isProbe

/**
 * The circuit breaker machine. A call that `enter` admits is given back with its ticket to `record`, exactly once.
 *
 * @example
 * import { deepStrictEqual, strictEqual } from "node:assert"
 * import { CircuitBreakerMachine } from "@holdfast/core/CircuitBreakerMachine"
 * import * as TripPolicy from "@holdfast/core/TripPolicy"
 * const breaker = new CircuitBreakerMachine({
 *   tripPolicy: TripPolicy.consecutive(2),
 *   openMillis: () => 30_000, openJitter: 0.1, maxOpenMillis: 300_000,
 *   probes: 1, successThreshold: 1, probeTimeoutMillis: 3_000, dryRun: false
 * }, 0)
 *
 * for (const now of [9, 10]) breaker.record(breaker.enter(0), "failure", now, now, () => 0.5)
 * strictEqual(breaker.state._tag, "Open")
 * strictEqual(breaker.enter(20), 0)
 * deepStrictEqual(breaker.rejection(20), { reason: "open", retryAfterMillis: 29_990 })
 *
 * @since 0.1.0
 * @category models
 */
export class CircuitBreakerMachine {
  /** The present state. Written by the machine alone; it is replaced exactly once for every change. */
  state: State
  /** What made the breaker open last; `undefined` where a failed probe did. Kept until it opens again. */
  trip: TripPolicy.Trip | undefined = undefined

  private config: Config
  private readonly counters: TripCounters
  private readonly slots = new ProbeSlots()
  /** What a call admitted in this generation gets when nothing more is to be known of it. */
  private ticket = Ticket.plain(1)
  private lastNow: number
  private dueAt = 0
  private probeSuccesses = 0
  private reclaimed = 0
  private late = 0
  private wouldHaveRejected = 0
  private trips = 0
  private readonly times: StateTime

  constructor(config: Config, now: number) {
    this.config = config
    this.counters = new TripCounters(config.tripPolicy)
    this.state = Object.freeze<Closed>({ _tag: "Closed", generation: 1, since: now })
    this.lastNow = now
    this.times = new StateTime(now)
  }

  /** A positive ticket when admitted, else 0. Slow calls may trip it here: `draw` gives the jitter. `reclaims`: hung probes are given up. */
  enter(now: number, draw = () => 0.5, reclaims = true): number {
    switch (this.state._tag) {
      case "Closed":
        return this.counters.follows ? this.enterFollowed(now, draw) : this.ticket
      case "Open":
        this.observe(now)
        if (now < this.dueAt) return this.reject()
        this.become({ _tag: "HalfOpen", ...this.next(now), failedProbes: this.state.failedProbes })
        return Ticket.probe(this.ticket, this.slots.take(now))
      case "HalfOpen":
        this.observe(now)
        if (reclaims) this.reclaimed += this.slots.reclaim(now, this.config.probeTimeoutMillis)
        if (this.slots.inFlight >= this.config.probes) return this.reject()
        return Ticket.probe(this.ticket, this.slots.take(now))
      case "Isolated":
        // A dry run is about what the breaker decides by itself: who takes a dependency out by hand means it.
        return 0
      case "Disabled":
        return this.ticket
    }
  }

  /** The number of the oldest probe, if it has had its time: the next call that enters gives it up. */
  overdueProbe(now: number): number | undefined {
    return this.slots.overdue(now, this.config.probeTimeoutMillis)
  }

  /** Why a call that `enter` rejected at `now` was rejected. */
  rejection(now: number): Rejection {
    const clock = Math.max(now, this.lastNow)
    switch (this.state._tag) {
      case "Isolated":
        return { reason: "isolated", retryAfterMillis: undefined }
      case "HalfOpen": {
        // Without an end in sight, for want of a probe or of a time limit, nothing is promised.
        const left = Math.max(0, (this.slots.oldestStart ?? Infinity) + this.config.probeTimeoutMillis - clock)
        return { reason: "probing", retryAfterMillis: left === Infinity ? undefined : left }
      }
      default:
        return { reason: "open", retryAfterMillis: Math.max(0, this.dueAt - clock) }
    }
  }

  /**
   * Gives back an admitted call with its result. `false` when the result came too late to count: the call was admitted
   * in an earlier generation, or was a probe whose slot has been taken back. `draw` (0 to 1) is called only when the
   * breaker opens with jitter; `retryAfterMillis` of the call that opens it can lengthen the open period.
   */
  record(
    ticket: number,
    verdict: Verdict,
    durationMillis: number,
    now: number,
    draw: () => number,
    retryAfterMillis?: number | undefined
  ): boolean {
    this.observe(now)
    if (!Ticket.sameGeneration(ticket, this.ticket)) return this.dropLate()
    if (this.state._tag === "HalfOpen" && isProbe(ticket)) {
      if (!this.slots.release(Ticket.numberOf(ticket))) return this.dropLate()
      if (verdict === "failure") {
        this.open(this.state.failedProbes + 1, now, draw, retryAfterMillis)
      } else if (verdict === "success" && ++this.probeSuccesses >= this.config.successThreshold) {
        this.become({ _tag: "Closed", ...this.next(now) })
      }
    } else if (this.state._tag === "Closed") {
      const place = Ticket.numberOf(ticket)
      if (place !== 0) this.counters.unfollow(place)
      if (verdict !== "ignored" && this.counters.record(now, verdict === "failure", durationMillis)) {
        this.open(0, now, draw, retryAfterMillis)
      }
    }
    return true
  }

  /** Whether the breaker is open and the next call would be a probe. */
  isDue(now: number): boolean {
    return this.state._tag === "Open" && Math.max(now, this.lastNow) >= this.dueAt
  }

  /** Rejects every call from now on. */
  isolate(now: number): void {
    this.observe(now)
    if (this.state._tag !== "Isolated") this.become({ _tag: "Isolated", ...this.next(now) })
  }

  /** Admits every call from now on and counts none. */
  disable(now: number): void {
    this.observe(now)
    if (this.state._tag !== "Disabled") this.become({ _tag: "Disabled", ...this.next(now) })
  }

  /** Closes the breaker with clean counts. When it is closed already, calls in flight still count. */
  reset(now: number): void {
    this.observe(now)
    if (this.state._tag !== "Closed") return this.become({ _tag: "Closed", ...this.next(now) })
    this.counters.clear()
  }

  /** Replaces the numbers. The state stays, with the end of an open period and counts whose window kept its shape. */
  reconfigure(config: Config, now: number): void {
    this.observe(now)
    this.config = config
    this.counters.reconfigure(config.tripPolicy)
  }

  /** Readings at `now`, as data of its own. */
  snapshot(now: number): Snapshot {
    return {
      state: this.state,
      ...this.counters.totals(now),
      consecutiveFailures: this.counters.consecutiveFailures,
      probesInFlight: this.slots.inFlight,
      probeSuccesses: this.probeSuccesses,
      reclaimed: this.reclaimed,
      late: this.late,
      wouldHaveRejected: this.wouldHaveRejected,
      trips: this.trips,
      millisIn: this.times.totals(now)
    }
  }

  private enterFollowed(now: number, draw: () => number): number {
    this.observe(now)
    if (!this.counters.watch(now)) return Ticket.follow(this.ticket, this.counters.follow(now))
    this.open(0, now, draw, undefined)
    return this.enter(now, draw)
  }

  private reject(): number {
    if (!this.config.dryRun) return 0
    this.wouldHaveRejected++
    return this.ticket
  }

  private dropLate(): boolean {
    this.late++
    return false
  }

  private open(failedProbes: number, now: number, draw: () => number, hint: number | undefined): void {
    const openMillis = openPeriod(this.config, failedProbes, draw, hint)
    this.trips++
    this.trip = failedProbes > 0 ? undefined : this.counters.trip(now)
    this.dueAt = now + openMillis
    this.become({ _tag: "Open", ...this.next(now), until: this.dueAt, openMillis, failedProbes })
  }

  private next(now: number): { readonly generation: number; readonly since: number } {
    return { generation: this.state.generation + 1, since: now }
  }

  private become(state: State): void {
    this.state = Object.freeze(state)
    this.times.become(state._tag, state.since)
    this.ticket = Ticket.plain(state.generation)
    this.slots.clear()
    this.probeSuccesses = 0
    // Until then the counts stay as they were, so that a reader sees what opened the breaker.
    if (state._tag === "Closed") this.counters.restart()
  }

  /** A clock that steps back takes every instant held here with it: nothing gets longer by it, nothing comes back. */
  private observe(now: number): void {
    if (now < this.lastNow) {
      const step = now - this.lastNow
      this.dueAt += step
      this.times.shift(step)
      this.slots.shift(step)
      this.counters.shift(step)
    }
    this.lastNow = now
  }
}
