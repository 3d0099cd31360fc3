import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Dependency from "@holdfast/core/Dependency"
import * as Fallback from "@holdfast/core/Fallback"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { readdirSync, readFileSync } from "node:fs"
import { ring } from "./support/ring.js"
import { Busy } from "./support/virtual.js"

type AnyFiber = Parameters<Extract<OperationSweep.Action<World>, (...all: Array<never>) => void>>[1]

/** What a call went through, and what must be back when it has ended. */
interface World {
  readonly alarms: Alarm.Alarms
  readonly policy: Policy.Policy<unknown>
  /** The policy by another door: as a dependency, under a fallback, with facts. */
  readonly call: (effect: Effect.Effect<string, unknown>) => Effect.Effect<unknown, unknown>
  readonly bulkheads: ReadonlyArray<Bulkhead.Bulkhead>
  readonly breakers: ReadonlyArray<CircuitBreaker.CircuitBreaker>
  readonly limiters: ReadonlyArray<RateLimiter.RateLimiter>
  /** Calls that are inside, and how often the call was started. */
  inside: number
  started: number
  /** Somebody outside interrupted the caller. */
  interrupted: boolean
  readonly complaints: Array<string>
  /** Alarms rung, over all runs of a sweep. */
  rung: { count: number }
}

const world = (parts: Partial<World> & Pick<World, "policy">) =>
  Effect.clockWith((clock) =>
    Effect.sync((): World => ({
      alarms: Alarm.of(clock),
      call: parts.policy,
      bulkheads: [],
      breakers: [],
      limiters: [],
      inside: 0,
      started: 0,
      interrupted: false,
      complaints: [],
      rung: { count: 0 },
      ...parts
    }))
  )

/** The protected call: the first attempt fails, and every attempt takes its time and holds something. */
const held = (self: World): Effect.Effect<string, unknown> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      self.inside++
      return ++self.started
    }),
    (attempt) =>
      Effect.zipRight(
        Effect.sleep("5 millis"),
        attempt === 1 ? Effect.fail(new Busy({})) : Effect.as(Effect.yieldNow(), "answer")
      ),
    () => Effect.sync(() => self.inside--)
  )

const retry = Retry.make({ maxRetries: 2, schedule: Backoff.constant("10 millis", { jitter: "none" }) })
const total = Timeout.make("1 hour", { scope: "total" })
const attempt = Timeout.make("30 minutes")

/** A breaker whose open period is over: the swept call is its probe. */
const dueBreaker = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make({
    name: "due",
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "1 second",
    openJitter: 0,
    probeTimeout: "2 hours"
  })
  yield* Effect.exit(breaker(Effect.fail(new Busy({}))))
  yield* Effect.sleep("2 seconds")
  return breaker
})

/** A bulkhead of one whose place somebody else has for 3 ms more. */
const takenBulkhead = Effect.gen(function*() {
  const bulkhead = yield* Bulkhead.make({ name: "taken", maxConcurrent: 1, maxQueue: 2, maxWait: "20 minutes" })
  yield* Effect.forkDaemon(bulkhead(Effect.sleep("3 millis")))
  yield* Effect.yieldNow()
  return bulkhead
})

/** A limiter whose next token is there in 4 ms. */
const spentLimiter = Effect.gen(function*() {
  const limiter = yield* RateLimiter.make({ name: "spent", rate: 250, capacity: 1, maxWait: "10 minutes" })
  yield* Effect.orDie(limiter(Effect.void))
  return limiter
})

class Payments extends Dependency.Service<Payments>()("payments", {
  bulkhead: { maxConcurrent: 1, maxQueue: 1 },
  retry: { schedule: Backoff.constant("10 millis", { jitter: "none" }) }
}) {}

