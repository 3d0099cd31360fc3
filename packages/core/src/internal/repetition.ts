/**
 * What a retry keeps of one call, and how it waits between two attempts.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Alarm from "../Alarm.js"
import type { Sleeper } from "./callState.js"
import type { Passage } from "./gate.js"
import type { AnyEffect } from "./runtime.js"

/**
 * What is kept of a call from its first failure on: the number of its attempts, and the one who sleeps in between.
 *
 * @internal
 */
export class Repetition implements Alarm.Entry, Sleeper {
  readonly passage: Passage
  made = 1
  previousDelay = 0
  scheduleState: unknown = undefined
  private resume: ((effect: AnyEffect) => void) | undefined = undefined
  at = 0
  place = -1

  constructor(passage: Passage) {
    this.passage = passage
  }

  /** The next attempt is made now. */
  private readonly next = (): AnyEffect => {
    if (this.passage.isCut()) {
      return Effect.interrupt
    }
    this.made++
    this.passage.callState.attempts = this.made
    return Exit.void
  }

  readonly atOnce: AnyEffect = Effect.suspend(this.next)

  sleep(delay: number, now: number): AnyEffect {
    return this.passage.restore(Effect.async<unknown, unknown, unknown>((resume) => {
      if (this.passage.isCut()) {
        // The limit rang before the wait began, and the caller cannot be interrupted: nobody would wake it.
        resume(Effect.interrupt)
        return
      }
      this.resume = resume
      this.passage.callState.sleeps(this)
      this.passage.alarms.schedule(this, now + delay, now)
      return Effect.sync(() => this.rise())
    }))
  }

  private rise(): void {
    this.passage.alarms.cancel(this)
    this.passage.callState.rises(this)
  }

  ring(): void {
    this.end(this.atOnce)
  }

  wake(end: () => Exit.Exit<never, unknown>): void {
    this.end(end())
  }

  private end(next: AnyEffect): void {
    this.rise()
    this.passage.callState.within(this.resume!, undefined, next)
  }
}
