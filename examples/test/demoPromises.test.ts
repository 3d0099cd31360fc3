import { assert, describe, it } from "@effect/vitest"
import { instantMillis, judge, latencyLimit, wrongCharges } from "../src/demo/promises.js"
import type { RunResult } from "../src/demo/run.js"
import { tuesday } from "../src/demo/scenario.js"
import type { Result, Sample } from "../src/demo/timeline.js"
import { emptyJournal } from "../src/demo/timeline.js"

const order = (orderId: string, result: Result): Sample => ({
  route: "order",
  startedAt: 50,
  endedAt: 51,
  latencyMillis: 100,
  twinMillis: undefined,
  result,
  orderId,
  because: undefined
})

const page = (startedAt: number, latencyMillis: number, twinMillis = 5): Sample => ({
  route: "catalog",
  startedAt,
  endedAt: startedAt + 1,
  latencyMillis,
  twinMillis,
  result: "served",
  orderId: undefined,
  because: undefined
})

/** A run that kept all its promises: one order of each kind, one page before and one while payment was slow. */
const good = (): RunResult => {
  const journal = emptyJournal()
  journal.samples.push(
    order("a", "confirmed"),
    order("b", "pending"),
    order("c", "refused"),
    order("d", "pending"),
    page(20, 8),
    page(60, 9)
  )
  return {
    variant: "protected",
    journal,
    ordersSent: 4,
    settled: new Map([["b", "charged"], ["d", "declined"]]),
    charges: new Map([["a", 1], ["b", 1]]),
    duplicatesAbsorbed: 1,
    mailsSent: 2,
    diagnosis: []
  }
}

const broken = (run: RunResult): ReadonlyArray<number> =>
  judge(tuesday, run).flatMap(({ kept }, index) => kept ? [] : [index])

describe("promises", () => {
  it("are all kept by a run in which everybody got what they were told", () => {
    assert.deepStrictEqual(broken(good()), [])
  })

  it("break when a page is slow while payment is, and an empty server was not", () => {
    const run = good()
    run.journal.samples.push(page(70, 900))
    assert.deepStrictEqual(broken(run), [0])
  })

  it("do not blame the service for a pause of the whole machine", () => {
    const run = good()
    run.journal.samples.push(page(70, 900, 895))
    assert.deepStrictEqual(broken(run), [])
  })

  it("are not kept by a page that answered nobody", () => {
    const run = good()
    const journal = emptyJournal()
    journal.samples.push(...run.journal.samples.filter(({ route }) => route === "order"))
    assert.deepStrictEqual(broken({ ...run, journal }), [0])
  })

  it("break when an order got an error, or no answer at all", () => {
    const run = good()
    run.journal.samples.push(order("e", "failed"))
    assert.deepStrictEqual(broken({ ...run, ordersSent: 5 }), [1])
    assert.deepStrictEqual(broken({ ...good(), ordersSent: 5 }), [1])
  })

  it("break when a pending order is never settled", () => {
    assert.deepStrictEqual(broken({ ...good(), settled: new Map([["b", "charged"]]) }), [2])
  })

  it("break when somebody is charged twice, for nothing, or not at all", () => {
    assert.deepStrictEqual(wrongCharges({ ...good(), charges: new Map([["a", 2], ["b", 1]]) }), ["a"])
    assert.deepStrictEqual(wrongCharges({ ...good(), charges: new Map([["a", 1], ["b", 1], ["c", 1]]) }), ["c"])
    assert.deepStrictEqual(wrongCharges({ ...good(), charges: new Map([["a", 1], ["b", 1], ["d", 1]]) }), ["d"])
    assert.deepStrictEqual(broken({ ...good(), charges: new Map([["b", 1]]) }), [3])
  })

  it("measure a fast route by what is instant and a slower one by twice its healthy time", () => {
    assert.strictEqual(latencyLimit(3), instantMillis)
    assert.strictEqual(latencyLimit(50), 100)
  })
})
