import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Explain from "@holdfast/core/Explain"
import * as Failure from "@holdfast/core/Failure"
import * as Lint from "@holdfast/core/Lint"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { assertGolden, chapters } from "./support/golden.js"

class Down extends Failure.Retryable("Down")<{}> {}

const virtual = (name: string, body: () => Effect.Effect<void, unknown>) =>
  it.live(name, () => VirtualClock.run(Effect.suspend(body)))

const codes = (findings: ReadonlyArray<Lint.Finding>) => findings.map((finding) => finding.rule)

const findings = (rule: string, policy: Policy.Policy.Any, context?: Lint.Context | undefined) =>
  Policy.lint(policy, context).filter((finding) => finding.rule === rule)

/** `Policy.standard` without its type and its warning of twins, which other tests are about. */
const standard = (name: string, options: Policy.StandardOptions = {}): Effect.Effect<Policy.Policy<unknown>> =>
  Logger.withMinimumLogLevel(Policy.standard(name, options as {}), LogLevel.None)

const full = Random.fixed([1 - 2 ** -53])

// -- golden files --------------------------------------------------------------

const findingsOf = (context: Lint.Context) =>
  Object.keys(context).length === 0 ? "Findings" : `Findings, given ${JSON.stringify(context)}`

const report = (policy: Policy.Policy.Any, context: Lint.Context) =>
  `${Policy.explain(policy).text}\n${findingsOf(context)}\n\n${Lint.format(Policy.lint(policy, context))}`

// -- the configurations --------------------------------------------------------

const orderService = (
  name: string,
  numbers: { timeout: number; maxRetries: number; base: number; failures: number; open: number; calls: number }
) =>
  standard(name, {
    totalTimeout: false,
    bulkhead: { maxConcurrent: numbers.calls },
    circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(numbers.failures), openDuration: numbers.open },
    retry: { maxRetries: numbers.maxRetries, schedule: Backoff.exponential(numbers.base), budget: false },
    attemptTimeout: numbers.timeout
  })

const payment = orderService("payment", {
  timeout: 5000,
  maxRetries: 1,
  base: 1000,
  failures: 5,
  open: 30_000,
  calls: 20
})
const inventory = orderService("inventory", {
  timeout: 2000,
  maxRetries: 0,
  base: 500,
  failures: 10,
  open: 15_000,
  calls: 30
})
const notification = orderService("notification", {
  timeout: 3000,
  maxRetries: 2,
  base: 2000,
  failures: 5,
  open: 60_000,
  calls: 10
})

const trap1 = (scope: "call" | "attempt") =>
  standard("payments", {
    bulkhead: { maxConcurrent: 20 },
    circuitBreaker: { scope, tripPolicy: CircuitBreaker.consecutive(5) },
    retry: { maxRetries: 2, schedule: Backoff.exponential("200 millis") }
  })

const trap2 = Effect.gen(function*() {
  const bulkhead = yield* Bulkhead.make({ name: "payments.bulkhead", dependency: "payments", maxConcurrent: 10 })
  const budget = yield* RetryBudget.make()
  const parts = (maxRetries: number): ReadonlyArray<Policy.Policy<unknown>> => [
    bulkhead,
    Retry.make({ maxRetries, schedule: Backoff.exponential("1 second"), budget, name: "payments.retry" }),
    Timeout.make("2 seconds", { name: "payments.attemptTimeout" })
  ]
  return {
    collides: Policy.compose(...parts(2)),
    fits: Policy.compose(Timeout.make("5 seconds", { scope: "total", name: "payments.totalTimeout" }), ...parts(1))
  }
})

const trap3 = standard("payments", { bulkhead: { maxConcurrent: 10 }, retry: false })

