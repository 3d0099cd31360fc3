/**
 * Twenty callers, each in a store of its own, meet at one policy. Whatever a call waits for, all that comes after runs in the store of its
 * caller: by the live clock, where one timer serves them all, and by a test clock.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { AsyncLocalStorage } from "node:async_hooks"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Backoff from "../src/Backoff.js"
import * as Bulkhead from "../src/Bulkhead.js"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as Deadline from "../src/Deadline.js"
import * as Failure from "../src/Failure.js"
import * as Fallback from "../src/Fallback.js"
import * as Policy from "../src/Policy.js"
import * as RateLimiter from "../src/RateLimiter.js"
import * as ResilienceEvent from "../src/ResilienceEvent.js"
import * as Retry from "../src/Retry.js"
import type * as Step from "../src/Step.js"
import * as Timeout from "../src/Timeout.js"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

class Busy extends Failure.Retryable("Busy")<{}> {}

const store = new AsyncLocalStorage<string>()

const callers = 20

/** What a caller does, with a check that may stand anywhere in it. */
type Call = (check: Effect.Effect<void>, id: string) => Effect.Effect<unknown, unknown>

interface Wait {
  readonly call: Call
  /** Something outside the calls, in no store, that ends waits. */
  readonly operator?: Effect.Effect<void>
}

const backoff = Backoff.constant(40, { jitter: "none" })

/** Fails once per call. */
const failsOnce = (check: Effect.Effect<void>): Effect.Effect<void, Busy> => {
  let attempts = 0
  return Effect.suspend(() => ++attempts === 1 ? Effect.fail(new Busy()) : check)
}

const hangs = (check: Effect.Effect<void>) => Effect.onExit(Effect.never, () => check)

const plain = (
  policy: Step.Policy<any, any>,
  body: (check: Effect.Effect<void>) => Effect.Effect<unknown, unknown>
): Wait => ({
  call: (check, requestId) => (policy.with({ requestId, key: requestId }) as Step.Policy<unknown>)(body(check))
})

/** Work that keeps its store by itself under every clock; a sleep by a test clock does not. */
const work = (millis: number): Effect.Effect<void> =>
  Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/** Holds what the policy gave for a while. */
const holds = (millis: number) => (check: Effect.Effect<void>) => Effect.zipRight(check, work(millis))

let built = 0

