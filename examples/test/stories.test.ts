import { assert, describe, it } from "vitest"
import { figure, printedBy, row } from "./printed.js"

// Each example runs as it stands, on real sockets or in virtual time, and is held to what it says that it prints.
// They take some seconds each; the limit is for a machine that is busy with other things.
describe.sequential("examples that tell a story", { timeout: 120_000 }, () => {
  it("a charge whose answer was lost: only the blind retry charges twice", async () => {
    const printed = await printedBy(() => import("../src/idempotentPayments.js"))
    const told = (title: string) => row(printed, title).slice(1)
    assert.deepStrictEqual(told("tried again blindly"), ["2", "0", "2", "charged"])
    assert.deepStrictEqual(told("no key, answer lost"), ["1", "0", "1", "unknown, then asked: charged"])
    assert.deepStrictEqual(told("no key, request lost"), ["1", "0", "0", "unknown, then asked: not charged"])
    assert.deepStrictEqual(told("a key per call"), ["2", "1", "1", "charged"])
    assert.deepStrictEqual(told("the order is the key"), ["3", "1", "1", "charged"])
  })

  it("a storage that is slow and not down: each layer catches what the one before missed", async () => {
    const printed = await printedBy(() => import("../src/slowStorage.js"))
    const told = (title: string) => {
      const [, catalog, fresh, yesterdays, failed, ...rest] = row(printed, title).map(figure)
      const [asked, held, seconds] = rest.slice(-3)
      return { catalog, fresh, yesterdays, failed, asked, held, seconds }
    }
    const nothing = told("nothing")
    assert.isBelow(nothing.catalog!, 40)
    assert.strictEqual(nothing.held, 200)
    const timeout = told("timeout")
    assert.strictEqual(timeout.catalog, 100)
    assert.isBelow(timeout.seconds!, nothing.seconds!)
    const breaker = told("+ circuit breaker")
    assert.isBelow(breaker.asked!, timeout.asked! / 10)
    assert.isAbove(breaker.held!, 20)
    const bulkhead = told("+ bulkhead")
    assert.strictEqual(bulkhead.held, 20)
    assert.strictEqual(bulkhead.failed, 100)
    const fallback = told("+ fallback")
    assert.strictEqual(fallback.yesterdays, 100)
    assert.strictEqual(fallback.failed, 0)
  })

  it("analytics: every event is collected or counted as dropped, and every page is answered", async () => {
    const printed = await printedBy(() => import("../src/analytics.js"))
    assert.strictEqual(row(printed, "the collector is well")[1], "50 of 50")
    assert.strictEqual(row(printed, "it hangs")[1], "50 of 50")
    const [, pages, , , inBuffer, dropped] = row(printed, "it answers 503")
    assert.strictEqual(pages, "150 of 150")
    assert.isAtMost(figure(inBuffer), 100)
    assert.isAbove(figure(dropped), 0)
    const [, events, collected, lost] = /(\d+) events: (\d+) collected, (\d+) dropped/.exec(printed)!.map(Number)
    assert.strictEqual(events, 250)
    assert.strictEqual(collected! + lost!, events)
    assert.isAtLeast(collected!, 150, "what was in the buffer was sent later")
  })

  it("a rate-limited API: tiers, costs, the exempt health check, and a client that waits as asked", async () => {
    const printed = await printedBy(() => import("../src/rateLimitedApi.js"))
    assert.match(printed, /GET \/orders\/1 {3}200\n {2}x-ratelimit-limit: 4\n {2}x-ratelimit-remaining: 3\n/)
    const refusal = printed.slice(printed.indexOf("five at once"))
    assert.match(refusal, /^five at once {3}429\n/)
    assert.match(refusal, /\n {2}ratelimit-policy: "free";q=4;w=1\n/)
    assert.match(refusal, /\n {2}retry-after: 1\n/)
    assert.match(refusal, /"violated-policies":\["free"\]/)
    assert.strictEqual(row(printed, "Ada, free")[2], "10 of 10")
    assert.strictEqual(row(printed, "Bo, paid  ")[2], "20 of 20")
    assert.match(row(printed, "Bo, paid, 30 left")[2]!, /^1[0-3] of 20$/)
    const cy = row(printed, "Cy asks")
    assert.strictEqual(cy[1], "10 of 10")
    const dee = row(printed, "Dee waits")
    assert.strictEqual(dee[1], "10 of 10")
    const [, , , requests, waits, shortest] = dee.map(figure)
    assert.isAtLeast(waits!, 1)
    assert.strictEqual(requests, 10 + waits!, "one request for each answer, and one for each wait")
    assert.isAtLeast(figure(cy[3]), 10)
    assert.isAtLeast(shortest!, 1000, "never sooner than asked")
  })

  it("the product page: degraded part by part, and loud without a price", async () => {
    const printed = await printedBy(() => import("../src/productPage.js"))
    const [healthy, degraded, pricingDown, failed] = printed.split("\n\n")
    assert.match(healthy!, /200 .* Beacon, €189\.00$/)
    assert.strictEqual(degraded!.match(/ 200 .* Beacon, €189\.00/g)?.length, 6)
    assert.include(degraded!, "! Likely in stock.")
    assert.include(degraded!, "! Reviews are taking a short break.")
    assert.include(pricingDown!, "! Price from less than a minute ago. We check it again before you pay.")
    assert.match(failed!, / 503 .* We cannot tell you the price right now, no price$/)
  })
})