describe("Lint: the four traps", () => {
  virtual(
    "trap 1: two calls with their retries open a breaker of five failures, and a third user is refused",
    () =>
      Effect.gen(function*() {
        const policy = yield* trap1("attempt")
        let sent = 0
        const failing = Effect.suspend(() => (sent++, Effect.fail(new Down())))
        yield* Effect.exit(policy(failing))
        const second = yield* Effect.flip(policy(failing))
        assert.strictEqual(sent, 5)
        assert.strictEqual((second as { _tag: string })._tag, "CircuitOpen")
        const third = yield* Effect.flip(policy(Effect.succeed("it is back")))
        assert.strictEqual((third as { _tag: string })._tag, "CircuitOpen")
        const [found] = findings("breaker-counts-retries", policy)
        assert.strictEqual(found?.severity, "error")
        assert.include(found?.because, "2 calls x 3 attempts = 6 failures")
      })
  )

  virtual(
    "trap 1, fixed: around the retry two calls are two failures, a third user is served, and lint is silent",
    () =>
      Effect.gen(function*() {
        const policy = yield* trap1("call")
        yield* Effect.exit(policy(Effect.fail(new Down())))
        yield* Effect.exit(policy(Effect.fail(new Down())))
        assert.strictEqual(yield* policy(Effect.succeed("it is back")), "it is back")
        assert.deepStrictEqual(Policy.lint(policy), [])
      })
  )

  virtual(
    "trap 2: three attempts of 2 s let a user wait 9 s, of the 5 s that were promised",
    () =>
      Effect.gen(function*() {
        const { collides } = yield* trap2
        const start = yield* Clock.currentTimeMillis
        yield* Effect.exit(Effect.withRandom(collides(Effect.never), full))
        assert.strictEqual((yield* Clock.currentTimeMillis) - start, 9000)
        const [found] = findings("worst-case-beyond-sla", collides, { sla: "5 seconds" })
        assert.strictEqual(found?.severity, "error")
        assert.include(found?.because, "9 s")
        assert.include(found?.instead, "maxRetries 1: 2 x 2 s + 1 s = 5 s fits in 5 s")
        assert.include(found?.instead, "charged after the last attempt too: 0")
      })
  )

  virtual("trap 2, fixed: one retry ends after 5 s, and lint is silent", () =>
    Effect.gen(function*() {
      const { fits } = yield* trap2
      const start = yield* Clock.currentTimeMillis
      yield* Effect.exit(Effect.withRandom(fits(Effect.never), full))
      assert.strictEqual((yield* Clock.currentTimeMillis) - start, 5000)
      assert.deepStrictEqual(Policy.lint(fits, { sla: "5 seconds" }), [])
    }))

  /** Ten users at once, against a dependency that answers each within 2 s over so many connections. */
  const tenUsers = (connections: number) =>
    Effect.gen(function*() {
      const policy = yield* trap3
      const pool = yield* Effect.makeSemaphore(connections)
      const call = policy(pool.withPermits(1)(Effect.delay(Effect.succeed("charged"), "2 seconds")))
      const ends = yield* Effect.all(Array.from({ length: 10 }, () => Effect.exit(call)), { concurrency: "unbounded" })
      return ends.filter(Exit.isSuccess).length
    })

  virtual(
    "trap 3: ten calls over five connections, and five time out though the dependency is well",
    () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* tenUsers(5), 5)
        const [found] = findings("bulkhead-larger-than-pool", yield* trap3, {
          pool: { size: 5, maxWait: "30 seconds" }
        })
        assert.strictEqual(found?.severity, "error")
        assert.include(found?.because, "10 calls may run and the pool has 5 connections: 5 wait")
        assert.lengthOf(
          findings("pool-wait-not-shorter", yield* trap3, { pool: { size: 5, maxWait: "30 seconds" } }),
          1
        )
      })
  )

  virtual(
    "trap 3, fixed: a pool as large as the bulkhead serves all ten, and lint is silent",
    () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* tenUsers(10), 10)
        assert.deepStrictEqual(Policy.lint(yield* trap3, { pool: { size: 10, maxWait: "500 millis" } }), [])
      })
  )

  /** Ten instances behind a load balancer that takes out who failed three checks in a row; every tenth request needs payments, which is down. */
  const shop = (healthReadsBreaker: boolean) =>
    Effect.gen(function*() {
      const instances = yield* Effect.forEach(Array.from({ length: 10 }, (_, id) => id), (id) =>
        Effect.map(
          CircuitBreaker.make({ name: `payments.${id}`, tripPolicy: CircuitBreaker.consecutive(5) }),
          (breaker) => ({ breaker, failedChecks: 0 })
        ))
      const alive: Array<number> = []
      let served = 0
      for (let second = 0; second < 20; second++) {
        const inService = instances.filter((instance) => instance.failedChecks < 3)
        alive.push(inService.length)
        for (let request = 0; request < 200 && inService.length > 0; request++) {
          const { breaker } = inService[request % inService.length]!
          const needsPayments = Math.floor(request / inService.length) % 10 === 0
          const answer = yield* Effect.exit(needsPayments ? breaker(Effect.fail(new Down())) : Effect.succeed("page"))
          served += Exit.isSuccess(answer) ? 1 : 0
        }
        for (const instance of instances) {
          const state = yield* instance.breaker.state.get
          instance.failedChecks = healthReadsBreaker && state._tag !== "Closed" ? instance.failedChecks + 1 : 0
        }
        yield* Effect.sleep("1 second")
      }
      return { alive, servedLast: served }
    })

  virtual(
    "trap 4: health checks that read the breaker take out every instance, and pages that need no payment with them",
    () =>
      Effect.gen(function*() {
        const { alive, servedLast } = yield* shop(true)
        assert.strictEqual(alive[0], 10)
        assert.strictEqual(alive[alive.length - 1], 0)
        assert.isBelow(servedLast, 20 * 200 * 0.5)
        const policy = yield* standard("payments", { bulkhead: { maxConcurrent: 20 } })
        const [found] = findings("health-depends-on-dependency", policy, {
          health: { dependsOn: ["payments"], instances: 10 }
        })
        assert.strictEqual(found?.severity, "error")
        assert.include(found?.because, "all 10 instances")
      })
  )

  virtual(
    "trap 4, fixed: health checks of the process alone keep all instances, and lint is silent",
    () =>
      Effect.gen(function*() {
        const { alive, servedLast } = yield* shop(false)
        assert.deepStrictEqual(new Set(alive), new Set([10]))
        assert.strictEqual(servedLast, 20 * 200 * 0.9)
        const policy = yield* standard("payments", { bulkhead: { maxConcurrent: 20 } })
        assert.deepStrictEqual(Policy.lint(policy, { health: { dependsOn: [], instances: 10 } }), [])
      })
  )
})

