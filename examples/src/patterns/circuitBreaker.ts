/**
 * Circuit breaker: while a dependency is down, callers are told so at once, and it is left alone until a single probe finds it
 * well.
 *
 *     node --import tsx examples/src/patterns/circuitBreaker.ts
 */
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { line, say, tell } from "./story.js"

class Down extends Failure.Retryable("Down")<{}> {}

await tell(
  Effect.gen(function*() {
    // Down for 45 seconds, in which it takes a request two seconds to fail.
    let requests = 0
    const payments = Effect.gen(function*() {
      requests++
      return (yield* Clock.currentTimeMillis) < 45_000
        ? yield* Effect.zipRight(Effect.sleep("2 seconds"), new Down())
        : "charged"
    })

    // Built once and kept: a breaker made anew for every call never sees two failures.
    const breaker = yield* CircuitBreaker.make({
      name: "payments",
      tripPolicy: CircuitBreaker.consecutive(5),
      openDuration: "30 seconds",
      openJitter: 0 // the default spreads it by 10 %, so that a fleet does not probe in step
    })
    const counts: Record<string, number> = {}
    let lastWords = ""
    const charge = payments.pipe(
      breaker,
      Effect.catchTags({
        Down: () => Effect.succeed("failed"),
        CircuitOpen: (error) => Effect.sync(() => (lastWords = error.message)).pipe(Effect.as("told at once"))
      }),
      Effect.map((result) => counts[result] = (counts[result] ?? 0) + 1)
    )

    // A customer comes every second.
    yield* say("closed: payments is down, and nobody knows")
    for (let second = 0; second < 90; second++) {
      yield* Effect.fork(charge)
      yield* Effect.sleep("1 second")
      if (second === 20) {
        yield* say(`what customers are told: ${lastWords}`)
      }
    }
    yield* say(
      `90 customers, ${requests} requests: ${
        Object.entries(counts).map(([what, many]) => `${many} ${what}`).join(", ")
      }`
    )
  }).pipe(ResilienceEvent.listen((event) => {
    switch (event._tag) {
      case "CircuitOpened":
        return console.log(line(event.at, `OPEN for ${Duration.toSeconds(event.openDuration!)} seconds`))
      case "CircuitHalfOpened":
        return console.log(line(event.at, "HALF-OPEN: the call of one customer is the probe"))
      case "CircuitClosed":
        return console.log(line(event.at, "CLOSED"))
    }
  }))
)

/* Prints:

   0.00 s  closed: payments is down, and nobody knows
   6.00 s  OPEN for 30 seconds
  21.00 s  what customers are told: The circuit of payments is open; try again in 16s
  36.00 s  HALF-OPEN: the call of one customer is the probe
  38.00 s  OPEN for 30 seconds
  68.00 s  HALF-OPEN: the call of one customer is the probe
  68.00 s  CLOSED
  90.00 s  90 customers, 29 requests: 7 failed, 61 told at once, 22 charged
*/
