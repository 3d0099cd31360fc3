/** Tests of other programs put their own timers in the place of the process's, and take them away again. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { mock } from "node:test"
import { vi } from "vitest"
import * as Backoff from "../../src/Backoff.js"
import * as Bulkhead from "../../src/Bulkhead.js"
import * as CircuitBreaker from "../../src/CircuitBreaker.js"
import * as Failure from "../../src/Failure.js"
import * as RateLimiter from "../../src/RateLimiter.js"
import * as Retry from "../../src/Retry.js"
import * as Timeout from "../../src/Timeout.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

/** Every kind of wait. Each of them ends by the alarm queue and by nothing else. */
const waits = Effect.gen(function*() {
  const limiter = yield* RateLimiter.make({ name: "limiter", rate: 1, per: 20, capacity: 1, maxWait: "1 minute" })
  const bulkhead = yield* Bulkhead.make({ name: "bulkhead", maxConcurrent: 1, maxQueue: 1, maxWait: 20 })
  let attempts = 0
  return {
    timeout: Effect.exit(Timeout.make(20)(Effect.never)),
    backoff: Retry.make({ maxRetries: 1, schedule: Backoff.constant(20, { jitter: "none" }) })(
      Effect.suspend(() => ++attempts === 1 ? Effect.fail(new Busy()) : Effect.void)
    ),
    tokens: Effect.zipRight(limiter(Effect.void), limiter(Effect.void)),
    queue: Effect.scoped(
      Effect.zipRight(
        Effect.forkScoped(bulkhead(Effect.never)),
        Effect.exit(Effect.zipRight(Effect.yieldNow(), bulkhead(Effect.void)))
      )
    )
  }
})

const replacements = {
  "vitest's": { begin: () => void vi.useFakeTimers(), end: () => void vi.useRealTimers() },
  "vitest's, of which only setTimeout is taken": {
    begin: () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }),
    end: () => void vi.useRealTimers()
  },
  "node's": { begin: () => mock.timers.enable({ apis: ["setTimeout"] }), end: () => mock.timers.reset() }
}

/** More than the longest of the waits, and far less than the limit of a test. */
const soon = 5000

const ends = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.promise(() =>
    new Promise<boolean>((resolve) => {
      const late = setTimeout(() => resolve(false), soon)
      Effect.runFork(Effect.zipRight(
        Fiber.await(fiber),
        Effect.sync(() => {
          clearTimeout(late)
          resolve(true)
        })
      ))
    })
  )

describe.sequential("timers that are replaced for a while", () => {
  for (const [name, { begin, end }] of Object.entries(replacements)) {
    it.live(`a wait that is left under ${name} timers hinders none that comes after them`, () =>
      Effect.gen(function*() {
        begin()
        // By the clock of these timers it ends long before, and long after, those that come.
        const left = (["1 milli", "1 hour"] as const).map((limit) => Effect.runFork(Timeout.make(limit)(Effect.never)))
        end()
        for (const wait of Object.values(yield* waits)) {
          assert.isTrue(yield* ends(Effect.runFork(wait as Effect.Effect<unknown>)))
        }
        yield* Fiber.interruptAll(left)
      }))

    it.live(`a wait that began before ${name} timers came ends by the timer that it has`, () =>
      Effect.gen(function*() {
        const before = Effect.runFork(Effect.exit(Timeout.make(50)(Effect.never)))
        begin()
        const left = Effect.runFork(Timeout.make("1 minute")(Effect.never))
        end()
        assert.isTrue(yield* ends(before))
        assert.isTrue(Exit.isExit(yield* Fiber.interrupt(left)))
      }))
  }

  it.live("a wait that was due while the timers were replaced ends when they are back, without another one", () =>
    Effect.gen(function*() {
      const { setTimeout: later } = globalThis
      for (const { begin, end } of Object.values(replacements)) {
        const before = Effect.runFork(Effect.exit(Timeout.make(50)(Effect.never)))
        begin()
        yield* Effect.promise(() => new Promise((resolve) => later(resolve, 100)))
        end()
        assert.isTrue(yield* ends(before))
      }
    }))

  it.live("a breaker whose probe hung under replaced timers probes again when they are back", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "replaced",
        tripPolicy: CircuitBreaker.consecutive(1),
        openDuration: 20,
        probeTimeout: 30
      })
      const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromiseExit(breaker(effect))
      yield* Effect.promise(async () => {
        const { setTimeout: later } = globalThis
        vi.useFakeTimers()
        await run(Effect.fail(new Busy()))
        vi.advanceTimersByTime(50)
        Effect.runFork(breaker(Effect.never))
        vi.advanceTimersByTime(50)
        assert.isTrue(Exit.isFailure(await run(Effect.void)))
        vi.useRealTimers()
        let answered = false
        for (let call = 0; call < 100 && !answered; call++) {
          await new Promise((resolve) => later(resolve, 20))
          answered = Exit.isSuccess(await run(Effect.void))
        }
        assert.isTrue(answered)
      })
    }))

  it.live("waits under vitest's timers end when these are moved on", () =>
    Effect.gen(function*() {
      vi.useFakeTimers()
      const fiber = Effect.runFork(Effect.exit(Timeout.make("1 minute")(Effect.never)))
      yield* Effect.promise(() => vi.advanceTimersByTimeAsync(60_000))
      vi.useRealTimers()
      assert.isTrue(yield* ends(fiber))
    }))
})
