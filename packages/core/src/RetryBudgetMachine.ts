/**
 * How many retries a dependency may still be sent: a share of its recent calls (`RetryBudgetMachine`), or none while
 * too many calls fail (`RetryThrottleMachine`).
 *
 * Plain synchronous state in whole units, shared by every call to one dependency. Neither machine ever stands in the
 * way of a first attempt; a refusal changes nothing, so the caller can fail at once with the error it has.
 *
 * @since 0.1.0
 */

/**
 * The numbers of a retry budget.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryBudgetConfig {
  /** How long a call is remembered, in milliseconds, from 1,000 to 60,000; 10,000 if left out. */
  readonly ttlMillis?: number
  /** Retries per call, as a share: 0, or from 0.0001 to 10,000; 0.2 (one retry for every five calls) if left out. */
  readonly percent?: number
  /** Retries per second that are granted whatever the traffic, from 0 to 10,000; 1 if left out. */
  readonly minimumPerSecond?: number
}

/** The largest step back that counts as a late reading and not as a clock that was set. */
const largestLateness = 1_000

const slices = 10

// Fine enough that 10,000 calls earn the right number of retries at any share, coarse enough to add up in whole
// numbers.
const units = 1_000_000

const mostInSlice = Math.floor(Number.MAX_SAFE_INTEGER / slices)

const checkRange = (field: string, value: number, least: number, most: number, or = ""): number => {
  if (value >= least && value <= most) return value
  throw new RangeError(`${field} must be ${or}a number from ${least} to ${most}; it is ${value}`)
}

