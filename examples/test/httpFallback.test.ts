/** What the fallbacks around HTTP clients, as the pages completeStack.ts and analytics.ts have them, do with an answer that is final. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import { Effect, Exit, Layer, Logger, LogLevel, TestClock } from "effect"
import { makeTracker } from "../src/analytics/tracker.js"
import { makeQuotes, Shipping } from "../src/complete-stack/quotes.js"

/** A client whose server answers every request with this status. */
const answering = (status: number) => {
  const sent = { requests: 0 }
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      sent.requests++
      return HttpClientResponse.fromWeb(request, new Response(JSON.stringify({ dollars: 12 }), { status }))
    })
  )
  return { sent, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

const quiet = Logger.withMinimumLogLevel(LogLevel.None)

describe("a fallback around an HTTP client", () => {
  for (const status of [400, 401, 404, 409]) {
    it.effect(`lets a ${status} come out as itself`, () => {
      const { layer, sent } = answering(status)
      return Effect.gen(function*() {
        const quotes = yield* makeQuotes("http://shipping.test")
        const exit = yield* Effect.exit(quotes("atlantis"))
        assert.isTrue(Exit.isFailure(exit))
        const error: any = yield* Effect.flip(quotes("atlantis"))
        assert.deepStrictEqual([error._tag, error.response.status], ["ResponseError", status])
        assert.strictEqual(sent.requests, 2, "one for each call")
      }).pipe(Effect.provide(layer), Effect.provide(Shipping.layer), Effect.provide(DependencyRegistry.layer), quiet)
    })
  }

  it.live("answers for a service that does not: a 503 has the flat rate", () => {
    const { layer } = answering(503)
    return Effect.gen(function*() {
      const quotes = yield* makeQuotes("http://shipping.test")
      assert.deepStrictEqual((yield* quotes("norway")).source, "flat rate")
    }).pipe(Effect.provide(layer), Effect.provide(Shipping.layer), Effect.provide(DependencyRegistry.layer), quiet)
  })

  it.scoped("with a buffer behind it sends what is refused by a 402 once", () => {
    const { layer, sent } = answering(402)
    return Effect.gen(function*() {
      const { buffer, counted, track } = yield* makeTracker("http://collector.test")
      yield* track({ id: "view-1", page: "/" })
      yield* Effect.repeat(Effect.yieldNow(), { until: () => sent.requests === 1 })
      // An event in the buffer would be sent every 100 ms.
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([sent.requests, yield* buffer.pending, counted.dropped], [1, 0, 0])
    }).pipe(Effect.provide(layer), quiet)
  })

  it.scoped("ends an event in the buffer that is refused by a 402 later", () => {
    const { layer, sent } = answering(402)
    return Effect.gen(function*() {
      const { buffer } = yield* makeTracker("http://collector.test")
      yield* buffer.offer({ id: "view-1", page: "/" })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([sent.requests, yield* buffer.pending, yield* buffer.settled], [1, 0, 1])
    }).pipe(Effect.provide(layer), quiet)
  })
})
