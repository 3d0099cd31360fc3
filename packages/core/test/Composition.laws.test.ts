import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { loggedInto } from "./support/logged.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

// -- generated policies ------------------------------------------------------

/** A recipe, so that both sides of a law are built from fresh state. */
type Recipe =
  | { readonly _tag: "timeout"; readonly millis: number; readonly total: boolean }
  | { readonly _tag: "retry"; readonly maxRetries: number; readonly delay: number }
  | { readonly _tag: "breaker"; readonly failures: number }
  | { readonly _tag: "bulkhead"; readonly maxConcurrent: number }
  | { readonly _tag: "limiter"; readonly capacity: number; readonly maxWait: number }
  | { readonly _tag: "custom" }

const recipe: fc.Arbitrary<Recipe> = fc.oneof(
  fc.record({
    _tag: fc.constant("timeout" as const),
    millis: fc.constantFrom(5, 20, 100, 1000),
    total: fc.boolean()
  }),
  fc.record({
    _tag: fc.constant("retry" as const),
    maxRetries: fc.constantFrom(0, 1, 3),
    delay: fc.constantFrom(0, 10, 50)
  }),
  fc.record({ _tag: fc.constant("breaker" as const), failures: fc.constantFrom(1, 2, 5) }),
  fc.record({ _tag: fc.constant("bulkhead" as const), maxConcurrent: fc.constantFrom(1, 3) }),
  fc.record({
    _tag: fc.constant("limiter" as const),
    capacity: fc.constantFrom(1, 3),
    maxWait: fc.constantFrom(0, 30)
  }),
  fc.record({ _tag: fc.constant("custom" as const) })
)

const build = (one: Recipe): Effect.Effect<Policy.Policy<any>> => {
  switch (one._tag) {
    case "timeout":
      return Effect.sync(() => Timeout.make(one.millis, { scope: one.total ? "total" : "attempt" }))
    case "retry":
      return Effect.sync(() =>
        Retry.make({
          maxRetries: one.maxRetries,
          schedule: one.delay === 0 ? Backoff.none : Backoff.constant(one.delay, { jitter: "none" })
        })
      )
    case "breaker":
      return CircuitBreaker.make({
        name: "breaker",
        tripPolicy: CircuitBreaker.consecutive(one.failures),
        openJitter: 0
      })
    case "bulkhead":
      return Bulkhead.make({ name: "bulkhead", maxConcurrent: one.maxConcurrent })
    case "limiter":
      return RateLimiter.make({
        name: "limiter",
        rate: 100,
        capacity: one.capacity,
        ...(one.maxWait === 0 ? {} : { maxWait: one.maxWait })
      })
    case "custom":
      return Effect.succeed(Policy.make("custom", (effect) => Effect.suspend(() => effect)))
  }
}

const buildAll = (recipes: ReadonlyArray<Recipe>) => Effect.forEach(recipes, build)

/** What a dependency does on each call, in order; the last one again and again. */
type Behaviour = "succeed" | "busy" | "unknown" | "slow" | "die"

const behaviours = fc.array(fc.constantFrom<Behaviour>("succeed", "busy", "unknown", "slow", "die"), {
  minLength: 1,
  maxLength: 6
})

/** Everything that can be seen of four calls to a policy: ends, instants, the calls that reached the dependency, and warnings. */
const observe = (policy: Policy.Policy<any>, script: ReadonlyArray<Behaviour>) =>
  Effect.suspend(() => {
    const trace: Array<string> = []
    return Effect.as(loggedInto(trace)(calls(policy, script, trace)), trace)
  })

const calls = (policy: Policy.Policy<any>, script: ReadonlyArray<Behaviour>, trace: Array<string>) =>
  Effect.gen(function*() {
    let begun = 0
    const call = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const behaviour = script[Math.min(begun++, script.length - 1)]!
      trace.push(`${now} called: ${behaviour}`)
      switch (behaviour) {
        case "succeed":
          return "answer"
        case "busy":
          return yield* new Busy()
        case "unknown":
          return yield* Effect.fail("unknown")
        case "slow":
          yield* Effect.sleep(40)
          return "late answer"
        case "die":
          return yield* Effect.die("bug")
      }
    })
    for (let n = 0; n < 4; n++) {
      const exit = yield* Effect.exit(policy(call))
      const end = Exit.match(exit, {
        onSuccess: (value) => value,
        onFailure: (cause) =>
          Cause.isDie(cause)
            ? "defect"
            : Option.match(Cause.failureOption(cause), {
              onNone: () => "interrupted",
              onSome: (error) => (error as any)?._tag ?? String(error)
            })
      })
      trace.push(`${yield* Clock.currentTimeMillis} ended: ${end}`)
    }
  })

