/**
 * A passage that may be under a time limit: how the limit is set, what happens when it rings, and what must be put right before the
 * passage leaves its gates.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as FiberRefs from "effect/FiberRefs"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Alarm from "../Alarm.js"
import type * as Call from "../Call.js"
import * as Deadline from "../Deadline.js"
import type { Region } from "./gate.js"
import { callFields } from "./log.js"
import { CallPassage } from "./passage.js"
import {
  type AnyEffect,
  type AnyFiber,
  asEffect,
  currentFiber,
  isInterruptible,
  keepForks,
  putBackRef,
  putBackRefs,
  refsOf,
  releaseForks,
  Restored,
  setFiberRef
} from "./runtime.js"
import * as stopping from "./stopping.js"

/** Where a passage stands. */
export const entering = 0
export const waitingAtGate = 1
export const running = 2
export const betweenAttempts = 3
export const leaving = 4

/** @internal */
export abstract class LimitedPassage extends CallPassage implements Alarm.Entry {
  declare readonly parent: LimitedPassage | undefined
  protected readonly flags: RuntimeFlags.RuntimeFlags
  protected phase = entering
  at = 0
  place = -1
  /** The body of the region, where it runs in a fiber of its own. */
  protected child: stopping.Child | undefined = undefined
  /** Above 0 while the effect runs in the caller's own fiber under this limit. */
  private shared = 0
  /** How the fiber was interrupted; that must be taken back. */
  private interruption: stopping.Interruption | undefined = undefined
  /** Where the caller's forks went before, if not to its fiber. */
  private forkScope: ReturnType<typeof keepForks> = undefined
  /** A total limit of this policy is nearer than what was inherited, and is told to the fiber. */
  private tellsDeadline = false
  /** The FiberRefs of the caller as they were before this limit changed them, and after. */
  private refs: { readonly before: FiberRefs.FiberRefs; readonly changed: FiberRefs.FiberRefs } | undefined = undefined

  constructor(
    region: Region,
    facts: Call.Facts,
    parent: LimitedPassage | undefined,
    direct: boolean,
    fiber: AnyFiber,
    flags: RuntimeFlags.RuntimeFlags
  ) {
    super(region, facts, parent, direct, fiber)
    this.flags = flags
  }

  restore(effect: AnyEffect): AnyEffect {
    return isInterruptible(this.flags) ? asEffect(new Restored(effect)) : effect
  }

  begun(effect: AnyEffect): AnyEffect {
    return Effect.suspend(() => {
      // A fiber of its own: in the caller's, an interruption that is pending would keep it from beginning.
      const child = stopping.start(currentFiber(), this.flags, effect, undefined, false)
      return Effect.flatMap(
        Effect.exit(this.restore(child.join)),
        (waited) =>
          Effect.flatMap(
            child.settle(waited),
            (ended) => waited._tag === "Failure" && ended._tag === "Success" ? waited : ended
          )
      )
    })
  }

  /** Sets the alarm of this region: the gate at `slot` limits what is inside it. */
  limit(slot: number, millis: number, total: boolean): boolean {
    const state = this.callState
    let at = this.now + millis
    if (this.deadline < at) {
      if (!this.isCovered()) {
        at = this.deadline
        this.inherited = true
      }
    } else if (total && this.attempt === 0 && !this.isCovered()) {
      this.deadline = at
      this.tellsDeadline = true
    }
    if (at <= this.now) {
      return false
    }
    this.limitSlot = slot
    state.limited = true
    state.keepContext()
    this.alarms.schedule(this, at, this.now)
    return true
  }

  ring(late: number): void {
    this.callState.within(this.fire, this, late)
  }

