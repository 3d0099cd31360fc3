/**
 * A tier as the engine runs it: what it acts on, what it is told, and its parts behind the description that users see.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import * as Outcome from "../Outcome.js"
import type { LastGood } from "./fallbackCache.js"
import { type Description, type Failed, TierTypeId } from "./fallbackModel.js"
import type { AnyEffect } from "./runtime.js"

/** A tier as the engine runs it. */
export interface TierRun extends Description {
  readonly acts: (outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>) => boolean
  readonly run: (failed: Failed<any>) => AnyEffect
  /** A fixed value: what comes behind it for the same failure is never reached. */
  readonly constant: boolean
  readonly limit: ((effect: AnyEffect) => AnyEffect) | undefined
  /** Takes the place of `run` in a rehearsal. */
  readonly rehearse: ((failed: Failed<any>) => AnyEffect) | undefined
  /** A cache that also hears the successes of the primary. */
  readonly store: LastGood | undefined
}

/** The parts of a tier that its constructor decides; a fallback adds the limit. */
export interface TierParts extends Omit<TierRun, "limit" | "acts" | "when" | typeof TierTypeId> {
  readonly when: Failure.When | undefined
  /** Default: what `when` says. */
  readonly acts?: TierRun["acts"]
}

/** A tier as the user holds it: its description in sight, its parts behind a symbol. */
export const makeTier = (parts: TierParts): any => ({
  [TierTypeId]: parts,
  name: parts.name,
  kind: parts.kind,
  when: describeWhen(parts.when),
  withinMillis: parts.withinMillis,
  notice: parts.notice
})

export const partsOf = (tier: any): TierParts => tier[TierTypeId]

export const isTier = (value: unknown): boolean => typeof value === "object" && value !== null && TierTypeId in value

/** Compiles the `when` of a tier. A list never acts on a defect; a predicate decides for itself. */
export const compileWhen = (when: Failure.When | undefined): TierRun["acts"] => {
  if (typeof when === "function") {
    return when
  }
  return when === undefined
    ? (outcome, exit) => Outcome.rowOf(outcome).fallback && !Failure.isDefect(exit)
    : Failure.compileWhen(when, "pass")
}

/** Acts on this tag and nothing else: in a list, a tag of the name of a class would stand for the class. */
export const hasTag = (tag: string): TierRun["acts"] => (_, exit) =>
  exit._tag === "Failure" && !Failure.isDefect(exit) &&
  (Option.getOrUndefined(Cause.failureOption(exit.cause)) as any)?._tag === tag

/** What a tier acts on, for its description. */
export const describeWhen = (when: Failure.When | undefined): Description["when"] =>
  when === undefined
    ? Outcome.classes.filter((one) => Outcome.table[one].fallback)
    : typeof when === "function"
    ? "predicate"
    : [...when]

export const reasonOf = (error: unknown, outcome: Outcome.Outcome): string => {
  const tag = typeof error === "object" && error !== null ? (error as any)._tag : undefined
  return typeof tag === "string" ? tag : outcome.class
}

/** What a tier is told of the end of the primary. */
export const failedOf = (
  exit: Exit.Exit<unknown, unknown>,
  outcome: Outcome.Outcome,
  input: unknown,
  rehearsal: boolean
): Failed<any> => {
  const cause = exit._tag === "Failure" ? exit.cause : Cause.empty
  const error = cause._tag === "Fail" ? cause.error : Option.getOrUndefined(Cause.failureOption(cause))
  return { cause, error, outcome, reason: reasonOf(error, outcome), input, rehearsal }
}

/**
 * Something to run is no answer: served as it is, it would reach the caller unrun. An `Option` and an `Either` are effects too,
 * and are values all the same; an `Exit` cannot be told from `Effect.succeed`.
 */
export const checkAnswer = (check: Validation, field: string, value: unknown, instead: string): void => {
  const data = Option.isOption(value) || Either.isEither(value)
  if (typeof value === "function" || (Effect.isEffect(value) && !data)) {
    check.add(field, typeof value === "function" ? value : "an effect", instead)
  }
}

/** `Fallback.orElse` runs an effect: the function that would build one is a mistake. */
export const refuseFunction = (other: unknown): void => {
  const check = new Validation("Fallback.orElse")
  if (typeof other === "function") {
    check.add(
      "other",
      other,
      "a value, or an effect that cannot fail: write the effect itself, Fallback.orElse(effect)"
    )
  }
  check.done()
}

/** The name of a tier's time limit, by which its error is told from a timeout within the tier. */
export const limitName = (fallback: string, tier: string): string => `${fallback}.${tier}`

/** Checks the options that all tiers share. */
export const checkCommon = (
  check: Validation,
  options: { readonly name?: unknown; readonly when?: unknown; readonly notice?: unknown } | undefined
): void => {
  if (options?.name !== undefined) {
    check.text("name", options.name)
    if (options.name === "primary") {
      check.add("name", options.name, "a name other than that of the primary itself")
    }
  }
  if (options?.when !== undefined) {
    check.when("when", options.when)
  }
  if (options?.notice !== undefined) {
    check.text("notice", options.notice)
  }
}
