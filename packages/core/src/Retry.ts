/**
 * Tries again what another try may cure: `Retryable` and `Overloaded` ends, with a backoff, within a budget and the deadline.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Backoff from "./Backoff.js"
import * as Failure from "./Failure.js"
import { classifier } from "./internal/callState.js"
import { isRepeatable } from "./internal/declaredFacts.js"
import { endStands, type Passage, type Repeater } from "./internal/gate.js"
import { Repetition } from "./internal/repetition.js"
import type { AnyEffect } from "./internal/runtime.js"
import { Validation } from "./Options.js"
import * as Outcome from "./Outcome.js"
import type { RetryGivenUp } from "./ResilienceEvent.js"
import * as RetryBudget from "./RetryBudget.js"
import * as Step from "./Step.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** Attempts after the first. 0 is honoured: no retry. Default 2. */
  readonly maxRetries?: number | undefined
  /** The delays: a `Backoff`, or any schedule of the failures; `maxRetries` cuts it. Default `Backoff.exponential("200 millis", { cap: "5 seconds" })`, full jitter. */
  readonly schedule?: Schedule.Schedule<unknown, any, R> | undefined
  /** Shared by all calls to a dependency, it keeps retries from multiplying an outage. Default none. */
  readonly budget?: RetryBudget.RetryBudget | undefined
  /** A dependency that asks for a longer wait is not waited for: the call fails with the answer it has. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.DurationInput | undefined
  /** Which ends are tried again. Default: as the outcome table says, `Retryable` and `Overloaded`. A list never acts on a defect. */
  readonly when?: Failure.When | undefined
  /** Default `Failure.classify`. */
  readonly classify?: Failure.Classify | undefined
  /**
   * Releases a successful value that is thrown away because the classifier calls it a failure. The last value is returned as it came. It is
   * begun for each such value, and counts within the limits of the call: a total timeout, or a caller that leaves, interrupts it where the
   * caller can be interrupted.
   */
  readonly discard?: ((value: any) => Effect.Effect<unknown, never, R>) | undefined
  /** Names this piece in events. Default `retry`. */
  readonly name?: string | undefined
  readonly dependency?: string | undefined
}