  private fire(late: number): void {
    if (this.phase === leaving || (this.shared > 0 && stopping.endsFromOutside(this.fiber, this.shared))) {
      return
    }
    this.rang = late
    const expired = () => this.expired()
    if (this.phase === waitingAtGate) {
      this.wake(expired)
      return
    }
    const { sleepers } = this.callState
    if (sleepers !== undefined) {
      // Whoever is woken leaves the list.
      for (const sleeper of sleepers.filter(({ passage }) => this.isAround(passage))) {
        sleeper.wake(expired)
      }
    }
    if (this.shared > 0) {
      this.interruption = stopping.interrupt(
        this.fiber,
        this.shared,
        (continuation) => continuation instanceof LimitedPassage && this.isAround(continuation)
      )
    } else {
      this.child?.stop()
    }
  }

  protected expired(): Exit.Exit<never, unknown> {
    return this.region.gates[this.limitSlot]!.expire!(this)
  }

  private get disconnects(): boolean {
    return this.region.gates[this.limitSlot]!.disconnect === true
  }

  private get told(): Deadline.Deadline | undefined {
    return this.tellsDeadline ? { at: this.deadline, alarms: this.alarms } : undefined
  }

  /** From here on the limit interrupts the caller's own fiber, if it can: else the body needs a fiber of its own. */
  protected sharesFiber(): boolean {
    if (this.disconnects || !isInterruptible(this.flags) || !stopping.sharesFiber(this.fiber)) {
      return false
    }
    this.shared = stopping.nextEntry()
    const before = refsOf(this.fiber)
    this.forkScope = keepForks(this.fiber)
    if (this.tellsDeadline) {
      setFiberRef(this.fiber, Deadline.current, this.told)
    }
    const changed = refsOf(this.fiber)
    if (changed !== before) {
      this.refs = { before, changed }
    }
    return true
  }

  /** Starts the body in a fiber of its own, and answers how to wait for it. */
  protected startChild(body: AnyEffect): AnyEffect {
    this.child = stopping.start(this.fiber, this.flags, body, this.told, this.disconnects)
    if (this.rang >= 0) {
      // It rang before the child gave its thread back for the first time.
      this.child.stop()
    }
    return this.child.join
  }

  /**
   * The limit is over. Puts the caller's fiber right; `undefined` where that is done in this step, else an effect that does it and
   * answers with the end of the region.
   */
  protected lift(exit: Exit.Exit<unknown, unknown>): Effect.Effect<Exit.Exit<unknown, unknown>> | undefined {
    this.alarms.cancel(this)
    if (this.child !== undefined) {
      return this.child.settle(exit)
    }
    if (this.refs !== undefined && !putBackRefs(this.fiber, this.refs.changed, this.refs.before)) {
      // The effect changed some too, and its changes stay.
      if (this.forkScope !== undefined) {
        releaseForks(this.fiber, this.forkScope)
      }
      if (this.tellsDeadline) {
        putBackRef(this.fiber, Deadline.current, this.refs.before)
      }
    }
    if (this.interruption !== undefined) {
      return Effect.as(stopping.takeBack(this.interruption.id), exit)
    }
    return exit._tag === "Failure" && stopping.mayLeaveChildren(this.fiber)
      ? Effect.as(stopping.interruptChildren, exit)
      : undefined
  }

  /** A limit around this one ended at the same instant, or before: the two cut one call, and the outer one tells of it. */
  private endsWithOuter(): boolean {
    const outer = this.cutBy(this.limitSlot)
    return outer instanceof LimitedPassage && outer.at <= this.at
  }

  /** The alarm of this region rang: whatever the effect came to, the call timed out. */
  protected timeOut(): void {
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
    if (this.callState.observed && !this.endsWithOuter()) {
      const error = (this.exit as Exit.Failure<never, any>).cause as Cause.Fail<any>
      this.tell({
        _tag: "TimeoutFired",
        at: this.now,
        call: this.describe(),
        scope: error.error.scope,
        limit: error.error.limit,
        inherited: this.inherited,
        delay: Duration.millis(this.rang),
        late: ended._tag === "Success" || this.interruption?.passed?.success === true ||
          this.child?.succeededLate === true
      })
    }
  }
}
