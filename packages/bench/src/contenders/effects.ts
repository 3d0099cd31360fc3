/**
 * The same five from what Effect itself has: what somebody writes who takes each part from its documentation.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import { limitMillis } from "../styles.js"
import { places } from "./holdfast.js"

export class CircuitIsOpen extends Data.TaggedError("CircuitIsOpen")<{}> {}

/** A breaker by consecutive failures in a `Ref`. */
export const breakerByHand = (failuresToStartWith = 0) => {
  const failures = Effect.runSync(Ref.make(failuresToStartWith))
  return <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E | CircuitIsOpen> =>
    Effect.flatMap(Ref.get(failures), (count): Effect.Effect<A, E | CircuitIsOpen> =>
      count >= 10
        ? new CircuitIsOpen()
        : Effect.tapBoth(self, {
          onFailure: () => Ref.update(failures, (present) => present + 1),
          onSuccess: () => Ref.set(failures, 0)
        }))
}

export const exponentially = Schedule.exponential("200 millis")

/** Semaphore, `Ref` breaker, `retry`, `timeout`, and `catchTag` outside. */
export const fiveByHand = () => {
  const breaker = breakerByHand()
  const semaphore = Effect.unsafeMakeSemaphore(places)
  return (self: Effect.Effect<number>): Effect.Effect<unknown, unknown> =>
    self.pipe(
      Effect.timeout(limitMillis),
      Effect.retry({ schedule: exponentially, times: 2 }),
      breaker,
      semaphore.withPermits(1),
      Effect.catchTag("TimeoutException", () => Effect.succeed(-1))
    )
}

/** One guaranteed finalizer: the unit in which Effect itself counts. */
export const oneFinalizer = (self: Effect.Effect<number>): Effect.Effect<number> =>
  Effect.onExit(self, () => Effect.void)
