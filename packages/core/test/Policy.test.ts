import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as InvalidOptions from "@holdfast/core/Options"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import { fileURLToPath } from "node:url"
import ts from "typescript"

/** The warnings of failing breakers are no part of these tests. */
const virtual = (name: string, body: () => Effect.Effect<void, unknown>) =>
  it.live(
    name,
    () => VirtualClock.run(Effect.suspend(body)).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
    60_000
  )

const now = Clock.currentTimeMillis

class Busy extends Failure.Retryable("Busy")<{}> {}
class Declined extends Failure.Permanent("Declined")<{}> {}

const kinds = (policy: Policy.Policy.Any) =>
  policy.steps.map((step) => step.kind === "Timeout" ? `Timeout.${step.settings.scope as string}` : step.kind)

const errorOf = (exit: Exit.Exit<unknown, unknown>): any => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

const fast = { schedule: Backoff.none, budget: false } as const

describe("Policy.standard", () => {
  virtual(
    "without options is total timeout, breaker, retry and attempt timeout, with the numbers of the design",
    () =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard("defaults")
        assert.deepStrictEqual(kinds(policy), ["Timeout.total", "CircuitBreaker", "Retry", "Timeout.attempt"])
        assert.deepStrictEqual(policy.steps.map((step) => [step.policy, step.dependency]), [
          ["defaults.totalTimeout", "defaults"],
          ["defaults.circuitBreaker", "defaults"],
          ["defaults.retry", "defaults"],
          ["defaults.attemptTimeout", "defaults"]
        ])
        const [total, breaker, retry, attempt] = policy.steps.map((step) => step.settings) as [any, any, any, any]
        assert.strictEqual(breaker.openMillis, 30_000)
        assert.strictEqual(breaker.probes, 1)
        assert.deepStrictEqual(retry.budget, { percent: 0.2, minimumPerSecond: 1, ttlMillis: 10_000 })
        assert.strictEqual(retry.maxRetries, 2)
        // 3 x 3 s + 0.2 s + 0.4 s = 9.6 s within 10 s
        const attempts = retry.maxRetries + 1
        const waits = retry.backoff.largest(0) + retry.backoff.largest(1)
        assert.deepStrictEqual([attempts * attempt.limitMillis, waits, total.limitMillis], [9_000, 600, 10_000])
        assert.strictEqual(retry.backoff.capMillis, 5_000)
        assert.strictEqual(retry.backoff.jitter, "full")
      })
  )

  virtual(
    "three attempts that hang take at most 9.6 seconds and end with the attempt's own error, not the total's",
    () =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard("slow")
        const error = yield* Effect.flip(policy(Effect.never)) as Effect.Effect<Timeout.TimedOut, unknown>
        assert.deepStrictEqual([error._tag, error.scope, error.attempt], ["TimedOut", "attempt", 3])
        const taken = yield* now
        assert.isAtLeast(taken, 9_000)
        assert.isAtMost(taken, 9_601)
      })
  )

  const slots = ["totalTimeout", "bulkhead", "circuitBreaker", "retry", "rateLimiter", "attemptTimeout"] as const
  const on = {
    totalTimeout: "9 seconds",
    bulkhead: { maxConcurrent: 1 },
    circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) },
    retry: { maxRetries: 1, ...fast },
    rateLimiter: { rate: 1 },
    attemptTimeout: "1 second"
  } as const
  const kindOf = {
    totalTimeout: "Timeout.total",
    bulkhead: "Bulkhead",
    circuitBreaker: "CircuitBreaker",
    retry: "Retry",
    rateLimiter: "RateLimiter",
    attemptTimeout: "Timeout.attempt"
  }
  const combinations = Array.from({ length: 64 }, (_, bits) => slots.filter((_, place) => (bits & (1 << place)) !== 0))

  virtual(
    "keeps the order of the slots in all 64 combinations, and each slot that is off leaves no step and no piece",
    () =>
      Effect.gen(function*() {
        for (const chosen of combinations) {
          const options: any = Object.fromEntries(slots.map((slot) => [slot, chosen.includes(slot) ? on[slot] : false]))
          const policy: Policy.Standard<any> = yield* Policy.standard(`order.${chosen.join(".")}`, options)
          assert.deepStrictEqual(kinds(policy), chosen.map((slot) => kindOf[slot]))
          assert.strictEqual(policy.bulkhead !== undefined, chosen.includes("bulkhead"))
          assert.strictEqual(policy.circuitBreaker !== undefined, chosen.includes("circuitBreaker"))
          assert.strictEqual(policy.rateLimiter !== undefined, chosen.includes("rateLimiter"))
          assert.strictEqual(yield* policy(Effect.succeed("through")), "through")
        }
      })
  )

  virtual("the four places of breaker and limiter are chosen by their scopes", () =>
    Effect.gen(function*() {
      const outer = "Timeout.total"
      const inner = "Timeout.attempt"
      for (
        const [breaker, limiter, expected] of [
          ["call", "attempt", [outer, "Bulkhead", "CircuitBreaker", "Retry", "RateLimiter", inner]],
          ["attempt", "attempt", [outer, "Bulkhead", "Retry", "CircuitBreaker", "RateLimiter", inner]],
          ["call", "call", [outer, "RateLimiter", "Bulkhead", "CircuitBreaker", "Retry", inner]],
          ["attempt", "call", [outer, "RateLimiter", "Bulkhead", "Retry", "CircuitBreaker", inner]]
        ] as const
      ) {
        const policy = yield* Policy.standard(`scopes.${breaker}.${limiter}`, {
          bulkhead: { maxConcurrent: 1 },
          circuitBreaker: { scope: breaker },
          rateLimiter: { rate: 1, scope: limiter }
        })
        assert.deepStrictEqual(kinds(policy), [...expected])
      }
    }))

  virtual(
    "each slot that is on ends a call with its own error, and a slot that is off never does",
    () =>
      Effect.gen(function*() {
        for (const chosen of combinations) {
          const options: any = Object.fromEntries(slots.map((slot) => [slot, chosen.includes(slot) ? on[slot] : false]))
          const build = Policy.standard(`errors.${chosen.join(".")}`, options) as Effect.Effect<Policy.Standard<any>>
          const seen = new Set<string>()
          const record = (exit: Exit.Exit<unknown, unknown>) => {
            const error = errorOf(exit)
            if (error !== undefined) seen.add(error._tag === "TimedOut" ? `TimedOut.${error.scope}` : error._tag)
          }
          // a full bulkhead
          const first = yield* build
          const held = yield* Effect.fork(first(Effect.sleep("100 millis")))
          yield* Effect.yieldNow()
          record(yield* Effect.exit(first(Effect.void)))
          yield* Fiber.join(held)
          // a rate that is used up
          const second = yield* build
          yield* second(Effect.void)
          record(yield* Effect.exit(second(Effect.void)))
          // an open circuit
          const third = yield* build
          yield* Effect.exit(third(Effect.fail("trips")))
          yield* Effect.sleep("2 seconds")
          record(yield* Effect.exit(third(Effect.void)))
          // a hung call, if anything ends it
          if (chosen.includes("attemptTimeout") || chosen.includes("totalTimeout")) {
            record(yield* Effect.exit((yield* build)(Effect.never)))
          }
          const expected = [
            ...(chosen.includes("bulkhead") ? ["BulkheadFull"] : []),
            ...(chosen.includes("circuitBreaker") ? ["CircuitOpen"] : []),
            ...(chosen.includes("rateLimiter") ? ["RateLimited"] : []),
            ...(chosen.includes("attemptTimeout")
              // The second attempt of a hung call finds the bucket empty: that is its error then.
              ? chosen.includes("retry") && chosen.includes("rateLimiter") ? [] : ["TimedOut.attempt"]
              : chosen.includes("totalTimeout")
              ? ["TimedOut.total"]
              : [])
          ]
          const found = [...seen].filter((tag) =>
            !(chosen.includes("rateLimiter") && tag === "TimedOut.attempt" && !expected.includes(tag))
          )
          assert.deepStrictEqual(found.sort(), expected.sort(), chosen.join(", "))
        }
      })
  )

  virtual("a breaker in call scope counts calls, one in attempt scope counts attempts", () =>
    Effect.gen(function*() {
      for (const [scope, calls] of [["call", 3], ["attempt", 1]] as const) {
        const policy = yield* Policy.standard(`counts.${scope}`, {
          circuitBreaker: { scope, tripPolicy: CircuitBreaker.consecutive(3) },
          retry: { maxRetries: 2, ...fast }
        })
        let attempts = 0
        const call = policy(Effect.suspend(() => {
          attempts++
          return Effect.fail(new Busy())
        }))
        for (let made = 0; made < calls; made++) {
          assert.strictEqual((yield* policy.circuitBreaker!.state.get)._tag, "Closed", scope)
          assert.strictEqual(errorOf(yield* Effect.exit(call))._tag, "Busy")
        }
        assert.strictEqual(attempts, calls * 3)
        assert.strictEqual((yield* policy.circuitBreaker!.state.get)._tag, "Open", scope)
        assert.strictEqual(errorOf(yield* Effect.exit(call))._tag, "CircuitOpen")
        assert.strictEqual(attempts, calls * 3)
      }
    }))

  virtual("in attempt scope the retry stops at the circuit that its own attempts opened", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("stops", {
        circuitBreaker: { scope: "attempt", tripPolicy: CircuitBreaker.consecutive(2) },
        retry: { maxRetries: 5, ...fast }
      })
      let attempts = 0
      const error = errorOf(yield* Effect.exit(policy(Effect.suspend(() => Effect.fail(new Busy(void attempts++))))))
      assert.deepStrictEqual([error._tag, attempts], ["CircuitOpen", 2])
    }))

  virtual("in attempt scope every attempt pays the limiter, in call scope only the call", () =>
    Effect.gen(function*() {
      for (const [scope, paid] of [["attempt", 3], ["call", 1]] as const) {
        const policy = yield* Policy.standard(`pays.${scope}`, {
          rateLimiter: { rate: 10, scope },
          retry: { maxRetries: 2, ...fast }
        })
        yield* Effect.exit(policy(Effect.fail(new Busy())))
        assert.strictEqual(10 - (yield* policy.rateLimiter!.level()).remaining, paid)
      }
    }))

  virtual("a shared budget, the numbers of an own one, or none", () =>
    Effect.gen(function*() {
      const shared = yield* RetryBudget.make({ percent: 0.5 })
      const first = yield* Policy.standard("budget.shared", { retry: { budget: shared } })
      assert.strictEqual(first.retryBudget, shared)
      const own = yield* Policy.standard("budget.own", { retry: { budget: { percent: 0.1, minimumPerSecond: 0 } } })
      assert.deepStrictEqual(own.retryBudget!.settings, { percent: 0.1, minimumPerSecond: 0, ttlMillis: 10_000 })
      const none = yield* Policy.standard("budget.none", { retry: { budget: false } })
      assert.isUndefined(none.retryBudget)
      assert.isUndefined((yield* Policy.standard("budget.off", { retry: false })).retryBudget)
    }))

  virtual(
    "a hung dependency ends with TimedOut of scope \"total\", and opens the breaker",
    () =>
      Effect.gen(function*() {
        for (const scope of ["call", "attempt"] as const) {
          const policy = yield* Policy.standard(`hung.${scope}`, {
            totalTimeout: "1 second",
            attemptTimeout: false,
            circuitBreaker: { scope, tripPolicy: CircuitBreaker.consecutive(3) }
          })
          for (let made = 0; made < 3; made++) {
            const error = errorOf(yield* Effect.exit(policy(Effect.never)))
            assert.deepStrictEqual([error._tag, error.scope], ["TimedOut", "total"])
          }
          assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.never)))._tag, "CircuitOpen")
        }
      })
  )

  virtual(
    "a caller that interrupts reaches the call, waits for its release, and is neutral",
    () =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard("interrupted", {
          bulkhead: { maxConcurrent: 1 },
          circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) }
        })
        let released = false
        const call = policy(Effect.onInterrupt(Effect.never, () =>
          Effect.zipRight(
            Effect.sleep("50 millis"),
            Effect.sync(() => {
              released = true
            })
          )))
        const fiber = yield* Effect.fork(call)
        yield* Effect.sleep("10 millis")
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(released)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.strictEqual((yield* policy.circuitBreaker!.state.get)._tag, "Closed")
        assert.strictEqual((yield* policy.bulkhead!.snapshot).active, 0)
      })
  )

  virtual(
    "one classifier serves retry and breaker, and the facts of one call may bring another",
    () =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard("classified", {
          classify: Failure.byTag({ Odd: "Retryable", Busy: "Permanent" }),
          circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) },
          retry: { maxRetries: 2, ...fast }
        })
        let attempts = 0
        const fail = (error: unknown) =>
          Effect.suspend(() => {
            attempts++
            return Effect.fail(error)
          })
        yield* Effect.exit(policy(fail(new Busy())))
        assert.strictEqual(attempts, 1)
        yield* Effect.exit(policy(fail({ _tag: "Odd" })))
        assert.strictEqual(attempts, 4)
        yield* Effect.exit(policy.with({ classify: () => Outcome.permanent })(fail({ _tag: "Odd" })))
        assert.strictEqual(attempts, 5)
        assert.strictEqual((yield* policy.circuitBreaker!.state.get)._tag, "Closed")
      })
  )

  virtual(
    "warns once when a name is built again while the first is alive, and not for another name",
    () =>
      Effect.gen(function*() {
        const messages: Array<string> = []
        const capture = Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ logLevel, message }) => {
            messages.push(`${logLevel.label} ${String(message)}`)
          })
        )
        const kept: Array<unknown> = []
        yield* Effect.provide(
          Effect.gen(function*() {
            kept.push(yield* Policy.standard("twin.one"))
            kept.push(yield* Policy.standard("twin.two"))
            assert.deepStrictEqual(messages, [])
            kept.push(yield* Policy.standard("twin.one"))
            assert.strictEqual(messages.length, 1)
            kept.push(yield* Policy.standard("twin.one"))
          }),
          capture
        )
        assert.strictEqual(messages.length, 1)
        assert.match(messages[0]!, /^WARN .*"twin\.one".*built again.*never trips/)
        assert.strictEqual(kept.length, 4)
      })
  )

  virtual(
    "refuses what it does not know, with the path of the field, its value and what is allowed, all at once",
    () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Policy.standard("", {
          retries: 3,
          totalTimeout: "soon",
          bulkhead: { maxConcurrent: 0, maxQueueSize: 5 },
          circuitBreaker: { scope: "both", probes: 1.5, name: "mine" },
          retry: 3,
          rateLimiter: { rate: -1, burst: 3 }
        } as any) as Effect.Effect<unknown>)
        const error = errorOf(exit) as InvalidOptions.InvalidOptions
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.deepStrictEqual(error.findings.map((finding) => finding.field).sort(), [
          "bulkhead.maxConcurrent",
          "bulkhead.maxQueueSize",
          "circuitBreaker.name",
          "circuitBreaker.probes",
          "circuitBreaker.scope",
          "name",
          "rateLimiter.burst",
          "rateLimiter.rate",
          "retries",
          "retry",
          "totalTimeout"
        ])
        assert.include(error.message, "Policy.standard: ")
        assert.include(error.message, "bulkhead.maxConcurrent is 0, allowed is a whole number from 1 to 1000000")
        assert.include(error.message, "retries is 3: unknown field; the fields are totalTimeout, bulkhead")
      })
  )
})