describe("Lint: golden files", () => {
  const configurations = [
    ["payment", payment, 11_000, { sla: "15 seconds" }],
    ["inventory", inventory, 2000, { sla: "5 seconds" }],
    ["notification", notification, 15_000, {}]
  ] as const
  for (const [name, policy, worst, context] of configurations) {
    it.effect(`the order service's ${name} takes ${worst / 1000} s at worst, and reads as its file`, () =>
      Effect.gen(function*() {
        const built = yield* policy
        assert.deepStrictEqual(Explain.explain(built).worstCase.latencyMillis, {
          kind: "exact",
          value: worst,
          because: []
        })
        assertGolden(name, report(built, context))
      }))
  }

  it.effect("trap 1 reads as its file", () =>
    Effect.gen(function*() {
      assertGolden(
        "trap-1-retries-open-the-breaker",
        chapters([
          ["The trap: the breaker counts attempts", report(yield* trap1("attempt"), {})],
          ["The fix: the breaker counts calls", report(yield* trap1("call"), {})]
        ])
      )
    }))

  it.effect("trap 2 reads as its file", () =>
    Effect.gen(function*() {
      const { collides, fits } = yield* trap2
      assertGolden(
        "trap-2-retries-beyond-the-sla",
        chapters([
          ["The trap: three attempts of 2 s, and 5 s promised", report(collides, { sla: "5 seconds" })],
          ["The fix: one retry within a total of 5 s", report(fits, { sla: "5 seconds" })]
        ])
      )
    }))

  it.effect("trap 3 reads as its file", () =>
    Effect.gen(function*() {
      assertGolden(
        "trap-3-bulkhead-over-a-small-pool",
        chapters([
          ["The trap: a pool of 5 that waits 30 s", report(yield* trap3, { pool: { size: 5, maxWait: "30 seconds" } })],
          [
            "The fix: a pool of 10 that waits half a second",
            report(yield* trap3, { pool: { size: 10, maxWait: "500 millis" } })
          ]
        ])
      )
    }))

  it.effect("trap 4 reads as its file", () =>
    Effect.gen(function*() {
      const policy = yield* standard("payments", { bulkhead: { maxConcurrent: 20 } })
      assertGolden(
        "trap-4-health-check-reads-the-breaker",
        chapters([
          [
            "The trap: health depends on payments",
            report(policy, { health: { dependsOn: ["payments"], instances: 10 } })
          ],
          ["The fix: health depends on nothing", report(policy, { health: { dependsOn: [], instances: 10 } })]
        ])
      )
    }))
})

