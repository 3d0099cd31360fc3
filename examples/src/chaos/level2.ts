/**
 * Chaos, level 2: kill a dependency that is critical. The first run is aborted, since customers get error pages; then what broke is
 * mended, and the experiment is run again.
 *
 *     node --import tsx examples/src/chaos/level2.ts
 */
import * as Chaos from "@holdfast/core/Chaos"
import * as ChaosCheck from "@holdfast/core/ChaosCheck"
import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fault from "@holdfast/core/Fault"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { foldLines } from "../drawing.js"
import { tell } from "../patterns/story.js"

class Payment extends Dependency.Service<Payment>()("payment", {
  attemptTimeout: "2 seconds",
  // A charge must not be made twice: an attempt that may have arrived is not repeated.
  operations: { charge: { repeatable: false } },
  chaos: true
}) {}

/** The books of the payment service: what it really did. */
const charged: Array<string> = []

const charge = (order: string) =>
  Effect.delay(Effect.sync(() => charged.push(order)), "200 millis").pipe(
    Payment.call({ operation: "charge", requestId: order }),
    Effect.as("paid")
  )

// -- before: an order is as good as the payment service ------------------------------------------------------------------------

let orders = 0
const nextOrder = Effect.sync(() => `order-${++orders}`)
const before = Effect.flatMap(nextOrder, charge)

// -- after: an order that cannot be paid now is accepted, written down, and paid later ------------------------------------------

const pending: Array<string> = []
const accept = (order: string) =>
  Effect.sync(() => {
    pending.push(order)
    return "accepted, we tell you when it is paid"
  })

const after = Effect.flatMap(nextOrder, (order) =>
  charge(order).pipe(
    // Every way in which payment can fail is in the type; one that is left out here stays in it.
    Effect.catchTags({
      TimedOut: () => accept(order),
      CircuitOpen: () => accept(order),
      InjectedFailure: () => accept(order)
    })
  ))

// -- the experiment, the same for both --------------------------------------------------------------------------------------------

const answered = ChaosCheck.every("every order is answered", ({ exit }) => Exit.isSuccess(exit))

const killPayment = <E, R>(name: string, order: Effect.Effect<string, E, R>) =>
  ChaosExperiment.make(order, {
    name,
    hypothesis: "If payment is down, every customer has an answer within 3 seconds, and no order is lost.",
    // Some attempts hang, the others fail: a service that dies does both.
    faults: [Fault.hang({ dependency: "payment", probability: 0.3 }), Fault.failure({ dependency: "payment" })],
    // An accepted order is an answer, but not the steady state: afterwards orders must be paid at once again.
    steadyState: [
      ChaosCheck.every("every order is paid at once", ({ exit }) => Exit.isSuccess(exit) && exit.value === "paid"),
      ChaosCheck.within("every order is answered within a second", "1 second")
    ],
    expect: [answered, ChaosCheck.within("every order is answered within 3 seconds", "3 seconds")],
    abortWhen: [ChaosCheck.moreThan("more than 3 customers have seen an error", 3, ({ exit }) => Exit.isFailure(exit))],
    probes: 20,
    every: "500 millis"
  })

const program = Effect.gen(function*() {
  const first = yield* killPayment("payment is down, before", before).run
  yield* Console.log(foldLines(first.text, 5))
  const second = yield* killPayment("payment is down, after", after).run
  yield* Console.log(foldLines(`\n${second.text}\n`, 5))

  // Payment is well again: what was accepted is paid, once.
  const waiting = [...pending]
  yield* Effect.forEach(waiting, charge)
  const times = (order: string) => charged.filter((one) => one === order).length
  const once = waiting.every((order) => times(order) === 1)
  yield* Console.log(
    `${waiting.length} orders were accepted without payment; ${
      once ? "each is paid now, once" : "NOT each is paid once"
    }`
  )
})

await tell(program.pipe(
  Effect.provide(Layer.merge(Payment.layer, Chaos.layer({ seed: 1 }))),
  Logger.withMinimumLogLevel(LogLevel.Error)
))

/* Prints:

Experiment: payment is down, before
  1. Hypothesis: If payment is down, every customer has an answer within 3 seconds, and no order is
     lost.
  2. Steady state
     yes  every order is paid at once: 20 of 20
     yes  every order is answered within a second: the slowest took 200ms
  3. Injected: hang in 30 % of the attempts at payment; failure in every attempt at payment. It hit
     4 times
  4. Observed, 4 probes
     NO   every order is answered: 0 of 4
     yes  every order is answered within 3 seconds: the slowest took 2s
     The fault was taken out, and the steady state was back at once
  5. Verdict: ABORTED. The fault was taken out early: more than 3 customers have seen an error (4 of
     4).

Experiment: payment is down, after
  1. Hypothesis: If payment is down, every customer has an answer within 3 seconds, and no order is
     lost.
  2. Steady state
     yes  every order is paid at once: 20 of 20
     yes  every order is answered within a second: the slowest took 200ms
  3. Injected: hang in 30 % of the attempts at payment; failure in every attempt at payment. It hit
     10 times
  4. Observed, 20 probes
     yes  every order is answered: 20 of 20
     yes  every order is answered within 3 seconds: the slowest took 2s
     The fault was taken out, and the steady state was back after 24s 500ms
  5. Verdict: HELD. All that was expected held, and the steady state came back.

69 orders were accepted without payment; each is paid now, once
*/
