/**
 * The parts a policy is compiled from, and what a part sees of the call that passes it.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Alarm from "../Alarm.js"
import type * as Call from "../Call.js"
import type * as Failure from "../Failure.js"
import type * as Outcome from "../Outcome.js"
import type * as ResilienceEvent from "../ResilienceEvent.js"
import type { CallState } from "./callState.js"
import type { DeclaredFacts } from "./declaredFacts.js"
import type { AnyEffect, AnyFiber } from "./runtime.js"

/**
 * What a step of a policy is, as data: read by `explain`, `lint`, dashboards and tests.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step {
  readonly kind: string
  /** The name of this very piece, `payments.circuitBreaker`. */
  readonly policy: string
  readonly dependency: string | undefined
  /** The numbers it was built with; durations in milliseconds, their names end in `Millis`. */
  readonly settings: Readonly<Record<string, unknown>>
}

/**
 * One passage of a call through a region, as gates and wrappers see it.
 *
 * @internal
 */
export interface Passage {
  readonly facts: Call.Facts
  /** What the passages of one call share. */
  readonly callState: CallState
  readonly alarms: Alarm.Alarms
  /** The clock reading on the way in, and, for `leave`, on the way out. */
  now: number
  /** The instant of admission: of entry, or of the end of the last wait at a gate. */
  readonly admitted: number
  /** The end, as the gate that is leaving sees it. */
  readonly exit: Exit.Exit<unknown, unknown>
  /** By when the answer is worth something here, in milliseconds of the clock; Infinity without a deadline. */
  readonly deadline: number
  /** The alarm of the region was set nearer than its limit, by a deadline from outside. */
  readonly inherited: boolean
  /** The attempt that this passage belongs to, 0 outside the retry. */
  readonly attempt: number
  /** What each gate took, by its place. */
  readonly slots: Array<unknown>
  /** What the repeater of the region keeps from one attempt to the next. */
  repetition: unknown

  /** Sets the alarm of the region; `false` when no time is left at all. */
  limit(slot: number, millis: number, total: boolean): boolean
  /**
   * Ends the wait at a gate: with a success the call goes on, with a failure it ends. `end` is called at once, in the async context of the
   * call, and not at all if the wait is over.
   */
  wake(end: () => Exit.Exit<unknown, unknown>): void
  /** The outcome of the end for a gate that keeps a record of the dependency. */
  record(slot: number, classify: Failure.Classify): Outcome.Outcome
  /** Was the protected effect started within this passage? */
  sentWithin(): boolean
  /** Did a limit of this policy ring for what this passage runs? */
  isCut(): boolean
  /** How long a wait at a gate may take for the sake of a deadline from outside, in milliseconds. */
  waitLimit(): number
  /** The call was admitted as a probe, before the first of its attempts: it makes no other. */
  admittedAsProbe(): void
  /** Milliseconds until the deadline of the call. */
  remaining(): number
  /** A number from [0, 1) of the fiber's own random source. */
  draw(): number
  /** The call in progress, for events. */
  describe(): Call.Call
  tell(event: ResilienceEvent.ResilienceEvent): void
  /** An effect as the caller would run it: interruptible, if the caller is. */
  restore(effect: AnyEffect): AnyEffect
  /**
   * An effect that begins although the call may be over, up to its first wait; from there on the caller's interruption and the limits of
   * the call end it, as they end what is protected.
   */
  begun(effect: AnyEffect): AnyEffect
  /** Runs an effect before the caller goes on; for what must be logged from a synchronous step. */
  afterwards(effect: Effect.Effect<void>): void
  /** A piece of the policy threw: told once, logged once, and the call goes on. */
  fault(part: string, defect: unknown): void
}

/**
 * `enter` answers with it when the call must wait: the gate will call `passage.wake`.
 *
 * @internal
 */
export const mustWait: unique symbol = Symbol.for("@holdfast/core/mustWait")

/**
 * A step that admits or rejects. `enter` runs without interruption and admits (`undefined`), rejects with an exit, or waits; `leave`
 * runs exactly once after an `enter` that did not reject, and finds the end in `passage.exit`.
 *
 * @internal
 */
