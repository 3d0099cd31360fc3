/**
 * Rate limiter: at most so many calls per time, from a bucket of tokens that fills at a steady rate. A burst empties the
 * bucket; who finds it empty learns when to come again, or waits in line.
 *
 *     node --import tsx examples/src/patterns/rateLimiter.ts
 */
import type * as Call from "@holdfast/core/Call"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Effect from "effect/Effect"
import { say, tell } from "./story.js"

const call = (limiter: RateLimiter.RateLimiter, what: string, facts: Call.Facts = {}) =>
  Effect.void.pipe(
    limiter.with(facts),
    Effect.as(`${what} passed`),
    Effect.catchTag("RateLimited", (error) => Effect.succeed(`${what} refused. ${error.message}`)),
    Effect.flatMap(say)
  )

const burst = (limiter: RateLimiter.RateLimiter, calls: number) =>
  Effect.forEach(Array.from({ length: calls }, (_, index) => `call ${index + 1}`), (what) => call(limiter, what), {
    concurrency: "unbounded"
  })

await tell(Effect.gen(function*() {
  yield* say("-- 2 tokens a second, a bucket of 4: a burst of 5")
  const refusing = yield* RateLimiter.make({ name: "search", rate: 2, capacity: 4 })
  yield* burst(refusing, 5)
  yield* Effect.sleep("500 millis")
  yield* call(refusing, "the same call, half a second later,")

  yield* say("-- the same for calls that may wait a second in line")
  const queueing = yield* RateLimiter.make({ name: "mails", rate: 2, capacity: 4, maxWait: "1 second" })
  yield* burst(queueing, 7)

  yield* say("-- a bucket for each customer; a report costs three tokens, a health check none")
  const perCustomer = yield* RateLimiter.make({
    name: "api",
    rate: 2,
    capacity: 4,
    maximumKeys: 10_000,
    bypass: ({ operation }) => operation === "GET /health"
  })
  yield* call(perCustomer, "a report for acme", { key: "acme", cost: 3 })
  yield* call(perCustomer, "another report for acme", { key: "acme", cost: 3 })
  yield* call(perCustomer, "a report for zenith", { key: "zenith", cost: 3 })
  yield* call(perCustomer, "acme's health check", { key: "acme", operation: "GET /health" })
}))

/* Prints:

   0.00 s  -- 2 tokens a second, a bucket of 4: a burst of 5
   0.00 s  call 1 passed
   0.00 s  call 2 passed
   0.00 s  call 3 passed
   0.00 s  call 4 passed
   0.00 s  call 5 refused. The rate limit of search is used up; try again in 500ms
   0.50 s  the same call, half a second later, passed
   0.50 s  -- the same for calls that may wait a second in line
   0.50 s  call 1 passed
   0.50 s  call 2 passed
   0.50 s  call 3 passed
   0.50 s  call 4 passed
   0.50 s  call 7 refused. The rate limit of mails is used up; try again in 1s 500ms
   1.00 s  call 5 passed
   1.50 s  call 6 passed
   1.50 s  -- a bucket for each customer; a report costs three tokens, a health check none
   1.50 s  a report for acme passed
   1.50 s  another report for acme refused. The rate limit of api for "acme" is used up; try again
           in 1s
   1.50 s  a report for zenith passed
   1.50 s  acme's health check passed
*/
