import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Explain from "@holdfast/core/Explain"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as fc from "fast-check"

// The arithmetic of `explain` against the real thing. An adversary plays the dependency, those who hold places and tokens, and the
// random source; it may do whatever they could do. Explain must never be exceeded, and must be reached.

class Slow extends Failure.Overloaded("Slow")<{}> {}

/** As little as makes a difference: just before a limit, just below the next number. */
const tick = 0.001
const upper = 1 - 2 ** -53

/** Longer than any policy here can take: what is not over by then has no limit. */
const horizon = 100_000_000

type Spec =
  | { readonly kind: "Timeout"; readonly millis: number; readonly scope: "total" | "attempt" }
  | { readonly kind: "Retry"; readonly retries: number; readonly backoff: Backoff.Backoff | undefined }
  | { readonly kind: "Bulkhead"; readonly wait: number }
  | { readonly kind: "RateLimiter"; readonly wait: number; readonly scarce: boolean }
  | { readonly kind: "CircuitBreaker"; readonly failures: number }
  | { readonly kind: "Custom" }

// -- generated policies --------------------------------------------------------

const millis = fc.integer({ min: 100, max: 8000 })
const jitter = fc.constantFrom<Backoff.Jitter>("full", "equal", "none", { factor: 0.3 })
const backoff = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.integer({ min: 50, max: 3000 }), jitter).map(([base, jitter]) =>
      Backoff.exponential(base, { cap: 4001, jitter })
    )
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.integer({ min: 50, max: 3000 }), jitter).map(([delay, jitter]) =>
      Backoff.constant(delay, { jitter })
    )
  },
  { weight: 1, arbitrary: fc.integer({ min: 50, max: 800 }).map((base) => Backoff.decorrelated(base, { cap: 5003 })) },
  { weight: 1, arbitrary: fc.constant(Backoff.none) }
)
const timeout = (scope: "total" | "attempt") => millis.map((millis): Spec => ({ kind: "Timeout", millis, scope }))
const long = fc.integer({ min: 3000, max: 25_000 }).map((millis): Spec => ({ kind: "Timeout", millis, scope: "total" }))
const retry = fc.record({ kind: fc.constant("Retry" as const), retries: fc.integer({ min: 0, max: 3 }), backoff })
const ownSchedule = fc.constant<Spec>({ kind: "Retry", retries: 2, backoff: undefined })
const gate = fc.oneof(
  fc.record({ kind: fc.constant("Bulkhead" as const), wait: fc.oneof(fc.constant(0), millis) }),
  fc.record({
    kind: fc.constant("RateLimiter" as const),
    wait: fc.oneof(fc.constant(0), millis),
    scarce: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0)
  }),
  fc.record({ kind: fc.constant("CircuitBreaker" as const), failures: fc.integer({ min: 2, max: 10 }) })
)
const maybe = (chance: number, spec: fc.Arbitrary<Spec>): fc.Arbitrary<ReadonlyArray<Spec>> =>
  fc.oneof(
    { weight: chance, arbitrary: spec.map((one): ReadonlyArray<Spec> => [one]) },
    { weight: 10 - chance, arbitrary: fc.constant<ReadonlyArray<Spec>>([]) }
  )
const custom = fc.constant<Spec>({ kind: "Custom" })

/** Near the standard order, with anything left out, twice, or out of place. */
const specs = fc.tuple(
  maybe(1, custom),
  maybe(2, gate),
  maybe(6, long),
  maybe(3, gate),
  maybe(4, retry),
  maybe(3, gate),
  maybe(1, timeout("attempt")),
  maybe(1, custom),
  maybe(7, fc.oneof({ weight: 9, arbitrary: retry }, { weight: 1, arbitrary: ownSchedule })),
  maybe(3, gate),
  maybe(1, timeout("total")),
  maybe(8, timeout("attempt"))
).map((parts) => parts.flat())

