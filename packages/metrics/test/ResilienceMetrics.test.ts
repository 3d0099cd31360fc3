import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import { all, families } from "@holdfast/metrics/MetricFamilies"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { callOf, ended } from "./support/events.js"
import { counterOf, histogramOf, seriesOf } from "./support/series.js"

class Busy extends Failure.Retryable("Busy")<{}> {}
class Declined extends Failure.Permanent("Declined")<{}> {}

const busy = Effect.fail(new Busy())

/** Runs with the listener on; every test has services of its own, since Effect's metrics are those of the process. */
const counting = <A, E>(name: string, body: (service: string) => Effect.Effect<A, E>) =>
  it.effect(name, ({ task }) => body(`service of ${task.id}`).pipe(Effect.provide(ResilienceMetrics.layer())))

/** Lets the clock run while an effect does. */
const after = <A, E, R>(effect: Effect.Effect<A, E, R>, ...steps: ReadonlyArray<Duration.DurationInput>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.exit(effect))
    for (const step of steps) {
      yield* TestClock.adjust(step)
    }
    return yield* Fiber.join(fiber)
  })

/** Fails as often as it is told, then succeeds. */
const failing = (times: number) => {
  let left = times
  return Effect.suspend(() => left-- > 0 ? busy : Effect.void)
}

