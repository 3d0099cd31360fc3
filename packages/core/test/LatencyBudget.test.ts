import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as LatencyBudget from "@holdfast/core/LatencyBudget"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Duration from "effect/Duration"
import * as fc from "fast-check"

const seconds = (duration: Duration.Duration) => Duration.toSeconds(duration)

describe("LatencyBudget", () => {
  it("5 s promised, 2 s per attempt and 1 s of delay leave room for one retry; cautiously reckoned for none", () => {
    const budget = LatencyBudget.make({ sla: "5 seconds", timeout: "2 seconds", maxRetries: 2, backoff: "1 second" })
    assert.strictEqual(seconds(budget.worstCase), 8)
    assert.isFalse(budget.fits)
    assert.strictEqual(budget.largestMaxRetries, 1)
    assert.strictEqual(budget.cautiousMaxRetries, 0)
    assert.strictEqual(
      budget.text,
      "3 x 2 s + 2 s of delays = 8 s, beyond 5 s; maxRetries up to 1 fits (cautiously: 0)"
    )
    assert.isTrue(LatencyBudget.make({ sla: 5000, timeout: 2000, maxRetries: 1, backoff: 1000 }).fits)
  })

  it("the order service waits at most 11 s for payment, 2 s for inventory and 15 s for notification", () => {
    const worst = (timeout: number, maxRetries: number, base: number) =>
      seconds(
        LatencyBudget.worstCase({ timeout: timeout * 1000, maxRetries, backoff: Backoff.exponential(base * 1000) })
      )
    assert.deepStrictEqual([worst(5, 1, 1), worst(2, 0, 0.5), worst(3, 2, 2)], [11, 2, 15])
  })

  it("overhead comes off the promise", () => {
    const budget = LatencyBudget.make({ sla: 5000, overhead: 1, timeout: 2000, maxRetries: 1, backoff: 1000 })
    assert.strictEqual(Duration.toMillis(budget.available), 4999)
    assert.strictEqual(budget.largestMaxRetries, 0)
  })

  it("when not even one attempt fits there is no number of retries, rather than -1", () => {
    const budget = LatencyBudget.make({ sla: 1000, timeout: 2000, maxRetries: 0 })
    assert.isUndefined(budget.largestMaxRetries)
    assert.isUndefined(budget.cautiousMaxRetries)
    assert.include(budget.text, "not even one attempt fits")
  })

  it("the largest number of retries is the formula's, fits, and one more does not", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 60_000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 99 }),
        (sla, timeout, backoff, overhead) => {
          const of = (maxRetries: number) => LatencyBudget.make({ sla, overhead, timeout, backoff, maxRetries })
          const largest = of(0).largestMaxRetries
          const formula = Math.floor((sla - overhead + backoff) / (timeout + backoff)) - 1
          if (largest === undefined) {
            return formula === -1
          }
          if (largest === 1000) {
            return formula >= 1000
          }
          return largest === formula && of(largest).fits && (largest === 999 || !of(largest + 1).fits) &&
            of(0).cautiousMaxRetries! <= largest
        }
      ),
      { seed: 7, numRuns: 2000 }
    )
  })

  it("the cautious number charges the delay that comes next after the last attempt, however large the delays grow", () => {
    const budget = LatencyBudget.make({
      sla: "20 seconds",
      timeout: "2 seconds",
      maxRetries: 1,
      backoff: Backoff.exponential("1 second")
    })
    assert.include(budget.text, "maxRetries up to 3 fits (cautiously: 2)")
  })

  it("the cautious number does not depend on what was asked for and is never above the largest", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 60_000 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.double({ min: 1, max: 4, noNaN: true }),
        fc.integer({ min: 0, max: 20 }),
        (sla, timeout, base, factor, asked) => {
          const backoff = Backoff.exponential(base, { factor, cap: 20_000, jitter: "none" })
          const of = (maxRetries: number) => LatencyBudget.make({ sla, timeout, maxRetries, backoff })
          const { cautiousMaxRetries, largestMaxRetries } = of(asked)
          assert.strictEqual(cautiousMaxRetries, of(0).cautiousMaxRetries)
          assert.strictEqual(cautiousMaxRetries === undefined, largestMaxRetries === undefined)
          if (cautiousMaxRetries !== undefined && largestMaxRetries !== undefined) {
            assert.isAtMost(cautiousMaxRetries, largestMaxRetries)
            const charged = (attempts: number) => {
              let total = attempts * timeout
              for (let retry = 0; retry < attempts; retry++) total += backoff.largest(retry)
              return total
            }
            assert.isTrue(cautiousMaxRetries === 0 || charged(cautiousMaxRetries + 1) <= sla)
            assert.isTrue(cautiousMaxRetries === 1000 || charged(cautiousMaxRetries + 2) > sla)
          }
        }
      ),
      { seed: 7, numRuns: 1000 }
    )
  })

  it("a Backoff counts with its largest delays, cap and jitter included", () => {
    const backoff = Backoff.exponential(1000, { cap: 3000, jitter: { factor: 0.5 } })
    assert.strictEqual(
      Duration.toMillis(LatencyBudget.worstCase({ timeout: 100, maxRetries: 3, backoff })),
      400 + 1500 + 3000 + 3000
    )
  })

  it("wrong options are refused", () => {
    assert.throws(() => LatencyBudget.make({ sla: 1000, overhead: 1000, timeout: 1, maxRetries: 0 }), InvalidOptions)
    assert.throws(() => LatencyBudget.make({ sla: -1, timeout: 1, maxRetries: 1.5 }), InvalidOptions)
    assert.throws(
      () => LatencyBudget.worstCase({ timeout: 1, maxRetries: 1, retries: 2 } as LatencyBudget.Attempts),
      InvalidOptions
    )
    assert.throws(() => LatencyBudget.amplification([2, -1]), InvalidOptions)
  })
})

