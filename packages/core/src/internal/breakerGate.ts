/**
 * The gate of a circuit breaker: asks its machine, tells it the ends of calls, and tells listeners what changed.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Types from "effect/Types"
import { CircuitBreakerMachine, type Config, isProbe, type State } from "../CircuitBreakerMachine.js"
import * as Failure from "../Failure.js"
import * as Outcome from "../Outcome.js"
import type * as ResilienceEvent from "../ResilienceEvent.js"
import type { Gate, Passage, Step } from "./gate.js"
import { Hub } from "./hub.js"
import { callFields } from "./log.js"

/**
 * One change of state.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transition {
  readonly from: State
  readonly to: State
}

/** What is told in place of a tag. */
const untagged = "an error without a tag"

/** More tags than this are no vocabulary but data. */
const mostWarnings = 100

/** What a call ends with that is not let through: the gate knows why, the policy builds its error. */
type Refuse = (fields: {
  readonly policy: string
  readonly dependency: string | undefined
  readonly reason: "open" | "probing" | "isolated"
  readonly retryAfter: Duration.Duration | undefined
}) => Exit.Exit<never, unknown>

/** @internal */
export class BreakerGate implements Gate {
  readonly _tag = "Gate"
  readonly step: Types.Mutable<Step>
  readonly machine: CircuitBreakerMachine
  readonly hub = new Hub<Transition>()
  private readonly refuse: Refuse
  readonly classify: Failure.Classify
  /** `undefined`: as the outcome table says. */
  private readonly fails: ((outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>) => boolean) | undefined
  private readonly judgesCallers: boolean
  private dryRun: boolean
  /** The tags that were warned of. Most breakers warn of none, and there may be one for each of many keys. */
  private warned: Set<string> | undefined = undefined
  /**
   * The frame whose random source is drawn from; set for every call of the machine, so that no closure is built per call, and no longer: a
   * policy may outlive its last call by far.
   */
  private present: Passage | undefined = undefined
  /** The number of the overdue probe for whose answer the event loop was asked to look, and whether it has done so. */
  private askedFor = 0
  private heard = true
  private readonly draw = (): number => this.present!.draw()

  constructor(
    options: {
      readonly name: string
      readonly dependency?: string | undefined
      readonly when?: Failure.When | undefined
      readonly classify?: Failure.Classify | undefined
    },
    config: Config,
    described: Record<string, unknown>,
    now: number,
    refuse: Refuse
  ) {
    this.refuse = refuse
    this.machine = new CircuitBreakerMachine(config, now)
    this.classify = options.classify ?? Failure.classify
    this.fails = options.when === undefined ? undefined : Failure.compileWhen(options.when, "act")
    this.judgesCallers = typeof options.when === "function"
    this.dryRun = config.dryRun
    this.step = {
      kind: "CircuitBreaker",
      policy: options.name,
      dependency: options.dependency ?? options.name,
      settings: described
    }
  }

  reconfigure(config: Config, described: Record<string, unknown>, now: number): void {
    this.machine.reconfigure(config, now)
    this.dryRun = config.dryRun
    this.step.settings = described
  }

  enter(frame: Passage, slot: number): undefined | Exit.Exit<never, unknown> {
    const machine = this.machine
    const before = machine.state
    this.present = frame
    const ticket = machine.enter(frame.now, this.draw, before._tag !== "HalfOpen" || this.reclaims(frame))
    this.present = undefined
    if (machine.state !== before) {
      this.changed(before, frame)
    }
    if (ticket === 0) {
      return this.reject(frame)
    }
    frame.slots[slot] = ticket
    if (isProbe(ticket)) {
      // A dry run changes nothing for the caller, the number of its attempts included.
      if (!this.dryRun) {
        frame.admittedAsProbe()
      }
    } else if (this.dryRun && machine.state._tag !== "Closed" && machine.state._tag !== "Disabled") {
      this.tellRejection(frame, true)
    }
    return undefined
  }

  /**
   * May a probe that has had its time be given up? Its answer may be in a socket of an event loop that was blocked, so the first call that
   * finds it overdue lets the loop look there, and is rejected if that takes a turn.
   */
  private reclaims(frame: Passage): boolean {
    const probe = this.machine.overdueProbe(frame.now)
    if (probe !== undefined && probe !== this.askedFor) {
      this.askedFor = probe
      this.heard = false
      frame.alarms.afterInput(() => {
        this.heard ||= this.askedFor === probe
      })
    }
    return this.heard
  }