/**
 * The delays used when none are given.
 *
 * @example
 * import * as Retry from "@holdfast/core/Retry"
 *
 * console.log([0, 1, 2].map((retry) => Retry.defaultBackoff.largest(retry))) // [ 200, 400, 800 ]
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultBackoff: Backoff.Backoff = Backoff.exponential("200 millis", { cap: "5 seconds" })

const defaultMaxRetries = 2
const defaultMaxRetryAfter = Duration.minutes(5)

const asTheTableSays = (outcome: Outcome.Outcome): boolean => Outcome.rowOf(outcome).retry

class RetryRepeater implements Repeater {
  readonly _tag = "Repeater"
  readonly step: Step.Step
  readonly classify: Failure.Classify
  private readonly maxRetries: number
  private readonly maxRetryAfterMillis: number
  private readonly schedule: Schedule.Schedule<unknown, any, any>
  private readonly backoff: Backoff.Backoff | undefined
  /** Does chance have a say in the delays? */
  private readonly draws: boolean
  private readonly budget: RetryBudget.RetryBudget | undefined
  private readonly when: (outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>) => boolean
  private readonly discard: ((value: any) => AnyEffect) | undefined

  constructor(options: Options<any>) {
    this.maxRetries = options.maxRetries ?? defaultMaxRetries
    this.maxRetryAfterMillis = Duration.toMillis(options.maxRetryAfter ?? defaultMaxRetryAfter)
    this.schedule = options.schedule ?? defaultBackoff
    const backoff = Backoff.isBackoff(this.schedule) ? this.schedule : undefined
    this.backoff = backoff
    this.draws = backoff !== undefined && backoff.largest(0) > 0 &&
      (backoff.jitter !== "none" || backoff.kind === "decorrelated")
    this.budget = options.budget
    this.when = options.when === undefined ? asTheTableSays : Failure.compileWhen(options.when, "pass")
    this.classify = options.classify ?? Failure.classify
    this.discard = options.discard
    this.step = {
      kind: "Retry",
      policy: options.name ?? "retry",
      dependency: options.dependency,
      settings: { maxRetries: this.maxRetries, backoff, budget: this.budget?.settings }
    }
  }

  begin(frame: Passage): void {
    const root = frame.callState
    root.maxAttempts = this.maxRetries + 1
    root.attempts = 1
    this.budget?.deposit(frame.now)
  }

  ended(frame: Passage, exit: Exit.Exit<unknown, unknown>): AnyEffect | undefined {
    const classify = frame.facts.classify ?? this.classify
    // The usual end, of which nobody has to be asked what it says.
    if (exit._tag === "Success" && classify === Failure.classify && this.budget?.ended === undefined) {
      return undefined
    }
    const root = frame.callState
    // Our own limit cut the attempt: the call is over, and the attempt did not finish.
    if (frame.isCut() || root.cutFromOutside) {
      return undefined
    }
    let outcome: Outcome.Outcome | undefined
    let again: boolean
    try {
      outcome = Failure.answerOf(classify, exit)
      again = this.when(outcome, exit)
    } catch (defect) {
      // A classifier that throws has been reported already where the end of the attempt was told.
      if (outcome !== undefined || root.threw(classifier)) {
        frame.fault(this.step.policy, defect)
      }
      return undefined
    }
    if (outcome.class !== "Rejected" && outcome.class !== "Interrupted") {
      root.lastOutcome = outcome
    }
    if (outcome.class === "Success" || Outcome.rowOf(outcome).retry) {
      this.budget?.ended?.(outcome.class === "Success")
    }
    // Whether a value is a failure is for the classifier to say: a `when` that is too wide must not repeat what worked.
    if (!again || outcome.class === "Interrupted" || outcome.class === "Success") {
      return undefined
    }
    if (!isRepeatable(frame.facts) && !outcome.neverSent) {
      return this.giveUp(frame, "notRepeatable", outcome)
    }
    if (root.probe) {
      return this.giveUp(frame, "probe", outcome)
    }
    const repetition = (frame.repetition ??= new Repetition(frame)) as Repetition
    if (repetition.made > this.maxRetries) {
      return this.maxRetries === 0 ? undefined : this.giveUp(frame, "exhausted", outcome)
    }
    return this.backoff === undefined
      ? this.bySchedule(repetition, outcome, exit)
      : this.byBackoff(this.backoff, repetition, outcome, exit)
  }

  private byBackoff(
    backoff: Backoff.Backoff,
    repetition: Repetition,
    outcome: Outcome.Outcome,
    exit: Exit.Exit<unknown, unknown>
  ): AnyEffect | undefined {
    if (!this.draws) {
      return this.after(backoff.delay(repetition.made - 1, 0, 0), repetition, outcome, exit)
    }
    return Effect.flatMap(Random.next, (draw) => {
      repetition.previousDelay = backoff.delay(repetition.made - 1, repetition.previousDelay, draw)
      return this.after(repetition.previousDelay, repetition, outcome, exit) ?? endStands
    })
  }

  /** A schedule of the user's own is stepped by hand, so that the wait is ours: cut by the deadline, told to listeners. */
  private bySchedule(
    repetition: Repetition,
    outcome: Outcome.Outcome,
    exit: Exit.Exit<unknown, unknown>
  ): AnyEffect {
    const schedule = this.schedule
    const input = exit._tag === "Success" ? exit.value : squash(exit.cause)
    // Schedules read the calendar: `Schedule.cron` means the time of day, not that of the alarm queue.
    return Clock.clockWith((clock) => {
      const now = clock.unsafeCurrentTimeMillis()
      const state = repetition.made === 1 ? schedule.initial : repetition.scheduleState
      const step = repetition.passage.restore(Effect.suspend(() => schedule.step(now, input, state)))
      const release = this.release(repetition.passage, exit)
      // A step that dies, or that a limit cuts, ends the call, and the value goes with it.
      const released = release === undefined
        ? step
        : Effect.catchAllCause(step, (cause) => Effect.zipRight(release, Effect.failCause(cause)))
      return Effect.flatMap(released as ReturnType<typeof schedule.step>, ([next, , decision]) => {
        repetition.scheduleState = next
        const pause = ScheduleDecision.isDone(decision)
          ? this.giveUp(repetition.passage, "exhausted", outcome)
          : this.after(Math.max(0, ScheduleIntervals.start(decision.intervals) - now), repetition, outcome, exit)
        return pause ?? endStands
      })
    })
  }

  private after(
    backoff: number,
    repetition: Repetition,
    outcome: Outcome.Outcome,
    exit: Exit.Exit<unknown, unknown>
  ): AnyEffect | undefined {
    const frame = repetition.passage
    const asked = outcome.retryAfter === undefined ? 0 : Duration.toMillis(outcome.retryAfter)
    const delay = Math.max(backoff, asked)
    const now = frame.alarms.now()
    if (delay >= frame.deadline - now && frame.deadline < Infinity) {
      return this.giveUp(frame, "deadline", outcome)
    }
    if (asked > this.maxRetryAfterMillis || asked === Infinity) {
      return this.giveUp(frame, "retryAfter", outcome)
    }
    if (this.budget !== undefined && !this.budget.tryWithdraw(now)) {
      return this.giveUp(frame, "budget", outcome)
    }
    if (frame.callState.observed) {
      frame.tell({ _tag: "RetryScheduled", at: now, call: frame.describe(), delay: Duration.millis(delay), outcome })
    }
    const pause = delay > 0 ? repetition.sleep(delay, now) : repetition.atOnce
    const release = this.release(frame, exit)
    return release === undefined ? pause : Effect.zipRight(release, pause)
  }

  /** Releases the value that is thrown away, if it needs that. */
  private release(frame: Passage, exit: Exit.Exit<unknown, unknown>): AnyEffect | undefined {
    const discard = frame.facts.discard ?? this.discard
    return exit._tag === "Success" && discard !== undefined
      ? frame.begun(Effect.suspend(() => discard(exit.value)))
      : undefined
  }

  private giveUp(frame: Passage, reason: RetryGivenUp["reason"], outcome: Outcome.Outcome): undefined {
    if (frame.callState.observed) {
      frame.tell({ _tag: "RetryGivenUp", at: frame.alarms.now(), call: frame.describe(), reason, outcome })
    }
    return undefined
  }
}

