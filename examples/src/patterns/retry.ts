/**
 * Retry with backoff and jitter: tries again what another try may cure, each time later, and never at the same moment as
 * everybody else. What an error means is said by its base class, so nothing has to be listed at the call.
 *
 *     node --import tsx examples/src/patterns/retry.ts
 */
import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { line, say, tell } from "./story.js"

class Busy extends Failure.Retryable("Busy")<{}> {}
class UnknownCustomer extends Failure.Permanent("UnknownCustomer")<{}> {}

/** A dependency that fails a number of times and then answers. */
const dependency = <E>(failures: number, error: E) => {
  let requests = 0
  return Effect.suspend(() => {
    requests++
    return Effect.zipRight(
      say(`request ${requests}`),
      requests > failures ? Effect.succeed("answered") : Effect.fail(error)
    )
  })
}

// 200 ms, 400 ms, 800 ms, ... at most 5 s, each drawn anew from 0 up to that: full jitter is the default
const backoff = Backoff.exponential("200 millis", { cap: "5 seconds" })

const retry = Retry.make({ maxRetries: 3, schedule: backoff })

const tellWaits = ResilienceEvent.listen((event) => {
  if (event._tag === "RetryScheduled") {
    const drawn = `${Duration.toMillis(event.delay).toFixed(0)} ms of ${backoff.largest(event.call.attempt - 1)}`
    console.log(line(event.at, `retry ${event.call.attempt} in ${drawn}`))
  }
})

const report = <E extends { readonly _tag: string }>(call: Effect.Effect<string, E>) =>
  call.pipe(tellWaits, Effect.catchAll((error) => Effect.succeed(`failed: ${error._tag}`)), Effect.flatMap(say))

await tell(Effect.gen(function*() {
  yield* say("-- two failures that pass")
  yield* report(retry(dependency(2, new Busy())))
  yield* say("-- an outage: after three retries the last error comes out as it was")
  yield* report(retry(dependency(Infinity, new Busy())))
  yield* say("-- an answer that will not change is not asked for again")
  yield* report(retry(dependency(Infinity, new UnknownCustomer())))
  yield* say("-- a charge must not be made twice, and this failure does not prove that none was made")
  yield* report(retry.with({ repeatable: false })(dependency(2, new Busy())))
}))

/* Prints:

   0.00 s  -- two failures that pass
   0.00 s  request 1
   0.00 s  retry 1 in 59 ms of 200
   0.06 s  request 2
   0.06 s  retry 2 in 282 ms of 400
   0.34 s  request 3
   0.34 s  answered
   0.34 s  -- an outage: after three retries the last error comes out as it was
   0.34 s  request 1
   0.34 s  retry 1 in 144 ms of 200
   0.49 s  request 2
   0.49 s  retry 2 in 140 ms of 400
   0.63 s  request 3
   0.63 s  retry 3 in 688 ms of 800
   1.31 s  request 4
   1.31 s  failed: Busy
   1.31 s  -- an answer that will not change is not asked for again
   1.31 s  request 1
   1.31 s  failed: UnknownCustomer
   1.31 s  -- a charge must not be made twice, and this failure does not prove that none was made
   1.31 s  request 1
   1.31 s  failed: Busy
*/
