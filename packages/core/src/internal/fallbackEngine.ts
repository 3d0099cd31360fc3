/**
 * Walks the tiers of a fallback once its primary has failed. Until then it costs one continuation, and nothing is
 * built.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import type * as Call from "../Call.js"
import * as Deadline from "../Deadline.js"
import * as Failure from "../Failure.js"
import { InvalidOptions } from "../Options.js"
import type * as Outcome from "../Outcome.js"
import * as ResilienceEvent from "../ResilienceEvent.js"
import type * as Step from "../Step.js"
import { announce } from "./announce.js"
import type { Found, LastGood } from "./fallbackCache.js"
import { classified, fault, nowOf } from "./fallbackFault.js"
import { type Answer, type Failed, TypeId } from "./fallbackModel.js"
import { failedOf, type TierRun } from "./fallbackTier.js"
import { Frame } from "./frame.js"
import type { Link } from "./gate.js"
import { type AnyEffect, type AnyFiber, asEffect, Caught, continuationsOf, currentFiber, Matched } from "./runtime.js"

/**
 * Makes a tier's limit out of a timeout: it runs after the deadline too, and is no call of its own, so listeners hear
 * of what happens in the tier and nothing of the limit around it.
 */
export const limitBy = (timeout: Step.Policy<any>): (effect: AnyEffect) => AnyEffect => {
  return (effect) =>
    Effect.flatMap(
      FiberRef.get(ResilienceEvent.listeners),
      (listeners) =>
        Effect.locally(effect, ResilienceEvent.listeners, listeners).pipe(
          timeout,
          Effect.locally(ResilienceEvent.listeners, ResilienceEvent.noListeners),
          Deadline.detached
        )
    )
}

/** Does the step take an answer for a success: a breaker that counts it, a retry that stops at it? */
const counts = ({ kind, settings }: Step.Step): boolean =>
  kind === "CircuitBreaker" || kind === "Retry" && (settings.maxRetries as number) > 0

/** The step of a passage that counts successes. Behind a wrapper of the user's, who knows what runs. */
const countingStep = (link: Link | undefined): Step.Step | undefined => {
  switch (link?._tag) {
    case "Region":
      return link.gates.find(({ step }) => counts(step))?.step ?? countingStep(link.next)
    case "Loop":
      return counts(link.repeater.step) ? link.repeater.step : countingStep(link.next)
    default:
      return undefined
  }
}

/**
 * The breaker or the retry that this fiber is inside of: it takes the answer of a fallback for a success. Timeouts, deadlines, bulkheads
 * and limiters count no successes, and a fallback within them is in its place. Read from the continuations of the fiber, a private
 * field, and only once a tier has answered: a call that succeeds pays nothing for it. A policy that runs its effect in a child fiber
 * is not seen.
 */
const policyAround = (fiber: AnyFiber): string | undefined => {
  const stack = continuationsOf(fiber)
  for (let at = stack.length - 1; at >= 0; at--) {
    const entry = stack[at]
    // Passages within one another of one policy may stand there as the innermost alone.
    for (let frame = entry instanceof Frame ? entry : undefined; frame !== undefined; frame = frame.parent) {
      const step = countingStep(frame.region)
      if (step !== undefined) {
        return step.policy
      }
    }
  }
  return undefined
}

/** Everything of a fallback that does not change from call to call. */
export class Engine {
  readonly name: string
  readonly tiers: ReadonlyArray<TierRun>
  readonly classify: Failure.Classify
  private readonly dependency: string | undefined
  /** The caches that hear of every success. */
  private readonly stores: ReadonlyArray<LastGood>
  private warned = false

  constructor(
    name: string,
    tiers: ReadonlyArray<TierRun>,
    classify: Failure.Classify,
    dependency: string | undefined
  ) {
    this.name = name
    this.tiers = tiers
    this.classify = classify
    this.dependency = dependency
    this.stores = tiers.flatMap((tier) => tier.store ?? [])
  }

  apply(primary: AnyEffect, input: unknown, sourced: boolean): AnyEffect {
    const { stores } = this
    if (stores.length > 0) {
      // Made anew in each run: it knows which of two runs began later.
      return Effect.suspend(() => asEffect(new Watched(this, primary, input, sourced, stores)))
    }
    return sourced || this.classify !== Failure.classify
      ? asEffect(new Watched(this, primary, input, sourced, stores))
      : asEffect(new Covered(this, primary, input))
  }

  classified(exit: Exit.Exit<unknown, unknown>): Outcome.Outcome {
    return classified(this.name, this.classify, exit)
  }

