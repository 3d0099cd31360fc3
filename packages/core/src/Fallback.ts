/**
 * Answers in place of a dependency that failed: an ordered hierarchy of cache, default, degrade, defer and disable.
 *
 * A fallback is no policy: it changes the result and removes errors. It belongs outside of all policies, where it sees
 * what they came to; inside of one it would turn the failures into successes that the policy must see.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Backoff from "./Backoff.js"
import * as Failure from "./Failure.js"
import * as deferral from "./internal/fallbackDefer.js"
import * as engine from "./internal/fallbackEngine.js"
import type * as model from "./internal/fallbackModel.js"
import * as parts from "./internal/fallbackTier.js"
import type * as types from "./internal/fallbackTypes.js"
import { Validation } from "./Options.js"
import type * as Outcome from "./Outcome.js"
import * as Timeout from "./Timeout.js"

/** @since 0.1.0 */
export * from "./internal/fallbackAll.js"
/** @since 0.1.0 */
export * from "./internal/fallbackCached.js"
/** @since 0.1.0 */
export {
  /**
   * A tier that hands the call to a `DeferralQueue` and answers `Pending`.
   *
   * @example
   * import * as Fallback from "@holdfast/core/Fallback"
   * import * as Effect from "effect/Effect"
   *
   * const program = Effect.gen(function*() {
   *   const queue = yield* Fallback.DeferralQueue.make({ capacity: 10, settle: (order: string) => Effect.log(order) })
   *   return yield* Effect.fail("down").pipe(Fallback.tiers(Fallback.defer(queue)).with("o-1"))
   * })
   *
   * Effect.runPromise(Effect.scoped(program))
   *
   * @since 0.1.0
   * @category constructors
   */
  defer,
  /**
   * @since 0.1.0
   * @category models
   */
  type DeferOptions,
  /**
   * @since 0.1.0
   * @category models
   */
  type DeferralQueueOptions
} from "./internal/fallbackDefer.js"
/** @since 0.1.0 */
export * from "./internal/fallbackModel.js"
/** @since 0.1.0 */
export {
  /**
   * There is no earlier answer to serve: none was remembered, or it is too old, or the key could not be told.
   *
   * @example
   * import * as Fallback from "@holdfast/core/Fallback"
   *
   * console.log(new Fallback.CacheMiss({ cache: "prices", reason: "key" }).message)
   * // prices could not tell the key of this call
   *
   * @since 0.1.0
   * @category errors
   */
  CacheMiss,
  /**
   * @since 0.1.0
   * @category models
   */
  type Key
} from "./internal/fallbackCache.js"
/** @since 0.1.0 */
export {
  /**
   * The answer of a deferral queue: accepted, not done yet.
   *
   * @example
   * import * as Fallback from "@holdfast/core/Fallback"
   *
   * console.log(new Fallback.Pending({ queue: "orders", id: "o-1", message: "Payment pending" })._tag) // "Pending"
   *
   * @since 0.1.0
   * @category models
   */
  Pending,
  /**
   * The queue took no further job: it is full, or its scope is closing.
   *
   * @example
   * import * as Fallback from "@holdfast/core/Fallback"
   *
   * console.log(new Fallback.QueueFull({ queue: "orders", reason: "full", capacity: 10, pending: 10 }).message)
   * // orders is full: 10 of 10 jobs are pending
   *
   * @since 0.1.0
   * @category errors
   */
  QueueFull,
  /**
   * @since 0.1.0
   * @category models
   */
  type Settlement,
  /**
   * @since 0.1.0
   * @category models
   */
  type Unsettled
} from "./internal/fallbackQueue.js"
/** @since 0.1.0 */
export * from "./internal/fallbackRehearsal.js"
/** @since 0.1.0 */
export * from "./internal/fallbackTiers.js"

// -- the hierarchy -----------------------------------------------------------

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<Tiers extends ReadonlyArray<types.AnyTier>> {
  /** Named in events and findings. Default: the names of the tiers. */
  readonly name?: string | undefined
  /** Whom it answers for: the service label of events. Default: the dependency that the error names. */
  readonly dependency?: string | undefined
  /** In order: the first that acts on the failure and answers, wins. */
  readonly tiers: Tiers
  /**
   * Default `Failure.classify`. With a classifier of your own no class in an error's type narrows any more, tags do.
   */
  readonly classify?: Failure.Classify | undefined
}

