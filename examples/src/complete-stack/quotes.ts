/** Shipping quotes: the dependency, declared once, its HTTP client, and its fallback. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fallback from "@holdfast/core/Fallback"
import * as HttpFailure from "@holdfast/http/HttpFailure"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class Shipping extends Dependency.Service<Shipping>()("shipping", {
  totalTimeout: "5 seconds",
  bulkhead: { maxConcurrent: 6 },
  circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(5), openDuration: "1 second" },
  retry: { maxRetries: 1, schedule: Backoff.exponential("100 millis") },
  attemptTimeout: "1 second",
  lint: { sla: "6 seconds" } // checked against the numbers above when the layer is built
}) {}

const Quote = Schema.Struct({ dollars: Schema.Number })

/**
 * Quotes for a country: a client under the policy, and the answers for when it has none. The fallback gets the classifier of HTTP: without
 * it a 404 is an error of which it knows nothing, and the flat rate would be quoted for a country that there is not.
 */
export const makeQuotes = (url: string) =>
  Effect.gen(function*() {
    const client = (yield* HttpClient.HttpClient).pipe(
      HttpClient.filterStatusOk,
      HttpResilience.withDependency(Shipping)
    )
    const lastGood = yield* Fallback.cached({
      name: "last quote",
      key: (country: string) => country,
      capacity: 1_000,
      serveFor: "1 hour"
    })
    const fallback = Fallback.make({
      name: "shipping",
      classify: HttpFailure.classify,
      tiers: [lastGood.tier, Fallback.value({ dollars: 25 }, { name: "flat rate" })]
    })
    return (country: string) =>
      client.get(`${url}/${country}`).pipe(
        Effect.flatMap(HttpClientResponse.schemaBodyJson(Quote)),
        Effect.scoped,
        Fallback.withSource(fallback).with(country)
      )
  })
