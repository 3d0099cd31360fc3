/**
 * The mutable counters behind a trip policy, the calls in flight among them.
 *
 * @since 0.1.0
 */
import * as TripPolicy from "../TripPolicy.js"
import * as Window from "../Window.js"
import { CallsInFlight } from "./callsInFlight.js"

/**
 * Counts for one policy, and decides whether it trips.
 */
interface Evaluator {
  /** Counts a finished call and says whether the policy trips. */
  record(now: number, failed: boolean, durationMillis: number): boolean
  /** What it counts against its threshold, if that is reached; asked right after it tripped. */
  trip(now: number): TripPolicy.Trip | undefined
  /** Totals of the window, `undefined` for a policy without one. */
  totals(now: number): Window.Totals | undefined
  /** Goes on under the numbers of `policy` with the counts it has, or answers `false` when they mean something else. */
  adopt(policy: TripPolicy.TripPolicy): boolean
  /** Forgets every finished call. */
  clear(): void
  /** Follows a clock that stepped by `step`. */
  shift(step: number): void
}

class FailureRateEvaluator implements Evaluator {
  private readonly window: Window.Counter
  private policy: TripPolicy.FailureRate

  constructor(policy: TripPolicy.FailureRate) {
    this.window = Window.make(policy.window)
    this.policy = policy
  }

  record(now: number, failed: boolean): boolean {
    this.window.record(now, failed, false)
    return this.trips(now)
  }

  trip(now: number): TripPolicy.Trip | undefined {
    return this.trips(now)
      ? { policy: this.policy, counted: this.window.failures(now), calls: this.window.calls(now) }
      : undefined
  }

  private trips(now: number): boolean {
    const calls = this.window.calls(now)
    // A quotient, because 3 / 10 is the number written 0.3 while 0.1 * 30 is more than 3.
    return calls >= this.policy.minimumCalls && this.window.failures(now) / calls >= this.policy.threshold
  }

  totals(now: number): Window.Totals {
    return this.window.snapshot(now)
  }

  adopt(policy: TripPolicy.TripPolicy): boolean {
    if (policy._tag !== "FailureRate" || !Window.sameShape(policy.window, this.policy.window)) return false
    this.policy = policy
    return true
  }

  clear(): void {
    this.window.clear()
  }

  // A window follows the clock by itself.
  shift(): void {}
}

class FailuresEvaluator implements Evaluator {
  /** When the last failures happened: a ring, with `NaN` where there was none, which compares as never. */
  private readonly times: Float64Array
  private next = 0
  private policy: TripPolicy.Failures

  constructor(policy: TripPolicy.Failures) {
    this.times = new Float64Array(policy.failures).fill(NaN)
    this.policy = policy
  }

  record(now: number, failed: boolean): boolean {
    if (!failed) return false
    this.times[this.next] = now
    this.next = (this.next + 1) % this.times.length
    return this.trips(now)
  }

  trip(now: number): TripPolicy.Trip | undefined {
    return this.trips(now) ? { policy: this.policy, counted: this.policy.failures, calls: undefined } : undefined
  }

  /** The place to be written next holds the oldest of the failures that decide. */
  private trips(now: number): boolean {
    return now - this.times[this.next]! <= this.policy.withinMillis
  }

  totals(): undefined {
    return undefined
  }

  adopt(policy: TripPolicy.TripPolicy): boolean {
    if (policy._tag !== "Failures" || policy.failures !== this.policy.failures) return false
    this.policy = policy
    return true
  }

  clear(): void {
    this.times.fill(NaN)
  }

  shift(step: number): void {
    for (let place = 0; place < this.times.length; place++) this.times[place]! += step
  }
}

class SlowCallRateEvaluator implements Evaluator {
  private readonly window: Window.Counter
  private readonly inFlight: CallsInFlight
  private policy: TripPolicy.SlowCallRate
  /** The first call in flight that was not slow at `seenAt`, 0 for none, and how many before it were. */
  private firstFast = 0
  private slowInFlight = 0
  private seenAt = -Infinity