/** Every public combinator of core: what it is called, and a world in which the swept call goes through it. */
const combinators: Readonly<Record<string, () => Effect.Effect<World>>> = {
  "Timeout.make": () => world({ policy: Policy.compose(total, attempt) }),
  "Retry.make": () =>
    Effect.flatMap(RetryBudget.make(), (budget) =>
      world({
        policy: Policy.compose(Retry.make({ schedule: Backoff.constant("10 millis", { jitter: "none" }), budget }))
      })),
  "CircuitBreaker.make": () =>
    Effect.flatMap(
      dueBreaker,
      (breaker) => world({ policy: Policy.compose(total, breaker, attempt), breakers: [breaker] })
    ),
  "Bulkhead.make": () =>
    Effect.flatMap(takenBulkhead, (bulkhead) => world({ policy: bulkhead, bulkheads: [bulkhead] })),
  "RateLimiter.make": () => Effect.flatMap(spentLimiter, (limiter) => world({ policy: limiter, limiters: [limiter] })),
  "Policy.compose": () =>
    Effect.gen(function*() {
      const [bulkhead, breaker, limiter] = [yield* takenBulkhead, yield* dueBreaker, yield* spentLimiter]
      return yield* world({
        policy: Policy.compose(total, bulkhead, retry, breaker, limiter, attempt),
        bulkheads: [bulkhead],
        breakers: [breaker],
        limiters: [limiter]
      })
    }),
  "Policy.make": () =>
    Effect.flatMap(takenBulkhead, (bulkhead) => {
      const traced = Policy.make("traced", (effect) => Effect.zipRight(Effect.yieldNow(), effect))
      return world({ policy: Policy.compose(total, traced, bulkhead, traced, attempt), bulkheads: [bulkhead] })
    }),
  "Policy.identity": () => world({ policy: Policy.compose(Policy.identity, attempt, Policy.identity) }),
  "Policy.standard": () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("swept", {
        bulkhead: { maxConcurrent: 1, maxQueue: 1 },
        rateLimiter: { rate: 250, capacity: 1, maxWait: "1 second" },
        retry: { schedule: Backoff.constant("10 millis", { jitter: "none" }) }
      })
      yield* Effect.forkDaemon(policy(Effect.sleep("3 millis")))
      yield* Effect.yieldNow()
      return yield* world({
        policy,
        bulkheads: [policy.bulkhead!],
        breakers: [policy.circuitBreaker!],
        limiters: [policy.rateLimiter!]
      })
    }),
  "Policy.keyed": () =>
    Effect.gen(function*() {
      const bulkhead = yield* takenBulkhead
      const policy = yield* Policy.keyed({
        name: "keyed",
        capacity: 2,
        make: () => Effect.as(Effect.yieldNow(), Policy.compose(total, retry, bulkhead))
      })
      return yield* world({ policy, call: policy.with({ key: "a" }), bulkheads: [bulkhead] })
    }),
  "Policy.keyed within limits, around a retry": () =>
    Effect.gen(function*() {
      const [bulkhead, breaker] = [yield* takenBulkhead, yield* dueBreaker]
      const keyed = yield* Policy.keyed({
        name: "keyed",
        capacity: 2,
        make: () => Effect.succeed(Policy.compose(bulkhead, breaker))
      })
      const policy = Policy.compose(total, keyed, retry, attempt)
      return yield* world({
        policy,
        call: policy.with({ key: "a" }),
        bulkheads: [bulkhead],
        breakers: [breaker]
      })
    }),
  "policy.run": () => {
    const policy = Policy.compose(total, retry, attempt)
    return world({
      policy,
      call: (effect) => policy.run((call) => Effect.zipRight(Effect.succeed(call.attempt), effect), { operation: "o" })
    })
  },
  "Deadline.within": () =>
    Effect.flatMap(takenBulkhead, (bulkhead) => {
      const policy = Policy.compose(total, bulkhead, retry, attempt)
      return world({
        policy,
        call: (effect) => Deadline.within(policy(effect), "20 minutes"),
        bulkheads: [bulkhead]
      })
    }),
  "Deadline.detached": () => {
    const policy = Policy.compose(total, retry)
    return world({ policy, call: (effect) => policy(Deadline.detached(effect)) })
  },
  "Fallback.make": () =>
    Effect.flatMap(takenBulkhead, (bulkhead) => {
      const policy = Policy.compose(total, bulkhead)
      const fallback = Fallback.make({ name: "f", tiers: [Fallback.value("default")] })
      return world({ policy, call: (effect) => fallback(policy(effect)), bulkheads: [bulkhead] })
    }),
  "Fallback.catchTags": () => {
    const policy = Policy.compose(total, attempt)
    const late = Effect.as(Effect.sleep("2 millis"), "late")
    return world({
      policy,
      call: (effect) =>
        policy(effect as Effect.Effect<string, Busy>).pipe(
          Fallback.catchTags({ Busy: () => late, TimedOut: () => late })
        )
    })
  },
  "Fallback.orElse": () => {
    const policy = Policy.compose(total, attempt)
    return world({ policy, call: (effect) => policy(effect).pipe(Fallback.orElse("default")) })
  },
  "Fallback.withSource": () => {
    const policy = Policy.compose(total, attempt)
    const fallback = Fallback.tiers(Fallback.value("default"))
    return world({ policy, call: (effect) => Fallback.withSource(fallback)(policy(effect)) })
  },
  "Dependency.call": () =>
    Effect.gen(function*() {
      // Closed at once, since two of one name cannot live together; what it made works on.
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Payments.layer, scope).pipe(Effect.orDie)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      return yield* world({
        policy: Policy.identity,
        call: (effect) => Effect.provide(Payments.call(effect), context)
      })
    }),
  "ResilienceEvent.listen": () => {
    const policy = Policy.compose(total, retry, attempt)
    return world({ policy, call: (effect) => policy(effect).pipe(ResilienceEvent.listen(() => {})) })
  }
}

