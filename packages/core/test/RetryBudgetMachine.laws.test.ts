import { assert, describe, it } from "@effect/vitest"
import { RetryBudgetMachine, RetryThrottleMachine } from "@holdfast/core/RetryBudgetMachine"
import * as fc from "fast-check"

const deposits = (budget: RetryBudgetMachine, count: number, now: number): void => {
  for (let call = 0; call < count; call++) budget.deposit(now)
}

const counting = () => {
  const edges: Record<string, number> = {}
  return {
    took: (edge: string): void => {
      edges[edge] = (edges[edge] ?? 0) + 1
    },
    assertTaken: (least: number, ...names: ReadonlyArray<string>): void => {
      for (const name of names) assert.isAtLeast(edges[name] ?? 0, least, name)
    }
  }
}

describe("RetryBudgetMachine laws", () => {
  it("agrees with a plain list of what happened in every random history, and every edge is taken", () => {
    const { assertTaken, took } = counting()
    const command = fc.record({
      kind: fc.integer({ min: 0, max: 9 }),
      count: fc.integer({ min: 1, max: 6 }),
      millis: fc.oneof(
        { weight: 20, arbitrary: fc.nat(400) },
        { weight: 2, arbitrary: fc.integer({ min: -900, max: 0 }) },
        { weight: 1, arbitrary: fc.integer({ min: -60_000, max: 60_000 }) }
      )
    })
    fc.assert(
      fc.property(
        fc.constantFrom(0, 0.1, 0.25, 0.5, 1, 2),
        fc.constantFrom(0, 1, 3),
        fc.array(command, { minLength: 20, maxLength: 120 }),
        (percent, minimumPerSecond, commands) => {
          const budget = new RetryBudgetMachine({ percent, minimumPerSecond, ttlMillis: 2_000 })
          // each with the number of its slice; slices are 200 ms
          let events: Array<{ readonly slice: number; readonly retries: number }> = []
          let newest = -Infinity
          let now = 100_000
          const left = (): number => {
            const slice = Math.floor(now / 200)
            if (slice > newest) newest = slice
            else if (newest * 200 - now > 1_000) {
              took("clock set back")
              const shift = newest - slice
              events = events.map((event) => ({ ...event, slice: event.slice - shift }))
              newest = slice
            } else if (slice < newest) took("late reading")
            if (events.some((event) => event.slice <= newest - 10)) took("forgotten")
            events = events.filter((event) => event.slice > newest - 10)
            return events.reduce((sum, event) => sum + event.retries, minimumPerSecond * 2)
          }
          for (const { count, kind, millis } of commands) {
            now += millis
            const before = left()
            if (before < 0) took("below zero")
            if (kind < 5) {
              took("deposit")
              deposits(budget, count, now)
              events.push({ slice: newest, retries: percent * count })
            } else {
              const granted = before + 1e-9 >= 1
              took(granted ? "granted" : "refused")
              assert.strictEqual(budget.tryWithdraw(now), granted)
              if (granted) events.push({ slice: newest, retries: -1 })
            }
            assert.strictEqual(budget.balance(now), Math.max(0, Math.floor(left() + 1e-9)))
          }
        }
      ),
      { seed: 20_240_611, numRuns: 500 }
    )
    assertTaken(100, "deposit", "granted", "refused", "forgotten", "late reading", "clock set back", "below zero")
  })

  it("in no stretch of its time grants more than its share of the calls in it and the minimum", () => {
    const { assertTaken, took } = counting()
    const step = fc.record({ millis: fc.nat(300), retry: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), (steps) => {
        const budget = new RetryBudgetMachine({ percent: 0.25, minimumPerSecond: 1, ttlMillis: 2_000 })
        const events: Array<{ readonly now: number; readonly retry: boolean }> = []
        let now = 0
        for (const { millis, retry } of steps) {
          now += millis
          if (!retry) budget.deposit(now)
          if (retry && !budget.tryWithdraw(now)) {
            took("refused")
            continue
          }
          took(retry ? "granted" : "deposit")
          events.push({ now, retry })
          if (!retry) continue
          // the slices reach back by nine to ten tenths of the time
          const recent = events.filter((event) => event.now > now - 1_800)
          const calls = events.filter((event) => !event.retry && event.now > now - 2_000).length
          assert.isAtMost(recent.filter((event) => event.retry).length, calls * 0.25 + 2)
        }
      }),
      { seed: 3, numRuns: 200 }
    )
    assertTaken(500, "granted", "refused", "deposit")
  })
})

describe("RetryThrottleMachine laws", () => {
  it("agrees with thousandths in a plain number in every random history, and every edge is taken", () => {
    const { assertTaken, took } = counting()
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 3_000 }),
        fc.array(fc.boolean(), { minLength: 10, maxLength: 100 }),
        (most, earned, results) => {
          const throttle = new RetryThrottleMachine({ maxTokens: most / 1_000, tokenRatio: earned / 1_000 })
          let tokens = most
          for (const success of results) {
            const before = tokens > most / 2
            if (success) {
              tokens = tokens + earned > most ? most : tokens + earned
              throttle.recordSuccess()
              if (tokens === most) took("full")
            } else {
              tokens = tokens < 1_000 ? 0 : tokens - 1_000
              throttle.recordFailure()
              if (tokens === 0) took("empty")
            }
            const allowed = tokens > most / 2
            took(
              before === allowed ? (allowed ? "still allowed" : "still throttled") : allowed ? "lifted" : "throttled"
            )
            assert.strictEqual(throttle.tokens, tokens / 1_000)
            assert.strictEqual(throttle.allowsRetry, allowed)
          }
        }
      ),
      { seed: 5, numRuns: 500 }
    )
    assertTaken(200, "full", "empty", "lifted", "throttled", "still allowed", "still throttled")
  })
})
