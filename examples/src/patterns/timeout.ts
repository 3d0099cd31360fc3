/**
 * Timeout: a promise not to wait for ever. What is stopped gives back what it held before its caller goes on.
 *
 *     node --import tsx examples/src/patterns/timeout.ts
 */
import * as Backoff from "@holdfast/core/Backoff"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { say, tell } from "./story.js"

/** A call that holds a connection for as long as the dependency takes. */
const query = (takes: Duration.DurationInput) =>
  Effect.acquireUseRelease(
    say("connection taken"),
    () => Effect.as(Effect.sleep(takes), "answered"),
    () => say("connection given back")
  )

// Measured: 99 of 100 calls answer within 500 ms. The limit is twice that.
const attempt = Timeout.make(Timeout.fromLatency({ p99: "500 millis" }), { dependency: "prices" })

// Outermost first: 2.5 seconds in all, however many attempts of 1 second fit into them.
const call = Policy.compose(
  Timeout.make("2.5 seconds", { scope: "total", dependency: "prices" }),
  Retry.make({ maxRetries: 5, schedule: Backoff.none }),
  attempt
)

const ask = (what: string, limit: Policy.Policy<Timeout.TimedOut>, takes: Duration.DurationInput) =>
  Effect.gen(function*() {
    yield* say(`-- ${what}`)
    yield* query(takes).pipe(
      limit,
      Effect.catchTag("TimedOut", (error) => Effect.succeed(`${error.message} [${error.scope}]`)),
      Effect.flatMap(say)
    )
  })

await tell(Effect.gen(function*() {
  yield* ask("a healthy answer", attempt, "300 millis")
  yield* ask("an answer that would take 30 seconds", attempt, "30 seconds")
  yield* ask("the same, with retries within a limit for the whole call", call, "30 seconds")
}))

/* Prints:

   0.00 s  -- a healthy answer
   0.00 s  connection taken
   0.30 s  connection given back
   0.30 s  answered
   0.30 s  -- an answer that would take 30 seconds
   0.30 s  connection taken
   1.30 s  connection given back
   1.30 s  The call to prices timed out after 1000 ms (attempt 1 of 1) [attempt]
   1.30 s  -- the same, with retries within a limit for the whole call
   1.30 s  connection taken
   2.30 s  connection given back
   2.30 s  connection taken
   3.30 s  connection given back
   3.30 s  connection taken
   3.80 s  connection given back
   3.80 s  The call to prices timed out after 2500 ms in all (attempt 3 of 6) [total]
*/
