/**
 * Bulkhead: one dependency may hold only so many of your workers. Who finds no place is told so at once, and the neighbours
 * notice nothing.
 *
 *     node --import tsx examples/src/patterns/bulkhead.ts
 */
import * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { say, tell } from "./story.js"

const call = (limit: Bulkhead.Bulkhead, who: string, takes: Duration.DurationInput) =>
  Effect.sleep(takes).pipe(
    limit,
    Effect.as(`${who} answered`),
    Effect.catchTag("BulkheadFull", (error) => Effect.succeed(`${who} refused. ${error.message}`)),
    Effect.flatMap(say)
  )

await tell(Effect.gen(function*() {
  // Built once per dependency and kept. A short queue rides out a burst; without maxQueue, who finds no place is refused.
  const payments = yield* Bulkhead.make({ name: "payments", maxConcurrent: 2, maxQueue: 1, maxWait: "1 second" })
  const catalog = yield* Bulkhead.make({ name: "catalog", maxConcurrent: 2 })

  yield* say("-- payments has become slow: 30 seconds a call")
  yield* Effect.all([
    call(payments, "payment 1", "30 seconds"),
    call(payments, "payment 2", "30 seconds"),
    call(payments, "payment 3", "30 seconds"), // waits for a second, in vain
    call(payments, "payment 4", "30 seconds"), // finds even the queue full
    call(catalog, "catalog 1", "20 millis"),
    call(catalog, "catalog 2", "20 millis")
  ], { concurrency: "unbounded" })

  yield* say("-- payments is well again")
  yield* Effect.all([
    call(payments, "payment 5", "200 millis"),
    call(payments, "payment 6", "200 millis"),
    call(payments, "payment 7", "200 millis") // gets the first place that is free
  ], { concurrency: "unbounded" })
  const { active, rejected } = yield* payments.snapshot
  yield* say(`${rejected} refused, ${active} places taken at the end`)
}))

/* Prints:

   0.00 s  -- payments has become slow: 30 seconds a call
   0.00 s  payment 4 refused. The bulkhead of payments is full: 2 of 2 calls run, 1 wait
   0.02 s  catalog 1 answered
   0.02 s  catalog 2 answered
   1.00 s  payment 3 refused. The bulkhead of payments had no place in time: 2 of 2 calls run, 0
           wait
  30.00 s  payment 1 answered
  30.00 s  payment 2 answered
  30.00 s  -- payments is well again
  30.20 s  payment 5 answered
  30.20 s  payment 6 answered
  30.40 s  payment 7 answered
  30.40 s  2 refused, 0 places taken at the end
*/
