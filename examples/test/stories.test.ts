import { assert, describe, it } from "vitest"
import { figures, printedInTurn, promised, words } from "./pages.js"
import { describeWith, isThere } from "./peer.js"

// On a busy machine nothing that is well may look ill: of the product page's services only the one that hangs is given up soon.
for (const service of ["PRODUCT", "PRICING", "INVENTORY", "REVIEWS"]) {
  process.env[`${service}_TOTAL_TIMEOUT`] = "60 seconds"
  process.env[`${service}_ATTEMPT_TIMEOUT`] = "20 seconds"
}

/** The line that begins so, cell by cell. */
const cells = (text: string, beginsWith: string): ReadonlyArray<string> =>
  (text.split("\n").find((line) => line.startsWith(beginsWith)) ?? "").split(/ {3,}/)

const told = (page: string, output: string) =>
  assert.strictEqual(words(output), words(promised(page)), "the page tells the story of its last comment")

const redis = "/usr/bin/redis-server"

const groups = [
  ["src/idempotentPayments.ts", "src/analytics.ts", "src/rateLimitedApi.ts"],
  ["src/slowStorage.ts", "src/productPage.ts", ...(isThere(redis) ? ["src/redisPools.ts"] : [])]
].map((pages) => {
  const outputs = printedInTurn(pages)
  outputs.catch(() => {})
  return { pages, outputs }
})

const text = async (page: string): Promise<string> =>
  (await groups.find(({ pages }) => pages.includes(page))!.outputs).get(page)!

// Real sockets, so times are only compared where one of them is what a page is about.
describe("examples that tell a story", { timeout: 150_000 }, () => {
  it("a charge whose answer was lost: only the blind retry charges twice", async () => {
    const page = "src/idempotentPayments.ts"
    const output = await text(page)
    told(page, output)
    assert.deepStrictEqual(figures(output, "tried again blindly"), [2, 0, 2])
    assert.deepStrictEqual(figures(output, "no key, answer lost"), [1, 0, 1])
    assert.deepStrictEqual(figures(output, "no key, request lost"), [1, 0, 0])
    assert.deepStrictEqual(figures(output, "a key per call"), [2, 1, 1])
    assert.deepStrictEqual(figures(output, "the order is the key, pressed twice"), [3, 1, 1])
  })

  it("a storage that is slow and not down: each layer catches what the one before missed", async () => {
    const page = "src/slowStorage.ts"
    const output = await text(page)
    // Virtual time and one seed: the same on every machine.
    assert.strictEqual(output.trimEnd(), promised(page))
    const [catalogWithNothing, , , , , askedWithNothing, heldWithNothing] = figures(output, "nothing")
    const [catalogWithTimeout, , , , , askedWithTimeout] = figures(output, "timeout of 2 s")
    const [, , , , , askedWithBreaker, heldWithBreaker] = figures(output, "+ circuit breaker")
    const [, , , , , , heldWithBulkhead] = figures(output, "+ bulkhead of 20")
    const [, , yesterdays, failed] = figures(output, "+ fallback")
    assert.isBelow(catalogWithNothing!, 50)
    assert.strictEqual(heldWithNothing, 200, "all workers wait for the storage")
    assert.strictEqual(catalogWithTimeout, 100)
    assert.isAbove(askedWithTimeout!, askedWithNothing!, "a timeout alone asks a slow storage more often")
    assert.isBelow(askedWithBreaker!, askedWithTimeout! / 10)
    assert.isBelow(heldWithBulkhead!, heldWithBreaker!)
    assert.deepStrictEqual([yesterdays, failed], [100, 0])
  })

  it("analytics: every event is collected or counted as dropped, and every page is answered", async () => {
    const page = "src/analytics.ts"
    const output = await text(page)
    told(page, output)
    assert.deepStrictEqual(figures(output, "the collector is well").slice(0, 2), [50, 50])
    assert.deepStrictEqual(figures(output, "it hangs").slice(0, 2), [50, 50])
    const [answered, pages, , , inBuffer, dropped] = figures(output, "it answers 503")
    assert.deepStrictEqual([answered, pages], [150, 150])
    assert.isAtMost(inBuffer!, 100)
    assert.isAbove(dropped!, 0)
    const [collected, lost] = figures(output, "250 events:")
    assert.strictEqual(collected! + lost!, 250)
    assert.isAtLeast(collected!, 150, "what was in the buffer was sent later")
  })

  it("a rate-limited API: tiers, costs, the exempt health check, and a client that waits as asked", async () => {
    const page = "src/rateLimitedApi.ts"
    const output = await text(page)
    told(page, output)
    assert.match(output, /GET \/orders\/1 {3}200\n {2}x-ratelimit-limit: 4\n {2}x-ratelimit-remaining: 3\n/)
    assert.match(output, /five at once {3}429\n[^]*\n {2}ratelimit-policy: "free";q=4;w=1\n[^]*\n {2}retry-after: 1\n/)
    assert.deepStrictEqual(figures(output, "Ada, free, nothing left"), [10, 10, 10])
    assert.deepStrictEqual(figures(output, "Bo, paid   "), [20, 20, 20])
    const [, , searches] = figures(output, "Bo, paid, 30 left")
    assert.isTrue(searches! >= 10 && searches! < 15, `30 are good for ten searches at 3 each: ${searches}`)
    const [cy, dee] = ["Cy asks", "Dee waits"].map((name) => cells(output, name))
    assert.strictEqual(cy![1], "10 of 10")
    assert.strictEqual(dee![1], "10 of 10")
    const [requests, waits, shortest] = dee!.slice(3).map(Number.parseFloat)
    assert.strictEqual(requests, 10 + waits!, "one request for each answer, and one for each wait")
    assert.isAtLeast(waits!, 1)
    assert.isAtLeast(shortest!, 1000, "never sooner than asked")
  })

  it("the product page: degraded part by part, and loud without a price", async () => {
    const output = await text("src/productPage.ts")
    const [healthy, degraded, pricingDown, failed] = output.split("\n\n")
    assert.match(healthy!, / 200 .* Beacon, €189\.00/)
    assert.strictEqual(degraded!.match(/ 200 .* Beacon, €189\.00/g)?.length, 6)
    assert.include(degraded!, "! Likely in stock.")
    assert.include(degraded!, "! Reviews are taking a short break.")
    assert.include(pricingDown!, "! Price from less than a minute ago. We check it again before you pay.")
    assert.match(failed!, / 503 .* We cannot tell you the price right now, no price/)
  })
})

