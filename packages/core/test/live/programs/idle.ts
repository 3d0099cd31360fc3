/** Uses policies as a process does, and then has nothing left to do. */
import * as Effect from "effect/Effect"
import * as Backoff from "../../../src/Backoff.js"
import * as CircuitBreaker from "../../../src/CircuitBreaker.js"
import * as Retry from "../../../src/Retry.js"
import * as Timeout from "../../../src/Timeout.js"

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make({
    name: "idle",
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "30 seconds"
  })
  const limit = Timeout.make("60 seconds", { scope: "total" })
  yield* limit(Effect.sleep(1))
  yield* Effect.exit(limit(breaker(Effect.die("down"))))
  const state = yield* breaker.state.get
  if (state._tag !== "Open") {
    return yield* Effect.dieMessage(`the circuit is ${state._tag}`)
  }
  const caller = yield* Effect.fork(
    Retry.make({ schedule: Backoff.constant("60 seconds", { jitter: "none" }) })(Effect.timeout(Effect.never, 1))
  )
  yield* Effect.sleep(20)
  yield* caller.interruptAsFork(caller.id())
})

// Told by the process itself: how long a machine that is busy needs to take it down is not the question.
Effect.runPromise(program).then(() => {
  const done = performance.now()
  process.on("exit", () => console.log(`done, ended after ${(performance.now() - done).toFixed(1)} ms`))
})
