/**
 * The frame: one object for one passage of a call through a region of gates. It is the continuation that the runtime calls
 * back, the entry in the alarm queue, and the place where gates keep what they took.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FiberId from "effect/FiberId"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Alarm from "../Alarm.js"
import type * as Call from "../Call.js"
import * as Deadline from "../Deadline.js"
import type { Sleeper } from "./callState.js"
import type { Link, Region } from "./gate.js"
import { callFields } from "./log.js"
import { CallPassage } from "./passage.js"
import {
  type AnyEffect,
  type AnyFiber,
  asEffect,
  currentFiber,
  isInterruptible,
  keepForks,
  Masked,
  releaseForks,
  Restored,
  setFiberRef
} from "./runtime.js"
import * as stopping from "./stopping.js"

/** Where a frame stands. */
const entering = 0
const waitingAtGate = 1
const running = 2
const leaving = 3

/**
 * What a policy protects: an effect, or a function that is called for every attempt.
 *
 * @internal
 */
export type Protected = AnyEffect | ((call: Call.Call) => AnyEffect)

/**
 * The effect that a policy returns: on every run it makes a frame and enters the first gate in the same uninterruptible step.
 *
 * @internal
 */
export class Entrance extends Masked {
  private readonly region: Region
  private readonly effect: Protected
  private readonly facts: Call.Facts
  private readonly parent: Frame | undefined
  constructor(region: Region, effect: Protected, facts: Call.Facts, parent: Frame | undefined) {
    super()
    this.region = region
    this.effect = effect
    this.facts = facts
    this.parent = parent
  }
  begin(flags: RuntimeFlags.RuntimeFlags): AnyEffect {
    return new Frame(this.region, this.effect, this.facts, this.parent, currentFiber(), flags).enterFrom(0)
  }
}

/**
 * What comes behind a region or a wrapper. A function of the user's that throws ends the call as a defect: the gates that were passed
 * must hear of it, and the frame is not in the caller's way back yet.
 */
