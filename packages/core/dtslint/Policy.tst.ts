import type * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as Call from "@holdfast/core/Call"
import * as Chaos from "@holdfast/core/Chaos"
import type * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import type * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { describe, expect, it } from "tstyche"

type TimedOut = Timeout.TimedOut
type BulkheadFull = Bulkhead.BulkheadFull
type CircuitOpen = CircuitBreaker.CircuitOpen
type RateLimited = RateLimiter.RateLimited

type InjectedFailure = Chaos.InjectedFailure

class PaymentBusy extends Failure.Retryable("PaymentBusy")<{}> {}
class PaymentGone extends Failure.Permanent("PaymentGone")<{ readonly attempt: number }> {}

/** The errors of the policy that an effect builds. */
type Errors<E> = E extends Effect.Effect<Policy.Standard<infer Added>> ? Added : "no standard policy"

declare const errors: <E>(build: E) => Errors<E>

const bulkhead = { maxConcurrent: 10 }
const rateLimiter = { rate: 100 }
const off = { totalTimeout: false, circuitBreaker: false, retry: false, attemptTimeout: false } as const

describe("Policy.standard", () => {
  it("without options adds the errors of the slots that are on by default", () => {
    expect(Policy.standard("a")).type.toBe<Effect.Effect<Policy.Standard<TimedOut | CircuitOpen>>>()
    expect(Policy.standard("a", {})).type.toBe<Effect.Effect<Policy.Standard<TimedOut | CircuitOpen>>>()
  })

  it("adds the error of each slot that is on, and no other", () => {
    expect(errors(Policy.standard("a", { ...off }))).type.toBe<never>()
    expect(errors(Policy.standard("a", { ...off, bulkhead }))).type.toBe<BulkheadFull>()
    expect(errors(Policy.standard("a", { ...off, rateLimiter }))).type.toBe<RateLimited>()
    expect(errors(Policy.standard("a", { ...off, bulkhead, rateLimiter }))).type.toBe<BulkheadFull | RateLimited>()
    expect(errors(Policy.standard("a", { ...off, circuitBreaker: {} }))).type.toBe<CircuitOpen>()
    expect(errors(Policy.standard("a", { ...off, circuitBreaker: {}, bulkhead }))).type.toBe<
      CircuitOpen | BulkheadFull
    >()
    expect(errors(Policy.standard("a", { ...off, circuitBreaker: {}, rateLimiter }))).type.toBe<
      CircuitOpen | RateLimited
    >()
    expect(errors(Policy.standard("a", { ...off, totalTimeout: "1 second" }))).type.toBe<TimedOut>()
    expect(errors(Policy.standard("a", { ...off, attemptTimeout: 100 }))).type.toBe<TimedOut>()
    expect(errors(Policy.standard("a", { ...off, attemptTimeout: 100, bulkhead }))).type.toBe<TimedOut | BulkheadFull>()
    expect(errors(Policy.standard("a", { ...off, attemptTimeout: 100, rateLimiter }))).type.toBe<
      TimedOut | RateLimited
    >()
    expect(errors(Policy.standard("a", { bulkhead }))).type.toBe<TimedOut | CircuitOpen | BulkheadFull>()
    expect(errors(Policy.standard("a", { rateLimiter }))).type.toBe<TimedOut | CircuitOpen | RateLimited>()
    expect(errors(Policy.standard("a", { bulkhead, rateLimiter })))
      .type.toBe<TimedOut | CircuitOpen | BulkheadFull | RateLimited>()
  })

  it("false removes the error of a slot, one of two timeouts keeps TimedOut, and the retry adds none", () => {
    expect(errors(Policy.standard("a", { circuitBreaker: false }))).type.toBe<TimedOut>()
    expect(errors(Policy.standard("a", { totalTimeout: false }))).type.toBe<TimedOut | CircuitOpen>()
    expect(errors(Policy.standard("a", { attemptTimeout: false }))).type.toBe<TimedOut | CircuitOpen>()
    expect(errors(Policy.standard("a", { totalTimeout: false, attemptTimeout: false }))).type.toBe<CircuitOpen>()
    expect(errors(Policy.standard("a", { bulkhead: false, rateLimiter: false }))).type.toBe<TimedOut | CircuitOpen>()
    expect(errors(Policy.standard("a", { retry: false }))).type.toBe<TimedOut | CircuitOpen>()
    expect(errors(Policy.standard("a", { retry: { maxRetries: 1, budget: false } }))).type.toBe<
      TimedOut | CircuitOpen
    >()
  })

  it("undefined means the default", () => {
    expect(errors(Policy.standard("a", { circuitBreaker: undefined, bulkhead: undefined }))).type.toBe<
      TimedOut | CircuitOpen
    >()
  })

  it("options that are known at run time only give the full union", () => {
    const wide = null! as Policy.StandardOptions
    expect(errors(Policy.standard("a", wide))).type.toBe<
      TimedOut | CircuitOpen | BulkheadFull | RateLimited | InjectedFailure
    >()
    const perhaps = null! as { readonly bulkhead: { readonly maxConcurrent: number } | false }
    expect(errors(Policy.standard("a", perhaps))).type.toBe<TimedOut | CircuitOpen | BulkheadFull>()
    const optional = null! as { readonly rateLimiter?: { readonly rate: number } }
    expect(errors(Policy.standard("a", optional))).type.toBe<TimedOut | CircuitOpen | RateLimited>()
    const removed = null! as { readonly circuitBreaker?: false }
    expect(errors(Policy.standard("a", removed))).type.toBe<TimedOut | CircuitOpen>()
  })

  it("accepts options from a constant, readonly or not", () => {
    const constant = { bulkhead: { maxConcurrent: 5, maxQueue: 2 }, retry: false } as const
    expect(errors(Policy.standard("a", constant))).type.toBe<TimedOut | CircuitOpen | BulkheadFull>()
    const plain = { bulkhead: { maxConcurrent: 5 }, circuitBreaker: { scope: "attempt" as const } }
    expect(errors(Policy.standard("a", plain))).type.toBe<TimedOut | CircuitOpen | BulkheadFull>()
  })

  it("refuses misspelt slots and fields, also in a variable", () => {
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkheads: { maxConcurrent: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { timeout: "1 second" })
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkhead: { maxConcurent: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkhead: { maxConcurrent: 5, queue: 1 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { circuitBreaker: { threshold: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { retry: { times: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { rateLimiter: { rate: 5, burst: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { retry: { maxRetries: 1, name: "mine" } })
    const misspelt = { circuitBraker: false } as const
    expect(Policy.standard).type.not.toBeCallableWith("a", misspelt)
    const nested = { bulkhead: { maxConcurrent: 5, maxQeue: 1 } } as const
    expect(Policy.standard).type.not.toBeCallableWith("a", nested)
  })

  it("refuses values of the wrong type, and slots that lack what they need", () => {
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkhead: {} })
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkhead: true })
    expect(Policy.standard).type.not.toBeCallableWith("a", { bulkhead: { maxConcurrent: "5" } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { rateLimiter: { capacity: 5 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { circuitBreaker: { scope: "both" } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { totalTimeout: "soon" })
    expect(Policy.standard).type.not.toBeCallableWith("a", { retry: null })
    expect(Policy.standard).type.not.toBeCallableWith()
  })
})

describe("the place for faults", () => {
  it("adds no error where it is not declared, and the injected one where it is", () => {
    expect(errors(Policy.standard("a", { ...off, chaos: true }))).type.toBe<InjectedFailure>()
    expect(errors(Policy.standard("a", { ...off, chaos: {} }))).type.toBe<InjectedFailure>()
    expect(errors(Policy.standard("a", { ...off, chaos: false }))).type.toBe<never>()
    expect(errors(Policy.standard("a", { ...off, chaos: undefined }))).type.toBe<never>()
    expect(errors(Policy.standard("a", { chaos: true }))).type.toBe<TimedOut | CircuitOpen | InjectedFailure>()
    const perhaps = null! as { readonly chaos?: boolean }
    expect(errors(Policy.standard("a", perhaps))).type.toBe<TimedOut | CircuitOpen | InjectedFailure>()
  })

  it("has the error of its own, if it declares one, and a wrong answer adds none", () => {
    const failure = () => new PaymentBusy()
    expect(errors(Policy.standard("a", { ...off, chaos: { failure } }))).type.toBe<PaymentBusy>()
    expect(
      errors(Policy.standard("a", { ...off, chaos: { failure: (call) => new PaymentGone({ attempt: call.attempt }) } }))
    ).type.toBe<PaymentGone>()
    expect(errors(Policy.standard("a", { ...off, chaos: { answer: () => 0 } }))).type.toBe<InjectedFailure>()
    expect(Chaos.make()).type.toBe<Policy.Policy<InjectedFailure>>()
    expect(Chaos.make({ failure })).type.toBe<Policy.Policy<PaymentBusy>>()
    expect(Chaos.make({ dependency: "payments", answer: () => 0 })).type.toBe<Policy.Policy<InjectedFailure>>()
  })

  it("knows the call, and refuses errors without a tag and fields that there are not", () => {
    expect(Policy.standard).type.toBeCallableWith("a", { chaos: { answer: (call: Call.Call) => call.attempt } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { chaos: { failure: () => "busy" } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { chaos: { failure: new PaymentBusy() } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { chaos: { answers: () => 0 } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { chaos: { name: "mine" } })
    expect(Policy.standard).type.not.toBeCallableWith("a", { chaos: "on" })
    expect(Chaos.make).type.not.toBeCallableWith({ failure: () => "busy" })
    expect(Chaos.make).type.not.toBeCallableWith({ fails: () => new PaymentBusy() })
  })
})

describe("a policy", () => {
  const timeout = Timeout.make("1 second")
  const full = null! as Bulkhead.Bulkhead
  const call = null! as Effect.Effect<number, "no", "service">

  it("adds its errors and keeps the value and the requirements", () => {
    expect(timeout(call)).type.toBe<Effect.Effect<number, "no" | TimedOut, "service">>()
    expect(call.pipe(full)).type.toBe<Effect.Effect<number, "no" | BulkheadFull, "service">>()
    expect(call.pipe(Retry.make())).type.toBe<Effect.Effect<number, "no", "service">>()
  })

  it("with(facts) keeps all of them", () => {
    expect(timeout.with({ key: "a" })(call)).type.toBe<Effect.Effect<number, "no" | TimedOut, "service">>()
    expect(timeout.with).type.not.toBeCallableWith({ keys: "a" })
  })

  it("compose is the union of its parts' errors and requirements", () => {
    expect(Policy.compose(timeout, full)).type.toBe<Policy.Policy<TimedOut | BulkheadFull>>()
    expect(Policy.compose()).type.toBe<Policy.Policy>()
    expect(Policy.compose(Policy.identity, Retry.make())).type.toBe<Policy.Policy>()
    const scheduled = Retry.make({ schedule: null! as Schedule.Schedule<number, unknown, "clock"> })
    expect(Policy.compose(scheduled, timeout)).type.toBe<Policy.Policy<TimedOut, "clock">>()
    expect(Policy.compose).type.not.toBeCallableWith(timeout, (effect: Effect.Effect<1>) => effect)
  })

  it("make says what it adds", () => {
    expect(Policy.make("plain", (effect) => effect)).type.toBe<Policy.Policy>()
    expect(Policy.make<"gone", "tenant">("own", (effect) => effect)).type.toBe<Policy.Policy<"gone", "tenant">>()
  })

  it("its errors and requirements can be read from its type", () => {
    expect<Policy.Policy.Error<Policy.Policy<"a", "b">>>().type.toBe<"a">()
    expect<Policy.Policy.Requirements<Policy.Policy<"a", "b">>>().type.toBe<"b">()
    expect<Policy.Policy.Error<typeof timeout>>().type.toBe<TimedOut>()
  })

  it("is covariant in what it adds", () => {
    expect<Policy.Policy<"a">>().type.toBeAssignableTo<Policy.Policy<"a" | "b">>()
    expect<Policy.Policy<"a" | "b">>().type.not.toBeAssignableTo<Policy.Policy<"a">>()
  })

  it("isPolicy narrows", () => {
    const value = null! as string | Policy.Policy<"a">
    if (Policy.isPolicy(value)) expect(value).type.toBe<Policy.Policy<"a">>()
    else expect(value).type.toBe<string>()
  })
})
