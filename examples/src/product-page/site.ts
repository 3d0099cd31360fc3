/**
 * The site: finds the parts of a page, and answers 200 with what there is, 404 for what is not sold, 503 when a critical part is missing.
 */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { serve } from "../loopback.js"
import { type Basket, productPage, troublePage } from "./page.js"
import type { Shop } from "./shop.js"
import { style } from "./style.js"

// Nothing is run and nothing is loaded: whatever a review contains, it stays text.
const contentSecurity = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'"
].join("; ")

const page = (status: number, text: string, headers: Record<string, string> = {}) =>
  HttpServerResponse.text(text, {
    status,
    contentType: "text/html; charset=utf-8",
    headers: { "cache-control": "no-store", "content-security-policy": contentSecurity, ...headers }
  })

/** How soon a failed page is worth another try, in seconds; the circuits are open for 30. */
const again = { "retry-after": "30" }

const basketOf = (request: HttpServerRequest.HttpServerRequest): Basket => {
  const count = Number(request.cookies.basket)
  return Number.isInteger(count) && count > 0 ? Math.min(count, 99) : 0
}

const product = (shop: Shop, id: string, basket: Basket) =>
  shop.page(id).pipe(
    Effect.map((parts) => page(200, productPage(parts, basket))),
    Effect.catchTags({
      NotSold: () => {
        const because = "It may have been taken out of our range, or the link has a typing error."
        return Effect.succeed(page(404, troublePage({ title: "We do not sell this lamp", because }, basket)))
      },
      ProductUnavailable: () => {
        const because = "The part of our shop that knows our lamps is not answering."
        const trouble = { title: "We cannot show this lamp right now", because, again: `/products/${id}` }
        return Effect.succeed(page(503, troublePage(trouble, basket), again))
      },
      PriceUnavailable: () => {
        const because =
          "The part of our shop that knows prices is not answering, and we would rather show none than a wrong one."
        const trouble = { title: "We cannot tell you the price right now", because, again: `/products/${id}` }
        return Effect.succeed(page(503, troublePage(trouble, basket), again))
      }
    })
  )

/** Serves the shop. The basket is a cookie: it is there when nothing else is. */
export const startSite = (shop: Shop) =>
  serve(
    HttpRouter.empty.pipe(
      HttpRouter.get(
        "/products/:id",
        Effect.gen(function*() {
          const { id } = yield* HttpRouter.schemaPathParams(Schema.Struct({ id: Schema.String }))
          return yield* product(shop, id, basketOf(yield* HttpServerRequest.HttpServerRequest))
        })
      ),
      HttpRouter.post(
        "/basket",
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          const form = yield* HttpServerRequest.schemaBodyUrlParams(Schema.Struct({ product: Schema.String }))
          return HttpServerResponse.redirect(`/products/${encodeURIComponent(form.product)}`, { status: 303 }).pipe(
            HttpServerResponse.unsafeSetCookie("basket", String(basketOf(request) + 1), { path: "/", sameSite: "lax" })
          )
        })
      ),
      HttpRouter.get("/", HttpServerResponse.redirect("/products/beacon")),
      HttpRouter.get("/health", HttpHealth.handler)
    )
  )