const waits: Readonly<Record<string, Effect.Effect<Wait>>> = {
  "a backoff": Effect.sync(() => plain(Retry.make({ maxRetries: 1, schedule: backoff }), failsOnce)),
  "a wait of the user's own schedule": Effect.sync(() =>
    plain(Retry.make({ maxRetries: 1, schedule: Schedule.spaced(40) }), failsOnce)
  ),
  "an attempt that times out": Effect.sync(() => plain(Timeout.make(40), hangs)),
  "an attempt that times out in a fiber of its own": Effect.sync(() => {
    const { call } = plain(Timeout.make(40), hangs)
    return { call: (check, id) => Effect.scoped(Effect.zipRight(Effect.forkScoped(Effect.never), call(check, id))) }
  }),
  "a body that is disconnected": Effect.sync(() => plain(Timeout.make(40, { disconnect: true }), hangs)),
  "attempts that time out": Effect.sync(() =>
    plain(Policy.compose(Retry.make({ maxRetries: 1, schedule: backoff }), Timeout.make(40)), hangs)
  ),
  "a deadline from outside": Effect.sync(() => {
    const { call } = plain(Timeout.make("1 minute"), hangs)
    return { call: (check, id) => Deadline.within(call(check, id), 40) }
  }),
  "the hand-over of a place": Effect.map(
    Bulkhead.make({ name: "handed", maxConcurrent: 1, maxQueue: callers }),
    (bulkhead) => plain(bulkhead, holds(3))
  ),
  "the longest wait for a place": Effect.map(
    Bulkhead.make({ name: "waited", maxConcurrent: 1, maxQueue: callers, maxWait: 40 }),
    (bulkhead) => plain(bulkhead, holds(200))
  ),
  "a wait for a place that the total limit ends": Effect.map(
    Bulkhead.make({ name: "cut", maxConcurrent: 1, maxQueue: callers }),
    (bulkhead) => plain(Policy.compose(Timeout.make(40, { scope: "total" }), bulkhead), holds(200))
  ),
  "places that an operator adds": Effect.map(
    Bulkhead.make({ name: "resized", maxConcurrent: 1, maxQueue: callers }),
    (bulkhead) => ({
      ...plain(bulkhead, holds(200)),
      operator: Effect.delay(bulkhead.resize({ maxConcurrent: callers, maxQueue: callers }), 90)
    })
  ),
  "a wait for tokens": Effect.map(
    RateLimiter.make({ name: "tokens", rate: 1, per: 5, capacity: 1, maxWait: "1 minute" }),
    (limiter) => plain(limiter, (check) => check)
  ),
  "a tier of a fallback after a time limit": Effect.sync(() => {
    const limit = Timeout.make(40)
    return {
      call: (check, requestId) =>
        Effect.catchTag(limit.with({ requestId })(Effect.never), "TimedOut", () => check).pipe(
          Effect.zipRight(Fallback.orElse(check)(limit.with({ requestId })(Effect.never)))
        )
    }
  }),
  "the standard stack": Effect.map(
    Effect.suspend(() =>
      Policy.standard(`standard ${++built}`, {
        attemptTimeout: 40,
        bulkhead: { maxConcurrent: 3, maxQueue: callers },
        retry: { maxRetries: 1, schedule: backoff },
        circuitBreaker: false
      })
    ),
    (policy) => plain(policy, (check) => Effect.zipRight(failsOnce(check), work(5)))
  ),
  "policies by key": Effect.map(
    Policy.keyed({
      name: "keyed",
      key: (facts) => String(Number(facts.key) % 2),
      capacity: 2,
      make: (key) =>
        Effect.map(
          Bulkhead.make({ name: `keyed.${key}`, maxConcurrent: 1, maxQueue: callers }),
          (bulkhead) =>
            Policy.compose(Timeout.make("1 minute"), bulkhead, Retry.make({ maxRetries: 1, schedule: backoff }))
        )
    }),
    (policy) => plain(policy, failsOnce)
  ),
  "a policy by key that another call builds": Effect.map(
    Policy.keyed({
      name: "built",
      key: () => "one for all",
      capacity: 1,
      make: () => Effect.as(work(40), Timeout.make("1 minute"))
    }),
    (policy) => plain(policy, (check) => check)
  )
}

/** What a caller sees on the way: the stores that were not its own. */
interface Seen {
  checks: number
  readonly strange: Array<string>
}

const look = (seen: Seen, id: string, where: string): void => {
  seen.checks++
  const found = store.getStore()
  if (found !== id) {
    seen.strange.push(`${where} of ${id} ran in ${found}`)
  }
}

/** All ways in which a program goes on from one point. */
const everything = (seen: Seen, id: string, where: string): Effect.Effect<void> => {
  const check = (how: string) => Effect.sync(() => look(seen, id, `${where}, ${how}`))
  return check("at once").pipe(
    Effect.zipRight(Effect.yieldNow()),
    Effect.zipRight(check("after a turn")),
    Effect.zipRight(Effect.flatMap(Effect.fork(check("in a fork")), Fiber.join)),
    Effect.zipRight(check("after a fork")),
    Effect.zipRight(
      Effect.all([check("in one of several"), check("in one of several")], { concurrency: "unbounded", discard: true })
    ),
    Effect.zipRight(Effect.promise(() => Promise.resolve())),
    Effect.zipRight(check("after a promise")),
    Effect.zipRight(Effect.timeout(check("under a plain limit"), "1 minute")),
    Effect.ignore
  )
}

/** Starts every caller in its own store, as a server starts requests, `apart` milliseconds after the one before. */
const all = (
  wait: Wait,
  apart: number,
  pass: (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown>>) => Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const seen: Seen = { checks: 0, strange: [] }
    const listener: ResilienceEvent.Listener = (event) => {
      const { call } = event as { readonly call?: { readonly requestId?: string | undefined } }
      if (call?.requestId !== undefined) {
        look(seen, call.requestId, `the listener of ${event._tag}`)
      }
    }
    const runtime = yield* Effect.runtime()
    if (wait.operator !== undefined) {
      yield* Effect.fork(wait.operator)
    }
    const fibers: Array<Fiber.RuntimeFiber<unknown>> = []
    for (let index = 0; index < callers; index++) {
      const id = String(index)
      const caller = wait.call(everything(seen, id, "inside"), id).pipe(
        Effect.onExit(() => everything(seen, id, "a finalizer")),
        Effect.exit,
        Effect.zipRight(everything(seen, id, "the caller")),
        ResilienceEvent.listen(listener)
      )
      fibers.push(store.run(id, () => Runtime.runFork(runtime)(caller)))
      if (apart > 0) {
        yield* Effect.sleep(apart)
      }
    }
    yield* pass(fibers)
    for (const fiber of fibers) {
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
    }
    assert.deepStrictEqual(seen.strange.slice(0, 5), [])
    assert.isAtLeast(seen.checks, callers * 14)
  })

