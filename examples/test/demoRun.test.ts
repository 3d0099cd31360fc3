import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { figuresOf, toJson } from "../src/demo/figures.js"
import { judge } from "../src/demo/promises.js"
import { makePaint, summaryText, timelineText } from "../src/demo/report.js"
import type { LiveView } from "../src/demo/run.js"
import { runDay } from "../src/demo/run.js"
import type { Scenario } from "../src/demo/scenario.js"
import { tuesday } from "../src/demo/scenario.js"

/** The day in four seconds: four times as fast, with fewer workers and more patient users, whom a busy test machine cannot lose. */
const short: Scenario = {
  ...tuesday,
  scale: 40,
  length: 140,
  payment: { ...tuesday.payment, slowFrom: 12, slowUntil: 90, declinesEvery: 20 },
  notification: { ...tuesday.notification, flapsFrom: 20, flapsUntil: 60 },
  load: { ordersPerSecond: 80, catalogPerSecond: 40, patience: 400 },
  service: { ...tuesday.service, workers: 30, acceptQueue: 20 },
  settleWithin: 600
}

const unwatched = (_: LiveView) => Effect.void

describe("the demo, end to end", () => {
  it.live("loses orders without protection, and none with it, on the same day", () =>
    Effect.gen(function*() {
      const [unprotected, guarded] = yield* Effect.all([
        runDay(short, "unprotected", unwatched),
        runDay(short, "protected", unwatched)
      ], { concurrency: 2 })

      const before = figuresOf(short, unprotected)
      assert.isAbove(before.ordersFailed, 0, "a slow payment takes the unprotected service down")

      const after = figuresOf(short, guarded)
      assert.isAbove(after.breakerTrips, 0)
      assert.isAbove(after.pending, 0)
      assert.isAbove(after.confirmed, 0)
      assert.isBelow(after.callSecondsWasted, before.callSecondsWasted)

      // Latency is left to the demo itself: a test machine runs other tests at the same time.
      const [, ...accounts] = judge(short, guarded)
      assert.deepStrictEqual(accounts.filter(({ kept }) => !kept), [])

      const paint = makePaint(false)
      assert.include(timelineText(short, unprotected, guarded, paint), "payment circuit OPEN")
      assert.include(summaryText(short, unprotected, guarded, accounts, paint), "kept")
      const json = JSON.parse(JSON.stringify(toJson(short, [unprotected, guarded], accounts)))
      assert.strictEqual(json.runs.protected.figures.pending, after.pending)
    }), 60_000)
})
