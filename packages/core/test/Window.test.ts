import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Window from "../src/Window.js"

const totals = (calls: number, failures: number, slow: number): Window.Totals => ({ calls, failures, slow })

const assertTotals = (window: Window.Counter, now: number, expected: Window.Totals): void => {
  assert.deepStrictEqual(window.snapshot(now), expected)
  assert.strictEqual(window.calls(now), expected.calls)
  assert.strictEqual(window.failures(now), expected.failures)
  assert.strictEqual(window.slow(now), expected.slow)
}

describe("Window descriptions", () => {
  it("are plain data", () => {
    assert.deepStrictEqual(Window.calls(20), { _tag: "Calls", size: 20 })
    assert.deepStrictEqual(Window.time(30_000), { _tag: "Time", millis: 30_000, slices: 10 })
    assert.deepStrictEqual(Window.time(30_000, 6), { _tag: "Time", millis: 30_000, slices: 6 })
  })

  it("have the same shape when all their numbers are the same", () => {
    assert.isTrue(Window.sameShape(Window.calls(5), Window.calls(5)))
    assert.isTrue(Window.sameShape(Window.time(100, 5), Window.time(100, 5)))
    assert.isFalse(Window.sameShape(Window.calls(5), Window.calls(6)))
    assert.isFalse(Window.sameShape(Window.time(100, 5), Window.time(100, 4)))
    assert.isFalse(Window.sameShape(Window.time(100, 5), Window.time(101, 5)))
    assert.isFalse(Window.sameShape(Window.calls(5), Window.time(5, 5)))
    assert.isFalse(Window.sameShape(Window.time(5, 5), Window.calls(5)))
    // A description read from elsewhere may carry fields of the other kind.
    assert.isFalse(Window.sameShape(Window.calls(5), { ...Window.time(5, 5), size: 5 } as Window.Window))
    assert.isFalse(Window.sameShape(Window.time(5, 5), { ...Window.calls(5), millis: 5, slices: 5 } as Window.Window))
  })
})

describe("a window over calls", () => {
  it("is empty at first", () => {
    assertTotals(Window.make(Window.calls(3)), 0, totals(0, 0, 0))
  })

  it("counts failed and slow calls apart and together", () => {
    const window = Window.make(Window.calls(4))
    window.record(0, false, false)
    assertTotals(window, 0, totals(1, 0, 0))
    window.record(0, true, false)
    assertTotals(window, 0, totals(2, 1, 0))
    window.record(0, false, true)
    assertTotals(window, 0, totals(3, 1, 1))
    window.record(0, true, true)
    assertTotals(window, 0, totals(4, 2, 2))
  })

  it("forgets the oldest call when one more arrives than it holds", () => {
    const window = Window.make(Window.calls(3))
    window.record(0, true, true)
    window.record(0, true, false)
    window.record(0, false, true)
    assertTotals(window, 0, totals(3, 2, 2))
    window.record(0, false, false)
    assertTotals(window, 0, totals(3, 1, 1))
    window.record(0, false, false)
    assertTotals(window, 0, totals(3, 0, 1))
    window.record(0, false, false)
    assertTotals(window, 0, totals(3, 0, 0))
  })

  it("holds one call when its size is one", () => {
    const window = Window.make(Window.calls(1))
    window.record(0, true, true)
    assertTotals(window, 0, totals(1, 1, 1))
    window.record(0, false, true)
    assertTotals(window, 0, totals(1, 0, 1))
  })

  it("does not age: the clock changes nothing", () => {
    const window = Window.make(Window.calls(3))
    window.record(0, true, false)
    assertTotals(window, 1e15, totals(1, 1, 0))
    assertTotals(window, -1e15, totals(1, 1, 0))
  })

  it("is as new after being cleared", () => {
    const window = Window.make(Window.calls(3))
    for (let call = 0; call < 5; call++) window.record(0, true, true)
    window.clear()
    assertTotals(window, 0, totals(0, 0, 0))
    for (let call = 0; call < 3; call++) window.record(0, false, false)
    assertTotals(window, 0, totals(3, 0, 0))
    window.record(0, true, false)
    assertTotals(window, 0, totals(3, 1, 0))
  })

  it("says the same as a list of the last calls, over random histories", () => {
    let wrapped = 0
    let cleared = 0
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.record({ failed: fc.boolean(), slow: fc.boolean(), clear: fc.nat(30).map((n) => n === 0) }), {
          minLength: 10,
          maxLength: 40
        }),
        (size, history) => {
          const window = Window.make(Window.calls(size))
          let model: Array<{ failed: boolean; slow: boolean }> = []
          for (const step of history) {
            if (step.clear) {
              cleared++
              window.clear()
              model = []
            }
            window.record(0, step.failed, step.slow)
            model.push(step)
            if (model.length > size) {
              wrapped++
              model.shift()
            }
            assertTotals(
              window,
              0,
              totals(model.length, model.filter((call) => call.failed).length, model.filter((call) => call.slow).length)
            )
          }
        }
      ),
      { numRuns: 500, seed: 11 }
    )
    assert.isAbove(wrapped, 500)
    assert.isAbove(cleared, 50)
  })
})

