/**
 * Why slow is worse than down, in figures: first the arithmetic, then the same measured on sockets, five times as fast. A
 * server has 200 threads; payments, which it calls, takes 30 seconds to answer. Without a timeout every thread waits for it,
 * and nobody is served who only wants to look at the catalog.
 *
 *     node --import tsx examples/src/slowDependency.ts
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { columns, count, table } from "./drawing.js"
import { run } from "./loopback.js"
import { upstream } from "./upstream.js"

const threads = 200
const slowSeconds = 30
const limitSeconds = 2
const patienceSeconds = 5
const dollarsPerSecond = 1_000 * 0.01 * 80 // requests a second, the share of them that buys, dollars an order
const outageSeconds = 8 * 60

/** A second of the story takes a fifth of one. */
const millis = (seconds: number) => seconds * 200

const observe = (limit: Policy.Policy<Timeout.TimedOut>) =>
  Effect.scoped(Effect.gen(function*() {
    let takesSeconds = 0.2
    const payments = yield* upstream(() =>
      new Promise((answer) => setTimeout(answer, millis(takesSeconds), { body: "charged" }))
    )
    const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.withPolicy(limit))

    // The threads of the server: as many requests at once as there are threads, the others wait in front of it.
    const server = yield* Bulkhead.make({ name: "server", maxConcurrent: threads, maxQueue: 1_000 })
    let heldMillis = 0
    const checkout = server(Effect.suspend(() => {
      const from = performance.now()
      return client.get(payments).pipe(
        Effect.as("confirmed"),
        Effect.catchAll(() => Effect.succeed("pending")),
        Effect.ensuring(Effect.sync(() => heldMillis += performance.now() - from))
      )
    }))
    const catalog = server(Effect.succeed("kelp, limpet, mussel")) // needs a thread, and nothing from payments

    const everybodyBuys = Effect.forEach(Array.from({ length: threads }), () => checkout, { concurrency: "unbounded" })
    yield* everybodyBuys // while all is well: connections are opened, and code is compiled
    heldMillis = 0

    takesSeconds = slowSeconds
    const customers = yield* Effect.fork(everybodyBuys)
    const held: Array<number> = []
    const shoppers = yield* Effect.forEach(
      Array.from({ length: slowSeconds }, (_, second) => millis(second + 0.5)),
      (comesAfter) =>
        server.snapshot.pipe(
          Effect.tap(({ active }) => Effect.sync(() => held.push(active))),
          Effect.zipRight(catalog.pipe(Timeout.make(millis(patienceSeconds)), Effect.isSuccess)),
          Effect.delay(comesAfter)
        ),
      { concurrency: "unbounded" }
    )
    yield* Fiber.join(customers)
    return { held, threadSeconds: heldMillis / millis(1), left: shoppers.filter((served) => !served).length }
  }))

const program = Effect.gen(function*() {
  const without = slowSeconds * threads
  const limited = limitSeconds * threads
  console.log(`By arithmetic
  ${threads} threads x ${slowSeconds} s = ${count(without)} thread-seconds without a timeout
  ${threads} threads x  ${limitSeconds} s =   ${count(limited)} thread-seconds with one of ${limitSeconds} s: ${
    without / limited
  } times less
  1,000 requests/s x 1 % that buy x $80 = $${count(dollarsPerSecond)} of business a second
  ${outageSeconds / 60} minutes of outage = $${count(outageSeconds * dollarsPerSecond)}
`)
  const [bare, guarded] = yield* Effect.all([
    observe(Policy.identity),
    // Begins while the threads of the first stand still, so that the two are not in each other's way.
    Effect.delay(observe(Timeout.make(millis(limitSeconds), { dependency: "payments" })), "1.5 seconds")
  ], { concurrency: 2 })
  const chart = ({ held }: { readonly held: ReadonlyArray<number> }) =>
    columns(held, threads, 4)
      .map((line, index) => `${(index === 0 ? String(threads) : "").padStart(5)} |${line}`)
      .join("\n")
  const both = (figure: (seen: typeof bare) => string) => [figure(bare), figure(guarded)]
  console.log(`Measured on sockets: threads that are held, a character a second
without a timeout
${chart(bare)}
with a timeout of ${limitSeconds} s
${chart(guarded)}
`)
  console.log(table([
    ["", "without", "with"],
    ["thread-seconds", ...both(({ threadSeconds }) => count(threadSeconds))],
    [`shoppers, one a second, who left after ${patienceSeconds} s`, ...both(({ left }) => `${left} of ${slowSeconds}`)],
    ["lost, each of them a second of business", ...both(({ left }) => `$${count(left * dollarsPerSecond)}`)]
  ]))
})

await run(program)

/* Prints, for example:

By arithmetic
  200 threads x 30 s = 6,000 thread-seconds without a timeout
  200 threads x  2 s =   400 thread-seconds with one of 2 s: 15 times less
  1,000 requests/s x 1 % that buy x $80 = $800 of business a second
  8 minutes of outage = $384,000

Measured on sockets: threads that are held, a character a second
without a timeout
  200 |██████████████████████████████
      |██████████████████████████████
      |██████████████████████████████
      |██████████████████████████████
with a timeout of 2 s
  200 |██
      |██▂
      |███
      |███

                                              without      with
thread-seconds                                  6,170       496
shoppers, one a second, who left after 5 s   26 of 30   0 of 30
lost, each of them a second of business       $20,800        $0
*/
