/**
 * Deadline: the instant by which the answer is worth something. It travels with the fiber: limits further in are cut to what is
 * left, waits and retries that cannot be in time are not begun, and background work is let out of it.
 *
 *     node --import tsx examples/src/patterns/deadline.ts
 */
import * as Backoff from "@holdfast/core/Backoff"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { line, say, tell } from "./story.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const left = Effect.map(
  Deadline.remaining,
  (remaining) =>
    Option.match(remaining, { onNone: () => "no deadline", onSome: (time) => `${Duration.toMillis(time)} ms left` })
)

// On its own it would let a call have 3 seconds, and 3 more for each of two retries.
const policy = Policy.compose(
  Retry.make({ maxRetries: 2, schedule: Backoff.exponential("200 millis", { jitter: "none" }) }),
  Timeout.make("3 seconds", { dependency: "shipping" })
)

const order = Effect.gen(function*() {
  yield* say(`order begins, ${yield* left}`)
  // Nobody waits for the mail, so it may take longer than the order has.
  const mail = yield* Effect.fork(Deadline.detached(
    Effect.flatMap(left, (time) => say(`mail begins, ${time}`)).pipe(
      Effect.zipRight(Effect.sleep("5 seconds")),
      Effect.zipRight(say("mail sent"))
    )
  ))
  yield* Effect.sleep("1.4 seconds") // payment takes most of the time
  yield* say(`payment done, ${yield* left}`)
  yield* policy(Effect.never).pipe(
    Effect.catchTag("TimedOut", (error) => say(error.message))
  )
  yield* say(`user answered, ${yield* left}`)
  return mail
})

const tellGivenUp = ResilienceEvent.listen((event) => {
  if (event._tag === "RetryGivenUp") {
    console.log(line(event.at, `no retry: ${event.reason}`))
  }
})

await tell(Effect.gen(function*() {
  const mail = yield* order.pipe(Deadline.within("2 seconds"), tellGivenUp)
  yield* Fiber.join(mail)

  yield* say("-- a call whose next attempt would come too late is not tried again")
  const late = policy(Effect.zipRight(Effect.sleep("900 millis"), new Busy()))
  yield* late.pipe(Deadline.within("1 second"), tellGivenUp, Effect.catchAll((error) => say(`failed: ${error._tag}`)))
}))

/* Prints:

   0.00 s  order begins, 2000 ms left
   0.00 s  mail begins, no deadline
   1.40 s  payment done, 600 ms left
   2.00 s  The call to shipping was ended by the deadline of its caller (its own limit is 3000 ms)
   2.00 s  user answered, 0 ms left
   5.00 s  mail sent
   5.00 s  -- a call whose next attempt would come too late is not tried again
   5.90 s  no retry: deadline
   5.90 s  failed: Busy
*/
