/**
 * The spine: circuit breaker, retry and attempt timeout around one operation, applied anew in every call.
 */
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as cockatiel from "cockatiel"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type { Contender } from "./measure.js"

export interface Style {
  readonly title: string
  readonly effect: () => Effect.Effect<number>
  readonly promise: () => Promise<number> | number
}

const asynchronous: Style = {
  title: "asynchronous operation",
  effect: () => Effect.promise(() => Promise.resolve(1)),
  promise: async () => 1
}

const synchronous: Style = {
  title: "synchronous operation",
  effect: () => Effect.sync(() => 1),
  promise: () => 1
}

export const styles: ReadonlyArray<Style> = [synchronous, asynchronous]

class CircuitIsOpen {
  readonly _tag = "CircuitIsOpen"
}

/** What somebody writes by hand from Effect's own parts. */
const naive = (failures: Ref.Ref<number>) => <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, unknown> =>
  Effect.flatMap(Ref.get(failures), (count): Effect.Effect<A, unknown> =>
    count >= 10
      ? Effect.fail(new CircuitIsOpen())
      : self.pipe(
        Effect.timeout("3 seconds"),
        Effect.retry({ schedule: Schedule.exponential("200 millis"), times: 2 }),
        Effect.tapBoth({
          onFailure: () => Ref.update(failures, (present) => present + 1),
          onSuccess: () => Ref.set(failures, 0)
        })
      ))

const inOneFiber = (title: string, call: () => Effect.Effect<unknown, unknown>): Contender => ({
  title,
  run: (calls) => {
    let made = 0
    return Effect.runPromise(Effect.whileLoop({ while: () => made++ < calls, body: call, step: () => {} })) as Promise<
      void
    >
  }
})

const awaited = (title: string, call: () => Promise<unknown>): Contender => ({
  title,
  run: async (calls) => {
    for (let made = 0; made < calls; made++) {
      await call()
    }
  }
})

const cockatielSpine = (abortOnReturn: boolean) =>
  cockatiel.wrap(
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 30_000,
      breaker: new cockatiel.ConsecutiveBreaker(10)
    }),
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2, backoff: new cockatiel.ExponentialBackoff() }),
    cockatiel.timeout(3_000, { strategy: cockatiel.TimeoutStrategy.Cooperative, abortOnReturn })
  )

export const contenders = (style: Style): ReadonlyArray<Contender> => {
  const breaker = Effect.runSync(CircuitBreaker.make({ name: "spine" }))
  const holdfast = Policy.compose(breaker, Retry.make({ maxRetries: 2 }), Timeout.make("3 seconds"))
  const byHand = naive(Effect.runSync(Ref.make(0)))
  const theirs = cockatielSpine(true)
  const theirsKept = cockatielSpine(false)
  return [
    inOneFiber("bare effect", style.effect),
    inOneFiber("holdfast", () => holdfast(style.effect())),
    inOneFiber("effect, by hand", () => byHand(style.effect())),
    inOneFiber("onExit", () => Effect.onExit(style.effect(), () => Effect.void)),
    awaited("bare promise", async () => style.promise()),
    awaited("cockatiel", () => theirs.execute(style.promise)),
    awaited("cockatiel, abortOnReturn false", () => theirsKept.execute(style.promise))
  ]
}