const build = (specs: ReadonlyArray<Spec>) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const bulkheads = new Map<string, { readonly bulkhead: Bulkhead.Bulkhead; readonly wait: number }>()
    const policies: Array<Policy.Policy<any>> = []
    const adversary = { limiterWaits: () => true, deadline: Infinity }
    const firstLimit = specs.findIndex((spec) => spec.kind === "Timeout")
    for (const [index, spec] of specs.entries()) {
      const name = `${spec.kind}${index}`
      switch (spec.kind) {
        case "Timeout":
          policies.push(Timeout.make(spec.millis, { scope: spec.scope, name }))
          break
        case "Retry":
          policies.push(
            Retry.make({ maxRetries: spec.retries, schedule: spec.backoff ?? Schedule.spaced("300 millis"), name })
          )
          break
        case "Bulkhead": {
          const bulkhead = yield* Bulkhead.make(
            spec.wait === 0 ? { name, maxConcurrent: 5 } : { name, maxConcurrent: 1, maxQueue: 5, maxWait: spec.wait }
          )
          bulkheads.set(name, { bulkhead, wait: spec.wait })
          policies.push(bulkhead)
          break
        }
        case "RateLimiter": {
          const drained: RateLimiter.RateLimiter = yield* RateLimiter.make({
            name,
            rate: spec.wait === 0 ? 1000 : 1,
            capacity: spec.scarce ? 1 : 20,
            per: spec.wait === 0 ? 1 : spec.wait - tick,
            maxWait: spec.wait,
            bypass: (facts) => {
              if (spec.wait > 0 && adversary.limiterWaits() && facts.requestId === "the call") {
                // Somebody else takes what is there, in the very same moment; not so much that the wait would be refused.
                const left = (index > firstLimit ? adversary.deadline : Infinity) - clock.unsafeCurrentTimeMillis() - 2
                Effect.runSync(Effect.withClock(
                  Effect.flatMap(drained.level(), ({ remaining }) => {
                    const cost = remaining - Math.max(0, 1 - left / spec.wait)
                    return cost > 0.0001 ? drained.with({ cost })(Effect.void) : Effect.void
                  }),
                  clock
                ))
              }
              return false
            }
          })
          policies.push(drained)
          break
        }
        case "CircuitBreaker":
          policies.push(yield* CircuitBreaker.make({ name, tripPolicy: CircuitBreaker.consecutive(spec.failures) }))
          break
        case "Custom":
          policies.push(Policy.make(name, (effect) => Effect.withSpan(effect, name)))
      }
    }
    return { policy: Policy.compose(...policies), bulkheads, adversary }
  })

// -- the adversary -------------------------------------------------------------

interface Adversary {
  /** Where waits are full; elsewhere there are none. */
  readonly waits: "all" | "limiters" | "bulkheads" | "none"
  /** Whether it keeps places and tokens from the call this time. */
  readonly holds: () => boolean
  /** How many milliseconds an attempt takes before it fails; Infinity: it hangs. */
  readonly attempt: (left: number) => number
  /** What the random source says when `left` milliseconds are left of the deadline. */
  readonly draw: (left: number) => number
}

const always = () => true
const hangs: Adversary = { waits: "all", holds: always, attempt: () => Infinity, draw: () => upper }
const fails: Adversary = { waits: "none", holds: always, attempt: () => 0, draw: () => upper }
/** A call that waits too long at one gate is not tried again, and waits at no other. */
const partly: ReadonlyArray<Adversary> = [{ ...hangs, waits: "limiters" }, { ...hangs, waits: "bulkheads" }]
const failsWithoutJitter: Adversary = { waits: "none", holds: always, attempt: () => 0, draw: () => 0 }

/** How long an attempt may take for the limits inside the last retry. */
const attemptLimit = (specs: ReadonlyArray<Spec>): number => {
  const last = specs.reduce((place, spec, index) => spec.kind === "Retry" ? index : place, -1)
  return Math.min(...specs.slice(last + 1).map((spec) => spec.kind === "Timeout" ? spec.millis : Infinity), Infinity)
}