describe("LatencyBudget: several layers", () => {
  it("retries of several layers multiply", () => {
    assert.strictEqual(LatencyBudget.amplification([2, 2, 2]), 27)
    assert.strictEqual(LatencyBudget.amplification([3, 0]), 4)
    assert.strictEqual(LatencyBudget.amplification([]), 1)
  })

  it("a hop whose attempts together outlast its caller is found, with the numbers", () => {
    const { findings, hops } = LatencyBudget.cascade([
      { name: "web > checkout", timeout: "5 seconds", maxRetries: 1 },
      {
        name: "checkout > payments",
        timeout: "3 seconds",
        maxRetries: 1,
        backoff: "200 millis",
        overhead: "100 millis"
      },
      { name: "payments > bank", timeout: "1 second", maxRetries: 1 }
    ])
    assert.deepStrictEqual(findings.map((finding) => [finding.rule, finding.at]), [
      ["hop-not-shorter-than-caller", "checkout > payments"]
    ])
    assert.strictEqual(
      findings[0]?.because,
      "2 x 3 s + 0.2 s + 0.1 s of overhead take 6.3 s, and \"web > checkout\" waits 5 s"
    )
    assert.deepStrictEqual(hops.map((hop) => hop.calls), [2, 4, 8])
    assert.deepStrictEqual(hops.map((hop) => seconds(hop.worstCase)), [10, 6.3, 2])
  })

  it("hops that are over before their callers give up are not found; one of the very same length is", () => {
    const chain = (inner: number) =>
      LatencyBudget.cascade([
        { name: "A > B", timeout: 1000, maxRetries: 0 },
        { name: "B > C", timeout: inner, maxRetries: 0 }
      ]).findings.length
    assert.strictEqual(chain(999), 0)
    assert.strictEqual(chain(1000), 1)
  })
})