  constructor(policy: TripPolicy.SlowCallRate, inFlight: CallsInFlight) {
    this.window = Window.make(policy.window)
    this.policy = policy
    this.inFlight = inFlight
    this.countAgain()
  }

  /** Notices calls in flight that became slow, and says whether they make the policy trip. */
  watch(now: number): boolean {
    this.advance(now)
    return this.slowInFlight > 0 && this.trips(now)
  }

  /** Follows a call that was added to the calls in flight. */
  added(place: number): void {
    if (this.firstFast === 0) this.firstFast = place
  }

  /** Follows a call that is about to be removed from the calls in flight. */
  removing(place: number): void {
    if (place === this.firstFast) {
      this.firstFast = this.inFlight.after(place)
    } else if (this.isSlow(this.seenAt - this.inFlight.start(place))) {
      this.slowInFlight--
    }
  }

  record(now: number, failed: boolean, durationMillis: number): boolean {
    this.advance(now)
    this.window.record(now, failed, this.isSlow(durationMillis))
    return this.trips(now)
  }

  trip(now: number): TripPolicy.Trip | undefined {
    const { calls, slow } = this.totals(now)
    return this.trips(now) ? { policy: this.policy, counted: slow, calls } : undefined
  }

  /** With the calls in flight that were slow when the last call was admitted or recorded. */
  totals(now: number): Window.Totals {
    const { calls, failures, slow } = this.window.snapshot(now)
    return { calls: calls + this.slowInFlight, failures, slow: slow + this.slowInFlight }
  }

  adopt(policy: TripPolicy.TripPolicy): boolean {
    if (policy._tag !== "SlowCallRate" || !Window.sameShape(policy.window, this.policy.window)) return false
    this.policy = policy
    this.countAgain()
    return true
  }

  clear(): void {
    this.window.clear()
    this.countAgain()
  }

  shift(): void {
    this.countAgain()
  }

  private countAgain(): void {
    this.firstFast = this.inFlight.oldest
    this.slowInFlight = 0
    this.seenAt = -Infinity
  }

  private advance(now: number): void {
    this.seenAt = now
    while (this.firstFast !== 0 && this.isSlow(now - this.inFlight.start(this.firstFast))) {
      this.slowInFlight++
      this.firstFast = this.inFlight.after(this.firstFast)
    }
  }

  private isSlow(millis: number): boolean {
    return millis > this.policy.slowerThanMillis
  }

  private trips(now: number): boolean {
    const calls = this.window.calls(now) + this.slowInFlight
    return (
      calls >= this.policy.minimumCalls && (this.window.slow(now) + this.slowInFlight) / calls >= this.policy.threshold
    )
  }
}

const noSlowEvaluators: ReadonlyArray<SlowCallRateEvaluator> = []

/** Counts for a trip policy and all that is inside it. */
export class TripCounters {
  consecutiveFailures = 0
  private calls = 0
  private failures = 0
  private evaluators: ReadonlyArray<Evaluator> = []
  private slowEvaluators = noSlowEvaluators
  private inARow: TripPolicy.Consecutive | undefined = undefined
  /** There from the first policy on that watches for slow calls. */
  private inFlight: CallsInFlight | undefined = undefined

  constructor(policy: TripPolicy.TripPolicy) {
    this.reconfigure(policy)
  }

  /** Whether calls in flight are followed: then every call goes through `watch` and `follow`. */
  get follows(): boolean {
    return this.slowEvaluators.length > 0
  }

  /** Notices calls in flight that became slow, and says whether they trip. */
  watch(now: number): boolean {
    let trips = false
    for (const evaluator of this.slowEvaluators) {
      if (evaluator.watch(now)) trips = true
    }
    return trips
  }