const inVirtualTime = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.runPromise(Effect.withRandom(VirtualClock.run(effect), Random.make("laws")))

describe("the laws of composition", () => {
  it("compose is associative", async () => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(recipe, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.nat(),
        behaviours,
        async (recipes, i, j, script) => {
          const [first, second] = [i % (recipes.length + 1), j % (recipes.length + 1)].sort((a, b) => a - b)
          const flat = await inVirtualTime(
            Effect.flatMap(buildAll(recipes), (parts) => observe(Policy.compose(...parts), script))
          )
          const nested = await inVirtualTime(Effect.flatMap(buildAll(recipes), (parts) =>
            observe(
              Policy.compose(
                Policy.compose(...parts.slice(0, first)),
                Policy.compose(Policy.compose(...parts.slice(first, second)), Policy.compose(...parts.slice(second)))
              ),
              script
            )))
          assert.deepStrictEqual(nested, flat)
          compared += flat.length
        }
      ),
      { numRuns: 200, seed: 20261123 }
    )
    assert.isAbove(compared, 1000)
  }, 60_000)

  it("identity on either side changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(recipe, { minLength: 1, maxLength: 4 }), behaviours, async (recipes, script) => {
        const run = (wrap: (policy: Policy.Policy<any>) => Policy.Policy<any>) =>
          inVirtualTime(Effect.flatMap(buildAll(recipes), (parts) => observe(wrap(Policy.compose(...parts)), script)))
        const plain = await run((policy) => policy)
        assert.deepStrictEqual(await run((policy) => Policy.compose(Policy.identity, policy)), plain)
        assert.deepStrictEqual(await run((policy) => Policy.compose(policy, Policy.identity)), plain)
      }),
      { numRuns: 40, seed: 7 }
    )
  }, 60_000)

  it("composing is applying one around the other: the order of the steps is the order of the effects", async () => {
    // Separately applied policies do not know of each other (a limit around a breaker is outside for it), so the law is stated for
    // what does not: retries, bulkheads, limiters and functions.
    const independent = recipe.filter((one) => one._tag !== "timeout" && one._tag !== "breaker")
    await fc.assert(
      fc.asyncProperty(fc.array(independent, { minLength: 1, maxLength: 4 }), behaviours, async (recipes, script) => {
        const composed = await inVirtualTime(
          Effect.flatMap(buildAll(recipes), (parts) => observe(Policy.compose(...parts), script))
        )
        const applied = await inVirtualTime(Effect.flatMap(buildAll(recipes), (parts) => {
          const around = parts.reduceRight(
            (inner, part) => (effect: Effect.Effect<any, any>) => part(inner(effect)),
            (effect: Effect.Effect<any, any>) => effect
          )
          return observe(around as unknown as Policy.Policy<any>, script)
        }))
        assert.deepStrictEqual(applied, composed)
      }),
      { numRuns: 60, seed: 11 }
    )
  }, 60_000)

  it.effect("attempts multiply: a retry of 2 around a retry of 3 makes 3 x 4 calls", () =>
    Effect.gen(function*() {
      const retry = (maxRetries: number) => Retry.make({ maxRetries, schedule: Backoff.none })
      let calls = 0
      yield* Effect.exit(
        Policy.compose(retry(2), retry(3))(Effect.suspend(() => {
          calls++
          return Effect.fail(new Busy())
        }))
      )
      assert.strictEqual(calls, 12)
    }))

  it("no policy loses a typed error, a defect or a FiberRef change of an effect that succeeds", async () => {
    const ref = FiberRef.unsafeMake("before")
    await fc.assert(
      fc.asyncProperty(fc.array(recipe, { minLength: 1, maxLength: 5 }), async (recipes) => {
        const warnings: Array<string> = []
        await inVirtualTime(
          loggedInto(warnings)(Effect.gen(function*() {
            const fresh = Effect.map(buildAll(recipes), (parts) => Policy.compose(...parts))
            const failed = yield* Effect.exit((yield* fresh)(Effect.fail({ _tag: "Mine", field: 1 })))
            assert.deepStrictEqual(
              Exit.isFailure(failed) && Cause.failureOption(failed.cause),
              Option.some({
                _tag: "Mine",
                field: 1
              })
            )
            const died = yield* Effect.exit((yield* fresh)(Effect.die("bug")))
            assert.deepStrictEqual(Exit.isFailure(died) && Chunk.toReadonlyArray(Cause.defects(died.cause)), ["bug"])
            yield* FiberRef.set(ref, "before")
            yield* (yield* fresh)(FiberRef.set(ref, "after"))
            assert.strictEqual(yield* FiberRef.get(ref), "after")
          }))
        )
        // Each breaker warns once of the unknown tag and once of the defect, and nothing else is logged.
        const breakers = recipes.filter((one) => one._tag === "breaker").length
        for (const warned of [/^WARN breaker failed with Mine/, /^WARN breaker ended with a defect/]) {
          assert.strictEqual(warnings.filter((line) => warned.test(line)).length, breakers)
        }
        assert.strictEqual(warnings.length, 2 * breakers)
      }),
      { numRuns: 60, seed: 5 }
    )
  }, 60_000)

  it("a caller's interruption reaches the call, and every gate gives back what it took", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(recipe, { minLength: 1, maxLength: 5 }), async (recipes) => {
        await inVirtualTime(Effect.gen(function*() {
          const bulkhead = yield* Bulkhead.make({ name: "watched", maxConcurrent: 1 })
          const breaker = yield* CircuitBreaker.make({ name: "watched", tripPolicy: CircuitBreaker.consecutive(1) })
          const policy = Policy.compose(...(yield* buildAll(recipes)), bulkhead, breaker)
          let interrupted = false
          const fiber = yield* Effect.fork(
            policy(Effect.onInterrupt(Effect.never, () =>
              Effect.sync(() => {
                interrupted = true
              })))
          )
          yield* Effect.sleep(1)
          const exit = yield* Fiber.interrupt(fiber)
          assert.isTrue(interrupted)
          assert.isTrue(Exit.isInterrupted(exit))
          assert.strictEqual((yield* bulkhead.snapshot).active, 0)
          assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
        }))
      }),
      { numRuns: 60, seed: 3 }
    )
  }, 60_000)
})

