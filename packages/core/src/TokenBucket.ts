/**
 * Token buckets on timestamps: whether a call may go now, and how long until it may, for one bucket or one per key.
 *
 * Plain synchronous state: every reading of the clock is an argument (`now`, in milliseconds, fractions allowed), the
 * refill is worked out when somebody asks, and an idle bucket costs nothing. Rules of the clock, for every method that
 * takes `now`:
 *
 * - forward by any amount: refills, never above the capacity;
 * - back by up to 1,000 ms (a reading taken before its turn): waited out. Nothing is refilled until the clock has
 *   passed the newest instant that was charged for;
 * - back by more (the clock was set): followed. The bucket keeps the level of its last charge and refills from `now`
 *   on.
 *
 * Costs: 0 is free and always admitted; anything between 0 and `TokenBucket.limits.minimumCost` is charged as the
 * minimum; a negative cost or NaN is a `RangeError`.
 *
 * @since 0.1.0
 */

/**
 * The size and the speed of a bucket.
 *
 * @since 0.1.0
 * @category models
 */
export interface TokenBucketConfig {
  /** The most tokens it holds, and so the largest burst; from 0.01 to 1,000,000,000. */
  readonly capacity: number
  /** Tokens that flow in per millisecond; above 0 and finite (100 per second is 0.1). */
  readonly refillPerMillis: number
}

/** The largest step back that counts as a late reading and not as a clock that was set. */
const largestLateness = 1_000

// At the largest level a double still tells 0.0000001 tokens apart, so that each charge, even the smallest, is rounded
// by less than 0.0012 % of itself: no call goes free, and the long-run rate stays within 0.01 %.
const minimumCost = 0.01
const maximumCapacity = 1_000_000_000

const checkConfig = (config: TokenBucketConfig): TokenBucketConfig => {
  const { capacity, refillPerMillis } = config
  if (!(capacity >= minimumCost && capacity <= maximumCapacity)) {
    throw new RangeError(`capacity must be a number from ${minimumCost} to ${maximumCapacity}; it is ${capacity}`)
  }
  if (!(refillPerMillis > 0 && refillPerMillis < Infinity)) {
    throw new RangeError(`refillPerMillis must be above 0 and finite; it is ${refillPerMillis}`)
  }
  return { capacity, refillPerMillis }
}

const chargeOf = (cost: number): number => {
  if (cost >= minimumCost) return cost
  if (cost > 0) return minimumCost
  if (cost === 0) return 0
  throw new RangeError(`cost must be 0 or more; it is ${cost}`)
}

// A bucket is two doubles in an array, at `at`: the level after the last charge, and the instant of it. One layout
// serves the single bucket and the keyed ones, and writing to it allocates nothing.

const levelAt = (config: TokenBucketConfig, state: Float64Array, at: number, now: number): number => {
  const level = state[at]!
  const elapsed = now - state[at + 1]!
  if (elapsed > 0) return Math.min(config.capacity, level + elapsed * config.refillPerMillis)
  if (elapsed < -largestLateness) state[at + 1] = now
  return level
}

const write = (state: Float64Array, at: number, level: number, now: number): void => {
  state[at] = level
  if (now > state[at + 1]!) state[at + 1] = now
}

const takeFrom = (config: TokenBucketConfig, state: Float64Array, at: number, charge: number, now: number): boolean => {
  const level = levelAt(config, state, at, now)
  // A refused call writes nothing: polling must not round the refill away.
  if (level < charge) return false
  write(state, at, level - charge, now)
  return true
}

const waitFor = (config: TokenBucketConfig, state: Float64Array, at: number, level: number, now: number): number => {
  if (level > config.capacity) return Infinity
  if (levelAt(config, state, at, now) >= level) return 0
  let wait = (level - state[at]!) / config.refillPerMillis - (now - state[at + 1]!)
  // The division may have rounded down, and so may `now + wait`: go on until the very sum `take` does comes out right.
  let step = Math.max(1, Math.abs(now), wait, level / config.refillPerMillis) * Number.EPSILON
  while (step < Infinity && levelAt(config, state, at, now + wait) < level) {
    wait += step
    step *= 2
  }
  return wait
}

const giveBackTo = (config: TokenBucketConfig, state: Float64Array, at: number, charge: number): void => {
  state[at] = Math.min(config.capacity, state[at]! + charge)
}

