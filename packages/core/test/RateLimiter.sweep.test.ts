import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Timeout from "@holdfast/core/Timeout"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"

class Busy extends Failure.Retryable("Busy")<{}> {}

interface World {
  readonly limiter: RateLimiter.RateLimiter
  readonly policy: Policy.Policy<unknown>
  readonly bulkhead?: Bulkhead.Bulkhead
  readonly breaker?: CircuitBreaker.CircuitBreaker
  readonly capacity: number
  /** Calls whose first operation ran. */
  started: number
  inside: number
}

/** Defects of the sweep are logged, each time. */
const quiet = Logger.remove(Logger.defaultLogger)

/** So slow that no token flows in during a sweep that anybody could see. */
const rate = 1e-6

const call = (self: World, body: Effect.Effect<void, Busy> = Effect.void) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      self.started++
      self.inside++
    }),
    () => body,
    () => Effect.sync(() => self.inside--)
  )

/**
 * A call that started has paid. One that did not has paid nothing, but for the single step between its dispatch and its first
 * operation: there nobody can tell, and the token is gone.
 */
const tokens = (self: World, spent: number, dispatched = 1): Effect.Effect<string> =>
  Effect.map(self.limiter.level(), ({ remaining }) => {
    const paid = Math.round((self.capacity - remaining) * 1000) / 1000
    return paid >= spent + self.started && paid <= spent + self.started + dispatched
      ? ""
      : `${paid} tokens were paid for ${spent} + ${self.started} calls that started`
  })

const clean = (self: World) =>
  Effect.gen(function*() {
    const queued = yield* self.limiter.queued
    const alarms = Alarm.of(yield* Effect.clock).size
    return [
      self.inside === 0 ? "" : "the call has not been left",
      queued === 0 ? "" : `${queued} wait`,
      alarms === 0 ? "" : `${alarms} alarms are left`
    ]
  })

const said = (all: ReadonlyArray<string>) => all.filter((complaint) => complaint !== "")

const sweep = (name: string, options: {
  readonly make: () => Effect.Effect<World>
  readonly body: (self: World) => Effect.Effect<unknown, unknown>
  readonly check: (self: World) => Effect.Effect<ReadonlyArray<string>>
  readonly reaches?: number
}) => {
  for (
    const [action, at, and] of [["interrupted", "interrupt"], ["interrupted twice", "interrupt", "interrupt"], [
      "killed by a defect",
      "defect"
    ]] as const
  ) {
    it.live(
      `${name}: nothing leaks or hangs when it is ${action} at any operation and idle point`,
      () =>
        Effect.gen(function*() {
          const report = yield* OperationSweep.run<World, unknown, unknown>({
            make: options.make,
            body: options.body,
            check: options.check,
            at,
            ...(and === undefined ? {} : { and, maximumPairs: 300 })
          })
          assert.isAtLeast(report.idlePoints, options.reaches ?? 0)
          OperationSweep.assertClean(report)
        }).pipe(Effect.provide(quiet), Effect.withRandom(Random.make("sweep"))),
      60_000
    )
  }
}

