import { assert, describe, it } from "@effect/vitest"
import { TokenBucket } from "@holdfast/core/TokenBucket"

const hour = 3_600_000
const epoch = 1_700_000_000_000.25

/** 10 tokens, 2 per second; drained at `now` when asked. */
const bucketOf = (now: number, level = 10) => {
  const bucket = new TokenBucket({ capacity: 10, refillPerMillis: 0.002 }, now)
  if (level < 10) assert.isTrue(bucket.take(10 - level, now))
  return bucket
}

describe("TokenBucket", () => {
  it("starts full and admits a burst of its capacity", () => {
    const bucket = bucketOf(epoch)
    assert.strictEqual(bucket.available(epoch), 10)
    for (let call = 0; call < 10; call++) assert.isTrue(bucket.take(1, epoch))
    assert.isFalse(bucket.take(1, epoch))
    assert.strictEqual(bucket.available(epoch), 0)
  })

  it("takes all of the cost or nothing", () => {
    const bucket = bucketOf(0, 3)
    assert.isFalse(bucket.take(4, 0))
    assert.strictEqual(bucket.available(0), 3)
    assert.isTrue(bucket.take(3, 0))
    assert.strictEqual(bucket.available(0), 0)
  })

  it("refills by elapsed time, from the last charge on, and never above the capacity", () => {
    const bucket = bucketOf(1_000, 0)
    assert.strictEqual(bucket.available(1_000), 0)
    assert.strictEqual(bucket.available(1_250), 0.5)
    assert.strictEqual(bucket.available(2_000), 2)
    assert.isTrue(bucket.take(1, 2_000))
    assert.strictEqual(bucket.available(2_500), 2)
    assert.strictEqual(bucket.available(6_499), 9.998)
    assert.strictEqual(bucket.available(6_500), 10)
    assert.strictEqual(bucket.available(1e15), 10)
  })

  it("says exactly how long to wait, and how long until it is full", () => {
    const bucket = bucketOf(0, 1)
    assert.strictEqual(bucket.waitMillis(1, 0), 0)
    assert.strictEqual(bucket.waitMillis(2, 0), 500)
    assert.strictEqual(bucket.waitMillis(2, 400), 100)
    assert.strictEqual(bucket.waitMillis(2, 500), 0)
    assert.strictEqual(bucket.waitMillis(10, 0), 4_500)
    assert.strictEqual(bucket.resetMillis(0), 4_500)
    assert.strictEqual(bucket.resetMillis(4_499), 1)
    assert.strictEqual(bucket.resetMillis(4_500), 0)
    assert.isTrue(bucket.take(1, 0), "asking took nothing")
  })

  it("never admits a cost above the capacity, and says Infinity", () => {
    const bucket = bucketOf(0)
    for (const cost of [10.000_000_1, 11, Number.MAX_VALUE, Infinity]) {
      assert.isFalse(bucket.take(cost, hour))
      assert.strictEqual(bucket.waitMillis(cost, hour), Infinity)
    }
    assert.strictEqual(bucket.waitMillis(10, hour), 0)
    assert.isTrue(bucket.take(10, hour))
  })

  it("admits a free call from an empty bucket and charges nothing for it", () => {
    const bucket = bucketOf(0, 0)
    assert.isTrue(bucket.take(0, 0))
    assert.isTrue(bucket.take(-0, 0))
    assert.strictEqual(bucket.waitMillis(0, 0), 0)
    bucket.giveBack(0)
    assert.strictEqual(bucket.available(0), 0)
  })

  it("refuses a negative cost and one that is not a number, and changes nothing", () => {
    const bucket = bucketOf(0, 5)
    for (const cost of [-1, -Number.MIN_VALUE, -Infinity, NaN]) {
      const says = `cost must be 0 or more; it is ${cost}`
      assert.throws(() => bucket.take(cost, 0), RangeError, says)
      assert.throws(() => bucket.waitMillis(cost, 0), RangeError, says)
      assert.throws(() => bucket.giveBack(cost), RangeError, says)
    }
    assert.strictEqual(bucket.available(0), 5)
  })

  it("refuses sizes and speeds outside its limits and keeps the old ones", () => {
    const bucket = bucketOf(0, 5)
    const { maximumCapacity, minimumCost } = TokenBucket.limits
    for (const capacity of [0, -1, minimumCost / 2, maximumCapacity * 1.000_001, Infinity, NaN]) {
      const says = `capacity must be a number from 0.01 to 1000000000; it is ${capacity}`
      const config = { capacity, refillPerMillis: 1 }
      assert.throws(() => new TokenBucket(config, 0), RangeError, says)
      assert.throws(() => bucket.reconfigure(config, 0), RangeError, says)
    }
    for (const refillPerMillis of [0, -1, Infinity, NaN]) {
      const says = `refillPerMillis must be above 0 and finite; it is ${refillPerMillis}`
      const config = { capacity: 1, refillPerMillis }
      assert.throws(() => new TokenBucket(config, 0), RangeError, says)
      assert.throws(() => bucket.reconfigure(config, 0), RangeError, says)
    }
    assert.strictEqual(bucket.available(500), 6)
    for (const capacity of [minimumCost, maximumCapacity]) {
      assert.strictEqual(new TokenBucket({ capacity, refillPerMillis: 1 }, 0).available(0), capacity)
    }
  })

  it("does not follow a configuration object that is changed behind its back", () => {
    const config = { capacity: 10, refillPerMillis: 1 }
    const bucket = new TokenBucket(config, 0)
    config.capacity = 1_000
    config.refillPerMillis = 1_000
    bucket.take(10, 0)
    assert.strictEqual(bucket.available(1), 1)
    assert.strictEqual(bucket.available(hour), 10)
  })

  it("E04: gives back the tokens of a call that never started, never above the capacity", () => {
    const bucket = bucketOf(0, 2)
    bucket.giveBack(3)
    assert.strictEqual(bucket.available(0), 5)
    assert.strictEqual(bucket.waitMillis(6, 0), 500)
    bucket.giveBack(6)
    assert.strictEqual(bucket.available(0), 10)
    bucket.giveBack(Infinity)
    assert.strictEqual(bucket.available(0), 10)
    assert.isTrue(bucket.take(10, 0))
    bucket.giveBack(0.000_1)
    assert.strictEqual(bucket.available(0), TokenBucket.limits.minimumCost, "what is charged is what is given back")
  })

  it("E01: a clock that steps back 8 h locks nobody out and mints nothing", () => {
    const bucket = bucketOf(epoch, 0)
    const back = epoch - 8 * hour
    assert.isFalse(bucket.take(1, back))
    assert.strictEqual(bucket.available(back), 0)
    assert.strictEqual(bucket.waitMillis(1, back), 500)
    assert.isTrue(bucket.take(1, back + 500))
    assert.isFalse(bucket.take(1, back + 999))
  })

  for (
    const [name, ask] of [
      ["take", (bucket: TokenBucket, now: number) => bucket.take(5, now)],
      ["waitMillis", (bucket: TokenBucket, now: number) => bucket.waitMillis(5, now)],
      ["available", (bucket: TokenBucket, now: number) => bucket.available(now)],
      ["resetMillis", (bucket: TokenBucket, now: number) => bucket.resetMillis(now)],
      [
        "reconfigure",
        (bucket: TokenBucket, now: number) => bucket.reconfigure({ capacity: 10, refillPerMillis: 0.002 }, now)
      ]
    ] as const
  ) {
    it(`E01: ${name} follows a clock that was set back by 11 s`, () => {
      const bucket = bucketOf(epoch, 4)
      ask(bucket, epoch - 11_000)
      assert.strictEqual(bucket.available(epoch - 10_500), 5)
    })
  }

  it("E02: a clock that steps forward 1 h gives no burst above the capacity", () => {
    const bucket = bucketOf(epoch, 0)
    for (let call = 0; call < 10; call++) assert.isTrue(bucket.take(1, epoch + hour))
    assert.isFalse(bucket.take(0.01, epoch + hour))
  })

  it("E03: a slightly older reading after a newer one mints nothing", () => {
    const bucket = bucketOf(0, 0)
    assert.isTrue(bucket.take(2, 1_000))
    for (const older of [999, 500, 1, 0]) {
      assert.strictEqual(bucket.available(older), 0)
      assert.isFalse(bucket.take(1, older))
    }
    assert.strictEqual(bucket.available(1_000), 0)
    assert.strictEqual(bucket.available(1_500), 1)
  })

  it("E03: an older reading may take what is there, and the newer instant stays the base of the refill", () => {
    const bucket = bucketOf(1_000, 5)
    assert.isTrue(bucket.take(1, 400))
    assert.strictEqual(bucket.available(1_000), 4)
    assert.strictEqual(bucket.available(1_500), 5)
  })

  it("E03: a step back of exactly 1,000 ms is waited out, one of more is followed", () => {
    const waited = bucketOf(5_000, 0)
    assert.strictEqual(waited.waitMillis(1, 4_000), 1_500)
    assert.isFalse(waited.take(1, 5_000))
    assert.isTrue(waited.take(1, 5_500))
    const followed = bucketOf(5_000, 0)
    assert.strictEqual(followed.waitMillis(1, 3_999.5), 500)
    assert.isTrue(followed.take(1, 4_499.5))
  })

  it("a reading that is no number changes nothing and ends at once", () => {
    const bucket = bucketOf(1_000, 5)
    assert.isTrue(bucket.take(1, NaN))
    assert.isFalse(bucket.take(5, NaN))
    assert.isNaN(bucket.waitMillis(5, NaN))
    assert.strictEqual(bucket.available(NaN), 4)
    assert.strictEqual(bucket.available(1_500), 5)
  })

  it("an infinite reading fills it and the next true one is followed", () => {
    const bucket = bucketOf(1_000, 5)
    assert.isTrue(bucket.take(10, Infinity))
    assert.isFalse(bucket.take(1, 2_000))
    assert.isTrue(bucket.take(1, 2_500))
  })

  it("E05: charges a cost below the minimum as the minimum, so that no call goes free", () => {
    const { minimumCost } = TokenBucket.limits
    const bucket = new TokenBucket({ capacity: 1, refillPerMillis: 1e-9 }, 0)
    for (const cost of [Number.MIN_VALUE, 1e-17, minimumCost / 2, minimumCost]) {
      const before = bucket.available(0)
      assert.isTrue(bucket.take(cost, 0))
      assert.closeTo(bucket.available(0), before - minimumCost, 1e-15)
    }
    let admitted = 4
    while (bucket.take(1e-300, 0)) admitted += 1
    assert.closeTo(admitted, 100, 1)
  })

  it("E05: the minimum cost changes the level of the largest bucket", () => {
    const { maximumCapacity, minimumCost } = TokenBucket.limits
    const bucket = new TokenBucket({ capacity: maximumCapacity, refillPerMillis: 1 }, 0)
    for (let call = 0; call < 1_000; call++) {
      const before = bucket.available(0)
      assert.isTrue(bucket.take(minimumCost, 0))
      assert.isBelow(bucket.available(0), before)
    }
    assert.closeTo(bucket.available(0), maximumCapacity - 1_000 * minimumCost, 0.000_1)
    for (let call = 0; call < 1_000; call++) bucket.giveBack(minimumCost)
    assert.closeTo(bucket.available(0), maximumCapacity, 0.000_1)
  })

  it("E06: ten million operations at a fractional rate keep the rate within 0.01 %", { timeout: 30_000 }, () => {
    const refillPerMillis = 0.123_456_7
    const capacity = 7.3
    const bucket = new TokenBucket({ capacity, refillPerMillis }, epoch)
    let now = epoch
    let seed = 12_345
    let charged = -capacity
    for (let operation = 0; operation < 10_000_000; operation++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
      now += (seed / 0x7fffffff) * 10
      const cost = 0.1 + (seed & 15) / 10
      if (bucket.take(cost, now)) charged += cost
    }
    assert.closeTo(charged / ((now - epoch) * refillPerMillis), 1, 0.000_1)
  })

  it("E06: polling a slow bucket 20,000 times rounds none of its refill away", () => {
    const bucket = new TokenBucket({ capacity: 1_000_000_000, refillPerMillis: 1e-6 }, 0)
    assert.isTrue(bucket.take(1, 0))
    for (let now = 0; now < 1_000; now += 0.05) {
      assert.isFalse(bucket.take(1_000_000_000, now))
      bucket.take(0, now)
      bucket.available(now)
      bucket.waitMillis(1_000_000_000, now)
    }
    assert.strictEqual(bucket.available(500_000), 999_999_999.5)
    assert.strictEqual(bucket.available(1_000_000), 1_000_000_000)
  })

  it("keeps the filled share when it is reconfigured", () => {
    for (const [level, after] of [[0, 0], [2.5, 10], [5, 20], [10, 40]] as const) {
      const bucket = bucketOf(0, level)
      bucket.reconfigure({ capacity: 40, refillPerMillis: 1 }, 0)
      assert.strictEqual(bucket.available(0), after)
      assert.strictEqual(bucket.available(1), Math.min(40, after + 1))
      bucket.reconfigure({ capacity: 4, refillPerMillis: 1 }, 0)
      assert.strictEqual(bucket.available(0), after / 10)
      assert.strictEqual(bucket.available(hour), 4)
    }
  })

  it("refills at the old speed until it is reconfigured, and at the new one from then on", () => {
    const bucket = bucketOf(0, 0)
    bucket.reconfigure({ capacity: 10, refillPerMillis: 0.001 }, 1_000)
    assert.strictEqual(bucket.available(1_000), 2)
    assert.strictEqual(bucket.available(2_000), 3)
    assert.strictEqual(bucket.waitMillis(4, 1_000), 2_000)
    bucket.reconfigure({ capacity: 10, refillPerMillis: 0.001 }, 900)
    assert.strictEqual(bucket.available(1_000), 2, "an older reading does not refill the same time twice")
  })
})
