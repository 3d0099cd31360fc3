/**
 * Retry amplification: A calls B, B calls C, and each of the two makes up to three attempts. While C is down, one request of a
 * user becomes 3 x 3 = 9 requests to C, and with one more service in the chain 27. A budget of retries at each hop stops it; so
 * does retrying in one place only. Three real servers; every figure is what the server itself has counted.
 *
 *     node --import tsx examples/src/retryAmplification.ts
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Backoff from "@holdfast/core/Backoff"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import { bar, count, table } from "./drawing.js"
import { run, serve } from "./loopback.js"

/** Up to three attempts. The pause is left out: it would change when requests come, not how many. */
const threeAttempts = (budget?: RetryBudget.RetryBudget) =>
  Retry.make({ maxRetries: 2, schedule: Backoff.none, budget })

const three = Effect.sync(() => threeAttempts())

/** The default budget: a fifth of the calls of the last ten seconds, and one per second. */
const threeInBudget = Effect.map(RetryBudget.make(), threeAttempts)

const once = Effect.succeed(Policy.identity)

/** Sends so many requests to A, one after the other, and answers with what A, B and C have counted. */
const requests = (atA: Effect.Effect<Policy.Policy>, atB: Effect.Effect<Policy.Policy>, users: number) =>
  Effect.scoped(Effect.gen(function*() {
    const plain = yield* HttpClient.HttpClient
    const seen = { A: 0, B: 0, C: 0 }

    const c = yield* serve(Effect.sync(() => {
      seen.C++
      return HttpServerResponse.empty({ status: 503 })
    }))
    /** A service that has nothing to say but what the next one says. */
    const passOn = (service: "A" | "B", next: string, policy: Policy.Policy) => {
      const client = plain.pipe(HttpResilience.withPolicy(policy))
      return serve(
        Effect.sync(() => seen[service]++).pipe(
          Effect.zipRight(client.get(next)),
          Effect.map(({ status }) => HttpServerResponse.empty({ status: status < 500 ? status : 502 })),
          Effect.catchAll(() => Effect.succeed(HttpServerResponse.empty({ status: 502 })))
        )
      )
    }
    const b = yield* passOn("B", c, yield* atB)
    const a = yield* passOn("A", b, yield* atA)

    for (let user = 0; user < users; user++) {
      yield* Effect.scoped(plain.get(a))
    }
    return seen
  }))

const row = (what: string, atA: Effect.Effect<Policy.Policy>, atB: Effect.Effect<Policy.Policy>) =>
  Effect.gen(function*() {
    const one = yield* requests(atA, atB, 1)
    const { A, B, C } = yield* requests(atA, atB, 50)
    return [what, count(one.C), count(A), count(B), count(C), bar(C, 450, 24).padEnd(24)]
  })

const program = Effect.gen(function*() {
  console.log("C is down. Requests that arrive, for 1 request of a user and for 50:\n")
  console.log(table([
    ["", "of 1: at C", "of 50: at A", "at B", "at C", ""],
    yield* row("3 attempts at A and B", three, three),
    yield* row("the same in budgets", threeInBudget, threeInBudget),
    yield* row("3 attempts at A only", three, once)
  ]))
})

await run(program)

/* Prints:

C is down. Requests that arrive, for 1 request of a user and for 50:

                        of 1: at C   of 50: at A   at B   at C
3 attempts at A and B            9            50    150    450   ████████████████████████
the same in budgets              9            50     70     94   █████
3 attempts at A only             3            50    150    150   ████████
*/
