import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as LatencyHistogram from "../src/LatencyHistogram.js"

const hour = 3_600_000
const quantiles = [0, 0.01, 0.07, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]

const filled = (durations: ReadonlyArray<number>): LatencyHistogram.LatencyHistogram => {
  const histogram = LatencyHistogram.make(60_000, 0)
  for (const millis of durations) histogram.record(millis, 0)
  return histogram
}

describe("an empty histogram", () => {
  it("has no readings, and says so", () => {
    const histogram = LatencyHistogram.make(1000, 5)
    assert.deepStrictEqual(histogram.snapshot(), {
      since: 5,
      count: 0,
      mean: undefined,
      max: undefined,
      p50: undefined,
      p90: undefined,
      p99: undefined
    })
    assert.isUndefined(histogram.quantile(0))
    assert.isUndefined(histogram.quantile(1))
  })

  it("names the range it tells apart", () => {
    assert.strictEqual(LatencyHistogram.shortest, 0.1)
    assert.strictEqual(LatencyHistogram.longest, hour)
  })
})

describe("readings", () => {
  it("have an exact count, mean and maximum", () => {
    const histogram = filled([1, 2, 3, 10])
    assert.strictEqual(histogram.count, 4)
    assert.strictEqual(histogram.mean, 4)
    assert.strictEqual(histogram.max, 10)
  })

  it("place each duration in the middle of its bucket", () => {
    // 160 ticks a millisecond: 1 ms lies in the bucket of 160 to 167 ticks, 50 ms in that of 7,936 to 8,191.
    assert.strictEqual(filled([1, 1000]).quantile(0.5), 164 / 160)
    assert.strictEqual(filled([50, 1000]).quantile(0.5), 8064 / 160)
    assert.strictEqual(filled([0.1, 1000]).quantile(0.5), 16.5 / 160)
  })

  it("give no quantile above the maximum", () => {
    assert.strictEqual(filled([1]).quantile(0.5), 1)
    assert.strictEqual(filled([1, 50]).quantile(1), 50)
  })

  it("take the nearest rank from above", () => {
    const histogram = filled([1, 10, 100, 1000])
    const near = (q: number, expected: number): void =>
      assert.closeTo(histogram.quantile(q)!, expected, expected * 0.04)
    near(0, 1)
    near(0.25, 1)
    near(0.26, 10)
    near(0.5, 10)
    near(0.51, 100)
    near(0.75, 100)
    near(0.76, 1000)
    near(1, 1000)
    near(1.5, 1000)
    near(-1, 1)
  })

  it("are not moved to the next rank by a rounding error", () => {
    // 0.07 * 100 is 7.000000000000001.
    const histogram = filled(Array.from({ length: 100 }, (_, index) => (index < 7 ? 1 : 1000)))
    assert.strictEqual(histogram.quantile(0.07), 164 / 160)
    assert.isAbove(histogram.quantile(0.08)!, 900)
  })

  it("come as data of their own", () => {
    const histogram = filled([...Array.from({ length: 90 }, () => 1), ...Array.from({ length: 9 }, () => 10), 100])
    const snapshot = histogram.snapshot()
    histogram.record(hour, 0)
    assert.strictEqual(snapshot.count, 100)
    assert.strictEqual(snapshot.since, 0)
    assert.strictEqual(snapshot.mean, 2.8)
    assert.strictEqual(snapshot.max, 100)
    assert.strictEqual(snapshot.p50, 164 / 160)
    assert.strictEqual(snapshot.p90, 164 / 160)
    assert.closeTo(snapshot.p99!, 10, 0.4)
  })
})

describe("the range", () => {
  it("counts shorter durations, negative ones and what is no number at its lower end", () => {
    for (const millis of [0.1, 0.0999, 0, -0, -5, -Infinity, NaN]) {
      const histogram = filled([millis])
      assert.strictEqual(histogram.count, 1)
      assert.strictEqual(histogram.quantile(0.5), 0.1)
      assert.strictEqual(histogram.max, 0.1)
      assert.strictEqual(histogram.mean, 0.1)
    }
  })

  it("counts longer durations at its upper end", () => {
    for (const millis of [hour, hour + 1, 2 ** 40, Number.MAX_VALUE, Infinity]) {
      const histogram = filled([millis])
      assert.strictEqual(histogram.max, hour)
      assert.strictEqual(histogram.mean, hour)
      assert.strictEqual(histogram.quantile(1), hour)
    }
  })

  it("tells durations apart on both sides of every bucket border, within 3.2 %", () => {
    for (let doubling = 0; doubling < 25; doubling++) {
      for (let offset = 0; offset < 16; offset++) {
        const border = ((16 + offset) * 2 ** doubling) / 160
        for (const millis of [border, border * 1.02, border * 0.999]) {
          if (millis < 0.1 || millis > hour) continue
          const read = filled([millis, hour]).quantile(0.5)!
          assert.isAtMost(Math.abs(read - millis) / millis, 0.032, String(millis))
        }
        // The borders are where they are said to be: just below one reads lower than on it.
        if (border > 0.1 && border < hour) {
          assert.isBelow(filled([border * 0.9999, hour]).quantile(0.5)!, border)
          assert.isAbove(filled([border, hour]).quantile(0.5)!, border)
        }
      }
    }
  })

  it("reads every quantile within 5 % of the exact one, over random durations", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 6.55, noNaN: true }).map((exponent) => 10 ** exponent), {
          minLength: 1,
          maxLength: 200
        }),
        (durations) => {
          const histogram = filled(durations)
          const sorted = [...durations].sort((left, right) => left - right)
          for (const q of quantiles) {
            const exact = sorted[Math.max(1, Math.ceil(q * sorted.length - 1e-6)) - 1]!
            assert.isAtMost(Math.abs(histogram.quantile(q)! - exact) / exact, 0.05, `quantile ${q}`)
          }
        }
      ),
      { numRuns: 1000, seed: 21 }
    )
  })
})

