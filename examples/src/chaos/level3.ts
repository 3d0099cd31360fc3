/**
 * Chaos, level 3: random latency on every dependency. Slow is worse than down: nothing fails, everything waits. The run has a seed, and
 * every order a request id, so what went wrong can be played again, order by order.
 *
 *     node --import tsx examples/src/chaos/level3.ts
 */
import * as Chaos from "@holdfast/core/Chaos"
import * as ChaosCheck from "@holdfast/core/ChaosCheck"
import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
import * as Deadline from "@holdfast/core/Deadline"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import { foldLines } from "../drawing.js"
import { tell } from "../patterns/story.js"

// -- the system: an order goes to three services -----------------------------------------------------------------------------------

class Inventory extends Dependency.Service<Inventory>()("inventory", {
  attemptTimeout: "1500 millis",
  // No second try for a number that may be estimated: with one retry of a second this very experiment was refuted.
  retry: false,
  chaos: true
}) {}
class Payment extends Dependency.Service<Payment>()("payment", {
  totalTimeout: "6 seconds",
  attemptTimeout: "5 seconds",
  operations: { charge: { repeatable: false } },
  chaos: true
}) {}
class Mail extends Dependency.Service<Mail>()("mail", { chaos: true }) {}

const takes = (millis: number) => Effect.delay(Effect.succeed("done"), millis)
const estimated = Fallback.make({
  name: "stock",
  tiers: [Fallback.value("estimated", { notice: "Stock is estimated" })]
})

const place = (order: string) =>
  Effect.gen(function*() {
    const stock = yield* takes(50).pipe(Inventory.call({ requestId: order }), estimated)
    yield* takes(300).pipe(Payment.call({ operation: "charge", requestId: order }))
    // Nobody waits for the mail; it outlives the order and its deadline.
    yield* takes(150).pipe(Mail.call({ requestId: order }), Effect.ignore, Deadline.detached, Effect.forkDaemon)
    return stock
  })

// -- the experiment ------------------------------------------------------------------------------------------------------------------

let orders = 0
const nextOrder = Effect.suspend(() => place(`order-${++orders}`))

const experiment = ChaosExperiment.make(nextOrder, {
  name: "everything is slow",
  hypothesis: "With up to 3 seconds of latency on every dependency, every order is placed within 5 seconds.",
  faults: Fault.latency({ from: "0 seconds", to: "3 seconds" }),
  steadyState: [
    ChaosCheck.every("every order is placed", ({ exit }) => Exit.isSuccess(exit)),
    ChaosCheck.within("every order is placed within a second", "1 second")
  ],
  expect: [
    ChaosCheck.every("every order is placed", ({ exit }) => Exit.isSuccess(exit)),
    ChaosCheck.within("every order is placed within 5 seconds", "5 seconds"),
    ChaosCheck.most(
      "the stock is known for 40 % of them",
      0.4,
      ({ exit }) => Exit.isSuccess(exit) && exit.value === "done"
    )
  ],
  abortWhen: [ChaosCheck.moreThan("more than 3 orders failed", 3, ({ exit }) => Exit.isFailure(exit))],
  probes: 40,
  every: "1 second"
})

const run = Effect.gen(function*() {
  orders = 0
  const verdict = yield* experiment.run
  return { verdict, report: yield* Chaos.report }
}).pipe(
  Effect.provide(Chaos.layer({ seed: 7 })),
  // Chaos has dice of its own. Whatever else is left to chance, the jitter of a retry, draws from here.
  Effect.withRandom(Random.make(7))
)

const program = Effect.gen(function*() {
  const { report, verdict } = yield* run
  yield* Console.log(foldLines(`${verdict.text}\n\n${Chaos.format(report)}\n`, 5))
  const again = yield* run
  yield* Console.log(
    again.verdict.text === verdict.text
      ? "Played again with the same seed: the same verdict, to the millisecond"
      : `Played again with the same seed, but not the same:\n${again.verdict.text}`
  )
})

await tell(program.pipe(
  Effect.provide(Layer.mergeAll(Inventory.layer, Payment.layer, Mail.layer)),
  Logger.withMinimumLogLevel(LogLevel.Error)
))

/* Prints:

Experiment: everything is slow
  1. Hypothesis: With up to 3 seconds of latency on every dependency, every order is placed within 5
     seconds.
  2. Steady state
     yes  every order is placed: 40 of 40
     yes  every order is placed within a second: the slowest took 350ms
  3. Injected: latency of 0 to 3s in every attempt at every dependency. It hit 121 times
  4. Observed, 40 probes
     yes  every order is placed: 40 of 40
     yes  every order is placed within 5 seconds: the slowest took 4s 572ms
     yes  the stock is known for 40 % of them: 21 of 40
     The fault was taken out, and the steady state was back at once
  5. Verdict: HELD. All that was expected held, and the steady state came back.

Chaos with seed 7
  inventory: 40 of 40 attempts disturbed (40 x latency)
  mail: 41 of 41 attempts disturbed (41 x latency)
  payment: 40 of 40 attempts disturbed (40 x latency)
  121 attempts drawn by request id: seed 7 gives the same again in any order

Played again with the same seed: the same verdict, to the millisecond
*/
