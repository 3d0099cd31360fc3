/**
 * Statements about what an experiment saw: of every probe, of most of them, of how long they took, of what the policies told.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import { Validation } from "./Options.js"
import type * as ResilienceEvent from "./ResilienceEvent.js"

/**
 * One look at the system.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observation<out A, out E> {
  /** Since the phase began. */
  readonly at: Duration.Duration
  readonly took: Duration.Duration
  readonly exit: Exit.Exit<A, E>
  /** How many events of a kind the policies told during this probe. */
  readonly heard: (tag: ResilienceEvent.ResilienceEvent["_tag"]) => number
}

/**
 * What was seen in a phase so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen<out A, out E> {
  readonly observations: ReadonlyArray<Observation<A, E>>
  /** How many events of a kind the policies told during all probes: openings of a circuit, answers of a fallback. */
  readonly heard: (tag: ResilienceEvent.ResilienceEvent["_tag"]) => number
}

/**
 * A statement about what was seen, which holds or not, and what was seen of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Check<in A, in E> {
  readonly says: string
  readonly look: (seen: Seen<A, E>) => { readonly held: boolean; readonly saw: string }
}

/**
 * A check and how it came out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  readonly says: string
  readonly held: boolean
  readonly saw: string
}

const counted = <A, E>({ observations }: Seen<A, E>, holds: (observation: Observation<A, E>) => boolean) => {
  const count = observations.filter(holds).length
  return { count, saw: `${count} of ${observations.length}` }
}

const checkNumber = (owner: string, field: string, value: unknown, maximum: number): void => {
  const validation = new Validation(`ChaosCheck.${owner}`)
  validation.number(field, value, 0, maximum)
  validation.done()
}

/**
 * A check of your own over everything that was seen.
 *
 * @example
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 *
 * const opened = ChaosCheck.check("the circuit opened once", (seen) => seen.heard("CircuitOpened") === 1)
 *
 * console.log(opened.says)
 *
 * @since 0.1.0
 * @category constructors
 */
export const check = <A = unknown, E = unknown>(
  says: string,
  holds: (seen: Seen<A, E>) => boolean
): Check<A, E> => ({
  says,
  look: (seen) => {
    const held = holds(seen)
    return { held, saw: held ? "yes" : "no" }
  }
})

/**
 * Something is true of every probe.
 *
 * @example
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 * import * as Exit from "effect/Exit"
 *
 * const loads = ChaosCheck.every("every page loads", ({ exit }) => Exit.isSuccess(exit))
 *
 * console.log(loads.says)
 *
 * @since 0.1.0
 * @category constructors
 */
export const every = <A = unknown, E = unknown>(
  says: string,
  holds: (observation: Observation<A, E>) => boolean
): Check<A, E> => most(says, 1, holds)

/**
 * Something is true of a share of the probes, or of more.
 *
 * @example
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 * import * as Exit from "effect/Exit"
 *
 * const answered = ChaosCheck.most("95 % of the orders are answered", 0.95, ({ exit }) => Exit.isSuccess(exit))
 *
 * console.log(answered.says)
 *
 * @since 0.1.0
 * @category constructors
 */
export const most = <A = unknown, E = unknown>(
  says: string,
  share: number,
  holds: (observation: Observation<A, E>) => boolean
): Check<A, E> => {
  checkNumber("most", "share", share, 1)
  return {
    says,
    look: (seen) => {
      const { count, saw } = counted(seen, holds)
      return { held: count >= share * seen.observations.length, saw }
    }
  }
}

/**
 * Something is true of more than so many probes: the usual reason to abort.
 *
 * @example
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 * import * as Exit from "effect/Exit"
 *
 * const broken = ChaosCheck.moreThan("more than 3 pages are blank", 3, ({ exit }) => Exit.isFailure(exit))
 *
 * console.log(broken.says)
 *
 * @since 0.1.0
 * @category constructors
 */
export const moreThan = <A = unknown, E = unknown>(
  says: string,
  limit: number,
  holds: (observation: Observation<A, E>) => boolean
): Check<A, E> => {
  checkNumber("moreThan", "limit", limit, Infinity)
  return {
    says,
    look: (seen) => {
      const { count, saw } = counted(seen, holds)
      return { held: count > limit, saw }
    }
  }
}

/**
 * A share of the probes, by default all, took no longer than a limit, however they ended.
 *
 * @example
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 *
 * const quick = ChaosCheck.within("99 % of the pages load in 2 seconds", "2 seconds", 0.99)
 *
 * console.log(quick.says)
 *
 * @since 0.1.0
 * @category constructors
 */
export const within = (says: string, limit: Duration.DurationInput, share = 1): Check<unknown, unknown> => {
  const check = new Validation("ChaosCheck.within")
  const millis = check.duration("limit", limit, 0)
  check.number("share", share, 0, 1)
  check.done()
  return {
    says,
    look: ({ observations }) => {
      const took = observations.map((one) => Duration.toMillis(one.took)).sort((left, right) => left - right)
      const slowest = took[Math.max(0, Math.ceil(share * took.length) - 1)] ?? 0
      const saw = Duration.format(Duration.millis(Math.round(slowest)))
      return {
        held: slowest <= millis,
        saw: share === 1 ? `the slowest took ${saw}` : `${share * 100} % took ${saw} or less`
      }
    }
  }
}

/** @internal */
export const seenOf = <A, E>(observations: ReadonlyArray<Observation<A, E>>): Seen<A, E> => ({
  observations,
  heard: (tag) => observations.reduce((total, observation) => total + observation.heard(tag), 0)
})

/**
 * How the checks come out. One that throws did not hold.
 *
 * @internal
 */
export const findingsOf = <A, E>(
  checks: ReadonlyArray<Check<A, E>>,
  observations: ReadonlyArray<Observation<A, E>>
): ReadonlyArray<Finding> =>
  checks.map(({ look, says }) => {
    try {
      return { says, ...look(seenOf(observations)) }
    } catch (defect) {
      return { says, held: false, saw: `the check threw: ${defect}` }
    }
  })
