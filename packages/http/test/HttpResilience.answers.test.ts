import type { HttpClientError, HttpClientResponse } from "@effect/platform"
import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import {
  Backoff,
  CircuitBreaker,
  Deadline,
  Policy,
  ResilienceEvent,
  Retry,
  RetryBudget,
  Timeout
} from "./support/core.js"
import { answering, post, retry, scripted } from "./support/scripted.js"

describe("what an answer asks for", () => {
  it.effect("F02: the next attempt waits for Retry-After", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(answering(503, { "retry-after": "1" }), 200)
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, retry()).get("http://a.test/"))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("F03: a date without a Date beside it is read by the clock of the fiber", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2015, 9, 21, 7, 27, 55))
      const { client, requests } = scripted(answering(503, { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }), 200)
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, retry()).get("http://a.test/"))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
    }))

  it.effect("F05: a malformed Retry-After leaves the normal backoff", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(answering(503, { "retry-after": "-3" }), 200)
      yield* HttpResilience.withPolicy(client, retry()).get("http://a.test/")
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("F06, C09: a wait beyond the deadline ends the call at once with the last answer", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(answering(503, { "retry-after": "60" }), 200)
      const policy = Policy.compose(Timeout.make("10 seconds", { scope: "total" }), retry())
      assert.strictEqual((yield* HttpResilience.withPolicy(client, policy).get("http://a.test/")).status, 503)
      const inherited = scripted(answering(429, { "retry-after": "60" }), 200)
      const response = yield* HttpResilience.withPolicy(inherited.client, retry()).get("http://a.test/").pipe(
        Deadline.within("5 seconds")
      )
      assert.strictEqual(response.status, 429)
      assert.deepStrictEqual([requests.length, inherited.requests.length], [1, 1])
    }))

  it.effect("F13: RateLimit is the floor when there is no Retry-After", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(answering(429, { ratelimit: "\"a\";r=0;t=2" }), 200)
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, retry()).get("http://a.test/"))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
    }))

  it.effect("C16: when all attempts fail the last answer comes out readable, as it was", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(500, 502, 503)
      const response = yield* HttpResilience.withPolicy(client, retry()).get("http://a.test/")
      assert.strictEqual(yield* response.text, "status 503")
      assert.strictEqual(yield* response.text, "status 503")
      assert.strictEqual(requests.length, 3)
    }))

  it.effect("C07: no retries are no retries", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503)
      yield* HttpResilience.withPolicy(client, retry(0)).get("http://a.test/")
      assert.strictEqual(requests.length, 1)
    }))

  it.effect("C08: a caller that leaves during the backoff starts no further attempt", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503)
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, retry(2, "1 second")).get("http://a.test/"))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requests.length, 1)
    }))

  it.effect("an error about a status keeps a response that can be read", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, () => new Response("{\"why\":\"declined\"}", { status: 402 }))
      const error = yield* client.pipe(HttpClient.filterStatusOk, HttpResilience.withPolicy(retry())).get(
        "http://a.test/"
      )
        .pipe(Effect.flip)
      assert.isTrue(error._tag === "ResponseError" && error.reason === "StatusCode")
      assert.deepStrictEqual(yield* (error as HttpClientError.ResponseError).response.json, { why: "declined" })
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("F11: an attempt timeout inside the retry is taken for a failure that another try may cure", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted("never", 200)
      const policy = Policy.compose(retry(), Timeout.make("1 second"))
      const fiber = yield* Effect.fork(HttpResilience.withPolicy(client, policy).get("http://a.test/"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("headers that do not come in time are a failure of the attempt", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted("never", 200)
      const fiber = yield* Effect.fork(
        HttpResilience.withPolicy(client, retry(), { headersTimeout: "1 second" }).get("http://a.test/")
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("a circuit breaker counts answers by the outcome table", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("search", {
        retry: false,
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) }
      })
      const permanent = scripted(404)
      for (let call = 0; call < 5; call++) {
        yield* HttpResilience.withPolicy(permanent.client, policy).get("http://a.test/")
      }
      const failing = scripted(503)
      const resilient = HttpResilience.withPolicy(failing.client, policy)
      yield* resilient.get("http://a.test/")
      yield* resilient.get("http://a.test/")
      const error = yield* Effect.flip(resilient.get("http://a.test/"))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual(failing.requests.length, 2)
    }))

  it.effect("C11: with an empty budget the answer comes out at once", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503)
      const budget = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0 })
      const policy = Retry.make({ maxRetries: 3, schedule: Backoff.constant("1 hour", { jitter: "none" }), budget })
      assert.strictEqual((yield* HttpResilience.withPolicy(client, policy).get("http://a.test/")).status, 503)
      assert.strictEqual(requests.length, 1)
    }))

  it.effect("C14: listeners see one failed attempt and one that succeeded, and a call that succeeded", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { client } = scripted(503, 200)
      yield* HttpResilience.withPolicy(client, retry(), { operation: () => "GET /orders/:id" }).get("http://a.test/")
        .pipe(
          ResilienceEvent.listen((event) => {
            if (event._tag === "AttemptEnded" || event._tag === "CallEnded") {
              seen.push(`${event._tag} ${event.call.operation} ${event.outcome.class}`)
            }
          })
        )
      assert.deepStrictEqual(seen, [
        "AttemptEnded GET /orders/:id Retryable",
        "AttemptEnded GET /orders/:id Success",
        "CallEnded GET /orders/:id Success"
      ])
    }))

  it.effect("C15: two calls at once through one client share no state of their attempts, keys or bodies", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 503, 503, 503, 200)
      const resilient = HttpResilience.withPolicy(client, retry(2, "1 second"), { idempotencyKey: true })
      const fiber = yield* Effect.fork(
        Effect.all([resilient.execute(post), resilient.execute(post)], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 seconds")
      const responses = yield* Fiber.join(fiber)
      assert.deepStrictEqual(responses.map(({ status }) => status), [200, 200])
      const attempts = new Map<string, Array<string>>()
      for (const { headers } of requests) {
        const key = headers["idempotency-key"]!
        attempts.set(key, [...(attempts.get(key) ?? []), headers["x-request-attempt"]!])
      }
      assert.deepStrictEqual([...attempts.values()], [["1", "2", "3"], ["1", "2", "3"]])
    }))
})