describeWith(redis, "one Redis, three pools", () => {
  it("analytics cannot hurt sessions, a blip is bridged, and only clients that gave up are reconnected", async () => {
    const page = "src/redisPools.ts"
    const output = await text(page)
    told(page, output)
    const [blocked, blip, long] = output.split("\n\n")

    assert.deepStrictEqual(figures(blocked!, "one pool of 50"), [50, 0, 30])
    assert.deepStrictEqual(figures(blocked!, "three pools"), [5, 30, 30])

    for (const [name, size] of [["sessions", 30], ["cache", 15], ["analytics", 5]] as const) {
      const [redis, fallback, failed, , , byClients, byUs] = figures(blip!, name)
      assert.isAbove(redis!, 0, `${name} are served by Redis again`)
      assert.isAbove(fallback!, 0, `${name} were answered meanwhile`)
      assert.strictEqual(failed, 0, `${name}: nobody saw an error`)
      assert.strictEqual(byClients, size, `${name}: the clients reconnected by themselves`)
      assert.strictEqual(byUs, 0, `${name}: and without us`)

      const [again, meanwhile, failedToo, , , byThemselves, forThem] = figures(long!, name)
      assert.isAbove(again!, 0)
      assert.isAbove(meanwhile!, 0)
      assert.strictEqual(failedToo, 0)
      assert.isAtLeast(forThem!, 1, `${name}: a client that gave up is connected by us`)
      assert.isAtMost(byThemselves! + forThem!, size, `${name}: and none twice`)
    }
  })
})
