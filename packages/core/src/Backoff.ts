/**
 * Delays between attempts, as `Schedule`s that carry their numbers: usable with `Effect.retry` too, and readable by `lint`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import { Validation } from "./Options.js"

/**
 * How a delay is spread, so that clients that failed together do not come back together.
 *
 * - `"full"` (default): anywhere from 0 to the delay.
 * - `"equal"`: half of the delay, and anywhere up to the other half.
 * - `"none"`: exactly the delay. Retries without jitter come back as one wave.
 * - `{ factor: 0.2 }`: 20 % around the delay.
 *
 * @since 0.1.0
 * @category models
 */
export type Jitter = "full" | "equal" | "none" | { readonly factor: number }

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@holdfast/core/Backoff")

/**
 * A schedule of delays without an end: `Retry` counts the attempts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Backoff extends Schedule.Schedule<Duration.Duration> {
  readonly [TypeId]: typeof TypeId
  readonly kind: "exponential" | "constant" | "decorrelated"
  readonly baseMillis: number
  readonly factor: number
  readonly capMillis: number
  readonly jitter: Jitter
  /**
   * The delay before the retry with this number (0 is the first), in milliseconds: a pure function of a draw from [0, 1) and, for the
   * decorrelated kind, of the delay before it.
   */
  readonly delay: (retry: number, previous: number, draw: number) => number
  /** The largest delay that can come before the retry with this number, in milliseconds. */
  readonly largest: (retry: number) => number
}

/** The longest a JavaScript timer can be set to; a longer delay would never come, or come at once. */
const longest = 2 ** 31 - 1

const spread = (delay: number, jitter: Jitter, draw: number): number => {
  switch (jitter) {
    case "full":
      return delay * draw
    case "equal":
      return delay / 2 + (delay / 2) * draw
    case "none":
      return delay
    default:
      return Math.max(0, delay * (1 - jitter.factor + 2 * jitter.factor * draw))
  }
}

const build = (numbers: Pick<Backoff, "kind" | "baseMillis" | "factor" | "capMillis" | "jitter">): Backoff => {
  const { baseMillis, capMillis, factor, jitter, kind } = numbers
  const cap = Math.min(capMillis, longest)
  // The cap comes before the power can become Infinity: Math.min ends it, and 0 x Infinity cannot arise.
  const grown = (retry: number) => baseMillis === 0 ? 0 : Math.min(cap, baseMillis * factor ** retry)
  const delay = kind === "decorrelated"
    ? (retry: number, previous: number, draw: number) => {
      const upper = Math.min(cap, Math.max(baseMillis, (retry === 0 ? baseMillis : previous) * 3))
      return Math.min(cap, baseMillis + (upper - baseMillis) * draw)
    }
    : (retry: number, _previous: number, draw: number) => Math.min(cap, spread(grown(retry), jitter, draw))
  const largest = kind === "decorrelated"
    ? (retry: number) => Math.min(cap, baseMillis * 3 ** (retry + 1))
    : (retry: number) => Math.min(cap, spread(grown(retry), jitter, 1))
  const schedule = Schedule.makeWithState(
    { retry: 0, previous: baseMillis },
    (now, _: unknown, state) =>
      Effect.map(Random.next, (draw) => {
        const millis = delay(state.retry, state.previous, draw)
        return [
          { retry: state.retry + 1, previous: millis },
          Duration.millis(millis),
          ScheduleDecision.continueWith(ScheduleInterval.after(now + millis))
        ] as const
      })
  )
  return Object.assign(schedule, { [TypeId]: TypeId, ...numbers, delay, largest }) as unknown as Backoff
}

const checkJitter = (check: Validation, jitter: unknown): void => {
  if (typeof jitter === "object" && jitter !== null && "factor" in jitter) {
    check.number("jitter.factor", jitter.factor, 0, 1)
  } else {
    check.oneOf("jitter", jitter, ["full", "equal", "none"])
  }
}

