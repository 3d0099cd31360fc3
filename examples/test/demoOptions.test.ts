import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parseOptions } from "../src/demo/options.js"
import { clockTime, makePaint } from "../src/demo/report.js"
import { isDeclined, notificationIsDown, paymentIsSlow, tuesday } from "../src/demo/scenario.js"

describe("command line", () => {
  it.effect("without arguments runs the demo and writes no file", () =>
    Effect.map(parseOptions([]), (options) => assert.deepStrictEqual(options, { json: undefined, help: false })))

  it.effect("takes the path of a file for the figures", () =>
    Effect.map(parseOptions(["--json", "figures.json"]), ({ json }) => assert.strictEqual(json, "figures.json")))

  for (const args of [["--jsn", "x"], ["--json"], ["--json="], ["--json", "--help"], ["figures.json"]]) {
    it.effect(`refuses ${args.join(" ")} with a message that names what is wrong`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(parseOptions(args))
        assert.strictEqual(error._tag, "BadUsage")
        assert.match(error.message, /--js|figures\.json/)
      }))
  }
})

describe("the day", () => {
  it("turns payment slow at 2:47 PM", () => {
    assert.strictEqual(clockTime(tuesday, tuesday.payment.slowFrom), "14:47:00")
    assert.isTrue(paymentIsSlow(tuesday, tuesday.payment.slowFrom))
    assert.isFalse(paymentIsSlow(tuesday, tuesday.payment.slowUntil))
  })

  it("leaves time before, for a healthy baseline, and after, for settling what is pending", () => {
    assert.isAtLeast(tuesday.payment.slowFrom, 3 * tuesday.scale)
    assert.isAtLeast(tuesday.length - tuesday.payment.slowUntil, 2 * tuesday.payment.slowLatency)
  })

  it("lets notification flap: down and up again within each period", () => {
    const { flapDown, flapPeriod, flapsFrom } = tuesday.notification
    assert.isFalse(notificationIsDown(tuesday, flapsFrom - 0.1))
    assert.isTrue(notificationIsDown(tuesday, flapsFrom))
    assert.isFalse(notificationIsDown(tuesday, flapsFrom + flapDown))
    assert.isTrue(notificationIsDown(tuesday, flapsFrom + flapPeriod))
  })

  it("declines one card in so many, and always the same ones", () => {
    const declined = Array.from({ length: 500 }, (_, number) => isDeclined(tuesday, number)).filter(Boolean)
    assert.strictEqual(declined.length, 500 / tuesday.payment.declinesEvery)
  })
})

describe("colours", () => {
  it("leave no trace when they are off", () => {
    assert.strictEqual(makePaint(false).red("failed"), "failed")
    assert.include(makePaint(true).red("failed"), "\u001b[31m")
  })
})
