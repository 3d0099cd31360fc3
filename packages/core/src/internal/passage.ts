/**
 * What one passage of a call keeps, and what it answers to the gates it passes.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Random from "effect/Random"
import * as Alarm from "../Alarm.js"
import type * as Call from "../Call.js"
import * as Deadline from "../Deadline.js"
import * as Failure from "../Failure.js"
import * as Outcome from "../Outcome.js"
import * as ResilienceEvent from "../ResilienceEvent.js"
import { CallState, classifier, listener } from "./callState.js"
import { defaultCriticality, isRepeatable } from "./declaredFacts.js"
import type { Passage, Region } from "./gate.js"
import { callFields } from "./log.js"
import { type AnyEffect, type AnyFiber, Matched } from "./runtime.js"
import { nothingThrown, tell } from "./tell.js"

/** The keys under which default services hold the clock and the random source. */
const clockKey = Clock.Clock.key
const randomKey = Random.Random.key

const noSlots: Array<unknown> = []

/** @internal */
export abstract class CallPassage extends Matched implements Passage {
  readonly region: Region
  readonly facts: Call.Facts
  readonly fiber: AnyFiber
  readonly parent: CallPassage | undefined
  readonly callState: CallState
  readonly alarms: Alarm.Alarms
  now: number
  admitted: number
  /** Milliseconds spent waiting at gates. */
  protected waited = 0
  exit: Exit.Exit<unknown, unknown> = Exit.void
  readonly attempt: number
  readonly slots: Array<unknown>
  repetition: unknown = undefined
  /** How often the protected effect had been started when this passage began. */
  private readonly sendsBefore: number
  /** A gate threw on the way in: the call was not made, whatever the defect looks like. */
  protected gateThrew = false
  /** All gates were passed. */
  protected began = false
  private outcomeMemo: Outcome.Outcome | undefined = undefined
  private memoOf: Failure.Classify | undefined = undefined
  /** What must run before the caller goes on. */
  protected epilogue: AnyEffect | undefined = undefined
  /** The gate whose alarm is set, -1 without one. */
  protected limitSlot = -1
  /** -1 until the alarm rang, then how late it did, in milliseconds. */
  rang = -1
  deadline: number
  /** A step of the user's own between this passage and the one around it has brought the deadline nearer. */
  private nearer = false
  /** The alarm was set nearer than the limit, by a deadline from outside. */
  inherited = false

  /** `direct`: entered in the same step as the passage around it, whose clock reading is still good. */
  constructor(region: Region, facts: Call.Facts, parent: CallPassage | undefined, direct: boolean, fiber: AnyFiber) {
    super()
    this.region = region
    this.facts = facts
    this.fiber = fiber
    this.parent = parent
    this.slots = region.gates.length === 0 ? noSlots : new Array(region.gates.length)
    if (direct) {
      this.alarms = parent!.alarms
      this.now = this.admitted = parent!.now
    } else {
      this.alarms = Alarm.of(fiber.currentDefaultServices.unsafeMap.get(clockKey))
      this.now = this.admitted = this.alarms.now()
    }
    if (parent === undefined) {
      this.deadline = Deadline.instantFor(fiber.getFiberRef(Deadline.current), this.alarms)
      this.callState = new CallState(fiber.getFiberRef(ResilienceEvent.listeners))
      this.attempt = 0
      this.sendsBefore = 0
    } else {
      this.deadline = parent.deadline
      if (!direct && this.alarms === parent.alarms) {
        const told = Deadline.instantFor(fiber.getFiberRef(Deadline.current), this.alarms)
        if (told < this.deadline) {
          this.deadline = told
          this.nearer = true
        }
      }
      this.callState = parent.callState
      this.attempt = parent.callState.attempts
      this.sendsBefore = parent.callState.sends
    }
  }

  abstract limit(slot: number, millis: number, total: boolean): boolean
  abstract restore(effect: AnyEffect): AnyEffect
  abstract begun(effect: AnyEffect): AnyEffect
  abstract wake(end: () => Exit.Exit<unknown, unknown>): void

  /** The passage around this one: in this policy, or in the one that keeps it by key. */
  private get around(): CallPassage | undefined {
    return this.parent ?? this.callState.outer as CallPassage | undefined
  }

  protected isAround(passage: unknown): boolean {
    for (let frame = passage as CallPassage | undefined; frame !== undefined; frame = frame.around) {
      if (frame === this) {
        return true
      }
    }
    return false
  }

  /** A limit of this policy around this region rings for what is inside as well. */
  protected isCovered(): boolean {
    const { around } = this
    return !this.nearer && around !== undefined && around.deadline <= this.deadline &&
      (around.limitSlot >= 0 || around.isCovered())
  }

  /** The outcome of the end as this classifier sees it. */
  outcome(classify: Failure.Classify): Outcome.Outcome {
    if (this.gateThrew) {
      return Outcome.rejected
    }
    const used = this.facts.classify ?? classify
    if (used === Failure.classify && this.exit._tag === "Success") {
      return Outcome.success
    }
    if (this.outcomeMemo === undefined || this.memoOf !== used) {
      this.outcomeMemo = this.classified(used)
      this.memoOf = used
    }
    return this.outcomeMemo
  }

  private classified(classify: Failure.Classify): Outcome.Outcome {
    const { exit } = this
    if (
      exit._tag === "Failure" && Cause.isInterruptedOnly(exit.cause) &&
      !Cause.isEmpty(this.fiber.getFiberRef(FiberRef.interruptedCause))
    ) {
      // The caller has left. A classifier that takes every failure for the dependency's must not count that.
      return Outcome.interrupted
    }
    try {
      return Failure.answerOf(classify, exit)
    } catch (defect) {
      if (this.callState.threw(classifier)) {
        this.fault("classify", defect)
      }
      return Outcome.unclassified
    }
  }