const squash = (cause: Cause.Cause<unknown>): unknown => Option.getOrElse(Cause.failureOption(cause), () => cause)

/**
 * A policy that repeats what it protects while its failures may be cured by another try. It adds no error: when it gives up, the
 * last failure comes out as it was.
 *
 * A call that is not repeatable (`policy.with({ repeatable: false })`) is tried again only if its failure proves that nothing was
 * sent. `retryAfter` of an answer is the least delay. It gives up at once when the next delay is not shorter than what
 * is left of the deadline.
 *
 * @example
 * import * as Backoff from "@holdfast/core/Backoff"
 * import * as Failure from "@holdfast/core/Failure"
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Effect from "effect/Effect"
 *
 * class Busy extends Failure.Retryable("Busy")<{}> {}
 *
 * const call = Effect.fail(new Busy()).pipe(
 *   Retry.make({ maxRetries: 3, schedule: Backoff.exponential("100 millis", { cap: "2 seconds" }) })
 * )
 *
 * Effect.runPromiseExit(call)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(options: Options<R> = {}): Step.Policy<never, R> => {
  const check = new Validation("Retry.make")
  check.record(options, [
    "maxRetries",
    "schedule",
    "budget",
    "maxRetryAfter",
    "when",
    "classify",
    "discard",
    "name",
    "dependency"
  ])
  const { budget, classify, discard, maxRetries, name, schedule, when } = options ?? {}
  if (maxRetries !== undefined) {
    check.whole("maxRetries", maxRetries, 0, 1000)
  }
  if (schedule !== undefined && !Schedule.isSchedule(schedule)) {
    check.add("schedule", schedule, "a Schedule or a Backoff, such as Backoff.exponential(\"200 millis\")")
  }
  if (budget !== undefined && !RetryBudget.isRetryBudget(budget)) {
    check.add("budget", budget, "a RetryBudget")
  }
  if (options?.maxRetryAfter !== undefined) {
    check.duration("maxRetryAfter", options.maxRetryAfter, 0)
  }
  if (when !== undefined) {
    check.when("when", when)
  }
  if (classify !== undefined) {
    check.callable("classify", classify)
  }
  if (discard !== undefined) {
    check.callable("discard", discard)
  }
  if (name !== undefined) {
    check.text("name", name)
  }
  if (options.dependency !== undefined) {
    check.text("dependency", options.dependency)
  }
  check.done()
  return Step.policy<never, R>([new RetryRepeater(options)])
}

/**
 * For calls that somebody waits for: one retry.
 *
 * @example
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Effect.succeed("page").pipe(Retry.interactive))
 *
 * @since 0.1.0
 * @category constructors
 */
export const interactive: Step.Policy = make({ maxRetries: 1, name: "retry.interactive" })

/**
 * For background jobs, where nobody waits: five retries, from 1 second up to a minute.
 *
 * @example
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Effect.succeed("report").pipe(Retry.background))
 *
 * @since 0.1.0
 * @category constructors
 */
export const background: Step.Policy = make({
  maxRetries: 5,
  schedule: Backoff.exponential("1 second", { cap: "1 minute" }),
  name: "retry.background"
})
