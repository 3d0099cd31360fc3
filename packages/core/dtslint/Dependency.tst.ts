import type * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as Chaos from "@holdfast/core/Chaos"
import type * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import type { DuplicateDependency } from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import type { InvalidSettings, UnsafePolicy } from "@holdfast/core/LiveDependency"
import type * as Policy from "@holdfast/core/Policy"
import type * as RateLimiter from "@holdfast/core/RateLimiter"
import type * as Timeout from "@holdfast/core/Timeout"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "tstyche"

class Payments extends Dependency.Service<Payments>()("payments", {
  bulkhead: { maxConcurrent: 20 },
  operations: {
    charge: { repeatable: false, rateLimiter: { rate: 5 } },
    ping: { totalTimeout: false, attemptTimeout: false, circuitBreaker: false, bulkhead: false },
    refund: {}
  }
}) {}

class Search extends Dependency.Service<Search>()("search") {}

class Cache
  extends Dependency.Service<Cache>()("cache", { circuitBreaker: false, retry: false, totalTimeout: false })
{}

declare const effect: Effect.Effect<string, "Declined", "Database">

describe("the errors of a call", () => {
  it("are those of the slots that are on", () => {
    expect(effect.pipe(Payments.call)).type.toBe<
      Effect.Effect<
        string,
        "Declined" | Timeout.TimedOut | Bulkhead.BulkheadFull | CircuitBreaker.CircuitOpen,
        "Database" | Payments
      >
    >()
    expect(effect.pipe(Search.call)).type.toBe<
      Effect.Effect<string, "Declined" | Timeout.TimedOut | CircuitBreaker.CircuitOpen, "Database" | Search>
    >()
    expect(Cache.call(effect)).type.toBe<
      Effect.Effect<string, "Declined" | Timeout.TimedOut, "Database" | Cache>
    >()
  })

  it("are those of the operation, where it is named", () => {
    expect(effect.pipe(Payments.call({ operation: "charge" }))).type.toBe<
      Effect.Effect<
        string,
        "Declined" | Timeout.TimedOut | Bulkhead.BulkheadFull | CircuitBreaker.CircuitOpen | RateLimiter.RateLimited,
        "Database" | Payments
      >
    >()
    expect(effect.pipe(Payments.call({ operation: "ping" }))).type.toBe<
      Effect.Effect<string, "Declined", "Database" | Payments>
    >()
    expect(effect.pipe(Payments.call({ operation: "refund", repeatable: false }))).type.toBe<
      Effect.Effect<
        string,
        "Declined" | Timeout.TimedOut | Bulkhead.BulkheadFull | CircuitBreaker.CircuitOpen,
        "Database" | Payments
      >
    >()
    expect(effect.pipe(Payments.call({ requestId: "r-1" }))).type.toBe<
      Effect.Effect<
        string,
        "Declined" | Timeout.TimedOut | Bulkhead.BulkheadFull | CircuitBreaker.CircuitOpen,
        "Database" | Payments
      >
    >()
  })

  it("are those of each operation that it may be", () => {
    const operation = "ping" as "ping" | "charge"
    expect(effect.pipe(Payments.call({ operation }))).type.toBe<
      Effect.Effect<
        string,
        "Declined" | Timeout.TimedOut | Bulkhead.BulkheadFull | CircuitBreaker.CircuitOpen | RateLimiter.RateLimited,
        "Database" | Payments
      >
    >()
  })

  it("survive a generic caller", () => {
    const generic = <A, E, R>(self: Effect.Effect<A, E, R>) => self.pipe(Search.call)
    expect(generic(effect)).type.toBe<
      Effect.Effect<string, "Declined" | Timeout.TimedOut | CircuitBreaker.CircuitOpen, "Database" | Search>
    >()
  })

  it("are those of the service's policy", () => {
    expect(Effect.flatMap(Search, (search) => search.policy())).type.toBe<
      Effect.Effect<Policy.Policy<Timeout.TimedOut | CircuitBreaker.CircuitOpen>, never, Search>
    >()
  })
})