describe("Policy.compose", () => {
  virtual("is outermost first, and pipe reads the other way round", () =>
    Effect.gen(function*() {
      const timeout = Timeout.make("2 seconds")
      const retry = Retry.make({ maxRetries: 2, schedule: Backoff.none })
      const call = Effect.zipRight(Effect.sleep("1500 millis"), Effect.fail(new Busy()))
      assert.strictEqual(errorOf(yield* Effect.exit(Policy.compose(timeout, retry)(call)))._tag, "TimedOut")
      assert.strictEqual(yield* now, 2_000)
      assert.strictEqual(errorOf(yield* Effect.exit(call.pipe(timeout, retry)))._tag, "Busy")
      assert.strictEqual(yield* now, 6_500)
    }))

  virtual("identity returns the very effect, and has no steps", () =>
    Effect.gen(function*() {
      const effect = Effect.succeed(1)
      assert.strictEqual(Policy.identity(effect), effect)
      assert.strictEqual(Policy.identity.with({ key: "a" })(effect), effect)
      assert.strictEqual(Policy.compose()(effect), effect)
      assert.deepStrictEqual(Policy.identity.steps, [])
    }))

  // A small language of stacks: what they do is a list of attempts with their instants, and the end.
  type Piece =
    | readonly ["retry", number]
    | readonly ["timeout", number]
    | readonly ["total", number]
    | readonly ["wrap"]
    | readonly ["bulkhead"]
  const piece: fc.Arbitrary<Piece> = fc.oneof(
    fc.tuple(fc.constant("retry" as const), fc.integer({ min: 0, max: 2 })),
    fc.tuple(fc.constant("timeout" as const), fc.integer({ min: 1, max: 60 })),
    fc.tuple(fc.constant("total" as const), fc.integer({ min: 1, max: 60 })),
    fc.constant(["wrap"] as const),
    fc.constant(["bulkhead"] as const)
  )
  const build = (one: Piece): Effect.Effect<Policy.Policy.Any> => {
    switch (one[0]) {
      case "retry":
        return Effect.succeed(Retry.make({ maxRetries: one[1], schedule: Backoff.constant(7, { jitter: "none" }) }))
      case "timeout":
        return Effect.succeed(Timeout.make(one[1]))
      case "total":
        return Effect.succeed(Timeout.make(one[1], { scope: "total" }))
      case "wrap":
        return Effect.succeed(Policy.make("wrap", (effect) => Effect.zipRight(Effect.sleep(1), effect)))
      case "bulkhead":
        return Bulkhead.make({ name: "b", maxConcurrent: 1 })
    }
  }
  type Answer = readonly ["ok" | "busy" | "declined" | "die" | "hang", number]
  const answer: fc.Arbitrary<Answer> = fc.tuple(
    fc.constantFrom<Answer[0]>("ok", "busy", "busy", "declined", "die", "hang"),
    fc.integer({ min: 0, max: 30 })
  )
  const observe = (
    shape: (parts: ReadonlyArray<Policy.Policy.Any>) => Policy.Policy.Any,
    pieces: ReadonlyArray<Piece>,
    answers: ReadonlyArray<Answer>
  ) =>
    Effect.runPromise(VirtualClock.run(Effect.gen(function*() {
      const policy = shape(yield* Effect.forEach(pieces, build)) as Policy.Policy<unknown>
      const attempts: Array<number> = []
      const dependency = Effect.gen(function*() {
        const [kind, delay] = answers[attempts.length % answers.length]!
        attempts.push(yield* now)
        yield* Effect.sleep(delay)
        switch (kind) {
          case "ok":
            return "value"
          case "busy":
            return yield* new Busy()
          case "declined":
            return yield* new Declined()
          case "die":
            return yield* Effect.die("bug")
          case "hang":
            return yield* Effect.never
        }
      })
      const exit = yield* Effect.exit(
        Effect.timeoutFail(policy(dependency), { duration: 1_000, onTimeout: () => "unlimited" })
      )
      const error = errorOf(exit)
      return { attempts, end: Exit.isSuccess(exit) ? "ok" : error?._tag ?? error, at: yield* now, kinds: kinds(policy) }
    })))

  it.live(
    "is associative, and identity is neutral on both sides: attempts, instants and ends agree",
    () =>
      Effect.promise(async () => {
        const ends = new Map<string, number>()
        await fc.assert(
          fc.asyncProperty(
            fc.array(piece, { minLength: 2, maxLength: 5 }),
            fc.array(answer, { minLength: 1, maxLength: 4 }),
            fc.nat(),
            async (pieces, answers, cut) => {
              const at = 1 + cut % (pieces.length - 1)
              const flat = await observe((parts) => Policy.compose(...parts), pieces, answers)
              const split = await observe(
                (parts) => Policy.compose(Policy.compose(...parts.slice(0, at)), Policy.compose(...parts.slice(at))),
                pieces,
                answers
              )
              const padded = await observe(
                (parts) => Policy.compose(Policy.identity, Policy.compose(...parts, Policy.identity), Policy.identity),
                pieces,
                answers
              )
              assert.deepStrictEqual(split, flat)
              assert.deepStrictEqual(padded, flat)
              ends.set(String(flat.end), (ends.get(String(flat.end)) ?? 0) + 1)
              if (flat.attempts.length > 1) ends.set("several", (ends.get("several") ?? 0) + 1)
            }
          ),
          { numRuns: 150, seed: 4 }
        )
        for (const end of ["ok", "Busy", "Declined", "bug", "TimedOut", "unlimited", "several"]) {
          assert.isAtLeast(ends.get(end) ?? 0, 4, end)
        }
      }),
    60_000
  )

  it.live(
    "nesting by application is the same as composing, but for the limits that compose knows to be its own",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(piece.filter((one) => one[0] === "retry" || one[0] === "wrap" || one[0] === "bulkhead"), {
              minLength: 1,
              maxLength: 4
            }),
            fc.array(answer.filter((one) => one[0] !== "hang"), { minLength: 1, maxLength: 4 }),
            async (pieces, answers) => {
              const flat = await observe((parts) => Policy.compose(...parts), pieces, answers)
              const nested = await observe(
                (parts) =>
                  Object.assign(
                    (effect: Effect.Effect<any, any, any>) =>
                      parts.reduceRight((inner, policy) => policy(inner), effect),
                    {
                      steps: parts.flatMap((part) => part.steps)
                    }
                  ) as unknown as Policy.Policy.Any,
                pieces,
                answers
              )
              assert.deepStrictEqual(nested, flat)
            }
          ),
          { numRuns: 60, seed: 5 }
        )
      ),
    60_000
  )

  it("refuses what is no policy, by its place", () => {
    const wrong = Policy.compose as (...policies: ReadonlyArray<unknown>) => unknown
    for (const value of [undefined, null, 1, {}, (effect: unknown) => effect]) {
      try {
        wrong(Policy.identity, value)
        assert.fail("it was accepted")
      } catch (error) {
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual(error.findings[0]!.field, "policies[1]")
      }
    }
  })
})

