/**
 * A histogram of call durations in fixed memory, from which old traffic leaves.
 *
 * Buckets are log-linear: every doubling of the duration has 16 of equal width, so a quantile is within 3.2 % of the
 * true duration between 0.1 ms and 1 hour. Durations outside that range count at its ends.
 *
 * @since 0.1.0
 */

/**
 * The shortest duration told apart, in milliseconds.
 *
 * @example
 * ```ts
 * import * as LatencyHistogram from "@holdfast/core/LatencyHistogram"
 *
 * const latency = LatencyHistogram.make(60_000, 0)
 * latency.record(0.01, 0)
 *
 * console.log(latency.max === LatencyHistogram.shortest) // true
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const shortest = 0.1

/**
 * The longest duration told apart, in milliseconds: one hour.
 *
 * @example
 * ```ts
 * import * as LatencyHistogram from "@holdfast/core/LatencyHistogram"
 *
 * const latency = LatencyHistogram.make(60_000, 0)
 * latency.record(Infinity, 0)
 *
 * console.log(latency.max === LatencyHistogram.longest) // true
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const longest = 3_600_000

/**
 * What the histogram holds at one instant. Times are in milliseconds; `undefined` where nothing was recorded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly since: number
  readonly count: number
  readonly mean: number | undefined
  readonly max: number | undefined
  readonly p50: number | undefined
  readonly p90: number | undefined
  readonly p99: number | undefined
}

// Integer ticks of which the shortest duration has exactly 16: the leading bit of a duration in ticks is its doubling,
// the four bits behind it are its bucket there.
const ticksPerMilli = 160
const bucketsPerDoubling = 16
const bucketBits = 4

const bucketOf = (millis: number): number => {
  const ticks = Math.floor(millis * ticksPerMilli)
  const doubling = 31 - bucketBits - Math.clz32(ticks)
  return doubling * bucketsPerDoubling + (ticks >>> doubling) - bucketsPerDoubling
}

const bucketCount = bucketOf(longest) + 1

const middleOf = (bucket: number): number => {
  const doubling = bucket >> bucketBits
  const offset = bucket & (bucketsPerDoubling - 1)
  return ((bucketsPerDoubling + offset + 0.5) * 2 ** doubling) / ticksPerMilli
}

class Durations {
  readonly buckets = new Float64Array(bucketCount)
  count = 0
  sum = 0
  max = 0

  add(millis: number): void {
    this.buckets[bucketOf(millis)]!++
    this.count++
    this.sum += millis
    if (millis > this.max) this.max = millis
  }

  clear(): void {
    this.buckets.fill(0)
    this.count = 0
    this.sum = 0
    this.max = 0
  }
}

/**
 * Durations of the current and the previous window, so that readings reach back between one and two `windowMillis`.
 *
 * @example
 * ```ts
 * import { LatencyHistogram } from "@holdfast/core/LatencyHistogram"
 *
 * const latency = new LatencyHistogram(60_000, 0)
 * latency.record(12, 0)
 * latency.record(90, 1_000)
 *
 * console.log(latency.count, latency.mean, latency.max) // 2 51 90
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export class LatencyHistogram {
  private readonly windowMillis: number
  private current = new Durations()
  private previous = new Durations()
  private startedAt: number
  private reachesBackTo: number

  constructor(windowMillis: number, now: number) {
    this.windowMillis = windowMillis
    this.startedAt = now
    this.reachesBackTo = now
  }

  /** When the oldest durations counted here may have been recorded. */
  get since(): number {
    return this.reachesBackTo
  }

  /** How many durations are counted. */
  get count(): number {
    return this.current.count + this.previous.count
  }

  /** The mean in milliseconds, exact but for durations outside the range; `undefined` when nothing is counted. */
  get mean(): number | undefined {
    return this.count === 0 ? undefined : (this.current.sum + this.previous.sum) / this.count
  }

  /** The largest duration in milliseconds, exact up to one hour; `undefined` when nothing is counted. */
  get max(): number | undefined {
    return this.count === 0 ? undefined : Math.max(this.current.max, this.previous.max)
  }

  /** Counts a duration in milliseconds, in O(1) and without allocating. What is not a number counts as the shortest. */
  record(millis: number, now: number): void {
    this.rotate(now)
    this.current.add(millis > shortest ? Math.min(millis, longest) : shortest)
  }

  /**
   * The duration in milliseconds that a share `q` (0 to 1) of the calls did not exceed, by nearest rank; `undefined`
   * when nothing is counted.
   */
  quantile(q: number): number | undefined {
    const count = this.count
    if (count === 0) return undefined
    // 0.07 * 100 is a little more than 7: without the margin a rounding error would ask for the next rank.
    const rank = Math.min(count, Math.max(1, Math.ceil(q * count - 1e-6)))
    let bucket = 0
    let seen = this.current.buckets[0]! + this.previous.buckets[0]!
    while (seen < rank) {
      bucket++
      seen += this.current.buckets[bucket]! + this.previous.buckets[bucket]!
    }
    // The middle of the last bucket may lie above everything that was recorded.
    return Math.min(middleOf(bucket), Math.max(this.current.max, this.previous.max))
  }

  /** Lets old durations leave. `record` does it too; a reader does it first where calls may have stopped. */
  rotate(now: number): void {
    const age = now - this.startedAt
    if (age >= this.windowMillis) {
      if (age >= 2 * this.windowMillis) {
        this.clear(now)
      } else {
        this.swap()
      }
    } else if (age < 0) {
      // The clock stepped back: what is held keeps the age it had at the start of its window.
      this.startedAt = now
      this.reachesBackTo += age
    }
  }

  /** Forgets everything and starts a window at `now`. */
  clear(now: number): void {
    this.current.clear()
    this.previous.clear()
    this.startedAt = now
    this.reachesBackTo = now
  }

  /** The usual readings as data of its own. */
  snapshot(): Snapshot {
    return {
      since: this.since,
      count: this.count,
      mean: this.mean,
      max: this.max,
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99)
    }
  }

  private swap(): void {
    const emptied = this.previous
    emptied.clear()
    this.previous = this.current
    this.current = emptied
    this.reachesBackTo = this.startedAt
    this.startedAt += this.windowMillis
  }
}

/**
 * Builds an empty histogram whose windows last `windowMillis`, the first from `now` on.
 *
 * @example
 * ```ts
 * import { strictEqual } from "node:assert"
 * import * as LatencyHistogram from "@holdfast/core/LatencyHistogram"
 *
 * const latency = LatencyHistogram.make(60_000, 0)
 * for (let millis = 1; millis <= 100; millis++) latency.record(millis, 0)
 *
 * strictEqual(latency.count, 100)
 * strictEqual(latency.mean, 50.5)
 * strictEqual(latency.quantile(0.5), 50.4)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (windowMillis: number, now: number): LatencyHistogram => new LatencyHistogram(windowMillis, now)
