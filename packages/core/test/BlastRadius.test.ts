import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { BlastRadius } from "../src/internal/blastRadius.js"

const open = { share: 1, concurrent: Infinity, injections: Infinity }

describe("BlastRadius", () => {
  it("never lets more than its share of the last hundred attempts, nor more in all, nor more at once be disturbed", () => {
    fc.assert(
      fc.property(
        fc.record({
          share: fc.double({ min: 0.01, max: 1, noNaN: true }),
          concurrent: fc.integer({ min: 1, max: 5 }),
          injections: fc.integer({ min: 1, max: 200 })
        }),
        fc.array(fc.constantFrom("skip", "fail", "hold", "release"), { minLength: 1, maxLength: 400 }),
        (caps, steps) => {
          const radius = new BlastRadius(caps)
          const seen: Array<boolean> = []
          let held = 0
          for (const step of steps) {
            if (step === "release") {
              if (held > 0) {
                held--
                radius.release()
              }
              continue
            }
            const admitted = radius.pass(step !== "skip", step === "hold")
            seen.push(admitted)
            if (admitted && step === "hold") held++
            const recent = seen.slice(-100)
            assert.isAtMost(recent.filter((one) => one).length, caps.share * recent.length + 1e-9)
            assert.isAtMost(seen.filter((one) => one).length, caps.injections)
            assert.isAtMost(held, caps.concurrent)
            assert.strictEqual(radius.active, held)
            assert.isFalse(step === "skip" && admitted)
          }
        }
      ),
      { seed: 11 }
    )
  })

  it("holds back nothing that it need not", () => {
    const none = new BlastRadius({ share: 1, concurrent: Infinity, injections: Infinity })
    assert.isTrue(Array.from({ length: 500 }, () => none.pass(true, true)).every((admitted) => admitted))
    const half = new BlastRadius({ share: 0.5, concurrent: 1, injections: 1000 })
    assert.deepStrictEqual(Array.from({ length: 6 }, () => half.pass(true, false)), [
      false,
      true,
      false,
      true,
      false,
      true
    ])
    // After a hundred quiet attempts half of the next hundred may be hit, one after the other.
    Array.from({ length: 100 }, () => half.pass(false, false))
    assert.strictEqual(Array.from({ length: 100 }, () => half.pass(true, false)).filter((hit) => hit).length, 50)
  })

  it("admits nobody who shall not be disturbed, and counts the attempt all the same", () => {
    const half = new BlastRadius({ ...open, share: 0.5 })
    assert.isFalse(half.pass(false, true))
    assert.strictEqual(half.active, 0)
    assert.isTrue(half.pass(true, false))
  })

  it("counts what is held until it is released, and nothing else", () => {
    const one = new BlastRadius({ ...open, concurrent: 1 })
    assert.isTrue(one.pass(true, false))
    assert.isTrue(one.pass(true, true))
    assert.strictEqual(one.active, 1)
    assert.isFalse(one.pass(true, true))
    assert.isTrue(one.pass(true, false))
    one.release()
    assert.isTrue(one.pass(true, true))
  })

  it("admits as many as it may in all, to the last one", () => {
    const two = new BlastRadius({ ...open, injections: 2 })
    assert.deepStrictEqual([1, 2, 3].map(() => two.pass(true, false)), [true, true, false])
  })
})
