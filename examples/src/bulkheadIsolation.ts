/**
 * Bulkhead isolation: a service with 40 workers calls four dependencies, and one of them, payments, has become slow. When all
 * four share the workers, payments takes every one of them, and the other three are refused though nothing is wrong with them.
 * With a bulkhead of 10 workers for each, payments takes its ten, and the others do not notice.
 *
 * The dependencies are real HTTP servers; what is counted are answers.
 *
 *     node --import tsx examples/src/bulkheadIsolation.ts
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Policy from "@holdfast/core/Policy"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import { bar, count, table } from "./drawing.js"
import { run, serve } from "./loopback.js"

const workers = 40
const services = ["catalog", "search", "profiles", "payments"] as const
type Service = (typeof services)[number]

/** Each dependency is called so many times in each slot of a quarter second. */
const callsPerSlot = 10
const slots = 14
const slotMillis = 250
/** From this slot on payments takes 30 seconds instead of 20 milliseconds. */
const slowFrom = 2

/** What protects each dependency, by its name. */
type Protection = (service: Service) => Effect.Effect<Policy.Policy<Bulkhead.BulkheadFull>>

/** The workers are there for everybody: who comes when none is free is refused. */
const shared: Effect.Effect<Protection> = Effect.map(
  Bulkhead.make({ name: "workers", maxConcurrent: workers }),
  (pool) => () => Effect.succeed(pool)
)

/** The same workers, but no dependency may hold more than its share of them. */
const isolated: Effect.Effect<Protection> = Effect.map(
  shared,
  (pool) => (service) =>
    Effect.map(
      Effect.all([Bulkhead.make({ name: service, maxConcurrent: workers / services.length }), pool(service)]),
      ([own, all]) => Policy.compose(own, all)
    )
)

const observe = (protection: Effect.Effect<Protection>) =>
  Effect.scoped(Effect.gen(function*() {
    const plain = yield* HttpClient.HttpClient
    const protect = yield* protection
    let slow = false
    const clients = yield* Effect.forEach(services, (service) =>
      Effect.gen(function*() {
        const takes = Effect.suspend(() => Effect.sleep(slow && service === "payments" ? "30 seconds" : "20 millis"))
        const url = yield* serve(Effect.as(takes, HttpServerResponse.text(service)))
        return { service, url, guarded: plain.pipe(HttpResilience.withPolicy(yield* protect(service))) }
      }))
    // Opens connections and compiles code.
    yield* Effect.forEach(clients, ({ guarded, url }) => guarded.get(url), { concurrency: "unbounded" })

    const answered = { catalog: 0, search: 0, profiles: 0, payments: 0 }
    const refused = { ...answered }
    /** Answers of the three that are well, by slot. */
    const throughput = Array.from({ length: slots }, () => 0)
    const start = performance.now()
    const calls = yield* FiberSet.make() // payments would answer in half a minute: what still waits then ends with the scope
    for (let tick = 0; tick < slots * callsPerSlot; tick++) {
      slow = tick >= slowFrom * callsPerSlot
      yield* Effect.sleep(Math.max(0, start + tick * slotMillis / callsPerSlot - performance.now()))
      for (const { guarded, service, url } of yield* Random.shuffle(clients)) {
        yield* FiberSet.run(
          calls,
          Effect.match(guarded.get(url), {
            onFailure: () => refused[service]++,
            onSuccess: () => {
              answered[service]++
              const slot = Math.floor((performance.now() - start) / slotMillis)
              if (service !== "payments" && slot < slots) {
                throughput[slot]!++
              }
            }
          })
        )
      }
    }
    yield* Effect.sleep(slotMillis)
    return { answered, refused, throughput }
  }))

const program = Effect.gen(function*() {
  const one = yield* observe(shared)
  const four = yield* observe(isolated)
  const most = callsPerSlot * (services.length - 1)
  const from = slowFrom * slotMillis / 1000
  console.log(`Answers of catalog, search and profiles in each quarter of a second.
${most} are asked for; payments is slow from ${from} s on.

         one pool of ${workers}                   four bulkheads of ${workers / services.length}`)
  for (let slot = 0; slot < slots; slot++) {
    const side = (value: number) => `${bar(value, most, 20).padEnd(20)} ${count(value).padStart(3)}`
    const at = (slot * slotMillis / 1000).toFixed(2)
    console.log(`${at.padStart(6)} s |${side(one.throughput[slot]!)}   |${side(four.throughput[slot]!)}`)
  }
  console.log(
    "\n" + table([
      ["", "one pool: answered", "refused", "bulkheads: answered", "refused"],
      ...services.map((service) => [
        service,
        ...[one, four].flatMap(({ answered, refused }) => [count(answered[service]), count(refused[service])])
      ])
    ])
  )
})

await run(program)

/* Prints, for example:

Answers of catalog, search and profiles in each quarter of a second.
30 are asked for; payments is slow from 0.5 s on.

         one pool of 40                   four bulkheads of 10
  0.00 s |██████████████████    27   |██████████████████    27
  0.25 s |████████████████████  30   |████████████████████  31
  0.50 s |████████████████████  30   |███████████████████▍  29
  0.75 s |████████████████████  30   |████████████████████  30
  1.00 s |████████████████████  30   |████████████████████  33
  1.25 s |█████████████████▍    26   |██████████████████    27
  1.50 s |█████████▍            14   |████████████████████  30
  1.75 s |██████                 9   |████████████████████  31
  2.00 s |                       0   |███████████████████▍  29
  2.25 s |                       0   |████████████████████  30
  2.50 s |                       0   |████████████████████  30
  2.75 s |                       0   |████████████████████  30
  3.00 s |                       0   |████████████████████  30
  3.25 s |                       0   |████████████████████  33

           one pool: answered   refused   bulkheads: answered   refused
catalog                    66        74                   140         0
search                     69        71                   140         0
profiles                   61        79                   140         0
payments                   19        81                    19       111
*/