describe("Policy.make", () => {
  virtual("wraps the rest of the chain, as often as it likes", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const twice = Policy.make("twice", (effect) => Effect.zipRight(Effect.ignore(effect), effect))
      const named = Policy.make("named", (effect) => Effect.annotateLogs(effect, "policy", "named"))
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const policy = Policy.compose(twice, bulkhead, named)
      const value = yield* policy(Effect.gen(function*() {
        const annotations = HashMap.toEntries(yield* Effect.logAnnotations)
        log.push(`${annotations.join()} ${(yield* bulkhead.snapshot).active}`)
        return log.length
      }))
      assert.strictEqual(value, 2)
      assert.deepStrictEqual(log, ["policy,named 1", "policy,named 1"])
      assert.deepStrictEqual(policy.steps.map((step) => [step.kind, step.policy]), [["Custom", "twice"], [
        "Bulkhead",
        "b"
      ], ["Custom", "named"]])
    }))

  virtual("may add an error and a requirement", () =>
    Effect.gen(function*() {
      class Tenant extends Context.Tag("Tenant")<Tenant, string>() {}
      const check = Effect.filterOrFail(Tenant, (tenant) => tenant === "ours", () => "foreign" as const)
      const onlyOurs = Policy.make<"foreign", Tenant>("onlyOurs", (effect) => Effect.zipRight(check, effect))
      const call = Policy.compose(onlyOurs, Timeout.make("1 second"))(Effect.succeed("value"))
      assert.strictEqual(yield* Effect.provideService(call, Tenant, "ours"), "value")
      assert.strictEqual(yield* Effect.flip(Effect.provideService(call, Tenant, "theirs")), "foreign")
    }))

  virtual("an interruption of the caller passes through a wrapper to the call", () =>
    Effect.gen(function*() {
      let interrupted = false
      const policy = Policy.compose(Policy.make("wrap", (effect) => effect), Timeout.make("1 hour"))
      const fiber = yield* Effect.fork(policy(Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted = true
        }))))
      yield* Effect.sleep(1)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted)
    }))
})

