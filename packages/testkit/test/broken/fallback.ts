import * as Core from "@holdfast/core/Fallback"
import * as ScriptedDependency from "@holdfast/testkit/ScriptedDependency"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { bug } from "./bug.js"

type WithFallback = (effect: Effect.Effect<string, "busy">) => Effect.Effect<string>

const serveFor = 60_000

export const staleServed = bug<WithFallback>({
  policy: "Fallback",
  title: "an answer is served long after it went stale",
  tool: "VirtualClock",
  // Remembers the last good answer, and not when it was one.
  broken: () =>
    Effect.sync(() => {
      let last = "no rates"
      return (effect) =>
        effect.pipe(
          Effect.tap((answer) => Effect.sync(() => (last = answer))),
          Effect.orElse(() => Effect.sync(() => last))
        )
    }),
  real: () =>
    Effect.map(Core.cached({ key: (_: string) => "rates", capacity: 1, serveFor }), (lastGood): WithFallback => {
      const fallback = Core.tiers(lastGood.tier, Core.value("no rates"))
      return (effect) => Effect.orDie(fallback.with("rates")(effect))
    }),
  check: (make) =>
    Effect.gen(function*() {
      const rates = yield* ScriptedDependency.make<void, string, "busy">()
      yield* rates.script([Effect.succeed("1.08"), Effect.fail("busy"), Effect.fail("busy")])
      const ask = (yield* make())(rates.call())
      yield* ask
      const wrong: Array<string> = []
      for (const [waited, expected] of [[serveFor / 2, "1.08"], [serveFor * 2, "no rates"]] as const) {
        yield* Effect.sleep(waited)
        const answer = yield* ask
        const age = yield* Clock.currentTimeMillis
        if (answer !== expected) wrong.push(`served ${answer} after ${age / 1000} s, and may for ${serveFor / 1000} s`)
      }
      yield* rates.finished
      return wrong.join("; ")
    }).pipe(VirtualClock.run)
})