  cover(exit: Exit.Exit<unknown, unknown>, outcome: Outcome.Outcome, input: unknown, sourced: boolean): AnyEffect {
    return new Descent(this, exit, outcome, input, sourced).from(0)
  }

  acts(tier: TierRun, outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>): boolean {
    try {
      return tier.acts(outcome, exit)
    } catch (defect) {
      fault(`${this.name}.${tier.name}.when`, defect)
      return false
    }
  }

  /** Tells of an answer; the effect, where there is one, warns once that the answer hides the failure from a policy. */
  served(tier: TierRun, failed: Failed, age: Duration.Duration | undefined): Effect.Effect<void> | undefined {
    const fiber = currentFiber()
    const observed = fiber.getFiberRef(ResilienceEvent.listeners) !== ResilienceEvent.noListeners
    const inside = observed || !this.warned ? policyAround(fiber) : undefined
    announce(fiber, () => ({
      _tag: "FallbackServed",
      at: nowOf(fiber),
      call: this.callOf(failed.error),
      fallback: this.name,
      tier: tier.name,
      kind: tier.kind,
      reason: failed.reason,
      outcome: failed.outcome,
      age,
      inside
    }))
    if (inside === undefined || this.warned) {
      return undefined
    }
    this.warned = true
    return Effect.logWarning(
      `The fallback ${this.name} answers inside the policy ${inside}, which takes the failure for a success; ` +
        "put the fallback outside"
    )
  }

  failed(tier: TierRun, failed: Failed, cause: Cause.Cause<unknown>): void {
    const fiber = currentFiber()
    announce(fiber, () => ({
      _tag: "FallbackFailed",
      at: nowOf(fiber),
      call: this.callOf(failed.error),
      fallback: this.name,
      tier: tier.name,
      kind: tier.kind,
      cause
    }))
  }

  /** The errors of our policies say whom they are about; other errors are about the dependency of the fallback. */
  private callOf(error: any): Call.Call | undefined {
    const dependency = this.dependency ?? (typeof error?.dependency === "string" ? error.dependency : undefined)
    return dependency === undefined ? undefined : {
      dependency,
      operation: undefined,
      requestId: undefined,
      attempt: typeof error?.attempt === "number" ? error.attempt : 1,
      maxAttempts: typeof error?.maxAttempts === "number" ? error.maxAttempts : 1,
      repeatable: true,
      key: undefined,
      criticality: "important",
      deadline: undefined
    }
  }
}

/** The usual way: only a failure is looked at. It holds nothing of one run, so that the effect can be run again. */
class Covered extends Caught {
  private readonly engine: Engine
  private readonly input: unknown
  constructor(engine: Engine, primary: AnyEffect, input: unknown) {
    super()
    this.engine = engine
    this.input = input
    this.effect_instruction_i0 = primary
  }
  effect_instruction_i1(cause: Cause.Cause<unknown>): AnyEffect {
    const exit = Exit.failCause(cause)
    return this.engine.cover(exit, this.engine.classified(exit), this.input, false)
  }
}

/**
 * The way that looks at successes too: to remember them, to say where they come from, or because a value can be a
 * failure.
 */
class Watched extends Matched {
  private readonly engine: Engine
  private readonly input: unknown
  private readonly sourced: boolean
  private readonly stores: ReadonlyArray<LastGood>
  private readonly tickets: ReadonlyArray<number>
  constructor(
    engine: Engine,
    primary: AnyEffect,
    input: unknown,
    sourced: boolean,
    stores: ReadonlyArray<LastGood>
  ) {
    super()
    this.engine = engine
    this.input = input
    this.sourced = sourced
    this.stores = stores
    this.tickets = stores.map((store) => store.ticket())
    this.effect_instruction_i0 = primary
  }
  effect_instruction_i1(cause: Cause.Cause<unknown>): AnyEffect {
    const exit = Exit.failCause(cause)
    return this.engine.cover(exit, this.engine.classified(exit), this.input, this.sourced)
  }
  effect_instruction_i2(value: unknown): AnyEffect {
    if (this.engine.classify !== Failure.classify) {
      const exit = Exit.succeed(value)
      const outcome = this.engine.classified(exit)
      if (outcome.class !== "Success") {
        return this.engine.cover(exit, outcome, this.input, this.sourced)
      }
    }
    this.stores.forEach((store, index) =>
      store.remember(this.input, value, this.tickets[index]!, nowOf(currentFiber()))
    )
    return Exit.succeed(this.sourced ? fromPrimary(value) : value)
  }
}

export const fromPrimary = <A>(value: A): Answer<A> => ({
  value,
  source: "primary",
  age: undefined,
  degraded: false,
  notice: undefined
})