/** Those that have a suite of their own, by the file in which it stands. */
const elsewhere: Readonly<Record<string, string>> = {
  "Fallback.tiers": "Fallback.sweep.test.ts",
  "Fallback.cached": "Fallback.sweep.test.ts",
  "Fallback.defer": "Fallback.sweep.test.ts",
  "Fallback.all": "Fallback.sweep.test.ts"
}

/** Rings the alarm that is due first, and counts it. */
const ringNext = (self: World): void => {
  if (ring(self)) self.rung.count++
}

const interrupt = (self: World, fiber: AnyFiber): void => {
  self.interrupted = true
  fiber.unsafeInterruptAsFork(FiberId.none)
}

/** The call, and what it left in its fiber. */
const body = (self: World): Effect.Effect<unknown, unknown> =>
  Effect.gen(function*() {
    const deadline = yield* FiberRef.get(Deadline.current)
    const exit = yield* Effect.exit(self.call(held(self)))
    yield* Effect.sync(() => {
      if (self.inside !== 0) {
        self.complaints.push("the caller went on before the call had been left")
      }
    })
    if ((yield* FiberRef.get(Deadline.current)) !== deadline) {
      self.complaints.push("the deadline of the fiber was not restored")
    }
    return yield* exit
  })

const check = (self: World, exit: Exit.Exit<unknown, unknown>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const complaints = [...self.complaints]
    if (exit._tag === "Failure" && Cause.isDie(exit.cause)) {
      complaints.push(`a defect: ${Cause.pretty(exit.cause)}`)
    }
    if (!self.interrupted && exit._tag === "Failure" && Cause.isInterrupted(exit.cause)) {
      complaints.push("interrupted, though nobody outside asked for it")
    }
    if (self.inside !== 0) {
      complaints.push("the call has not been left")
    }
    for (const bulkhead of self.bulkheads) {
      const { active, queued } = yield* bulkhead.snapshot
      if (active + queued > 0) {
        complaints.push(`${active} permits are out, ${queued} wait`)
      }
    }
    for (const breaker of self.breakers) {
      const { probesInFlight } = yield* breaker.snapshot
      if (probesInFlight > 0) {
        complaints.push("the slot of the probe is lost")
      }
    }
    for (const limiter of self.limiters) {
      if ((yield* limiter.queued) > 0) {
        complaints.push("somebody waits for tokens still")
      }
    }
    if (self.alarms.size > 0) {
      complaints.push(`${self.alarms.size} alarms are left`)
    }
    return complaints
  })

describe("every public combinator of core", () => {
  for (const [name, make] of Object.entries(combinators)) {
    for (
      const [what, actions] of [
        ["interrupted from outside", { at: interrupt }],
        ["rung by the next alarm", { at: ringNext }],
        ["rung, and interrupted then or later", { at: ringNext, and: interrupt }]
      ] as const
    ) {
      it.live(
        `${name}: nothing leaks or hangs, wherever it is ${what}`,
        () =>
          Effect.gen(function*() {
            const rung = { count: 0 }
            const report = yield* OperationSweep.run<World, unknown, unknown>({
              make: () => Effect.tap(make(), (self) => Effect.sync(() => (self.rung = rung))),
              body,
              check,
              ...actions,
              maximumPairs: 40
            })
            OperationSweep.assertClean(report)
            assert.strictEqual(rung.count > 0, actions.at === ringNext)
            assert.isAbove(report.operations, 10)
            assert.isAtLeast(report.idlePoints, 1)
          }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
        120_000
      )
    }
  }

  it("is swept here or in a suite of its own: what changes an effect is named in one of the two lists", () => {
    const source = new URL("../src/", import.meta.url)
    const named = new Set([...Object.keys(combinators), ...Object.keys(elsewhere)])
    // They read, check or speak; no effect runs through them.
    const data = new Set(["Policy", "Explain", "Lint", "LatencyBudget", "TripPolicy", "Diagnosis", "Tuning"])
    const missing: Array<string> = []
    let found = 0
    for (const file of readdirSync(source).filter((one) => one.endsWith(".ts"))) {
      const module = file.slice(0, -3)
      const text = readFileSync(new URL(file, source), "utf8")
      for (const [, name] of text.matchAll(/@category combinators\s+\*\/\s+export const (\w+)/g)) {
        if (data.has(module)) continue
        found++
        if (!named.has(`${module}.${name}`)) missing.push(`${module}.${name}`)
      }
    }
    assert.isAtLeast(found, 5)
    assert.deepStrictEqual(missing, [])
    for (const [name, file] of Object.entries(elsewhere)) {
      const suite = readFileSync(new URL(file, import.meta.url), "utf8")
      assert.include(suite, `${name.slice(name.indexOf(".") + 1)}: `)
    }
  })
})
