/**
 * Keeps the number of calls per time: a token bucket, per key if wanted, that refuses or lets wait in order.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Alarm from "./Alarm.js"
import type * as Call from "./Call.js"
import * as Failure from "./Failure.js"
import { tryAgain } from "./internal/durationText.js"
import { type Gate, mustWait, type Passage } from "./internal/gate.js"
import { available, giveBack, type Limiter, Line, take, Ticket, type Tier, waitMillis } from "./internal/rateLine.js"
import { costOf, type Numbers, read } from "./internal/rateOptions.js"
import { withChange } from "./Options.js"
import * as Step from "./Step.js"

/**
 * The rate is used up; the dependency was not called.
 *
 * @example
 * import * as RateLimiter from "@holdfast/core/RateLimiter"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.make({ name: "search", rate: 1 })
 *   const call = Effect.succeed("found").pipe(limiter)
 *   return yield* Effect.all([call, call]).pipe(
 *     Effect.catchTag("RateLimited", (error) => Effect.succeed(error.limit))
 *   )
 * })
 *
 * Effect.runPromise(program).then(console.log) // 1
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends Failure.Rejected("RateLimited")<{
  readonly policy: string
  readonly dependency: string | undefined
  /** Whose rate: the key of the call, where the limiter has keys. */
  readonly key: string | undefined
  /** When the same call would be let through if nobody else came; `undefined` when never, since it costs more than the bucket holds. */
  readonly retryAfter: Duration.Duration | undefined
  /** What the bucket holds when it is full. */
  readonly limit: number
}> {
  override get message(): string {
    const whose = this.key === undefined ? "" : ` for ${JSON.stringify(this.key)}`
    if (this.retryAfter === undefined) {
      const limiter = `${this.dependency ?? this.policy}${whose}`
      return `The rate limit of ${limiter} holds ${this.limit} at most, and the call costs more`
    }
    return `The rate limit of ${this.dependency ?? this.policy}${whose} is used up${tryAgain(this.retryAfter)}`
  }
}

const rateLimited = Failure.stackless(RateLimited)

/**
 * A rate: `rate` tokens flow in `per` duration, and at most `capacity` are kept for a burst.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rate {
  /** Tokens per `per`. */
  readonly rate: number
  /** Default 1 second. */
  readonly per?: Duration.DurationInput | undefined
  /** The largest burst. Default: `rate`. */
  readonly capacity?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends Rate {
  /** Names the limiter in errors, events and metrics. */
  readonly name: string
  /** Default: the name. */
  readonly dependency?: string | undefined
  /**
   * The longest wait for tokens, in order, as reckoned when the call comes: who is in line stays there when `reconfigure` lowers the
   * rate, and may then wait longer. Default 0: refuse at once.
   */
  readonly maxWait?: Duration.DurationInput | undefined
  /** Calls that may wait at once, over all keys. Default 1000. */
  readonly maxQueue?: number | undefined
  /** One bucket per `key` of the call, for at most so many keys; the one least recently used goes first and starts full again. Default: one bucket for all. */
  readonly maximumKeys?: number | undefined
  /** Rates that take the place of the default rate, by name. */
  readonly tiers?: { readonly [tier: string]: Rate } | undefined
  /** Which tier a call has; an unknown name means the default rate. */
  readonly tierOf?: ((facts: Call.Facts) => string | undefined) | undefined
  /** Calls that are not limited, such as health checks. */
  readonly bypass?: ((facts: Call.Facts) => boolean) | undefined
  /** Takes tokens while there are some and tells what it would have refused, but refuses nobody and lets nobody wait. Default `false`. */
  readonly dryRun?: boolean | undefined
}

/**
 * How many calls a limiter let through at once, let through after a wait, and refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decisions {
  readonly admitted: number
  readonly waited: number
  readonly refused: number
}

/**
 * A rate limiter: a policy whose level can be read.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimiter extends Step.Policy<RateLimited> {
  /** Tokens that a call with these facts would find, and how many would make it full. */
  readonly level: (facts?: Call.Facts) => Effect.Effect<{
    readonly remaining: number
    readonly limit: number
    /** Until the bucket is full again if nobody calls. */
    readonly resetAfter: Duration.Duration
  }>
  readonly queued: Effect.Effect<number>
  /** Calls that were let through in a dry run and would have been refused. */
  readonly wouldHaveRefused: Effect.Effect<number>
  /** What the limiter has decided since it was made. Calls that bypass it, or cost nothing, are not asked about. */
  readonly decisions: Effect.Effect<Decisions>
  /**
   * Changes the numbers that are given; `undefined` changes nothing. Every bucket keeps its share: full stays full, half full stays half full. Who waits goes on
   * waiting at the new rate, and is refused if it costs more than the bucket holds now. Tiers keep their own rates.
   */
  readonly reconfigure: (
    change: Partial<Rate> & Pick<Options, "maxWait" | "maxQueue" | "dryRun">
  ) => Effect.Effect<void>
}

