import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Keyed from "@holdfast/core/Keyed"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"

class Busy extends Failure.Retryable("Busy")<{}> {}

const perTenant = (options: { readonly capacity: number; readonly idle?: string }) => {
  const built: Array<string> = []
  return Effect.map(
    Policy.keyed({
      name: "tenants",
      make: (key) => {
        built.push(key)
        return CircuitBreaker.make({ name: `tenant ${key}`, tripPolicy: CircuitBreaker.consecutive(2) })
      },
      capacity: options.capacity,
      ...(options.idle === undefined ? {} : { idle: options.idle as "1 minute" })
    }),
    (policy) => ({ policy, built })
  )
}

const failing = Effect.fail("down")

describe("Keyed", () => {
  it.effect("a key that fails takes only its own circuit with it", () =>
    Effect.gen(function*() {
      const { policy } = yield* perTenant({ capacity: 10 })
      yield* Effect.exit(failing.pipe(policy.with({ key: "a" })))
      yield* Effect.exit(failing.pipe(policy.with({ key: "a" })))
      const rejected = yield* Effect.flip(Effect.succeed(1).pipe(policy.with({ key: "a" })))
      assert.strictEqual(rejected._tag, "CircuitOpen")
      assert.strictEqual(yield* Effect.succeed(1).pipe(policy.with({ key: "b" })), 1)
    }))

  it.effect("builds the policy of a key once while it is kept", () =>
    Effect.gen(function*() {
      const { built, policy } = yield* perTenant({ capacity: 10 })
      yield* Effect.forEach(["a", "b", "a", "a", "b"], (key) => Effect.void.pipe(policy.with({ key })))
      assert.deepStrictEqual(built, ["a", "b"])
    }))

  it.effect("many callers of a new key at once share one policy", () =>
    Effect.gen(function*() {
      const slow = yield* Policy.keyed({
        name: "slow to build",
        make: (key) =>
          Effect.delay(
            CircuitBreaker.make({ name: key, tripPolicy: CircuitBreaker.consecutive(10) }),
            "1 second"
          ),
        capacity: 1
      })
      const fiber = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(failing.pipe(slow.with({ key: "a" }))), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      yield* fiber
      const next = yield* Effect.flip(Effect.void.pipe(slow.with({ key: "a" })))
      assert.strictEqual(next._tag, "CircuitOpen", "ten failures of ten callers are in one circuit")
    }))

  it.effect("drops the key least recently used beyond its capacity, the empty key like any other", () =>
    Effect.gen(function*() {
      const { built, policy } = yield* perTenant({ capacity: 2 })
      yield* Effect.forEach(["", "b", "", "c"], (key) => Effect.void.pipe(policy.with({ key })))
      assert.deepStrictEqual(yield* policy.keys, ["", "c"])
      yield* Effect.forEach(["d", "e"], (key) => Effect.void.pipe(policy.with({ key })))
      assert.deepStrictEqual(yield* policy.keys, ["d", "e"])
      yield* Effect.void.pipe(policy)
      assert.deepStrictEqual(built, ["", "b", "c", "d", "e", ""])
    }))

  it.effect("a key that was idle for long enough is built anew", () =>
    Effect.gen(function*() {
      const { built, policy } = yield* perTenant({ capacity: 10, idle: "1 minute" })
      yield* Effect.void.pipe(policy.with({ key: "a" }))
      yield* TestClock.adjust("59 seconds")
      yield* Effect.void.pipe(policy.with({ key: "a" }))
      assert.deepStrictEqual(built, ["a"])
      yield* TestClock.adjust("60 seconds")
      yield* Effect.void.pipe(policy.with({ key: "b" }))
      assert.deepStrictEqual(yield* policy.keys, ["b"], "the idle key went with the next call")
      yield* Effect.void.pipe(policy.with({ key: "a" }))
      assert.deepStrictEqual(built, ["a", "b", "a"])
    }))

  it.effect("the end of a call counts as use: a key whose call has just ended is kept, an idle one behind it is not", () =>
    Effect.gen(function*() {
      const { policy } = yield* perTenant({ capacity: 3, idle: "50 millis" })
      const slow = yield* Effect.fork(Effect.sleep("40 millis").pipe(policy.with({ key: "a" })))
      yield* Effect.yieldNow()
      yield* Effect.void.pipe(policy.with({ key: "b" }))
      yield* TestClock.adjust("40 millis")
      yield* slow
      yield* TestClock.adjust("15 millis")
      yield* Effect.void.pipe(policy.with({ key: "c" }))
      assert.deepStrictEqual(yield* policy.keys, ["a", "c"])
    }))

  it.effect("a call under way ends by the policy that admitted it, whether its key is kept or not", () =>
    Effect.gen(function*() {
      const { policy } = yield* perTenant({ capacity: 1 })
      const slow = yield* Effect.fork(
        Effect.delay(Effect.succeed("a's answer"), "1 second").pipe(policy.with({ key: "a" }))
      )
      yield* Effect.yieldNow()
      yield* Effect.void.pipe(policy.with({ key: "b" }))
      assert.deepStrictEqual(yield* policy.keys, ["b"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* slow, "a's answer")
    }))

  it.effect("says what is wrong with its options", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Keyed.make({ name: "", make: 1 as never, capacity: 0, idle: "never" as never })
      )
      assert.isTrue(Exit.isFailure(exit))
      for (const field of ["name", "make", "capacity", "idle"]) {
        assert.include(String(exit), field)
      }
    }))
})

