import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as Failure from "../src/Failure.js"
import * as Fallback from "../src/Fallback.js"
import { InvalidOptions } from "../src/Options.js"
import * as Outcome from "../src/Outcome.js"
import * as RateLimiter from "../src/RateLimiter.js"
import * as Retry from "../src/Retry.js"
import { Busy, compose, virtual } from "./support/virtual.js"

class BadRequest extends Failure.Permanent("BadRequest")<{ readonly fault: "caller" }> {}
class Unmakeable extends Failure.Rejected("Unmakeable")<{ readonly fault: "caller" }> {}

const ends = { Permanent: new BadRequest({ fault: "caller" }), Rejected: new Unmakeable({ fault: "caller" }) }

const breakerOf = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({
    name: "payments",
    tripPolicy: CircuitBreaker.consecutive(2),
    openDuration: "1 second",
    openJitter: 0,
    ...options
  })

describe("an end that is the caller's own fault", () => {
  it("an error says it by a field, and the outcome carries it", () => {
    assert.deepStrictEqual(
      Failure.classify(Exit.fail(ends.Permanent)),
      Outcome.make("Permanent", { fault: "caller" })
    )
    assert.deepStrictEqual(
      Failure.classify(Exit.fail(ends.Rejected)),
      Outcome.make("Rejected", { neverSent: true, fault: "caller" })
    )
  })

  for (const one of Outcome.classes) {
    it(`row ${one}: the breaker ignores it and no fallback steps in; without the fault it is the row of the table`, () => {
      assert.deepStrictEqual(Outcome.rowOf(Outcome.make(one, { fault: "caller" })), {
        ...Outcome.table[one],
        circuitBreaker: "ignored",
        fallback: false
      })
      assert.strictEqual(Outcome.rowOf(Outcome.make(one)), Outcome.table[one])
    })
  }

  for (const [name, error] of Object.entries(ends)) {
    for (const when of [undefined, ["Permanent", "Rejected", "BadRequest"]]) {
      virtual(
        `${name}: opens no circuit${when === undefined ? "" : ", though a list names its class and tag"}`,
        (seen) =>
          Effect.gen(function*() {
            const breaker = yield* breakerOf({ when })
            yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.exit(breaker(Effect.fail(error))))
            assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
            assert.strictEqual((yield* breaker.snapshot).calls, 0)
            assert.deepStrictEqual(seen.of("CircuitOpened"), [])
          })
      )
    }

    virtual(`${name}: opens the circuit of a breaker whose predicate asks for it`, () =>
      Effect.gen(function*() {
        const breaker = yield* breakerOf({ when: ({ fault }) => fault === "caller" })
        yield* Effect.forEach(Array.from({ length: 2 }), () => Effect.exit(breaker(Effect.fail(error))))
        assert.strictEqual((yield* breaker.state.get)._tag, "Open")
      }))

    virtual(`${name}: decides nothing as a probe, and gives its slot to the next call`, () =>
      Effect.gen(function*() {
        const breaker = yield* breakerOf()
        yield* Effect.forEach(Array.from({ length: 2 }), () => Effect.exit(breaker(Effect.fail(new Busy({})))))
        yield* Effect.sleep("1 second")
        yield* Effect.exit(breaker(Effect.fail(error)))
        assert.strictEqual((yield* breaker.state.get)._tag, "HalfOpen")
        yield* breaker(Effect.void)
        assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
      }))

    virtual(
      `${name}: is not tried again, and no fallback answers it unless its \`when\` asks`,
      () =>
        Effect.gen(function*() {
          let calls = 0
          const call = Effect.suspend(() => {
            calls++
            return Effect.fail(error as BadRequest | Unmakeable)
          }).pipe(compose(Retry.make({ maxRetries: 3 })))
          const plain = yield* Effect.exit(call.pipe(Fallback.tiers(Fallback.value("default")) as any))
          assert.deepStrictEqual(plain, Exit.fail(error))
          assert.strictEqual(calls, 1)
          const asked = Fallback.tiers(Fallback.value("default", { when: [name] as any })) as any
          assert.deepStrictEqual(yield* Effect.exit(call.pipe(asked)), Exit.succeed("default"))
        })
    )

    virtual(`${name}: ends a deferred job at once`, () =>
      Effect.scoped(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({ capacity: 2, settle: (_: number) => Effect.fail(error) })
        const settled = yield* Effect.fork(Stream.runCollect(Stream.take(queue.settlements, 1)))
        yield* Effect.yieldNow()
        yield* queue.offer(1)
        const ended = Chunk.toReadonlyArray(yield* settled.await.pipe(Effect.flatten))
        assert.deepStrictEqual(ended.map(({ attempts, job }) => ({ attempts, job })), [{ attempts: 1, job: 1 }])
      })))
  }
})

describe("a wait beyond every bound", () => {
  virtual("Retry gives up at once, whatever it may wait", (seen) =>
    Effect.gen(function*() {
      const call = Effect.fail(new Busy({ retryAfter: Duration.infinity }))
      yield* Effect.exit(call.pipe(Retry.make({ maxRetries: 3, maxRetryAfter: "10000 weeks" })))
      assert.deepStrictEqual(seen.of("RetryGivenUp").map(({ reason }) => reason), ["retryAfter"])
    }))

  virtual("a circuit breaker that it opens stays open for its maxOpenDuration", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ maxOpenDuration: "3 hours", tripPolicy: CircuitBreaker.consecutive(1) })
      yield* Effect.exit(breaker(Effect.fail(new Busy({ retryAfter: Duration.infinity }))))
      const state = yield* breaker.state.get
      assert.strictEqual(state._tag === "Open" ? state.openMillis : undefined, Duration.toMillis("3 hours"))
    }))

  virtual("a deferred job is tried again all the same", () =>
    Effect.scoped(Effect.gen(function*() {
      let tries = 0
      const queue = yield* Fallback.DeferralQueue.make({
        capacity: 2,
        settle: (_: number) =>
          Effect.suspend(() => ++tries === 1 ? Effect.fail(new Busy({ retryAfter: Duration.infinity })) : Effect.void)
      })
      const settled = yield* Effect.fork(Stream.runCollect(Stream.take(queue.settlements, 1)))
      yield* Effect.yieldNow()
      yield* queue.offer(1)
      yield* settled.await
      assert.strictEqual(tries, 2)
    })))
})

describe("messages about waits", () => {
  for (const retryAfter of [Duration.millis(1e303), Duration.millis(Number.MAX_VALUE), Duration.infinity]) {
    it(`a message says ${Duration.toMillis(retryAfter)} ms without a throw`, () => {
      const open = new CircuitBreaker.CircuitOpen({ policy: "p", dependency: "d", reason: "open", retryAfter })
      assert.strictEqual(open.message, "The circuit of d is open; try again in more than 100 years")
      const limited = new RateLimiter.RateLimited({
        policy: "p",
        dependency: "d",
        key: undefined,
        retryAfter,
        limit: 1
      } as any)
      assert.strictEqual(limited.message, "The rate limit of d is used up; try again in more than 100 years")
      const wrong = new InvalidOptions({ owner: "a", findings: [{ field: "b", value: retryAfter, allowed: "c" }] })
      assert.include(wrong.message, "more than 100 years")
    })
  }
})
