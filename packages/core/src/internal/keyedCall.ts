/**
 * One call through a keyed policy: finds the policy of its key, builds it or waits for the call that does, and runs under it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type { CallState, Sleeper } from "./callState.js"
import { Entrance } from "./frame.js"
import type { Next, Passage, Region } from "./gate.js"
import type { KeyedMembers, Member } from "./keyedMembers.js"
import { type AnyEffect, asEffect, goOn, isInterruptible, Masked, Matched, Restored } from "./runtime.js"

/**
 * What the calls through one keyed policy share.
 *
 * @internal
 */
export interface Family {
  readonly members: KeyedMembers
  /** The calls that wait for the policy of a key, which another call builds. */
  readonly builds: Map<string, Set<KeyedCall>>
  readonly build: (key: string) => Effect.Effect<Region, never, never>
}

/** @internal */
export class KeyedEntrance extends Masked {
  private readonly family: Family
  private readonly key: string
  private readonly passage: Passage
  private readonly next: Next

  constructor(family: Family, key: string, passage: Passage, next: Next) {
    super()
    this.family = family
    this.key = key
    this.passage = passage
    this.next = next
  }

  begin(flags: RuntimeFlags.RuntimeFlags): AnyEffect {
    return new KeyedCall(this.family, this.key, this.passage, this.next, isInterruptible(flags)).enter()
  }
}

const waiting = 0
const building = 1
const calling = 2

class KeyedCall extends Matched implements Sleeper {
  readonly passage: Passage & { readonly callState: CallState }
  private readonly family: Family
  private readonly key: string
  private readonly next: Next
  private readonly interruptible: boolean
  private phase = waiting
  private member: Member | undefined = undefined
  private resume: ((effect: AnyEffect) => void) | undefined = undefined
  private woken: AnyEffect | undefined = undefined

  constructor(family: Family, key: string, passage: Passage, next: Next, interruptible: boolean) {
    super()
    this.family = family
    this.key = key
    this.passage = passage
    this.next = next
    this.interruptible = interruptible
  }

  enter(): AnyEffect {
    const member = this.family.members.enter(this.key, this.passage.alarms.now())
    if (member !== undefined) {
      return this.call(member)
    }
    const others = this.family.builds.get(this.key)
    return others === undefined ? this.build() : this.wait(others)
  }

  private over(body: AnyEffect): AnyEffect {
    return goOn(this, this.interruptible ? asEffect(new Restored(body)) : body)
  }

  private call(member: Member): AnyEffect {
    this.phase = calling
    this.member = member
    return this.over(asEffect(new Entrance(member.region, this.next, this.passage.facts, undefined, this.passage)))
  }

  private build(): AnyEffect {
    this.phase = building
    this.family.builds.set(this.key, new Set())
    return this.over(Effect.suspend(() => this.family.build(this.key)))
  }

  /** A limit around the call ends the wait too, for a caller that cannot be interrupted as well. */
  private wait(others: Set<KeyedCall>): AnyEffect {
    this.phase = waiting
    this.woken = undefined
    others.add(this)
    this.passage.callState.sleeps(this)
    return this.over(Effect.async((resume) => {
      if (this.woken !== undefined) {
        resume(this.woken)
      } else if (this.passage.isCut()) {
        resume(Effect.interrupt)
      } else {
        this.resume = resume
      }
    }))
  }

  /** In the async context of this call: what wakes it is a limit's timer, or the call that built the policy. */
  wake(end: () => Exit.Exit<unknown, unknown>): void {
    if (this.phase === waiting && this.woken === undefined) {
      this.passage.callState.within(this.wakeWith, this, end)
    }
  }

  private wakeWith(end: () => Exit.Exit<unknown, unknown>): void {
    this.woken = end()
    this.resume?.(this.woken)
  }

  private rise(): void {
    this.resume = undefined
    this.family.builds.get(this.key)?.delete(this)
    this.passage.callState.rises(this)
  }

  /** Those who wait for the policy enter it, or fail as it failed; if it only was interrupted, one of them builds it. */
  private built(exit: Exit.Exit<unknown>): void {
    const others = this.family.builds.get(this.key)!
    this.family.builds.delete(this.key)
    for (const other of others) {
      other.wake(() => exit)
    }
  }

  effect_instruction_i1(cause: Cause.Cause<unknown>): AnyEffect {
    const end = Exit.failCause(cause)
    switch (this.phase) {
      case waiting:
        this.rise()
        break
      case building:
        this.built(Cause.isInterrupted(cause) ? Exit.void : end as Exit.Exit<never>)
        break
      default:
        this.left()
    }
    return end
  }

  effect_instruction_i2(value: unknown): AnyEffect {
    switch (this.phase) {
      case waiting:
        this.rise()
        return this.enter()
      case building: {
        const member = this.family.members.add(this.key, value as Region, this.passage.alarms.now())
        this.built(Exit.void)
        return this.call(member)
      }
      default:
        this.left()
        return Exit.succeed(value)
    }
  }

  private left(): void {
    this.family.members.leave(this.member!, this.passage.alarms)
  }
}
