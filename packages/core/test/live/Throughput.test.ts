import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import { CircuitBreakerMachine } from "@holdfast/core/CircuitBreakerMachine"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as TripPolicy from "@holdfast/core/TripPolicy"
import * as Window from "@holdfast/core/Window"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { performance } from "node:perf_hooks"

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

/**
 * The rate between two of many instants that should be equally far apart, the one early and the other late. What a busy machine does is
 * to delay some of them, never to hasten one: so both are the ones that were delayed least.
 */
const rateOf = (instants: ReadonlyArray<number>, rate: number): number => {
  const leastDelayed = (from: number, until: number): number => {
    let found = from
    for (let index = from; index < until; index++) {
      if (instants[index]! - index / rate < instants[found]! - found / rate) found = index
    }
    return found
  }
  const fifth = Math.floor(instants.length / 5)
  const early = leastDelayed(0, fifth)
  const late = leastDelayed(instants.length - fifth, instants.length)
  return (late - early) / (instants[late]! - instants[early]!)
}

/** How many calls per second a limiter lets through under steady demand, once its first burst is spent. */
const admitted = (rate: number, seconds: number) =>
  Effect.gen(function*() {
    // What a timer that is late, or a process that others hold up, may have to catch up with.
    const capacity = rate
    const limiter = yield* RateLimiter.make({
      name: `live.${rate}`,
      rate,
      capacity,
      maxWait: "20 seconds",
      maxQueue: 10_000
    })
    for (let spent = 0; spent < capacity; spent++) yield* limiter(Effect.void)
    const instants: Array<number> = []
    const one = Effect.forever(limiter(Effect.sync(() => instants.push(performance.now() / 1000))))
    const callers = yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.fork(Effect.ignore(one)))
    // The callers are counted from the moment at which all of them wait.
    yield* Effect.sleep("100 millis")
    instants.length = 0
    yield* Effect.sleep(seconds * 1000)
    yield* Fiber.interruptAll(callers)
    return { rate, measured: rateOf(instants, rate) }
  })

/** How long it took, in milliseconds, without the time in which other processes had the processor that this one wanted. */
const elapsed = (effect: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    const loop = performance.eventLoopUtilization()
    const processor = process.cpuUsage()
    yield* effect
    const { system, user } = process.cpuUsage(processor)
    return performance.eventLoopUtilization(loop).idle + (system + user) / 1000
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
    60_000
  )

  it.live("2,000 callers on a bulkhead of 10 take no longer than twice 200 bodies one after another", () => {
    let first = true
    return threeTimes(Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "live", maxConcurrent: 10, maxQueue: 10_000 })
      const oneAfterAnother = Effect.repeatN(body, 199)
      if (first) {
        first = false
        yield* callers(2_000, bulkhead(body))
      }
      // The best of five pairs: what the machine does besides makes them only slower.
      let alone = 0
      let together = Infinity
      for (let round = 0; round < 5 && together > 2 * alone; round++) {
        const one = yield* elapsed(oneAfterAnother)
        const many = yield* elapsed(callers(2_000, bulkhead(body)))
        if (many / one < together / alone || round === 0) [alone, together] = [one, many]
      }
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
      return together <= 2 * alone ? "" : `${together.toFixed(0)} ms against ${alone.toFixed(0)} ms`
    }))
  }, 120_000)

  it.live(
    "1,000,000 recorded calls cost the same with a window of 10 calls and of 10,000",
    () =>
      threeTimes(Effect.sync(() => {
        for (const window of [10, 10_000]) record(window, 300_000)
        // The fastest of many short alternating rounds: what the machine does besides makes one only slower.
        let small = Infinity
        let large = Infinity
        for (let round = 0; round < 40; round++) {
          small = Math.min(small, record(10, 25_000))
          large = Math.min(large, record(10_000, 25_000))
        }
        const ratio = Math.max(small, large) / Math.min(small, large)
        return ratio < 1.3 ? "" : `${small.toFixed(2)} ms against ${large.toFixed(2)} ms for 25,000 calls`
      })),
    60_000
  )
})
