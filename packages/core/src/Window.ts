/**
 * Sliding windows of call results: descriptions as plain data, and the mutable counters that a trip policy reads.
 *
 * Recording costs the same at every size: a ring for the last calls, a ring of slices for the last stretch of time,
 * and running totals beside both.
 *
 * @since 0.1.0
 */

/**
 * The last `size` finished calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallsWindow {
  readonly _tag: "Calls"
  /** How many calls the window remembers, a whole number of at least 1. */
  readonly size: number
}

/**
 * The calls that finished during the last `millis`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimeWindow {
  readonly _tag: "Time"
  /** The span in milliseconds, more than 0. */
  readonly millis: number
  /** How many equal slices the span is cut into, a whole number of at least 1. */
  readonly slices: number
}

/**
 * What a window remembers, as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export type Window = CallsWindow | TimeWindow

/**
 * The totals of a window at one instant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Totals {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/**
 * The mutable counter behind a window. Every `now` is in milliseconds, may be fractional, and may step in either
 * direction: a step back keeps the counts at the age they had, a step far forward empties a time window.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counter {
  /** Counts one finished call, in O(1) and without allocating. */
  record(now: number, failed: boolean, slow: boolean): void
  /** Calls in the window. */
  calls(now: number): number
  /** Failed calls in the window. */
  failures(now: number): number
  /** Slow calls in the window. */
  slow(now: number): number
  /** Forgets every call. */
  clear(): void
  /** All totals, as data of its own that later records do not change. */
  snapshot(now: number): Totals
}

/**
 * Describes a window over the last `size` calls. It never empties by itself: after a quiet night the last calls of the
 * evening still stand in it, so a busy dependency is better served by `time`.
 *
 * @example
 * ```ts
 * import * as Window from "@holdfast/core/Window"
 *
 * console.log(Window.calls(100)) // { _tag: "Calls", size: 100 }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const calls = (size: number): CallsWindow => ({ _tag: "Calls", size })

/**
 * Describes a window over the last `millis`, cut into `slices` (10 by default). The oldest slice leaves as a whole, so
 * what is counted reaches back between `millis - millis / slices` and `millis`.
 *
 * @example
 * ```ts
 * import * as Window from "@holdfast/core/Window"
 *
 * console.log(Window.time(30_000)) // { _tag: "Time", millis: 30000, slices: 10 }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const time = (millis: number, slices = 10): TimeWindow => ({ _tag: "Time", millis, slices })

/**
 * Whether two descriptions remember the same calls, so that counts may be kept when one replaces the other.
 *
 * @example
 * ```ts
 * import * as Window from "@holdfast/core/Window"
 *
 * console.log(Window.sameShape(Window.calls(100), Window.calls(100))) // true
 * console.log(Window.sameShape(Window.calls(100), Window.time(100))) // false
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const sameShape = (left: Window, right: Window): boolean =>
  left._tag === "Calls"
    ? right._tag === "Calls" && left.size === right.size
    : right._tag === "Time" && left.millis === right.millis && left.slices === right.slices

const failedBit = 1
const slowBit = 2

class CallsCounter implements Counter {
  private readonly results: Uint8Array
  private next = 0
  private recorded = 0
  private failed = 0
  private slowed = 0

  constructor(size: number) {
    this.results = new Uint8Array(size)
  }

  record(_now: number, failed: boolean, slow: boolean): void {
    const size = this.results.length
    if (this.recorded < size) {
      this.recorded++
    } else {
      const leaving = this.results[this.next]!
      this.failed -= leaving & failedBit
      this.slowed -= leaving >> 1
    }
    this.results[this.next] = (failed ? failedBit : 0) | (slow ? slowBit : 0)
    if (failed) this.failed++
    if (slow) this.slowed++
    this.next = this.next + 1 === size ? 0 : this.next + 1
  }

  calls(_now: number): number {
    return this.recorded
  }

  failures(_now: number): number {
    return this.failed
  }

  slow(_now: number): number {
    return this.slowed
  }

  clear(): void {
    // Places that were not written since are never read: `recorded` says how many are.
    this.next = 0
    this.recorded = 0
    this.failed = 0
    this.slowed = 0
  }

  snapshot(_now: number): Totals {
    return { calls: this.recorded, failures: this.failed, slow: this.slowed }
  }
}

/** Small whole numbers in a plain array weigh a quarter of a typed array of this length, and are as fast. */
const emptySlices = (slices: number): Array<number> => new Array<number>(slices).fill(0)

