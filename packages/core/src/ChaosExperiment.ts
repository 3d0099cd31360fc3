/**
 * An experiment in five steps: a hypothesis, a steady state without which nothing is injected, a fault, an observation that ends when
 * too much breaks, and a verdict. The fault is always taken out again.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Chaos from "./Chaos.js"
import { type Check, type Finding, findingsOf, type Observation } from "./ChaosCheck.js"
import * as Fault from "./Fault.js"
import { textOf } from "./internal/experimentText.js"
import { Validation } from "./Options.js"
import * as ResilienceEvent from "./ResilienceEvent.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<A, E> {
  readonly name: string
  /** A sentence that can turn out to be wrong: "If search is down, the page still loads in under 2 seconds". */
  readonly hypothesis: string
  /** What is done to the system. Start with a dependency that is not critical. */
  readonly faults: Fault.Fault | ReadonlyArray<Fault.Fault>
  /** What is true of a healthy system. Unless all of it holds, nothing is injected; afterwards it must come back. */
  readonly steadyState: ReadonlyArray<Check<A, E>>
  /** What the hypothesis says of the system under the fault, as checks. */
  readonly expect: ReadonlyArray<Check<A, E>>
  /** The first of these that becomes true ends the observation and takes the fault out. Looked at after every probe. */
  readonly abortWhen?: ReadonlyArray<Check<A, E>> | undefined
  /** Probes in each phase. Default 20. */
  readonly probes?: number | undefined
  /** From one probe to the next. Default 1 second. */
  readonly every?: Duration.DurationInput | undefined
  /** The fault is taken out after this time, whatever the probes do. Default 5 minutes. */
  readonly longest?: Duration.DurationInput | undefined
  /** How long the steady state may take to come back: an open circuit needs its time. Default 1 minute. */
  readonly recoverWithin?: Duration.DurationInput | undefined
}

/**
 * An experiment, ready to run. The faults are injected by the `Chaos` layer around it, into every call that runs with that layer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Experiment<out R = never> {
  readonly name: string
  readonly hypothesis: string
  readonly faults: ReadonlyArray<Fault.Fault>
  readonly run: Effect.Effect<Verdict, never, R | Chaos.Chaos>
}

/**
 * What came out.
 *
 * - `held`: the expectations were met, and the steady state came back.
 * - `refuted`: an expectation was not met, or the steady state did not come back.
 * - `aborted`: too much broke; the fault was taken out before the end.
 * - `unhealthy`: the steady state did not hold before; nothing was injected.
 * - `inconclusive`: the fault hit nothing, so nothing was shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verdict {
  readonly result: "held" | "refuted" | "aborted" | "unhealthy" | "inconclusive"
  /** The reason of the result, as a sentence. */
  readonly because: string
  readonly name: string
  readonly hypothesis: string
  /** In words. */
  readonly faults: ReadonlyArray<string>
  readonly steadyState: ReadonlyArray<Finding>
  readonly expectations: ReadonlyArray<Finding>
  /** How often the faults hit. */
  readonly hits: number
  /** Probes made under the fault. */
  readonly probes: number
  /** How long the steady state took to come back; `undefined` if it did not, or had no need to. */
  readonly recoveredAfter: Duration.Duration | undefined
  /** All of it for a reader. */
  readonly text: string
}

/**
 * A hypothesis that did not hold, for whoever wants a failure: a job of the build, a schedule.
 *
 * @example
 * import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
 * import * as Effect from "effect/Effect"
 *
 * declare const experiment: ChaosExperiment.Experiment
 *
 * export const nightly = ChaosExperiment.runOrFail(experiment).pipe(
 *   Effect.catchTag("HypothesisNotHeld", (error) => Effect.logError(error.message))
 * )
 *
 * @since 0.1.0
 * @category errors
 */
export class HypothesisNotHeld extends Data.TaggedError("HypothesisNotHeld")<{ readonly verdict: Verdict }> {
  override get message(): string {
    return this.verdict.text
  }
}

interface Numbers {
  readonly probes: number
  readonly everyMillis: number
  readonly longestMillis: number
  readonly recoverMillis: number
}

const read = <A, E>(probe: unknown, options: Options<A, E>): Numbers => {
  const checking = new Validation("ChaosExperiment.make")
  checking.record(options, [
    "name",
    "hypothesis",
    "faults",
    "steadyState",
    "expect",
    "abortWhen",
    "probes",
    "every",
    "longest",
    "recoverWithin"
  ])
  checking.text("name", options.name)
  checking.text("hypothesis", options.hypothesis)
  const faults: ReadonlyArray<unknown> = Array.isArray(options.faults) ? options.faults : [options.faults]
  if (faults.length === 0 || !faults.every(Fault.isFault)) {
    checking.add("faults", options.faults, "a fault, such as Fault.failure(), or a list of them that is not empty")
  }
  if (!Effect.isEffect(probe)) {
    checking.add("probe", probe, "an effect")
  }
  for (const field of ["steadyState", "expect"] as const) {
    const checks: unknown = options[field]
    if (!Array.isArray(checks) || checks.length === 0 || !checks.every((one) => typeof one?.look === "function")) {
      checking.add(field, checks, "a list of checks that is not empty, such as ChaosExperiment.every(...)")
    }
  }
  const { every = "1 second", longest = "5 minutes", probes = 20, recoverWithin = "1 minute" } = options
  checking.whole("probes", probes, 1)
  const numbers = {
    probes,
    everyMillis: checking.duration("every", every, 0),
    longestMillis: checking.duration("longest", longest),
    recoverMillis: checking.duration("recoverWithin", recoverWithin, 0)
  }
  if (checking.findings.length === 0 && numbers.longestMillis <= probes * numbers.everyMillis) {
    checking.add("longest", longest, `longer than ${probes} probes take, one every ${Duration.format(every)}`)
  }
  checking.done()
  return numbers
}