describe("the metrics of the seed", () => {
  counting(
    "http_client_request_duration_seconds: one observation per attempt, in the bucket of its length",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, { retry: { maxRetries: 1, schedule: Backoff.none } })
        const call = policy.with({ operation: "GET /orders/:id" })
        yield* after(call(Effect.sleep("300 millis")), "300 millis")
        yield* after(call(Effect.zipRight(Effect.sleep("2 seconds"), busy)), "2 seconds", "2 seconds")
        assert.deepStrictEqual(seriesOf(families.requestDuration, service), {
          "GET /orders/:id success": 1,
          "GET /orders/:id retryable": 2
        })
        const labels = { service, endpoint: "GET /orders/:id" }
        assert.deepStrictEqual(histogramOf(families.requestDuration, { ...labels, status: "success" }), {
          buckets: { 0.1: 0, 0.25: 0, 0.5: 1, 1: 1, 2: 1, 5: 1, 10: 1, Infinity: 1 },
          count: 1,
          sum: 0.3
        })
        assert.deepStrictEqual(histogramOf(families.requestDuration, { ...labels, status: "retryable" }), {
          buckets: { 0.1: 0, 0.25: 0, 0.5: 0, 1: 0, 2: 2, 5: 2, 10: 2, Infinity: 2 },
          count: 2,
          sum: 4
        })
      })
  )

  counting(
    "http_client_request_duration_seconds: the status is what the dependency answered",
    (service) =>
      Effect.gen(function*() {
        const classify: Failure.Classify = (exit) =>
          Exit.isSuccess(exit)
            ? Outcome.make(Outcome.ofStatus(exit.value as number), { status: String(exit.value) })
            : Failure.classify(exit)
        const policy = yield* Policy.standard(service, { classify, retry: false })
        for (const status of [200, 200, 404, 503]) {
          yield* policy(Effect.succeed(status))
        }
        yield* Effect.exit(policy(Effect.fail(new Declined())))
        assert.deepStrictEqual(seriesOf(families.requestDuration, service), {
          "unnamed 200": 2,
          "unnamed 404": 1,
          "unnamed 503": 1,
          "unnamed permanent": 1
        })
        assert.deepStrictEqual(seriesOf(families.calls, service), {
          "unnamed success": 2,
          "unnamed permanent": 2,
          "unnamed retryable": 1
        })
      })
  )

  counting(
    "http_client_timeouts_total: one for each limit that ran out, of attempts and of the whole call",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, {
          totalTimeout: "7 seconds",
          attemptTimeout: "3 seconds",
          retry: { maxRetries: 5, schedule: Backoff.none }
        })
        yield* after(policy.with({ operation: "charge" })(Effect.never), "3 seconds", "3 seconds", "1 seconds")
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { charge: 3 })
        yield* policy.with({ operation: "refund" })(Effect.void)
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { charge: 3, refund: 0 })
      })
  )

  counting(
    "http_client_retries_total: one for each attempt after the first, with its number and its end",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, { retry: { maxRetries: 2, schedule: Backoff.none } })
        yield* policy(failing(0))
        yield* policy(failing(1))
        yield* policy(failing(2))
        yield* Effect.exit(policy(failing(3)))
        assert.deepStrictEqual(seriesOf(families.retries, service), {
          "2 success": 1,
          "2 retryable": 2,
          "3 success": 1,
          "3 retryable": 1
        })
      })
  )

  counting(
    "circuit_breaker_trips_total: one for each opening, after a failed probe too",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, {
          retry: false,
          circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2), openDuration: "30 seconds", openJitter: 0 }
        })
        yield* Effect.exit(policy(busy))
        assert.strictEqual(counterOf(families.circuitTrips, { service }), 0)
        yield* Effect.exit(policy(busy))
        assert.strictEqual(counterOf(families.circuitTrips, { service }), 1)
        yield* Effect.exit(policy(busy))
        yield* TestClock.adjust("30 seconds")
        yield* Effect.exit(policy(busy))
        assert.strictEqual(counterOf(families.circuitTrips, { service }), 2)
        assert.deepStrictEqual(seriesOf(families.circuitTransitions, service), { open: 2, half_open: 1 })
        assert.deepStrictEqual(seriesOf(families.circuitRejected, service), { open: 1 })
        yield* TestClock.adjust("30 seconds")
        yield* policy(Effect.void)
        assert.deepStrictEqual(seriesOf(families.circuitTransitions, service), { open: 2, half_open: 2, closed: 1 })
        assert.strictEqual(counterOf(families.circuitTrips, { service }), 2)
      })
  )

  counting(
    "bulkhead_rejected_total: one for each call that is refused, full or waited too long",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, {
          bulkhead: { maxConcurrent: 1, maxQueue: 1, maxWait: "1 second" }
        })
        const free = yield* Deferred.make<void>()
        const running = yield* Effect.fork(policy(Deferred.await(free)))
        yield* Effect.yieldNow()
        const waiting = yield* Effect.fork(Effect.exit(policy(Effect.void)))
        yield* Effect.yieldNow()
        yield* Effect.exit(policy(Effect.void))
        yield* Effect.exit(policy(Effect.void))
        assert.strictEqual(counterOf(families.bulkheadRejected, { service }), 2)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(waiting)
        assert.strictEqual(counterOf(families.bulkheadRejected, { service }), 3)
        yield* Deferred.succeed(free, void 0)
        yield* Fiber.join(running)
        assert.strictEqual(counterOf(families.bulkheadRejected, { service }), 3)
      })
  )

  counting(
    "fallback_invocations_total: one for each answer, by the kind of the tier that gave it",
    (service) =>
      Effect.gen(function*() {
        const answers = Fallback.make({
          name: "answers",
          dependency: service,
          tiers: [
            Fallback.tier({ name: "worse", kind: "degrade", run: () => Effect.fail(new Declined()) }),
            Fallback.value("default")
          ]
        })
        yield* Effect.repeatN(answers(Effect.as(busy, "answer")), 2)
        yield* answers(Effect.succeed("answer"))
        assert.deepStrictEqual(seriesOf(families.fallbackInvocations, service), { default: 3 })
        assert.deepStrictEqual(seriesOf(families.fallbackFailures, service), { degrade: 3 })
      })
  )
})