/**
 * One bucket; starts full.
 *
 * @example
 * ```ts
 * import { TokenBucket } from "@holdfast/core/TokenBucket"
 *
 * const bucket = new TokenBucket({ capacity: 10, refillPerMillis: 0.002 }, 0)
 * bucket.take(10, 0) // true: it starts full
 * bucket.take(1, 0) // false
 * bucket.waitMillis(1, 0) // 500
 * bucket.take(1, 500) // true
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export class TokenBucket {
  /**
   * The smallest cost that is charged as it is, and the largest capacity: within them every charge changes the level.
   *
   * @since 0.1.0
   */
  static readonly limits: Readonly<Record<"minimumCost" | "maximumCapacity", number>> = { minimumCost, maximumCapacity }

  #config: TokenBucketConfig
  readonly #state = new Float64Array(2)

  constructor(config: TokenBucketConfig, now: number) {
    this.#config = checkConfig(config)
    this.#state[0] = this.#config.capacity
    this.#state[1] = now
  }

  /**
   * Takes `cost` tokens if they are there; all or nothing.
   *
   * @since 0.1.0
   */
  take(cost: number, now: number): boolean {
    const charge = chargeOf(cost)
    return charge === 0 || takeFrom(this.#config, this.#state, 0, charge, now)
  }

  /**
   * How long after `now` a `take` of this cost succeeds if nobody else takes; Infinity for a cost above the capacity.
   *
   * @since 0.1.0
   */
  waitMillis(cost: number, now: number): number {
    return waitFor(this.#config, this.#state, 0, chargeOf(cost), now)
  }

  /**
   * Returns the tokens of a call that was admitted and never started; never above the capacity.
   *
   * @since 0.1.0
   */
  giveBack(cost: number): void {
    giveBackTo(this.#config, this.#state, 0, chargeOf(cost))
  }

  /**
   * Tokens there at `now`, from 0 to the capacity.
   *
   * @since 0.1.0
   */
  available(now: number): number {
    return levelAt(this.#config, this.#state, 0, now)
  }

  /**
   * Milliseconds from `now` until it is full if nobody takes; 0 when it is.
   *
   * @since 0.1.0
   */
  resetMillis(now: number): number {
    return waitFor(this.#config, this.#state, 0, this.#config.capacity, now)
  }

  /**
   * Changes size and speed from `now` on. The bucket stays as full as it was by share: full stays full, half full stays
   * half full, empty stays empty. What flowed in until `now` did so at the old speed.
   *
   * @since 0.1.0
   */
  reconfigure(config: TokenBucketConfig, now: number): void {
    const after = checkConfig(config)
    write(this.#state, 0, (this.available(now) / this.#config.capacity) * after.capacity, now)
    this.#config = after
  }
}

const mostKeys = 10_000_000
const none = -1

/**
 * One bucket per key, for at most `maximumKeys` keys (a whole number from 1 to 10,000,000), below 150 bytes a key
 * beside the key itself.
 *
 * A key is kept from its first `take`. The overflow rule: when there is no room for a new key, the one whose `take` is
 * longest ago goes, and **starts full again** if it comes back; `evicted` counts the keys that went before they were
 * full. A full bucket says no more than a missing one, so each new key also drops up to two of the oldest that are full
 * again: the number of keys follows the traffic down without a timer.
 *
 * @example
 * ```ts
 * import { KeyedTokenBuckets } from "@holdfast/core/TokenBucket"
 *
 * const perTenant = new KeyedTokenBuckets({ capacity: 1, refillPerMillis: 0.001 }, { maximumKeys: 10_000 })
 *
 * perTenant.take("tenant-a", 1, 0) // true
 * perTenant.take("tenant-b", 1, 0) // true: a bucket of its own
 * perTenant.waitMillis("tenant-a", 1, 0) // 1000
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export class KeyedTokenBuckets {
  #config: TokenBucketConfig
  readonly #maximumKeys: number
  // A key has a slot, and all about it stands in arrays at that slot: no object per key, no garbage per call. The slots
  // are linked by age of use; free ones are linked through `older`.
  readonly #slots = new Map<string, number>()
  readonly #keys: Array<string> = []
  #state = new Float64Array(0)
  #newer = new Int32Array(0)
  #older = new Int32Array(0)
  #newest = none
  #oldest = none
  #free = none
  #evicted = 0

  constructor(config: TokenBucketConfig, options: { readonly maximumKeys: number }) {
    const { maximumKeys } = options
    if (!(Number.isInteger(maximumKeys) && maximumKeys >= 1 && maximumKeys <= mostKeys)) {
      throw new RangeError(`maximumKeys must be a whole number from 1 to ${mostKeys}; it is ${maximumKeys}`)
    }
    this.#config = checkConfig(config)
    this.#maximumKeys = maximumKeys
  }

  /**
   * Keys that are remembered; never above `maximumKeys`.
   *
   * @since 0.1.0
   */
  get size(): number {
    return this.#slots.size
  }

  /**
   * Keys that lost their bucket to a new key before it was full again; grows when `maximumKeys` is too small.
   *
   * @since 0.1.0
   */
  get evicted(): number {
    return this.#evicted
  }

  /**
   * Takes `cost` tokens from the bucket of `key` if they are there; all or nothing. Counts as a use of the key either
   * way, except for a cost that is free or above the capacity.
   *
   * @since 0.1.0
   */
  take(key: string, cost: number, now: number): boolean {
    const charge = chargeOf(cost)
    if (charge === 0) return true
    // No state of the bucket could change the answer, so such a call must not cost another key its place.
    if (charge > this.#config.capacity) return false
    let slot = this.#slots.get(key)
    if (slot === undefined) slot = this.#add(key, now)
    else if (slot !== this.#newest) {
      this.#unlink(slot)
      this.#linkNewest(slot)
    }
    return takeFrom(this.#config, this.#state, slot * 2, charge, now)
  }

  /**
   * As `TokenBucket.waitMillis`, for the bucket of `key`. Does not count as a use.
   *
   * @since 0.1.0
   */
  waitMillis(key: string, cost: number, now: number): number {
    const charge = chargeOf(cost)
    const slot = this.#slots.get(key)
    if (slot === undefined) return charge > this.#config.capacity ? Infinity : 0
    return waitFor(this.#config, this.#state, slot * 2, charge, now)
  }

  /**
   * Tokens in the bucket of `key`; the capacity for a key that is not remembered. Does not count as a use.
   *
   * @since 0.1.0
   */
  available(key: string, now: number): number {
    const slot = this.#slots.get(key)
    return slot === undefined ? this.#config.capacity : levelAt(this.#config, this.#state, slot * 2, now)
  }

  /**
   * Returns the tokens of a call that never started; a key that is not remembered is full already.
   *
   * @since 0.1.0
   */
  giveBack(key: string, cost: number): void {
    const charge = chargeOf(cost)
    const slot = this.#slots.get(key)
    if (slot !== undefined) giveBackTo(this.#config, this.#state, slot * 2, charge)
  }

  /**
   * Changes size and speed of all buckets, in time proportional to `size`; each keeps its share, as one bucket does.
   *
   * @since 0.1.0
   */
  reconfigure(config: TokenBucketConfig, now: number): void {
    const after = checkConfig(config)
    for (const [key, slot] of this.#slots) {
      write(this.#state, slot * 2, (this.available(key, now) / this.#config.capacity) * after.capacity, now)
    }
    this.#config = after
  }

  #add(key: string, now: number): number {
    // Two for one, so that the idle keys of a past rush go away; not all at once, so that no call pays for the rush.
    if (this.#oldestIsFull(now)) {
      this.#dropOldest()
      if (this.#oldestIsFull(now)) this.#dropOldest()
    }
    if (this.#slots.size === this.#maximumKeys) {
      this.#dropOldest()
      this.#evicted += 1
    }
    const slot = this.#freeSlot()
    this.#slots.set(key, slot)
    this.#keys[slot] = key
    this.#state[slot * 2] = this.#config.capacity
    this.#state[slot * 2 + 1] = now
    this.#linkNewest(slot)
    return slot
  }

  #oldestIsFull(now: number): boolean {
    const slot = this.#oldest
    return slot !== none && levelAt(this.#config, this.#state, slot * 2, now) === this.#config.capacity
  }

  #dropOldest(): void {
    const slot = this.#oldest
    this.#slots.delete(this.#keys[slot]!)
    this.#keys[slot] = ""
    this.#unlink(slot)
    this.#older[slot] = this.#free
    this.#free = slot
  }

  #freeSlot(): number {
    const slot = this.#free
    if (slot !== none) {
      this.#free = this.#older[slot]!
      return slot
    }
    const fresh = this.#keys.length
    if (fresh === this.#newer.length) this.#grow(Math.min(this.#maximumKeys, Math.max(16, fresh * 2)))
    return fresh
  }

  #grow(slots: number): void {
    const state = new Float64Array(slots * 2)
    const newer = new Int32Array(slots)
    const older = new Int32Array(slots)
    state.set(this.#state)
    newer.set(this.#newer)
    older.set(this.#older)
    this.#state = state
    this.#newer = newer
    this.#older = older
  }

  #linkNewest(slot: number): void {
    const before = this.#newest
    this.#newer[slot] = none
    this.#older[slot] = before
    if (before === none) this.#oldest = slot
    else this.#newer[before] = slot
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const newer = this.#newer[slot]!
    const older = this.#older[slot]!
    if (newer === none) this.#newest = older
    else this.#older[newer] = older
    if (older === none) this.#oldest = newer
    else this.#newer[older] = newer
  }
}
