import * as Core from "@holdfast/core/RateLimiter"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { bug, ofSweep, type Protect } from "./bug.js"

const everyMillis = 10_000

/** Gives each call its instant, in order, and never takes one back. */
const reserves = Effect.sync((): Protect => {
  let next = 0
  return (effect) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const mine = Math.max(next, now)
      next = mine + everyMillis
      return Effect.zipRight(Effect.sleep(mine - now), effect)
    })
})

export const tokenLost = bug<Protect>({
  policy: "RateLimiter",
  title: "a call that is interrupted while it waits keeps its token",
  tool: "OperationSweep",
  broken: () => reserves,
  real: () => Core.make({ name: "payments", rate: 1000 / everyMillis, capacity: 1, maxWait: "1 hour" }),
  check: (make) =>
    Effect.map(
      OperationSweep.run({
        // The token of this moment is taken.
        make: () =>
          Effect.gen(function*() {
            const protect = yield* make()
            yield* Effect.orDie(protect(Effect.void))
            return { protect, calls: 0 }
          }),
        body: (world) => world.protect(Effect.sync(() => world.calls++)),
        modes: ["idle"],
        check: (world) =>
          Effect.map(Effect.orDie(world.protect(Clock.currentTimeMillis)), (at) => {
            const due = (world.calls + 1) * everyMillis
            return at <= due
              ? ""
              : `the next call had to wait until ${at / 1000} s; its token was there at ${due / 1000} s`
          })
      }),
      ofSweep
    )
})
