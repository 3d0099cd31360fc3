import { assert, describe, it } from "@effect/vitest"
import * as MachineLaws from "@holdfast/testkit/MachineLaws"
import * as fc from "effect/FastCheck"

/** Opens after some failures in a row, and closes again by the first success after its rest. */
class Breaker {
  state: "Closed" | "Open" = "Closed"
  failures = 0
  openedAt = 0
  private readonly threshold: number
  private readonly forgetsSuccess: boolean

  constructor(threshold: number, forgetsSuccess: boolean) {
    this.threshold = threshold
    this.forgetsSuccess = forgetsSuccess
  }

  success() {
    if (this.state === "Closed" && !this.forgetsSuccess) this.failures = 0
  }

  failure(now: number) {
    if (this.state === "Closed" && ++this.failures === this.threshold) {
      this.state = "Open"
      this.openedAt = now
    }
  }

  rested(now: number) {
    if (this.state === "Open" && now - this.openedAt >= 100) {
      this.state = "Closed"
      this.failures = 0
    }
  }
}

const laws = ({ failureWeight = 6, forgetsSuccess = false, seed = 1, threshold = 3 } = {}) =>
  MachineLaws.histories({
    make: () => ({ machine: new Breaker(threshold, forgetsSuccess), model: { now: 0, row: 0 } }),
    actions: {
      success: {
        run: (machine, model) => {
          if (machine.state === "Closed") model.row = 0
          machine.success()
        }
      },
      failure: {
        weight: failureWeight,
        run: (machine, model, _, edge) => {
          const before = machine.state
          machine.failure(model.now)
          if (before === "Closed") edge(++model.row === threshold ? "Closed>Open" : "Closed>Closed")
        }
      },
      time: {
        argument: fc.integer({ min: 1, max: 120 }),
        run: (machine, model, millis, edge) => {
          const before = machine.state
          model.now += millis
          machine.rested(model.now)
          if (before === "Open" && machine.state === "Closed") {
            model.row = 0
            edge("Open>Closed")
          }
        }
      }
    },
    invariant: (machine, model) =>
      (machine.state === "Open") === (model.row >= threshold)
        ? []
        : `${machine.state} after ${model.row} failures in a row`,
    edges: ["Closed>Closed", "Closed>Open", "Open>Closed"],
    seed
  })

describe("MachineLaws", () => {
  it("passes a correct machine and tells how often each edge was taken, the same for the same seed", () => {
    const report = laws()
    assert.strictEqual(report.runs, 200)
    for (const count of Object.values(report.edges)) assert.isAtLeast(count, 20)
    assert.deepStrictEqual(laws(), report)
    assert.notDeepEqual(laws({ seed: 2 }), report)
  })

  it("catches a breaker that counts failures which are not in a row, with the shortest history and its seed", () => {
    assert.throws(() => laws({ forgetsSuccess: true }), /seed: 1(.|\n)*Open after [12] failures in a row/)
  })

  it("refuses an unbiased generator that hardly ever reaches an edge, names the edges, and passes a biased one", () => {
    try {
      laws({ threshold: 10, failureWeight: 1 })
      assert.fail("the generator was accepted")
    } catch (error) {
      assert.instanceOf(error, MachineLaws.EdgesTooSeldom)
      assert.deepStrictEqual(error.edges, ["Closed>Open", "Open>Closed"])
      assert.match(error.message, /edges taken less than 20 times in 200 histories.*Closed>Open \(\d+\)/)
    }
    laws({ threshold: 10, failureWeight: 12 })
  })

  it("refuses an edge that was not declared, and an invariant that does not hold at the beginning", () => {
    const typo = () =>
      MachineLaws.histories({
        make: () => ({ machine: {}, model: {} }),
        actions: { act: { run: (_, __, ___, edge) => edge("Closed>Opne") } },
        edges: ["Closed>Open"]
      })
    assert.throws(typo, "the edge Closed>Opne is not one of: Closed>Open")
    const broken = () =>
      MachineLaws.histories({
        make: () => ({ machine: {}, model: {} }),
        actions: { act: { run: () => {} } },
        invariant: () => "never holds",
        edges: []
      })
    assert.throws(broken, "before the first step: never holds")
  })
})