/**
 * Options of a growing backoff.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExponentialOptions {
  /** What each delay is multiplied by. Default 2. */
  readonly factor?: number | undefined
  /** No delay is longer. Default 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Default `"full"`. */
  readonly jitter?: Jitter | undefined
}

const defaultCap = Duration.seconds(30)

/**
 * `base`, `base` x 2, `base` x 4, and so on up to the cap, each spread by the jitter. The first retry waits `base`.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 * import * as Effect from "effect/Effect"
 *
 * const backoff = Backoff.exponential("200 millis", { cap: "5 seconds" })
 *
 * // with Effect's own retry
 * const program = Effect.retry(Effect.fail("busy"), { schedule: backoff, times: 2 })
 *
 * Effect.runPromiseExit(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const exponential = (base: Duration.DurationInput, options: ExponentialOptions = {}): Backoff => {
  const check = new Validation("Backoff.exponential")
  const baseMillis = check.duration("base", base, 0)
  check.record(options, ["factor", "cap", "jitter"])
  const { cap = defaultCap, factor = 2, jitter = "full" } = options ?? {}
  const capMillis = check.duration("cap", cap, 0)
  check.number("factor", factor, 1, 1000)
  checkJitter(check, jitter)
  check.done()
  return build({ kind: "exponential", baseMillis, factor, capMillis, jitter })
}

/**
 * The same delay every time, spread by the jitter.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 *
 * console.log(Backoff.constant("1 second", { jitter: "none" }).delay(3, 0, 0.5)) // 1000
 *
 * @since 0.1.0
 * @category constructors
 */
export const constant = (
  delay: Duration.DurationInput,
  options: { readonly jitter?: Jitter | undefined } = {}
): Backoff => {
  const check = new Validation("Backoff.constant")
  const baseMillis = check.duration("delay", delay, 0)
  check.record(options, ["jitter"])
  const jitter = options?.jitter ?? "full"
  checkJitter(check, jitter)
  check.done()
  return build({ kind: "constant", baseMillis, factor: 1, capMillis: longest, jitter })
}

/**
 * Decorrelated jitter: each delay is drawn between `base` and three times the one before it, up to the cap. It spreads more than
 * full jitter and never returns at once.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 *
 * const backoff = Backoff.decorrelated("100 millis", { cap: "10 seconds" })
 *
 * console.log(backoff.largest(0)) // 300
 *
 * @since 0.1.0
 * @category constructors
 */
export const decorrelated = (
  base: Duration.DurationInput,
  options: { readonly cap?: Duration.DurationInput | undefined } = {}
): Backoff => {
  const check = new Validation("Backoff.decorrelated")
  const baseMillis = check.duration("base", base, 0)
  check.record(options, ["cap"])
  const capMillis = check.duration("cap", options?.cap ?? defaultCap, 0)
  if (capMillis < baseMillis) {
    check.add("cap", options?.cap ?? defaultCap, "a duration not shorter than the base")
  }
  check.done()
  return build({ kind: "decorrelated", baseMillis, factor: 3, capMillis, jitter: "full" })
}

/**
 * No delay at all: for tests, and for calls to a dependency in the same process.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 * import * as Retry from "@holdfast/core/Retry"
 *
 * const retry = Retry.make({ maxRetries: 3, schedule: Backoff.none })
 *
 * console.log(Backoff.none.largest(2)) // 0
 * console.log(retry.steps[0]?.settings.maxRetries) // 3
 *
 * @since 0.1.0
 * @category constructors
 */
export const none: Backoff = build({ kind: "constant", baseMillis: 0, factor: 1, capMillis: 0, jitter: "none" })

/**
 * Whether a value is a `Backoff`; any other schedule is not.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 * import * as Schedule from "effect/Schedule"
 *
 * console.log(Backoff.isBackoff(Backoff.constant("1 second"))) // true
 * console.log(Backoff.isBackoff(Schedule.spaced("1 second"))) // false
 *
 * @since 0.1.0
 * @category guards
 */
export const isBackoff = (value: unknown): value is Backoff =>
  typeof value === "object" && value !== null && TypeId in value