// -- every rule, seen and not seen ---------------------------------------------

interface Case {
  readonly bad: Effect.Effect<readonly [policy: Policy.Policy.Any, context?: Lint.Context | undefined]>
  readonly good: Effect.Effect<readonly [policy: Policy.Policy.Any, context?: Lint.Context | undefined]>
  /** What the finding must say. */
  readonly says: string
}

const of = (policy: Policy.Policy.Any, context?: Lint.Context) => Effect.succeed([policy, context] as const)

const withStandard = (options: Policy.StandardOptions, context?: Lint.Context) =>
  Effect.map(standard("payments", options), (policy) => [policy, context] as const)

const breaker = (options: Omit<CircuitBreaker.Options, "name">) => withStandard({ circuitBreaker: options })

const total = Timeout.make("10 seconds", { scope: "total", name: "total" })
const attempt = Timeout.make("1 second", { name: "attempt" })
const chaos = Chaos.make()

const cases: Record<string, Case> = {
  "breaker-counts-retries": {
    bad: withStandard({ circuitBreaker: { scope: "attempt", tripPolicy: CircuitBreaker.consecutive(6) } }),
    good: withStandard({ circuitBreaker: { scope: "attempt", tripPolicy: CircuitBreaker.consecutive(7) } }),
    says: "= 6 failures"
  },
  "worst-case-beyond-sla": {
    bad: withStandard({}, { sla: "10 seconds", overhead: "500 millis" }),
    good: withStandard({}, { sla: "10 seconds", overhead: "400 millis" }),
    says: "9.6 s"
  },
  "worst-case-beyond-total": {
    bad: withStandard({ attemptTimeout: "3200 millis" }),
    good: withStandard({}),
    says: "3 attempts x 3.2 s + 0.2 s + 0.4 s = 10.2 s"
  },
  "no-attempt-timeout": {
    bad: withStandard({ attemptTimeout: false }),
    good: withStandard({ retry: false, attemptTimeout: false }),
    says: "its 3 attempts are one"
  },
  "retry-without-total": {
    bad: withStandard({ totalTimeout: false }),
    good: withStandard({ totalTimeout: false, retry: { maxRetries: 0 } }),
    says: "= 9.6 s"
  },
  "retry-without-jitter": {
    bad: withStandard({ retry: { schedule: Backoff.constant("1 second", { jitter: "none" }), maxRetries: 1 } }),
    good: withStandard({ retry: { schedule: Backoff.constant("1 second", { jitter: "equal" }), maxRetries: 1 } }),
    says: "exactly 1 s"
  },
  "nested-retries": {
    bad: withStandard({}, { retriesAround: [3, 0, 1] }),
    good: withStandard({}, { retriesAround: [0] }),
    says: "4 x 2 x 3 = 24 calls"
  },
  "retry-without-budget": {
    bad: withStandard({ retry: { budget: false } }),
    good: withStandard({}),
    says: "3 times"
  },
  "chaos-not-innermost": {
    bad: of(Policy.compose(total, chaos, attempt)),
    good: of(Policy.compose(total, attempt, chaos)),
    says: "attempt stands inside it"
  },
  "same-breaker-twice": {
    bad: Effect.map(CircuitBreaker.make({ name: "payments" }), (one) => [Policy.compose(one, attempt, one)] as const),
    good: Effect.map(
      Effect.all([CircuitBreaker.make({ name: "payments" }), CircuitBreaker.make({ name: "card check" })]),
      ([one, other]) => [Policy.compose(one, attempt, other)] as const
    ),
    says: "twice"
  },
  "same-bulkhead-twice": {
    bad: Effect.map(
      Bulkhead.make({ name: "payments", maxConcurrent: 2 }),
      (one) => [Policy.compose(one, one)] as const
    ),
    good: Effect.map(Bulkhead.make({ name: "payments", maxConcurrent: 2 }), (one) => [Policy.compose(one)] as const),
    says: "two of its places"
  },
  "inner-timeout-equal": {
    bad: withStandard({ totalTimeout: "3 seconds", retry: false }),
    good: withStandard({ totalTimeout: "3001 millis", retry: false }),
    says: "end in the same moment"
  },
  "inner-timeout-not-shorter": {
    bad: withStandard({ totalTimeout: "2999 millis", retry: false }),
    good: withStandard({ totalTimeout: "3 seconds", retry: false }),
    says: "within the 2.999 s"
  },
  "wait-not-shorter-than-timeout": {
    bad: Effect.map(
      RateLimiter.make({ name: "limiter", rate: 1, maxWait: "10 seconds" }),
      (limiter) => [Policy.compose(total, limiter, attempt)] as const
    ),
    good: Effect.map(
      RateLimiter.make({ name: "limiter", rate: 1, maxWait: "5 seconds" }),
      (limiter) => [Policy.compose(total, limiter, attempt)] as const
    ),
    says: "up to 10 s within the 10 s of total"
  },
  "breaker-threshold-low": {
    bad: breaker({
      tripPolicy: CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 10 }, minimumCalls: 5 })
    }),
    good: breaker({
      tripPolicy: CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 10 }, minimumCalls: 7 })
    }),
    says: "3 failed ends"
  },
  "breaker-threshold-high": {
    bad: breaker({ tripPolicy: CircuitBreaker.consecutive(51) }),
    good: breaker({ tripPolicy: CircuitBreaker.consecutive(50) }),
    says: "51 failures"
  },
  "open-duration-short": {
    bad: breaker({ openDuration: "4999 millis" }),
    good: breaker({ openDuration: "5 seconds" }),
    says: "4.999 s"
  },
  "open-duration-long": {
    bad: breaker({ openDuration: "301 seconds" }),
    good: breaker({ openDuration: "5 minutes" }),
    says: "another 271 s"
  },
  "several-probes": {
    bad: breaker({ probes: 3 }),
    good: breaker({ probes: 1, successThreshold: 3 }),
    says: "3 probes"
  },
  "bulkhead-off": {
    bad: withStandard({}),
    good: withStandard({ bulkhead: { maxConcurrent: 10 } }),
    says: "nothing limits"
  },
  "worst-case-unknown": {
    bad: withStandard({ retry: { schedule: Schedule.spaced("1 second") } }),
    good: of(Policy.compose(Policy.make("traced", (effect) => Effect.withSpan(effect, "call")), total)),
    says: "schedule of your own"
  },
  "bulkhead-larger-than-pool": {
    bad: withStandard({ bulkhead: { maxConcurrent: 11 } }, { pool: { size: 10 } }),
    good: withStandard({ bulkhead: { maxConcurrent: 10 } }, { pool: { size: 10 } }),
    says: "11 calls may run and the pool has 10"
  },
  "pool-wait-not-shorter": {
    bad: withStandard(
      { bulkhead: { maxConcurrent: 10, maxQueue: 5, maxWait: "500 millis" } },
      { pool: { size: 10, maxWait: "500 millis" } }
    ),
    good: withStandard(
      { bulkhead: { maxConcurrent: 10, maxQueue: 5, maxWait: "500 millis" } },
      { pool: { size: 10, maxWait: "499 millis" } }
    ),
    says: "the bulkhead only 0.5 s"
  },
  "health-depends-on-dependency": {
    bad: withStandard({}, { health: { dependsOn: ["inventory", "payments"] } }),
    good: withStandard({}, { health: { dependsOn: ["inventory"] } }),
    says: "every instance"
  },
  "caller-gives-up-first": {
    bad: withStandard({}, { callerTimeout: "9600 millis" }),
    good: withStandard({}, { callerTimeout: "9601 millis" }),
    says: "may take 9.6 s"
  },
  "downstream-timeout-not-shorter": {
    bad: withStandard({}, { downstreamTimeout: "3 seconds" }),
    good: withStandard({}, { downstreamTimeout: "2900 millis" }),
    says: "works on until 3 s"
  },
  "bulkhead-takes-the-process": {
    bad: withStandard({ bulkhead: { maxConcurrent: 150 } }, { processCapacity: 200 }),
    good: withStandard({ bulkhead: { maxConcurrent: 100 } }, { processCapacity: 200 }),
    says: "150 of 200 calls that the process can serve at once, 75 %"
  },
  "timeout-cuts-good-calls": {
    bad: withStandard({}, { measured: { p99: "3 seconds" } }),
    good: withStandard({}, { measured: { p99: "2 seconds" } }),
    says: "6 s"
  }
}

