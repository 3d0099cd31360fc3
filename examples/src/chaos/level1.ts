/**
 * Chaos, level 1: kill a dependency that is not critical. The experiment of everybody's first afternoon, in five steps.
 *
 *     node --import tsx examples/src/chaos/level1.ts
 */
import * as Chaos from "@holdfast/core/Chaos"
import * as ChaosCheck from "@holdfast/core/ChaosCheck"
import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { foldLines } from "../drawing.js"
import { tell } from "../patterns/story.js"

// -- the system: a product page that needs the catalog, and would like recommendations ----------------------------------------

// `chaos: true` makes a place for faults, innermost. Without the layer at the end of this page nothing ever happens there.
class Catalog extends Dependency.Service<Catalog>()("catalog", { chaos: true }) {}
class Recommendations extends Dependency.Service<Recommendations>()("recommendations", {
  totalTimeout: "1500 millis",
  attemptTimeout: "500 millis",
  retry: { maxRetries: 1 },
  chaos: true
}) {}

const product = Effect.delay(Effect.succeed("a lamp"), "80 millis").pipe(Catalog.call)
const personal = Effect.delay(Effect.succeed(["a dimmer", "warm bulbs"]), "120 millis").pipe(Recommendations.call)
const popular = Fallback.make({ name: "popular", tiers: [Fallback.value(["bulbs", "batteries"])] })

const page = Effect.zipWith(product, popular(personal), (shown, besides) => ({ shown, besides }))

// -- step 1: a hypothesis, a sentence that can turn out to be wrong -----------------------------------------------------------

const loads = ChaosCheck.every("every page loads", ({ exit }) => Exit.isSuccess(exit))

const experiment = ChaosExperiment.make(page, {
  name: "recommendations are down",
  hypothesis: "If the recommendation service is down, the product page still loads in under 2 seconds, " +
    "showing popular products instead of personal ones.",

  // -- step 2: what is healthy. A system that is not is left alone ------------------------------------------------------------
  steadyState: [
    loads,
    ChaosCheck.every(
      "every page is personal",
      ({ exit }) => Exit.isSuccess(exit) && exit.value.besides.includes("a dimmer")
    )
  ],

  // -- step 3: the fault. Never begin with payment or with login --------------------------------------------------------------
  faults: Fault.failure({ dependency: "recommendations" }),

  // -- step 4: what to look at, and when to stop at once ----------------------------------------------------------------------
  expect: [
    loads,
    ChaosCheck.within("every page loads in under 2 seconds", "2 seconds"),
    ChaosCheck.every(
      "every page shows what is popular",
      ({ exit }) => Exit.isSuccess(exit) && exit.value.besides.includes("bulbs")
    ),
    ChaosCheck.check("the circuit opened", (seen) => seen.heard("CircuitOpened") === 1)
  ],
  abortWhen: [ChaosCheck.moreThan("more than 2 pages are blank", 2, ({ exit }) => Exit.isFailure(exit))],
  probes: 30,
  every: "1 second"
})

// -- step 5: the verdict ------------------------------------------------------------------------------------------------------

const program = Effect.gen(function*() {
  const verdict = yield* experiment.run
  yield* Console.log(foldLines(verdict.text, 5))
})

await tell(program.pipe(
  Effect.provide(Layer.mergeAll(Catalog.layer, Recommendations.layer, Chaos.layer({ seed: 1 }))),
  Logger.withMinimumLogLevel(LogLevel.Error)
))

/* Prints:

Experiment: recommendations are down
  1. Hypothesis: If the recommendation service is down, the product page still loads in under 2
     seconds, showing popular products instead of personal ones.
  2. Steady state
     yes  every page loads: 30 of 30
     yes  every page is personal: 30 of 30
  3. Injected: failure in every attempt at recommendations. It hit 20 times
  4. Observed, 30 probes
     yes  every page loads: 30 of 30
     yes  every page loads in under 2 seconds: the slowest took 255ms
     yes  every page shows what is popular: 30 of 30
     yes  the circuit opened: yes
     The fault was taken out, and the steady state was back after 10s
  5. Verdict: HELD. All that was expected held, and the steady state came back.
*/