describe("a window over time", () => {
  it("is empty at first, whatever the clock reads", () => {
    assertTotals(Window.make(Window.time(1000)), 0, totals(0, 0, 0))
    assertTotals(Window.make(Window.time(1000)), 1e12, totals(0, 0, 0))
    assertTotals(Window.make(Window.time(1000)), -1e12, totals(0, 0, 0))
  })

  it("counts failed and slow calls apart and together", () => {
    const window = Window.make(Window.time(1000))
    window.record(5000, false, false)
    window.record(5000, true, false)
    window.record(5001, false, true)
    window.record(5100, true, true)
    assertTotals(window, 5100, totals(4, 2, 2))
  })

  it("keeps a call until its slice leaves, and not a moment longer", () => {
    const window = Window.make(Window.time(1000, 10))
    window.record(0, true, true)
    assertTotals(window, 999.999, totals(1, 1, 1))
    assertTotals(window, 1000, totals(0, 0, 0))
  })

  it("drops slices one by one as the clock goes on", () => {
    const window = Window.make(Window.time(300, 3))
    window.record(0, true, false)
    window.record(100, false, true)
    window.record(200, true, true)
    assertTotals(window, 299, totals(3, 2, 2))
    assertTotals(window, 300, totals(2, 1, 2))
    assertTotals(window, 400, totals(1, 1, 1))
    assertTotals(window, 500, totals(0, 0, 0))
  })

  it("drops several slices at once after a pause shorter than its span", () => {
    const window = Window.make(Window.time(300, 3))
    window.record(0, true, false)
    window.record(100, false, true)
    window.record(200, true, true)
    assertTotals(window, 400, totals(1, 1, 1))
    window.record(499, false, false)
    assertTotals(window, 499, totals(2, 1, 1))
    assertTotals(window, 500, totals(1, 0, 0))
  })

  it("A15: after ten idle windows one failure is the only call it holds", () => {
    const window = Window.make(Window.time(1000, 10))
    for (let now = 0; now < 1000; now += 10) window.record(now, true, true)
    assertTotals(window, 999, totals(100, 100, 100))
    window.record(11_000, true, false)
    assertTotals(window, 11_000, totals(1, 1, 0))
  })

  it("A16: the call that rotates a slice counts in the slice it opens", () => {
    const window = Window.make(Window.time(1000, 10))
    window.record(0, false, false)
    window.record(100, true, true)
    assertTotals(window, 100, totals(2, 1, 1))
    assertTotals(window, 1000, totals(1, 1, 1))
    assertTotals(window, 1099.9, totals(1, 1, 1))
    assertTotals(window, 1100, totals(0, 0, 0))
  })

  it("empties when the clock steps far forward", () => {
    const window = Window.make(Window.time(1000))
    window.record(0, true, true)
    assertTotals(window, Number.MAX_SAFE_INTEGER, totals(0, 0, 0))
    window.record(Number.MAX_SAFE_INTEGER, true, false)
    assertTotals(window, Number.MAX_SAFE_INTEGER, totals(1, 1, 0))
  })

  it("keeps its counts at their age when the clock steps back, and empties after its span from there", () => {
    const window = Window.make(Window.time(1000, 10))
    window.record(1_000_000, true, false)
    window.record(1_000_500, true, false)
    assertTotals(window, 0, totals(2, 2, 0))
    assertTotals(window, 499, totals(2, 2, 0))
    assertTotals(window, 500, totals(1, 1, 0))
    assertTotals(window, 1000, totals(0, 0, 0))
  })

  it("does not bring counts back that had left when the clock steps back to their time", () => {
    const window = Window.make(Window.time(1000, 10))
    for (let now = 0; now < 1000; now += 100) window.record(now, true, true)
    assertTotals(window, 5000, totals(0, 0, 0))
    for (let now = 900; now >= 0; now -= 100) assertTotals(window, now, totals(0, 0, 0))
    for (let now = 0; now < 3000; now += 100) assertTotals(window, now, totals(0, 0, 0))
  })

  it("goes on after readings of the clock that are no numbers or have no end", () => {
    const window = Window.make(Window.time(1000, 10))
    for (const odd of [NaN, Infinity, -Infinity, Number.MAX_VALUE]) {
      window.record(0, true, true)
      window.calls(odd)
      window.calls(0)
      window.clear()
      window.record(0, true, false)
      assertTotals(window, 0, totals(1, 1, 0))
      assertTotals(window, 1000, totals(0, 0, 0))
    }
  })

  it("is as new after being cleared", () => {
    const window = Window.make(Window.time(300, 3))
    window.record(0, true, true)
    window.record(100, true, true)
    window.clear()
    assertTotals(window, 100, totals(0, 0, 0))
    window.record(100, true, false)
    assertTotals(window, 399, totals(1, 1, 0))
    assertTotals(window, 400, totals(0, 0, 0))
    for (let now = 0; now < 2000; now += 50) assertTotals(window, now + 1000, totals(0, 0, 0))
  })

  it("may consist of a single slice", () => {
    const window = Window.make(Window.time(100, 1))
    window.record(0, true, false)
    window.record(99, true, false)
    assertTotals(window, 99, totals(2, 2, 0))
    window.record(100, false, true)
    assertTotals(window, 100, totals(1, 0, 1))
  })

  it("hands out snapshots that later records do not change", () => {
    for (const description of [Window.calls(5), Window.time(1000)]) {
      const window = Window.make(description)
      window.record(0, true, true)
      const before = window.snapshot(0)
      window.record(0, true, true)
      assert.deepStrictEqual(before, totals(1, 1, 1))
    }
  })

  it("says the same as a list of calls with their ages, with a clock that steps both ways", () => {
    const taken = { same: 0, rotated: 0, emptied: 0, back: 0 }
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(
          fc.record({
            step: fc.oneof(
              { weight: 6, arbitrary: fc.integer({ min: 0, max: 120 }) },
              { weight: 1, arbitrary: fc.integer({ min: 0, max: 2000 }) },
              { weight: 1, arbitrary: fc.integer({ min: -500, max: -1 }) }
            ),
            failed: fc.boolean(),
            slow: fc.boolean()
          }),
          { minLength: 5, maxLength: 40 }
        ),
        (slices, history) => {
          const window = Window.make(Window.time(slices * 100, slices))
          let now = 1000
          let slice = 10
          let model: Array<{ age: number; failed: boolean; slow: boolean }> = []
          for (const { failed, slow, step } of history) {
            now += step
            const passed = Math.floor(now / 100) - slice
            slice += passed
            taken[passed < 0 ? "back" : passed === 0 ? "same" : passed >= slices ? "emptied" : "rotated"]++
            model = model
              .map((call) => ({ ...call, age: call.age + Math.max(0, passed) }))
              .filter((call) => call.age < slices)
            window.record(now, failed, slow)
            model.push({ age: 0, failed, slow })
            assertTotals(
              window,
              now,
              totals(model.length, model.filter((call) => call.failed).length, model.filter((call) => call.slow).length)
            )
          }
        }
      ),
      { numRuns: 1000, seed: 12 }
    )
    for (const [edge, times] of Object.entries(taken)) assert.isAbove(times, 500, edge)
  })
})

describe("the cost of a record", () => {
  it("does not depend on the size: a million records touch a window of 10,000 as they touch one of 10", () => {
    for (const size of [10, 10_000]) {
      const last = Window.make(Window.calls(size))
      const recent = Window.make(Window.time(size * 10, size))
      for (let call = 0; call < 1_000_000; call++) {
        last.record(call, call % 4 === 0, call % 2 === 0)
        recent.record(call, call % 4 === 0, call % 2 === 0)
      }
      assertTotals(last, 999_999, totals(size, Math.floor(size / 4), size / 2))
      assertTotals(recent, 999_999, totals(size * 10, (size * 10) / 4, (size * 10) / 2))
    }
  })
})