describe("Lint: rules", () => {
  it("every rule has a case here, a code of its own in kebab case, and a reason", () => {
    assert.sameMembers(Lint.rules.map((rule) => rule.code), Object.keys(cases))
    for (const { code, title, why } of Lint.rules) {
      assert.match(code, /^[a-z]+(-[a-z]+)+$/)
      assert.isAbove(title.length, 10)
      assert.isAbove(why.length, 30)
    }
  })

  for (const [code, { bad, good, says }] of Object.entries(cases)) {
    it.effect(`${code} is found once where it is, with its numbers, and not where it is not`, () =>
      Effect.gen(function*() {
        const found = findings(code, ...(yield* bad))
        assert.lengthOf(found, 1)
        const { at, because, instead, severity } = found[0]!
        assert.strictEqual(severity, Lint.rules.find((rule) => rule.code === code)?.severity)
        assert.isAbove(at.length, 0)
        assert.include(`${because} ${instead}`, says)
        assert.deepStrictEqual(findings(code, ...(yield* good)), [])
      }))
  }

  it.effect("the standard policy with its defaults has nothing but the hint that a bulkhead needs a number", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(codes(Policy.lint(yield* standard("payments"))), ["bulkhead-off"])
      const attemptScope = yield* standard("orders", { circuitBreaker: { scope: "attempt" } })
      assert.deepStrictEqual(codes(Policy.lint(attemptScope)), ["bulkhead-off"])
    }))

  it.effect("findings come worst first, and lint is pure", () =>
    Effect.gen(function*() {
      const policy = yield* standard("payments", { totalTimeout: false, circuitBreaker: { probes: 2 } })
      const found = Policy.lint(policy, { sla: "1 second" })
      assert.deepStrictEqual(found.map((finding) => finding.severity), ["error", "warning", "warning", "info"])
      assert.deepStrictEqual(Policy.lint(policy, { sla: "1 second" }), found)
    }))

  it("two retries in one policy multiply, and the finding says by how much", () => {
    const nested = Policy.compose(total, Retry.make({ maxRetries: 3 }), Retry.make({ maxRetries: 1 }), attempt)
    assert.include(findings("nested-retries", nested)[0]?.because, "4 x 2 = 8 calls")
  })

  it("when not even one attempt fits, the finding says so instead of a number", () => {
    const policy = Policy.compose(Timeout.make("1 second", { scope: "total" }), Retry.make(), Timeout.make("2 seconds"))
    assert.include(findings("worst-case-beyond-total", policy)[0]?.instead, "not even one attempt")
  })

  it("a queue without a longest wait and without a timeout around it is found", () => {
    const queue = Effect.runSync(Bulkhead.make({ name: "queue", maxConcurrent: 1, maxQueue: 10 }))
    assert.include(findings("wait-not-shorter-than-timeout", Policy.compose(queue, attempt))[0]?.because, "for ever")
    assert.deepStrictEqual(findings("wait-not-shorter-than-timeout", Policy.compose(total, queue, attempt)), [])
  })

  it("an empty pool that shows up as a timeout of the dependency is found", () => {
    const [found] = findings("pool-wait-not-shorter", attempt, { pool: { size: 5, maxWait: "2 seconds" } })
    assert.include(found?.because, "counts as a failure of the dependency")
  })

  it("a wrong context is refused with every wrong field at once", () => {
    const wrong: any = {
      sla: "never",
      pool: { size: 0, wait: 1 },
      retriesAround: [-1],
      health: { dependsOn: "payments" },
      measured: { p95: 1 }
    }
    try {
      Policy.lint(Policy.identity, wrong)
      assert.fail("it was accepted")
    } catch (error) {
      assert.instanceOf(error, InvalidOptions)
      const fields = (error as InvalidOptions).findings.map((finding) => finding.field)
      assert.includeMembers(fields, ["sla", "pool.wait", "retriesAround[0]", "health.dependsOn", "measured.p95"])
    }
    assert.throws(() => Policy.lint(Policy.identity, { slo: "1 second" } as Lint.Context), InvalidOptions)
  })

  it("the policy that does nothing has nothing to object to", () => {
    assert.strictEqual(
      Lint.format(Policy.lint(Policy.identity, { sla: "1 second", callerTimeout: 5 })),
      "Nothing to object to.\n"
    )
  })
})