const proceed = (link: Link | undefined, frame: Frame): AnyEffect => {
  try {
    return following(link, frame)
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** A region without gates is there for listeners and for faults only. */
const isLeftOut = (region: Region, frame: Frame): boolean =>
  !frame.callState.observed && region.faults?.isActive(frame.fiber) !== true

/** The next link, or the protected effect itself. */
const following = (link: Link | undefined, frame: Frame): AnyEffect => {
  const state = frame.callState
  if (link === undefined || (link._tag === "Region" && link.attemptsOnly && isLeftOut(link, frame))) {
    state.sends++
    const effect = frame.effect
    return typeof effect === "function" ? effect(frame.describe()) : effect
  }
  if (link._tag === "Region") {
    return asEffect(new Entrance(link, frame.effect, frame.facts, frame))
  }
  return link.wrapper.wrap(frame, (call) => {
    state.inner = call
    return proceed(link.next, frame)
  })
}

/** @internal */
export class Frame extends CallPassage implements Alarm.Entry, Sleeper {
  declare readonly parent: Frame | undefined
  readonly effect: Protected
  private readonly flags: RuntimeFlags.RuntimeFlags
  private phase = entering
  private entered = 0

  // the alarm of this region
  at = 0
  place = -1
  /** The id by which the fiber was interrupted; it must be taken back. */
  private interruptor: FiberId.FiberId | undefined = undefined
  private child: stopping.Child | undefined = undefined
  /** Where the caller's forks went before, if not to its fiber. */
  private forkScope: ReturnType<typeof keepForks> = undefined
  /** Above 0 while the effect runs in the caller's own fiber under this limit. */
  private shared = 0

  // a wait of our own
  private resume: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined = undefined
  private woken: Exit.Exit<unknown, unknown> | undefined = undefined

  /** A total limit of this policy is nearer than what was inherited, and is told to the fiber. */
  private tellsDeadline = false

  constructor(
    region: Region,
    effect: Protected,
    facts: Call.Facts,
    parent: Frame | undefined,
    fiber: AnyFiber,
    flags: RuntimeFlags.RuntimeFlags
  ) {
    super(region, facts, parent, fiber)
    this.effect = effect
    this.flags = flags
  }

  get passage(): Frame {
    return this
  }

  // -- the way in --------------------------------------------------------------

  enterFrom(first: number): AnyEffect {
    const gates = this.region.gates
    for (let slot = first; slot < gates.length; slot++) {
      let answer: ReturnType<typeof gates[number]["enter"]>
      try {
        answer = gates[slot]!.enter(this, slot)
      } catch (defect) {
        this.gateThrew = true
        return this.refuse(Exit.die(defect))
      }
      if (answer !== undefined) {
        if (typeof answer !== "symbol") {
          return this.refuse(answer)
        }
        this.entered = slot + 1
        return this.waitAtGate()
      }
      this.entered = slot + 1
    }
    // The alarm rang on the way in, or between the end of a wait and the caller's turn: nothing is sent any more.
    return this.rang >= 0 ? this.refuse(this.expired()) : this.run()
  }

  private waitAtGate(): AnyEffect {
    this.phase = waitingAtGate
    this.callState.sleeper ??= this
    const wait = Effect.async<unknown, unknown>((resume) => {
      if (this.woken !== undefined) {
        resume(this.woken)
      } else if (this.isCut()) {
        // A limit rang before the wait began, and the caller cannot be interrupted: nobody would wake it.
        resume(Effect.interrupt)
      } else {
        this.resume = resume
      }
    })
    return this.over(wait)
  }

  /** Ends the wait at a gate: with a success the call goes on, with a failure it ends. */
  wake(exit: Exit.Exit<unknown, unknown>): void {
    if (this.phase !== waitingAtGate || this.woken !== undefined) {
      return
    }
    this.woken = exit
    this.resume?.(exit)
  }

  private waitEnded(): void {
    this.phase = entering
    this.resume = undefined
    this.woken = undefined
    if (this.callState.sleeper === this) {
      this.callState.sleeper = undefined
    }
  }

  private refuse(exit: Exit.Exit<never, unknown>): AnyEffect {
    this.phase = leaving
    this.alarms.cancel(this)
    return this.finish(exit)
  }

  /** Puts this frame over a body, as its continuation. */
  private over(body: AnyEffect): AnyEffect {
    this.effect_instruction_i0 = isInterruptible(this.flags) ? asEffect(new Restored(body)) : body
    return asEffect(this)
  }

  /** What is inside this region, with the faults in its way that somebody injects. */
  private inside(): AnyEffect {
    const { faults, next } = this.region
    return faults === undefined || !faults.isActive(this.fiber)
      ? proceed(next, this)
      : faults.disturb(this, this.fiber, () => proceed(next, this))
  }

  private run(): AnyEffect {
    this.phase = running
    this.began = true
    if (this.limitSlot < 0) {
      return this.over(this.inside())
    }
    const disconnect = this.region.gates[this.limitSlot]!.disconnect === true
    const told = this.tellsDeadline ? { at: this.callState.deadline, alarms: this.alarms } : undefined
    if (!disconnect && isInterruptible(this.flags) && stopping.sharesFiber(this.fiber)) {
      this.shared = stopping.nextEntry()
      this.forkScope = keepForks(this.fiber)
      if (told !== undefined) {
        setFiberRef(this.fiber, Deadline.current, told)
      }
      return this.over(this.inside())
    }
    this.child = stopping.start(this.fiber, this.flags, this.inside(), told, disconnect)
    if (this.rang >= 0) {
      // It rang before the child gave its thread back for the first time.
      this.child.stop()
    }
    return this.over(this.child.join)
  }

  // -- alarms ------------------------------------------------------------------

  /** Sets the alarm of this region: the gate at `slot` limits what is inside it. */
  limit(slot: number, millis: number, total: boolean): boolean {
    const state = this.callState
    let at = this.now + millis
    if (state.deadline < at) {
      if (!this.isCovered()) {
        at = state.deadline
        this.inherited = true
      }
    } else if (total && this.parent === undefined) {
      state.deadline = at
      this.tellsDeadline = true
    }
    if (at <= this.now) {
      return false
    }
    this.limitSlot = slot
    state.limited = true
    this.alarms.schedule(this, at, this.now)
    return true
  }

  ring(late: number): void {
    if (this.phase === leaving || (this.shared > 0 && stopping.endsFromOutside(this.fiber, this.shared))) {
      return
    }
    this.rang = late
    if (this.phase === waitingAtGate) {
      this.wake(this.expired())
      return
    }
    const sleeper = this.callState.sleeper
    if (sleeper !== undefined && this.isAround(sleeper.passage)) {
      sleeper.wake(this.expired())
    }
    if (this.shared > 0) {
      this.interruptor = stopping.interrupt(this.fiber, this.shared)
    } else {
      this.child?.stop()
    }
  }

  private expired(): Exit.Exit<never, unknown> {
    return this.region.gates[this.limitSlot]!.expire!(this)
  }

  // -- the way out -------------------------------------------------------------

  effect_instruction_i1(cause: Cause.Cause<unknown>): AnyEffect {
    if (this.phase === waitingAtGate) {
      this.waitEnded()
      return this.refuse(Exit.failCause(cause) as Exit.Exit<never, unknown>)
    }
    return this.end(Exit.failCause(cause))
  }

  effect_instruction_i2(value: unknown): AnyEffect {
    if (this.phase === waitingAtGate) {
      this.waitEnded()
      this.now = this.admitted = this.alarms.now()
      // A limit that rang between the end of the wait and the caller's turn wakes nobody a second time: no gate may wait again.
      const cut = this.cutBy(Infinity)
      return cut === undefined ? this.enterFrom(this.entered) : this.refuse((cut as Frame).expired())
    }
    return this.end(Exit.succeed(value))
  }

  private end(exit: Exit.Exit<unknown, unknown>): AnyEffect {
    this.phase = leaving
    if (this.limitSlot < 0) {
      return this.finish(exit)
    }
    this.alarms.cancel(this)
    if (this.child !== undefined) {
      return Effect.flatMap(this.child.settle(exit), (settled) => this.finish(settled))
    }
    if (this.forkScope !== undefined) {
      releaseForks(this.fiber, this.forkScope)
    }
    if (this.tellsDeadline) {
      setFiberRef(this.fiber, Deadline.current, this.callState.inherited)
    }
    if (this.interruptor !== undefined) {
      return Effect.flatMap(stopping.takeBack(this.interruptor), () => this.finish(exit))
    }
    if (exit._tag === "Failure" && stopping.mayLeaveChildren(this.fiber)) {
      return Effect.flatMap(stopping.interruptChildren, () => this.finish(exit))
    }
    return this.finish(exit)
  }

  private finish(exit: Exit.Exit<unknown, unknown>): AnyEffect {
    this.exit = exit
    const { observed } = this.callState
    if (this.entered > 0 || observed) {
      this.now = this.alarms.now()
    }
    if (this.entered > 0) {
      const gates = this.region.gates
      for (let slot = this.entered - 1; slot >= 0; slot--) {
        if (slot === this.limitSlot && this.rang >= 0) {
          this.timeOut()
        }
        try {
          gates[slot]!.leave(this, slot)
        } catch (defect) {
          this.fault(gates[slot]!.step.policy, defect)
        }
      }
    }
    if (observed) {
      this.tellEnd()
    }
    return this.epilogue === undefined
      ? (this.exit as AnyEffect)
      : Effect.zipRight(this.epilogue, this.exit as AnyEffect)
  }

  /** The alarm of this region rang: whatever the effect came to, the call timed out. */
  private timeOut(): void {
    const ended = this.exit
    this.endWith(this.expired())
    if (this.inherited) {
      this.callState.cutFromOutside = true
    }
    if (ended._tag === "Failure" && Cause.isDie(ended.cause)) {
      const cause = Cause.keepDefects(ended.cause)
      if (cause._tag === "Some") {
        const call = this.describe()
        this.tell({ _tag: "FinalizerDied", at: this.now, call, cause: cause.value })
        const line = Effect.logWarning("A timed-out effect died while it released its resources", cause.value)
        this.afterwards(Effect.annotateLogs(line, callFields(call)))
      }
    }
    if (this.callState.observed) {
      const error = (this.exit as Exit.Failure<never, any>).cause as Cause.Fail<any>
      this.tell({
        _tag: "TimeoutFired",
        at: this.now,
        call: this.describe(),
        scope: error.error.scope,
        limit: error.error.limit,
        inherited: this.inherited,
        delay: Duration.millis(this.rang),
        late: ended._tag === "Success"
      })
    }
  }
}
