import { assert, describe, it } from "@effect/vitest"
import { RetryBudgetMachine } from "@holdfast/core/RetryBudgetMachine"
import * as fc from "fast-check"

const shares = [0, 0.0001, 0.1, 0.2, 0.5, 1, 3, 10_000]

const machineAfter = (percent: number, deposits: ReadonlyArray<number>, withdrawals: number) => {
  const machine = new RetryBudgetMachine({ percent, minimumPerSecond: 1 })
  for (const at of deposits) {
    machine.deposit(at)
  }
  for (let retry = 0; retry < withdrawals; retry++) {
    machine.tryWithdraw(10_000)
  }
  return machine
}

describe("RetryBudgetMachine.reconfigure", () => {
  it("what has been earned and spent counts the same under any other share", () => {
    const taken = new Map<string, number>()
    fc.assert(
      fc.property(
        fc.constantFrom(...shares),
        fc.constantFrom(...shares),
        fc.array(fc.integer({ min: 1_001, max: 10_000 }), { maxLength: 40 }).map((at) => at.sort((a, b) => a - b)),
        fc.nat(20),
        (from, to, deposits, withdrawals) => {
          const machine = machineAfter(from, deposits, withdrawals)
          const before = machine.balance(10_000)
          machine.reconfigure({ percent: to, minimumPerSecond: 1 }, 10_000)
          const after = machine.balance(10_000)
          // Fractions of a retry are rounded to units of the new share; an enormous balance is cut where sums are exact.
          assert.isAtMost(Math.abs(after - Math.min(before, after > 80_000 ? after : before)), 1)
          const kind = from === to ? "same" : to > from ? "more" : "less"
          taken.set(kind, (taken.get(kind) ?? 0) + 1)
          if (withdrawals > 0) taken.set("spent", (taken.get("spent") ?? 0) + 1)
        }
      ),
      { seed: 11, numRuns: 1_000 }
    )
    for (const kind of ["same", "more", "less", "spent"]) {
      assert.isAtLeast(taken.get(kind) ?? 0, 50, kind)
    }
  })

  it("what was earned before is forgotten in its time, also under another ttl", () => {
    const machine = new RetryBudgetMachine({ percent: 1, minimumPerSecond: 0, ttlMillis: 10_000 })
    for (let call = 0; call < 10; call++) machine.deposit(5_000)
    machine.reconfigure({ percent: 1, minimumPerSecond: 0, ttlMillis: 60_000 }, 5_000)
    assert.strictEqual(machine.balance(53_999), 10)
    assert.strictEqual(machine.balance(60_000), 0)
    for (let call = 0; call < 10; call++) machine.deposit(60_000)
    machine.reconfigure({ percent: 1, minimumPerSecond: 0, ttlMillis: 1_000 }, 60_000)
    assert.strictEqual(machine.balance(60_999), 10)
    assert.strictEqual(machine.balance(61_000), 0)
  })

  it("a fresh budget can be changed, and wrong numbers leave it as it was", () => {
    const machine = new RetryBudgetMachine({ percent: 0, minimumPerSecond: 1 })
    machine.reconfigure({ percent: 0, minimumPerSecond: 2 }, 0)
    assert.strictEqual(machine.balance(0), 20)
    assert.throws(() => machine.reconfigure({ percent: -1 }, 0), RangeError)
    assert.strictEqual(machine.balance(0), 20)
  })
})
