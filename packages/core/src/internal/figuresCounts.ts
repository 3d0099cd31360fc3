/**
 * The counts of one operation over one period, and how two periods are read as one.
 */
import type * as Call from "../Call.js"
import * as Outcome from "../Outcome.js"
import type { RetryGivenUp } from "../ResilienceEvent.js"
import type { OperationFigures, Spell } from "./figuresModel.js"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const noClasses = (): Mutable<OperationFigures["calls"]> =>
  Object.fromEntries(Outcome.classes.map((one) => [one, 0])) as Record<Outcome.Class, number>

const reasons: ReadonlyArray<RetryGivenUp["reason"]> = [
  "exhausted",
  "budget",
  "deadline",
  "retryAfter",
  "notRepeatable",
  "probe"
]

/** Retries beyond this one are counted with it. */
const mostDelays = 8

/** Two spells as one, if there are two. */
const joined = (a: Spell | undefined, b: Spell | undefined): Spell | undefined =>
  a === undefined || b === undefined ? a ?? b : {
    from: Math.min(a.from, b.from),
    until: Math.max(a.until, b.until),
    calls: a.calls + b.calls,
    millis: a.millis + b.millis
  }

/**
 * The longer of two spells.
 *
 * @internal
 */
export const longer = (a: Spell | undefined, b: Spell | undefined): Spell | undefined =>
  a === undefined || (b !== undefined && b.until - b.from > a.until - a.from) ? b : a

const added = <A extends { readonly [key: string]: number }>(a: A, b: A): A =>
  Object.fromEntries(Object.keys(a).map((key) => [key, a[key]! + b[key]!])) as A

/** @internal */
export class Counts {
  readonly calls = noClasses()
  readonly attempts = noClasses()
  readonly timeouts = { attempt: 0, total: 0, queue: 0 }
  cutByCaller = 0
  retries = 0
  maxAttempts = 0
  retriedCalls = 0
  successAfterRetry = 0
  readonly givenUp = Object.fromEntries(reasons.map((reason) => [reason, 0])) as Record<RetryGivenUp["reason"], number>
  readonly delays: Array<{ count: number; shortestMillis: number; longestMillis: number }> = []
  herd = 0
  readonly rejections = { circuit: 0, bulkhead: 0, rateLimit: 0 }
  readonly failed: Record<Call.Criticality, number> = { critical: 0, important: 0, optional: 0 }
  callMillis = 0
  busiestSecond = 0
  slow: Spell | undefined = undefined
  readonly blips = { count: 0, longestMillis: 0 }
  failing: Spell | undefined = undefined
  /** Anything at all happened. */
  touched = false

  delayed(retry: number, millis: number): void {
    const place = Math.min(retry, mostDelays) - 1
    const known = this.delays[place]
    if (known === undefined) {
      // A retry that nobody saw before the others, because those were asked for by the dependency.
      while (this.delays.length < place) this.delays.push({ count: 0, shortestMillis: Infinity, longestMillis: 0 })
      this.delays[place] = { count: 1, shortestMillis: millis, longestMillis: millis }
    } else {
      known.count++
      known.shortestMillis = Math.min(known.shortestMillis, millis)
      known.longestMillis = Math.max(known.longestMillis, millis)
    }
  }

  tookLong(from: number, until: number): void {
    this.slow = joined(this.slow, { from, until, calls: 1, millis: until - from })
  }
}

/** What of the figures is counted by periods. */
type Counted = Omit<
  OperationFigures,
  "dependency" | "operation" | "limits" | "lastEndedAt" | "latency" | "callLatency" | "failedLatency"
>

/**
 * Two periods as one, as data of their own; instants are moved by `offset`.
 *
 * @internal
 */
export const together = (a: Counts, b: Counts, failingNow: Spell | undefined, offset: number): Counted => {
  const moved = (spell: Spell | undefined): Spell | undefined =>
    spell === undefined ? undefined : { ...spell, from: spell.from + offset, until: spell.until + offset }
  const delays = Array.from({ length: Math.max(a.delays.length, b.delays.length) }, (_, place) => {
    const [one, two] = [a.delays[place], b.delays[place]]
    return {
      count: (one?.count ?? 0) + (two?.count ?? 0),
      shortestMillis: Math.min(one?.shortestMillis ?? Infinity, two?.shortestMillis ?? Infinity),
      longestMillis: Math.max(one?.longestMillis ?? 0, two?.longestMillis ?? 0)
    }
  })
  return {
    calls: added(a.calls, b.calls),
    attempts: added(a.attempts, b.attempts),
    timeouts: added(a.timeouts, b.timeouts),
    cutByCaller: a.cutByCaller + b.cutByCaller,
    retries: a.retries + b.retries,
    maxAttempts: Math.max(a.maxAttempts, b.maxAttempts),
    retriedCalls: a.retriedCalls + b.retriedCalls,
    successAfterRetry: a.successAfterRetry + b.successAfterRetry,
    givenUp: added(a.givenUp, b.givenUp),
    delays,
    herd: Math.max(a.herd, b.herd),
    rejections: added(a.rejections, b.rejections),
    failed: added(a.failed, b.failed),
    callMillis: a.callMillis + b.callMillis,
    busiestSecond: Math.max(a.busiestSecond, b.busiestSecond),
    slow: moved(joined(a.slow, b.slow)),
    blips: {
      count: a.blips.count + b.blips.count,
      longestMillis: Math.max(a.blips.longestMillis, b.blips.longestMillis)
    },
    failing: moved(longer(longer(a.failing, b.failing), failingNow))
  }
}
