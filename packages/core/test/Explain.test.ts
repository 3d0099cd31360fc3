import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import { CircuitBreakerMachine } from "@holdfast/core/CircuitBreakerMachine"
import * as Explain from "@holdfast/core/Explain"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import type * as TripPolicy from "@holdfast/core/TripPolicy"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"

const standard = (name: string, options: Policy.StandardOptions = {}): Effect.Effect<Policy.Policy.Any> =>
  Logger.withMinimumLogLevel(Policy.standard(name, options as {}), LogLevel.None)

const total = (millis: number) => Timeout.make(millis, { scope: "total", name: "total" })
const attempt = (millis: number) => Timeout.make(millis, { name: "attempt" })
const retry = (maxRetries: number, delay: number, jitter: Backoff.Jitter = "full", name = "retry") =>
  Retry.make({ maxRetries, schedule: Backoff.constant(delay, { jitter }), name })

const figures = (...parts: ReadonlyArray<Policy.Policy.Any>) => {
  const { attempts, latencyMillis } = Explain.explain(Policy.compose(...parts)).worstCase
  return [latencyMillis.value, attempts.value, latencyMillis.kind, attempts.kind]
}

describe("Explain: the worst case", () => {
  it.effect("the standard policy: 3 x 3 s + 0.2 s + 0.4 s = 9.6 s, three calls; 10 s if the dependency names its delays", () =>
    Effect.gen(function*() {
      const { attempts, latencyMillis, latencyWhenAskedMillis, reckoning } =
        Explain.explain(yield* standard("payments")).worstCase
      assert.deepStrictEqual([latencyMillis.value, attempts.value, latencyWhenAskedMillis.value], [9600, 3, 10_000])
      assert.deepStrictEqual(reckoning, [
        "payments.attemptTimeout: a call that hangs is stopped after 3 s",
        "payments.retry: 3 attempts x 3 s + 0.2 s + 0.4 s = 9.6 s",
        "payments.totalTimeout: 9.6 s fits in 10 s"
      ])
    }))

  it("nested retries multiply", () => {
    assert.deepStrictEqual(figures(retry(2, 100), retry(1, 10, "full", "inner"), attempt(1000)), [
      6230,
      6,
      "exact",
      "exact"
    ])
  })

  it("a total timeout caps, and a retry whose delay reaches it is not made", () => {
    assert.deepStrictEqual(figures(total(2000), retry(2, 100), attempt(1000)), [2000, 3, "exact", "exact"])
    assert.deepStrictEqual(figures(total(2000), retry(1, 2000, "none"), attempt(500)), [500, 1, "exact", "exact"])
    assert.deepStrictEqual(figures(total(2000), retry(1, 1999, "none"), attempt(500)), [2000, 2, "exact", "exact"])
  })

  it("a limit that no retry is told of cuts it in its sleep", () => {
    assert.deepStrictEqual(figures(attempt(2000), retry(1, 2000, "none"), attempt(500)), [2000, 1, "exact", "exact"])
  })

  it.effect("full waits at bulkheads come on top, outside a total timeout as well", () =>
    Effect.gen(function*() {
      const waits = yield* Bulkhead.make({ name: "bulkhead", maxConcurrent: 1, maxQueue: 1, maxWait: 300 })
      assert.deepStrictEqual(figures(waits, total(1000), attempt(5000)), [1300, 1, "exact", "exact"])
      assert.deepStrictEqual(figures(retry(1, 0), waits, attempt(1000)), [2600, 2, "exact", "exact"])
      assert.deepStrictEqual(figures(total(1000), waits, attempt(500)), [800, 1, "exact", "exact"])
    }))

  it("an inner retry that gives up before the deadline hands over to the outer one, which may make more attempts of it", () => {
    // At once: 0, 9 s. With a first answer after 1.5 s the inner retry gives up, and the outer one comes at 3.5, 5.5, 7.5 and 9.5 s.
    assert.deepStrictEqual(
      figures(total(10_000), retry(5, 2000, "none", "outer"), retry(1, 9000, "none"), attempt(1600)).slice(0, 2),
      [10_000, 5]
    )
  })

  it("without any limit there is none, and that is exact", () => {
    assert.deepStrictEqual(figures(retry(1, 100)), [Infinity, 2, "exact", "exact"])
  })

  it("a schedule of the user's own makes the latency unknown, and a timeout around it an upper bound", () => {
    const own = Retry.make({ maxRetries: 2, schedule: Schedule.spaced("1 second") })
    assert.deepStrictEqual(figures(own, attempt(1000)), [Infinity, 3, "unknown", "atMost"])
    assert.deepStrictEqual(figures(total(5000), own, attempt(1000)), [5000, 3, "atMost", "atMost"])
  })

  it("a step of the user's own is unknown inside, and harmless outside everything", () => {
    const custom = Policy.make("mine", (effect) => Effect.withSpan(effect, "call"))
    assert.deepStrictEqual(figures(custom, retry(1, 100), attempt(1000)), [2100, 2, "exact", "exact"])
    assert.deepStrictEqual(figures(retry(1, 100), custom, attempt(1000)), [Infinity, Infinity, "unknown", "unknown"])
    const { text, worstCase } = Explain.explain(Policy.compose(total(5000), custom, attempt(1000)))
    assert.deepStrictEqual([worstCase.latencyMillis.kind, worstCase.latencyMillis.value], ["atMost", 5000])
    assert.include(text, "- latency: at most 5 s")
    assert.include(text, "- calls to the dependency: unknown")
    assert.include(text, "mine is a step of your own")
  })

  it("so many retries in retries that they cannot be followed are told as an upper bound, in time", () => {
    const many = (name: string) =>
      Retry.make({ maxRetries: 1000, schedule: Backoff.constant(50, { jitter: "equal" }), name })
    const { attempts, latencyMillis } =
      Explain.explain(Policy.compose(total(3_600_000), many("a"), many("b"), many("c"), attempt(1000))).worstCase
    assert.deepStrictEqual([latencyMillis.value, latencyMillis.kind, attempts.kind], [3_600_000, "atMost", "atMost"])
  })
})

