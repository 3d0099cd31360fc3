import { HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import { Duration, Effect } from "effect"
import { Backoff, CircuitBreaker, Policy, Retry, Timeout } from "../support/core.js"
import { HttpResilience } from "../support/modules.js"
import { nginx } from "./nginx.js"
import { describeWith, until } from "./peer.js"
import { pools } from "./pools.js"

const calls = 20
const get = (url: string, call: number, path = "/limited") =>
  HttpClientRequest.get(`${url}${path}`, { headers: { "x-call": String(call) } })
const eachCall = Array.from({ length: calls }, (_, call) => call)

describeWith(["nginx"], "nginx that limits requests", "concurrent", () => {
  for (const [transport, pool] of pools) {
    it.live(`${transport}: every call is answered, and no attempt comes sooner than its 429 asked for`, () =>
      Effect.gen(function*() {
        const upstream = yield* nginx
        const breaker = yield* CircuitBreaker.make({ name: "limited", tripPolicy: CircuitBreaker.consecutive(1) })
        const policy = Policy.compose(
          Timeout.make("60 seconds", { scope: "total" }),
          Retry.make({ maxRetries: 5, schedule: Backoff.constant(0, { jitter: "none" }) }),
          // In attempt scope: every 429 is shown to it.
          breaker,
          Timeout.make("20 seconds")
        )
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
        const waits: Array<{ readonly millis: number; readonly outcome: string }> = []
        const statuses = yield* Effect.forEach(
          eachCall,
          (call) => Effect.map(client.execute(get(upstream.url, call)), ({ status }) => status),
          { concurrency: "unbounded" }
        ).pipe(ResilienceEvent.listen((event) => {
          if (event._tag === "RetryScheduled") {
            waits.push({ millis: Duration.toMillis(event.delay), outcome: event.outcome.class })
          }
        }))
        assert.deepStrictEqual(statuses, Array(calls).fill(200))

        yield* until("nginx has logged every request", () => upstream.answered().length >= calls + waits.length)
        const answered = upstream.answered()
        const limited = answered.filter(({ status }) => status === 429)
        assert.isAtLeast(limited.length, 3)
        assert.strictEqual(answered.length, calls + limited.length)
        assert.deepStrictEqual(waits, Array(limited.length).fill({ millis: 1000, outcome: "Overloaded" }))
        for (const call of eachCall) {
          const own = answered.filter((one) => one.call === String(call))
          assert.deepStrictEqual(own.map(({ attempt }) => attempt), own.map((_, place) => place + 1))
          for (const [place, { at }] of own.entries()) {
            // nginx logs whole milliseconds of a clock that it reads once per turn of its loop.
            assert.isTrue(place === 0 || at - own[place - 1]!.at >= 980, `call ${call} came back too soon`)
          }
        }
        assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
      }).pipe(Effect.scoped, Effect.provide(pool(calls))))

    it.live(`${transport}: a 429 comes out as it came when its wait does not fit, and trips no breaker`, () =>
      Effect.gen(function*() {
        const upstream = yield* nginx
        const policy = yield* Policy.standard(`limited by ${transport}`, {
          totalTimeout: "25 seconds",
          attemptTimeout: "20 seconds",
          circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) }
        })
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
        const responses = yield* Effect.forEach(
          eachCall,
          (call) => client.execute(get(upstream.url, call, "/strict")),
          {
            concurrency: "unbounded"
          }
        )
        const limited = responses.filter(({ status }) => status === 429)
        assert.isAtLeast(limited.length, 3)
        assert.isAtLeast(responses.filter(({ status }) => status === 200).length, 5)
        assert.strictEqual(yield* limited[0]!.text, "slow down")
        assert.strictEqual(limited[0]!.headers["retry-after"], "30")
        yield* until("nginx has logged every request", () => upstream.answered().length >= calls)
        assert.strictEqual(upstream.answered().length, calls)
      }).pipe(Effect.scoped, Effect.provide(pool(calls))))

    it.live(`${transport}: a limiter of our own below the rate of nginx never meets a 429`, () =>
      Effect.gen(function*() {
        const upstream = yield* nginx
        const limiter = yield* RateLimiter.make({ name: "below", rate: 5, capacity: 1, maxWait: "20 seconds" })
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, limiter)
        // One more than nginx lets through at once.
        const responses = yield* Effect.forEach(
          eachCall.slice(0, 6),
          (call) => client.execute(get(upstream.url, call)),
          {
            concurrency: "unbounded"
          }
        )
        assert.deepStrictEqual(responses.map(({ status }) => status), Array(6).fill(200))
      }).pipe(Effect.scoped, Effect.provide(pool(calls))))
  }
})
