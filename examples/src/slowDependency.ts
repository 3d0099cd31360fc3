/**
 * Why slow is worse than down, in figures: first the arithmetic, then the same measured on sockets, five times as fast. A server has 200 threads;
 * payments, which it calls, takes 30 seconds to answer. Without a timeout every thread waits for it, and nobody is served who only
 * wants to look at the catalog.
 *
 *     node --import tsx examples/src/slowDependency.ts
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { columns, count, table } from "./drawing.js"
import { serve } from "./loopback.js"

const threads = 200
const slowSeconds = 30
const limitSeconds = 2
const patienceSeconds = 5
const dollarsPerSecond = 1_000 * 0.01 * 80 // requests a second, the share of them that buys, dollars an order
const outageSeconds = 8 * 60

/** A second of the story takes a fifth of one. */
const millis = (seconds: number) => seconds * 200

const run = (limit: Policy.Policy<Timeout.TimedOut>) =>
  Effect.scoped(Effect.gen(function*() {
    const plain = yield* HttpClient.HttpClient
    const page = (url: string) => Effect.scoped(Effect.flatMap(plain.get(url), (response) => response.text))

    let takesSeconds = 0.2
    const payments = yield* serve(
      Effect.as(Effect.suspend(() => Effect.sleep(millis(takesSeconds))), HttpServerResponse.text("charged"))
    )
    const guarded = plain.pipe(HttpResilience.withPolicy(limit))

    // As many requests at once as the server has threads; the others wait in front of it.
    const admission = yield* HttpAdmission.make({ maxConcurrent: threads, maxQueue: 1_000 })
    let heldMillis = 0
    const checkout = Effect.suspend(() => {
      const from = performance.now()
      return guarded.get(payments).pipe(
        Effect.as(HttpServerResponse.text("confirmed")),
        Effect.catchAll(() => Effect.succeed(HttpServerResponse.text("pending", { status: 202 }))),
        Effect.ensuring(Effect.sync(() => heldMillis += performance.now() - from))
      )
    })
    const shop = yield* serve(
      HttpRouter.empty.pipe(
        HttpRouter.get("/checkout", checkout),
        HttpRouter.get("/catalog", Effect.succeed(HttpServerResponse.text("kelp, limpet, mussel"))),
        Effect.catchAll(() => Effect.succeed(HttpServerResponse.empty({ status: 404 }))),
        admission.middleware
      )
    )
    // Within two seconds as many customers check out as there are threads.
    const everybodyBuys = Effect.forEach(
      Array.from({ length: threads }, (_, customer) => millis(2 * customer / threads)),
      (comesAfter) => Effect.delay(page(`${shop}/checkout`), comesAfter),
      { concurrency: "unbounded" }
    )
    yield* everybodyBuys // while all is well: connections are opened, and code is compiled
    yield* page(`${shop}/catalog`)
    heldMillis = 0

    takesSeconds = slowSeconds
    const customers = yield* Effect.fork(everybodyBuys)
    // One shopper a second, who wants nothing from payments.
    const held: Array<number> = []
    const shoppers = yield* Effect.forEach(Array.from({ length: slowSeconds }), (_, second) =>
      Effect.sleep(millis(second)).pipe(
        Effect.zipRight(admission.bulkhead.snapshot),
        Effect.tap(({ active }) =>
          Effect.sync(() => held.push(active))
        ),
        Effect.zipRight(page(`${shop}/catalog`)),
        Timeout.make(millis(second + patienceSeconds)),
        Effect.isSuccess
      ), { concurrency: "unbounded" })
    yield* Fiber.join(customers)
    return {
      held,
      threadSeconds: heldMillis / millis(1),
      left: shoppers.filter((served) =>
        !served
      ).length
    }
  }))

const program = Effect.gen(function*() {
  const without = slowSeconds * threads
  const limited = limitSeconds * threads
  const lost = outageSeconds * dollarsPerSecond
  console.log(`By arithmetic
  ${threads} threads x ${slowSeconds} s = ${count(without)} thread-seconds without a timeout
  ${threads} threads x  ${limitSeconds} s =   ${count(limited)} thread-seconds with one of ${limitSeconds} s: ${
    without / limited
  } times less
  1,000 requests/s x 1 % that buy x $80 = $${count(dollarsPerSecond)} a second, $${count(lost)} in ${
    outageSeconds / 60
  } minutes of outage
`)
  const [bare, guarded] = yield* Effect.all([
    run(Policy.identity),
    // A second later, so that the two do not get in each other's way.
    Effect.delay(run(Timeout.make(millis(limitSeconds), { dependency: "payments" })), "1 second")
  ], { concurrency: 2 })
  const chart = ({ held }: { readonly held: ReadonlyArray<number> }) =>
    columns(held, threads, 4).map((line, index) => `${(index === 0 ? String(threads) : "").padStart(5)} |${line}`).join(
      "\n"
    )
  console.log(`Measured on sockets: threads that are held, a character a second
without a timeout
${chart(bare)}
with a timeout of ${limitSeconds} s
${chart(guarded)}
`)
  console.log(table([
    ["", "without", "with"],
    ["thread-seconds", count(bare.threadSeconds), count(guarded.threadSeconds)],
    [
      `shoppers, one a second, who left after ${patienceSeconds} s`,
      ...[bare, guarded].map(({ left }) => `${left} of ${slowSeconds}`)
    ],
    [
      "lost, each of them a second of business",
      ...[bare, guarded].map(({ left }) => `$${count(left * dollarsPerSecond)}`)
    ]
  ]))
})

await Effect.runPromise(program.pipe(Effect.provide(NodeHttpClient.layerUndici)))

/* Prints, for example:

By arithmetic
  200 threads x 30 s = 6,000 thread-seconds without a timeout
  200 threads x  2 s =   400 thread-seconds with one of 2 s: 15 times less
  1,000 requests/s x 1 % that buy x $80 = $800 a second, $384,000 in 8 minutes of outage

Measured on sockets: threads that are held, a character a second
without a timeout
  200 |           ██████████████
      |           ██████████████
      |      ▄▄▄▄▄██████████████
      |  ▇▇▇▇███████████████████
with a timeout of 2 s
  200 |         ██████████████
      |         ██████████████
      |         ██████████████
      |         ██████████████▆▆

                                              without       with
thread-seconds                                 10,634      1,669
shoppers, one a second, who left after 5 s   29 of 30   30 of 30
lost, each of them a second of business       $23,200    $24,000
*/
