import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import { CircuitBreakerMachine } from "@holdfast/core/CircuitBreakerMachine"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as TripPolicy from "@holdfast/core/TripPolicy"
import * as Window from "@holdfast/core/Window"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** On a busy machine a measurement may go wrong; it fails only if it goes wrong three times. */
const threeTimes = (measure: Effect.Effect<string>) =>
  Effect.gen(function*() {
    const complaints: Array<string> = []
    for (let round = 1; round <= 3; round++) {
      const complaint = yield* measure
      if (complaint === "") return
      complaints.push(complaint)
    }
    assert.fail(complaints.join("; then "))
  })

/** How many calls per second a limiter lets through under steady demand, once its first burst is spent. */
const admitted = (rate: number, seconds: number) =>
  Effect.gen(function*() {
    // A burst of a fifth of a second: what a timer that is late may have to catch up with.
    const capacity = rate / 5
    const limiter = yield* RateLimiter.make({
      name: `live.${rate}`,
      rate,
      capacity,
      maxWait: "5 seconds",
      maxQueue: 10_000
    })
    for (let spent = 0; spent < capacity; spent++) yield* limiter(Effect.void)
    let calls = 0
    const one = Effect.forever(limiter(Effect.sync(() => {
      calls++
    })))
    const callers = yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.fork(Effect.ignore(one)))
    // The callers are counted from the moment at which all of them wait.
    yield* Effect.sleep("100 millis")
    const before = calls
    const from = performance.now()
    yield* Effect.sleep(seconds * 1000)
    const made = calls - before
    const taken = (performance.now() - from) / 1000
    yield* Fiber.interruptAll(callers)
    return { rate, measured: made / taken }
  })

const elapsed = (effect: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    const from = performance.now()
    yield* effect
    return performance.now() - from
  })

const body = Effect.sleep("1 millis")

const callers = (count: number, one: Effect.Effect<unknown, unknown>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.fork(one)).pipe(
    Effect.flatMap((fibers) => Effect.forEach(fibers, Fiber.await, { discard: true }))
  )

const record = (window: number, calls: number) => {
  const machine = new CircuitBreakerMachine({
    tripPolicy: TripPolicy.failureRate({ threshold: 0.99, window: Window.calls(window), minimumCalls: window }),
    openMillis: () => 1_000,
    openJitter: 0,
    maxOpenMillis: 1_000,
    probes: 1,
    successThreshold: 1,
    probeTimeoutMillis: 1_000,
    dryRun: false
  }, 0)
  const draw = () => 0.5
  const from = performance.now()
  for (let call = 0; call < calls; call++) {
    const now = call / 100
    machine.record(machine.enter(now, draw), call % 3 === 0 ? "failure" : "success", 1, now, draw, undefined)
  }
  return performance.now() - from
}

describe.sequential("throughput", () => {
  it.live(
    "a limiter set to 300, 1,000 and 5,000 per second admits within 1 % of that over 3 seconds",
    () =>
      threeTimes(Effect.gen(function*() {
        const results = yield* Effect.all([300, 1_000, 5_000].map((rate) => Effect.orDie(admitted(rate, 3))), {
          concurrency: "unbounded"
        })
        return results
          .filter(({ measured, rate }) => Math.abs(measured / rate - 1) > 0.01)
          .map(({ measured, rate }) => `${rate}/s admitted ${measured.toFixed(1)}/s`)
          .join(", ")
      })),
    30_000
  )

  it.live("2,000 callers on a bulkhead of 10 take no longer than twice 200 bodies one after another", () => {
    let first = true
    return threeTimes(Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "live", maxConcurrent: 10, maxQueue: 10_000 })
      const semaphore = yield* Effect.makeSemaphore(10)
      const oneAfterAnother = Effect.repeatN(body, 199)
      if (first) {
        first = false
        yield* callers(2_000, bulkhead(body))
        const few = yield* elapsed(callers(500, bulkhead(body)))
        const waking = yield* elapsed(callers(500, semaphore.withPermits(1)(body)))
        console.log(`500 callers on 10 places ${few.toFixed(0)} ms, with Effect.makeSemaphore ${waking.toFixed(0)} ms`)
      }
      // The best of three rounds each: 200 sleeps need no processor, 2,000 callers do, and others may have it.
      let alone = Infinity
      let together = Infinity
      for (let round = 0; round < 3; round++) {
        alone = Math.min(alone, yield* elapsed(oneAfterAnother))
        together = Math.min(together, yield* elapsed(callers(2_000, bulkhead(body))))
      }
      console.log(
        `200 bodies one after another ${alone.toFixed(0)} ms; 2,000 callers on 10 places ${together.toFixed(0)} ms`
      )
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
      return together <= 2 * alone ? "" : `${together.toFixed(0)} ms against ${alone.toFixed(0)} ms`
    }))
  }, 60_000)

  it.live(
    "1,000,000 recorded calls cost the same with a window of 10 calls and of 10,000",
    () =>
      threeTimes(Effect.sync(() => {
        for (const window of [10, 10_000]) record(window, 300_000)
        // The fastest of alternating rounds: what the machine does besides makes one only slower.
        let small = Infinity
        let large = Infinity
        for (let round = 0; round < 4; round++) {
          small = Math.min(small, record(10, 250_000))
          large = Math.min(large, record(10_000, 250_000))
        }
        const ratio = Math.max(small, large) / Math.min(small, large)
        return ratio < 1.3 ? "" : `${small.toFixed(0)} ms against ${large.toFixed(0)} ms for 250,000 calls`
      })),
    60_000
  )
})