const allHeld = (findings: ReadonlyArray<Finding>): boolean => findings.every(({ held }) => held)

/**
 * Probes one after the other, until somebody has seen enough or the time is over; answers with what was seen, and whether it took too
 * long.
 */
const observe = <A, E, R>(
  probe: Effect.Effect<A, E, R>,
  { everyMillis, longestMillis }: Numbers,
  enough: (observations: ReadonlyArray<Observation<A, E>>) => boolean
): Effect.Effect<{ readonly observations: ReadonlyArray<Observation<A, E>>; readonly tooLong: boolean }, never, R> =>
  Effect.suspend(() => {
    const observations: Array<Observation<A, E>> = []
    const look = (began: number) =>
      Effect.gen(function*() {
        const counts = new Map<string, number>()
        const listen = ResilienceEvent.listen(({ _tag }) => counts.set(_tag, (counts.get(_tag) ?? 0) + 1))
        const started = yield* Clock.currentTimeMillis
        const exit = yield* Effect.exit(listen(probe))
        const ended = yield* Clock.currentTimeMillis
        observations.push({
          at: Duration.millis(started - began),
          took: Duration.millis(Math.max(0, ended - started)),
          exit,
          heard: (tag) => counts.get(tag) ?? 0
        })
        const stop = enough(observations)
        if (!stop) {
          yield* Effect.sleep(Math.max(0, started + everyMillis - ended))
        }
        return stop
      })
    const looking = Effect.flatMap(
      Clock.currentTimeMillis,
      (began) => Effect.repeat(look(began), { until: (stop) => stop })
    )
    return Effect.map(endedBy(looking, longestMillis), (tooLong) => ({ observations, tooLong }))
  })

/** Runs the effect, but no longer than this; answers whether it was too long. Not by a policy, whose events would be seen by the probes. */
const endedBy = <R>(effect: Effect.Effect<unknown, never, R>, millis: number): Effect.Effect<boolean, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      let late = false
      const working = yield* Effect.fork(Effect.interruptible(effect))
      const end = Effect.suspend(() => {
        late = true
        return Fiber.interruptFork(working)
      })
      const alarm = yield* Effect.fork(Effect.interruptible(Effect.zipRight(Effect.sleep(millis), end)))
      const exit = yield* Effect.onInterrupt(
        restore(Fiber.await(working)),
        () => Fiber.interruptAll([alarm, working])
      )
      yield* Fiber.interrupt(alarm)
      return late || (yield* Effect.as(exit, false))
    })
  )

/** Probes until the last of them are as they should be; tells when the first of these was made. */
const recover = <A, E, R>(probe: Effect.Effect<A, E, R>, { steadyState }: Options<A, E>, numbers: Numbers) => {
  const { probes, recoverMillis } = numbers
  const last = (observations: ReadonlyArray<Observation<A, E>>) => observations.slice(-probes)
  const isBack = (observations: ReadonlyArray<Observation<A, E>>): boolean =>
    observations.length >= probes && allHeld(findingsOf(steadyState, last(observations)))
  const isHopeless = (observations: ReadonlyArray<Observation<A, E>>): boolean =>
    observations.length > probes && Duration.toMillis(last(observations)[0]!.at) > recoverMillis
  return Effect.map(
    observe(probe, numbers, (observations) => isBack(observations) || isHopeless(observations)),
    ({ observations }) => isBack(observations) ? last(observations)[0]!.at : undefined
  )
}

const concluded = (verdict: Omit<Verdict, "text">): Verdict => ({ ...verdict, text: textOf(verdict) })

const broken = (findings: ReadonlyArray<Finding>): string =>
  findings.filter(({ held }) => !held).map(({ saw, says }) => `"${says}" (${saw})`).join(", ")