describe("the metrics of Holdfast", () => {
  counting("calls and attempts by class: each call once, each attempt once", (service) =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard(service, { retry: { maxRetries: 2, schedule: Backoff.none } })
      const call = policy.with({ operation: "get" })
      yield* call(failing(1))
      yield* Effect.exit(call(failing(3)))
      yield* Effect.exit(call(Effect.fail(new Declined())))
      yield* Effect.exit(call(Effect.fail("who knows")))
      const stopped = yield* Effect.fork(call(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(stopped)
      assert.deepStrictEqual(seriesOf(families.calls, service), {
        "get success": 1,
        "get retryable": 1,
        "get permanent": 1,
        "get unclassified": 1,
        "get interrupted": 1
      })
      assert.deepStrictEqual(seriesOf(families.attempts, service), {
        "get success": 1,
        "get retryable": 4,
        "get permanent": 1,
        "get unclassified": 1,
        "get interrupted": 1
      })
    }))

  counting("retries per call, and how the retried calls ended", (service) =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard(service, {
        retry: { maxRetries: 2, schedule: Backoff.none },
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) }
      })
      yield* policy(failing(0))
      yield* policy(failing(0))
      yield* policy(failing(1))
      yield* policy(failing(2))
      yield* Effect.exit(policy(failing(3)))
      const { buckets, count, sum } = histogramOf(families.retriesPerCall, { service })
      assert.deepStrictEqual({ ...buckets }, { 0: 2, 1: 3, 2: 5, 3: 5, 5: 5, 10: 5, Infinity: 5 })
      assert.deepStrictEqual([count, sum], [5, 5])
      assert.deepStrictEqual(seriesOf(families.retriedCalls, service), { success: 2, retryable: 1 })
      assert.deepStrictEqual(seriesOf(families.retriesGivenUp, service), { exhausted: 1 })

      yield* Effect.exit(policy(Effect.void))
      assert.strictEqual(histogramOf(families.retriesPerCall, { service }).count, 5, "a call that was not sent is none")
      assert.deepStrictEqual(seriesOf(families.calls, service), {
        "unnamed success": 4,
        "unnamed retryable": 1,
        "unnamed rejected": 1
      })
    }))

  counting("retries that a budget does not pay for are given up", (service) =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0.1 })
      const retry = Retry.make({
        name: `${service}.retry`,
        dependency: service,
        maxRetries: 3,
        budget,
        schedule: Backoff.none
      })
      yield* Effect.exit(retry(busy))
      assert.deepStrictEqual(seriesOf(families.retriesGivenUp, service), { budget: 1 })
      assert.deepStrictEqual(seriesOf(families.retries, service), { "2 retryable": 1 })
    }))

  counting(
    "rate limiter decisions: what was refused, and what a dry run would have refused",
    (service) =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: `${service}.rateLimiter`, dependency: service, rate: 2 })
        yield* Effect.repeatN(Effect.exit(limiter(Effect.void)), 4)
        assert.deepStrictEqual(seriesOf(families.limiterDecisions, service), { refused: 3 })
        yield* limiter.reconfigure({ dryRun: true })
        yield* limiter(Effect.void)
        assert.deepStrictEqual(seriesOf(families.limiterDecisions, service), { refused: 3, would_refuse: 1 })
      })
  )

  counting(
    "time in fallback: from answer to answer, until the dependency succeeds",
    (service) =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard(service, { retry: false })
        const answers = Fallback.make({ name: "answers", dependency: service, tiers: [Fallback.value(0)] })
        const fallBack = answers(Effect.as(policy(busy), 1))
        const seconds = () => counterOf(families.fallbackSeconds, { service })
        yield* fallBack
        assert.strictEqual(seconds(), 0)
        yield* TestClock.adjust("20 seconds")
        yield* fallBack
        assert.strictEqual(seconds(), 20)
        yield* TestClock.adjust("1500 millis")
        yield* fallBack
        assert.strictEqual(seconds(), 21.5)
        yield* TestClock.adjust("10 seconds")
        yield* policy(Effect.void)
        yield* fallBack
        assert.strictEqual(seconds(), 21.5, "the dependency had answered between them")
        yield* TestClock.adjust("61 seconds")
        yield* fallBack
        assert.strictEqual(seconds(), 21.5, "for more than a minute nobody asked")
        yield* TestClock.adjust("60 seconds")
        yield* fallBack
        assert.strictEqual(seconds(), 81.5)
      })
  )

  counting(
    "a limit that rang for the caller's deadline, or before anything was sent, says nothing of the dependency",
    (service) =>
      Effect.gen(function*() {
        const places = yield* Bulkhead.make({
          name: `${service}.bulkhead`,
          dependency: service,
          maxConcurrent: 1,
          maxQueue: 1
        })
        const call = Policy.compose(Timeout.make("3 seconds", { dependency: service }), places).with({
          operation: "charge"
        })
        yield* after(Deadline.within(call(Effect.never), "20 millis"), "20 millis")
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { charge: 0 })
        const running = yield* Effect.fork(places.with({ operation: "charge" })(Effect.never))
        yield* Effect.yieldNow()
        yield* after(call(Effect.void), "3 seconds")
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { charge: 0 })
        yield* Fiber.interrupt(running)
        yield* after(call(Effect.never), "3 seconds")
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { charge: 1 })
      })
  )

  counting(
    "late results: of a breaker that has moved on, and of a limit that had run out",
    (service) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make({
          name: `${service}.circuitBreaker`,
          dependency: service,
          tripPolicy: CircuitBreaker.consecutive(1)
        })
        const old = yield* Effect.fork(Effect.exit(breaker(Effect.delay(busy, "1 second"))))
        yield* Effect.yieldNow()
        yield* Effect.exit(breaker(busy))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(old)
        assert.strictEqual(counterOf(families.circuitLateResults, { service }), 1)

        const limit = Timeout.make("1 second", { name: `${service}.attemptTimeout`, dependency: service })
        yield* after(Effect.uninterruptible(limit(Effect.sleep("3 seconds"))), "3 seconds")
        assert.strictEqual(counterOf(families.lateAnswers, { service }), 1)
        assert.deepStrictEqual(seriesOf(families.timeouts, service), { unnamed: 1 })
      })
  )

  counting("what nobody said the meaning of, and what threw", (service) =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard(service, {
        retry: false,
        classify: (exit) => {
          if (Exit.isSuccess(exit)) {
            throw new Error("a bug in the classifier")
          }
          return Failure.classify(exit)
        }
      })
      yield* Effect.exit(policy(Effect.fail({ _tag: "NotInStock" })))
      yield* Effect.exit(policy(Effect.fail({ _tag: "NotInStock" })))
      assert.deepStrictEqual(seriesOf(families.unclassified, service), { NotInStock: 1 })
      yield* policy(Effect.void)
      yield* after(policy(Effect.ensuring(Effect.never, Effect.die("in a finalizer"))), "3 seconds")
      assert.deepStrictEqual(seriesOf(families.policyFaults, service), { policy: 1, finalizer: 1 })
    }))

  counting("chaos: one for each fault, by its kind", (service) =>
    Effect.gen(function*() {
      const call = Chaos.make({ dependency: service })(Effect.void)
      const under = (fault: Fault.Fault) => Effect.exit(Effect.provide(call, Chaos.layer({ faults: [fault], seed: 1 })))
      yield* under(Fault.failure())
      yield* after(under(Fault.latency("1 second")), "1 second")
      yield* after(under(Fault.latency("1 second")), "1 second")
      assert.deepStrictEqual(seriesOf(families.chaosInjections, service), { failure: 1, latency: 2 })
    }))
})

