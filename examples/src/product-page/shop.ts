/**
 * Everything that one page needs, asked for at once, each part for itself.
 *
 * | part | needed | when its service does not answer |
 * | --- | --- | --- |
 * | product | critical | the last good answer, up to a day old; else no page |
 * | price | critical | the last good answer, up to five minutes old and marked; else no page |
 * | stock | important | the page, with a notice in its place |
 * | recommendations | optional | the last good answer, else what most people look at |
 * | reviews | optional | the page without them |
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as HttpFailure from "@holdfast/http/HttpFailure"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { popular } from "./catalogue.js"
import { Inventory, Pricing, Products, Recommendations, Reviews } from "./dependencies.js"
import type { Upstreams } from "./upstreams.js"

const Product = Schema.Struct({
  id: Schema.String,
  title: Schema.String,
  tagline: Schema.String,
  description: Schema.String,
  facts: Schema.Array(Schema.Tuple(Schema.String, Schema.String))
})
const Price = Schema.Struct({ cents: Schema.Number, currency: Schema.String })
const Stock = Schema.Struct({ left: Schema.Number, shipsIn: Schema.String })
const Review = Schema.Struct({ author: Schema.String, stars: Schema.Number, text: Schema.String })
const Suggestion = Schema.Struct({ id: Schema.String, title: Schema.String, line: Schema.String })

/** There is no such product. An answer, and no failure: no tier covers it, and it is a sign of life for the breaker. */
export class NotSold extends Failure.Permanent("NotSold")<{ readonly id: string }> {}

/** Nobody can say what the product is. */
export class ProductUnavailable extends Data.TaggedError("ProductUnavailable")<{ readonly because: string }> {}

/** Nobody can say what it costs. */
export class PriceUnavailable extends Data.TaggedError("PriceUnavailable")<{ readonly because: string }> {}

/** How old an answer may be and still count as good, and how old it may be at all. */
export interface Limits {
  readonly freshFor: Duration.DurationInput
  readonly serveFor: Duration.DurationInput
}

/** Up to half a minute a price counts as good; up to five minutes it is shown and marked; an older one is never shown. */
export const priceLimits: Limits = { freshFor: "30 seconds", serveFor: "5 minutes" }

const isNotFound = (error: unknown): boolean =>
  (error as HttpClientError.ResponseError)._tag === "ResponseError" &&
  (error as HttpClientError.ResponseError).response.status === 404

/** Builds what must be kept between pages: the clients under their policies, and the fallbacks with what they remember. */
export const makeShop = (upstreams: Upstreams, limits: Limits = priceLimits) =>
  Effect.gen(function*() {
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    const { urls } = upstreams

    // The policy is around the exchange, body included; the payload is checked outside, and a wrong one is a failure too.
    const ask = <A, I, E, R>(through: HttpClient.HttpClient.With<E, R>, url: string, schema: Schema.Schema<A, I>) => {
      const read = HttpClientResponse.schemaBodyJson(schema)
      return (id: string) => Effect.flatMap(through.get(`${url}/${encodeURIComponent(id)}`), read)
    }
    const product = ask(HttpResilience.withDependency(client, Products), urls.product, Product)
    const price = ask(HttpResilience.withDependency(client, Pricing), urls.pricing, Price)
    const stock = ask(HttpResilience.withDependency(client, Inventory), urls.inventory, Stock)
    const reviews = ask(HttpResilience.withDependency(client, Reviews), urls.reviews, Schema.Array(Review))
    const recommendations = ask(
      HttpResilience.withDependency(client, Recommendations),
      urls.recommendations,
      Schema.Array(Suggestion)
    )

    const remember = (name: string, { freshFor, serveFor }: Limits, notice?: string) =>
      Fallback.cached({ name, key: (id: string) => id, capacity: 1000, freshFor, serveFor, notice })
    const lastPrice = yield* remember("last good price", limits, "We check it again before you pay.")
    // Of these nobody needs to be told: an hour later a lamp still goes well with the same lamps.
    const lastProduct = yield* remember("last good product", { freshFor: "1 day", serveFor: "1 day" })
    const lastSuggestions = yield* remember("last good picks", { freshFor: "1 hour", serveFor: "1 hour" })

    // An HTTP 404 is an answer: with the classification of HTTP no tier puts anything in its place.
    const { classify } = HttpFailure
    const productOr = Fallback.make({ dependency: "product", tiers: [lastProduct.tier], classify })
    const priceOr = Fallback.make({ dependency: "pricing", tiers: [lastPrice.tier], classify })
    const suggestionsOr = Fallback.make({
      dependency: "recommendations",
      tiers: [
        lastSuggestions.tier,
        Fallback.value(popular, { notice: "Our picks for this lamp are limited right now." })
      ],
      classify
    })

    const page = (id: string) =>
      Fallback.all({
        product: Fallback.branch(
          product(id).pipe(
            Fallback.withSource(productOr).with(id),
            Effect.mapError((error) =>
              isNotFound(error) ? new NotSold({ id }) : new ProductUnavailable({ because: error.message })
            )
          ),
          { criticality: "critical" }
        ),
        price: Fallback.branch(
          price(id).pipe(
            Fallback.withSource(priceOr).with(id),
            Effect.mapError((error) => new PriceUnavailable({ because: error.message }))
          ),
          { criticality: "critical" }
        ),
        stock: Fallback.branch(stock(id), {
          criticality: "important",
          notice: "Likely in stock. We cannot see our shelves right now, and confirm by mail before you pay."
        }),
        recommendations: Fallback.branch(recommendations(id).pipe(Fallback.withSource(suggestionsOr).with(id)), {
          criticality: "optional"
        }),
        reviews: Fallback.branch(reviews(id), { criticality: "optional" })
      })

    return { page }
  })

export type Shop = Effect.Effect.Success<ReturnType<typeof makeShop>>

/** What the page is made of. */
export type Parts = Effect.Effect.Success<ReturnType<Shop["page"]>>