const runOf = <A, E, R>(
  probe: Effect.Effect<A, E, R>,
  options: Options<A, E>,
  faults: ReadonlyArray<Fault.Fault>,
  numbers: Numbers
): Effect.Effect<Verdict, never, R | Chaos.Chaos> =>
  Effect.gen(function*() {
    const { abortWhen = [], expect, hypothesis, name, steadyState } = options
    const start = {
      name,
      hypothesis,
      faults: faults.map(Fault.describe),
      expectations: [],
      hits: 0,
      probes: 0,
      recoveredAfter: undefined
    }
    const before = yield* observe(probe, numbers, ({ length }) => length >= numbers.probes)
    const steady = { ...start, steadyState: findingsOf(steadyState, before.observations) }
    if (before.tooLong || !allHeld(steady.steadyState)) {
      const because = before.tooLong
        ? "The probes took too long before anything was injected."
        : `The system is not healthy as it is: ${broken(steady.steadyState)}. Nothing was injected.`
      return concluded({ ...steady, result: "unhealthy", because })
    }
    let abortedBy: Finding | undefined
    const under = yield* Effect.scoped(Effect.gen(function*() {
      const injection = yield* Chaos.inject(faults)
      const seen = yield* observe(probe, numbers, (observations) => {
        abortedBy = findingsOf(abortWhen, observations).find(({ held }) => held)
        return abortedBy !== undefined || observations.length >= numbers.probes
      })
      return { ...seen, hits: yield* injection.hits }
    })).pipe(Effect.option)
    if (Option.isNone(under)) {
      return concluded({ ...steady, result: "inconclusive", because: "Chaos is switched off: nothing was injected." })
    }
    const { hits, observations, tooLong } = under.value
    const seen = { ...steady, hits, probes: observations.length, expectations: findingsOf(expect, observations) }
    const recoveredAfter = yield* recover(probe, options, numbers)
    const after = { ...seen, recoveredAfter }
    if (abortedBy !== undefined || tooLong) {
      const because = abortedBy === undefined ? "it took too long" : `${abortedBy.says} (${abortedBy.saw})`
      return concluded({ ...after, result: "aborted", because: `The fault was taken out early: ${because}.` })
    }
    if (hits === 0) {
      const because = "The fault hit nothing: does the dependency have a place for faults, and does the probe call it?"
      return concluded({ ...after, result: "inconclusive", because })
    }
    if (!allHeld(seen.expectations)) {
      return concluded({ ...after, result: "refuted", because: `It did not hold: ${broken(seen.expectations)}.` })
    }
    if (recoveredAfter === undefined) {
      const because = `The steady state did not come back within ${
        Duration.format(Duration.millis(numbers.recoverMillis))
      }.`
      return concluded({ ...after, result: "refuted", because })
    }
    return concluded({
      ...after,
      result: "held",
      because: "All that was expected held, and the steady state came back."
    })
  })

/**
 * Makes an experiment. The probe is one look at the system as a user has it: what it measures, and how it fails. Probes are made one
 * after the other. Wrong options are a defect `InvalidOptions`.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as ChaosCheck from "@holdfast/core/ChaosCheck"
 * import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
 * import * as Fault from "@holdfast/core/Fault"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
 *
 * const search = Chaos.make({ dependency: "search" })
 * const page = Effect.succeed("results").pipe(search, Effect.orElseSucceed(() => "categories to browse"))
 *
 * const experiment = ChaosExperiment.make(page, {
 *   name: "search is down",
 *   hypothesis: "If search is down, the page loads all the same, with categories to browse.",
 *   faults: Fault.failure({ dependency: "search" }),
 *   steadyState: [ChaosCheck.every("every page has results", ({ exit }) => Exit.isSuccess(exit) && exit.value === "results")],
 *   expect: [
 *     ChaosCheck.every("every page loads", ({ exit }) => Exit.isSuccess(exit)),
 *     ChaosCheck.within("every page loads within 2 seconds", "2 seconds")
 *   ],
 *   abortWhen: [ChaosCheck.moreThan("more than 3 pages are blank", 3, ({ exit }) => Exit.isFailure(exit))],
 *   probes: 5,
 *   every: "10 millis"
 * })
 *
 * Effect.runPromise(experiment.run.pipe(Effect.provide(Chaos.layer({ seed: 1 })))).then((verdict) => console.log(verdict.text))
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E, R>(
  probe: Effect.Effect<A, E, R>,
  options: Options<NoInfer<A>, NoInfer<E>>
): Experiment<R> => {
  const numbers = read(probe, options)
  const faults = Fault.isFault(options.faults) ? [options.faults] : options.faults
  return { name: options.name, hypothesis: options.hypothesis, faults, run: runOf(probe, options, faults, numbers) }
}

/**
 * Runs an experiment, and fails unless its hypothesis held.
 *
 * @example
 * import type * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
 * import { runOrFail } from "@holdfast/core/ChaosExperiment"
 *
 * declare const searchIsDown: ChaosExperiment.Experiment
 *
 * export const build = () => runOrFail(searchIsDown) // Effect<Verdict, HypothesisNotHeld, Chaos>
 *
 * @since 0.1.0
 * @category operations
 */
export const runOrFail = <R>(experiment: Experiment<R>): Effect.Effect<Verdict, HypothesisNotHeld, R | Chaos.Chaos> =>
  Effect.flatMap(
    experiment.run,
    (verdict) => verdict.result === "held" ? Effect.succeed(verdict) : new HypothesisNotHeld({ verdict })
  )