describe("a body that others have a hand in", () => {
  const from = (make: () => Response) => {
    const { client } = scripted(make)
    return client
  }

  it.effect("an answer that the client gives to several calls is there for each", () =>
    Effect.gen(function*() {
      const answer = yield* Effect.cached(from(answering(200, { "content-length": "0" })).get("http://a.test/"))
      const body = () => new Response("shared", { headers: { "content-length": "6" } })
      const shared = yield* Effect.cached(from(body).get("http://a.test/"))
      for (const [given, text] of [[answer, ""], [shared, "shared"]] as const) {
        const client = HttpResilience.withPolicy(HttpClient.makeWith(() => given, Effect.succeed), retry())
        const one = Effect.flatMap(client.get("http://a.test/"), (response) => response.text)
        assert.deepStrictEqual(yield* Effect.all([one, one, one], { concurrency: 3 }), [text, text, text])
        assert.strictEqual(yield* one, text)
      }
    }))

  it.effect("what a wrapper under the policy makes of it is what is read", () =>
    Effect.gen(function*() {
      for (const headers of [{ "content-length": "6" }, undefined]) {
        const made = () => new Response("packed", headers === undefined ? {} : { headers })
        const unpacking = HttpClient.transformResponse(
          from(made),
          Effect.map((response): HttpClientResponse.HttpClientResponse =>
            Object.create(response, {
              stream: { get: () => Stream.make(new TextEncoder().encode("unpacked")) },
              arrayBuffer: { get: () => Effect.succeed(new TextEncoder().encode("unpacked").buffer) }
            })
          )
        )
        const response = yield* HttpResilience.withPolicy(unpacking, retry()).get("http://a.test/")
        assert.strictEqual(yield* response.text, "unpacked")
      }
    }))

  it.effect("a reader that leaves tells a stream that nobody else would stop", () =>
    Effect.gen(function*() {
      const read = yield* Deferred.make<void>()
      const cancelled = yield* Deferred.make<void>()
      const stream = () =>
        new ReadableStream({
          pull: () => {
            Deferred.unsafeDone(read, Effect.void)
            return new Promise(() => {})
          },
          cancel: () => Deferred.unsafeDone(cancelled, Effect.void)
        }, { highWaterMark: 0 })
      const client = HttpResilience.withPolicy(from(() => new Response(stream())), retry())
      const fiber = yield* Effect.fork(client.get("http://a.test/"))
      yield* Deferred.await(read)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(cancelled)
    }))
})
