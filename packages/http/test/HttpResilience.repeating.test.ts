import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream, TestClock } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import { Policy, Timeout } from "./support/core.js"
import { post, retry, scripted } from "./support/scripted.js"

describe("what is repeated", () => {
  for (const step of [503, 500, 429, "ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_HEADERS_TIMEOUT"] as const) {
    for (const method of ["POST", "PATCH"] as const) {
      it.effect(`F01: a ${method} without a key is sent exactly once when it ends with ${step}`, () =>
        Effect.gen(function*() {
          const { client, requests } = scripted(step, 200)
          yield* Effect.exit(
            HttpResilience.withPolicy(client, retry()).execute(HttpClientRequest.make(method)("http://a.test/"))
          )
          assert.strictEqual(requests.length, 1)
        }))
    }
    it.effect(`F12: a POST with a key carries the same key on every attempt after ${step}`, () =>
      Effect.gen(function*() {
        const { client, requests } = scripted(step, step, 200)
        const resilient = HttpResilience.withPolicy(client, retry(), { idempotencyKey: true })
        const response = yield* resilient.execute(post)
        assert.strictEqual(response.status, 200)
        const keys = requests.map((request) => request.headers["idempotency-key"])
        assert.strictEqual(keys.length, 3)
        assert.strictEqual(new Set(keys).size, 1)
        assert.match(keys[0]!, /^"[0-9a-f-]{36}"$/)
        yield* resilient.execute(post)
        assert.notStrictEqual(requests[3]!.headers["idempotency-key"], keys[0])
      }))
  }

  it.effect("a POST whose attempt timed out is sent exactly once", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted("never")
      const policy = Policy.compose(retry(), Timeout.make("1 second"))
      const fiber = yield* Effect.fork(Effect.exit(HttpResilience.withPolicy(client, policy).execute(post)))
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(requests.length, 1)
    }))

  for (const code of ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT", "HOLDFAST_POOL_TIMEOUT"]) {
    it.effect(`a POST without a key is repeated after ${code}, which proves that nothing was sent`, () =>
      Effect.gen(function*() {
        const { client, requests } = scripted(code, code, 200)
        assert.strictEqual((yield* HttpResilience.withPolicy(client, retry()).execute(post)).status, 200)
        assert.strictEqual(requests.length, 3)
      }))
  }

  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] as const) {
    it.effect(`${method} is repeated`, () =>
      Effect.gen(function*() {
        const { client, requests } = scripted(503, "ECONNRESET", 200)
        const request = HttpClientRequest.make(method)("http://a.test/")
        assert.strictEqual((yield* HttpResilience.withPolicy(client, retry()).execute(request)).status, 200)
        assert.strictEqual(requests.length, 3)
      }))
  }

  it.effect("F12: 422 is never repeated, 409 only where it was asked for", () =>
    Effect.gen(function*() {
      const unprocessable = scripted(422, 200)
      yield* HttpResilience.withPolicy(unprocessable.client, retry(), { idempotencyKey: { retryConflict: true } })
        .execute(post)
      assert.strictEqual(unprocessable.requests.length, 1)
      const conflict = scripted(409, 200)
      yield* HttpResilience.withPolicy(conflict.client, retry(), { idempotencyKey: true }).execute(post)
      assert.strictEqual(conflict.requests.length, 1)
      const working = scripted(409, 200)
      yield* HttpResilience.withPolicy(working.client, retry(), { idempotencyKey: { retryConflict: true } }).execute(
        post
      )
      assert.strictEqual(working.requests.length, 2)
      assert.strictEqual(
        working.requests[0]!.headers["idempotency-key"],
        working.requests[1]!.headers["idempotency-key"]
      )
    }))

  it.effect("a key can be bare, made by the caller, under another header, or be there already", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 200)
      const bare = HttpResilience.withPolicy(client, retry(), {
        idempotencyKey: { form: "bare", header: "X-Request-Key", create: () => Effect.succeed("order-1") }
      })
      yield* bare.execute(post)
      assert.deepStrictEqual(requests.map((request) => request.headers["x-request-key"]), ["order-1", "order-1"])
      const own = scripted(503, 200)
      yield* HttpResilience.withPolicy(own.client, retry()).execute(
        HttpClientRequest.setHeader(post, "Idempotency-Key", "mine")
      )
      assert.deepStrictEqual(own.requests.map((request) => request.headers["idempotency-key"]), ["mine", "mine"])
    }))

  it.effect("requests are mapped once for each call, whether before or after the policy", () =>
    Effect.gen(function*() {
      let before = 0
      let after = 0
      const { client, requests } = scripted(503, 503, 200)
      const resilient = client.pipe(
        HttpClient.mapRequest((request) => {
          before++
          return HttpClientRequest.prependUrl(request, "http://a.test")
        }),
        HttpResilience.withPolicy(retry()),
        HttpClient.mapRequest((request) => {
          after++
          return HttpClientRequest.setHeader(request, "x-after", "1")
        })
      )
      yield* resilient.get("/orders")
      assert.deepStrictEqual([before, after, requests.length], [1, 1, 3])
      assert.strictEqual(requests[2]!.url, "http://a.test/orders")
      assert.strictEqual(requests[2]!.headers["x-after"], "1")
    }))

  it.effect("F07: a body that can be read once is sent once, unless it is said to be replayable", () =>
    Effect.gen(function*() {
      const put = (body: Stream.Stream<Uint8Array>) =>
        HttpClientRequest.put("http://a.test/").pipe(HttpClientRequest.setBody(HttpBody.stream(body)))
      const body = Stream.make(new TextEncoder().encode("file"))
      const once = scripted(503, 200)
      assert.strictEqual((yield* HttpResilience.withPolicy(once.client, retry()).execute(put(body))).status, 503)
      assert.strictEqual(once.requests.length, 1)
      const again = scripted(503, 200)
      const options = { replayableBody: true }
      assert.strictEqual(
        (yield* HttpResilience.withPolicy(again.client, retry(), options).execute(put(body))).status,
        200
      )
      assert.strictEqual(again.requests.length, 2)
      const untouched = scripted("ECONNREFUSED", 200)
      assert.strictEqual((yield* HttpResilience.withPolicy(untouched.client, retry()).execute(put(body))).status, 200)
    }))
})
