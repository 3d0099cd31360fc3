import type * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import type * as Outcome from "@holdfast/core/Outcome"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { describe, expect, it } from "tstyche"

class CardDeclined extends Failure.Permanent("CardDeclined")<{ readonly reason: string }> {}
class Busy extends Failure.Retryable("Busy")<{}> {
  declare readonly [Outcome.ClassTypeId]: "Retryable"
}
class TierFailed extends Failure.Retryable("TierFailed")<{}> {}

type Errors = CircuitBreaker.CircuitOpen | Timeout.TimedOut | CardDeclined | Busy

declare const charge: Effect.Effect<string, Errors>
declare const canFail: Effect.Effect<number, TierFailed>
declare const cannotFail: Effect.Effect<number>
declare const given: Failure.When | undefined
declare const anyTags: Array<string>
declare const oneOfTwo: "CircuitOpen" | "TimedOut"

describe("catchTags", () => {
  it("takes out the tags whose handlers cannot fail", () => {
    expect(charge.pipe(Fallback.catchTags({ CircuitOpen: () => cannotFail, TimedOut: () => cannotFail }))).type.toBe<
      Effect.Effect<string | number, CardDeclined | Busy>
    >()
  })

  it("leaves a tag whose handler can fail, and adds no error", () => {
    expect(charge.pipe(Fallback.catchTags({ CircuitOpen: () => canFail, TimedOut: () => cannotFail }))).type.toBe<
      Effect.Effect<string | number, CircuitBreaker.CircuitOpen | CardDeclined | Busy>
    >()
  })

  it("knows the error of each handler in a pipe", () => {
    charge.pipe(Fallback.catchTags({
      CardDeclined: (error) => {
        expect(error).type.toBe<CardDeclined>()
        return cannotFail
      }
    }))
  })

  it("knows the errors that a policy adds within the same pipe", () => {
    charge.pipe(
      Timeout.make("1 second"),
      Fallback.catchTags({
        TimedOut: (error) => {
          expect(error).type.toBe<Timeout.TimedOut>()
          return cannotFail
        }
      })
    )
  })

  it("refuses a tag that no error has", () => {
    // @ts-expect-error! no error of the effect has this tag
    charge.pipe(Fallback.catchTags({ CircuitOpened: () => cannotFail }))
  })

  it("stands alone too, and then fits every effect", () => {
    const fallback = Fallback.catchTags({ TimedOut: (_: Timeout.TimedOut) => cannotFail }, { name: "timed out" })
    expect(fallback(charge)).type.toBe<
      Effect.Effect<string | number, CircuitBreaker.CircuitOpen | CardDeclined | Busy>
    >()
    expect(charge.pipe(fallback)).type.toBe<
      Effect.Effect<string | number, CircuitBreaker.CircuitOpen | CardDeclined | Busy>
    >()
  })
})