const late = (specs: ReadonlyArray<Spec>): Adversary => {
  const limit = attemptLimit(specs)
  return { waits: "all", holds: always, attempt: () => limit - tick, draw: () => upper }
}

/** The draw after which a delay ends just before what is left. */
const fitting = (backoff: Backoff.Backoff, retry: number, previous: number, left: number): number => {
  let low = 0
  let high = upper
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (backoff.delay(retry, previous, middle) < left - tick) {
      low = middle
    } else {
      high = middle
    }
  }
  return low
}

/** Chooses at random among what can matter: at once, as late as possible, or such that some retry just fits, or just does not. */
const cunning = (specs: ReadonlyArray<Spec>, random: () => number): Adversary => {
  const choose = <A>(choices: ReadonlyArray<A>): A => choices[Math.floor(random() * choices.length)]!
  const limit = attemptLimit(specs)
  const backoffs = specs.flatMap((spec) =>
    spec.kind === "Retry" && spec.backoff !== undefined && spec.retries > 0
      ? [{ backoff: spec.backoff, retries: spec.retries }]
      : []
  )
  const anyDelay = () => {
    const { backoff, retries } = choose(backoffs)
    const retry = Math.floor(random() * retries)
    return { backoff, retry }
  }
  const greedy = random()
  return {
    waits: choose(["all", "limiters", "bulkheads", "none"] as const),
    holds: () => random() < 0.7,
    attempt: (left) => {
      if (backoffs.length === 0 || left === Infinity) {
        return choose([0, limit - tick, Infinity])
      }
      const { backoff, retry } = anyDelay()
      const delay = choose([backoff.largest(retry), backoff.delay(retry, backoff.baseMillis, 0)])
      const moments = [0, left - delay - 2 * tick, left - delay + tick, limit - tick].filter((one) =>
        one >= 0 && one < limit
      )
      return random() < greedy ? moments[0]! : choose([...moments, Infinity])
    },
    draw: (left) => {
      if (left === Infinity) {
        return choose([0, upper])
      }
      const { backoff, retry } = anyDelay()
      return choose([
        0,
        upper,
        fitting(backoff, retry, choose([backoff.baseMillis, backoff.largest(Math.max(0, retry - 1))]), left)
      ])
    }
  }
}

/** At once, but for one attempt that ends when a certain retry no longer fits, so that the retry outside it has its turn. */
const onceLate = (specs: ReadonlyArray<Spec>): ReadonlyArray<() => Adversary> =>
  specs.flatMap((spec) =>
    spec.kind !== "Retry" || spec.backoff === undefined ?
      [] :
      Array.from({ length: spec.retries * 8 }, (_, index) => () => {
        const delay = spec.backoff!.largest(index % spec.retries)
        let made = 0
        return {
          waits: "none",
          holds: always,
          attempt: (left: number) => made++ === Math.floor(index / spec.retries) ? Math.max(0, left - delay + tick) : 0,
          draw: () => 0
        }
      })
  )

/** At once and without jitter, but for one delay so long that its retry gives up. */
const onceLong: ReadonlyArray<() => Adversary> = Array.from({ length: 16 }, (_, index) => () => {
  let drawn = 0
  return { waits: "none", holds: always, attempt: () => 0, draw: () => drawn++ === index ? upper : 0 }
})

interface Seen {
  readonly millis: number
  readonly attempts: number
}