type FallbackOf<Tiers extends ReadonlyArray<types.AnyTier>, Removes> = model.Fallback<
  types.InputOf<Tiers[number]>,
  types.ValueOf<Tiers[number]>,
  types.RequirementsOf<Tiers[number]>,
  Removes
>

const compile = (
  name: string,
  list: ReadonlyArray<parts.TierParts>,
  options: { readonly classify?: Failure.Classify | undefined; readonly dependency?: string | undefined }
): any => {
  const tiers = list.map((one): parts.TierRun => ({
    ...one,
    acts: one.acts ?? parts.compileWhen(one.when),
    when: parts.describeWhen(one.when),
    limit: one.withinMillis === undefined
      ? undefined
      : engine.limitBy(Timeout.make(one.withinMillis, { name: parts.limitName(name, one.name) }))
  }))
  return engine.callable(
    new engine.Engine(name, tiers, options.classify ?? Failure.classify, options.dependency),
    false
  )
}

/**
 * Builds a fallback from its tiers, with a name and a classifier of its own. Build it once, not per call.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const recommendations = Fallback.make({
 *   name: "recommendations",
 *   dependency: "recommendations",
 *   tiers: [
 *     Fallback.tier({ name: "popular", kind: "degrade", run: () => Effect.fail("the other list is down too") }),
 *     Fallback.value([])
 *   ]
 * })
 *
 * Effect.runPromise(Effect.fail("down").pipe(recommendations))
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <
  const Tiers extends ReadonlyArray<types.AnyTier>,
  C extends Failure.Classify | types.Absent | undefined
>(
  options: Options<Tiers> & { readonly classify?: C }
): FallbackOf<
  Tiers,
  [types.Absent] extends [C] ? types.RemovesOf<Tiers[number]> : Exclude<types.RemovesOf<Tiers[number]>, Outcome.Class>
> => {
  const check = new Validation("Fallback.make")
  check.record(options, ["name", "dependency", "tiers", "classify"])
  for (const field of ["name", "dependency"] as const) {
    if (options?.[field] !== undefined) {
      check.text(field, options[field])
    }
  }
  if (options?.classify !== undefined) {
    check.callable("classify", options.classify)
  }
  const list: ReadonlyArray<any> = Array.isArray(options?.tiers) ? options.tiers : []
  if (list.length === 0 || !list.every(parts.isTier)) {
    check.add("tiers", options?.tiers, "a list of one or more tiers")
  } else if (new Set(list.map((one) => one.name)).size < list.length) {
    check.add("tiers", list.map((one) => one.name), "a name for each tier that no other has")
  }
  check.done()
  return compile(options.name ?? list.map((one) => one.name).join(" > "), list.map(parts.partsOf), options)
}

/**
 * An ordered hierarchy: the first tier that acts on the failure and answers, wins. When none does, the primary error
 * comes out, with the failures of the tiers as its sequential cause.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const fallback = Fallback.tiers(
 *   Fallback.tier({ name: "popular", kind: "degrade", run: () => Effect.succeed(["lamp"]) }),
 *   Fallback.value(["nothing"])
 * )
 *
 * Effect.runPromise(Effect.fail("down").pipe(fallback))
 *
 * @since 0.1.0
 * @category constructors
 */
export const tiers = <const Tiers extends ReadonlyArray<types.AnyTier>>(
  ...tiers: Tiers
): FallbackOf<Tiers, types.RemovesOf<Tiers[number]>> => make({ tiers }) as any

const plainTier = (name: string, when: Failure.When, run: parts.TierParts["run"]): parts.TierParts => ({
  name,
  kind: "degrade",
  when,
  withinMillis: undefined,
  notice: undefined,
  run,
  rehearse: undefined,
  constant: false,
  store: undefined
})

/**
 * Options of handlers by tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface CatchTagsOptions {
  /** Named in events and findings. Default: the tags. */
  readonly name?: string | undefined
  readonly dependency?: string | undefined
  /** Gives up a handler after this time. Default: no limit, as with `Effect.catchTags`. */
  readonly within?: Duration.DurationInput | undefined
}

