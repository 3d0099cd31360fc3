/**
 * The public door: policies are composed, read and checked here.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { declaredByAll } from "./internal/declaredFacts.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * A function from effect to effect that carries its own description.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy<E = never, R = never> = Step.Policy<E, R>

/**
 * @since 0.1.0
 * @category models
 */
export declare namespace Policy {
  /**
   * Any policy.
   *
   * @since 0.1.0
   * @category models
   */
  export type Any = Step.Policy<any, any>

  /**
   * The errors that a policy adds.
   *
   * @since 0.1.0
   * @category models
   */
  export type Error<P> = P extends Step.Policy<infer E, any> ? E : never

  /**
   * What a policy needs.
   *
   * @since 0.1.0
   * @category models
   */
  export type Requirements<P> = P extends Step.Policy<any, infer R> ? R : never
}

/**
 * Composes policies, outermost first: `compose(a, b, c)(effect)` is `a(b(c(effect)))`.
 *
 * `effect.pipe(a, b, c)` reads the other way round: there `c` is outermost. With a timeout of 2 seconds and 2 retries,
 * `compose(timeout, retry)` ends after 2 seconds in all, `effect.pipe(timeout, retry)` after up to 3 x 2 seconds.
 *
 * @example
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Retry from "@holdfast/core/Retry"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const policy = Policy.compose(
 *   Timeout.make("5 seconds", { scope: "total" }),
 *   Retry.make({ maxRetries: 1 }),
 *   Timeout.make("2 seconds")
 * )
 *
 * Effect.runPromise(policy(Effect.succeed("answer")))
 *
 * @since 0.1.0
 * @category constructors
 */
export const compose = <const P extends ReadonlyArray<Policy.Any>>(
  ...policies: P
): Policy<Policy.Error<P[number]>, Policy.Requirements<P[number]>> => {
  const check = new Validation("Policy.compose")
  policies.forEach((policy, place) => {
    if (!Step.isPolicy(policy)) {
      check.add(`policies[${place}]`, policy, "a policy; a function of your own becomes one by Policy.make")
    }
  })
  check.done()
  return Step.policy(policies.flatMap(Step.partsOf), undefined, declaredByAll(policies.map(Step.factsOf)))
}

/**
 * A policy from a function of your own. It may run the effect several times, and add errors and requirements of its own, but it
 * changes no value.
 *
 * @example
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const traced = Policy.make("traced", (effect) => Effect.withSpan(effect, "call"))
 *
 * Effect.runPromise(traced(Effect.succeed(1)))
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E2 = never, R2 = never>(
  name: string,
  wrap: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2, R | R2>
): Policy<E2, R2> => {
  const check = new Validation("Policy.make")
  check.text("name", name)
  check.callable("wrap", wrap)
  check.done()
  return Step.fromFunction(name, wrap)
}

/**
 * The policy that does nothing.
 *
 * @example
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Timeout from "@holdfast/core/Timeout"
 *
 * const limited = process.env.NODE_ENV === "test" ? Policy.identity : Timeout.make("2 seconds")
 *
 * console.log(Policy.compose(limited, Policy.identity).steps.length) // 1
 *
 * @since 0.1.0
 * @category constructors
 */
export const identity: Policy = Step.policy([])

export {
  /**
   * Whether a value is a policy; any other function is not.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   *
   * console.log(Policy.isPolicy(Policy.identity)) // true
   * console.log(Policy.isPolicy((effect: unknown) => effect)) // false
   *
   * @since 0.1.0
   * @category guards
   */
  isPolicy
} from "./Step.js"

export {
  /**
   * The plan of a policy, its worst case, and how often its breaker would open by chance: as data and as a text.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   * import * as Timeout from "@holdfast/core/Timeout"
   *
   * const { worstCase } = Policy.explain(Timeout.make("2 seconds"))
   *
   * console.log(worstCase.latencyMillis.value) // 2000
   *
   * @since 0.1.0
   * @category combinators
   */
  explain
} from "./Explain.js"

export {
  /**
   * Checks a policy against the ways in which resilience patterns are known to collide.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   * import * as Retry from "@holdfast/core/Retry"
   *
   * for (const { because, rule } of Policy.lint(Retry.make({ maxRetries: 10 }))) console.log(rule, because)
   *
   * @since 0.1.0
   * @category combinators
   */
  lint
} from "./Lint.js"

export {
  /**
   * One policy per key, bounded, least recently used out.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   * import * as Effect from "effect/Effect"
   *
   * const program = Effect.gen(function*() {
   *   const perHost = yield* Policy.keyed({ name: "hosts", make: (host) => Policy.standard(host), capacity: 100 })
   *   return yield* Effect.succeed("page").pipe(perHost.with({ key: "example.org" }))
   * })
   *
   * Effect.runPromise(program)
   *
   * @since 0.1.0
   * @category constructors
   */
  make as keyed
} from "./Keyed.js"

export {
  /**
   * The numbers of the standard stack: 3 attempts x 3 s + 0.2 s + 0.4 s = 9.6 s within 10 s.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   *
   * console.log(Policy.standardDefaults.totalTimeout) // "10 seconds"
   *
   * @since 0.1.0
   * @category constructors
   */
  defaults as standardDefaults,
  /**
   * The standard stack of one dependency. The order is fixed by the slots, outermost first: total timeout, bulkhead, circuit
   * breaker, retry, rate limiter, attempt timeout, place for faults, call.
   *
   * @example
   * import * as Policy from "@holdfast/core/Policy"
   * import * as Effect from "effect/Effect"
   *
   * const program = Effect.gen(function*() {
   *   const payments = yield* Policy.standard("payments", { bulkhead: { maxConcurrent: 20 } })
   *   return yield* Effect.succeed("charged").pipe(payments)
   * })
   *
   * Effect.runPromise(program)
   *
   * @since 0.1.0
   * @category constructors
   */
  make as standard
} from "./Standard.js"

export type {
  /**
   * The error that each slot of the standard stack adds.
   *
   * @since 0.1.0
   * @category models
   */
  SlotErrors,
  /**
   * The standard policy of a dependency, with the pieces that hold its state.
   *
   * @since 0.1.0
   * @category models
   */
  Standard,
  /**
   * The slots of the standard stack. A slot left out has its default, `false` removes it.
   *
   * @since 0.1.0
   * @category models
   */
  StandardOptions
} from "./Standard.js"
