import { assert, describe, it } from "@effect/vitest"
import { BulkheadQueue, type Waiter } from "@holdfast/core/BulkheadQueue"

interface Named extends Waiter {
  readonly name: string
}

const waiter = (name: string): Named => ({ name, previous: undefined, next: undefined, queued: false })

const nobody = (): void => assert.fail("nobody should have been granted a permit")

const named = (found: Named | undefined): string | undefined => found?.name

const counters = (queue: BulkheadQueue<Named>) => ({
  active: queue.active,
  queued: queue.queued,
  rejected: queue.rejected,
  violations: queue.violations
})

/** One permit that is out, and the named waiters behind it. */
const line = (...names: ReadonlyArray<string>) => {
  const queue = new BulkheadQueue<Named>(1, 10)
  assert.isTrue(queue.tryAcquire())
  const waiters = names.map(waiter)
  for (const each of waiters) assert.isTrue(queue.enqueue(each))
  return { queue, waiters }
}

/** The names in the order in which releases hand the permit over. */
const drain = (queue: BulkheadQueue<Named>): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (let next = queue.release(); next !== undefined; next = queue.release()) names.push(next.name)
  return names
}

describe("BulkheadQueue", () => {
  it("starts with every permit free and nobody waiting", () => {
    const queue = new BulkheadQueue<Named>(3, 7)
    assert.deepStrictEqual(counters(queue), { active: 0, queued: 0, rejected: 0, violations: 0 })
    assert.strictEqual(queue.maxConcurrent, 3)
    assert.strictEqual(queue.maxQueue, 7)
    assert.isFalse(queue.full)
  })

  it("gives out exactly as many permits as it has", () => {
    const queue = new BulkheadQueue<Named>(2, 0)
    assert.deepStrictEqual([queue.tryAcquire(), queue.tryAcquire(), queue.tryAcquire()], [true, true, false])
    assert.strictEqual(queue.active, 2)
    assert.strictEqual(queue.rejected, 0)
    assert.isUndefined(queue.release())
    assert.strictEqual(queue.active, 1)
    assert.isTrue(queue.tryAcquire())
  })

  it("refuses and counts a waiter when the line is full, and leaves the waiter untouched", () => {
    const { queue } = line("a")
    queue.resize(1, 2, nobody)
    assert.isFalse(queue.full)
    assert.isTrue(queue.enqueue(waiter("b")))
    assert.isTrue(queue.full)
    const late = waiter("late")
    assert.isFalse(queue.enqueue(late))
    assert.deepStrictEqual(late, waiter("late"))
    assert.deepStrictEqual(counters(queue), { active: 1, queued: 2, rejected: 1, violations: 0 })
    assert.deepStrictEqual(drain(queue), ["a", "b"])
  })

  it("with no places to wait is full exactly while every permit is out", () => {
    const queue = new BulkheadQueue<Named>(1, 0)
    assert.isFalse(queue.full)
    queue.tryAcquire()
    assert.isTrue(queue.full)
    assert.isFalse(queue.enqueue(waiter("a")))
    queue.release()
    assert.isFalse(queue.full)
  })

  it("counts a call that the shell turned away before it built a waiter", () => {
    const queue = new BulkheadQueue<Named>(1, 0)
    queue.reject()
    queue.reject()
    assert.deepStrictEqual(counters(queue), { active: 0, queued: 0, rejected: 2, violations: 0 })
  })

  it("lets nobody overtake: a permit is handed over before a newcomer can take it", () => {
    const { queue, waiters } = line("a", "b")
    assert.isFalse(queue.tryAcquire())
    assert.strictEqual(queue.release(), waiters[0])
    assert.strictEqual(queue.active, 1)
    assert.strictEqual(queue.queued, 1)
    assert.isFalse(queue.tryAcquire())
  })

  it("returns a handed-over waiter with no links to the others", () => {
    const { queue } = line("a", "b")
    assert.deepStrictEqual(queue.release(), waiter("a"))
    assert.deepStrictEqual(queue.release(), waiter("b"))
  })

  it("gives a free permit at once to a waiter that did not try first", () => {
    const queue = new BulkheadQueue<Named>(1, 0)
    const first = waiter("first")
    assert.isTrue(queue.enqueue(first))
    assert.isFalse(first.queued)
    assert.deepStrictEqual(counters(queue), { active: 1, queued: 0, rejected: 0, violations: 0 })
  })

  it("refuses a waiter that already stands in line, and keeps the line whole", () => {
    const { queue, waiters } = line("a", "b")
    assert.isFalse(queue.enqueue(waiters[0]!))
    assert.deepStrictEqual(counters(queue), { active: 1, queued: 2, rejected: 0, violations: 1 })
    assert.deepStrictEqual(drain(queue), ["a", "b"])
  })

  it("takes a waiter again after it left", () => {
    const { queue, waiters } = line("a", "b")
    assert.isTrue(queue.remove(waiters[0]!))
    assert.isTrue(queue.enqueue(waiters[0]!))
    assert.deepStrictEqual(drain(queue), ["b", "a"])
  })

  for (
    const [name, leaving, rest] of [
      ["first", 0, ["b", "c"]],
      ["middle", 1, ["a", "c"]],
      ["last", 2, ["a", "b"]]
    ] as const
  ) {
    it(`B03: a ${name} waiter that gave up is passed over, and the others keep their order`, () => {
      const { queue, waiters } = line("a", "b", "c")
      assert.isTrue(queue.remove(waiters[leaving]!))
      assert.deepStrictEqual(waiters[leaving], waiter("abc"[leaving]!))
      assert.isFalse(queue.remove(waiters[leaving]!))
      assert.deepStrictEqual(counters(queue), { active: 1, queued: 2, rejected: 0, violations: 0 })
      assert.isTrue(queue.enqueue(waiter("d")))
      assert.deepStrictEqual(drain(queue), [...rest, "d"])
      assert.deepStrictEqual(counters(queue), { active: 0, queued: 0, rejected: 0, violations: 0 })
    })
  }

  it("B04: waiters that were aborted while the running call is slow use up no place in the line", () => {
    const queue = new BulkheadQueue<Named>(1, 2)
    queue.tryAcquire()
    for (let round = 0; round < 1_000; round++) {
      const pair = [waiter("a"), waiter("b")]
      for (const each of pair) assert.isTrue(queue.enqueue(each))
      assert.isFalse(queue.enqueue(waiter("c")))
      for (const each of pair) assert.isTrue(queue.remove(each))
    }
    assert.deepStrictEqual(counters(queue), { active: 1, queued: 0, rejected: 1_000, violations: 0 })
    assert.isUndefined(queue.release())
  })

  it("B05: three calls on one permit run one after another, each once", () => {
    const { queue } = line("second", "third")
    const ran = ["first"]
    for (let next = queue.release(); next !== undefined; next = queue.release()) {
      assert.strictEqual(queue.active, 1)
      ran.push(next.name)
    }
    assert.deepStrictEqual(ran, ["first", "second", "third"])
    assert.deepStrictEqual(counters(queue), { active: 0, queued: 0, rejected: 0, violations: 0 })
  })

  it("B06: a permit that is given back twice is counted as a violation and adds no permit", () => {
    const queue = new BulkheadQueue<Named>(1, 0)
    queue.tryAcquire()
    queue.release()
    assert.isUndefined(queue.release())
    assert.isUndefined(queue.release())
    assert.deepStrictEqual(counters(queue), { active: 0, queued: 0, rejected: 0, violations: 2 })
    assert.deepStrictEqual([queue.tryAcquire(), queue.tryAcquire()], [true, false])
  })

  it("B07: a waiter cancelled after it was handed the permit is told so, and its release serves the next", () => {
    const { queue, waiters } = line("a", "b")
    assert.strictEqual(named(queue.release()), "a")
    assert.isFalse(queue.remove(waiters[0]!))
    assert.strictEqual(named(queue.release()), "b")
    assert.strictEqual(queue.active, 1)
  })

  it("B10: very large limits are kept as they are and never turn negative", () => {
    for (const large of [Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Infinity]) {
      const queue = new BulkheadQueue<Named>(large, large)
      assert.isTrue(queue.tryAcquire())
      assert.strictEqual(queue.maxConcurrent, large)
      assert.strictEqual(queue.maxQueue, large)
      assert.isFalse(queue.full)
      queue.resize(1, large, nobody)
      assert.isTrue(queue.enqueue(waiter("a")))
      assert.deepStrictEqual(counters(queue), { active: 1, queued: 1, rejected: 0, violations: 0 })
    }
  })

  for (const value of [-1, 0.5, 1.5, NaN, -Infinity]) {
    it(`B10: refuses ${value} as a limit and changes nothing`, () => {
      const concurrent = `maxConcurrent must be a whole number of at least 1, or Infinity; it is ${value}`
      const places = `maxQueue must be a whole number of at least 0, or Infinity; it is ${value}`
      assert.throws(() => new BulkheadQueue(value, 1), RangeError, concurrent)
      assert.throws(() => new BulkheadQueue(1, value), RangeError, places)
      const { queue } = line("a")
      assert.throws(() => queue.resize(value, 1, nobody), RangeError, concurrent)
      assert.throws(() => queue.resize(5, value, nobody), RangeError, places)
      assert.deepStrictEqual([queue.maxConcurrent, queue.maxQueue, queue.active, queue.queued], [1, 10, 1, 1])
    })
  }

  it("B10: refuses zero permits, allows zero places", () => {
    assert.throws(() => new BulkheadQueue(0, 1), RangeError)
    assert.strictEqual(new BulkheadQueue(1, 0).maxQueue, 0)
  })

  it("hands permits over at once and in order when it grows, and no more than it grew by", () => {
    const { queue } = line("a", "b", "c")
    const granted: Array<string> = []
    queue.resize(3, 10, (each) => {
      assert.isFalse(each.queued)
      granted.push(each.name)
    })
    assert.deepStrictEqual(granted, ["a", "b"])
    assert.deepStrictEqual(counters(queue), { active: 3, queued: 1, rejected: 0, violations: 0 })
    queue.resize(9, 10, (each) => granted.push(each.name))
    assert.deepStrictEqual(granted, ["a", "b", "c"])
    assert.deepStrictEqual(counters(queue), { active: 4, queued: 0, rejected: 0, violations: 0 })
    assert.strictEqual(queue.maxConcurrent, 9)
  })

  it("lets running calls end when it shrinks, and admits none before fewer than the new limit run", () => {
    const queue = new BulkheadQueue<Named>(3, 10)
    for (let call = 0; call < 3; call++) queue.tryAcquire()
    queue.enqueue(waiter("a"))
    queue.enqueue(waiter("b"))
    queue.resize(1, 10, nobody)
    assert.strictEqual(queue.active, 3)
    assert.isUndefined(queue.release())
    assert.isUndefined(queue.release())
    assert.deepStrictEqual(counters(queue), { active: 1, queued: 2, rejected: 0, violations: 0 })
    assert.isFalse(queue.tryAcquire())
    assert.strictEqual(named(queue.release()), "a")
    assert.strictEqual(queue.active, 1)
  })

  it("keeps those who wait when the line is made shorter, and takes no new ones until there is room", () => {
    const { queue } = line("a", "b", "c")
    queue.resize(1, 1, nobody)
    assert.strictEqual(queue.queued, 3)
    assert.isTrue(queue.full)
    assert.isFalse(queue.enqueue(waiter("d")))
    assert.strictEqual(named(queue.release()), "a")
    assert.strictEqual(named(queue.release()), "b")
    assert.isFalse(queue.enqueue(waiter("e")))
    assert.strictEqual(named(queue.release()), "c")
    assert.isTrue(queue.enqueue(waiter("f")))
    assert.strictEqual(queue.rejected, 2)
  })

  it("B11: a granted waiter that removes others during the hand-out leaves nobody stuck", () => {
    const { queue, waiters } = line("a", "b", "c", "d")
    const granted: Array<string> = []
    queue.resize(3, 10, (each) => {
      granted.push(each.name)
      if (each === waiters[0]) assert.isTrue(queue.remove(waiters[1]!))
    })
    assert.deepStrictEqual(granted, ["a", "c"])
    assert.deepStrictEqual(counters(queue), { active: 3, queued: 1, rejected: 0, violations: 0 })
    assert.deepStrictEqual(drain(queue), ["d"])
  })

  it("B11: a waiter that joins during the hand-out cannot overtake, and is served if a permit is left", () => {
    const { queue, waiters } = line("a", "b")
    const granted: Array<string> = []
    queue.resize(4, 10, (each) => {
      granted.push(each.name)
      if (each !== waiters[0]) return
      assert.isFalse(queue.tryAcquire(), "a permit is free, but somebody waits for it")
      assert.isFalse(queue.full)
      assert.isTrue(queue.enqueue(waiter("late")))
    })
    assert.deepStrictEqual(granted, ["a", "b", "late"])
    assert.deepStrictEqual(counters(queue), { active: 4, queued: 0, rejected: 0, violations: 0 })
  })

  it("B11: with a permit free and the line full, a newcomer is refused rather than let past", () => {
    const { queue, waiters } = line("a", "b", "c")
    queue.resize(3, 2, (each) => {
      if (each !== waiters[0]) return
      assert.isTrue(queue.full)
      assert.isFalse(queue.enqueue(waiter("late")))
    })
    assert.deepStrictEqual(counters(queue), { active: 3, queued: 1, rejected: 1, violations: 0 })
  })

  it("B11: a granted waiter that ends at once hands its permit on, and nobody is granted twice", () => {
    const { queue } = line("a", "b", "c")
    const granted: Array<string> = []
    queue.resize(2, 10, (each) => {
      granted.push(each.name)
      const next = queue.release()
      if (next !== undefined) granted.push(next.name)
    })
    assert.deepStrictEqual(granted, ["a", "b"])
    assert.deepStrictEqual(counters(queue), { active: 2, queued: 1, rejected: 0, violations: 0 })
  })

  it("B11: shrinking again from inside the hand-out stops it there", () => {
    const { queue } = line("a", "b", "c")
    const granted: Array<string> = []
    queue.resize(4, 10, (each) => {
      granted.push(each.name)
      queue.resize(2, 5, nobody)
    })
    assert.deepStrictEqual(granted, ["a"])
    assert.deepStrictEqual([queue.maxConcurrent, queue.maxQueue, queue.active, queue.queued], [2, 5, 2, 2])
  })

  it("B11: a callback that throws stops no hand-over, and its first error comes out at the end", () => {
    const { queue } = line("a", "b", "c")
    const granted: Array<string> = []
    assert.throws(
      () =>
        queue.resize(4, 10, (each) => {
          granted.push(each.name)
          throw new Error(`from ${each.name}`)
        }),
      Error,
      "from a"
    )
    assert.deepStrictEqual(granted, ["a", "b", "c"])
    assert.deepStrictEqual(counters(queue), { active: 4, queued: 0, rejected: 0, violations: 0 })
  })

  it("leaves another bulkhead alone", () => {
    const { queue } = line("a")
    const other = new BulkheadQueue<Named>(1, 1)
    assert.isTrue(other.tryAcquire())
    assert.isTrue(other.enqueue(waiter("other")))
    assert.deepStrictEqual(drain(queue), ["a"])
    assert.deepStrictEqual(counters(other), { active: 1, queued: 1, rejected: 0, violations: 0 })
  })
})
