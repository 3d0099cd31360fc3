/**
 * Runs every tier against made-up failures, so that the first time it runs is not the night of the outage.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import * as Outcome from "../Outcome.js"
import * as ResilienceEvent from "../ResilienceEvent.js"
import { announce } from "./announce.js"
import { type Engine, engineOf } from "./fallbackEngine.js"
import { nowOf } from "./fallbackFault.js"
import type { Described } from "./fallbackModel.js"
import { failedOf, limitName, type TierRun } from "./fallbackTier.js"
import { ownValue } from "./records.js"
import { type AnyEffect, currentFiber } from "./runtime.js"

/**
 * What is wrong with one tier.
 *
 * - `threw`: it died.
 * - `failed`: it ended with a typed error.
 * - `tooSlow`: it did not answer within its time.
 * - `notReached`: none of the failures led to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RehearsalFinding {
  readonly fallback: string
  readonly tier: string
  readonly problem: "threw" | "failed" | "tooSlow" | "notReached"
  /** The reason of the failure that was made up; `undefined` for `notReached`. */
  readonly failure: string | undefined
  readonly cause: Cause.Cause<unknown> | undefined
}

const words: Readonly<Record<RehearsalFinding["problem"], string>> = {
  threw: "threw",
  failed: "failed",
  tooSlow: "was too slow",
  notReached: "was not reached"
}

/**
 * Tiers that would not answer in an outage.
 *
 * @since 0.1.0
 * @category errors
 */
export class RehearsalFailed extends Data.TaggedError("RehearsalFailed")<{
  readonly findings: ReadonlyArray<RehearsalFinding>
}> {
  override get message(): string {
    return this.findings.map(({ failure, fallback, problem, tier }) =>
      `${fallback}: the tier ${tier} ${words[problem]}${failure === undefined ? "" : ` after ${failure}`}`
    ).join("; ")
  }
}

/**
 * What was rehearsed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rehearsal {
  readonly fallbacks: number
  readonly tiers: number
  /** How many times a tier answered. */
  readonly answers: number
}

class MadeUpRetryable extends Failure.Retryable("MadeUpRetryable")<{}> {}
class MadeUpOverloaded extends Failure.Overloaded("MadeUpOverloaded")<{}> {}
class MadeUpPermanent extends Failure.Permanent("MadeUpPermanent")<{}> {}
class MadeUpRejected extends Failure.Rejected("MadeUpRejected")<{}> {}
class MadeUpFailure extends Data.TaggedError("MadeUpFailure")<{}> {}

const byClass: Readonly<Record<string, () => unknown>> = {
  Retryable: () => new MadeUpRetryable(),
  Overloaded: () => new MadeUpOverloaded(),
  Permanent: () => new MadeUpPermanent(),
  Unclassified: () => new MadeUpFailure(),
  Rejected: () => new MadeUpRejected(),
  Interrupted: () => Cause.interrupt(FiberId.none)
}

/**
 * One failure for each class of the table that a fallback acts on, and one for each class and tag that the tiers
 * name.
 */
const madeUp = (engine: Engine): ReadonlyArray<unknown> => {
  const names = new Set(Outcome.classes.filter((one) => Outcome.table[one].fallback) as ReadonlyArray<string>)
  for (const tier of engine.tiers) {
    if (tier.when !== "predicate") {
      tier.when.forEach((name) => names.add(name))
    }
  }
  return [...names].map((name) => ownValue(byClass, name)?.() ?? { _tag: name, message: `a rehearsed ${name}` })
}

const run = (tier: TierRun, failed: any): AnyEffect => {
  const body = Effect.suspend(() => (tier.rehearse ?? tier.run)(failed))
  return Effect.exit(tier.limit === undefined ? body : tier.limit(body))
}

const problemOf = (cause: Cause.Cause<unknown>, limit: string): RehearsalFinding["problem"] => {
  const error: any = Option.getOrUndefined(Cause.failureOption(cause))
  return Cause.isDie(cause) ? "threw" : error?._tag === "TimedOut" && error.policy === limit ? "tooSlow" : "failed"
}