class RateLimiterGate implements Gate, Limiter {
  readonly _tag = "Gate"
  readonly step: Step.Step
  queued = 0
  wouldHaveRefused = 0
  admitted = 0
  waited = 0
  refused = 0
  private readonly options: Options
  private readonly standard: Tier
  private readonly tiers: ReadonlyMap<string, Tier>
  private maxWaitMillis: number
  private maxQueue: number
  private dryRun: boolean
  private readonly keyed: boolean

  constructor(options: Options, read: Numbers) {
    const { maxQueue, maxWaitMillis, standard, tiers } = read
    this.options = options
    this.standard = standard
    this.tiers = tiers
    this.maxWaitMillis = maxWaitMillis
    this.maxQueue = maxQueue
    this.dryRun = read.dryRun
    this.keyed = options.maximumKeys !== undefined
    const settings = () => ({
      capacity: standard.capacity,
      perSecond: standard.refillPerMillis * 1000,
      maxWaitMillis: this.maxWaitMillis,
      maxQueue: this.maxQueue,
      maximumKeys: options.maximumKeys
    })
    this.step = {
      kind: "RateLimiter",
      policy: options.name,
      dependency: options.dependency ?? options.name,
      get settings() {
        return settings()
      }
    }
  }

  reconfigure(read: Numbers, now: number): void {
    const { standard } = this
    const { capacity, refillPerMillis } = read.standard
    standard.single?.reconfigure({ capacity, refillPerMillis }, now)
    standard.keyed?.reconfigure({ capacity, refillPerMillis }, now)
    standard.capacity = capacity
    standard.refillPerMillis = refillPerMillis
    this.maxWaitMillis = read.maxWaitMillis
    this.maxQueue = read.maxQueue
    this.dryRun = read.dryRun
    for (const line of [...standard.lines.values()]) {
      line.revise(now)
    }
  }

  tierFor(facts: Call.Facts): Tier {
    const name = this.options.tierOf?.(facts)
    return (name === undefined ? undefined : this.tiers.get(name)) ?? this.standard
  }

  keyFor(facts: Call.Facts): string {
    return this.keyed ? facts.key ?? "" : ""
  }

  enter(frame: Passage, slot: number): undefined | Exit.Exit<never, RateLimited> | typeof mustWait {
    const facts = frame.facts
    if (this.options.bypass?.(facts) === true) {
      return undefined
    }
    const cost = facts.cost === undefined ? 1 : costOf(facts.cost)
    if (cost === 0) {
      return undefined
    }
    const tier = this.options.tierOf === undefined ? this.standard : this.tierFor(facts)
    const key = this.keyFor(facts)
    let line = tier.lines.size === 0 ? undefined : tier.lines.get(key)
    // Those whose instant has come go first, however late the timer is; nobody overtakes those who still wait.
    if (line !== undefined && line.at <= frame.now) {
      line.refresh(frame.now)
      line = tier.lines.get(key)
    }
    if (line === undefined && take(tier, key, cost, frame.now)) {
      frame.slots[slot] = tier === this.standard ? cost : new Ticket(tier, key, cost, frame, "granted")
      this.admitted++
      return undefined
    }
    return this.exhausted(frame, slot, tier, key, cost, line)
  }

  private exhausted(
    frame: Passage,
    slot: number,
    tier: Tier,
    key: string,
    cost: number,
    line: Line | undefined
  ): undefined | Exit.Exit<never, RateLimited> | typeof mustWait {
    const wait = cost > tier.capacity
      ? Infinity
      : line === undefined
      ? waitMillis(tier, key, cost, frame.now)
      : Math.max(0, line.owed + cost - available(tier, key, frame.now)) / tier.refillPerMillis
    if (wait > this.maxWaitMillis || wait >= frame.remaining() || this.queued >= this.maxQueue) {
      return this.refuse(frame, tier, key, wait)
    }
    if (this.dryRun) {
      this.admitted++
      return undefined
    }
    const ticket = new Ticket(tier, key, cost, frame, "waiting")
    frame.slots[slot] = ticket
    let joined = line
    if (joined === undefined) {
      joined = new Line(this, tier, key, frame.alarms)
      tier.lines.set(key, joined)
    }
    joined.join(ticket, frame.now)
    return mustWait
  }

