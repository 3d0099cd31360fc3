import { assert, describe, it } from "@effect/vitest"
import { RetryBudgetMachine, RetryThrottleMachine } from "@holdfast/core/RetryBudgetMachine"

const epoch = 1_700_000_000_000

/** Withdraws until it is refused; the number of retries granted. */
const drain = (budget: RetryBudgetMachine, now: number): number => {
  let granted = 0
  while (budget.tryWithdraw(now)) granted += 1
  return granted
}

const deposits = (budget: RetryBudgetMachine, count: number, now: number): void => {
  for (let call = 0; call < count; call++) budget.deposit(now)
}

describe("RetryBudgetMachine", () => {
  it("by default remembers 10 s, grants one retry for five calls and one per second", () => {
    const budget = new RetryBudgetMachine()
    assert.strictEqual(budget.balance(0), 10)
    assert.strictEqual(drain(budget, 0), 10)
    deposits(budget, 4, 0)
    assert.isFalse(budget.tryWithdraw(0))
    budget.deposit(0)
    assert.isTrue(budget.tryWithdraw(0))
    assert.isFalse(budget.tryWithdraw(0))
    assert.strictEqual(drain(budget, 9_999), 0)
    assert.strictEqual(drain(budget, 10_000), 10)
  })

  for (
    const percent of [
      0.0001,
      0.001,
      0.01,
      0.07,
      0.1,
      0.2,
      0.25,
      0.3,
      1 / 3,
      0.5,
      0.7,
      0.9,
      0.99,
      0.9999,
      1,
      1.3337,
      9999
    ]
  ) {
    it(`10,000 calls at a share of ${percent} pay for ${Math.floor(10_000 * percent)} retries beside the reserve`, () => {
      for (const minimumPerSecond of [0, 1, 10]) {
        const reserve = minimumPerSecond * 10
        const paired = new RetryBudgetMachine({ percent, minimumPerSecond })
        let granted = 0
        for (let call = 0; call < 10_000; call++) {
          paired.deposit(epoch)
          if (paired.tryWithdraw(epoch)) granted += 1
        }
        assert.closeTo(granted, Math.min(10_000, Math.floor(10_000 * percent) + reserve), 1)
        // and those that pairs cannot reach, when a call may pay for more than one retry
        const expected = Math.floor(10_000 * percent + 1e-9) + reserve
        const balance = paired.balance(epoch)
        assert.closeTo(granted + balance, expected, Math.max(1, expected * 1e-6))
        if (balance < 100_000) assert.strictEqual(drain(paired, epoch), balance)
      }
    })
  }

  it("C11: an empty budget refuses without changing anything, however often it is asked", () => {
    const budget = new RetryBudgetMachine({ percent: 0.5, minimumPerSecond: 0 })
    budget.deposit(0)
    for (let retry = 0; retry < 1_000; retry++) assert.isFalse(budget.tryWithdraw(0))
    budget.deposit(0)
    assert.isTrue(budget.tryWithdraw(0))
  })

  it("C12: an attempt that was refused (a retry or a hedge) takes nothing from the calls that go on", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
    assert.isFalse(budget.tryWithdraw(0))
    deposits(budget, 3, 0)
    assert.strictEqual(drain(budget, 0), 3)
  })

  it("C13: the minimum is honoured exactly with no calls at all, fractions too", () => {
    for (
      const [minimumPerSecond, ttlMillis, retries] of [
        [1, 10_000, 10],
        [1, 1_000, 1],
        [0.1, 10_000, 1],
        [0.09, 10_000, 0],
        [0.3, 10_000, 3],
        [0.7, 10_000, 7],
        [0.29, 60_000, 17],
        [1.1, 10_000, 11],
        [3, 1_500, 4],
        [10_000, 60_000, 600_000],
        [0, 10_000, 0]
      ] as const
    ) {
      for (const percent of [0, 0.0001, 0.2, 0.3, 1, 10_000]) {
        const budget = new RetryBudgetMachine({ minimumPerSecond, ttlMillis, percent })
        assert.strictEqual(budget.balance(0), retries, `${minimumPerSecond} x ${ttlMillis} at ${percent}`)
        if (retries < 100) assert.strictEqual(drain(budget, 0), retries)
      }
    }
  })

  it("C13: the minimum comes back only when the retries that used it are forgotten", () => {
    const budget = new RetryBudgetMachine({ percent: 0, minimumPerSecond: 1, ttlMillis: 10_000 })
    for (let second = 0; second < 10; second++) assert.isTrue(budget.tryWithdraw(second * 1_000))
    assert.isFalse(budget.tryWithdraw(9_999))
    for (let second = 10; second < 100; second++) {
      assert.isTrue(budget.tryWithdraw(second * 1_000))
      assert.isFalse(budget.tryWithdraw(second * 1_000 + 999))
    }
  })

  it("C10: three nested layers that share one budget stay within it instead of multiplying", () => {
    const budget = new RetryBudgetMachine({ percent: 0.2, minimumPerSecond: 1 })
    let attempts = 0
    const layer = (depth: number): void => {
      for (let attempt = 0; attempt < 3; attempt++) {
        if (attempt > 0 && !budget.tryWithdraw(epoch)) return
        if (depth === 0) attempts += 1
        else layer(depth - 1)
      }
    }
    for (let call = 0; call < 1_000; call++) {
      budget.deposit(epoch)
      layer(2)
    }
    assert.strictEqual(attempts, 1_000 + 200 + 10)
  })

  it("with a share of zero calls earn nothing", () => {
    const budget = new RetryBudgetMachine({ percent: 0, minimumPerSecond: 0 })
    deposits(budget, 10_000, 0)
    assert.strictEqual(budget.balance(0), 0)
    assert.isFalse(budget.tryWithdraw(0))
  })

  it("forgets calls slice by slice, each after nine to ten tenths of its time", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0, ttlMillis: 10_000 })
    for (let tenth = 0; tenth < 10; tenth++) deposits(budget, 2 ** tenth, epoch + tenth * 1_000 + 999)
    assert.strictEqual(budget.balance(epoch + 9_999), 1_023)
    for (let tenth = 0; tenth < 10; tenth++) {
      assert.strictEqual(budget.balance(epoch + 10_000 + tenth * 1_000), 1_023 - (2 ** (tenth + 1) - 1))
    }
  })

  it("the length of a slice follows ttlMillis", () => {
    for (const ttlMillis of [1_000, 2_500, 60_000]) {
      const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0, ttlMillis })
      budget.deposit(0)
      assert.strictEqual(budget.balance(ttlMillis - 0.001), 1)
      assert.strictEqual(budget.balance(ttlMillis), 0)
      budget.deposit(ttlMillis * 1.099)
      assert.strictEqual(budget.balance(ttlMillis * 1.999), 1)
      assert.strictEqual(budget.balance(ttlMillis * 2), 0)
    }
  })

  it("owes nothing below zero when calls are forgotten before the retries they paid for", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0.1 })
    deposits(budget, 5, 0)
    assert.strictEqual(drain(budget, 5_000), 6)
    assert.strictEqual(budget.balance(10_000), 0)
    budget.deposit(10_000)
    assert.isFalse(budget.tryWithdraw(10_000), "the retries of the last ten seconds still count")
    assert.strictEqual(budget.balance(15_000), 2)
  })

  it("an idle budget of any age has its reserve and nothing else", () => {
    for (const later of [10_000, 20_000, 1e9, Infinity]) {
      const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 1 })
      deposits(budget, 100, 0)
      drain(budget, 0)
      deposits(budget, 50, 3_000)
      assert.strictEqual(budget.balance(13_000 + later), 10)
    }
  })

  it("a clock set back is followed: what is remembered keeps its age, and nobody is locked out", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 1 })
    assert.strictEqual(drain(budget, epoch), 10)
    const back = epoch - 8 * 3_600_000
    assert.strictEqual(budget.balance(back), 0)
    deposits(budget, 3, back)
    assert.strictEqual(budget.balance(back + 9_999), 3)
    assert.strictEqual(budget.balance(back + 10_000), 10)
  })

  it("a reading up to 1,000 ms before the slice is counted in it, an older one moves the slice", () => {
    const waited = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
    waited.deposit(20_000)
    waited.deposit(19_000)
    assert.strictEqual(waited.balance(28_999), 2)
    assert.strictEqual(waited.balance(29_999), 2)
    assert.strictEqual(waited.balance(30_000), 0)
    const followed = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
    followed.deposit(20_000)
    followed.deposit(18_999.5)
    assert.strictEqual(followed.balance(27_999), 2)
    assert.strictEqual(followed.balance(28_000), 0)
  })

  it("a clock that steps forward leaves the reserve and no more", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 1 })
    deposits(budget, 1_000, epoch)
    assert.strictEqual(drain(budget, epoch + 3_600_000), 10)
  })

  it("recovers from an infinite reading, and a reading that is no number changes nothing", () => {
    const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
    budget.deposit(epoch)
    assert.strictEqual(budget.balance(NaN), 1)
    assert.strictEqual(budget.balance(epoch), 1)
    assert.strictEqual(budget.balance(Infinity), 0)
    budget.deposit(epoch)
    assert.strictEqual(budget.balance(epoch + 8_999), 1)
    assert.strictEqual(budget.balance(epoch + 10_000), 0)
  })

  it("stops counting where whole numbers end instead of losing count", () => {
    const budget = new RetryBudgetMachine({ percent: 10_000, minimumPerSecond: 0 })
    deposits(budget, 900_719, 0)
    assert.strictEqual(budget.balance(0), 9_007_190_000)
    deposits(budget, 1_000, 0)
    assert.strictEqual(budget.balance(0), 9_007_190_000)
    assert.strictEqual(budget.balance(10_000), 0)
  })

  describe("under new numbers", () => {
    it("what calls earned stays as many retries, and later calls earn the new share", () => {
      const budget = new RetryBudgetMachine({ percent: 0.5, minimumPerSecond: 0 })
      deposits(budget, 10, 0)
      budget.reconfigure({ percent: 0.1, minimumPerSecond: 0 }, 0)
      assert.strictEqual(budget.balance(0), 5)
      deposits(budget, 9, 0)
      assert.strictEqual(budget.balance(0), 5)
      deposits(budget, 1, 0)
      assert.strictEqual(drain(budget, 0), 6)
      budget.reconfigure({ percent: 2, minimumPerSecond: 0 }, 0)
      assert.strictEqual(budget.balance(0), 0)
      deposits(budget, 3, 0)
      assert.strictEqual(drain(budget, 0), 6)
    })

    it("what was withdrawn stays withdrawn, and the floor is the new one at once", () => {
      const budget = new RetryBudgetMachine({ percent: 0.2, minimumPerSecond: 1 })
      for (let retry = 0; retry < 4; retry++) assert.isTrue(budget.tryWithdraw(0))
      budget.reconfigure({ percent: 0.01, minimumPerSecond: 2 }, 0)
      assert.strictEqual(budget.balance(0), 16)
      budget.reconfigure({ percent: 0.01, minimumPerSecond: 0.3 }, 0)
      assert.strictEqual(budget.balance(0), 0)
      assert.isFalse(budget.tryWithdraw(0))
    })

    it("what is remembered keeps its age in tenths of ttlMillis, each slice its own", () => {
      const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
      deposits(budget, 3, 0)
      deposits(budget, 4, 2_000)
      // Five slices old, and three: nothing was read in between.
      budget.reconfigure({ percent: 1, minimumPerSecond: 0, ttlMillis: 20_000 }, 5_000)
      assert.strictEqual(budget.balance(13_999), 7)
      assert.strictEqual(budget.balance(14_000), 4)
      assert.strictEqual(budget.balance(17_999), 4)
      assert.strictEqual(budget.balance(18_000), 0)
    })

    it("what is forgotten by then is not brought back", () => {
      const budget = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0 })
      deposits(budget, 3, 0)
      budget.reconfigure({ percent: 1, minimumPerSecond: 0, ttlMillis: 60_000 }, 10_000)
      assert.strictEqual(budget.balance(10_000), 0)
    })

    it("more than whole numbers can hold is cut, on both sides of nothing, and the sum stays exact", () => {
      const most = Math.floor(Number.MAX_SAFE_INTEGER / 10)
      const rich = new RetryBudgetMachine({ percent: 10_000, minimumPerSecond: 0 })
      deposits(rich, 10, 0)
      assert.strictEqual(rich.balance(0), 100_000)
      rich.reconfigure({ percent: 0.0001, minimumPerSecond: 0 }, 0)
      assert.strictEqual(rich.balance(0), Math.floor(most / 1e10))
      assert.strictEqual(rich.balance(10_000), 0)

      const spent = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 10_000 })
      for (let retry = 0; retry < 100_000; retry++) spent.tryWithdraw(0)
      assert.strictEqual(spent.balance(0), 0)
      spent.reconfigure({ percent: 0.0001, minimumPerSecond: 10_000 }, 0)
      assert.strictEqual(spent.balance(0), Math.floor((100_000 * 1e10 - most) / 1e10))
      assert.strictEqual(spent.balance(10_000), 100_000)
    })

    it("wrong ones are refused, and nothing is changed", () => {
      const budget = new RetryBudgetMachine({ percent: 0.5, minimumPerSecond: 0 })
      deposits(budget, 10, 0)
      assert.throws(() => budget.reconfigure({ percent: 1, minimumPerSecond: -1 }, 0), RangeError, "minimumPerSecond")
      assert.strictEqual(budget.balance(0), 5)
      deposits(budget, 2, 0)
      assert.strictEqual(budget.balance(0), 6)
    })
  })

  it("refuses numbers that make no budget", () => {
    for (const ttlMillis of [0, 999, 60_001, NaN, Infinity]) {
      const says = `ttlMillis must be a number from 1000 to 60000; it is ${ttlMillis}`
      assert.throws(() => new RetryBudgetMachine({ ttlMillis }), RangeError, says)
    }
    for (const percent of [-1, 0.000_09, 10_001, NaN, Infinity]) {
      const says = `percent must be 0 or a number from 0.0001 to 10000; it is ${percent}`
      assert.throws(() => new RetryBudgetMachine({ percent }), RangeError, says)
    }
    for (const minimumPerSecond of [-1, 10_001, NaN, Infinity]) {
      const says = `minimumPerSecond must be a number from 0 to 10000; it is ${minimumPerSecond}`
      assert.throws(() => new RetryBudgetMachine({ minimumPerSecond }), RangeError, says)
    }
  })
})