/**
 * Finagle's retry budget: each call deposits, each retry withdraws, and both are forgotten after `ttlMillis`.
 *
 * In any stretch of `ttlMillis` at most `percent` of the calls in it, plus `minimumPerSecond` for each of its seconds,
 * are retried. The memory has ten slices, so that a call counts for nine to ten tenths of `ttlMillis`. A clock that is
 * set back by more than 1,000 ms is followed and what is remembered keeps its age; a smaller step back is waited out.
 *
 * @example
 * ```ts
 * import { RetryBudgetMachine } from "@holdfast/core/RetryBudgetMachine"
 *
 * const budget = new RetryBudgetMachine({ percent: 0.2, minimumPerSecond: 0 })
 *
 * for (let call = 0; call < 5; call++) budget.deposit(0)
 * budget.tryWithdraw(0) // true: five calls pay for one retry
 * budget.tryWithdraw(0) // false
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export class RetryBudgetMachine {
  #sliceMillis = 0
  #deposit = 0
  #withdrawal = units
  #reserve = 0
  readonly #slices = new Array<number>(slices).fill(0)
  #sum = 0
  #slice = -Infinity
  #position = 0

  constructor(config: RetryBudgetConfig = {}) {
    this.#configure(config)
  }

  /**
   * Changes the numbers from `now` on. Retries that calls have earned, and those that were made, stay as many as they are and as
   * old as they are in tenths of `ttlMillis`; later calls earn the new share, and the floor is the new one at once.
   *
   * @since 0.1.0
   */
  reconfigure(config: RetryBudgetConfig, now: number): void {
    this.#advance(now)
    const before = this.#withdrawal
    this.#configure(config)
    this.#sum = 0
    for (let place = 0; place < slices; place++) {
      const amount = Math.round((this.#slices[place]! / before) * this.#withdrawal)
      // So that the sum stays an exact whole number.
      this.#slices[place] = Math.max(-mostInSlice, Math.min(mostInSlice, amount))
      this.#sum += this.#slices[place]!
    }
    this.#slice = Math.floor(now / this.#sliceMillis)
  }

  #configure(config: RetryBudgetConfig): void {
    const ttlMillis = checkRange("ttlMillis", config.ttlMillis ?? 10_000, 1_000, 60_000)
    // A share so small that a window never earns one retry is a mistake, and its units would be beyond exact numbers.
    const percent = config.percent === 0 ? 0 : checkRange("percent", config.percent ?? 0.2, 0.0001, 10_000, "0 or ")
    const minimumPerSecond = checkRange("minimumPerSecond", config.minimumPerSecond ?? 1, 0, 10_000)
    this.#sliceMillis = ttlMillis / slices
    // The smaller of the two is one million units, so that the other one can be rounded without being felt.
    this.#deposit = percent > 1 ? Math.round(percent * units) : percent > 0 ? units : 0
    this.#withdrawal = percent > 0 && percent < 1 ? Math.round(units / percent) : units
    this.#reserve = Math.round((minimumPerSecond * ttlMillis * this.#withdrawal) / 1_000)
  }

  /**
   * Tells of a call (not of its retries).
   *
   * @since 0.1.0
   */
  deposit(now: number): void {
    this.#advance(now)
    this.#add(this.#deposit)
  }

  /**
   * Pays for one retry; false, and nothing changed, when the budget has less than one left.
   *
   * @since 0.1.0
   */
  tryWithdraw(now: number): boolean {
    this.#advance(now)
    if (this.#reserve + this.#sum < this.#withdrawal) return false
    this.#add(-this.#withdrawal)
    return true
  }

  /**
   * Retries that would be granted at `now`, a whole number.
   *
   * @since 0.1.0
   */
  balance(now: number): number {
    this.#advance(now)
    // Below zero for a while when calls are forgotten before the retries that they paid for.
    return Math.max(0, Math.floor((this.#reserve + this.#sum) / this.#withdrawal))
  }

  #add(amount: number): void {
    // Beyond this point whole numbers stop being exact; a budget of billions of retries can do without the next call.
    if (this.#sum + amount > Number.MAX_SAFE_INTEGER) return
    this.#slices[this.#position]! += amount
    this.#sum += amount
  }

  #advance(now: number): void {
    const slice = Math.floor(now / this.#sliceMillis)
    if (slice > this.#slice) {
      for (let steps = Math.min(slices, slice - this.#slice); steps > 0; steps--) {
        this.#position = (this.#position + 1) % slices
        this.#sum -= this.#slices[this.#position]!
        this.#slices[this.#position] = 0
      }
      this.#slice = slice
    } else if (this.#slice * this.#sliceMillis - now > largestLateness) {
      this.#slice = slice
    }
  }
}

/**
 * The numbers of a retry throttle.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryThrottleConfig {
  /** Tokens at the start and at most, from 0.001 to 1,000 in steps of 0.001 (the rest is ignored); 10 if left out. */
  readonly maxTokens?: number
  /** Tokens a success earns, from 0.001 to 1,000 in steps of 0.001 (the rest is ignored); 0.1 if left out. */
  readonly tokenRatio?: number
}

// The third decimal is kept when binary fractions put it a hair too low (0.57 x 1000 is 569.9999999999999).
const thousandths = (field: string, value: number): number =>
  Math.floor(checkRange(field, value, 0.001, 1_000) * 1_000 + 0.000_001)

/**
 * gRPC's retry throttle: a failure costs one token, a success earns `tokenRatio`, and there are retries only while more
 * than half of the tokens are there.
 *
 * Which failures count is the caller's choice: those that would be retried, and those whose answer says not to. It has
 * no clock: only successes lift a throttle.
 *
 * @example
 * ```ts
 * import { RetryThrottleMachine } from "@holdfast/core/RetryBudgetMachine"
 *
 * const throttle = new RetryThrottleMachine({ maxTokens: 10, tokenRatio: 0.1 })
 *
 * for (let failure = 0; failure < 5; failure++) throttle.recordFailure()
 * throttle.allowsRetry // false: 5 of 10 is not more than half
 * throttle.recordSuccess()
 * throttle.allowsRetry // true: 5.1
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export class RetryThrottleMachine {
  readonly #most: number
  readonly #earned: number
  #tokens: number

  constructor(config: RetryThrottleConfig = {}) {
    this.#most = thousandths("maxTokens", config.maxTokens ?? 10)
    this.#earned = thousandths("tokenRatio", config.tokenRatio ?? 0.1)
    this.#tokens = this.#most
  }

  /**
   * Tokens that are there, from 0 to `maxTokens`.
   *
   * @since 0.1.0
   */
  get tokens(): number {
    return this.#tokens / 1_000
  }

  /**
   * Whether a retry may be sent now. Asking costs nothing.
   *
   * @since 0.1.0
   */
  get allowsRetry(): boolean {
    return this.#tokens * 2 > this.#most
  }

  /**
   * Tells of an attempt whose failure counts.
   *
   * @since 0.1.0
   */
  recordFailure(): void {
    this.#tokens = Math.max(0, this.#tokens - 1_000)
  }

  /**
   * Tells of an attempt that succeeded.
   *
   * @since 0.1.0
   */
  recordSuccess(): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#earned)
  }
}
