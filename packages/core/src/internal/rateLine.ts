/**
 * The buckets of a rate, and the lines of those who wait at them.
 */
import * as Exit from "effect/Exit"
import type * as Alarm from "../Alarm.js"
import type { KeyedTokenBuckets, TokenBucket } from "../TokenBucket.js"
import { admitted, type Passage } from "./gate.js"

/**
 * One rate with its buckets.
 *
 * @internal
 */
export interface Tier {
  capacity: number
  refillPerMillis: number
  readonly single: TokenBucket | undefined
  readonly keyed: KeyedTokenBuckets | undefined
  readonly lines: Map<string, Line>
}

/** @internal */
export const take = (tier: Tier, key: string, cost: number, now: number): boolean =>
  tier.single === undefined ? tier.keyed!.take(key, cost, now) : tier.single.take(cost, now)

/** @internal */
export const waitMillis = (tier: Tier, key: string, cost: number, now: number): number =>
  tier.single === undefined ? tier.keyed!.waitMillis(key, cost, now) : tier.single.waitMillis(cost, now)

/** @internal */
export const available = (tier: Tier, key: string, now: number): number =>
  tier.single === undefined ? tier.keyed!.available(key, now) : tier.single.available(now)

/** @internal */
export const giveBack = (tier: Tier, key: string, cost: number): void =>
  tier.single === undefined ? tier.keyed!.giveBack(key, cost) : tier.single.giveBack(cost)

/**
 * What a line asks of its limiter.
 *
 * @internal
 */
export interface Limiter {
  /** Calls that wait, over all lines. */
  queued: number
  /** Calls that were let through after a wait. */
  waited: number
  /** What a call ends with that is not let through; `undefined` where it is let through all the same. */
  refuse(frame: Passage, tier: Tier, key: string, wait: number): undefined | Exit.Exit<never, unknown>
}

/**
 * A call that waits for tokens, or holds them.
 *
 * @internal
 */
export class Ticket {
  readonly tier: Tier
  readonly key: string
  readonly cost: number
  readonly frame: Passage
  state: "waiting" | "granted" | "gone"
  constructor(tier: Tier, key: string, cost: number, frame: Passage, state: "waiting" | "granted") {
    this.tier = tier
    this.key = key
    this.cost = cost
    this.frame = frame
    this.state = state
  }
}

/** A timer that is no later than this costs nobody tokens. */
const lateness = 20

/**
 * Those who wait at one bucket, with one alarm for the first of them.
 *
 * @internal
 */
export class Line implements Alarm.Entry {
  at = 0
  place = -1
  /** The cost of all who wait. */
  owed = 0
  private readonly waiting = new Set<Ticket>()
  private readonly gate: Limiter
  private readonly tier: Tier
  private readonly key: string
  readonly alarms: Alarm.Alarms

  constructor(gate: Limiter, tier: Tier, key: string, alarms: Alarm.Alarms) {
    this.gate = gate
    this.tier = tier
    this.key = key
    this.alarms = alarms
  }

  join(ticket: Ticket, now: number): void {
    this.waiting.add(ticket)
    this.owed += ticket.cost
    this.gate.queued++
    if (this.waiting.size === 1) {
      this.arm(now, now)
    }
  }

  /** Who leaves takes its place in the line along: nobody behind waits for it. */
  part(ticket: Ticket): void {
    const wasFirst = this.first() === ticket
    this.drop(ticket)
    if (wasFirst) {
      this.alarms.cancel(this)
      const now = this.alarms.now()
      this.arm(now, now)
    }
  }

  ring(): void {
    this.serve(this.alarms.now())
  }

  /** Tokens came back before their time, or the alarm is due and has not rung yet. */
  refresh(now: number): void {
    this.alarms.cancel(this)
    this.serve(now)
  }

  /** The rate has changed: who costs more than the bucket holds now would wait for ever. */
  revise(now: number): void {
    for (const ticket of [...this.waiting].filter(({ cost }) => cost > this.tier.capacity)) {
      this.drop(ticket)
      ticket.state = "gone"
      ticket.frame.now = now
      ticket.frame.wake(() => this.gate.refuse(ticket.frame, this.tier, this.key, Infinity) ?? Exit.void)
    }
    this.refresh(now)
  }

  /**
   * Each pays at the instant at which its tokens were there: timers have whole milliseconds and are late, and a bucket that ran
   * over meanwhile would cost those behind their turn. What a blocked event loop kept back for long is not made up for.
   */
  private serve(now: number): void {
    let instant = Math.max(Math.min(this.at, now), now - lateness)
    for (let ticket = this.first(); ticket !== undefined; ticket = this.first()) {
      const due = instant + waitMillis(this.tier, this.key, ticket.cost, instant)
      if (due > now || !take(this.tier, this.key, ticket.cost, due)) {
        break
      }
      instant = due
      this.drop(ticket)
      ticket.state = "granted"
      this.gate.waited++
      ticket.frame.wake(admitted)
    }
    this.arm(instant, now)
  }

  private arm(from: number, now: number): void {
    const ticket = this.first()
    if (ticket === undefined) {
      this.tier.lines.delete(this.key)
    } else {
      this.alarms.schedule(this, from + waitMillis(this.tier, this.key, ticket.cost, from), now)
    }
  }

  private first(): Ticket | undefined {
    return this.waiting.values().next().value
  }

  private drop(ticket: Ticket): void {
    this.waiting.delete(ticket)
    this.owed -= ticket.cost
    this.gate.queued--
  }
}