  /**
   * The frame whose own alarm ended what is inside the gate at `slot`: this region's limit if it lies outside the gate, or the
   * limit of a region around this one.
   */
  cutBy(slot: number): CallPassage | undefined {
    if (this.rang >= 0 && this.limitSlot < slot) {
      return this
    }
    for (let frame = this.around; frame !== undefined; frame = frame.around) {
      if (frame.rang >= 0) {
        return frame
      }
    }
    return undefined
  }

  /**
   * The outcome for a gate that keeps a record of the dependency. A limit of this very policy is not an interruption from outside: a
   * call that it ends counts as its last finished attempt, and as a failure if none finished; but an attempt that it cuts counts
   * only if none finished before, and what a deadline from outside cut, or what was never sent, says nothing.
   */
  record(slot: number, classify: Failure.Classify): Outcome.Outcome {
    const state = this.callState
    const cut = this.cutBy(slot)
    if (cut === undefined && !state.cutFromOutside) {
      return this.outcome(classify)
    }
    if (state.lastOutcome !== undefined) {
      return this.attempt === 0 ? state.lastOutcome : Outcome.interrupted
    }
    return state.sends === 0 || state.cutFromOutside || cut?.inherited === true
      ? Outcome.interrupted
      : Outcome.retryable
  }

  /** A number from [0, 1) of the fiber's own random source. */
  draw(): number {
    return Effect.runSync(this.fiber.currentDefaultServices.unsafeMap.get(randomKey).next)
  }

  /** Did a limit of this policy ring for what this frame runs? */
  isCut(): boolean {
    return this.rang >= 0 || this.around?.isCut() === true
  }

  /** Was the protected effect started within this passage? */
  sentWithin(): boolean {
    return this.callState.sends > this.sendsBefore
  }

  /**
   * How long a wait at a gate may take for the sake of a deadline from outside, in milliseconds. A limit of this policy around the
   * gate needs no such care: it wakes whoever waits.
   */
  waitLimit(): number {
    return this.limitSlot >= 0 || this.isCovered() ? Infinity : this.deadline - this.now
  }

  admittedAsProbe(): void {
    if (this.attempt === 0) {
      this.callState.probe = true
      this.callState.outer?.admittedAsProbe()
    }
  }

  /** Milliseconds until the deadline of the call. */
  remaining(): number {
    return this.deadline - this.now
  }

  describe(): Call.Call {
    const state = this.callState
    const { inner } = state
    const attempt = inner === undefined ? Math.max(1, state.attempts) : inner.attempt
    const maxAttempts = inner === undefined ? state.maxAttempts : inner.maxAttempts
    const deadline = this.deadline === Infinity ? undefined : this.deadline
    const { dependency, keyed } = this.region
    const last = state.described
    if (
      last !== undefined && last.attempt === attempt && last.maxAttempts === maxAttempts &&
      last.deadline === deadline && last.dependency === dependency
    ) {
      return last
    }
    const described: Call.Call = {
      dependency,
      operation: this.facts.operation,
      requestId: this.facts.requestId,
      attempt,
      maxAttempts,
      repeatable: isRepeatable(this.facts),
      key: this.facts.key,
      criticality: this.facts.criticality ?? defaultCriticality,
      deadline
    }
    return state.described = keyed === undefined ? described : { ...described, keyed }
  }

  tell(event: ResilienceEvent.ResilienceEvent): void {
    const defect = tell(this.callState.listeners, event, this.fiber)
    if (defect !== nothingThrown && this.callState.threw(listener)) {
      const line = Effect.logError("A listener threw; the others and the call went on without it", Cause.die(defect))
      this.afterwards(Effect.annotateLogs(line, callFields(this.describe())))
    }
  }

  /** Runs an effect before the caller goes on; for what must be logged from a synchronous step. */
  afterwards(effect: Effect.Effect<void>): void {
    this.epilogue = this.epilogue === undefined ? effect : Effect.zipRight(this.epilogue, effect)
  }

  /** A piece of the policy threw: told once, logged once, and the call goes on. */
  fault(part: string, defect: unknown): void {
    const call = this.describe()
    this.tell({ _tag: "PolicyFault", at: this.now, call, part, defect })
    const line = Effect.logError(`${part} threw; the call went on without it`, Cause.die(defect))
    this.afterwards(Effect.annotateLogs(line, callFields(call)))
  }

  protected tellEnd(): void {
    if (this.callState.inner !== undefined && this.region.dependency === undefined) {
      // A policy further in, one of many by key, has told it, and knows whom the call was to.
      return
    }
    const end = this.now
    const duration = Duration.millis(Math.max(0, end - this.admitted + this.waited))
    // As the gates saw it, where one of them asked.
    const outcome = this.outcomeMemo ?? this.outcome(this.region.classify)
    if (this.region.next === undefined && this.began) {
      this.tell({ _tag: "AttemptEnded", at: end, call: this.describe(), outcome, duration })
    }
    if (this.parent === undefined) {
      this.tell({
        _tag: "CallEnded",
        at: end,
        call: this.describe(),
        outcome,
        duration,
        attempts: this.callState.sends > 0 ? Math.max(1, this.callState.attempts) : 0,
        limited: this.callState.limited || this.deadline < Infinity
      })
    }
  }

  /** Another end from here on: what was made of the old one is forgotten. */
  protected endWith(exit: Exit.Exit<unknown, unknown>): void {
    this.exit = exit
    this.outcomeMemo = undefined
  }
}
