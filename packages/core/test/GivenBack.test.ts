import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Fault from "@holdfast/core/Fault"
import * as Keyed from "@holdfast/core/Keyed"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type ClockKind, givesBack, type Subject } from "./support/givenBack.js"
import { policyExports } from "./support/policyExports.js"
import { Busy } from "./support/virtual.js"

/** The pieces of a policy that hold state. */
interface Pieces {
  readonly bulkheads?: ReadonlyArray<Bulkhead.Bulkhead>
  readonly breakers?: ReadonlyArray<CircuitBreaker.CircuitBreaker>
  readonly limiters?: ReadonlyArray<RateLimiter.RateLimiter>
  readonly budgets?: ReadonlyArray<RetryBudget.RetryBudget>
  /** Tokens a start of the protected effect uses up, where the limiter admits at once and the pieces around it reject nothing after it. */
  readonly exactTokens?: boolean
}

const places = 2
const tokens = 5
const openMillis = 5

const pass = Effect.repeatN(Effect.yieldNow(), 12)

/** How many of some calls through a policy are inside at once. */
const insideAtOnce = (policy: Policy.Policy<unknown>, callers: number) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let inside = 0
    const call = Effect.zipRight(Effect.sync(() => inside++), Deferred.await(gate))
    const fibers = yield* Effect.forEach(Array.from({ length: callers }), () => Effect.forkDaemon(policy(call)))
    yield* pass
    yield* Deferred.succeed(gate, undefined)
    yield* Effect.forEach(fibers, Fiber.await)
    return inside
  })

const sum = (counts: ReadonlyArray<number>) => counts.reduce((all, one) => all + one, 0)

/** What is out and what is whole, of pieces that are known. */
const subject = (
  call: Subject["call"],
  { breakers = [], budgets = [], bulkheads = [], exactTokens = false, limiters = [] }: Pieces = {}
): Effect.Effect<Subject> =>
  Effect.gen(function*() {
    const unused = yield* Effect.forEach(budgets, (budget) => budget.balance)
    let turn = 0
    return {
      call,
      out: Effect.gen(function*() {
        const inBulkheads = yield* Effect.forEach(bulkheads, (one) => one.snapshot)
        const inBreakers = yield* Effect.forEach(breakers, (one) => one.snapshot)
        const queued = yield* Effect.forEach(limiters, (one) => one.queued)
        return {
          permits: sum(inBulkheads.map(({ active }) => active)),
          "places in a queue": sum(inBulkheads.map((one) => one.queued)),
          probes: sum(inBreakers.map(({ probesInFlight }) => probesInFlight)),
          "turns of a limiter": sum(queued)
        }
      }),
      // Each in its turn: numbers change while calls run, and come back.
      reset: Effect.suspend(() => {
        turn++
        const one = <A>(list: ReadonlyArray<A>, act: (piece: A) => Effect.Effect<unknown>) =>
          Effect.forEach(list, act, { discard: true })
        return Effect.zipRight(
          one(bulkheads, (bulkhead) => bulkhead.resize({ maxConcurrent: turn % 2 === 0 ? places : places + 1 })),
          one(breakers, (breaker) => turn % 3 === 0 ? breaker.isolate : breaker.reset)
        )
      }),
      whole: (started, clock) =>
        Effect.gen(function*() {
          const complaints: Array<string> = []
          const expect = (what: string, found: number, right: number) => {
            if (Math.abs(found - right) > 0.01) complaints.push(`${what}: ${found}, right is ${right}`)
          }
          for (const bulkhead of bulkheads) {
            yield* bulkhead.resize({ maxConcurrent: places })
            const { maxQueue } = yield* bulkhead.snapshot
            // Who waits is inside later, once the first have left.
            expect("calls that get in", yield* insideAtOnce(bulkhead, places + maxQueue + 2), places + maxQueue)
          }
          for (const limiter of exactTokens ? limiters : []) {
            expect("tokens left", (yield* limiter.level()).remaining, tokens - started)
          }
          for (const breaker of breakers) {
            yield* breaker.reset
            yield* Effect.exit(Effect.repeatN(Effect.exit(breaker(Effect.fail(new Busy({})))), 2))
            // Until the open period is over, by the clock of the breaker.
            yield* Effect.sleep(2 * openMillis)
            expect("probes that get in", yield* insideAtOnce(breaker, 3), 1)
          }
          if (clock === "virtual") {
            // What calls have deposited, and retries have taken, is forgotten.
            yield* Effect.sleep("2 seconds")
            for (const [index, budget] of budgets.entries()) {
              expect("retries granted", yield* budget.balance, unused[index]!)
            }
          }
          return complaints
        })
    }
  })

