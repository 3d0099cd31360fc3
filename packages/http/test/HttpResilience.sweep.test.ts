import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import { Effect, Exit, Stream } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import { Policy, Timeout } from "./support/core.js"
import { retry } from "./support/scripted.js"

interface Exchange {
  readonly signal: AbortSignal
  finished: boolean
}

/** A server that answers 503 first and 200 then, and knows of every exchange how it ended. */
const makeWorld = Effect.sync(() => {
  const exchanges: Array<Exchange> = []
  const client = HttpClient.make((request, _url, signal) =>
    Effect.suspend(() => {
      const exchange: Exchange = { signal, finished: false }
      const status = exchanges.push(exchange) === 1 ? 503 : 200
      const response = HttpClientResponse.fromWeb(request, new Response(null, { status }))
      // A body of Effects only: with promises in it every run would have to wait for the event loop.
      Object.defineProperty(response, "stream", {
        value: Stream.concat(
          Stream.fromIterable([new Uint8Array(100), new Uint8Array(100)]).pipe(Stream.rechunk(1)),
          Stream.execute(Effect.sync(() => {
            exchange.finished = true
          }))
        )
      })
      return Effect.as(Effect.yieldNow(), response)
    })
  )
  return { client, exchanges }
})

describe("HttpResilience, interrupted at every operation", () => {
  it.live(
    "until the body: every exchange was read to its end or aborted, and none is made after the interruption",
    () =>
      Effect.map(
        OperationSweep.run({
          make: () => makeWorld,
          modes: ["inline"],
          body: ({ client }) =>
            Effect.flatMap(
              HttpResilience.withPolicy(client, Policy.compose(Timeout.make("5 seconds"), retry())).get(
                "http://a.test/"
              ),
              (response) => response.text
            ).pipe(Effect.withTracerEnabled(false)),
          check: ({ exchanges }, exit) => [
            ...exchanges.flatMap(({ finished, signal }, index) =>
              finished || signal.aborted ? [] : [`exchange ${index + 1} of ${exchanges.length} is open`]
            ),
            ...(Exit.isSuccess(exit) || Exit.isInterrupted(exit) ? [] : ["an interruption became a failure"])
          ]
        }),
        (report) => {
          OperationSweep.assertClean(report)
          assert.isAbove(report.operations, 100)
        }
      ),
    60_000
  )
})