describe("labels", () => {
  it("a call without a dependency or an operation is `unnamed`, and so is an empty name", () => {
    const listen = ResilienceMetrics.listener()
    const before = seriesOf(families.requestDuration, "unnamed")["unnamed 204"] ?? 0
    listen({ ...ended(undefined, "x", "204"), call: callOf(undefined) })
    listen({ ...ended("", "", "204") })
    assert.strictEqual(seriesOf(families.requestDuration, "unnamed")["unnamed 204"], before + 2)
  })

  counting("a piece that an operation has for itself is a service of its own", (service) =>
    Effect.gen(function*() {
      const breakerOf = (name: string) =>
        CircuitBreaker.make({ name, dependency: service, tripPolicy: CircuitBreaker.consecutive(1) })
      const bulkhead = yield* Bulkhead.make({ name: "of its own", dependency: service, maxConcurrent: 1 })
      for (const name of [`${service}.circuitBreaker`, `${service}.POST /a.b.circuitBreaker`, "mine"]) {
        yield* Effect.exit((yield* breakerOf(name))(busy))
      }
      yield* Effect.exit(bulkhead(bulkhead(Effect.void)))
      assert.strictEqual(
        counterOf(families.circuitTrips, { service }),
        2,
        "and one with another name is of its dependency"
      )
      assert.strictEqual(counterOf(families.circuitTrips, { service: `${service}.POST /a.b` }), 1)
      assert.strictEqual(counterOf(families.bulkheadRejected, { service }), 1)
    }))
})