describe("waiting work goes on in the store of its own caller", () => {
  for (const [name, wait] of Object.entries(waits)) {
    it.live(`${name}, by the live clock`, () => Effect.flatMap(wait, (made) => all(made, 3, () => Effect.void)))

    it.live(`${name}, by a test clock`, () =>
      Effect.flatMap(wait, (made) =>
        all(made, 0, (fibers) =>
          // Time passes in small steps until every caller has come to its end.
          Effect.forEach(fibers, (fiber) => {
            const pass: Effect.Effect<void> = Effect.suspend(() =>
              fiber.unsafePoll() === null ? Effect.zipRight(TestClock.adjust(10), pass) : Effect.void
            )
            return pass
          }, { discard: true }))).pipe(Effect.provide(TestContext.TestContext)))
  }

  it.live("a caller without a store goes on without one, whatever ends its wait", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "mixed", maxConcurrent: 1, maxQueue: callers })
      const found: Array<string | undefined> = []
      const fibers = [undefined, "one", undefined, "two", undefined].map((id) => {
        const call = Effect.zipRight(bulkhead(Effect.sleep(5)), Effect.sync(() => found.push(store.getStore())))
        return id === undefined ? Effect.runFork(call) : store.run(id, () => Effect.runFork(call))
      })
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(found, [undefined, "one", undefined, "two", undefined])
    }))

  it.live("a subscriber of a breaker's transitions does not go on in the store of the call that tripped it", () =>
    Effect.gen(function*() {
      const found: Array<string | undefined> = []
      const breaker = yield* CircuitBreaker.make({ name: "subscribed", tripPolicy: CircuitBreaker.consecutive(1) })
      const first = yield* breaker.transitions.pipe(
        Stream.tap(() => Effect.sync(() => found.push(store.getStore()))),
        Stream.runHead,
        Effect.forkScoped
      )
      // The subscription is there when the fiber waits.
      yield* work(10)
      yield* Effect.promise(() => store.run("tenant", () => Effect.runPromiseExit(breaker(Effect.fail(new Busy())))))
      yield* Fiber.join(first)
      assert.deepStrictEqual(found, [undefined])
    }).pipe(Effect.scoped))

  it.live("the store of a call can be collected once the call has ended, whatever its limits were", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("collected", {
        totalTimeout: "1 minute",
        attemptTimeout: "30 seconds",
        bulkhead: { maxConcurrent: 1 }
      })
      const stored = new AsyncLocalStorage<object>()
      const call = async () => {
        const held = { large: true }
        await stored.run(held, () => Effect.runPromise(policy(work(1))))
        return new WeakRef(held)
      }
      const refs = [yield* Effect.promise(call), yield* Effect.promise(call)]
      const started = Date.now()
      while (refs.some((ref) => ref.deref() !== undefined) && Date.now() - started < 1000) {
        yield* work(20)
        collect()
      }
      assert.deepStrictEqual(refs.map((ref) => ref.deref()), [undefined, undefined])
    }))

  it.live("a worker of a deferral queue works in its own store, not in that of the last offer", () => {
    const found: Array<string | undefined> = []
    const settle = () => Effect.sync(() => found.push(store.getStore()))
    return Effect.gen(function*() {
      const runtime = yield* Effect.runtime<Scope.Scope>()
      const queue = yield* Effect.promise(() =>
        store.run(
          "worker",
          () => Runtime.runPromise(runtime)(Fallback.DeferralQueue.make({ capacity: callers, concurrency: 2, settle }))
        )
      )
      // A worker at rest is woken by the offer itself.
      yield* Effect.sleep(10)
      for (let index = 0; index < callers; index++) {
        yield* Effect.promise(() => store.run(`offer ${index}`, () => Effect.runPromise(queue.offer(String(index)))))
      }
      while (found.length < callers) {
        yield* Effect.sleep(1)
      }
      assert.deepStrictEqual(new Set(found), new Set(["worker"]))
    }).pipe(Effect.scoped)
  })
})
