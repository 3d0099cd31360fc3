/**
 * The five services behind the page: real HTTP servers on loopback, each of which can be made ill by hand.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Reaction, upstream } from "../upstream.js"
import { catalogue } from "./catalogue.js"

export const names = ["product", "pricing", "inventory", "reviews", "recommendations"] as const

export type Name = typeof names[number]

/** `down` answers 503, `gone` breaks every connection, `hung` never answers. */
export const conditions = ["well", "down", "gone", "hung"] as const

export type Condition = typeof conditions[number]

export interface Upstreams {
  readonly urls: { readonly [K in Name]: string }
  readonly condition: { [K in Name]: Condition }
  /** Products that are not sold any more. */
  readonly withdrawn: Set<string>
  /** How many requests each of them has seen. */
  readonly asked: { [K in Name]: number }
}

const busy: Reaction = { status: 503, body: { reason: "unavailable" } }

const ill: { readonly [K in Exclude<Condition, "well">]: Reaction } = { down: busy, gone: "reset", hung: "hang" }

export const startUpstreams: Effect.Effect<Upstreams, never, Scope.Scope> = Effect.gen(function*() {
  const condition: Upstreams["condition"] = {
    product: "well",
    pricing: "well",
    inventory: "well",
    reviews: "well",
    recommendations: "well"
  }
  const asked: Upstreams["asked"] = { product: 0, pricing: 0, inventory: 0, reviews: 0, recommendations: 0 }
  const withdrawn = new Set<string>()
  const start = (name: Name) =>
    upstream((request) => {
      asked[name]++
      const now = condition[name]
      if (now !== "well") {
        return ill[now]
      }
      const id = request.path.slice(1)
      const entry = withdrawn.has(id) ? undefined : catalogue[id]
      return entry === undefined ? { status: 404, body: { reason: "unknown" } } : { body: entry[name] }
    })
  const urls = {
    product: yield* start("product"),
    pricing: yield* start("pricing"),
    inventory: yield* start("inventory"),
    reviews: yield* start("reviews"),
    recommendations: yield* start("recommendations")
  }
  return { urls, condition, withdrawn, asked }
})
