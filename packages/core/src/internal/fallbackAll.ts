/**
 * Runs several effects at once, each for itself: none ends another, and all have ended before the answer is given.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Call from "../Call.js"
import * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import { announce } from "./announce.js"
import { criticalities } from "./declaredFacts.js"
import { fromPrimary } from "./fallbackEngine.js"
import { nowOf } from "./fallbackFault.js"
import type { Answer } from "./fallbackModel.js"
import { reasonOf } from "./fallbackTier.js"
import { type AnyEffect, currentFiber } from "./runtime.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const BranchTypeId: unique symbol = Symbol.for("@holdfast/core/Fallback/Branch")

/**
 * One effect of several that run at once, with how much its answer is needed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Branch<out A, out E, out R, out Criticality extends Call.Criticality> {
  readonly [BranchTypeId]: typeof BranchTypeId
  readonly effect: Effect.Effect<A, E, R>
  readonly criticality: Criticality
  readonly notice: string | undefined
}

/**
 * How much the answer of a branch is needed.
 *
 * @since 0.1.0
 * @category models
 */
export interface BranchOptions<Criticality extends Call.Criticality> {
  /** `critical` fails them all, `important` becomes an answer with a notice, `optional` is left out silently. */
  readonly criticality: Criticality
  /**
   * What to tell the user when an important branch failed. Default: that it is not available at the moment, by its
   * name.
   */
  readonly notice?: string | undefined
}

/**
 * Says how much the answer of an effect is needed. Its tiers belong to the effect: `branch(effect.pipe(fallback),
 * ...)`.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const reviews = Fallback.branch(Effect.fail("down"), { criticality: "optional" })
 *
 * console.log(reviews.criticality) // "optional"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const branch = <A, E, R, const C extends Call.Criticality>(
  effect: Effect.Effect<A, E, R>,
  options: BranchOptions<C>
): Branch<A, E, R, C> => {
  const check = new Validation("Fallback.branch")
  if (!Effect.isEffect(effect)) {
    check.add("effect", effect, "an effect")
  }
  check.record(options, ["criticality", "notice"])
  check.oneOf("criticality", options?.criticality, criticalities)
  if (options?.notice !== undefined) {
    check.text("notice", options.notice)
  }
  check.done()
  return { [BranchTypeId]: BranchTypeId, effect, criticality: options.criticality, notice: options.notice }
}

/**
 * What a branch gives: a critical one its value, an important one an answer that may be empty and then carries a
 * notice, an optional one its value or nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type BranchResult<B> = B extends Branch<infer A, any, any, infer C>
  ? C extends "critical" ? A : C extends "important" ? Answer<Option.Option<A>> : Option.Option<A>
  : never

type BranchError<B> = B extends Branch<any, infer E, any, infer C>
  ? [Extract<C, "critical">] extends [never] ? never : E
  : never

type BranchRequirements<B> = B extends Branch<any, any, infer R, any> ? R : never

/**
 * The exits of all effects, in their order. Whoever interrupts the caller interrupts them all, and waits until they
 * have released what they hold. Changes of fiber refs come back to the caller, in that order.
 */
const exits = (effects: ReadonlyArray<AnyEffect>): Effect.Effect<Array<Exit.Exit<any, any>>, never, any> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forEach(effects, (effect) => Effect.forkDaemon(restore(effect))),
      (fibers) =>
        restore(Effect.forEach(fibers, (fiber) => Fiber.await(fiber))).pipe(
          Effect.onInterrupt(() => Fiber.interruptAll(fibers)),
          Effect.tap(() => Effect.forEach(fibers, (fiber) => fiber.inheritAll, { discard: true }))
        )
    )
  )

/** What the users do not see, the operators do. */
const tellDegraded = (name: string, failure: Exit.Failure<any, any>): Effect.Effect<void> | undefined => {
  const fiber = currentFiber()
  announce(fiber, () => {
    const outcome = Failure.classify(failure)
    return {
      _tag: "FallbackServed",
      at: nowOf(fiber),
      call: undefined,
      fallback: name,
      tier: "absent",
      kind: "degrade",
      reason: reasonOf(Option.getOrUndefined(Cause.failureOption(failure.cause)), outcome),
      outcome,
      age: undefined,
      inside: undefined
    }
  })
  return Cause.isDie(failure.cause)
    ? Effect.logError(`The branch ${name} died and was left out`, failure.cause)
    : undefined
}

/**
 * Runs all branches at once, waits for every one of them, then fails with the first critical failure in the order of
 * the record (the others stand beside it in the cause). A branch that fails, or dies, never ends another; interruption
 * of the caller ends them all, and waits for them. Every absence of an important or optional answer is an event; a
 * defect is logged too.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const page = Fallback.all({
 *   product: Fallback.branch(Effect.succeed("a lamp"), { criticality: "critical" }),
 *   stock: Fallback.branch(Effect.fail("down"), { criticality: "important", notice: "Likely available" }),
 *   reviews: Fallback.branch(Effect.fail("down"), { criticality: "optional" })
 * })
 *
 * Effect.runPromise(Effect.map(page, ({ product, stock }) => [product, stock.notice]))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const all = <const B extends Readonly<Record<string, Branch<any, any, any, Call.Criticality>>>>(
  branches: B
): Effect.Effect<
  { readonly [K in keyof B]: BranchResult<B[K]> },
  BranchError<B[keyof B]>,
  BranchRequirements<B[keyof B]>
> => {
  const check = new Validation("Fallback.all")
  const entries = Object.entries(branches ?? {})
  for (const [name, one] of entries) {
    if (typeof one !== "object" || one === null || !(BranchTypeId in one)) {
      check.add(name, one, "a branch, made by Fallback.branch")
    }
  }
  check.done()
  return Effect.flatMap(exits(entries.map(([, one]) => one.effect)), (ended) => {
    const results = new Map<string, unknown>()
    const fatal: Array<Exit.Failure<any, any>> = []
    const logs: Array<Effect.Effect<void>> = []
    entries.forEach(([name, { criticality, notice }], index) => {
      const exit = ended[index]!
      if (exit._tag === "Success") {
        results.set(
          name,
          criticality === "critical"
            ? exit.value
            : criticality === "optional"
            ? Option.some(exit.value)
            : fromPrimary(Option.some(exit.value))
        )
      } else if (criticality === "critical") {
        fatal.push(exit)
      } else {
        const log = tellDegraded(name, exit)
        if (log !== undefined) {
          logs.push(log)
        }
        results.set(
          name,
          criticality === "optional" ? Option.none() : {
            value: Option.none(),
            source: "absent",
            age: undefined,
            degraded: true,
            notice: notice ?? `${name} is not available at the moment`
          }
        )
      }
    })
    const end: Exit.Exit<any, any> = fatal.length === 0
      ? Exit.succeed(Object.fromEntries(results))
      : Exit.failCause(fatal.map((exit) => exit.cause).reduce((first, other) => Cause.parallel(first, other)))
    return Effect.zipRight(Effect.all(logs, { discard: true }), end)
  })
}