describe("a policy", () => {
  virtual("with(facts) takes the facts of one call to every step", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1, maximumKeys: 5 })
      const policy = Policy.compose(Retry.make({ maxRetries: 3, schedule: Backoff.none }), limiter)
      let attempts = 0
      const busy = Effect.suspend(() => Effect.fail(new Busy(void attempts++)))
      const error = errorOf(yield* Effect.exit(policy.with({ repeatable: false, key: "tenant-7" })(busy)))
      assert.deepStrictEqual([error._tag, attempts], ["Busy", 1])
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ key: "tenant-7" })(busy))).key, "tenant-7")
      assert.strictEqual(attempts, 1)
      // The next call knows nothing of them.
      assert.strictEqual(errorOf(yield* Effect.exit(policy(busy)))._tag, "RateLimited")
      assert.strictEqual(attempts, 2)
    }))

  virtual("is recognised by isPolicy, pipes, prints its steps and cannot be changed", () =>
    Effect.gen(function*() {
      const standard = yield* Policy.standard("printed", { bulkhead: { maxConcurrent: 3 } })
      const breaker = yield* CircuitBreaker.make({ name: "c" })
      for (
        const policy of [standard, breaker, standard.bulkhead, Policy.identity, Timeout.make(1), Retry.interactive]
      ) {
        assert.isTrue(Policy.isPolicy(policy))
      }
      for (const value of [undefined, null, {}, () => 1, "policy", standard.steps]) {
        assert.isFalse(Policy.isPolicy(value))
      }
      assert.deepStrictEqual(standard.pipe((policy) => policy.steps.length), 5)
      const printed = JSON.parse(JSON.stringify(standard))
      assert.strictEqual(printed._id, "@holdfast/core/Policy")
      assert.deepStrictEqual(
        printed.steps.map((step: any) => step.kind),
        kinds(standard).map((kind) => kind.split(".")[0])
      )
      assert.isTrue(Object.isFrozen(standard.steps))
      assert.throws(() => {
        ;(standard as any).steps = []
      }, TypeError)
    }))

  virtual("may be run again and at the same time: one value, no state of a call in it", () =>
    Effect.gen(function*() {
      const policy = Policy.compose(Retry.make({ maxRetries: 2, schedule: Backoff.none }), Timeout.make("1 second"))
      const call = (name: string) => {
        let attempts = 0
        return Effect.suspend(() =>
          ++attempts < 3 ? Effect.delay(Effect.fail(new Busy()), 10) : Effect.succeed(`${name} ${attempts}`)
        )
      }
      const names = ["a", "b", "c"]
      assert.deepStrictEqual(
        yield* Effect.forEach(names, (name) => policy(call(name)), { concurrency: "unbounded" }),
        ["a 3", "b 3", "c 3"]
      )
      const wrapped = policy(now)
      assert.deepStrictEqual([yield* wrapped, yield* Effect.delay(wrapped, 5)], [20, 25])
    }))
})

