/**
 * Bounds how long a call, or one attempt of it, may take.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Failure from "./Failure.js"
import type { Gate, Passage } from "./internal/gate.js"
import { Validation } from "./Options.js"
import * as Outcome from "./Outcome.js"
import * as Step from "./Step.js"

/** The class depends on the scope: see the getter below. */
const TimedOutBase = Failure.Retryable("TimedOut") as unknown as Failure.ErrorClass<
  "TimedOut",
  "Retryable" | "Rejected"
>

/**
 * A time limit ran out.
 *
 * - `scope: "attempt"`: one attempt took too long; the dependency may have done the work.
 * - `scope: "total"`: the call with all its attempts and waits took too long.
 * - `scope: "queue"`: the limit ran out, or had run out, before anything was sent: the call still waited its turn.
 *
 * @example
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.never.pipe(
 *   Timeout.make("50 millis"),
 *   Effect.catchTag("TimedOut", (error) => Effect.succeed(error.scope))
 * )
 *
 * Effect.runPromise(program).then(console.log) // "attempt"
 *
 * @since 0.1.0
 * @category errors
 */
export class TimedOut extends TimedOutBase<{
  readonly scope: "attempt" | "total" | "queue"
  readonly limit: Duration.Duration
  readonly policy: string
  readonly dependency: string | undefined
  /** The attempt that was cut, 1 for the first. */
  readonly attempt: number
  readonly maxAttempts: number
  /** The deadline of the caller was nearer than the limit, and ended it. */
  readonly inherited?: boolean | undefined
}> {
  override get message(): string {
    const whom = this.dependency === undefined ? "The call" : `The call to ${this.dependency}`
    const limit = `${Duration.toMillis(this.limit)} ms`
    if (this.inherited === true) {
      return this.scope === "queue"
        ? `${whom} was not sent before the deadline of its caller`
        : `${whom} was ended by the deadline of its caller (its own limit is ${limit})`
    }
    switch (this.scope) {
      case "attempt":
        return `${whom} timed out after ${limit} (attempt ${this.attempt} of ${this.maxAttempts})`
      case "total":
        return `${whom} timed out after ${limit} in all (attempt ${this.attempt} of ${this.maxAttempts})`
      case "queue":
        return `${whom} ran out of its ${limit} before it was sent`
    }
  }
}
Object.defineProperty(TimedOut.prototype, Outcome.ClassTypeId, {
  // Nothing was sent: no policy may take it for a sign of the dependency.
  get(this: TimedOut): Outcome.Class {
    return this.scope === "queue" ? "Rejected" : "Retryable"
  }
})

const timedOut = Failure.stackless(TimedOut)

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * `"attempt"` (default) bounds what is inside the policy at this place; `"total"`, as the outermost limit of a policy with no
   * retry outside it, also tells it to the effect as its `Deadline`, so that policies further in and other services can see how long is
   * left.
   */
  readonly scope?: "attempt" | "total" | undefined
  /**
   * Default `false`: the stopped effect has released what it held before the caller goes on. `true` lets the caller go on at once and
   * leaves the effect to end in the background: for work that ignores interruption.
   */
  readonly disconnect?: boolean | undefined
  /** Names this piece in errors and events. Default `timeout`. */
  readonly name?: string | undefined
  readonly dependency?: string | undefined
}

class TimeoutGate implements Gate {
  readonly _tag = "Gate"
  readonly step: Step.Step
  readonly disconnect: boolean
  private readonly millis: number
  private readonly total: boolean

  constructor(millis: number, options: Options) {
    this.millis = millis
    this.total = options.scope === "total"
    this.disconnect = options.disconnect === true
    this.step = {
      kind: "Timeout",
      policy: options.name ?? "timeout",
      dependency: options.dependency,
      settings: { limitMillis: millis, scope: options.scope ?? "attempt", disconnect: this.disconnect }
    }
  }

  enter(frame: Passage, slot: number): undefined | Exit.Exit<never, TimedOut> {
    return frame.limit(slot, this.millis, this.total) ? undefined : this.expire(frame)
  }

  leave(): void {}

