/**
 * The complete stack: every layer catches what the one before it has missed. A shop asks a real HTTP server for shipping
 * quotes; the server has a bad day, and each line of the output shows what the customer got and which layer it came from.
 *
 * The order is fixed by the slots of the dependency, outermost first:
 *
 *     fallback > total timeout > bulkhead > circuit breaker > retry > attempt timeout > request
 *
 * The dependency, its client and its fallback: complete-stack/quotes.ts
 *
 *     node --import tsx examples/src/completeStack.ts
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { makeQuotes, Shipping } from "./complete-stack/quotes.js"
import { serve } from "./loopback.js"

// -- everything that happens, told to a listener ------------------------------

const fired: Array<string> = []

const Listener = ResilienceEvent.layer((event) => {
  switch (event._tag) {
    case "RetryScheduled":
      return fired.push("retry")
    case "TimeoutFired":
      return fired.push(`${event.scope} timeout`)
    case "BulkheadRejected":
      return fired.push("bulkhead full")
    case "CircuitRejected":
      return fired.push("circuit open")
    case "CircuitOpened":
      return fired.push("CIRCUIT OPENS")
    case "CircuitClosed":
      return fired.push("CIRCUIT CLOSES")
  }
})

// -- the bad day ---------------------------------------------------------------

const tally = (words: ReadonlyArray<string>) =>
  Array.from(new Set(words), (word) => `${words.filter((one) => one === word).length} ${word}`).join(", ") || "-"

const day = Effect.gen(function*() {
  let mood: "well" | "one hiccup" | "busy" | "hung" = "well"
  const url = yield* serve(Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (request.url === "/atlantis") {
      return Effect.succeed(HttpServerResponse.empty({ status: 404 }))
    }
    const now = mood
    mood = now === "one hiccup" ? "well" : now
    return now === "one hiccup"
      ? Effect.succeed(HttpServerResponse.empty({ status: 503 }))
      : Effect.delay(
        HttpServerResponse.json({ dollars: 12 }),
        now === "hung" ? "1 minute" : now === "busy" ? "300 millis" : "10 millis"
      ).pipe(Effect.orDie)
  }))
  const quotes = yield* makeQuotes(url)

  const act = (what: string, customers: number, country = "norway") =>
    Effect.gen(function*() {
      fired.length = 0
      const quote = quotes(country).pipe(
        Effect.map(({ source, value }) => `x $${value.dollars} from ${source}`),
        Effect.catchTag("ResponseError", ({ response }) => Effect.succeed(`x ${response.status}, which is an answer`))
      )
      const answers = yield* Effect.forEach(Array.from({ length: customers }), () => quote, {
        concurrency: "unbounded"
      })
      const sources = tally(answers)
      console.log(`${what.padEnd(34)} ${sources}\n${"".padEnd(34)} ${tally(fired)}\n`)
    })

  yield* act("the server is well", 1)
  mood = "one hiccup"
  yield* act("one answer is a 503", 1)
  yield* act("a country that there is not", 1, "atlantis")
  mood = "busy"
  yield* act("8 customers at once", 8)
  mood = "hung"
  yield* act("the server hangs, 6 customers", 6)
  yield* act("it still hangs, 50 customers", 50)
  yield* act("and one from a new country", 1, "chile")
  mood = "well"
  yield* Effect.sleep("1.2 seconds") // an open circuit lasts a second, give or take 10 %
  yield* act("it is well again", 1)
  yield* act("and stays so", 5)
})

await Effect.runPromise(
  Effect.scoped(day).pipe(
    Effect.provide(Layer.mergeAll(Shipping.layer, NodeHttpClient.layerUndici).pipe(Layer.provideMerge(Listener))),
    // The linter warns that one second is short for an open circuit. It is right; this page is in a hurry.
    Logger.withMinimumLogLevel(LogLevel.Error)
  )
)

/* Prints:

the server is well                 1 x $12 from primary
                                   -

one answer is a 503                1 x $12 from primary
                                   1 retry

a country that there is not        1 x 404, which is an answer
                                   -

8 customers at once                6 x $12 from primary, 2 x $12 from last quote
                                   2 bulkhead full

the server hangs, 6 customers      6 x $12 from last quote
                                   12 attempt timeout, 6 retry, 1 CIRCUIT OPENS

it still hangs, 50 customers       50 x $12 from last quote
                                   50 circuit open

and one from a new country         1 x $25 from flat rate
                                   1 circuit open

it is well again                   1 x $12 from primary
                                   1 CIRCUIT CLOSES

and stays so                       5 x $12 from primary
                                   -
*/
