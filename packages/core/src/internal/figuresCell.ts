/**
 * What is kept of one operation: counts of two periods, three histograms, and the little that must be remembered from call to call.
 */
import * as Duration from "effect/Duration"
import { LatencyHistogram } from "../LatencyHistogram.js"
import * as Outcome from "../Outcome.js"
import type { AttemptEnded, CallEnded, RetryScheduled, TimeoutFired } from "../ResilienceEvent.js"
import { Counts, longer, together } from "./figuresCounts.js"
import type { Latency, OperationFigures } from "./figuresModel.js"

/**
 * What every cell is told when it is made.
 *
 * @internal
 */
export interface Measures {
  readonly windowMillis: number
  readonly latencyWindowMillis: number
  readonly slowerThanMillis: number
}

/** Calls that began longer ago than so many seconds are not counted in their second. */
const seconds = 64

/** How many calls began in each of the last seconds. */
class Arrivals {
  private readonly second = new Float64Array(seconds).fill(-1)
  private readonly count = new Uint32Array(seconds)

  /** Counts a call, and answers how many began in its second so far. */
  add(startedAt: number, now: number): number {
    const second = Math.max(0, Math.floor(startedAt / 1000))
    if (now / 1000 - second >= seconds) {
      return 0
    }
    const place = second % seconds
    if (this.second[place] !== second) {
      this.second[place] = second
      this.count[place] = 0
    }
    return ++this.count[place]!
  }
}

/** A twentieth of a second: whoever comes back within it comes back at once. */
const herdMillis = 50

/** So many successes, more than failures, end a spell of failures. */
const mostMemory = 10

const latencyOf = (histogram: LatencyHistogram | undefined, offset: number, since: number): Latency => ({
  since: (histogram?.since ?? since) + offset,
  samples: histogram?.count ?? 0,
  meanMillis: histogram?.mean,
  p50Millis: histogram?.quantile(0.5),
  p95Millis: histogram?.quantile(0.95),
  p99Millis: histogram?.quantile(0.99),
  maxMillis: histogram?.max
})

/** @internal */
export class Cell {
  readonly dependency: string
  readonly operation: string | undefined
  private readonly measures: Measures
  private current = new Counts()
  private previous = new Counts()
  private readonly latency: LatencyHistogram
  private readonly callLatency: LatencyHistogram
  /** Most operations never fail. */
  private failedLatency: LatencyHistogram | undefined = undefined
  private readonly arrivals = new Arrivals()
  private lastEndedAt: number | undefined = undefined
  private attemptMillis: number | undefined = undefined
  private totalMillis: number | undefined = undefined
  /** Failures without a success between them: since when, and the last. */
  private runFrom = NaN
  private runUntil = NaN
  /** A time in which nearly every call fails, and how much of it is forgotten: a stray success does not end it. */
  private spell: { from: number; until: number; calls: number; millis: number } | undefined = undefined
  private memory = 0
  private herdSlot = NaN
  private herd = 0

  constructor(dependency: string, operation: string | undefined, measures: Measures, now: number) {
    this.dependency = dependency
    this.operation = operation
    this.measures = measures
    this.latency = new LatencyHistogram(measures.latencyWindowMillis, now)
    this.callLatency = new LatencyHistogram(measures.windowMillis, now)
  }

  /** The counts of the present period, about to be changed. */
  get counts(): Counts {
    this.current.touched = true
    return this.current
  }

  /** Begins a period; after a gap both are empty. */
  rotate(gap: boolean): void {
    this.previous = gap ? new Counts() : this.current
    this.current = new Counts()
  }

  /** Nothing is known of it any more. */
  isForgotten(now: number): boolean {
    this.latency.rotate(now)
    return !this.current.touched && !this.previous.touched && this.latency.count === 0
  }