describe("limits and retries around a keyed policy", () => {
  const keyed = (make: () => Effect.Effect<Policy.Policy<any>>) => Policy.keyed({ name: "keyed", capacity: 5, make })

  for (const scope of ["total", "attempt"] as const) {
    it.effect(`a breaker by key counts what a limit around it cuts, and trips on a dependency that hangs (${scope})`, () =>
      Effect.gen(function*() {
        let breaker: CircuitBreaker.CircuitBreaker | undefined
        const policy = Policy.compose(
          Timeout.make("30 millis", { scope }),
          yield* keyed(() =>
            Effect.tap(CircuitBreaker.make({ name: "hung", tripPolicy: CircuitBreaker.consecutive(2) }), (made) => {
              breaker = made
            })
          )
        )
        for (let call = 0; call < 2; call++) {
          const fiber = yield* Effect.fork(Effect.exit(Effect.never.pipe(policy)))
          yield* TestClock.adjust("30 millis")
          assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
        }
        assert.strictEqual((yield* breaker!.state.get)._tag, "Open")
      }))
  }

  it.effect("a probe makes one attempt, though the retry stands inside the keyed policy", () =>
    Effect.gen(function*() {
      let sent = 0
      const tripPolicy = CircuitBreaker.consecutive(2)
      const policy = Policy.compose(
        yield* keyed(() => CircuitBreaker.make({ name: "probed", tripPolicy, openDuration: "1 second" })),
        Retry.make({ maxRetries: 2, schedule: Backoff.none })
      )
      const call = Effect.suspend(() => {
        sent++
        return Effect.fail(new Busy())
      }).pipe(policy, Effect.exit)
      yield* call
      yield* call
      assert.strictEqual(sent, 6)
      yield* TestClock.adjust("2 seconds")
      yield* call
      assert.strictEqual(sent, 7)
    }))

  it.effect("a limit around it ends its waits, for a caller too that cannot be interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "held", maxConcurrent: 1, maxQueue: 1 })
      yield* Effect.fork(Effect.never.pipe(bulkhead))
      yield* Effect.yieldNow()
      const retry = Retry.make({ maxRetries: 3, schedule: Backoff.constant("400 millis", { jitter: "none" }) })
      for (const inner of [bulkhead, retry]) {
        let sent = 0
        const policy = Policy.compose(Timeout.make("50 millis"), yield* keyed(() => Effect.succeed(inner)))
        const call = Effect.suspend(() => {
          sent++
          return Effect.fail(new Busy())
        })
        const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.exit(call.pipe(policy))))
        yield* TestClock.adjust("50 millis")
        const exit = yield* Fiber.join(fiber)
        assert.include(JSON.stringify(exit), "TimedOut", inner === retry ? "retry" : "bulkhead")
        assert.strictEqual(sent, inner === retry ? 1 : 0)
      }
    }))

  it.effect("a call is told once, by the policy that knows whom it was to", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const policy = Policy.compose(
        Timeout.make("1 second", { scope: "total" }),
        yield* Policy.keyed({ name: "keyed", capacity: 5, make: (key) => Policy.standard(key) })
      )
      yield* Effect.succeed(1).pipe(
        policy.with({ key: "tenant" }),
        ResilienceEvent.listen((event) => {
          if (event._tag === "CallEnded" || event._tag === "AttemptEnded") {
            told.push(`${event._tag} ${event.call.dependency}`)
          }
        })
      )
      assert.deepStrictEqual(told, ["AttemptEnded tenant", "CallEnded tenant"])
    }))

  it.effect("lint does not miss what the policy of a key may have", () =>
    Effect.gen(function*() {
      const policy = Policy.compose(
        Retry.make({ maxRetries: 1 }),
        yield* keyed(() => Policy.standard("seen by nobody", { bulkhead: { maxConcurrent: 5 } }))
      )
      const codes = Policy.lint(policy).map(({ rule }) => rule)
      assert.notInclude(codes, "no-attempt-timeout")
      assert.notInclude(codes, "bulkhead-off")
      const open = Policy.lint(Retry.make({ maxRetries: 1 })).map(({ rule }) => rule)
      assert.includeMembers(open, ["no-attempt-timeout", "bulkhead-off"])
    }))
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("a keyed policy with more keys than its capacity", () => {
  it("a call finds the policy of calls in flight, though its key is beyond the capacity", async () => {
    const built: Array<string> = []
    const policy = Effect.runSync(Policy.keyed({
      name: "tenants",
      capacity: 1,
      make: (key) => {
        built.push(key)
        return CircuitBreaker.make({ name: key, tripPolicy: CircuitBreaker.consecutive(1) })
      }
    }))
    const done = Effect.runSync(Deferred.make<void>())
    const slow = Effect.runFork(Deferred.await(done).pipe(policy.with({ key: "a" })))
    await turn()
    Effect.runSync(Effect.void.pipe(policy.with({ key: "b" })))
    assert.deepStrictEqual(Effect.runSync(policy.keys), ["b"])
    Effect.runSync(Effect.exit(Effect.fail(new Busy()).pipe(policy.with({ key: "a" }))))
    const rejected = Effect.runSync(Effect.flip(Effect.void.pipe(policy.with({ key: "a" }))))
    assert.strictEqual((rejected as CircuitBreaker.CircuitOpen)._tag, "CircuitOpen")
    assert.deepStrictEqual(built, ["a", "b"])
    Effect.runSync(Deferred.succeed(done, undefined))
    await Effect.runPromise(Fiber.join(slow))
  })
})

