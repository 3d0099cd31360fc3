/**
 * The frame: one object for one passage of a call through a region of gates. It is the continuation that the runtime calls
 * back, the entry in the alarm queue, and the place where gates keep what they took.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Call from "../Call.js"
import type { Around, Sleeper } from "./callState.js"
import { underDeclared } from "./declaredFacts.js"
import { type Border, type Link, type Loop, type Region, stands } from "./gate.js"
import { betweenAttempts, entering, leaving, LimitedPassage, running, waitingAtGate } from "./limitedPassage.js"
import { type AnyEffect, type AnyFiber, asEffect, currentFiber, goOn, Masked } from "./runtime.js"

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
  private readonly outer: Around | undefined
  constructor(
    region: Region,
    effect: Protected,
    facts: Call.Facts,
    parent: Frame | undefined,
    outer?: Around
  ) {
    super()
    this.outer = outer
    this.region = region
    this.effect = effect
    this.facts = facts
    this.parent = parent
  }
  begin(flags: RuntimeFlags.RuntimeFlags): AnyEffect {
    const { declared } = this.region
    // Where a call enters the policy: what is inside has these facts already.
    const facts = declared === undefined || this.parent !== undefined ? this.facts : underDeclared(this.facts, declared)
    const frame = new Frame(this.region, this.effect, facts, this.parent, false, currentFiber(), flags)
    if (this.outer !== undefined) {
      frame.callState.outer = this.outer
    }
    return frame.enterFrom(0)
  }
}

/** What is inside a region or a wrapper, as an effect that anybody may run: in another fiber, or more than once. */
const proceed = (link: Link | undefined, frame: Frame): AnyEffect => {
  switch (link?._tag) {
    case undefined:
      return send(frame)
    case "Region":
      return isLeftOut(link, frame) ? send(frame) : asEffect(new Entrance(link, frame.effect, frame.facts, frame))
    case "Loop":
      return asEffect(new Entrance(link.alone, frame.effect, frame.facts, frame))
    case "Border":
      return wrap(link, frame)
  }
}

/** A region without gates is there for listeners and for faults only. */
const isLeftOut = (region: Region, frame: Frame): boolean =>
  region.attemptsOnly && !frame.callState.observed && region.faults?.isActive(currentFiber()) !== true

/**
 * The protected effect itself. A function of the user's that throws ends the call as a defect: the gates that were passed must hear of
 * it, and the frame is not in the caller's way back yet.
 */
const send = (frame: Frame): AnyEffect => {
  const { effect } = frame
  frame.callState.sends++
  try {
    return typeof effect === "function" ? effect(frame.describe()) : effect
  } catch (defect) {
    return Effect.die(defect)
  }
}