const total = Timeout.make("1 hour", { scope: "total" })
const attempt = Timeout.make("30 millis")
const delays = Backoff.constant("10 millis", { jitter: "none" })

const makeBulkhead = Bulkhead.make({ name: "places", maxConcurrent: places, maxQueue: 2, maxWait: "40 millis" })
const makeBreaker = CircuitBreaker.make({
  name: "circuit",
  tripPolicy: CircuitBreaker.consecutive(2),
  openDuration: openMillis,
  openJitter: 0
})
const makeLimiter = RateLimiter.make({
  name: "tokens",
  rate: 20,
  per: "1 second",
  capacity: tokens,
  maxWait: "1 minute",
  maxQueue: 3
})
const makeBudget = RetryBudget.make({ ttl: "1 second" })

const isDefect = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Cause.isDie(exit.cause)

type Row = (clock: ClockKind) => Effect.Effect<Subject, never, Scope.Scope>

/** Every export of core that is a policy or makes one, and what may stand around it. */
const rows: Readonly<Record<string, Row>> = {
  "Timeout.make": () => subject(Policy.compose(total, attempt)),
  "Retry.make": () =>
    Effect.flatMap(
      makeBudget,
      (budget) => subject(Retry.make({ maxRetries: 2, schedule: delays, budget }), { budgets: [budget] })
    ),
  "Retry.interactive": () => subject(Retry.interactive),
  "Retry.background": () => subject(Retry.background),
  "CircuitBreaker.make": () => Effect.flatMap(makeBreaker, (breaker) => subject(breaker, { breakers: [breaker] })),
  "Bulkhead.make": () => Effect.flatMap(makeBulkhead, (bulkhead) => subject(bulkhead, { bulkheads: [bulkhead] })),
  "RateLimiter.make": () =>
    Effect.flatMap(
      // So slow that nothing comes back by time: what was used is what was started.
      RateLimiter.make({ name: "tokens", rate: 1, per: "30 days", capacity: tokens }),
      (limiter) => subject(limiter, { limiters: [limiter], exactTokens: true })
    ),
  "RateLimiter.make, with a wait": () =>
    Effect.flatMap(makeLimiter, (limiter) => subject(limiter, { limiters: [limiter] })),
  "RateLimiter.make, around a bulkhead": () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "tokens", rate: 1, per: "30 days", capacity: tokens })
      const bulkhead = yield* makeBulkhead
      // A call that the bulkhead rejects, or that leaves while it waits there, has its tokens back.
      return yield* subject(Policy.compose(limiter, bulkhead), {
        limiters: [limiter],
        bulkheads: [bulkhead],
        exactTokens: true
      })
    }),
  "Chaos.make": () =>
    Effect.gen(function*() {
      yield* Chaos.inject([
        Fault.latency("20 millis", { probability: 0.3 }),
        Fault.failure({ probability: 0.2 }),
        Fault.defect({ probability: 0.1 })
      ])
      const bulkhead = yield* makeBulkhead
      const place = Chaos.make({ dependency: "swept" })
      return yield* subject(Policy.compose(total, bulkhead, attempt, place), { bulkheads: [bulkhead] })
    }).pipe(Effect.provide(Chaos.layer({ seed: 1 })), Effect.orDie),
  "Policy.compose": () =>
    Effect.gen(function*() {
      const [bulkhead, breaker, limiter] = [yield* makeBulkhead, yield* makeBreaker, yield* makeLimiter]
      const budget = yield* makeBudget
      const retry = Retry.make({ maxRetries: 2, schedule: delays, budget })
      return yield* subject(Policy.compose(total, bulkhead, breaker, retry, limiter, attempt), {
        bulkheads: [bulkhead],
        breakers: [breaker],
        limiters: [limiter],
        budgets: [budget]
      })
    }),
  "Policy.make": () =>
    Effect.flatMap(makeBulkhead, (bulkhead) => {
      const traced = Policy.make("traced", (effect) => Effect.zipRight(Effect.yieldNow(), effect))
      return subject(Policy.compose(total, traced, bulkhead, traced, attempt), { bulkheads: [bulkhead] })
    }),
  "Policy.identity": () => subject(Policy.identity),
  "Policy.standard": () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("standard", {
        bulkhead: { maxConcurrent: places, maxQueue: 2, maxWait: "40 millis" },
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2), openDuration: openMillis, openJitter: 0 },
        rateLimiter: { rate: 20, capacity: tokens, maxWait: "1 second" },
        retry: { schedule: delays, budget: { ttl: "1 second" } },
        attemptTimeout: "30 millis"
      })
      return yield* subject(policy, {
        bulkheads: [policy.bulkhead!],
        breakers: [policy.circuitBreaker!],
        limiters: [policy.rateLimiter!],
        budgets: [policy.retryBudget!]
      })
    }),
  "Policy.keyed": () => keyedRow(Policy.keyed),
  "Keyed.make": () => keyedRow(Keyed.make)
}