  leave(frame: Passage, slot: number): void {
    const machine = this.machine
    const ticket = frame.slots[slot] as number
    const before = machine.state
    const outcome = frame.record(slot, this.classify)
    let verdict = Outcome.rowOf(outcome).circuitBreaker
    // Whether a value is a failure is for the classifier to say, and an interruption says nothing, however wide a `when` is.
    // A list of classes and tags is about the dependency: what is the caller's own fault is for a predicate alone.
    if (
      this.fails !== undefined && outcome.class !== "Success" && outcome.class !== "Interrupted" &&
      (outcome.fault === undefined || this.judgesCallers)
    ) {
      // The ticket is given back whatever a predicate of the user's does.
      try {
        verdict = this.fails(outcome, frame.exit) ? "failure" : verdict === "failure" ? "ignored" : verdict
      } catch (defect) {
        frame.fault(this.step.policy, defect)
      }
    }
    const duration = frame.now - frame.admitted
    const asked = outcome.retryAfter === undefined ? undefined : Duration.toMillis(outcome.retryAfter)
    this.present = frame
    const counted = machine.record(ticket, verdict, duration, frame.now, this.draw, asked)
    this.present = undefined
    if (!counted && frame.callState.observed) {
      frame.tell({ _tag: "LateResult", at: frame.now, call: frame.describe(), breaker: this.step.policy, outcome })
    }
    if (machine.state !== before) {
      this.changed(before, frame)
    }
    if (outcome.class === "Unclassified" && !frame.isCut()) {
      this.warn(frame)
    }
  }

  private reject(frame: Passage): Exit.Exit<never, unknown> {
    const { reason, retryAfter } = this.tellRejection(frame, false)
    return this.refuse({
      policy: this.step.policy,
      dependency: this.step.dependency,
      reason,
      retryAfter
    })
  }

  private tellRejection(frame: Passage, dryRun: boolean) {
    const { reason, retryAfterMillis } = this.machine.rejection(frame.now)
    const retryAfter = retryAfterMillis === undefined ? undefined : Duration.millis(retryAfterMillis)
    if (frame.callState.observed) {
      frame.tell({
        _tag: "CircuitRejected",
        at: frame.now,
        call: frame.describe(),
        breaker: this.step.policy,
        reason,
        retryAfter,
        dryRun
      })
    }
    return { reason, retryAfter }
  }

  private changed(from: State, frame: Passage): void {
    const to = this.machine.state
    this.hub.publish({ from, to })
    if (frame.callState.observed) {
      frame.tell(this.event(to, frame.now, frame))
    }
  }

  event(state: State, at: number, frame: Passage | undefined): ResilienceEvent.CircuitChanged {
    const { calls, failures } = this.machine.snapshot(at)
    return {
      _tag: eventOf[state._tag],
      at,
      call: frame?.describe(),
      breaker: this.step.policy,
      dependency: this.step.dependency,
      generation: state.generation,
      failures,
      calls,
      trip: state._tag === "Open" ? this.machine.trip : undefined,
      failedProbes: "failedProbes" in state ? state.failedProbes : 0,
      openDuration: state._tag === "Open" ? Duration.millis(state.openMillis) : undefined,
      lastCause: state._tag === "Open" && frame?.exit._tag === "Failure" ? frame.exit.cause : undefined
    }
  }

  /** An error that nobody classified counts against the dependency and is never retried: say so once. */
  private warn(frame: Passage): void {
    if (frame.exit._tag === "Success") {
      return
    }
    const failure = Cause.failureOption(frame.exit.cause)
    const tag = Option.isSome(failure) ? String((failure.value as any)?._tag ?? untagged) : "a defect"
    const warned = (this.warned ??= new Set())
    if (warned.has(tag) || warned.size >= mostWarnings) {
      return
    }
    warned.add(tag)
    const call = frame.describe()
    frame.tell({ _tag: "UnclassifiedFailure", at: frame.now, call, tag })
    const line = Effect.logWarning(
      tag === "a defect"
        ? `${this.step.policy} ended with a defect: it counts against the dependency and is not retried`
        : `${this.step.policy} failed with ${tag}, of which nobody said what it means: it counts against the dependency and is ` +
          `not retried. Say it with ${
            tag === untagged
              ? "a classifier of your own, the option classify"
              : `Failure.byTag({ ${JSON.stringify(tag)}: "Retryable" | "Overloaded" | "Permanent" })`
          }`
    )
    frame.afterwards(Effect.annotateLogs(line, callFields(call)))
  }
}

const eventOf = {
  Closed: "CircuitClosed",
  Open: "CircuitOpened",
  HalfOpen: "CircuitHalfOpened",
  Isolated: "CircuitIsolated",
  Disabled: "CircuitDisabled"
} as const
