/** Rejects many calls and tells by how much the heap has grown. */
import * as Effect from "effect/Effect"
import * as CircuitBreaker from "../../../src/CircuitBreaker.js"

declare const gc: () => void

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make({
    name: "rejecting",
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "1 hour"
  })
  yield* Effect.exit(breaker(Effect.die("down")))
  const rejected = Effect.ignore(breaker(Effect.void))
  const many = (calls: number) => Effect.repeatN(rejected, calls - 1)
  yield* many(20_000)
  gc()
  const before = process.memoryUsage().heapUsed
  yield* many(100_000)
  gc()
  console.log(`done, grown ${process.memoryUsage().heapUsed - before}`)
})

Effect.runPromise(program)