export interface Gate {
  readonly _tag: "Gate"
  readonly step: Step
  enter(passage: Passage, slot: number): undefined | Exit.Exit<never, unknown> | typeof mustWait
  leave(passage: Passage, slot: number): void
  /** Only for a time limit: what the call ends with when the alarm that `enter` set has rung. */
  expire?(passage: Passage): Exit.Exit<never, unknown>
  /** Only for a time limit: do not wait for the stopped effect. */
  readonly disconnect?: boolean
  /** Only for a piece that classifies: listeners are told of the ends inside it as it sees them. */
  readonly classify?: Failure.Classify
}

/**
 * A step that is a function from effect to effect: it runs the rest of the chain as often as it likes, by `next`.
 *
 * @internal
 */
export interface Wrapper {
  readonly _tag: "Wrapper"
  readonly step: Step
  wrap(passage: Passage, next: Next): AnyEffect
  /** Only for a piece that classifies: listeners are told of the ends inside it as it sees them. */
  readonly classify?: Failure.Classify
}

/**
 * The rest of the chain behind a wrapper, run once per call of it. A wrapper whose attempts are counted elsewhere says which call this is.
 *
 * @internal
 */
export type Next = (call?: Call.Call) => AnyEffect

/**
 * A step that repeats the rest of the chain. It decides in the same step in which an attempt ended, without a turn of the runtime, so
 * that nothing can come between the two.
 *
 * @internal
 */
export interface Repeater {
  readonly _tag: "Repeater"
  readonly step: Step
  /** The first attempt is about to be made. */
  begin(passage: Passage): void
  /**
   * An attempt ended. `undefined`: its end is the end of the call. Else what runs before the next attempt, without interruption where it
   * does not `restore` it: with `endStands` it finds that the call ends all the same, and with a failure of its own the call ends with that.
   */
  ended(passage: Passage, exit: Exit.Exit<unknown, unknown>): AnyEffect | undefined
  /** Only for a piece that classifies: listeners are told of the ends inside it as it sees them. */
  readonly classify?: Failure.Classify
}

/**
 * Ends a wait at a gate with admission.
 *
 * @internal
 */
export const admitted = (): Exit.Exit<void> => Exit.void

/**
 * What runs between two attempts answers with it when there is to be no other.
 *
 * @internal
 */
export const stands: unique symbol = Symbol.for("@holdfast/core/stands")

/** @internal */
export const endStands: AnyEffect = Exit.succeed(stands)

/**
 * A step at which faults may be put in the way of what is inside it. It is no gate and no border: it takes no slot, and while nobody
 * injects anything the call goes on as if it were not there.
 *
 * @internal
 */
export interface FaultPlace {
  readonly _tag: "FaultPlace"
  readonly step: Step
  readonly classify?: undefined
  /** Does anybody inject faults into what this fiber runs? */
  isActive(fiber: AnyFiber): boolean
  /** `rest` as it is, later than it would be, or something else in its place. */
  disturb(passage: Passage, fiber: AnyFiber, rest: () => AnyEffect): AnyEffect
}

/** @internal */
export type Part = Gate | Wrapper | Repeater | FaultPlace

/**
 * The compiled chain. A region is a run of adjacent gates with at most one time limit, and ends at a place for faults; a wrapper is a
 * border, and a repeater begins a loop.
 *
 * @internal
 */
export type Link = Region | Border | Loop

/** @internal */
export interface Region {
  readonly _tag: "Region"
  readonly gates: ReadonlyArray<Gate>
  /** Inside the gates, around what comes next. */
  readonly faults: FaultPlace | undefined
  readonly next: Link | undefined
  /** A region without gates behind the last wrapper: it is there to tell listeners of attempts, or for faults, else left out. */
  readonly attemptsOnly: boolean
  readonly dependency: string | undefined
  /** The keyed policy that keeps the policy. */
  readonly keyed: string | undefined
  /** What is declared of the calls of the policy. */
  readonly declared: DeclaredFacts | undefined
  /** How its end is told where no gate of it asked: as the piece around it, or the next one inside, would see it. */
  readonly classify: Failure.Classify
}

/** @internal */
export interface Border {
  readonly _tag: "Border"
  readonly wrapper: Wrapper
  readonly next: Region
}

/** @internal */
export interface Loop {
  readonly _tag: "Loop"
  readonly repeater: Repeater
  readonly next: Region
  /** A region that has nothing but this loop: for a loop that runs in a fiber of its own, and for one behind a border. */
  readonly alone: Region
}
