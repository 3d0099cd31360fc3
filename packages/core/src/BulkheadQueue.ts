/**
 * Permits, and the line of those who wait for one: a permit that comes back goes straight to the first in the line.
 *
 * Plain synchronous state: no clock, no timers, nothing to dispose of. The permit is handed over rather than put back
 * and announced, so one release wakes one waiter, and nobody who comes later can overtake.
 *
 * @since 0.1.0
 */

/**
 * A place in the line. The shell gives its own object (the one it resumes the caller with), so waiting allocates
 * nothing here and leaving from the middle takes constant time.
 *
 * The three fields belong to the queue: start with `undefined`, `undefined`, `false` and only read `queued` afterwards.
 * A waiter stands in one queue at a time, and may be used again once it has left.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiter {
  /** Who stands before it. */
  previous: Waiter | undefined
  /** Who stands behind it. */
  next: Waiter | undefined
  /** Whether it stands in a line; false for a waiter that left or was handed a permit. */
  queued: boolean
}

const checkLimit = (field: string, value: number, least: number): number => {
  // Infinity is no integer, and means "no limit". Limits are only compared, never added, so none is too large.
  if (value >= least && (Number.isInteger(value) || value === Infinity)) return value
  throw new RangeError(`${field} must be a whole number of at least ${least}, or Infinity; it is ${value}`)
}

/**
 * A fixed number of permits with a bounded first-in, first-out line behind them.
 *
 * - `maxConcurrent`: permits, a whole number of at least 1, or Infinity.
 * - `maxQueue`: places in the line, a whole number of at least 0 (0: nobody waits), or Infinity.
 *
 * Anything else is a `RangeError`. While a waiter stands in the line every permit is out; only inside the callback of
 * `resize` may some still be waiting to be handed over.
 *
 * @example
 * ```ts
 * import { BulkheadQueue, type Waiter } from "@holdfast/core/BulkheadQueue"
 *
 * const queue = new BulkheadQueue<Waiter>(1, 10)
 * const second: Waiter = { previous: undefined, next: undefined, queued: false }
 *
 * queue.tryAcquire() // true: the first call runs
 * queue.tryAcquire() // false: the only permit is out
 * queue.enqueue(second) // true: the second call waits
 * queue.release() // second: it holds the permit now, resume it
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export class BulkheadQueue<W extends Waiter> {
  #maxConcurrent: number
  #maxQueue: number
  #active = 0
  #queued = 0
  #rejected = 0
  #violations = 0
  #first: W | undefined = undefined
  #last: W | undefined = undefined

  constructor(maxConcurrent: number, maxQueue: number) {
    this.#maxConcurrent = checkLimit("maxConcurrent", maxConcurrent, 1)
    this.#maxQueue = checkLimit("maxQueue", maxQueue, 0)
  }

  /**
   * Permits that are out. Above `maxConcurrent` only for as long as calls run that were admitted before it was lowered.
   *
   * @since 0.1.0
   */
  get active(): number {
    return this.#active
  }

  /**
   * Waiters in the line.
   *
   * @since 0.1.0
   */
  get queued(): number {
    return this.#queued
  }

  /**
   * How many permits may be out at once.
   *
   * @since 0.1.0
   */
  get maxConcurrent(): number {
    return this.#maxConcurrent
  }

  /**
   * How many waiters may stand in the line.
   *
   * @since 0.1.0
   */
  get maxQueue(): number {
    return this.#maxQueue
  }

  /**
   * How often `enqueue` found the line full, plus the calls told to `reject`.
   *
   * @since 0.1.0
   */
  get rejected(): number {
    return this.#rejected
  }

  /**
   * Mistakes of the shell: a release with no permit out, or a waiter that was queued twice. Zero in a correct program.
   *
   * @since 0.1.0
   */
  get violations(): number {
    return this.#violations
  }

  /**
   * Whether `enqueue` would refuse; lets a shell turn a call away before it builds a waiter for it.
   *
   * @since 0.1.0
   */
  get full(): boolean {
    return !this.#open && this.#queued >= this.#maxQueue
  }

  get #open(): boolean {
    // Whoever waits goes first, also while `resize` is still handing permits over.
    return this.#active < this.#maxConcurrent && this.#first === undefined
  }

  /**
   * Takes a permit; false when none is free or somebody waits.
   *
   * @since 0.1.0
   */
  tryAcquire(): boolean {
    if (!this.#open) return false
    this.#active += 1
    return true
  }

  /**
   * Puts a waiter at the end of the line; false, and counted as rejected, when the line is full.
   *
   * A waiter that comes while a permit is free gets it at once instead of waiting for a release that may never happen:
   * the answer is true and `queued` stays false. A waiter that stands in a line already is refused, as a violation.
   *
   * @since 0.1.0
   */
  enqueue(waiter: W): boolean {
    if (waiter.queued) {
      this.#violations += 1
      return false
    }
    if (this.tryAcquire()) return true
    if (this.#queued >= this.#maxQueue) {
      this.#rejected += 1
      return false
    }
    const last = this.#last
    if (last === undefined) this.#first = waiter
    else last.next = waiter
    waiter.previous = last
    waiter.queued = true
    this.#last = waiter
    this.#queued += 1
    return true
  }

  /**
   * Counts a call that was turned away without asking `enqueue`.
   *
   * @since 0.1.0
   */
  reject(): void {
    this.#rejected += 1
  }

  /**
   * Takes a waiter that gives up out of the line; its place is free at once and the others keep their order.
   *
   * False when it does not wait. One that was handed a permit in the meantime holds it, and has to `release` it.
   *
   * @since 0.1.0
   */
  remove(waiter: W): boolean {
    if (!waiter.queued) return false
    this.#unlink(waiter)
    return true
  }

  /**
   * Gives a permit back. Returns the waiter that holds it from now on, for the shell to resume, or undefined.
   *
   * With no permit out it changes nothing but `violations`.
   *
   * @since 0.1.0
   */
  release(): W | undefined {
    if (this.#active === 0) {
      this.#violations += 1
      return undefined
    }
    const waiter = this.#first
    if (waiter === undefined || this.#active > this.#maxConcurrent) {
      this.#active -= 1
      return undefined
    }
    this.#unlink(waiter)
    return waiter
  }

  /**
   * Changes both limits while calls run and wait.
   *
   * More permits are handed to the line at once, and `granted` is told each waiter that got one. Fewer permits stop
   * nobody: running calls end in their own time, and none is admitted until fewer than the new limit run. Waiters
   * beyond a lowered `maxQueue` stay; the line only takes no new ones.
   *
   * `granted` may call back into the queue. If it throws, the hand-over goes on, and the first error is thrown at the
   * end.
   *
   * @since 0.1.0
   */
  resize(maxConcurrent: number, maxQueue: number, granted: (waiter: W) => void): void {
    const concurrent = checkLimit("maxConcurrent", maxConcurrent, 1)
    this.#maxQueue = checkLimit("maxQueue", maxQueue, 0)
    this.#maxConcurrent = concurrent
    const errors: Array<unknown> = []
    // One waiter at a time, and everything read afresh: the callback may have removed, added or released others.
    while (this.#active < this.#maxConcurrent) {
      const waiter = this.#first
      if (waiter === undefined) break
      this.#unlink(waiter)
      this.#active += 1
      try {
        granted(waiter)
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  #unlink(waiter: W): void {
    // Every link was set by `enqueue` of this queue, so its neighbours are of the same type.
    const previous = waiter.previous as W | undefined
    const next = waiter.next as W | undefined
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    waiter.previous = undefined
    waiter.next = undefined
    waiter.queued = false
    this.#queued -= 1
  }
}
