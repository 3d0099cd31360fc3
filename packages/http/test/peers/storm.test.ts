import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import { Effect, Exit, Layer, Scope } from "effect"
import { Backoff, CircuitBreaker, Policy, Retry, Timeout } from "../support/core.js"
import { HttpResilience } from "../support/modules.js"
import { serve } from "../support/servers.js"
import { type Arrived, haproxy } from "./haproxy.js"
import { describeWith, until } from "./peer.js"
import { pools } from "./pools.js"

const calls = 500
const places = 50
const tokens = 5000

/** A fifth of the calls are POSTs without a key, a fifth are POSTs with one, the rest are GETs. */
const kindOf = (call: number): "bare" | "keyed" | "get" => call % 5 === 0 ? "bare" : call % 5 === 1 ? "keyed" : "get"

const byCall = (arrived: ReadonlyArray<Arrived>): ReadonlyMap<number, ReadonlyArray<Arrived>> => {
  const groups = new Map<number, Array<Arrived>>()
  for (const one of arrived) {
    const call = Number(one.call)
    groups.set(call, [...(groups.get(call) ?? []), one])
  }
  return groups
}

describeWith(["haproxy"], "a storm: 30 % random 503 and 5 % resets under 500 calls at once", "sequential", () => {
  for (const [transport, pool] of pools) {
    // One after the other: all of them use the alarms of the live clock, which are counted.
    it.live(
      `${transport} leaks no connection, permit, token or timer, and keeps to the retry budget`,
      () =>
        Effect.gen(function*() {
          let together: Array<() => void> = []
          const origin = yield* serve((response) => {
            if (response.req.url !== "/together") {
              response.end("done")
              return
            }
            // Answers only when every place is taken at once: one leaked permit or connection, and nobody is answered.
            together.push(() => response.end("together"))
            if (together.length === places) {
              together.forEach((answer) => answer())
              together = []
            }
          })
          const upstream = yield* haproxy(origin.url)
          const alarms = Alarm.of(yield* Effect.clock)
          const alarmsBefore = alarms.size

          const connections = yield* Scope.make()
          const plain = yield* Effect.provide(
            HttpClient.HttpClient,
            yield* Scope.extend(Layer.build(pool(places)), connections)
          )
          const bulkhead = yield* Bulkhead.make({ name: "storm", maxConcurrent: places, maxQueue: calls })
          const limiter = yield* RateLimiter.make({ name: "storm", rate: 1, per: "1 hour", capacity: tokens })
          // It counts without opening: what the storm leaves in it must still be right.
          const breaker = yield* CircuitBreaker.make({
            name: "storm",
            tripPolicy: CircuitBreaker.failureRate({ threshold: 1, window: { calls: 100 }, minimumCalls: 100 })
          })
          const budget = yield* RetryBudget.make({ percent: 0.2, minimumPerSecond: 0.1, ttl: "10 seconds" })
          const policy = Policy.compose(
            Timeout.make("100 seconds", { scope: "total" }),
            bulkhead,
            breaker,
            Retry.make({ maxRetries: 2, schedule: Backoff.exponential("5 millis"), budget }),
            limiter,
            Timeout.make("60 seconds")
          )
          const client = HttpResilience.withPolicy(plain, policy)
          const keyed = HttpResilience.withPolicy(plain, policy, { idempotencyKey: true })
          const url = `${upstream.url}/flaky`
          const call = (index: number) => {
            const headers = { "x-call": String(index) }
            const body = HttpBody.text(String(index))
            switch (kindOf(index)) {
              case "bare":
                return client.execute(HttpClientRequest.post(url, { headers, body }))
              case "keyed":
                return keyed.execute(HttpClientRequest.post(url, { headers, body }))
              default:
                return client.execute(HttpClientRequest.get(url, { headers }))
            }
          }

          const given: Record<string, number> = {}
          const began = performance.now()
          const exits = yield* Effect.all(Array.from({ length: calls }, (_, index) => Effect.exit(call(index))), {
            concurrency: "unbounded"
          }).pipe(ResilienceEvent.listen((event) => {
            const name = event._tag === "RetryGivenUp" ? `${event._tag} ${event.reason}` : event._tag
            given[name] = (given[name] ?? 0) + 1
          }))
          const seconds = Math.ceil((performance.now() - began) / 1000)

          yield* until("HAProxy has no open request", async () => (await Effect.runPromise(upstream.open)) === 0)
          const { connections: open, dropped } = yield* upstream.counts
          yield* until("HAProxy has logged every request", () =>
            upstream.arrived().length >= calls + (given.RetryScheduled ?? 0))
          const arrived = upstream.arrived()
          const groups = byCall(arrived)

          // The storm was one.
          const refused = arrived.filter(({ status }) =>
            status === 503
          ).length
          assert.isAtLeast(refused, 100)
          assert.isAtLeast(dropped, 5)
          assert.isAtLeast(exits.filter((exit) => Exit.isSuccess(exit) && exit.value.status === 200).length, 250)
          const ends = exits.map((exit) =>
            Exit.isSuccess(exit)
              ? String(exit.value.status)
              : exit.cause._tag === "Fail"
              ? exit.cause.error._tag
              : String(exit.cause)
          )
          assert.deepStrictEqual([...new Set(ends)].sort(), ["200", "503", "RequestError"])

          // Every call arrived, and the retries are within the budget, which was needed.
          assert.strictEqual(groups.size, calls)
          const retries = arrived.length - calls
          assert.strictEqual(retries, given.RetryScheduled)
          assert.isAtMost(retries, 0.2 * calls + 0.1 * (10 + seconds))
          assert.isAtLeast(retries, 60)
          assert.isAtLeast(given["RetryGivenUp budget"] ?? 0, 1)
          assert.isAtLeast(given["RetryGivenUp notRepeatable"] ?? 0, 10)

          // What is sent twice, and under which key.
          const keys = new Set<string>()
          let repeated = 0
          for (const [index, attempts] of groups) {
            assert.deepStrictEqual(
              attempts.map(({ attempt }) => attempt),
              attempts.map((_, place) => String(place + 1))
            )
            if (kindOf(index) === "bare") {
              assert.strictEqual(attempts.length, 1)
            }
            if (kindOf(index) === "keyed") {
              assert.strictEqual(new Set(attempts.map(({ key }) => key)).size, 1)
              keys.add(attempts[0]!.key)
              repeated += attempts.length > 1 ? 1 : 0
            }
          }
          assert.strictEqual(keys.size, calls / 5)
          assert.isAtLeast(repeated, 3)

          // Nothing is left behind.
          const level = yield* limiter.level()
          assert.strictEqual(Math.floor(level.remaining), tokens - arrived.length)
          const snapshot = yield* bulkhead.snapshot
          assert.deepStrictEqual([snapshot.active, snapshot.queued, snapshot.rejected], [0, 0, 0])
          assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
          assert.strictEqual(alarms.size, alarmsBefore)
          assert.isAtMost(open, places)

          // And every place, of the bulkhead and of the pool, can be used again at once.
          const all = yield* Effect.all(
            Array.from({ length: places }, () =>
              Effect.map(client.get(`${upstream.url}/together`), ({ status }) => status)),
            { concurrency: "unbounded" }
          ).pipe(Effect.timeout("30 seconds"))
          assert.deepStrictEqual(all, Array(places).fill(200))
          yield* Scope.close(connections, Exit.void)
          yield* until("HAProxy has no connection", async () =>
            (await Effect.runPromise(upstream.counts)).connections === 0)
          assert.strictEqual(alarms.size, alarmsBefore)
        }).pipe(Effect.scoped),
      120_000
    )
  }
})
