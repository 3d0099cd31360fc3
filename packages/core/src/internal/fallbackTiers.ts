/**
 * The tiers that need no state: their options are checked here.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import type * as model from "./fallbackModel.js"
import { checkAnswer, checkCommon, makeTier } from "./fallbackTier.js"
import type { Absent, RemovedBy } from "./fallbackTypes.js"

/** How long a tier may take when nothing else is said: the caller has waited long enough. */
const defaultWithin = 100

/**
 * @since 0.1.0
 * @category models
 */
export interface TierOptions<Input, A, E, R, When extends Failure.When | Absent | undefined> {
  /** Named in answers, events and findings; `primary` is taken. */
  readonly name: string
  readonly kind: model.Kind
  /**
   * Which failures it acts on: classes and tags, or a predicate. Default: as the outcome table says. A list never
   * acts on a defect.
   */
  readonly when?: When
  /** It is given up after this time. Default 100 milliseconds. It counts after the deadline of the call too. */
  readonly within?: Duration.DurationInput | undefined
  /** What to tell the user, such as "Search is temporarily limited". */
  readonly notice?: string | undefined
  /** Answers in place of the primary. It may ask a cache or another dependency, never the one that failed. */
  readonly run: (failed: model.Failed<Input>) => Effect.Effect<A, E, R>
  /** Takes the place of `run` in a rehearsal, for a tier with side effects. */
  readonly rehearse?: ((failed: model.Failed<Input>) => Effect.Effect<unknown, unknown, R>) | undefined
}

/**
 * One tier of a hierarchy.
 *
 * A tag in `when` leaves the error type if `run` cannot fail. A `run` that dies, or takes longer than `within`, breaks
 * that promise: then the primary error comes out although the type has lost it, with the tier's failure behind it.
 * `rehearse` finds such tiers.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const popular = Fallback.tier({
 *   name: "popular",
 *   kind: "degrade",
 *   when: ["CircuitOpen", "TimedOut"],
 *   notice: "Showing popular products",
 *   run: () => Effect.succeed(["lamp", "chair"])
 * })
 *
 * console.log(popular.withinMillis) // 100
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const tier = <
  A,
  E,
  R,
  const When extends Failure.When | Absent | undefined,
  Input = unknown
>(options: TierOptions<Input, A, E, R, When>): model.Tier<NoInfer<Input>, A, R, RemovedBy<E, When>> => {
  const check = new Validation("Fallback.tier")
  check.record(options, ["name", "kind", "when", "within", "notice", "run", "rehearse"])
  check.text("name", options?.name)
  check.oneOf("kind", options?.kind, ["cache", "default", "degrade", "defer", "disable"])
  checkCommon(check, options)
  check.callable("run", options?.run)
  if (options?.rehearse !== undefined) {
    check.callable("rehearse", options.rehearse)
  }
  const withinMillis = check.duration("within", options?.within ?? defaultWithin)
  check.done()
  return makeTier({
    name: options.name,
    kind: options.kind,
    when: options.when as Failure.When | undefined,
    withinMillis,
    notice: options.notice,
    run: options.run,
    rehearse: options.rehearse,
    constant: false,
    store: undefined
  })
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ValueOptions<When extends Failure.When | Absent | undefined> {
  /** Default: the kind, `default` or `disable`. */
  readonly name?: string | undefined
  readonly when?: When
  readonly notice?: string | undefined
}

const fixed = (kind: "default" | "disable", value: unknown, options: ValueOptions<any> | undefined): any => {
  const check = new Validation(kind === "default" ? "Fallback.value" : "Fallback.disabled")
  check.record(options ?? {}, ["name", "when", "notice"])
  checkCommon(check, options)
  checkAnswer(
    check,
    "value",
    value,
    `a value; what has to be run is a tier: Fallback.tier({ name: "other", kind: "degrade", run: () => effect })`
  )
  check.done()
  const answer = Exit.succeed(value)
  return makeTier({
    name: options?.name ?? kind,
    kind,
    when: options?.when,
    withinMillis: undefined,
    notice: options?.notice,
    run: () => answer,
    rehearse: undefined,
    constant: true,
    store: undefined
  })
}

/**
 * A tier that answers with a fixed value; `null` and `undefined` are values. An effect, or a function, is none: what has to be run is a
 * `Fallback.tier`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const value: <A, const When extends Failure.When | Absent | undefined>(
  value: A,
  options?: ValueOptions<When>
) => model.Tier<unknown, A, never, RemovedBy<never, When>> = (value, options) => fixed("default", value, options)

/**
 * A tier that says that the feature is off for now.
 *
 * @since 0.1.0
 * @category constructors
 */
export const disabled: <A, const When extends Failure.When | Absent | undefined>(
  value: A,
  options?: ValueOptions<When>
) => model.Tier<unknown, A, never, RemovedBy<never, When>> = (value, options) => fixed("disable", value, options)