describe("the layer", () => {
  const orders = <A>(items: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
    items.length < 2
      ? [items]
      : items.flatMap((item, index) =>
        orders(items.filter((_, place) => place !== index)).map((rest) => [item, ...rest])
      )

  it.effect("metrics, logs and a recorder keep each other in every order, merged and provided one after the other", () =>
    Effect.gen(function*() {
      let run = 0
      for (const order of orders(["metrics", "logs", "recorder"])) {
        for (const how of ["merged", "provided"]) {
          const service = `order ${run++}`
          const heard = { logs: 0, recorder: 0 }
          const layers: Record<string, Layer.Layer<never>> = {
            metrics: ResilienceMetrics.layer(),
            logs: ResilienceEvent.layer(() => heard.logs++),
            recorder: ResilienceEvent.layer(() => heard.recorder++)
          }
          const call = Effect.flatMap(Policy.standard(service), (policy) => policy(Effect.void))
          yield* how === "merged"
            ? Effect.provide(call, order.map((one) => layers[one]!).reduce((all, one) => Layer.merge(all, one)))
            : order.reduce((effect, one) => Effect.provide(effect, layers[one]!), call)
          const what = `${how}: ${order.join(", ")}`
          assert.deepStrictEqual(heard, { logs: 2, recorder: 2 }, what)
          assert.deepStrictEqual(seriesOf(families.calls, service), { "unnamed success": 1 }, what)
          assert.deepStrictEqual(seriesOf(families.attempts, service), { "unnamed success": 1 }, what)
        }
      }
      assert.strictEqual(run, 12)
    }))

  it.effect("built twice it counts once", () =>
    Effect.gen(function*() {
      const call = Effect.flatMap(Policy.standard("built twice"), (policy) => policy(Effect.void))
      yield* call.pipe(
        Effect.provide(Layer.merge(Layer.fresh(ResilienceMetrics.layer()), Layer.fresh(ResilienceMetrics.layer()))),
        Effect.provide(ResilienceMetrics.layer())
      )
      assert.deepStrictEqual(seriesOf(families.calls, "built twice"), { "unnamed success": 1 })
    }))

  it.effect("built with different options it counts once", () =>
    Effect.gen(function*() {
      const service = "built with different options"
      yield* Effect.flatMap(Policy.standard(service), (policy) => policy(Effect.void)).pipe(
        Effect.provide(Layer.merge(ResilienceMetrics.layer(), ResilienceMetrics.layer({ maximumLabelValues: 50 })))
      )
      assert.deepStrictEqual(seriesOf(families.calls, service), { "unnamed success": 1 })
    }))

  it.effect("what guards the service itself is no client: only what it refuses is counted", () =>
    Effect.gen(function*() {
      const service = "http.server"
      const limiter = yield* RateLimiter.make({ name: "default", dependency: service, rate: 2, per: "1 minute" })
      const places = yield* Bulkhead.make({ name: service, maxConcurrent: 1, maxQueue: 0 })
      const limit = Timeout.make("1 second", { scope: "total", dependency: service })
      yield* Effect.repeatN(Effect.exit(limiter(Effect.void)), 4)
      yield* Effect.exit(places(places(Effect.void)))
      yield* after(limit(Effect.never), "1 second")
      for (const family of all.filter(({ metric }) => metric.startsWith("http_client_"))) {
        assert.deepStrictEqual(seriesOf(family, service), {}, family.metric)
        assert.deepStrictEqual(seriesOf(family, "default"), {}, family.metric)
      }
      assert.deepStrictEqual(seriesOf(families.calls, service), {})
      assert.deepStrictEqual(seriesOf(families.attempts, service), {})
      assert.deepStrictEqual(seriesOf(families.limiterDecisions, service), { refused: 3 })
      assert.deepStrictEqual(seriesOf(families.bulkheadRejected, service), { "": 1 })
    }).pipe(Effect.provide(ResilienceMetrics.layer())))

  it.effect("what runs without it is not counted", () =>
    Effect.gen(function*() {
      yield* Effect.flatMap(Policy.standard("not counted"), (policy) => policy(Effect.void))
      assert.deepStrictEqual(seriesOf(families.calls, "not counted"), {})
    }))

  for (
    const [options, field] of [
      [{ maximumLabelValues: 0 }, "maximumLabelValues"],
      [{ maximumLabelValues: 1.5 }, "maximumLabelValues"],
      [{ maximumLabelValues: Infinity }, "maximumLabelValues"],
      [{ maximumLabelValues: null }, "maximumLabelValues"],
      [{ maximumLabels: 5 }, "maximumLabels"],
      [null, "options"],
      [[], "options"]
    ] as const
  ) {
    it.effect(`${JSON.stringify(options)} is refused when the layer is built`, () =>
      Effect.gen(function*() {
        const layer = ResilienceMetrics.layer(options as any)
        const defect = yield* Effect.void.pipe(Effect.provide(layer), Effect.catchAllDefect(Effect.succeed))
        assert.instanceOf(defect, InvalidOptions)
        assert.deepStrictEqual((defect as InvalidOptions).findings.map((finding) => finding.field), [field])
      }))
  }
})