describe("tiers", () => {
  it("take out a tag when a tier for it cannot fail", () => {
    const fallback = Fallback.tiers(
      Fallback.tier({ name: "first", kind: "degrade", when: ["CircuitOpen", "TimedOut"], run: () => canFail }),
      Fallback.value(0, { when: ["CircuitOpen"] })
    )
    expect(charge.pipe(fallback)).type.toBe<Effect.Effect<string | number, Timeout.TimedOut | CardDeclined | Busy>>()
  })

  it("by class take out only errors that carry the class in their type", () => {
    expect(charge.pipe(Fallback.tiers(Fallback.value(0)))).type.toBe<
      Effect.Effect<string | number, CardDeclined>
    >()
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: ["Permanent"] })))).type.toBe<
      Effect.Effect<string | number, CircuitBreaker.CircuitOpen | Timeout.TimedOut | Busy>
    >()
  })

  it("by class take out nothing under a classifier of one's own, by tag they still do", () => {
    const fallback = Fallback.make({
      classify: Failure.byTag({ Busy: "Permanent" }),
      tiers: [Fallback.value(0), Fallback.value(1, { name: "open", when: ["CircuitOpen"] })]
    })
    expect(charge.pipe(fallback)).type.toBe<Effect.Effect<string | number, Timeout.TimedOut | CardDeclined | Busy>>()
  })

  it("by a predicate, or by names not known one by one, take out nothing", () => {
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: () => true })))).type.toBe<
      Effect.Effect<string | number, Errors>
    >()
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: (outcome) => outcome.neverSent })))).type.toBe<
      Effect.Effect<string | number, Errors>
    >()
    expect(charge.pipe(Fallback.tiers(
      Fallback.tier({ name: "one", kind: "degrade", when: (outcome) => outcome.neverSent, run: () => cannotFail })
    ))).type.toBe<Effect.Effect<string | number, Errors>>()
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: given })))).type.toBe<
      Effect.Effect<string | number, Errors>
    >()
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: anyTags })))).type.toBe<
      Effect.Effect<string | number, Errors>
    >()
    expect(charge.pipe(Fallback.tiers(Fallback.value(0, { when: [oneOfTwo] })))).type.toBe<
      Effect.Effect<string | number, Errors>
    >()
  })

  it("by class take out nothing under a classifier that is a function of one's own", () => {
    const fallback = Fallback.make({ classify: (exit) => Failure.classify(exit), tiers: [Fallback.value(0)] })
    expect(charge.pipe(fallback)).type.toBe<Effect.Effect<string | number, Errors>>()
  })

  it("that need an input are given it before the effect", () => {
    const lastGood = Effect.runSync(Fallback.cached({ key: (user: string) => user, capacity: 1, serveFor: 1000 }))
    const fallback = Fallback.tiers(lastGood.tier, Fallback.value(0))
    expect(charge.pipe(fallback.with("u-1"))).type.toBe<Effect.Effect<string | number, CardDeclined>>()
    // @ts-expect-error! it must be given its input first
    charge.pipe(fallback)
    expect(fallback.with).type.not.toBeCallableWith(1)
  })

  it("know the failure and the input they are told", () => {
    const tier = Fallback.tier({
      name: "popular",
      kind: "degrade",
      run: ({ input, reason }: Fallback.Failed<{ readonly category: string }>) =>
        Effect.succeed(`${input.category} ${reason}`)
    })
    expect(Effect.fail("down").pipe(Fallback.tiers(tier).with({ category: "lamps" }))).type.toBe<
      Effect.Effect<string, string>
    >()
  })

  it("name the class of errors that share it by a tag of the same name only through the class", () => {
    const odd = Effect.fail({ _tag: "Retryable" as const })
    expect(odd.pipe(Fallback.tiers(Fallback.value(0, { when: ["Retryable"] })))).type.toBe<
      Effect.Effect<number, { _tag: "Retryable" }>
    >()
  })
})

describe("cached", () => {
  it("needs a key and a capacity", () => {
    expect(Fallback.cached).type.not.toBeCallableWith({ key: (user: string) => user, serveFor: 1 })
    expect(Fallback.cached).type.not.toBeCallableWith({ capacity: 1, serveFor: 1 })
    expect(Fallback.cached).type.not.toBeCallableWith({ key: () => ({}), capacity: 1, serveFor: 1 })
  })
})

describe("orElse", () => {
  it("takes out every error", () => {
    expect(charge.pipe(Fallback.orElse(0))).type.toBe<Effect.Effect<string | number>>()
    expect(charge.pipe(Fallback.orElse(cannotFail))).type.toBe<Effect.Effect<string | number>>()
  })

  it("refuses an effect that can fail", () => {
    expect(Fallback.orElse).type.not.toBeCallableWith(canFail)
  })

  it("refuses a function, which would be served as the answer", () => {
    expect(Fallback.orElse).type.not.toBeCallableWith(() => cannotFail)
  })
})

describe("withSource", () => {
  it("wraps the value and leaves the errors", () => {
    const fallback = Fallback.tiers(Fallback.value(0, { when: ["CircuitOpen"] }))
    expect(charge.pipe(Fallback.withSource(fallback))).type.toBe<
      Effect.Effect<Fallback.Answer<string | number>, Timeout.TimedOut | CardDeclined | Busy>
    >()
  })
})

describe("defer", () => {
  it("adds Pending to the values and leaves the errors, because the queue may be full", () => {
    const queue = Fallback.DeferralQueue.make({ capacity: 1, settle: (_: number) => Effect.void })
    expect(
      Effect.flatMap(queue, (made) => charge.pipe(Fallback.tiers(Fallback.defer(made)).with(1)))
    ).type.toBeAssignableTo<Effect.Effect<string | Fallback.Pending, Errors, import("effect/Scope").Scope>>()
  })
})

describe("all", () => {
  it("keeps the errors of critical branches only", () => {
    expect(Fallback.all({
      product: Fallback.branch(charge, { criticality: "critical" }),
      stock: Fallback.branch(canFail, { criticality: "important" }),
      reviews: Fallback.branch(canFail, { criticality: "optional" })
    })).type.toBe<
      Effect.Effect<
        {
          readonly product: string
          readonly stock: Fallback.Answer<Option.Option<number>>
          readonly reviews: Option.Option<number>
        },
        Errors
      >
    >()
  })
})
