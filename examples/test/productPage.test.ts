import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, it } from "@effect/vitest"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Browser, chromium, type Locator, type Page, type Response } from "playwright-core"
import { afterAll, beforeAll } from "vitest"
import { layer } from "../src/product-page/dependencies.js"
import { type Limits, makeShop, priceLimits } from "../src/product-page/shop.js"
import { startSite } from "../src/product-page/site.js"
import { startSwitchboard } from "../src/product-page/switchboard.js"
import { startUpstreams, type Upstreams } from "../src/product-page/upstreams.js"
import { describeWith } from "./peer.js"

const executablePath = "/usr/bin/chromium"

const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } } as const

// Every limit far away: on a busy machine nothing that is well may look ill.
const patient = ConfigProvider.fromMap(
  new Map(
    ["PRODUCT", "PRICING", "INVENTORY", "REVIEWS", "RECOMMENDATIONS"].flatMap((name) => [
      [`${name}_TOTAL_TIMEOUT`, "60 seconds"],
      [`${name}_ATTEMPT_TIMEOUT`, "20 seconds"]
    ])
  ),
  { pathDelim: "_" }
)

interface Site {
  readonly url: string
  /** The page with the buttons that make services ill. */
  readonly board: string
  readonly upstreams: Upstreams
}

/** A site with services and dependencies of its own. */
const withSite = (limits: Limits, use: (site: Site) => Promise<void>): Effect.Effect<void> =>
  Effect.gen(function*() {
    const upstreams = yield* startUpstreams
    const url = yield* startSite(yield* makeShop(upstreams, limits))
    const board = yield* startSwitchboard(upstreams)
    yield* Effect.promise(() => use({ url, board, upstreams }))
  }).pipe(
    Effect.scoped,
    Effect.provide(layer),
    Effect.provide([DependencyRegistry.layer, NodeHttpClient.layerUndici, Layer.setConfigProvider(patient)]),
    Effect.orDie
  )