const runAll = (
  engines: ReadonlyArray<Engine>,
  failures: ReadonlyArray<unknown> | undefined,
  input: unknown,
  listeners: HashSet.HashSet<ResilienceEvent.Listener>
): Effect.Effect<Rehearsal, RehearsalFailed, any> =>
  Effect.gen(function*() {
    const findings: Array<RehearsalFinding> = []
    let tiers = 0
    let answers = 0
    for (const engine of engines) {
      const before = findings.length
      const reached = new Set<TierRun>()
      for (const failure of failures ?? madeUp(engine)) {
        const exit = Cause.isCause(failure) ? Exit.failCause(failure) : Exit.fail(failure)
        const outcome: Outcome.Outcome = engine.classified(exit)
        const failed = failedOf(exit, outcome, input, true)
        for (const tier of engine.tiers) {
          if (!engine.acts(tier, outcome, exit)) {
            continue
          }
          reached.add(tier)
          const ended: Exit.Exit<unknown, unknown> = yield* run(tier, failed)
          if (ended._tag === "Success") {
            answers++
          } else {
            findings.push({
              fallback: engine.name,
              tier: tier.name,
              problem: problemOf(ended.cause, limitName(engine.name, tier.name)),
              failure: failed.reason,
              cause: ended.cause
            })
          }
          if (tier.constant) {
            break
          }
        }
      }
      tiers += engine.tiers.length
      for (const tier of engine.tiers) {
        if (!reached.has(tier)) {
          findings.push({
            fallback: engine.name,
            tier: tier.name,
            problem: "notReached",
            failure: undefined,
            cause: undefined
          })
        }
      }
      const fiber = currentFiber()
      announce(fiber, () => ({
        _tag: "FallbackRehearsed",
        at: nowOf(fiber),
        call: undefined,
        fallback: engine.name,
        tiers: engine.tiers.length,
        problems: findings.length - before
      }), listeners)
    }
    return findings.length > 0
      ? yield* new RehearsalFailed({ findings })
      : { fallbacks: engines.length, tiers, answers }
  })

/**
 * What to rehearse with.
 *
 * @since 0.1.0
 * @category models
 */
export interface RehearseOptions {
  /**
   * Errors or causes. Default: one error for each class that a fallback acts on, and one for each tag and class that
   * a tier names.
   */
  readonly failures?: ReadonlyArray<unknown> | undefined
  /** What the tiers are told as the input of the call. */
  readonly input?: unknown
}

/**
 * Runs every tier against made-up failures, in CI or at the start of the process, and fails with the tiers that threw,
 * failed, were too slow or were not reached. Nothing is deferred, listeners hear of no tier but once of each fallback
 * (`FallbackRehearsed`), and an empty cache is no fault.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const fallback = Fallback.tiers(Fallback.value([]), Fallback.value(0, { name: "never reached" }))
 *
 * Effect.runPromise(Effect.flip(Fallback.rehearse([fallback]))).then((failed) => console.log(failed.message))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const rehearse = <R>(
  fallbacks: ReadonlyArray<Described<never, unknown, R, unknown>>,
  options: RehearseOptions = {}
): Effect.Effect<Rehearsal, RehearsalFailed, R> => {
  const check = new Validation("Fallback.rehearse")
  if (!Array.isArray(fallbacks)) {
    check.add("fallbacks", fallbacks, "a list of fallbacks, such as [recommendations]")
  }
  check.record(options, ["failures", "input"])
  if (options?.failures !== undefined && !(Array.isArray(options.failures) && options.failures.length > 0)) {
    check.add("failures", options.failures, "a list of one or more errors or causes")
  }
  check.done()
  const engines = fallbacks.map((fallback) => engineOf(fallback, "Fallback.rehearse"))
  return Effect.flatMap(FiberRef.get(ResilienceEvent.listeners), (listeners) =>
    Effect.locally(
      runAll(engines, options?.failures, options?.input, listeners),
      ResilienceEvent.listeners,
      ResilienceEvent.noListeners
    ))
}
