/**
 * Retry budget: retries may be a fifth of the calls and no more. A blip is retried as before; in an outage, where retries cure
 * nothing, they stop multiplying the load.
 *
 *     node --import tsx examples/src/patterns/retryBudget.ts
 */
import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Effect from "effect/Effect"
import { say, tell } from "./story.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

/** Makes 100 calls, one every 10 ms, of which every nth fails at its first attempt, or each at every attempt. */
const calls = (fails: (call: number, attempt: number) => boolean, budget?: RetryBudget.RetryBudget) =>
  Effect.gen(function*() {
    let requests = 0
    let answered = 0
    const retry = Retry.make({ maxRetries: 3, schedule: Backoff.none, budget })
    for (let call = 1; call <= 100; call++) {
      let attempt = 0
      const request = Effect.suspend(() => {
        requests++
        return fails(call, ++attempt) ? new Busy() : Effect.void
      })
      answered += yield* retry(request).pipe(Effect.as(1), Effect.catchTag("Busy", () => Effect.succeed(0)))
      yield* Effect.sleep("10 millis")
    }
    return `100 calls, ${requests} requests, ${answered} answered`
  })

const blip = (call: number, attempt: number) => call % 10 === 0 && attempt === 1
const outage = () => true

await tell(Effect.gen(function*() {
  yield* say("-- one call in ten fails once")
  yield* say(`no budget    ${yield* calls(blip)}`)
  yield* say(`budget       ${yield* calls(blip, yield* RetryBudget.make())}`)
  yield* say("-- an outage")
  yield* say(`no budget    ${yield* calls(outage)}`)
  // 20 % of the calls of the last ten seconds, and one per second whatever the traffic: 20 + 10 here
  yield* say(`budget       ${yield* calls(outage, yield* RetryBudget.make({ percent: 0.2, minimumPerSecond: 1 }))}`)
  // gRPC's rule: no retries while more than half of ten tokens are spent by failures
  yield* say(`throttle     ${yield* calls(outage, yield* RetryBudget.throttle())}`)
}))

/* Prints:

   0.00 s  -- one call in ten fails once
   1.00 s  no budget    100 calls, 110 requests, 100 answered
   2.00 s  budget       100 calls, 110 requests, 100 answered
   2.00 s  -- an outage
   3.00 s  no budget    100 calls, 400 requests, 0 answered
   4.00 s  budget       100 calls, 130 requests, 0 answered
   5.00 s  throttle     100 calls, 103 requests, 0 answered
*/
