import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"

class Busy extends Failure.Retryable("Busy")<{}> {}

/** Counts how often it was called. */
const dependency = (answer: () => Effect.Effect<string, unknown>) => {
  let calls = 0
  return {
    call: Effect.suspend(() => {
      calls++
      return answer()
    }),
    calls: () => calls
  }
}

describe("RetryBudget", () => {
  it.effect("by default, a burst of failing calls is retried for 20 % and the reserve of ten seconds, no more", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const retry = Retry.make({ maxRetries: 2, schedule: Backoff.none, budget })
      const down = dependency(() => Effect.fail(new Busy()))
      yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(retry(down.call)))
      assert.strictEqual(down.calls(), 100 + 20 + 10)
      assert.strictEqual(yield* budget.balance, 0)
    }))

  it.effect("C11: with an empty budget the call fails at once with the error it has", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0 })
      const events: Array<string> = []
      const error = yield* Effect.flip(
        Effect.fail(new Busy()).pipe(
          Retry.make({ schedule: Backoff.constant("1 hour", { jitter: "none" }), budget }),
          ResilienceEvent.listen((event) => {
            if (event._tag === "RetryGivenUp") {
              events.push(event.reason)
            }
          })
        )
      )
      assert.strictEqual(error._tag, "Busy")
      assert.deepStrictEqual(events, ["budget"])
    }))

  it.effect("C10: three layers of three attempts reach the last one 27 times, under one budget far less often", () =>
    Effect.gen(function*() {
      const layers = (budget: RetryBudget.RetryBudget | undefined) => {
        const layer = Retry.make({ maxRetries: 2, schedule: Backoff.none, budget })
        return Policy.compose(layer, layer, layer)
      }
      const unbounded = dependency(() => Effect.fail(new Busy()))
      yield* Effect.exit(layers(undefined)(unbounded.call))
      assert.strictEqual(unbounded.calls(), 27)
      const budget = yield* RetryBudget.make({ percent: 0.2, minimumPerSecond: 0 })
      const bounded = dependency(() => Effect.fail(new Busy()))
      yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(layers(budget)(bounded.call)))
      assert.isBelow(bounded.calls(), 20)
    }))

  it.effect("forgets calls and retries after the ttl", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0.5, minimumPerSecond: 0, ttl: "10 seconds" })
      const retry = Retry.make({ maxRetries: 1, schedule: Backoff.none, budget })
      yield* Effect.forEach(Array.from({ length: 10 }), () => retry(Effect.void))
      assert.strictEqual(yield* budget.balance, 5)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* budget.balance, 0)
    }))

  it.effect("the throttle walks as gRPC's text does: five failures from full stop retries, one success allows them again", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.throttle()
      assert.strictEqual(yield* budget.balance, 5)
      const once = Retry.make({ maxRetries: 0, budget })
      const twice = Retry.make({ maxRetries: 1, schedule: Backoff.none, budget })
      yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.exit(once(Effect.fail(new Busy()))))
      const down = dependency(() => Effect.fail(new Busy()))
      yield* once(Effect.void) // 5.1 tokens
      yield* Effect.exit(twice(down.call)) // 4.1 after the first attempt: no retry
      assert.strictEqual(down.calls(), 1)
      yield* Effect.forEach(Array.from({ length: 20 }), () => once(Effect.void)) // 6.1
      yield* Effect.exit(twice(down.call)) // 5.1 after the first attempt: a retry
      assert.strictEqual(down.calls(), 3)
    }))

  it.effect("the throttle does not count ends that no retry could cure", () =>
    Effect.gen(function*() {
      class Declined extends Failure.Permanent("Declined")<{}> {}
      const budget = yield* RetryBudget.throttle()
      const retry = Retry.make({ schedule: Backoff.none, budget })
      yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.exit(retry(Effect.fail(new Declined()))))
      yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.exit(retry(Effect.fail("untagged"))))
      assert.strictEqual(yield* budget.balance, 5)
    }))

  it.effect("one budget is shared by the policies that are given it", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0.1 })
      const one = yield* Policy.standard("one", { retry: { schedule: Backoff.none, budget } })
      const other = yield* Policy.standard("other", { retry: { schedule: Backoff.none, budget } })
      const down = dependency(() => Effect.fail(new Busy()))
      yield* Effect.exit(one(down.call))
      yield* Effect.exit(other(down.call))
      assert.strictEqual(down.calls(), 3, "one retry in ten seconds, for both")
      assert.strictEqual(one.retryBudget, other.retryBudget)
    }))
})