class Prices extends Dependency.Service<Prices>()("prices", {
  circuitBreaker: false,
  totalTimeout: false,
  attemptTimeout: false,
  chaos: true,
  operations: {
    quote: { chaos: { failure: () => new QuoteGone(), answer: (): Quote => ({ cents: -1 }) } },
    list: { chaos: { answer: () => [] } },
    ping: { chaos: false }
  }
}) {}

class QuoteGone extends Failure.Permanent("QuoteGone")<{}> {}

interface Quote {
  readonly cents: number
}

describe("a place for faults", () => {
  const quote = null! as Effect.Effect<Quote, "Declined">

  it("adds the injected error, or its own, by operation", () => {
    expect(quote.pipe(Prices.call)).type.toBe<Effect.Effect<Quote, "Declined" | Chaos.InjectedFailure, Prices>>()
    expect(quote.pipe(Prices.call({ operation: "ping" }))).type.toBe<Effect.Effect<Quote, "Declined", Prices>>()
    expect(quote.pipe(Prices.call({ operation: "quote" }))).type.toBe<
      Effect.Effect<Quote, "Declined" | QuoteGone, Prices>
    >()
    expect(quote.pipe(Search.call)).type.toBe<
      Effect.Effect<Quote, "Declined" | Timeout.TimedOut | CircuitBreaker.CircuitOpen, Search>
    >()
  })

  it("adds the type of a wrong answer to the answer", () => {
    expect(effect.pipe(Prices.call({ operation: "quote" }))).type.toBe<
      Effect.Effect<string | Quote, "Declined" | QuoteGone, "Database" | Prices>
    >()
    const list = null! as Effect.Effect<ReadonlyArray<Quote>>
    expect(Effect.map(list.pipe(Prices.call({ operation: "list" })), (quotes) => quotes.length)).type.toBe<
      Effect.Effect<number, Chaos.InjectedFailure, Prices>
    >()
  })

  it("refuses misspelt fields, of an operation too", () => {
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("prices", { chaos: { fail: () => new QuoteGone() } })
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("prices", {
      operations: { quote: { chaos: { answers: () => 0 } } }
    })
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("prices", { chaos: { failure: () => "gone" } })
  })
})

describe("layers", () => {
  it("say what can go wrong", () => {
    expect(Payments.layer).type.toBe<Layer.Layer<Payments, DuplicateDependency | UnsafePolicy>>()
    expect(Payments.layerConfig()).type.toBe<
      Layer.Layer<Payments, DuplicateDependency | UnsafePolicy | InvalidSettings | ConfigError.ConfigError>
    >()
  })
})

describe("misspelt names are refused", () => {
  it("slots and their fields", () => {
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("payments", { bulkhed: { maxConcurrent: 1 } })
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("payments", {
      bulkhead: { maxConcurrent: 1, maxQeue: 2 }
    })
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("payments", { bulkhead: {} })
    expect(Dependency.Service<any>()).type.toBeCallableWith("payments", { bulkhead: { maxConcurrent: 1, maxQueue: 2 } })
  })

  it("slots and fields of operations", () => {
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("payments", { operations: { charge: { retries: 3 } } })
    expect(Dependency.Service<any>()).type.not.toBeCallableWith("payments", {
      operations: { charge: { retry: { maxRetry: 3 } } }
    })
    expect(Dependency.Service<any>()).type.toBeCallableWith("payments", {
      operations: { charge: { retry: { maxRetries: 3 }, criticality: "critical" } }
    })
  })

  it("operations and facts", () => {
    expect(Payments.call).type.not.toBeCallableWith({ operation: "chrage" })
    expect(Payments.call).type.not.toBeCallableWith({ operation: "charge", repeatabel: true })
    expect(Payments.call).type.toBeCallableWith({ operation: "charge", repeatable: true })
    expect(Search.call).type.toBeCallableWith({ operation: "GET /search" })
  })
})