const wrap = (border: Border, frame: Frame): AnyEffect => {
  try {
    return border.wrapper.wrap(frame, (call) => {
      frame.callState.inner = call
      return proceed(border.next, frame)
    })
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** @internal */
export class Frame extends LimitedPassage implements Sleeper {
  declare readonly parent: Frame | undefined
  readonly effect: Protected
  /** Its end is handed to the frame around it, in the same step, and not to the runtime. */
  private readonly direct: boolean
  private entered = 0
  /** The attempts of a loop are made by this frame. */
  private loops = false

  // a wait of our own
  private resume: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined = undefined
  private woken: Exit.Exit<unknown, unknown> | undefined = undefined

  constructor(
    region: Region,
    effect: Protected,
    facts: Call.Facts,
    parent: Frame | undefined,
    direct: boolean,
    fiber: AnyFiber,
    flags: RuntimeFlags.RuntimeFlags
  ) {
    super(region, facts, parent, direct, fiber, flags)
    this.effect = effect
    this.direct = direct
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
        return this.refuse(Exit.die(defect), true)
      }
      if (answer !== undefined) {
        if (typeof answer !== "symbol") {
          return this.refuse(answer, true)
        }
        this.entered = slot + 1
        return this.waitAtGate()
      }
      this.entered = slot + 1
    }
    // The alarm rang on the way in, or between the end of a wait and the caller's turn: nothing is sent any more.
    return this.rang >= 0 ? this.refuse(this.expired(), true) : this.run()
  }

  private waitAtGate(): AnyEffect {
    this.phase = waitingAtGate
    this.callState.sleeps(this)
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

  wake(end: () => Exit.Exit<unknown, unknown>): void {
    if (this.phase === waitingAtGate && this.woken === undefined) {
      this.callState.within(this.wakeWith, this, end)
    }
  }

  private wakeWith(end: () => Exit.Exit<unknown, unknown>): void {
    this.woken = end()
    this.resume?.(this.woken)
  }

  private waitEnded(): void {
    this.phase = entering
    this.resume = undefined
    this.woken = undefined
    this.callState.rises(this)
  }

  /** `read`: as in `insideEnded`. */
  private refuse(exit: Exit.Exit<never, unknown>, read: boolean): AnyEffect {
    this.phase = leaving
    this.alarms.cancel(this)
    return this.finish(exit, read)
  }

  private admittedAfterWait(): AnyEffect {
    const now = this.alarms.now()
    this.waited += now - this.admitted
    this.now = this.admitted = now
    // A limit that rang between the end of the wait and the caller's turn wakes nobody a second time: no gate may wait again.
    const cut = this.cutBy(Infinity)
    return cut === undefined ? this.enterFrom(this.entered) : this.refuse((cut as Frame).expired(), true)
  }

  /** Goes on with a body, as the caller would run it, and with this frame as its continuation. */
  private over(body: AnyEffect): AnyEffect {
    return goOn(this, this.restore(body))
  }

  private run(): AnyEffect {
    this.phase = running
    this.began = true
    return this.limitSlot < 0 || this.sharesFiber()
      ? this.inside()
      : this.over(this.startChild(this.disturbed() ?? proceed(this.region.next, this)))
  }

  /** What is inside, with a fault in its way that somebody injects; `undefined` while nobody does. */
  private disturbed(): AnyEffect | undefined {
    const { faults, next } = this.region
    const fiber = currentFiber()
    return faults === undefined || !faults.isActive(fiber)
      ? undefined
      : faults.disturb(this, fiber, () => proceed(next, this))
  }

  // -- inside ------------------------------------------------------------------

  /**
   * What is inside this region, in the fiber that runs this very code. Regions within regions and attempts of a loop are entered in the
   * same step: the fiber stays uninterruptible between them, and only the protected effect, and waits, are not.
   */
  private inside(): AnyEffect {
    const { faults, next } = this.region
    const disturbed = faults === undefined ? undefined : this.disturbed()
    if (disturbed !== undefined) {
      return this.over(disturbed)
    }
    switch (next?._tag) {
      case undefined:
        return this.over(send(this))
      case "Region":
        return this.descend(next)
      case "Border":
        return this.over(wrap(next, this))
      case "Loop":
        return this.firstAttempt(next)
    }
  }

  private descend(region: Region): AnyEffect {
    if (isLeftOut(region, this)) {
      return this.over(send(this))
    }
    try {
      // Not this frame's fiber: where requests are batched, the runtime carries on in another one.
      return new Frame(region, this.effect, this.facts, this, true, currentFiber(), this.flags).enterFrom(0)
    } catch (defect) {
      return this.insideEnded(Exit.die(defect), false)
    }
  }

  private firstAttempt(loop: Loop): AnyEffect {
    try {
      loop.repeater.begin(this)
    } catch (defect) {
      return this.end(Exit.die(defect), false)
    }
    this.loops = true
    return this.descend(loop.next)
  }

  /**
   * What is inside came to an end: the region ends with it, or makes another attempt. `read` says that the clock was read in this very
   * step: once on the way out is enough for all regions.
   */
  private insideEnded(exit: Exit.Exit<unknown, unknown>, read: boolean): AnyEffect {
    if (!this.loops) {
      return this.end(exit, read)
    }
    this.exit = exit
    let pause: AnyEffect | undefined
    try {
      pause = (this.region.next as Loop).repeater.ended(this, exit)
    } catch (defect) {
      return this.end(Exit.die(defect), read)
    }
    if (pause === undefined) {
      return this.end(exit, read)
    }
    this.phase = betweenAttempts
    return goOn(this, pause)
  }

  private nextAttempt(): AnyEffect {
    this.phase = running
    this.now = this.alarms.now()
    return this.descend((this.region.next as Loop).next)
  }

  // -- the way out -------------------------------------------------------------

  effect_instruction_i1(cause: Cause.Cause<unknown>): AnyEffect {
    const exit = Exit.failCause(cause)
    switch (this.phase) {
      case waitingAtGate:
        this.waitEnded()
        return this.refuse(exit as Exit.Exit<never, unknown>, false)
      case betweenAttempts:
        return this.end(exit, false)
      default:
        return this.insideEnded(exit, false)
    }
  }

  effect_instruction_i2(value: unknown): AnyEffect {
    switch (this.phase) {
      case waitingAtGate:
        this.waitEnded()
        return this.admittedAfterWait()
      case betweenAttempts:
        return value === stands ? this.end(this.exit, false) : this.nextAttempt()
      default:
        return this.insideEnded(Exit.succeed(value), false)
    }
  }

  private end(exit: Exit.Exit<unknown, unknown>, read: boolean): AnyEffect {
    this.phase = leaving
    const lifted = this.limitSlot < 0 ? undefined : this.lift(exit)
    return lifted === undefined ? this.finish(exit, read) : Effect.flatMap(lifted, (end) => this.finish(end, false))
  }

  private finish(exit: Exit.Exit<unknown, unknown>, read: boolean): AnyEffect {
    this.exit = exit
    const { observed } = this.callState
    const reads = !read && (this.entered > 0 || observed)
    if (reads) {
      this.now = this.alarms.now()
    }
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
    if (observed) {
      this.tellEnd()
    }
    if (this.parent === undefined) {
      this.callState.releaseContext()
    }
    return this.epilogue === undefined
      ? this.handOver(this.exit, read || reads)
      : Effect.matchCauseEffect(this.epilogue, {
        onFailure: (cause) => this.handOver(Exit.failCause(cause), false),
        onSuccess: () => this.handOver(this.exit, false)
      })
  }

  private handOver(exit: Exit.Exit<unknown, unknown>, read: boolean): AnyEffect {
    if (!this.direct) {
      return exit as AnyEffect
    }
    const parent = this.parent!
    if (read) {
      parent.now = this.now
    }
    return parent.insideEnded(exit, read)
  }
}