  callEnded({ at, attempts, call, duration, limited, outcome }: CallEnded): void {
    const counts = this.counts
    const millis = Duration.toMillis(duration)
    counts.calls[outcome.class]++
    counts.busiestSecond = Math.max(counts.busiestSecond, this.arrivals.add(at - millis, at))
    counts.maxAttempts = Math.max(counts.maxAttempts, call.maxAttempts)
    const rejected = outcome.class === "Rejected"
    if (!rejected) {
      counts.callMillis += millis
      this.lastEndedAt = at
      this.callLatency.record(millis, at)
      if (millis >= this.measures.slowerThanMillis && limited === false) {
        counts.tookLong(at - millis, at)
      }
    }
    if (attempts > 1) {
      counts.retriedCalls++
      counts.successAfterRetry += outcome.class === "Success" ? 1 : 0
    }
    const { circuitBreaker } = Outcome.rowOf(outcome)
    if (circuitBreaker === "success") {
      this.succeeded(counts)
    } else if (outcome.class !== "Interrupted" && outcome.fault === undefined) {
      counts.failed[call.criticality]++
      if (!rejected) {
        this.failedLatency ??= new LatencyHistogram(this.measures.windowMillis, at)
        this.failedLatency.record(millis, at)
      }
      if (circuitBreaker === "failure") {
        this.failedAt(at, millis)
      }
    }
  }

  private succeeded(counts: Counts): void {
    if (!Number.isNaN(this.runFrom)) {
      counts.blips.count++
      counts.blips.longestMillis = Math.max(counts.blips.longestMillis, this.runUntil - this.runFrom)
      this.runFrom = NaN
    }
    if (this.spell !== undefined && --this.memory <= 0) {
      counts.failing = longer(counts.failing, this.spell)
      this.spell = undefined
    }
  }

  private failedAt(at: number, millis: number): void {
    if (Number.isNaN(this.runFrom)) {
      this.runFrom = at
    }
    this.runUntil = at
    this.spell ??= { from: at, until: at, calls: 0, millis: 0 }
    this.spell.until = at
    this.spell.calls++
    this.spell.millis += millis
    this.memory = Math.min(mostMemory, this.memory + 1)
  }

  attemptEnded({ at, duration, outcome }: AttemptEnded): void {
    this.counts.attempts[outcome.class]++
    if (Outcome.rowOf(outcome).circuitBreaker === "success") {
      this.latency.record(Duration.toMillis(duration), at)
    }
  }

  timedOut({ inherited, limit, scope }: TimeoutFired): void {
    if (inherited) {
      this.counts.cutByCaller++
      return
    }
    this.counts.timeouts[scope]++
    if (scope === "attempt") {
      this.attemptMillis = Duration.toMillis(limit)
    } else if (scope === "total") {
      this.totalMillis = Duration.toMillis(limit)
    }
  }

  retryScheduled({ at, call, delay, outcome }: RetryScheduled): void {
    const counts = this.counts
    const millis = Duration.toMillis(delay)
    counts.retries++
    if (outcome.retryAfter === undefined) {
      counts.delayed(call.attempt, millis)
    }
    const slot = Math.floor((at + millis) / herdMillis)
    this.herd = slot === this.herdSlot ? this.herd + 1 : 1
    this.herdSlot = slot
    counts.herd = Math.max(counts.herd, this.herd)
  }

  read(now: number, offset: number, since: number): OperationFigures {
    this.latency.rotate(now)
    this.callLatency.rotate(now)
    this.failedLatency?.rotate(now)
    return {
      dependency: this.dependency,
      operation: this.operation,
      lastEndedAt: this.lastEndedAt === undefined ? undefined : this.lastEndedAt + offset,
      limits: { attemptMillis: this.attemptMillis, totalMillis: this.totalMillis },
      ...together(this.previous, this.current, this.spell, offset),
      latency: latencyOf(this.latency, offset, since),
      callLatency: latencyOf(this.callLatency, offset, since),
      failedLatency: latencyOf(this.failedLatency, offset, since)
    }
  }
}