const play = (specs: ReadonlyArray<Spec>, adversary: Adversary): Effect.Effect<Seen> =>
  VirtualClock.run(Effect.scoped(Effect.gen(function*() {
    const { adversary: others, bulkheads, policy } = yield* build(specs)
    others.limiterWaits = () => adversary.waits !== "none" && adversary.waits !== "bulkheads" && adversary.holds()
    const queued = yield* Queue.unbounded<string>()
    for (const { bulkhead, wait } of bulkheads.values()) {
      if (wait > 0 && (adversary.waits === "all" || adversary.waits === "bulkheads")) {
        yield* Effect.forkScoped(bulkhead(Effect.never))
      }
    }
    yield* Effect.sleep(1)
    // Whoever queues gets its place at the last moment.
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queued), (name) => {
      const { bulkhead, wait } = bulkheads.get(name)!
      return Effect.fork(Effect.zipRight(
        Effect.sleep(Duration.millis(adversary.holds() ? wait - tick : 0)),
        Effect.uninterruptible(
          Effect.zipRight(bulkhead.resize({ maxConcurrent: 2 }), bulkhead.resize({ maxConcurrent: 1 }))
        )
      ))
    })))
    const listener: ResilienceEvent.Listener = (event) => {
      if (event._tag === "BulkheadQueued") {
        Queue.unsafeOffer(queued, event.bulkhead)
      }
    }
    let attempts = 0
    const left = Effect.map(Deadline.remaining, Option.match({ onNone: () => Infinity, onSome: Duration.toMillis }))
    const attempt = Effect.flatMap(left, (left) => {
      attempts++
      const takes = adversary.attempt(left)
      return takes === Infinity
        ? Effect.never
        : Effect.zipRight(takes > 0 ? Effect.sleep(Duration.millis(takes)) : Effect.void, Effect.fail(new Slow()))
    })
    const random: Random.Random = Object.create(Random.fixed([upper]), {
      next: { value: Effect.map(left, (left) => adversary.draw(left)) }
    })
    const start = yield* Clock.currentTimeMillis
    const limit = specs.find((spec) => spec.kind === "Timeout")
    others.deadline = start + (limit?.kind === "Timeout" && limit.scope === "total" ? limit.millis : Infinity)
    const ended = yield* policy.with({ requestId: "the call" })(attempt).pipe(
      Effect.withRandom(random),
      ResilienceEvent.listen(listener),
      Effect.timeoutOption(horizon),
      Effect.exit
    )
    const end = yield* Clock.currentTimeNanos
    const over = ended._tag === "Failure" || Option.isSome(ended.value)
    return { millis: over ? Number(end) / 1e6 - start : Infinity, attempts }
  })))

// -- the comparison ------------------------------------------------------------

/** A timer rounds a fraction of a millisecond up, once per attempt and once per delay. */
const near = (seen: number, said: number, attempts: number) => seen === said || Math.abs(seen - said) < 1 + 2 * attempts

const show = (specs: ReadonlyArray<Spec>) =>
  JSON.stringify(specs, (key, value) =>
    key === "backoff" && value !== undefined
      ? `${value.kind} ${value.baseMillis} x ${value.factor} <= ${value.capMillis} ${JSON.stringify(value.jitter)}`
      : value)

const seeded = (seed: number) => {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31
  }
}

const mostRounds = 400

const examine = (specs: ReadonlyArray<Spec>, seed: number) =>
  Effect.gen(function*() {
    const built = yield* VirtualClock.run(build(specs))
    const { attempts, latencyMillis } = Explain.explain(built.policy).worstCase
    const random = seeded(seed)
    let seen: Seen = { millis: 0, attempts: 0 }
    let round = 0
    const fixed = [hangs, fails, late(specs)]
    const several = specs.filter((spec) => spec.kind === "Retry" && spec.retries > 0).length > 1
    const plays = [
      ...fixed,
      failsWithoutJitter,
      ...partly,
      ...(several ? [...onceLong, ...onceLate(specs)] : []).map((start) => start())
    ]
    const reached = () => near(seen.millis, latencyMillis.value, seen.attempts) && seen.attempts === attempts.value
    let byFixedSource = false
    for (; round < mostRounds && !reached(); round++) {
      const one = yield* play(specs, plays[round] ?? cunning(specs, random))
      seen = { millis: Math.max(seen.millis, one.millis), attempts: Math.max(seen.attempts, one.attempts) }
      byFixedSource = round < fixed.length && reached()
      if (latencyMillis.kind !== "exact" && round >= plays.length + 5) {
        break
      }
    }
    return { specs, attempts, latencyMillis, seen, reached: reached(), byFixedSource, round }
  })