/** One way down the tiers. */
class Descent {
  private readonly engine: Engine
  private readonly exit: Exit.Exit<unknown, unknown>
  private readonly failed: Failed<any>
  private readonly sourced: boolean
  private failures: Cause.Cause<unknown> | undefined = undefined

  constructor(
    engine: Engine,
    exit: Exit.Exit<unknown, unknown>,
    outcome: Outcome.Outcome,
    input: unknown,
    sourced: boolean
  ) {
    this.engine = engine
    this.exit = exit
    this.failed = failedOf(exit, outcome, input, false)
    this.sourced = sourced
  }

  from(first: number): AnyEffect {
    const { tiers } = this.engine
    for (let at = first; at < tiers.length; at++) {
      const tier = tiers[at]!
      if (!this.engine.acts(tier, this.failed.outcome, this.exit)) {
        continue
      }
      let effect: AnyEffect
      try {
        effect = this.start(tier)
      } catch (defect) {
        this.tierFailed(tier, Cause.die(defect))
        continue
      }
      // What is there already is taken in the same step: no interruption can come between.
      if (!Exit.isExit(effect)) {
        return Effect.matchCauseEffect(tier.limit === undefined ? effect : tier.limit(effect), {
          onFailure: (cause) => {
            this.tierFailed(tier, cause)
            return this.from(at + 1)
          },
          onSuccess: (value) => this.answer(tier, value, undefined, true)
        })
      }
      if (effect._tag === "Success") {
        return tier.store === undefined
          ? this.answer(tier, effect.value, undefined, true)
          : this.remembered(tier, effect.value as Found)
      }
      this.tierFailed(tier, effect.cause)
    }
    return this.exhausted()
  }

  private start(tier: TierRun): AnyEffect {
    return tier.store === undefined ? tier.run(this.failed) : tier.store.find(this.failed.input, nowOf(currentFiber()))
  }

  private remembered(tier: TierRun, found: Found): AnyEffect {
    return this.answer(tier, found.value, found.age, !found.fresh)
  }

  private answer(tier: TierRun, value: unknown, age: Duration.Duration | undefined, degraded: boolean): AnyEffect {
    const warning = this.engine.served(tier, this.failed, age)
    const answer: unknown = this.sourced
      ? { value, source: tier.name, age, degraded, notice: degraded ? tier.notice : undefined }
      : value
    return warning === undefined ? Exit.succeed(answer) : Effect.as(warning, answer)
  }

  private tierFailed(tier: TierRun, cause: Cause.Cause<unknown>): void {
    this.failures = this.failures === undefined ? cause : Cause.sequential(this.failures, cause)
    this.engine.failed(tier, this.failed, cause)
  }

  /** Nobody answered: the end of the primary comes out, and what the tiers came to stands behind it. */
  private exhausted(): AnyEffect {
    if (this.exit._tag === "Success") {
      return this.sourced ? Exit.succeed(fromPrimary(this.exit.value)) : this.exit
    }
    return this.failures === undefined
      ? this.exit
      : Exit.failCause(Cause.sequential(this.exit.cause, this.failures))
  }
}

/** The engine behind a fallback. */
export const EngineId: unique symbol = Symbol.for("@holdfast/core/Fallback/engine")

/** The callable value: the same engine gives plain values or answers that know their source. */
export const callable = (engine: Engine, sourced: boolean): any => {
  const self = (primary: AnyEffect): AnyEffect => engine.apply(primary, undefined, sourced)
  const fixed: Record<PropertyKey, unknown> = {
    [TypeId]: TypeId,
    [EngineId]: engine,
    name: engine.name,
    tiers: Object.freeze(
      engine.tiers.map(({ kind, name, notice, when, withinMillis }) =>
        Object.freeze({ name, kind, when, withinMillis, notice })
      )
    ),
    with: (input: unknown) => (primary: AnyEffect): AnyEffect => engine.apply(primary, input, sourced)
  }
  for (const key of Reflect.ownKeys(fixed)) {
    Object.defineProperty(self, key, { value: fixed[key], enumerable: key === "name" || key === "tiers" })
  }
  return self
}

/** The engine behind a fallback; anything else is a bug of the caller. */
export const engineOf = (fallback: any, owner: string): Engine => {
  const engine = fallback?.[EngineId]
  if (engine === undefined) {
    const allowed = "a fallback, made by Fallback.make, tiers, catchTags or orElse"
    throw new InvalidOptions({ owner, findings: [{ field: "fallback", value: fallback, allowed }] })
  }
  return engine
}