describe("the policy of a new key", () => {
  const slowly = (started: Array<string>, gate: Deferred.Deferred<void>, otherwise = Effect.void) =>
    Effect.runSync(Policy.keyed({
      name: "tenants",
      capacity: 10,
      make: (key) => {
        started.push(key)
        return Effect.zipRight(
          Effect.zipRight(Deferred.await(gate), otherwise),
          CircuitBreaker.make({ name: key, tripPolicy: CircuitBreaker.consecutive(5) })
        )
      }
    }))
  it("is built once, however many calls come meanwhile", async () => {
    const started: Array<string> = []
    const gate = Effect.runSync(Deferred.make<void>())
    const policy = slowly(started, gate)
    const fibers = Array.from(
      { length: 20 },
      (_, call) => Effect.runFork(Effect.succeed(call).pipe(policy.with({ key: "a" })))
    )
    await turn()
    Effect.runSync(Deferred.succeed(gate, undefined))
    const answers = await Promise.all(fibers.map((fiber) => Effect.runPromise(Fiber.join(fiber))))
    assert.deepStrictEqual(answers, Array.from({ length: 20 }, (_, call) => call))
    assert.deepStrictEqual(started, ["a"])
  })

  it("is built by another call, if the call that built it left", async () => {
    const started: Array<string> = []
    const gate = Effect.runSync(Deferred.make<void>())
    const policy = slowly(started, gate)
    const [first, second, third] = [1, 2, 3].map((call) =>
      Effect.runFork(Effect.succeed(call).pipe(policy.with({ key: "a" })))
    )
    await turn()
    await Effect.runPromise(Fiber.interrupt(second!))
    await Effect.runPromise(Fiber.interrupt(first!))
    await turn()
    assert.deepStrictEqual(started, ["a", "a"])
    Effect.runSync(Deferred.succeed(gate, undefined))
    assert.strictEqual(await Effect.runPromise(Fiber.join(third!)), 3)
  })

  it.effect("a limit ends the wait for it, for a caller too that cannot be interrupted", () =>
    Effect.gen(function*() {
      const policy = Policy.compose(
        Timeout.make("50 millis"),
        yield* Policy.keyed({
          name: "tenants",
          capacity: 1,
          make: () => Effect.as(Effect.interruptible(Effect.never), Retry.make())
        })
      )
      const builder = yield* Effect.fork(Effect.exit(Effect.void.pipe(policy)))
      yield* Effect.yieldNow()
      const waiting = yield* Effect.fork(Effect.uninterruptible(Effect.exit(Effect.void.pipe(policy))))
      yield* TestClock.adjust("50 millis")
      for (const fiber of [builder, waiting]) {
        assert.include(JSON.stringify(yield* Fiber.join(fiber)), "TimedOut")
      }
    }))

  it("a defect of what builds it ends the calls that wait for it, and the next call builds again", async () => {
    const started: Array<string> = []
    const gate = Effect.runSync(Deferred.make<void>())
    const policy = slowly(started, gate, Effect.die("no policy"))
    const fibers = [1, 2, 3].map((call) => Effect.runFork(Effect.succeed(call).pipe(policy.with({ key: "a" }))))
    await turn()
    Effect.runSync(Deferred.succeed(gate, undefined))
    const exits = await Promise.all(fibers.map((fiber) => Effect.runPromise(Fiber.await(fiber))))
    assert.deepStrictEqual(exits.map(String).filter((exit) => exit.includes("no policy")).length, 3)
    assert.deepStrictEqual(started, ["a"])
    await Effect.runPromise(Effect.exit(Effect.void.pipe(policy.with({ key: "a" }))))
    assert.deepStrictEqual(started, ["a", "a"])
  })
})
