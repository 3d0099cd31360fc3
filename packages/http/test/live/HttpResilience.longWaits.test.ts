import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Backoff, CircuitBreaker, Policy, ResilienceEvent, Retry } from "../support/core.js"
import { HttpResilience } from "../support/modules.js"
import { serve, transports } from "../support/servers.js"

const waits: ReadonlyArray<readonly [what: string, headers: () => Record<string, string>]> = [
  ["Retry-After: 3601", () => ({ "retry-after": "3601" })],
  ["a Retry-After of more digits than a number has", () => ({ "retry-after": "9".repeat(400) })],
  ["a date in two hours", () => ({ "retry-after": new Date(Date.now() + 7_200_000).toUTCString() })],
  ["a daily quota that is used up", () => ({ ratelimit: "\"day\";r=0;t=50000" })],
  ["a reset at midnight, in seconds since 1970", () => ({
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": String(Math.round(Date.now() / 1000) + 50_000)
  })]
]

const malformed: ReadonlyArray<Record<string, string>> = [
  { "retry-after": "1 hour" },
  { "retry-after": "-3601" },
  { "retry-after": "3601.5" },
  { ratelimit: "day;r=0;t=soon" }
]

const attempts = 3

describe("a server that asks for a wait longer than an hour", () => {
  for (const [name, layer] of transports) {
    const run = (status: number, headers: () => Record<string, string>) =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* serve((response) => {
          response.writeHead(status, headers())
          response.end()
        })
        const breaker = yield* CircuitBreaker.make({
          name: "b",
          tripPolicy: CircuitBreaker.consecutive(1),
          maxOpenDuration: "6 hours"
        })
        const retry = Retry.make({ maxRetries: attempts - 1, schedule: Backoff.constant(0, { jitter: "none" }) })
        const given: Array<string> = []
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, Policy.compose(breaker, retry))
        const response = yield* client.get(server.url).pipe(ResilienceEvent.listen((event) => {
          if (event._tag === "RetryGivenUp") given.push(event.reason)
        }))
        assert.strictEqual(response.status, status)
        const state = yield* breaker.state.get
        return {
          requests: server.seen.length,
          given,
          open: state._tag === "Open" ? state.openMillis : state._tag
        }
      })).pipe(Effect.provide(layer))

    for (const [what, headers] of waits) {
      it.live(`${name}: ${what} is not waited for, and a 503 opens the circuit for as long as it may be open`, () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* run(503, headers), {
            requests: 1,
            given: ["retryAfter"],
            open: Duration.toMillis("6 hours")
          })
          assert.deepStrictEqual(yield* run(429, headers), { requests: 1, given: ["retryAfter"], open: "Closed" })
        }))
    }

    it.live(`${name}: what is malformed is no wait`, () =>
      Effect.forEach(
        malformed,
        (headers) => Effect.map(run(503, () => headers), ({ requests }) => assert.strictEqual(requests, attempts))
      ))
  }
})