describe("policies inside Effect's own structures", () => {
  it.effect("the permits of a stream end with it, and when it is abandoned", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "stream", maxConcurrent: 2 })
      const guarded = Stream.mapEffect(Stream.range(1, 100), (n) => bulkhead(Effect.as(Effect.yieldNow(), n)), {
        concurrency: 2
      })
      assert.strictEqual(yield* Stream.runCount(guarded), 100)
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
      yield* Stream.runDrain(Stream.take(guarded, 3))
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
    }))

  it.effect("Effect.all runs guarded calls side by side, and one failure gives all permits back", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "all", maxConcurrent: 3 })
      const exit = yield* Effect.exit(
        Effect.all([bulkhead(Effect.never), bulkhead(Effect.never), bulkhead(Effect.fail("first"))], {
          concurrency: "unbounded"
        })
      )
      assert.deepStrictEqual(Exit.isFailure(exit) && Cause.failureOption(exit.cause), Option.some("first"))
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
    }))

  it.effect("a scope that was opened inside a guarded call closes as it would without the policy", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("scoped")
      const order: Array<string> = []
      yield* Effect.scoped(Effect.gen(function*() {
        yield* policy(Effect.acquireRelease(
          Effect.sync(() => order.push("acquired")),
          () => Effect.sync(() => order.push("released"))
        ))
        order.push("used after the call")
      }))
      assert.deepStrictEqual(order, ["acquired", "used after the call", "released"])
    }))

  it.effect("batching: inside the resolver the policy sees one call per batch; around the request it is right but splits batches", () =>
    Effect.gen(function*() {
      interface GetUser extends Request.Request<string, never> {
        readonly _tag: "GetUser"
        readonly id: number
      }
      const GetUser = Request.tagged<GetUser>("GetUser")
      const run = (inside: boolean) =>
        Effect.gen(function*() {
          const policy = yield* Policy.standard(`users ${inside}`)
          const batches: Array<number> = []
          const resolver = RequestResolver.makeBatched((requests: ReadonlyArray<GetUser>) => {
            const batch = Effect.sync(() => batches.push(requests.length))
            const answer = Effect.forEach(requests, (request) => Request.succeed(request, `user ${request.id}`), {
              discard: true
            })
            return Effect.zipRight(inside ? Effect.orDie(policy(batch)) : batch, answer)
          })
          const one = (id: number) => {
            const request = Effect.request(GetUser({ id }), resolver)
            return inside ? request : policy(request)
          }
          const users = yield* Effect.forEach([1, 2, 3], one, { batching: true, concurrency: "unbounded" })
          assert.deepStrictEqual(users, ["user 1", "user 2", "user 3"])
          return batches
        })
      assert.deepStrictEqual(yield* run(true), [3])
      assert.deepStrictEqual(yield* run(false), [1, 1, 1])
    }))
})