/** Why explain calls figures unknown or upper bounds, in a word. */
const reasonOf = (because: ReadonlyArray<string>): string =>
  because.some((reason) => reason.includes("a step of your own"))
    ? "custom step"
    : because.some((reason) => reason.includes("a schedule of your own"))
    ? "own schedule"
    : because.some((reason) => reason.includes("it may refuse"))
    ? "scarce tokens"
    : because.some((reason) => reason.includes("share one deadline"))
    ? "entangled"
    : "no reason"

const tally = (names: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) {
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe("The worst case of explain", () => {
  it.live(
    "equals the largest seen in virtual time, for more than 200 generated policies, and the others are listed",
    () =>
      Effect.gen(function*() {
        const generated = fc.sample(specs, { seed: 20, numRuns: 280 })
        const results = yield* Effect.forEach(generated, examine)
        const told = (result: typeof results[number]) =>
          `${show(result.specs)}\n  said ${result.latencyMillis.value} ms, ${result.attempts.value} attempts; ` +
          `seen ${result.seen.millis} ms, ${result.seen.attempts} attempts, in ${result.round} rounds`
        const exceeded = results.filter(({ attempts, latencyMillis, seen }) =>
          (seen.millis > latencyMillis.value && !near(seen.millis, latencyMillis.value, seen.attempts)) ||
          seen.attempts > attempts.value
        )
        assert.deepStrictEqual(exceeded.map(told), [])
        const exact = results.filter(({ attempts, latencyMillis }) =>
          latencyMillis.kind === "exact" && attempts.kind === "exact"
        )
        assert.isAtLeast(exact.length, 200)
        assert.deepStrictEqual(exact.filter((result) => !result.reached).map(told), [])

        // Nothing is skipped: what is not exact says why, and only for these reasons.
        const listed = tally(
          results.filter((result) => !exact.includes(result)).map(({ latencyMillis }) =>
            reasonOf(latencyMillis.because)
          )
        )
        assert.strictEqual(exact.length + Object.values(listed).reduce((total, count) => total + count, 0), 280)
        assert.hasAllKeys(listed, ["custom step", "own schedule", "scarce tokens", "entangled"])
        assert.isBelow(listed.entangled!, 10)

        // Most need no more than a source of randomness at its upper end and a dependency that hangs, fails, or fails late.
        assert.isAtLeast(exact.filter((result) => result.byFixedSource).length, 170)

        // What makes it hard came up often enough.
        const retries = (one: typeof results[number]) =>
          one.specs.filter((spec) => spec.kind === "Retry" && spec.retries > 0)
        const most = (one: typeof results[number]) =>
          retries(one).reduce((product, spec) => product * (spec.kind === "Retry" ? spec.retries + 1 : 1), 1)
        const came = {
          nested: exact.filter((one) => retries(one).length > 1).length,
          "fewer attempts than the retries allow": exact.filter((one) => one.attempts.value < most(one)).length,
          waits: exact.filter((one) => one.specs.some((spec) => "wait" in spec && spec.wait > 0)).length,
          breakers: exact.filter((one) => one.specs.some((spec) => spec.kind === "CircuitBreaker")).length,
          "no limit": exact.filter((one) => one.latencyMillis.value === Infinity).length,
          "a deadline": exact.filter((one) =>
            one.specs.some((spec) => spec.kind === "Timeout" && spec.scope === "total")
          ).length
        }
        for (const [what, times] of Object.entries(came)) {
          assert.isAtLeast(times, 5, what)
        }
      }),
    120_000
  )
})