describe("LatencyBudget: the timeout stack", () => {
  const aligned: LatencyBudget.TimeoutStack = {
    cdn: "60 seconds",
    loadBalancer: "30 seconds",
    proxy: "15 seconds",
    app: "10 seconds",
    database: "500 millis",
    probes: [
      { name: "readiness", timeout: "3 seconds", period: "10 seconds" },
      { name: "liveness", timeout: "5 seconds", period: "20 seconds" }
    ]
  }

  it("a stack in which no outer layer is shorter is silent, and equal layers are allowed", () => {
    assert.deepStrictEqual(LatencyBudget.checkStack(aligned), [])
    assert.deepStrictEqual(LatencyBudget.checkStack({ ...aligned, cdn: "30 seconds" }), [])
    assert.deepStrictEqual(LatencyBudget.checkStack({}), [])
  })

  it("each pair of neighbours is checked, over layers that are not there", () => {
    const layers = ["cdn", "loadBalancer", "proxy", "app"] as const
    for (const layer of layers) {
      const found = LatencyBudget.checkStack({ ...aligned, [layer]: "1 millis" })
      assert.deepStrictEqual(found.filter((finding) => finding.at === layer).map((finding) => finding.rule), [
        "outer-timeout-shorter"
      ])
    }
    const [found] = LatencyBudget.checkStack({ loadBalancer: "5 seconds", database: "6 seconds" })
    assert.strictEqual(found?.because, "loadBalancer gives up after 5 s and cuts off what database works on for 6 s")
  })

  it("a probe must be over before the next one begins", () => {
    const probe = (timeout: number) =>
      LatencyBudget.checkStack({ probes: [{ name: "readiness", timeout, period: 10_000 }] })
    assert.deepStrictEqual(probe(9999), [])
    assert.strictEqual(probe(10_000)[0]?.rule, "probe-timeout-not-shorter-than-period")
  })

  it("a layer that waits much longer than the one it hands requests to is found, with how long it holds the connection", () => {
    const [found, ...others] = LatencyBudget.checkStack({ proxy: "60 seconds", app: "2 seconds" })
    assert.lengthOf(others, 0)
    assert.deepStrictEqual([found?.rule, found?.severity, found?.at], ["outer-timeout-much-longer", "warning", "proxy"])
    assert.strictEqual(
      found?.because,
      "proxy waits 1 min and app gives up after 2 s: when app does not answer, proxy holds the connection 58 s longer"
    )
    assert.strictEqual(found?.instead, "proxy a little above 2 s, 7 s at most")
    for (const outer of ["cdn", "loadBalancer", "proxy"] as const) {
      assert.deepStrictEqual(
        LatencyBudget.checkStack({ [outer]: "30 seconds", app: "10 seconds" }).map(({ at, rule }) => [rule, at]),
        [["outer-timeout-much-longer", outer]]
      )
    }
  })

  it("a layer may wait twice as long as the one inside it, or 5 s longer; a database is asked several times and may be short", () => {
    const rules = (stack: LatencyBudget.TimeoutStack) => LatencyBudget.checkStack(stack).map(({ rule }) => rule)
    assert.deepStrictEqual(rules({ proxy: 20_000, app: 10_000 }), [])
    assert.deepStrictEqual(rules({ proxy: 20_001, app: 10_000 }), ["outer-timeout-much-longer"])
    assert.deepStrictEqual(rules({ proxy: 5500, app: 500 }), [])
    assert.deepStrictEqual(rules({ proxy: 5501, app: 500 }), ["outer-timeout-much-longer"])
    assert.deepStrictEqual(rules({ app: 60_000, database: 500 }), [])
    assert.deepStrictEqual(rules({ proxy: 60_000, database: 500 }), [])
  })

  it("a probe that is slower than period x failureThreshold is found as that", () => {
    const probe = (timeout: number, failureThreshold: number) =>
      LatencyBudget.checkStack({ probes: [{ name: "liveness", timeout, period: 10_000, failureThreshold }] })
    assert.deepStrictEqual(probe(9999, 3), [])
    assert.deepStrictEqual(probe(29_999, 3).map(({ rule }) => rule), ["probe-timeout-not-shorter-than-period"])
    const [found, ...others] = probe(30_000, 3)
    assert.lengthOf(others, 0)
    assert.deepStrictEqual([found?.rule, found?.severity], ["probe-slower-than-its-verdict", "error"])
    assert.include(found?.because, "may take 30 s, and 3 x 10 s = 30 s decide")
    assert.throws(() => probe(1, 0), InvalidOptions)
  })

  it("a misspelt layer is refused", () => {
    assert.throws(() => LatencyBudget.checkStack({ nginx: "5 seconds" } as LatencyBudget.TimeoutStack), InvalidOptions)
  })
})