  expire(frame: Passage): Exit.Exit<never, TimedOut> {
    return Exit.fail(timedOut({
      scope: !frame.sentWithin() ? "queue" : this.total ? "total" : "attempt",
      limit: Duration.millis(this.millis),
      policy: this.step.policy,
      dependency: this.step.dependency,
      attempt: Math.max(1, frame.callState.attempts),
      maxAttempts: frame.callState.maxAttempts,
      inherited: frame.inherited
    }))
  }
}

/**
 * A policy that ends what it protects with `TimedOut` when it takes longer than `limit`. Under a nearer `Deadline` the limit is cut
 * to what is left.
 *
 * The effect is interrupted, and what it holds is released before the caller goes on; an effect that cannot be interrupted is
 * waited for, unless `disconnect` is set.
 *
 * @example
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.never.pipe(Timeout.make("50 millis"), Effect.catchTag("TimedOut", (error) => Effect.log(error.message)))
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (limit: Duration.DurationInput, options: Options = {}): Step.Policy<TimedOut> => {
  const check = new Validation("Timeout.make")
  const millis = check.duration("limit", limit)
  check.record(options, ["scope", "disconnect", "name", "dependency"])
  if (options.scope !== undefined) {
    check.oneOf("scope", options.scope, ["attempt", "total"])
  }
  if (options.disconnect !== undefined) {
    check.flag("disconnect", options.disconnect)
  }
  if (options.name !== undefined) {
    check.text("name", options.name)
  }
  if (options.dependency !== undefined) {
    check.text("dependency", options.dependency)
  }
  check.done()
  return Step.policy<TimedOut>([new TimeoutGate(millis, options)])
}

/**
 * The timeout that a measured latency asks for: twice the 99th percentile, in whole milliseconds.
 *
 * @example
 * import * as Timeout from "@holdfast/core/Timeout"
 *
 * const payments = Timeout.make(Timeout.fromLatency({ p99: "500 millis" })) // 1 second
 *
 * console.log(payments.steps[0]?.settings.limitMillis)
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromLatency = (measured: { readonly p99: Duration.DurationInput }): Duration.Duration => {
  const check = new Validation("Timeout.fromLatency")
  check.record(measured, ["p99"])
  const p99 = check.duration("p99", measured.p99, 0)
  check.done()
  return Duration.millis(Math.max(1, Math.ceil(p99 * 2)))
}

const preset = (low: Duration.DurationInput, high: Duration.DurationInput) => ({
  /** The lower end of the recommended range. */
  tight: Duration.decode(low),
  /** The upper end of the recommended range. */
  generous: Duration.decode(high)
})

/**
 * Starting points by kind of dependency, each as a range from `tight` to `generous`. Measure for a week, then use `fromLatency`.
 *
 * @example
 * import * as Timeout from "@holdfast/core/Timeout"
 *
 * const query = Timeout.make(Timeout.presets.databaseQuery.tight)
 *
 * console.log(query.steps[0]?.settings.limitMillis) // 200
 *
 * @since 0.1.0
 * @category constructors
 */
export const presets = {
  /** A simple query: p99 5-50 ms. */
  databaseQuery: preset("200 millis", "500 millis"),
  /** A report or a join over much data: p99 100-500 ms. */
  databaseReport: preset("2 seconds", "5 seconds"),
  /** Redis, Memcached: p99 1-5 ms; a cache that is waited for is no cache. */
  cache: preset("50 millis", "200 millis"),
  /** A service in the same data centre: p99 10-100 ms. */
  internalService: preset("500 millis", "2 seconds"),
  /** A payment gateway: p99 500 ms-2 s, fraud checks included. */
  paymentGateway: preset("5 seconds", "10 seconds"),
  /** An email API: p99 200-800 ms; better asynchronous. */
  email: preset("5 seconds", "5 seconds"),
  /** Inference: p99 100 ms-5 s, by model. */
  inference: preset("10 seconds", "30 seconds"),
  /** An upload of a large file, by its size. */
  fileUpload: preset("30 seconds", "60 seconds"),
  /** The TCP and TLS handshake of any of them. */
  connect: preset("1 seconds", "5 seconds")
} as const