describe("RetryThrottleMachine", () => {
  it("walks as gRPC says: five failures from full throttle it, one success lifts it", () => {
    const throttle = new RetryThrottleMachine({ maxTokens: 10, tokenRatio: 0.1 })
    const walk: Array<readonly [number, boolean]> = [[throttle.tokens, throttle.allowsRetry]]
    for (let failure = 0; failure < 5; failure++) {
      throttle.recordFailure()
      walk.push([throttle.tokens, throttle.allowsRetry])
    }
    throttle.recordSuccess()
    walk.push([throttle.tokens, throttle.allowsRetry])
    assert.deepStrictEqual(walk, [[10, true], [9, true], [8, true], [7, true], [6, true], [5, false], [5.1, true]])
  })

  it("has 10 tokens and a ratio of 0.1 by default", () => {
    const throttle = new RetryThrottleMachine()
    assert.strictEqual(throttle.tokens, 10)
    throttle.recordFailure()
    throttle.recordSuccess()
    assert.strictEqual(throttle.tokens, 9.1)
  })

  it("stays between nothing and full", () => {
    const throttle = new RetryThrottleMachine({ maxTokens: 3, tokenRatio: 2 })
    throttle.recordSuccess()
    assert.strictEqual(throttle.tokens, 3)
    for (let failure = 0; failure < 10; failure++) throttle.recordFailure()
    assert.strictEqual(throttle.tokens, 0)
    assert.isFalse(throttle.allowsRetry)
    throttle.recordSuccess()
    assert.strictEqual(throttle.tokens, 2)
    throttle.recordSuccess()
    assert.strictEqual(throttle.tokens, 3)
  })

  it("reads three decimals and ignores the rest, without losing one to binary fractions", () => {
    for (
      const [given, read] of [[0.5466, 0.546], [0.57, 0.57], [0.29, 0.29], [0.001, 0.001], [0.0019, 0.001], [
        1.0005,
        1
      ]] as const
    ) {
      const throttle = new RetryThrottleMachine({ maxTokens: 100, tokenRatio: given })
      throttle.recordFailure()
      throttle.recordFailure()
      throttle.recordSuccess()
      assert.strictEqual(throttle.tokens, 98 + read)
      assert.strictEqual(new RetryThrottleMachine({ maxTokens: given }).tokens, read)
    }
  })

  it("does not drift over a million successes", () => {
    const throttle = new RetryThrottleMachine({ maxTokens: 1_000, tokenRatio: 0.001 })
    for (let failure = 0; failure < 1_000; failure++) throttle.recordFailure()
    for (let success = 0; success < 500_000; success++) throttle.recordSuccess()
    assert.strictEqual(throttle.tokens, 500)
    assert.isFalse(throttle.allowsRetry, "exactly half is not more than half")
    throttle.recordSuccess()
    assert.isTrue(throttle.allowsRetry)
  })

  it("C11: asking whether a retry is allowed costs nothing", () => {
    const throttle = new RetryThrottleMachine()
    for (let asked = 0; asked < 100; asked++) assert.isTrue(throttle.allowsRetry)
    assert.strictEqual(throttle.tokens, 10)
  })

  it("refuses numbers that make no throttle", () => {
    for (const value of [0, -1, 0.000_9, 1_000.1, NaN, Infinity]) {
      const says = `must be a number from 0.001 to 1000; it is ${value}`
      assert.throws(() => new RetryThrottleMachine({ maxTokens: value }), RangeError, `maxTokens ${says}`)
      assert.throws(() => new RetryThrottleMachine({ tokenRatio: value }), RangeError, `tokenRatio ${says}`)
    }
    assert.strictEqual(new RetryThrottleMachine({ maxTokens: 1_000, tokenRatio: 1_000 }).tokens, 1_000)
  })
})
