/**
 * A page that needs five services, and degrades part by part: product and price are critical, the stock is important, reviews and
 * recommendations are optional. All are real HTTP servers on loopback, each under a dependency of its own.
 *
 *     node --import tsx examples/src/productPage.ts            four states, and what a reader sees in each
 *     node --import tsx examples/src/productPage.ts --serve    keeps serving: look at it, and make services ill by hand
 *
 * It prints, for each state, the status, the time that the page took, its heading, its price, and every notice. What to see there: with
 * two optional services and the important one down the page is there, and says what is limited. A hung service costs the first pages
 * 800 ms, and the sixth nothing: its circuit is open. Without a price there is a page that says so, with status 503.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { layer } from "./product-page/dependencies.js"
import { look } from "./product-page/look.js"
import { makeShop, priceLimits } from "./product-page/shop.js"
import { startSite } from "./product-page/site.js"
import { startSwitchboard } from "./product-page/switchboard.js"
import { startUpstreams } from "./product-page/upstreams.js"

const states = Effect.gen(function*() {
  const upstreams = yield* startUpstreams
  // No price is fresh here once its service is down, so that the mark on it can be seen without waiting.
  const url = yield* startSite(yield* makeShop(upstreams, { ...priceLimits, freshFor: 0 }))
  const { condition } = upstreams

  // The first page of all opens the connections.
  yield* Effect.flatMap(HttpClient.get(`${url}/products/tern`), ({ text }) => text)
  yield* Console.log("healthy")
  yield* look(`${url}/products/beacon`)

  yield* Console.log("\ndegraded: reviews and inventory down, recommendations hung")
  Object.assign(condition, { reviews: "down", inventory: "gone", recommendations: "hung" })
  yield* Effect.repeatN(look(`${url}/products/beacon`), 5)

  yield* Console.log("\npricing down too: the last price is still good enough")
  condition.pricing = "down"
  yield* look(`${url}/products/beacon`)

  yield* Console.log("\nfailed: the price of a lamp that nobody has looked at before")
  yield* look(`${url}/products/keel`)
})

const serve = Effect.gen(function*() {
  const upstreams = yield* startUpstreams
  const url = yield* startSite(yield* makeShop(upstreams))
  yield* Console.log(`the page:         ${url}/products/beacon`)
  yield* Console.log(`the switchboard:  ${yield* startSwitchboard(upstreams)}`)
  return yield* Effect.never
})

const program = process.argv.includes("--serve") ? serve : states

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.merge(layer, NodeHttpClient.layerUndici))))

/* Prints:

healthy
  200   566 ms  Beacon, €189.00

degraded: reviews and inventory down, recommendations hung
  200  1270 ms  Beacon, €189.00
                ! Some parts of this page are resting. Everything you need to order is here.
                ! Likely in stock. We cannot see our shelves right now, and confirm by mail before you pay.
                ! Reviews are taking a short break. They will be back.
  200   930 ms  Beacon, €189.00
  200  1043 ms  Beacon, €189.00
  200   873 ms  Beacon, €189.00
  200   953 ms  Beacon, €189.00
  200   164 ms  Beacon, €189.00

pricing down too: the last price is still good enough
  200   350 ms  Beacon, €189.00
                ! Some parts of this page are resting. Everything you need to order is here.
                ! Price from less than a minute ago. We check it again before you pay.
                ! Likely in stock. We cannot see our shelves right now, and confirm by mail before you pay.
                ! Reviews are taking a short break. They will be back.

failed: the price of a lamp that nobody has looked at before
  503   179 ms  We cannot tell you the price right now, no price
*/
