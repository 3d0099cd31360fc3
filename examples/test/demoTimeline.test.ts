import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import type { Reading, Sample } from "../src/demo/timeline.js"
import {
  emptyJournal,
  firstExhausted,
  latencies,
  quantile,
  summariseHappenings,
  toRows,
  twins
} from "../src/demo/timeline.js"

const sample = (given: Partial<Sample>): Sample => ({
  route: "catalog",
  startedAt: 0,
  endedAt: 1,
  latencyMillis: 5,
  twinMillis: undefined,
  result: "served",
  orderId: undefined,
  because: undefined,
  ...given
})

const reading = (given: Partial<Reading>): Reading => ({
  at: 0,
  busy: 0,
  queued: 0,
  breaker: undefined,
  pending: 0,
  ...given
})

describe("quantile", () => {
  it("is a value of the list that the asked share does not exceed, and no smaller one is", () => {
    const values = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (list, share) => {
        const found = quantile(list, share)!
        const atMost = (limit: number) => list.filter((value) => value <= limit).length
        assert.include(list, found)
        assert.isAtLeast(atMost(found), share * list.length - 1e-9)
        assert.isBelow(list.filter((value) => value < found).length, share * list.length)
      }),
      { seed: 2_47, numRuns: 300 }
    )
  })

  it("of nothing is nothing", () => {
    assert.isUndefined(quantile([], 0.99))
  })

  it("p99 of 100 values is the 99th, so that one outlier in a hundred does not decide", () => {
    const values = Array.from({ length: 100 }, (_, index) => index === 42 ? 9_000 : index)
    assert.strictEqual(quantile(values, 0.99), 99)
    assert.strictEqual(quantile(values, 1), 9_000)
  })
})

describe("toRows", () => {
  it("counts a request in the second in which it ends, and as failed or answered but never both", () => {
    const journal = emptyJournal()
    journal.samples.push(
      sample({ startedAt: 2, endedAt: 9.9 }),
      sample({ startedAt: 2, endedAt: 10, route: "order", result: "confirmed" }),
      sample({ startedAt: 2, endedAt: 12, route: "order", result: "pending" }),
      sample({ startedAt: 2, endedAt: 25, route: "order", result: "failed" })
    )
    const rows = toRows(journal, 10)
    assert.deepStrictEqual(rows.map(({ from }) => from), [0, 10, 20])
    assert.deepStrictEqual(rows.map(({ catalogAnswered }) => catalogAnswered), [1, 0, 0])
    assert.deepStrictEqual(rows.map(({ ordersAnswered }) => ordersAnswered), [0, 2, 0])
    assert.deepStrictEqual(rows.map(({ failed }) => failed), [0, 0, 1])
  })

  it("shows the most requests in flight, and the state at the end of the second", () => {
    const journal = emptyJournal()
    journal.readings.push(
      reading({ at: 1, busy: 3, queued: 4, breaker: "closed", pending: 1 }),
      reading({ at: 8, busy: 1, queued: 0, breaker: "open", pending: 9 })
    )
    const [row] = toRows(journal, 10)
    assert.strictEqual(row?.inFlight, 7)
    assert.strictEqual(row?.breaker, "open")
    assert.strictEqual(row?.pending, 9)
  })

  it("loses no request, whatever the times", () => {
    const times = fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 100 })
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 30 }), (ends, step) => {
        const journal = emptyJournal()
        ends.forEach((endedAt, index) =>
          journal.samples.push(sample({ endedAt, result: index % 3 === 0 ? "failed" : "served" }))
        )
        const counted = toRows(journal, step).reduce((sum, row) => sum + row.catalogAnswered + row.failed, 0)
        assert.strictEqual(counted, ends.length)
      }),
      { seed: 2_47, numRuns: 200 }
    )
  })

  it("of an empty journal is one empty row", () => {
    assert.strictEqual(toRows(emptyJournal(), 10).length, 1)
  })
})

describe("summariseHappenings", () => {
  it("tells single things one by one and counted ones in one line", () => {
    assert.deepStrictEqual(
      summariseHappenings([
        { at: 1, what: "payment retries", counted: true },
        { at: 2, what: "payment circuit OPEN", counted: false },
        { at: 3, what: "payment retries", counted: true },
        { at: 4, what: "mail timeouts", counted: true }
      ]),
      ["payment circuit OPEN", "2 payment retries, 1 mail timeout"]
    )
  })

  it("of nothing is nothing", () => {
    assert.deepStrictEqual(summariseHappenings([]), [])
  })
})

describe("spans of time", () => {
  it("a request belongs to the span in which it began, failed ones included", () => {
    const journal = emptyJournal()
    journal.samples.push(
      sample({ startedAt: 9.9, latencyMillis: 1 }),
      sample({ startedAt: 10, latencyMillis: 2, result: "failed" }),
      sample({ startedAt: 12, latencyMillis: 3, route: "order" }),
      sample({ startedAt: 20, latencyMillis: 4 })
    )
    assert.deepStrictEqual(latencies(journal, "catalog", 10, 20), [2])
  })

  it("every page of the span is paired with its twin, and nothing else is", () => {
    const journal = emptyJournal()
    journal.samples.push(
      sample({ startedAt: 11, latencyMillis: 507, twinMillis: 504 }),
      sample({ startedAt: 12, latencyMillis: 2_000, twinMillis: 5 }),
      sample({ startedAt: 13, latencyMillis: 7, route: "order" })
    )
    assert.deepStrictEqual(twins(journal, 10, 20), [{ page: 507, twin: 504 }, { page: 2_000, twin: 5 }])
  })

  it("pages during which the whole process stood still can be left out", () => {
    const journal = emptyJournal()
    journal.readings.push(reading({ at: 10 }), reading({ at: 11 }), reading({ at: 15 }), reading({ at: 16 }))
    journal.samples.push(
      sample({ startedAt: 10.2, endedAt: 10.4, latencyMillis: 1, twinMillis: 1 }),
      sample({ startedAt: 10.9, endedAt: 15.1, latencyMillis: 2, twinMillis: 1 }),
      sample({ startedAt: 15.2, endedAt: 15.3, latencyMillis: 3, twinMillis: 1 })
    )
    assert.deepStrictEqual(twins(journal, 10, 20, 2).map(({ page }) => page), [1, 3])
    assert.strictEqual(twins(journal, 10, 20).length, 3)
  })

  it("workers count as exhausted from the first moment at which all are busy", () => {
    const journal = emptyJournal()
    journal.readings.push(
      reading({ at: 1, busy: 10 }),
      reading({ at: 5, busy: 9 }),
      reading({ at: 6, busy: 10 }),
      reading({ at: 7, busy: 10 })
    )
    assert.strictEqual(firstExhausted(journal, 10, 2), 6)
    assert.isUndefined(firstExhausted(journal, 11, 0))
  })
})