describe("a function of the user's that throws before there is an effect", () => {
  const bug = (): never => {
    throw new Error("bug")
  }
  const cases: Record<string, (outside: Policy.Policy.Any) => Effect.Effect<Effect.Effect<unknown, unknown, any>>> = {
    "the attempt of policy.run": (outside) => Effect.succeed(outside.run(bug)),
    "a wrapper of Policy.make": (outside) =>
      Effect.succeed(Policy.compose(outside, Policy.make("bug", bug))(Effect.void)),
    "the key of Policy.keyed": (outside) =>
      Effect.map(
        Policy.keyed({ name: "hosts", capacity: 1, key: bug, make: () => Effect.succeed(Policy.identity) }),
        (keyed) => Policy.compose(outside, keyed)(Effect.void)
      )
  }
  for (const [name, run] of Object.entries(cases)) {
    virtual(
      `${name}: the call dies, and every gate that it passed gives back what it took`,
      () =>
        Effect.gen(function*() {
          const bulkhead = yield* Bulkhead.make({ name: "pool", maxConcurrent: 1 })
          const breaker = yield* CircuitBreaker.make({ name: "breaker", tripPolicy: CircuitBreaker.consecutive(1) })
          const call = yield* run(
            Policy.compose(Timeout.make("1 second", { scope: "total" }), bulkhead, breaker)
          )
          const exit = yield* Effect.exit(call as Effect.Effect<unknown, unknown>)
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
          assert.strictEqual((yield* bulkhead.snapshot).active, 0)
          assert.strictEqual((yield* breaker.state.get)._tag, "Open")
          assert.isTrue(Option.isNone(yield* Deadline.remaining))
          // The alarm is off: nothing rings in what comes after.
          yield* Effect.sleep("2 seconds")
        })
    )
  }
})

