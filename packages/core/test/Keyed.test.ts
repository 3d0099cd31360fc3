import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Keyed from "@holdfast/core/Keyed"
import * as Policy from "@holdfast/core/Policy"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestClock from "effect/TestClock"

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