describe("RateLimiter under an operation sweep", () => {
  sweep("a call that finds its tokens", {
    make: () =>
      Effect.map(RateLimiter.make({ name: "l", rate, capacity: 5 }), (limiter) => ({
        limiter,
        policy: limiter,
        capacity: 5,
        started: 0,
        inside: 0
      })),
    body: (self) => self.policy(call(self, Effect.yieldNow())),
    check: (self) => Effect.all([clean(self), tokens(self, 0)]).pipe(Effect.map(([all, one]) => said([...all, one])))
  })

  sweep("E04, a call that waits for its tokens, with another behind it", {
    make: () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 0.1, capacity: 1, maxWait: "1 minute" })
        yield* Effect.orDie(limiter(Effect.void))
        return { limiter, policy: limiter, capacity: 1, started: 0, inside: 0 }
      }),
    body: (self) =>
      Effect.zipRight(
        Effect.forkDaemon(Effect.delay(self.limiter(Effect.void), 1)),
        self.policy(call(self, Effect.yieldNow()))
      ),
    check: (self) => Effect.map(clean(self), said),
    reaches: 1
  })

  sweep("a call that holds its tokens while it waits at a bulkhead in vain", {
    make: () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate, capacity: 5 })
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1, maxWait: "5 millis" })
        yield* Effect.forkDaemon(bulkhead(Effect.sleep(10)))
        yield* Effect.yieldNow()
        return { limiter, policy: Policy.compose(limiter, bulkhead), bulkhead, capacity: 5, started: 0, inside: 0 }
      }),
    body: (self) => Effect.exit(self.policy(call(self))),
    check: (self) =>
      Effect.all([clean(self), tokens(self, 0, 0)]).pipe(Effect.map(([all, one]) => said([...all, one]))),
    reaches: 1
  })

  sweep("a call whose own total limit ends the wait", {
    make: () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 0.1, capacity: 1, maxWait: "1 minute" })
        yield* Effect.orDie(limiter(Effect.void))
        return { limiter, policy: Policy.compose(Timeout.make(50), limiter), capacity: 1, started: 0, inside: 0 }
      }),
    body: (self) => Effect.exit(self.policy(call(self))),
    check: (self) => Effect.map(clean(self), (all) => said([...all, self.started === 0 ? "" : "the call was started"])),
    reaches: 1
  })
})

/** The standard stack with every slot on, and a breaker that is half-open, so that the call is its probe. */
const standard = (scope: "call" | "attempt", probing: boolean): Effect.Effect<World> =>
  Effect.gen(function*() {
    const policy = yield* Policy.standard("sweep", {
      totalTimeout: 500,
      bulkhead: { maxConcurrent: 1, maxQueue: 1, maxWait: 400 },
      circuitBreaker: { scope, tripPolicy: CircuitBreaker.consecutive(1), openDuration: 20, openJitter: 0 },
      retry: { maxRetries: 1 },
      rateLimiter: { rate, capacity: 100 },
      attemptTimeout: 100
    })
    if (probing) {
      yield* Effect.exit(policy(Effect.die("trip")))
      yield* Effect.sleep(30)
    }
    yield* Effect.forkDaemon(policy.bulkhead!(Effect.sleep(10)))
    yield* Effect.yieldNow()
    return {
      limiter: policy.rateLimiter!,
      policy,
      bulkhead: policy.bulkhead!,
      breaker: policy.circuitBreaker!,
      capacity: 100,
      started: 0,
      inside: 0
    }
  })

const standardIsClean = (spent: number) => (self: World) =>
  Effect.gen(function*() {
    const common = yield* clean(self)
    const paid = yield* tokens(self, spent)
    const { active, queued } = yield* self.bulkhead!.snapshot
    // A probe slot that was lost would refuse every later call, for as long as the probe may take.
    yield* Effect.sleep(25)
    const next = yield* Effect.exit(self.policy(Effect.void))
    return said([
      ...common,
      paid,
      active + queued === 0 ? "" : `${active} permits are out, ${queued} wait`,
      next._tag === "Success" ? "" : `the next call is refused: ${next.cause}`
    ])
  })

describe("Policy.standard under an operation sweep", () => {
  for (const scope of ["call", "attempt"] as const) {
    sweep(`a queued call that succeeds, breaker in ${scope} scope`, {
      make: () => standard(scope, false),
      body: (self) => self.policy(call(self, Effect.sleep(5))),
      check: standardIsClean(0),
      reaches: 2
    })

    sweep(`a queued call that is the probe, breaker in ${scope} scope`, {
      make: () => standard(scope, true),
      body: (self) => self.policy(call(self, Effect.sleep(5))),
      check: standardIsClean(1),
      reaches: 2
    })
  }

  sweep("a queued call that fails, waits for its backoff and hangs", {
    make: () => standard("call", false),
    body: (self) =>
      Effect.exit(
        self.policy(call(self, Effect.suspend(() => self.started === 1 ? Effect.fail(new Busy()) : Effect.never)))
      ),
    check: standardIsClean(0),
    reaches: 2
  })
})
