/** Tests in virtual time, with the events of the policies at hand. */
import { it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Failure from "../../src/Failure.js"
import * as ResilienceEvent from "../../src/ResilienceEvent.js"
import * as Step from "../../src/Step.js"

export type Event = ResilienceEvent.ResilienceEvent

/** What a test sees of its policies: events and log messages, in order. */
export interface Seen {
  readonly events: Array<Event>
  readonly logs: Array<string>
  /** The events of one kind. */
  readonly of: <Tag extends Event["_tag"]>(tag: Tag) => ReadonlyArray<Extract<Event, { readonly _tag: Tag }>>
}

/** A test in virtual time: waits cost nothing, and what can never end is a defect. */
export const virtual = (name: string, body: (seen: Seen) => Effect.Effect<unknown, any, any>): void => {
  it.live(name, () => {
    const events: Array<Event> = []
    const logs: Array<string> = []
    const seen: Seen = {
      events,
      logs,
      of: (tag) => events.filter((event) => event._tag === tag) as never
    }
    const logger = Logger.make<unknown, void>(({ message }) => {
      logs.push((Array.isArray(message) ? message : [message]).map(String).join(" "))
    })
    return VirtualClock.run(
      (body(seen) as Effect.Effect<unknown, unknown>).pipe(
        ResilienceEvent.listen((event) => events.push(event)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
    )
  })
}

/** One policy of several, outermost first. */
export const compose = (...policies: ReadonlyArray<Step.Policy<any, any>>): Step.Policy<any, any> =>
  Step.policy(policies.flatMap((policy) => Step.partsOf(policy)))

export class Busy extends Failure.Retryable("Busy")<{ readonly retryAfter?: unknown; readonly neverSent?: boolean }> {}
export class SlowDown extends Failure.Overloaded("SlowDown")<{ readonly retryAfter?: unknown }> {}
export class Declined extends Failure.Permanent("Declined")<{}> {}
export class Refused extends Failure.Rejected("Refused")<{}> {}

/** Milliseconds since the start of the effect, with its exit. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.clockWith((clock) =>
    Effect.suspend(() => {
      const started = clock.unsafeCurrentTimeMillis()
      return Effect.map(Effect.exit(effect), (exit) => ({ exit, took: clock.unsafeCurrentTimeMillis() - started }))
    })
  )