/** Policies by key, of which fewer are kept than there are keys, over one bulkhead and one breaker that can be counted. */
const keyedRow = (make: typeof Keyed.make) =>
  Effect.gen(function*() {
    const [bulkhead, breaker] = [yield* makeBulkhead, yield* makeBreaker]
    const policy = yield* make({
      name: "keyed",
      capacity: 2,
      idle: "20 millis",
      make: () => Effect.as(Effect.yieldNow(), Policy.compose(total, bulkhead, breaker, attempt))
    })
    let calls = 0
    return yield* subject((effect) => policy.with({ key: `key ${calls++ % 3}` })(effect), {
      bulkheads: [bulkhead],
      breakers: [breaker]
    })
  })

/** A policy of two permits that gives them back as it is told to. */
const leaky = (giveBack: (permits: { out: number }, exit: Exit.Exit<unknown, unknown>) => void): Row => () =>
  Effect.sync((): Subject => {
    const permits = { out: 0 }
    const policy = Policy.make("leaky", (effect) =>
      Effect.suspend(() => {
        if (permits.out >= places) return Effect.die("full")
        permits.out++
        return Effect.onExit(effect, (exit) => Effect.sync(() => giveBack(permits, exit)))
      }))
    return {
      call: policy,
      out: Effect.sync(() => ({ permits: permits.out })),
      reset: Effect.void,
      whole: () =>
        Effect.map(insideAtOnce(policy, places + 2), (inside) => inside === places ? [] : [`${inside} calls get in`])
    }
  })

/** What the property says of a policy; nothing if it holds. */
const saidOf = (row: Row): Promise<string> => givesBack(row, "virtual", 60).then(() => "", (error) => String(error))

describe("what a policy took for a call is given back exactly once", () => {
  it(
    "is said of a policy that does so, and of none that keeps a permit, or gives one back twice, at one kind of end",
    async () => {
      const kinds = { answer: Exit.isSuccess, departure: Exit.isInterrupted, defect: isDefect }
      assert.strictEqual(await saidOf(leaky((permits) => permits.out--)), "")
      for (const [kind, isIt] of Object.entries(kinds)) {
        const kept = await saidOf(leaky((permits, exit) => permits.out -= isIt(exit) ? 0 : 1))
        assert.include(kept, "Property failed", kind)
        const twice = await saidOf(leaky((permits, exit) => permits.out -= isIt(exit) ? 2 : 1))
        assert.include(twice, "Property failed", kind)
      }
    },
    120_000
  )

  for (const [name, row] of Object.entries(rows)) {
    for (const [clock, runs] of [["virtual", 60], ["live", 25]] as const) {
      it(`${name}: whatever calls do, and in whatever order, by the ${clock} clock`, async () => {
        const taken = await givesBack(row, clock, runs)
        // The scripts mean something: each of these happened to a call in progress.
        for (const what of ["admit", "answer", "fail", "die", "leave", "wait", "reset"]) {
          assert.isAbove(taken.get(what) ?? 0, 5, what)
        }
      }, 120_000)
    }
  }

  it("has a row for every export that is a policy or makes one", () => {
    const exported = policyExports()
    assert.isAtLeast(exported.length, 10)
    assert.includeMembers([...exported], ["Timeout.make", "Bulkhead.make", "Policy.standard", "Policy.identity"])
    assert.deepStrictEqual(exported.filter((name) => rows[name] === undefined), [])
  }, 120_000)
})