class TimeCounter implements Counter {
  private readonly sliceMillis: number
  private readonly sliceCalls: Array<number>
  /** What has never been counted has no slices yet: a program may keep a window for each of many keys. */
  private sliceFailures: Array<number> | undefined = undefined
  private sliceSlow: Array<number> | undefined = undefined
  /** The place of the newest slice, and the number of that slice on the clock. */
  private head = 0
  private current = 0
  private recorded = 0
  private failed = 0
  private slowed = 0

  constructor(millis: number, slices: number) {
    this.sliceMillis = millis / slices
    this.sliceCalls = emptySlices(slices)
  }

  record(now: number, failed: boolean, slow: boolean): void {
    this.advance(now)
    this.sliceCalls[this.head]!++
    this.recorded++
    if (failed) {
      const slices = (this.sliceFailures ??= emptySlices(this.sliceCalls.length))
      slices[this.head]!++
      this.failed++
    }
    if (slow) {
      const slices = (this.sliceSlow ??= emptySlices(this.sliceCalls.length))
      slices[this.head]!++
      this.slowed++
    }
  }

  calls(now: number): number {
    this.advance(now)
    return this.recorded
  }

  failures(now: number): number {
    this.advance(now)
    return this.failed
  }

  slow(now: number): number {
    this.advance(now)
    return this.slowed
  }

  clear(): void {
    this.sliceCalls.fill(0)
    this.sliceFailures?.fill(0)
    this.sliceSlow?.fill(0)
    this.recorded = 0
    this.failed = 0
    this.slowed = 0
  }

  snapshot(now: number): Totals {
    this.advance(now)
    return { calls: this.recorded, failures: this.failed, slow: this.slowed }
  }

  private advance(now: number): void {
    const slice = Math.floor(now / this.sliceMillis)
    const steps = slice - this.current
    if (steps === 0) return
    // A step back only renumbers the newest slice: counts keep their age, so they neither stay on nor come back.
    this.current = slice
    if (steps >= this.sliceCalls.length) {
      this.clear()
    } else {
      for (let step = 0; step < steps; step++) this.rotate()
    }
  }

  private rotate(): void {
    this.head = this.head + 1 === this.sliceCalls.length ? 0 : this.head + 1
    this.recorded -= this.sliceCalls[this.head]!
    this.sliceCalls[this.head] = 0
    if (this.sliceFailures !== undefined) {
      this.failed -= this.sliceFailures[this.head]!
      this.sliceFailures[this.head] = 0
    }
    if (this.sliceSlow !== undefined) {
      this.slowed -= this.sliceSlow[this.head]!
      this.sliceSlow[this.head] = 0
    }
  }
}

/**
 * Builds an empty counter for a description. Its numbers are taken as given: they are checked where the options are.
 *
 * @example
 * ```ts
 * import { deepStrictEqual } from "node:assert"
 * import * as Window from "@holdfast/core/Window"
 *
 * const window = Window.make(Window.time(30_000))
 * window.record(0, true, false)
 * window.record(15_000, false, false)
 *
 * deepStrictEqual(window.snapshot(15_000), { calls: 2, failures: 1, slow: 0 })
 * deepStrictEqual(window.snapshot(30_000), { calls: 1, failures: 0, slow: 0 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (description: Window): Counter =>
  description._tag === "Calls"
    ? new CallsCounter(description.size)
    : new TimeCounter(description.millis, description.slices)