describe("the type that an editor shows", () => {
  // tstyche compares what types are; how they read is what users see.
  const printed = (source: string): Record<string, string> => {
    const file = fileURLToPath(new URL("../dtslint/Printed.ts", import.meta.url))
    const configuration = fileURLToPath(new URL("../dtslint/tsconfig.json", import.meta.url))
    const parsed = ts.getParsedCommandLineOfConfigFile(configuration, {}, {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: () => {}
    })!
    const host = ts.createCompilerHost(parsed.options)
    const read = host.getSourceFile.bind(host)
    host.getSourceFile = (name, version, ...rest) =>
      name === file ? ts.createSourceFile(name, source, version, true) : read(name, version, ...rest)
    const program = ts.createProgram([file], parsed.options, host)
    const checker = program.getTypeChecker()
    const module = program.getSourceFile(file)!
    const types: Record<string, string> = {}
    for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(module)!)) {
      types[symbol.name] = checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, module))
    }
    return types
  }

  it("is a plain union of the errors of the slots that are on, never an alias of the options", () => {
    const types = printed(`
      import * as Policy from "@holdfast/core/Policy"
      import * as Timeout from "@holdfast/core/Timeout"
      export const defaults = Policy.standard("a")
      export const all = Policy.standard("a", { bulkhead: { maxConcurrent: 1 }, rateLimiter: { rate: 1 } })
      export const none = Policy.standard("a", { totalTimeout: false, attemptTimeout: false, circuitBreaker: false })
      declare const wide: Policy.StandardOptions
      export const wideOptions = Policy.standard("a", wide)
      export const place = Policy.standard("a", { chaos: true })
      export const ownFailure = Policy.standard("a", { chaos: { failure: () => ({ _tag: "Busy" } as const) } })
      declare const bulkhead: Policy.Policy<"full">
      export const composed = Policy.compose(Timeout.make(1), bulkhead)
    `)
    assert.deepStrictEqual(types, {
      defaults: "Effect<Standard<TimedOut | CircuitOpen>, never, never>",
      all: "Effect<Standard<TimedOut | CircuitOpen | BulkheadFull | RateLimited>, never, never>",
      none: "Effect<Standard<never>, never, never>",
      wideOptions:
        "Effect<Standard<TimedOut | CircuitOpen | InjectedFailure | BulkheadFull | RateLimited>, never, never>",
      place: "Effect<Standard<TimedOut | CircuitOpen | InjectedFailure>, never, never>",
      ownFailure: "Effect<Standard<TimedOut | CircuitOpen | { readonly _tag: \"Busy\"; }>, never, never>",
      composed: "Policy<TimedOut | \"full\", never>"
    })
  }, 60_000)
})