describe("Explain: the plan", () => {
  it.effect("names every step outermost first, with the reason of its place and what it answers", () =>
    Effect.gen(function*() {
      const policy = yield* standard("payments", {
        bulkhead: { maxConcurrent: 20, maxQueue: 5, maxWait: "1 second" },
        rateLimiter: { rate: 100 }
      })
      const { dependency, plan, text } = Explain.explain(policy)
      assert.strictEqual(dependency, "payments")
      assert.deepStrictEqual(plan.map((place) => place.kind), policy.steps.map((step) => step.kind))
      for (const { answers, because, numbers, policy } of plan) {
        for (const words of [answers, because, numbers, policy]) {
          assert.include(text, words)
          assert.notMatch(words, /undefined|NaN|\[object|Infinity/)
        }
      }
      const answers = plan.map((place) => place.answers).join("\n")
      for (const tag of ["TimedOut", "BulkheadFull", "CircuitOpen", "RateLimited"]) {
        assert.include(answers, tag)
      }
    }))

  it("the policy that does nothing is explained too", () => {
    assert.include(Explain.explain(Policy.identity).text, "Nothing: the call is made as it is.")
  })

  it("wrong options are refused", () => {
    assert.throws(() => Explain.explain(Policy.identity, { callsPerSecond: 0 }), InvalidOptions)
    assert.throws(() => Explain.explain(Policy.identity, { rate: 1 } as Explain.Options), InvalidOptions)
  })
})

// -- openings by chance --------------------------------------------------------

const openings = (tripPolicy: TripPolicy.TripPolicy, options?: Explain.Options) =>
  Effect.map(
    CircuitBreaker.make({ name: "breaker", tripPolicy }),
    (breaker) => Explain.explain(breaker, options).chanceOpenings
  )

/** The mean over many openings on the real machine. */
const played = (tripPolicy: TripPolicy.TripPolicy, rate: number, wanted: number, seed: number): number => {
  const machine = new CircuitBreakerMachine({
    tripPolicy,
    openMillis: () => 1,
    openJitter: 0,
    maxOpenMillis: 1,
    probes: 1,
    successThreshold: 1,
    probeTimeoutMillis: 1,
    dryRun: false
  }, 0)
  let state = seed
  let ends = 0
  for (let opened = 0; opened < wanted; ends++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    machine.record(machine.enter(0), state / 2 ** 32 < rate ? "failure" : "success", 0, 0, () => 0.5)
    if (machine.state._tag !== "Closed") {
      opened++
      machine.reset(0)
    }
  }
  return ends / wanted
}

describe("Explain: openings by chance", () => {
  it.effect("n failures in a row come once in (1 - p^n) / (p^n (1 - p)) calls", () =>
    Effect.gen(function*() {
      const found = yield* openings(CircuitBreaker.consecutive(5))
      assert.deepStrictEqual(found.map((one) => Math.round(one.ends)), [111_110, 3905, 586])
      assert.isTrue(found.every((one) => one.method === "exact" && one.unit === "call"))
    }))

  it.effect("half of the last ten opens once in 118 calls at 20 %, by Markov chain and by play", () =>
    Effect.gen(function*() {
      const found = yield* openings(CircuitBreaker.lastTen)
      assert.deepStrictEqual(found.map((one) => one.ends.toFixed(2)), ["1674.22", "117.77", "34.80"])
      assert.isTrue(found.every((one) => one.method === "exact"))
      assert.closeTo(played(CircuitBreaker.lastTen, 0.2, 20_000, 1), 117.77, 3)
      assert.closeTo(played(CircuitBreaker.lastTen, 0.3, 20_000, 2), 34.8, 1)
    }))

  it.effect("several count windows at once are exact too, and agree with play", () =>
    Effect.gen(function*() {
      const both = CircuitBreaker.any(
        CircuitBreaker.consecutive(4),
        CircuitBreaker.failureRate({ threshold: 0.6, window: { calls: 8 }, minimumCalls: 3 })
      )
      const [, at20, at30] = yield* openings(both)
      assert.strictEqual(at20?.method, "exact")
      assert.closeTo(at20!.ends / played(both, 0.2, 20_000, 3), 1, 0.03)
      assert.closeTo(at30!.ends / played(both, 0.3, 20_000, 4), 1, 0.03)
    }))

  it.effect("the Markov chain agrees with the formula for failures in a row", () =>
    Effect.gen(function*() {
      const formula = yield* openings(CircuitBreaker.consecutive(5))
      const chain = yield* openings(CircuitBreaker.any(CircuitBreaker.consecutive(5), CircuitBreaker.consecutive(6)))
      formula.forEach((one, index) => assert.closeTo(chain[index]!.ends / one.ends, 1, 1e-9))
    }))

  it.effect("windows of time are played at the given traffic, and say so", () =>
    Effect.gen(function*() {
      const tripPolicy = CircuitBreaker.failureRate({ threshold: 0.5, window: "3 seconds", minimumCalls: 10 })
      const found = yield* openings(tripPolicy, { callsPerSecond: 5 })
      assert.deepStrictEqual(found.map((one) => one.method), ["moreThan", "simulated", "simulated"])
      const [, at20, at30] = found.map((one) => one.ends)
      assert.isAbove(at20!, at30!)
      assert.isAbove(at30!, 20)
      assert.isBelow(at30!, 1000)
      assert.deepStrictEqual(yield* openings(tripPolicy, { callsPerSecond: 5 }), found)
    }))

  it.effect("slow calls are no failures: a breaker for slowness alone never opens by failures", () =>
    Effect.gen(function*() {
      const slow = CircuitBreaker.slowCallRate({
        slowerThan: "1 second",
        threshold: 0.5,
        window: { calls: 10 },
        minimumCalls: 5
      })
      assert.deepStrictEqual((yield* openings(slow)).map((one) => one.ends), [Infinity, Infinity, Infinity])
    }))

  it.effect("outside the retry the breaker sees what retries have not cured, inside it every attempt", () =>
    Effect.gen(function*() {
      const tripPolicy = CircuitBreaker.consecutive(10)
      const call = Explain.explain(yield* standard("payments", { circuitBreaker: { tripPolicy } })).chanceOpenings
      const inside = Explain.explain(yield* standard("payments", { circuitBreaker: { tripPolicy, scope: "attempt" } }))
        .chanceOpenings
      assert.deepStrictEqual(call.map((one) => one.seenRate.toFixed(3)), ["0.001", "0.008", "0.027"])
      assert.deepStrictEqual(call.map((one) => one.withoutRetries.ends), inside.map((one) => one.ends))
      assert.deepStrictEqual(inside.map((one) => one.unit), ["attempt", "attempt", "attempt"])
    }))
})