  /** Adds a call in flight and answers its place, 0 when no more can be followed. */
  follow(now: number): number {
    const place = this.inFlight!.add(now)
    if (place !== 0) {
      for (const evaluator of this.slowEvaluators) evaluator.added(place)
    }
    return place
  }

  /** Removes the call in flight at `place`. */
  unfollow(place: number): void {
    for (const evaluator of this.slowEvaluators) evaluator.removing(place)
    this.inFlight!.remove(place)
  }

  /** Counts a finished call and says whether it trips. */
  record(now: number, failed: boolean, durationMillis: number): boolean {
    this.calls++
    if (failed) this.failures++
    this.consecutiveFailures = failed ? this.consecutiveFailures + 1 : 0
    let trips = this.inARow !== undefined && this.consecutiveFailures >= this.inARow.failures
    for (let index = 0; index < this.evaluators.length; index++) {
      // Each one counts every call, also when an earlier one trips.
      if (this.evaluators[index]!.record(now, failed, durationMillis)) trips = true
    }
    return trips
  }

  /** Which policy tripped, and at what; asked right after one did. */
  trip(now: number): TripPolicy.Trip | undefined {
    return this.inARow !== undefined && this.consecutiveFailures >= this.inARow.failures
      ? { policy: this.inARow, counted: this.consecutiveFailures, calls: undefined }
      : this.evaluators.map((evaluator) => evaluator.trip(now)).find((trip) => trip !== undefined)
  }

  /** Calls and failures of the first window, else since the last `clear`; slow calls of the first `slowCallRate`. */
  totals(now: number): Window.Totals {
    const first = this.evaluators.map((evaluator) => evaluator.totals(now)).find((found) => found !== undefined)
    return {
      calls: first === undefined ? this.calls : first.calls,
      failures: first === undefined ? this.failures : first.failures,
      slow: this.slowEvaluators.length === 0 ? 0 : this.slowEvaluators[0]!.totals(now).slow
    }
  }

  /** Goes on under another policy, with the counts whose window has the same shape in both. */
  reconfigure(policy: TripPolicy.TripPolicy): void {
    const earlier = [...this.evaluators]
    const evaluators: Array<Evaluator> = []
    this.inARow = undefined
    for (const leaf of TripPolicy.flatten(policy)) {
      if (leaf._tag === "Consecutive") {
        this.inARow = this.inARow === undefined || leaf.failures < this.inARow.failures ? leaf : this.inARow
      } else {
        const kept = earlier.findIndex((evaluator) => evaluator.adopt(leaf))
        evaluators.push(kept === -1 ? this.evaluatorFor(leaf) : earlier.splice(kept, 1)[0]!)
      }
    }
    this.evaluators = evaluators
    const slow = evaluators.filter((evaluator) => evaluator instanceof SlowCallRateEvaluator)
    this.slowEvaluators = slow.length === 0 ? noSlowEvaluators : slow
  }

  private evaluatorFor(policy: Exclude<TripPolicy.TripPolicy, TripPolicy.Any | TripPolicy.Consecutive>): Evaluator {
    switch (policy._tag) {
      case "FailureRate":
        return new FailureRateEvaluator(policy)
      case "Failures":
        return new FailuresEvaluator(policy)
      case "SlowCallRate":
        return new SlowCallRateEvaluator(policy, this.inFlight ??= new CallsInFlight())
    }
  }

  /** Forgets every call, those in flight too: their results will count for nothing. */
  restart(): void {
    this.inFlight?.clear()
    this.clear()
  }

  /** Forgets every finished call. */
  clear(): void {
    this.calls = 0
    this.failures = 0
    this.consecutiveFailures = 0
    for (const evaluator of this.evaluators) evaluator.clear()
  }

  /** Follows a clock that stepped by `step`. */
  shift(step: number): void {
    this.inFlight?.shift(step)
    for (const evaluator of this.evaluators) evaluator.shift(step)
  }
}
