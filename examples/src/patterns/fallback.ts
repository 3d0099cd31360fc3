/**
 * Fallback: an ordered hierarchy of poorer answers for a dependency that has none. Every answer knows where it comes from, so
 * that the user can be told; an answer that is too old is not served; and the hierarchy is rehearsed before it is needed.
 *
 *     node --import tsx examples/src/patterns/fallback.ts
 */
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Effect from "effect/Effect"
import { say, tell } from "./story.js"

class Unreachable extends Failure.Retryable("Unreachable")<{}> {}
class NoSuchUser extends Failure.Permanent("NoSuchUser")<{}> {}

await tell(Effect.gen(function*() {
  let up = true
  const service = (user: string) =>
    Effect.gen(function*() {
      if (user === "nobody") {
        return yield* new NoSuchUser()
      }
      return up ? [`a lamp for ${user}`] : yield* new Unreachable()
    })

  // The last good answer of each user, kept by key: one user must not see what was meant for another.
  const lastGood = yield* Fallback.cached({
    name: "cached",
    key: (user: string) => user,
    capacity: 10_000,
    serveFor: "1 hour",
    notice: "These may be a little old"
  })
  const recommendations = Fallback.make({
    name: "recommendations",
    tiers: [
      lastGood.tier,
      Fallback.tier({
        name: "popular",
        kind: "degrade",
        notice: "Showing what is popular",
        run: ({ input }) =>
          input === "dave" ? Effect.fail("the shelf is empty") : Effect.succeed(["a kettle", "a chair"])
      }),
      Fallback.disabled([], { notice: "Recommendations are off for now" })
    ]
  })
  const show = (user: string) =>
    service(user).pipe(
      Fallback.withSource(recommendations).with(user), // an answer that tells its source
      Effect.map(({ notice, source, value }) => `${user}: ${value.join(", ") || "nothing"} (${notice ?? source})`),
      Effect.catchTag("NoSuchUser", () => Effect.succeed(`${user}: no such user`)), // an answer, not an outage
      Effect.flatMap(say)
    )

  // Every tier is run against made-up failures, in CI or as here at the start: one that throws would be found now.
  const { tiers } = yield* Fallback.rehearse([recommendations], { input: "a rehearsal" })
  yield* say(`-- rehearsed: all ${tiers} tiers answer`)
  yield* show("alice")
  yield* Effect.sleep("10 minutes")
  yield* say("-- ten minutes later the service goes down")
  up = false
  yield* show("alice")
  yield* show("bob")
  yield* show("dave")
  yield* show("nobody")
  yield* say("-- two hours later")
  yield* Effect.sleep("2 hours")
  yield* show("alice")
}))

/* Prints:

   0.00 s  -- rehearsed: all 3 tiers answer
   0.00 s  alice: a lamp for alice (primary)
 600.00 s  -- ten minutes later the service goes down
 600.00 s  alice: a lamp for alice (These may be a little old)
 600.00 s  bob: a kettle, a chair (Showing what is popular)
 600.00 s  dave: nothing (Recommendations are off for now)
 600.00 s  nobody: no such user
 600.00 s  -- two hours later
7800.00 s  alice: a kettle, a chair (Showing what is popular)
*/