describe("decay", () => {
  it("keeps the previous window beside the current one", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 0)
    histogram.record(20, 999)
    histogram.record(30, 1000)
    assert.strictEqual(histogram.count, 3)
    assert.strictEqual(histogram.mean, 20)
    assert.strictEqual(histogram.max, 30)
    assert.strictEqual(histogram.since, 0)
    assert.closeTo(histogram.quantile(0.01)!, 10, 0.4)
    assert.closeTo(histogram.quantile(0.5)!, 20, 0.8)
    assert.closeTo(histogram.quantile(1)!, 30, 1)
  })

  it("takes the maximum and the lowest quantile from whichever window holds them", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(500, 0)
    histogram.record(5, 1000)
    assert.strictEqual(histogram.max, 500)
    assert.closeTo(histogram.quantile(0.5)!, 5, 0.2)
    assert.closeTo(histogram.quantile(1)!, 500, 16)
    const shortFirst = LatencyHistogram.make(1000, 0)
    shortFirst.record(0.1, 0)
    shortFirst.record(500, 1000)
    assert.strictEqual(shortFirst.quantile(0.5), 16.5 / 160)
  })

  it("lets a window leave when the next but one begins", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 500)
    histogram.record(20, 1500)
    histogram.rotate(1999.9)
    assert.strictEqual(histogram.count, 2)
    histogram.rotate(2000)
    assert.strictEqual(histogram.count, 1)
    assert.strictEqual(histogram.mean, 20)
    assert.strictEqual(histogram.max, 20)
    assert.strictEqual(histogram.since, 1000)
    assert.strictEqual(histogram.quantile(0), 20)
    histogram.rotate(3000)
    assert.strictEqual(histogram.count, 0)
    assert.strictEqual(histogram.since, 2000)
  })

  it("keeps windows of one length when readings come late in them", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 0)
    histogram.record(10, 1900)
    histogram.record(10, 2000)
    assert.strictEqual(histogram.count, 2)
    assert.strictEqual(histogram.since, 1000)
  })

  it("keeps both windows up to the moment before two window lengths have passed in silence", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 0)
    histogram.rotate(1999.9)
    assert.strictEqual(histogram.count, 1)
    const silent = LatencyHistogram.make(1000, 0)
    silent.record(10, 0)
    silent.rotate(2000)
    assert.strictEqual(silent.count, 0)
    assert.isUndefined(silent.max)
    assert.strictEqual(silent.since, 2000)
    silent.record(7, 2999)
    silent.rotate(3999)
    assert.strictEqual(silent.count, 1)
  })

  it("empties when the clock steps far forward", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 0)
    histogram.record(10, 1000)
    histogram.record(7, 1e15)
    assert.strictEqual(histogram.count, 1)
    assert.strictEqual(histogram.max, 7)
    assert.strictEqual(histogram.since, 1e15)
  })

  it("goes on when the clock steps back: what it holds still leaves", () => {
    const histogram = LatencyHistogram.make(1000, 1_000_000)
    histogram.record(10, 1_000_000)
    histogram.record(20, 1_001_500)
    assert.strictEqual(histogram.since, 1_000_000)
    histogram.record(30, 0)
    assert.strictEqual(histogram.count, 3)
    assert.strictEqual(histogram.since, -1000)
    histogram.rotate(999)
    assert.strictEqual(histogram.count, 3)
    histogram.rotate(1000)
    assert.strictEqual(histogram.count, 2)
    assert.strictEqual(histogram.since, 0)
    histogram.rotate(2000)
    assert.strictEqual(histogram.count, 0)
  })

  it("is as new after being cleared", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    histogram.record(10, 0)
    histogram.record(20, 1000)
    histogram.clear(1700)
    assert.strictEqual(histogram.count, 0)
    assert.strictEqual(histogram.since, 1700)
    assert.isUndefined(histogram.mean)
    assert.isUndefined(histogram.max)
    assert.isUndefined(histogram.quantile(0.5))
    histogram.record(5, 2699)
    histogram.record(7, 2700)
    assert.strictEqual(histogram.since, 1700)
    assert.strictEqual(histogram.mean, 6)
    assert.strictEqual(histogram.max, 7)
    assert.closeTo(histogram.quantile(0.5)!, 5, 0.2)
  })

  it("reuses the window that left without its durations", () => {
    const histogram = LatencyHistogram.make(1000, 0)
    for (let window = 0; window < 10; window++) {
      histogram.record(100 - window, window * 1000)
      assert.strictEqual(histogram.count, Math.min(window + 1, 2))
      assert.strictEqual(histogram.max, window === 0 ? 100 : 100 - window + 1)
      assert.strictEqual(histogram.mean, window === 0 ? 100 : 100 - window + 0.5)
    }
  })
})
