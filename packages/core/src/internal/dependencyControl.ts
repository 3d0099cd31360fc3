/**
 * Starts a dependency: its policies are looked up at every call, so that its numbers can change while it lives.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Alarm from "../Alarm.js"
import type * as Call from "../Call.js"
import type { CircuitBreaker } from "../CircuitBreaker.js"
import {
  type Change,
  InvalidSettings,
  type LiveDependency,
  type PieceStates,
  SlotOff,
  type UnsafePolicy
} from "../LiveDependency.js"
import { type Finding, InvalidOptions } from "../Options.js"
import { declare } from "./declared.js"
import { defaultCriticality, heavier } from "./declaredFacts.js"
import { changed, type Settings, type Slots } from "./dependencySlots.js"
import * as DependencyStack from "./dependencyStack.js"

/**
 * A live dependency that calls can be made through.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running extends LiveDependency {
  /** Runs an effect under the policy of its operation as it is at this moment. */
  readonly protect: <A, E, R>(effect: Effect.Effect<A, E, R>, facts: Call.Facts) => Effect.Effect<A, unknown, R>
}

/**
 * What is wrong with the settings, without starting anything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const check = (dependency: string, settings: Settings): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.suspend(() => {
    const findings: Array<Finding> = []
    return Effect.as(DependencyStack.makeStack(dependency, settings, findings), findings)
  })

const piecesState = (pieces: DependencyStack.Pieces, slots: Slots): Effect.Effect<PieceStates> =>
  Effect.gen(function*() {
    const { bulkhead, circuitBreaker, rateLimiter, retryBudget } = pieces
    const on = (slot: keyof Slots): boolean => slots[slot]?.on === true
    const clock = yield* Effect.clock
    const breaker = circuitBreaker === undefined ? undefined : yield* circuitBreaker.snapshot
    const inState = breaker === undefined ? 0 : Math.max(0, Alarm.of(clock).now() - breaker.state.since)
    const places = bulkhead === undefined ? undefined : yield* bulkhead.snapshot
    const level = rateLimiter === undefined ? undefined : yield* rateLimiter.level()
    return {
      circuitBreaker: breaker === undefined ? undefined : {
        on: on("circuitBreaker"),
        state: breaker.state,
        since: (yield* Clock.currentTimeMillis) - inState,
        inState: Duration.millis(inState),
        trips: breaker.trips,
        millisIn: breaker.millisIn,
        calls: breaker.calls,
        failures: breaker.failures,
        dryRun: slots.circuitBreaker?.options.dryRun === true,
        wouldHaveRejected: breaker.wouldHaveRejected
      },
      bulkhead: places === undefined ? undefined : { on: on("bulkhead"), ...places },
      rateLimiter: rateLimiter === undefined || level === undefined ? undefined : {
        on: on("rateLimiter"),
        remaining: level.remaining,
        limit: level.limit,
        queued: yield* rateLimiter.queued,
        dryRun: slots.rateLimiter?.options.dryRun === true,
        wouldHaveRefused: yield* rateLimiter.wouldHaveRefused,
        decisions: yield* rateLimiter.decisions
      },
      retryBudget: retryBudget === undefined ? undefined : { balance: yield* retryBudget.balance }
    }
  })

const breakersOf = (stack: DependencyStack.Stack) =>
  [[undefined, stack.base] as const, ...stack.operations].flatMap(([operation, { circuitBreaker }]) =>
    circuitBreaker === undefined ? [] : [{ operation, circuitBreaker, hub: circuitBreaker.hub }]
  )

/**
 * Starts a dependency with settings that `check` found nothing wrong with; wrong ones are a defect.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = (dependency: string, initial: Settings): Effect.Effect<Running, UnsafePolicy> =>
  Effect.gen(function*() {
    const wrong: Array<Finding> = []
    let settings = initial
    let stack = yield* DependencyStack.makeStack(dependency, settings, wrong)
    if (wrong.length > 0) {
      return yield* Effect.die(new InvalidOptions({ owner: `Dependency ${dependency}`, findings: wrong }))
    }
    let policies = DependencyStack.policiesOf(settings, stack)
    yield* DependencyStack.lintAll(dependency, settings, policies)
    declare(dependency, settings.operations.keys())

    const criticality = [...initial.facts.values()].reduce<Call.Criticality | undefined>(
      (highest, declared) => heavier(highest, declared.criticality ?? defaultCriticality),
      undefined
    )
    const policyFor = (operation: string | undefined) =>
      operation === undefined ? policies.base : policies.operations.get(operation) ?? policies.base

    const byHand = (move: (breaker: CircuitBreaker) => Effect.Effect<void>): Effect.Effect<void, SlotOff> =>
      Effect.suspend(() => {
        const on = breakersOf(stack).filter(({ operation }) => {
          const slots = operation === undefined ? settings.slots : settings.operations.get(operation)
          return slots?.circuitBreaker?.on === true
        })
        return on.length === 0
          ? Effect.fail(new SlotOff({ dependency, slot: "circuitBreaker" }))
          : Effect.forEach(on, ({ circuitBreaker }) => move(circuitBreaker), { discard: true })
      })

    const reconfigure = (change: Change): Effect.Effect<void, InvalidSettings | UnsafePolicy> =>
      Effect.gen(function*() {
        const before = settings
        const next = changed(before, change)
        const findings: Array<Finding> = [...next.findings]
        const fresh = yield* DependencyStack.makeStack(dependency, next.settings, findings)
        if (findings.length > 0) {
          const shown = findings.map(({ allowed, field, value }) => ({ path: field, value, allowed }))
          return yield* new InvalidSettings({ dependency, findings: shown })
        }
        yield* DependencyStack.lintAll(
          dependency,
          next.settings,
          DependencyStack.policiesOf(next.settings, fresh)
        )
        if (settings !== before) {
          // Somebody else was quicker: this change is for what is there now.
          return yield* reconfigure(change)
        }
        settings = next.settings
        stack = yield* DependencyStack.carryOver(stack, fresh, dependency, before, settings)
        policies = DependencyStack.policiesOf(settings, stack)
      })

    return {
      dependency,
      protect: (effect, facts) => policyFor(facts.operation).with(facts)(effect),
      policy: (operation) => Effect.sync(() => policyFor(operation)),
      state: Effect.gen(function*() {
        const present = settings
        const operations = new Map<string, PieceStates>()
        for (const [operation, pieces] of stack.operations) {
          const own = yield* piecesState(pieces, present.operations.get(operation) ?? {})
          if (Object.values(own).some((piece) => piece !== undefined)) {
            operations.set(operation, own)
          }
        }
        return {
          dependency,
          criticality,
          ...(yield* piecesState(stack.base, present.slots)),
          operations: Object.fromEntries(operations)
        }
      }),
      isolate: byHand((breaker) => breaker.isolate),
      disable: byHand((breaker) => breaker.disable),
      reset: byHand((breaker) => breaker.reset),
      reconfigure: (change) => Effect.uninterruptible(reconfigure(change)),
      breakers: breakersOf(stack)
    }
  })