describeWith(executablePath, "the product page in a browser", () => {
  let browser: Browser
  let page: Page
  let complaints: ReadonlyArray<string>
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync"
      ]
    })
    page = await browser.newPage()
    const heard: Array<string> = complaints = []
    page.on("pageerror", (error) => heard.push(error.message))
    page.on("console", (message) => {
      // The browser says so of every 404 and 503.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        heard.push(message.text())
      }
    })
    page.on("request", (request) => {
      if (!request.isNavigationRequest() && !request.url().endsWith("/favicon.ico")) {
        heard.push(`asked for ${request.url()}`)
      }
    })
  }, 60_000)
  afterAll(() => browser?.close())

  /** Opens a page, looks at it at both widths, and checks what holds for every state of it. */
  const open = async (
    name: string,
    address: string,
    see: (response: Response) => Promise<void>
  ): Promise<void> => {
    const response = await page.goto(address)
    assert.isNotNull(response)
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewportSize(viewport)
      if (process.env.HOLDFAST_SCREENSHOTS !== undefined) {
        await page.screenshot({ path: `${process.env.HOLDFAST_SCREENSHOTS}/${name}-${size}.png`, fullPage: true })
      }
      assert.strictEqual(await page.getByRole("main").count(), 1)
      assert.strictEqual(await page.getByRole("heading", { level: 1 }).count(), 1)
      const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
      assert.strictEqual(overflow, 0, `${name} at ${size} width scrolls sideways`)
      await see(response!)
    }
    assert.strictEqual(await page.locator("html").getAttribute("lang"), "en")
    assert.deepStrictEqual(complaints, [], "it is one document, and nothing in it is refused")
  }

  const sees = async (found: Locator, what: string) => assert.isTrue(await found.isVisible(), `sees ${what}`)

  it.live("healthy: everything is there, and no notice", () =>
    withSite(priceLimits, ({ url }) =>
      open("healthy", `${url}/products/beacon`, async (response) => {
        assert.strictEqual(response.status(), 200)
        await sees(page.getByRole("heading", { level: 1, name: "Beacon" }), "what it is")
        await sees(page.getByRole("img", { name: "Beacon, drawn with its light on" }), "the lamp")
        await sees(page.getByText("€189.00", { exact: true }), "the price")
        await sees(page.getByText("12 in stock"), "the stock")
        await sees(page.getByRole("button", { name: "Add to basket" }), "how to buy it")
        await sees(page.getByRole("heading", { name: "Goes well with it" }), "what goes with it")
        assert.strictEqual(await page.getByRole("region", { name: "What people say" }).getByRole("listitem").count(), 3)
        // What a reader wrote is shown as it was written.
        await sees(page.getByText("Dims down to <almost nothing>."), "a review with angle brackets")
        assert.strictEqual(await page.getByRole("status").count(), 0)
        assert.strictEqual(await page.getByRole("alert").count(), 0)
        assert.strictEqual(await page.locator(".notice").count(), 0)
      })))

  it.live("degraded: the page is there, says calmly what is limited, and marks what is old", () =>
    withSite({ ...priceLimits, freshFor: 0 }, async ({ upstreams, url }) => {
      upstreams.condition.recommendations = "down"
      await fetch(`${url}/products/beacon`)
      Object.assign(upstreams.condition, { pricing: "gone", inventory: "gone", reviews: "down" })
      await open("degraded", `${url}/products/beacon`, async (response) => {
        assert.strictEqual(response.status(), 200)
        await sees(page.getByRole("heading", { level: 1, name: "Beacon" }), "what it is")
        const banner = page.getByRole("status")
        await sees(banner, "that something is limited")
        assert.include(await banner.innerText(), "Everything you need to order is here")
        await sees(page.getByText("€189.00", { exact: true }), "the last good price")
        await sees(page.getByText("Price from less than a minute ago. We check it again before you pay."), "its age")
        await sees(page.getByText("Likely in stock. We cannot see our shelves right now"), "that the stock is a guess")
        await sees(page.getByText("Reviews are taking a short break."), "why there are no reviews")
        await sees(page.getByRole("heading", { name: "What most people look at" }), "popular lamps instead of picks")
        assert.strictEqual(await page.getByText("in stock", { exact: false }).filter({ hasText: "12" }).count(), 0)
        assert.strictEqual(await page.getByRole("alert").count(), 0, "calm")
        const box = await page.getByRole("button", { name: "Add to basket" }).boundingBox()
        assert.isAtLeast(box!.height, 44, "a finger hits it")
      })
      // Buying still works, and what was bought is remembered without any of the five.
      await page.getByRole("button", { name: "Add to basket" }).click()
      await sees(page.getByText("Basket: 1"), "the basket")
    }))

  it.live("failed without a price: a loud page with status 503, and no price", () =>
    withSite({ freshFor: 0, serveFor: "1 second" }, async ({ upstreams, url }) => {
      const address = `${url}/products/beacon`
      assert.strictEqual((await fetch(address)).status, 200)
      upstreams.condition.pricing = "down"
      await page.context().addCookies([{ name: "basket", value: "2", url }])
      // The price is served until it is a second old, and never after that.
      for (let tries = 0; (await fetch(address)).status === 200; tries++) {
        assert.isBelow(tries, 200, "an old price must not be served for ever")
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      await open("failed", address, async (response) => {
        assert.strictEqual(response.status(), 503)
        assert.strictEqual(response.headers()["retry-after"], "30")
        const alarm = page.getByRole("alert")
        await sees(
          alarm.getByRole("heading", { level: 1, name: "We cannot tell you the price right now" }),
          "what is wrong"
        )
        await sees(alarm.getByText("You have not ordered or paid anything"), "what has not happened")
        await sees(page.getByText("Basket: 2"), "that the basket is as it was left")
        const again = alarm.getByRole("link", { name: "Try again" })
        await sees(again, "what to do")
        assert.isTrue(
          await page.evaluate("document.querySelector('.trouble').getBoundingClientRect().top < window.innerHeight")
        )
        assert.strictEqual(await page.getByText("€").count(), 0)
        assert.strictEqual(await page.getByRole("button", { name: "Add to basket" }).count(), 0)
      })
    }))

  it.live("failed without a product: the same, in its own words; what is not sold is 404 and no failure", () =>
    withSite(priceLimits, async ({ board, upstreams, url }) => {
      // Seen before, so that an old page could be put in its place; that would be a lie.
      await fetch(`${url}/products/tern`)
      upstreams.withdrawn.add("tern")
      await open("unknown", `${url}/products/tern`, async (response) => {
        assert.strictEqual(response.status(), 404)
        await sees(page.getByRole("heading", { level: 1, name: "We do not sell this lamp" }), "that there is none")
      })
      await page.goto(board)
      await page.getByRole("row", { name: "product" }).getByRole("button", { name: "gone" }).click()
      assert.strictEqual(upstreams.condition.product, "gone")
      await open("no-product", `${url}/products/beacon`, async (response) => {
        assert.strictEqual(response.status(), 503)
        await sees(page.getByRole("alert").getByRole("heading", { name: "We cannot show this lamp right now" }), "why")
      })
    }))
})
