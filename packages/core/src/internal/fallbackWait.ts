/**
 * How the workers of a deferral queue wait.
 */
import * as Effect from "effect/Effect"
import type * as Alarm from "../Alarm.js"
import { capture } from "./asyncContext.js"

/** A wait that ends by an alarm or by hand, whichever comes first. */
export class Wait implements Alarm.Entry {
  at = 0
  place = -1
  private readonly resume: (effect: Effect.Effect<void>) => void
  private readonly alarms: Alarm.Alarms
  /** The worker's own: a job is offered by a call whose context must not go on in it. */
  private readonly context = capture()
  private over = false
  constructor(alarms: Alarm.Alarms, at: number, resume: (effect: Effect.Effect<void>) => void) {
    this.alarms = alarms
    this.resume = resume
    if (at < Infinity) {
      alarms.schedule(this, at, alarms.now())
    }
  }
  ring(): void {
    if (!this.over) {
      this.context.runInAsyncScope(this.resume, undefined, Effect.void)
      this.end()
    }
  }
  end(): void {
    if (!this.over) {
      this.over = true
      this.alarms.cancel(this)
      this.context.emitDestroy()
    }
  }
}