  refuse(frame: Passage, tier: Tier, key: string, wait: number): undefined | Exit.Exit<never, RateLimited> {
    // Rounded up to a microsecond: a call that comes after exactly this time must be let through.
    const retryAfter = wait === Infinity
      ? undefined
      : Number.isInteger(wait)
      ? Duration.millis(wait)
      : Duration.micros(BigInt(Math.ceil(wait * 1000)))
    const shown = this.keyed ? key : undefined
    const { dependency, policy } = this.step
    if (frame.callState.observed) {
      frame.tell({
        _tag: "RateLimitExceeded",
        at: frame.now,
        call: frame.describe(),
        limiter: policy,
        key: shown,
        retryAfter,
        ...(this.dryRun ? { dryRun: true } : {})
      })
    }
    if (this.dryRun) {
      this.wouldHaveRefused++
      return undefined
    }
    this.refused++
    return Exit.fail(rateLimited({ policy, dependency, key: shown, retryAfter, limit: tier.capacity }))
  }

  private giveBack(tier: Tier, key: string, cost: number): void {
    giveBack(tier, key, cost)
    const line = tier.lines.get(key)
    if (line !== undefined) {
      line.refresh(line.alarms.now())
    }
  }

  /** Tokens come back only if the call never started: a call that ran has used its share of the rate. */
  leave(frame: Passage, slot: number): void {
    const taken = frame.slots[slot]
    if (typeof taken === "number") {
      if (!frame.sentWithin()) {
        this.giveBack(this.standard, this.keyFor(frame.facts), taken)
      }
    } else if (taken instanceof Ticket) {
      if (taken.state === "waiting") {
        taken.state = "gone"
        taken.tier.lines.get(taken.key)?.part(taken)
      } else if (taken.state === "granted" && !frame.sentWithin()) {
        this.giveBack(taken.tier, taken.key, taken.cost)
      }
    }
  }
}

/**
 * Makes a rate limiter. It starts full. Keep it: one made anew for every call limits nothing.
 *
 * The key, the cost and whatever `tierOf` and `bypass` look at come with the call: `limiter.with({ key: "tenant-7", cost: 5 })`.
 *
 * @example
 * import * as RateLimiter from "@holdfast/core/RateLimiter"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.make({ name: "search", rate: 100, per: "1 second", maxWait: "200 millis" })
 *   return yield* Effect.succeed("found").pipe(limiter)
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<RateLimiter> =>
  Clock.clockWith((clock) =>
    Effect.sync(() => {
      let present = options
      const gate = new RateLimiterGate(options, read(options, Alarm.of(clock).now()))
      return Object.assign(Step.policy<RateLimited>([gate]), {
        level: (facts: Call.Facts = {}) =>
          Clock.clockWith((present) =>
            Effect.sync(() => {
              const instant = Alarm.of(present).now()
              const tier = gate.tierFor(facts)
              const remaining = available(tier, gate.keyFor(facts), instant)
              return {
                remaining,
                limit: tier.capacity,
                resetAfter: Duration.millis((tier.capacity - remaining) / tier.refillPerMillis)
              }
            })
          ),
        queued: Effect.sync(() => gate.queued),
        wouldHaveRefused: Effect.sync(() => gate.wouldHaveRefused),
        decisions: Effect.sync(() => ({ admitted: gate.admitted, waited: gate.waited, refused: gate.refused })),
        reconfigure: (change: Partial<Options>) =>
          Clock.clockWith((clock) =>
            Effect.sync(() => {
              const next = withChange(present, change)
              const now = Alarm.of(clock).now()
              // Without a queue nobody waits: the wait that was set before counts again when there is one.
              const unqueued = change?.maxWait === undefined && next?.maxQueue === 0
              gate.reconfigure(read(unqueued ? { ...next, maxWait: undefined } : next, now), now)
              present = next
            })
          )
      })
    })
  )
