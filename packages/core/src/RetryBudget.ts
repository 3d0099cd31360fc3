/**
 * One budget of retries for all calls to a dependency, so that retries cannot multiply an outage.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Alarm from "./Alarm.js"
import { Validation, withChange } from "./Options.js"
import { RetryBudgetMachine, RetryThrottleMachine } from "./RetryBudgetMachine.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@holdfast/core/RetryBudget")

/**
 * @since 0.1.0
 * @category models
 */
export interface RetryBudget {
  readonly [TypeId]: typeof TypeId
  readonly settings:
    | { readonly percent: number; readonly minimumPerSecond: number; readonly ttlMillis: number }
    | { readonly maxTokens: number; readonly tokenRatio: number }
  /** How many retries would be granted now if every one of them failed. */
  readonly balance: Effect.Effect<number>
  /** @internal */
  readonly deposit: (now: number) => void
  /** @internal */
  readonly tryWithdraw: (now: number) => boolean
  /**
   * Only for a budget that lives on the ends of attempts: told of each of them.
   *
   * @internal
   */
  readonly ended: ((succeeded: boolean) => void) | undefined
  /**
   * Changes the numbers that are given; `undefined` changes nothing. What calls have earned stays earned and is forgotten in its time. A throttle has none.
   */
  readonly reconfigure?: ((change: Options) => Effect.Effect<void>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Retries per call, as a share. Default 0.2: one retry for five calls. */
  readonly percent?: number | undefined
  /** Retries per second that are granted whatever the traffic. Default 1. */
  readonly minimumPerSecond?: number | undefined
  /** How long a call is remembered, from 1 second to 1 minute. Default 10 seconds. */
  readonly ttl?: Duration.DurationInput | undefined
}

const read = (options: Options) => {
  const check = new Validation("RetryBudget.make")
  check.record(options, ["percent", "minimumPerSecond", "ttl"])
  const { minimumPerSecond = 1, percent = 0.2, ttl = "10 seconds" } = options ?? {}
  if (percent !== 0) {
    check.number("percent", percent, 0.0001, 10_000)
  }
  check.number("minimumPerSecond", minimumPerSecond, 0, 10_000)
  const ttlMillis = check.duration("ttl", ttl, 1_000, 60_000)
  check.done()
  return { percent, minimumPerSecond, ttlMillis }
}

/** A class, so that what is the same in every budget stands once: a program may keep one for each of many keys. */
class Share implements RetryBudget {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly ended = undefined
  settings: ReturnType<typeof read>
  private options: Options
  private readonly machine: RetryBudgetMachine

  constructor(options: Options) {
    this.options = options
    this.settings = read(options)
    this.machine = new RetryBudgetMachine(this.settings)
  }

  get balance(): Effect.Effect<number> {
    return Clock.clockWith((clock) => Effect.sync(() => this.machine.balance(Alarm.of(clock).now())))
  }

  deposit(now: number): void {
    this.machine.deposit(now)
  }

  tryWithdraw(now: number): boolean {
    return this.machine.tryWithdraw(now)
  }

  reconfigure(change: Options): Effect.Effect<void> {
    return Clock.clockWith((clock) =>
      Effect.sync(() => {
        const next = withChange(this.options, change)
        this.settings = read(next)
        this.options = next
        this.machine.reconfigure(this.settings, Alarm.of(clock).now())
      })
    )
  }
}

/**
 * Finagle's rule: each call deposits, each retry withdraws, both are forgotten after `ttl`. By default 20 % of the calls of the last
 * ten seconds may be retried, and one per second in any case.
 *
 * @example
 * import * as Retry from "@holdfast/core/Retry"
 * import * as RetryBudget from "@holdfast/core/RetryBudget"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* RetryBudget.make({ percent: 0.1 })
 *   const retry = Retry.make({ maxRetries: 2, budget })
 *   return yield* retry(Effect.succeed("answer"))
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<RetryBudget> => Effect.sync(() => new Share(options))

/**
 * @since 0.1.0
 * @category models
 */
export interface ThrottleOptions {
  /** What it holds when it is full. Above 0, up to 1000. Default 10. */
  readonly maxTokens?: number | undefined
  /** What a success adds, with three decimals. Default 0.1. */
  readonly tokenRatio?: number | undefined
}

/**
 * gRPC's throttle: a failure that could be retried takes one token, a success adds `tokenRatio`, and retries are made only while more
 * than half of the tokens are there. It needs no traffic to start with, and stops all retries after a handful of failures.
 *
 * @example
 * import * as Retry from "@holdfast/core/Retry"
 * import * as RetryBudget from "@holdfast/core/RetryBudget"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* RetryBudget.throttle()
 *   return yield* Effect.succeed("answer").pipe(Retry.make({ budget }))
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const throttle = (options: ThrottleOptions = {}): Effect.Effect<RetryBudget> =>
  Effect.sync(() => {
    const check = new Validation("RetryBudget.throttle")
    check.record(options, ["maxTokens", "tokenRatio"])
    const { maxTokens = 10, tokenRatio = 0.1 } = options ?? {}
    check.number("maxTokens", maxTokens, 0.001, 1000)
    check.number("tokenRatio", tokenRatio, 0.001, 1000)
    check.done()
    const settings = { maxTokens, tokenRatio }
    const machine = new RetryThrottleMachine(settings)
    return {
      [TypeId]: TypeId,
      settings,
      balance: Effect.sync(() => Math.max(0, Math.ceil(machine.tokens - maxTokens / 2))),
      deposit: () => {},
      tryWithdraw: () => machine.allowsRetry,
      ended: (succeeded) => succeeded ? machine.recordSuccess() : machine.recordFailure()
    }
  })

/**
 * Whether a value is a `RetryBudget`.
 *
 * @example
 * import * as RetryBudget from "@holdfast/core/RetryBudget"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Effect.map(RetryBudget.throttle(), RetryBudget.isRetryBudget)).then(console.log) // true
 *
 * @since 0.1.0
 * @category guards
 */
export const isRetryBudget = (value: unknown): value is RetryBudget =>
  typeof value === "object" && value !== null && TypeId in value
