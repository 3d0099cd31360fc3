import { assert, describe, it } from "@effect/vitest"
import { KeyedTokenBuckets, TokenBucket } from "@holdfast/core/TokenBucket"
import * as fc from "fast-check"
import * as v8 from "node:v8"
import * as vm from "node:vm"

const slow = { capacity: 10, refillPerMillis: 0.001 }

const keyed = (maximumKeys: number) => new KeyedTokenBuckets(slow, { maximumKeys })

const collect = (): number => {
  v8.setFlagsFromString("--expose-gc")
  const gc = vm.runInNewContext("gc") as () => void
  gc()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe("KeyedTokenBuckets", () => {
  it("gives each key a full bucket of its own", () => {
    const buckets = keyed(10)
    assert.isTrue(buckets.take("a", 10, 0))
    assert.isFalse(buckets.take("a", 1, 0))
    assert.isTrue(buckets.take("b", 4, 0))
    assert.strictEqual(buckets.available("a", 0), 0)
    assert.strictEqual(buckets.available("b", 0), 6)
    assert.strictEqual(buckets.available("b", 1_000), 7)
    assert.strictEqual(buckets.waitMillis("a", 2, 500), 1_500)
    assert.strictEqual(buckets.waitMillis("b", 2, 500), 0)
    buckets.giveBack("a", 3)
    assert.strictEqual(buckets.available("a", 0), 3)
    assert.strictEqual(buckets.available("b", 0), 6)
    assert.strictEqual(buckets.size, 2)
  })

  it("knows nothing of a key before it takes: full, no wait, nothing to give back", () => {
    const buckets = keyed(10)
    assert.strictEqual(buckets.available("a", 0), 10)
    assert.strictEqual(buckets.waitMillis("a", 10, 0), 0)
    assert.strictEqual(buckets.waitMillis("a", 10.5, 0), Infinity)
    buckets.giveBack("a", 5)
    assert.strictEqual(buckets.size, 0)
    assert.strictEqual(buckets.available("a", 0), 10)
  })

  it("remembers no key for a call that is free or can never be admitted", () => {
    const buckets = keyed(1)
    assert.isTrue(buckets.take("a", 10, 0))
    assert.isTrue(buckets.take("b", 0, 0))
    assert.isTrue(buckets.take("a", 0, 0))
    assert.isFalse(buckets.take("b", 11, 0))
    assert.strictEqual(buckets.waitMillis("a", 11, 0), Infinity)
    assert.strictEqual(buckets.size, 1)
    assert.strictEqual(buckets.evicted, 0)
    assert.strictEqual(buckets.available("a", 0), 0)
  })

  it("refuses a cost that is negative or no number, for known and unknown keys", () => {
    const buckets = keyed(10)
    buckets.take("known", 1, 0)
    for (const key of ["known", "unknown"]) {
      for (const cost of [-1, NaN]) {
        assert.throws(() => buckets.take(key, cost, 0), RangeError)
        assert.throws(() => buckets.waitMillis(key, cost, 0), RangeError)
        assert.throws(() => buckets.giveBack(key, cost), RangeError)
      }
    }
    assert.strictEqual(buckets.available("known", 0), 9)
    assert.strictEqual(buckets.size, 1)
  })

  it("refuses a number of keys and a size that it cannot hold", () => {
    for (const maximumKeys of [0, -1, 1.5, NaN, Infinity, 10_000_001]) {
      const says = `maximumKeys must be a whole number from 1 to 10000000; it is ${maximumKeys}`
      assert.throws(() => keyed(maximumKeys), RangeError, says)
    }
    assert.throws(() => new KeyedTokenBuckets({ capacity: 0, refillPerMillis: 1 }, { maximumKeys: 1 }), RangeError)
    assert.strictEqual(keyed(10_000_000).size, 0)
  })

  it("charges a small cost as the minimum", () => {
    const buckets = keyed(1)
    buckets.take("a", 1e-20, 0)
    assert.strictEqual(buckets.available("a", 0), 9.99)
    buckets.giveBack("a", 1e-20)
    assert.strictEqual(buckets.available("a", 0), 10)
  })

  it("evicts the key whose take is longest ago, and it starts full again", () => {
    const buckets = keyed(3)
    for (const key of ["a", "b", "c"]) buckets.take(key, 9, 0)
    buckets.take("a", 9, 0) // refused, and yet a use
    buckets.available("b", 0)
    buckets.waitMillis("b", 1, 0)
    buckets.giveBack("b", 1)
    buckets.take("d", 9, 0)
    assert.strictEqual(buckets.size, 3)
    assert.strictEqual(buckets.evicted, 1)
    assert.deepStrictEqual(["a", "b", "c", "d"].map((key) => buckets.available(key, 0)), [1, 10, 1, 1])
    buckets.take("b", 9, 0)
    assert.deepStrictEqual(["a", "b", "c", "d"].map((key) => buckets.available(key, 0)), [1, 1, 10, 1])
  })

  it("works with room for one key only", () => {
    const buckets = keyed(1)
    for (let round = 0; round < 5; round++) {
      assert.isTrue(buckets.take("a", 10, 0))
      assert.isFalse(buckets.take("a", 1, 0))
      assert.isTrue(buckets.take("b", 10, 0))
      assert.strictEqual(buckets.size, 1)
    }
    assert.strictEqual(buckets.evicted, 9)
  })

  it("E08: the empty string is a key like any other and is evicted like any other", () => {
    const buckets = keyed(2)
    buckets.take("", 9, 0)
    buckets.take("a", 9, 0)
    assert.strictEqual(buckets.available("", 0), 1)
    buckets.take("b", 9, 0)
    assert.strictEqual(buckets.size, 2)
    assert.strictEqual(buckets.available("", 0), 10)
    assert.strictEqual(buckets.available("a", 0), 1)
    buckets.take("", 9, 0)
    assert.strictEqual(buckets.size, 2)
    assert.strictEqual(buckets.available("a", 0), 10)
  })

  it("drops keys that are full again, two for each new key, without counting them as evicted", () => {
    const buckets = keyed(1_000)
    for (let key = 0; key < 100; key++) buckets.take(`idle ${key}`, 1, 0)
    assert.strictEqual(buckets.size, 100)
    buckets.take("early", 1, 999)
    assert.strictEqual(buckets.size, 101, "none is full yet")
    buckets.take("first", 1, 1_000)
    assert.strictEqual(buckets.size, 100)
    for (let key = 0; key < 48; key++) buckets.take(`busy ${key}`, 1, 1_000)
    assert.strictEqual(buckets.size, 52)
    buckets.take("last", 1, 1_000)
    assert.strictEqual(buckets.size, 51, "all idle ones are gone")
    buckets.take("one more", 1, 1_000)
    assert.strictEqual(buckets.size, 52)
    assert.strictEqual(buckets.evicted, 0)
  })

  it("drops the one full key it finds and keeps the next, which is not full", () => {
    const buckets = keyed(2)
    buckets.take("full", 1, 0)
    buckets.take("drained", 10, 0)
    buckets.take("new", 1, 1_000)
    assert.strictEqual(buckets.size, 2)
    assert.strictEqual(buckets.evicted, 0)
    assert.strictEqual(buckets.available("drained", 1_000), 1)
  })

  it("reconfigures every key, known and new, keeping each one's share", () => {
    const buckets = keyed(10)
    buckets.take("a", 10, 0)
    buckets.take("b", 5, 0)
    buckets.reconfigure({ capacity: 100, refillPerMillis: 1 }, 1_000)
    assert.strictEqual(buckets.available("a", 1_000), 10)
    assert.strictEqual(buckets.available("a", 1_001), 11)
    assert.strictEqual(buckets.available("b", 1_000), 60)
    assert.strictEqual(buckets.available("c", 1_000), 100)
    assert.throws(() => buckets.reconfigure({ capacity: 1, refillPerMillis: 0 }, 1_000), RangeError)
    assert.strictEqual(buckets.available("a", 1_001), 11)
  })

  it("E01: each key follows a clock that was set back", () => {
    const buckets = keyed(10)
    buckets.take("a", 10, 8 * 3_600_000)
    assert.isFalse(buckets.take("a", 1, 0))
    assert.isTrue(buckets.take("a", 1, 1_000))
  })

  it("E07: a million distinct keys, each once, stay within the bound", { timeout: 30_000 }, () => {
    const buckets = keyed(1_000)
    for (let key = 0; key < 10_000; key++) buckets.take(`key ${key}`, 10, key / 1_000)
    const before = collect()
    for (let key = 10_000; key < 1_000_000; key++) {
      buckets.take(`key ${key}`, 10, key / 1_000)
    }
    const grown = collect() - before
    assert.strictEqual(buckets.size, 1_000)
    assert.strictEqual(buckets.evicted, 999_000)
    assert.isBelow(grown, 500_000, "bytes grown over 990,000 keys")
    assert.closeTo(buckets.available("key 999000", 999.999), 0.000_999, 1e-9)
    assert.strictEqual(buckets.available("key 998999", 999.999), 10)
  })

  it("holds 100,000 keys in less than 150 bytes each", { timeout: 30_000 }, () => {
    const names = Array.from({ length: 100_000 }, (_, key) => `key ${key}`)
    const before = collect()
    const buckets = keyed(100_000)
    for (const name of names) buckets.take(name, 1, 0)
    const bytes = (collect() - before) / names.length
    assert.strictEqual(buckets.size, names.length)
    assert.isBelow(bytes, 150)
    assert.strictEqual(buckets.available(names[0]!, 0), 9)
  })

  it("agrees with one bucket per key in a plain list in every random history, and every edge is taken", () => {
    const edges: Record<string, number> = {}
    const took = (edge: string): void => {
      edges[edge] = (edges[edge] ?? 0) + 1
    }
    const command = fc.record({
      kind: fc.integer({ min: 0, max: 9 }),
      key: fc.integer({ min: 0, max: 11 }).map((key) => "abcdefghijkl".slice(0, key)),
      cost: fc.integer({ min: 1, max: 4 }),
      millis: fc.oneof({ weight: 9, arbitrary: fc.nat(20) }, {
        weight: 1,
        arbitrary: fc.integer({ min: -1_500, max: 3_000 })
      })
    })
    const config = { capacity: 4, refillPerMillis: 0.015_625 }
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(command, { minLength: 20, maxLength: 120 }),
        (maximumKeys, commands) => {
          const buckets = new KeyedTokenBuckets(config, { maximumKeys })
          // oldest first
          const model: Array<{ readonly key: string; readonly bucket: TokenBucket }> = []
          let evicted = 0
          let now = 10_000
          for (const { cost, key, kind, millis } of commands) {
            now += millis
            const at = model.findIndex((entry) => entry.key === key)
            const found = model[at]
            if (kind < 7) {
              if (found === undefined) {
                for (let dropped = 0; dropped < 2 && model[0]?.bucket.available(now) === config.capacity; dropped++) {
                  took(dropped === 0 ? "dropped a full key" : "dropped a second full key")
                  model.shift()
                }
                if (model.length === maximumKeys) {
                  took("evicted")
                  evicted += 1
                  model.shift()
                }
                took("new key")
                model.push({ key, bucket: new TokenBucket(config, now) })
              } else {
                took(at === model.length - 1 ? "used the newest" : at === 0 ? "used the oldest" : "used one between")
                model.push(...model.splice(at, 1))
              }
              const expected = model.at(-1)!.bucket.take(cost, now)
              took(expected ? "admitted" : "refused")
              assert.strictEqual(buckets.take(key, cost, now), expected)
            } else if (kind === 7) {
              took(found === undefined ? "given back to nobody" : "given back")
              found?.bucket.giveBack(cost)
              buckets.giveBack(key, cost)
            } else if (kind === 8) {
              assert.strictEqual(buckets.waitMillis(key, cost, now), found?.bucket.waitMillis(cost, now) ?? 0)
            } else {
              assert.strictEqual(buckets.available(key, now), found?.bucket.available(now) ?? config.capacity)
            }
            assert.strictEqual(buckets.size, model.length)
            assert.strictEqual(buckets.evicted, evicted)
          }
          for (const { bucket, key } of model) assert.strictEqual(buckets.available(key, now), bucket.available(now))
        }
      ),
      { seed: 20_240_611, numRuns: 500 }
    )
    for (
      const edge of [
        "new key",
        "used the newest",
        "used one between",
        "used the oldest",
        "evicted",
        "dropped a full key",
        "dropped a second full key",
        "admitted",
        "refused",
        "given back",
        "given back to nobody"
      ]
    ) {
      assert.isAtLeast(edges[edge] ?? 0, 100, edge)
    }
  })
})