/**
 * The shape of `Effect.catchTags`. A tag leaves the error type if its handler cannot fail; one that can fail adds no
 * error of its own: when it does, the primary error comes out with the handler's failure as its sequential cause.
 *
 * In a pipe the handlers are checked against the errors of the effect. A value of its own, built once for many effects,
 * is given a name, and the parameter of each handler is annotated.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.never.pipe(
 *   Timeout.make("50 millis"),
 *   Fallback.catchTags({ TimedOut: (error) => Effect.succeed(error.message) })
 * )
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category combinators
 */
export const catchTags: {
  <E, Cases extends types.CasesFor<E, Cases>>(cases: Cases, options?: CatchTagsOptions): types.Handling<E, Cases>
  <Cases extends { readonly [tag: string]: (error: never) => Effect.Effect<any, any, any> }>(
    cases: Cases,
    options: CatchTagsOptions & { readonly name: string }
  ): model.Plain<unknown, types.HandledValue<Cases>, types.HandledRequirements<Cases>, types.HandledTags<Cases>>
} = (cases: any, options?: CatchTagsOptions): any => {
  const check = new Validation("Fallback.catchTags")
  const handlers: Array<[string, any]> = Object.entries(cases ?? {})
  if (handlers.length === 0) {
    check.add("cases", cases, "a record of one or more handlers by tag")
  }
  handlers.forEach(([tag, handler]) => check.callable(`cases.${tag}`, handler))
  check.record(options ?? {}, ["name", "dependency", "within"])
  for (const field of ["name", "dependency"] as const) {
    if (options?.[field] !== undefined) {
      check.text(field, options[field])
    }
  }
  const withinMillis = options?.within === undefined ? undefined : check.duration("within", options.within)
  check.done()
  const list = handlers.map(([tag, handler]) => ({
    ...plainTier(tag, [tag], (failed) => handler(failed.error)),
    acts: parts.hasTag(tag),
    withinMillis
  }))
  return compile(options?.name ?? handlers.map(([tag]) => tag).join(", "), list, options ?? {})
}

/**
 * Removes every typed error: with a value, or with an effect that cannot fail. Defects and interruption come out as
 * they are. An effect is run where it is needed, so it stands here by itself: a function is refused.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Effect.fail("down").pipe(Fallback.orElse("unknown")))
 *
 * @since 0.1.0
 * @category combinators
 */
export const orElse: {
  <A, R = never>(effect: Effect.Effect<A, never, R>): model.Plain<unknown, A, R, "*">
  <A>(value: types.NothingToRun<A>): model.Plain<unknown, A, never, "*">
} = (other: unknown): any => {
  parts.refuseFunction(other)
  const run = Effect.isEffect(other) ? (other as Effect.Effect<unknown>) : Effect.succeed(other)
  return compile("orElse", [plainTier("orElse", everyTypedError, () => run)], {})
}

const everyTypedError: Failure.When = ["Retryable", "Overloaded", "Permanent", "Unclassified", "Rejected"]

/**
 * The same fallback, whose value is an `Answer` that knows its source, its age and a notice for the user.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const fallback = Fallback.tiers(Fallback.value(["lamp"], { notice: "Showing popular products" }))
 *
 * const program = Effect.fail("down").pipe(
 *   Fallback.withSource(fallback),
 *   Effect.map((answer) => answer.notice)
 * )
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category combinators
 */
export const withSource = <Input, A, R, Removes>(
  fallback: model.Described<Input, A, R, Removes>
): model.WithSource<Input, A, R, Removes> => engine.callable(engine.engineOf(fallback, "Fallback.withSource"), true)

// -- deferral ----------------------------------------------------------------

/**
 * Jobs accepted for later. A job that was accepted is pending until it is settled, whatever is interrupted.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeferralQueue<Job, out A = unknown, out E = unknown> extends deferral.DeferralQueue<Job, A, E> {}

/**
 * Makes deferral queues. The workers live in the scope; closing it refuses new jobs, tries each pending one once more
 * for up to `drainFor`, then stops the workers, puts back what they held, and logs how many jobs are unsettled.
 *
 * @example
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* Fallback.DeferralQueue.make({
 *     capacity: 1000,
 *     settle: (order: string) => Effect.log(`charged ${order}`)
 *   })
 *   return yield* queue.offer("o-1")
 * })
 *
 * Effect.runPromise(Effect.scoped(program))
 *
 * @since 0.1.0
 * @category constructors
 */
export const DeferralQueue = { make: deferral.makeWith(Backoff.exponential("1 second", { cap: "1 minute" })) }
