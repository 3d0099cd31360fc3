/**
 * The running pieces of a dependency: made from its slots, composed in the order of the standard stack, changed while calls run.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Bulkhead from "../Bulkhead.js"
import * as Chaos from "../Chaos.js"
import * as CircuitBreaker from "../CircuitBreaker.js"
import type * as Failure from "../Failure.js"
import * as Lint from "../Lint.js"
import { UnsafePolicy } from "../LiveDependency.js"
import { type Finding, InvalidOptions } from "../Options.js"
import type * as Policy from "../Policy.js"
import * as RateLimiter from "../RateLimiter.js"
import * as Retry from "../Retry.js"
import * as RetryBudget from "../RetryBudget.js"
import * as Standard from "../Standard.js"
import * as Timeout from "../Timeout.js"
import type { DeclaredFacts } from "./declaredFacts.js"
import { changeable, effective, isRecord, type Settings, type Slot, slotNames, type Slots } from "./dependencySlots.js"

/**
 * The pieces of a dependency, or those that an operation has for itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pieces {
  totalTimeout?: Policy.Policy.Any | undefined
  bulkhead?: Bulkhead.Bulkhead | undefined
  circuitBreaker?: CircuitBreaker.CircuitBreaker | undefined
  retry?: Policy.Policy.Any | undefined
  retryBudget?: RetryBudget.RetryBudget | undefined
  rateLimiter?: RateLimiter.RateLimiter | undefined
  attemptTimeout?: Policy.Policy.Any | undefined
  chaos?: Policy.Policy.Any | undefined
}

/** What the pieces of one place need to know of the whole. */
interface Place {
  readonly dependency: string
  /** `payments`, or `payments.charge` for the pieces of an operation. */
  readonly prefix: string
  /** Where findings are, `operations.charge.`. */
  readonly at: string
  readonly classify: Failure.Classify | undefined
  readonly findings: Array<Finding>
  /** The longest attempt of all calls that a breaker here may see, in milliseconds. */
  readonly attempt: number | undefined
  readonly sharedBudget: RetryBudget.RetryBudget | undefined
}

/** Makes one piece; what is wrong with it is a finding beside those about the others. */
const piece = <A>(place: Place, slot: string, make: Effect.Effect<A>): Effect.Effect<A | undefined> =>
  Effect.catchAllDefect(make, (defect) => {
    if (!(defect instanceof InvalidOptions)) {
      return Effect.die(defect)
    }
    for (const { allowed, field, value } of defect.findings) {
      place.findings.push({
        field: place.at + (field === "limit" || field === "options" ? slot : `${slot}.${field}`),
        value,
        allowed
      })
    }
    return Effect.succeed(undefined)
  })

const withoutScope = (options: any): any => {
  const { scope: _, ...rest } = options
  return rest
}

const scopeOf = (slot: Slot | undefined, otherwise: "call" | "attempt"): "call" | "attempt" =>
  slot?.options?.scope ?? otherwise

const breakerOptions = (slot: Slot, place: Place) => {
  const options = withoutScope(slot.options)
  return {
    ...options,
    probeTimeout: options.probeTimeout ??
      (place.attempt === undefined ? undefined : Standard.probeTimeoutAfter(place.attempt))
  }
}

const makePieces = (slots: Slots, place: Place): Effect.Effect<Pieces> =>
  Effect.gen(function*() {
    const { classify, dependency, prefix } = place
    const named = (slot: string) => ({ name: `${prefix}.${slot}`, dependency })
    const pieces: Pieces = {}
    const { attemptTimeout, bulkhead, chaos, circuitBreaker, rateLimiter, retry, totalTimeout } = slots
    for (const slot of ["circuitBreaker", "rateLimiter"] as const) {
      const scope = slots[slot]?.options?.scope
      if (scope !== undefined && scope !== "call" && scope !== "attempt") {
        place.findings.push({
          field: `${place.at}${slot}.scope`,
          value: scope,
          allowed: "one of \"call\", \"attempt\""
        })
      }
    }
    for (const slot of slotNames.filter((name) => changeable[name] !== undefined)) {
      const options = slots[slot]?.options
      if (options !== undefined && !isRecord(options)) {
        place.findings.push({ field: place.at + slot, value: options, allowed: "a record of options, or false" })
      }
    }
    if (place.findings.some(({ field }) => slotNames.some((slot) => field === place.at + slot))) {
      return pieces
    }
    if (totalTimeout?.options !== undefined) {
      pieces.totalTimeout = yield* piece(
        place,
        "totalTimeout",
        Effect.sync(() => Timeout.make(totalTimeout.options, { scope: "total", ...named("totalTimeout") }))
      )
    }
    if (bulkhead?.options !== undefined) {
      pieces.bulkhead = yield* piece(place, "bulkhead", Bulkhead.make({ ...effective(bulkhead), ...named("bulkhead") }))
    }
    if (circuitBreaker?.options !== undefined) {
      const options = { ...breakerOptions(circuitBreaker, place), classify, ...named("circuitBreaker") }
      pieces.circuitBreaker = yield* piece(place, "circuitBreaker", CircuitBreaker.make(options))
    }
    if (retry?.options !== undefined) {
      const { budget } = retry.options
      pieces.retryBudget = budget === false || (budget === undefined && place.sharedBudget !== undefined)
        ? undefined
        : RetryBudget.isRetryBudget(budget)
        ? budget
        : yield* piece(place, "retry.budget", RetryBudget.make(budget))
      pieces.retry = yield* piece(place, "retry", Effect.sync(() => makeRetry(retry, pieces.retryBudget, place)))
    }
    if (rateLimiter?.options !== undefined) {
      const options = { ...withoutScope(effective(rateLimiter)), ...named("rateLimiter") }
      pieces.rateLimiter = yield* piece(place, "rateLimiter", RateLimiter.make(options))
    }
    if (attemptTimeout?.options !== undefined) {
      pieces.attemptTimeout = yield* piece(
        place,
        "attemptTimeout",
        Effect.sync(() => Timeout.make(attemptTimeout.options, named("attemptTimeout")))
      )
    }
    if (chaos?.options !== undefined) {
      const make = Effect.sync(() => Chaos.make({ ...chaos.options, ...named("chaos") }))
      pieces.chaos = yield* piece(place, "chaos", make)
    }
    return pieces
  })

/** The retries of an operation draw on the budget of the dependency, unless it asks for one of its own. */
const makeRetry = (slot: Slot, own: RetryBudget.RetryBudget | undefined, place: Place): Policy.Policy.Any => {
  const { budget, ...options } = slot.options
  return Retry.make({
    ...options,
    budget: budget === undefined ? own ?? place.sharedBudget : own,
    classify: place.classify,
    name: `${place.prefix}.retry`,
    dependency: place.dependency
  })
}

/**
 * All pieces of a dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stack {
  readonly base: Pieces
  readonly operations: ReadonlyMap<string, Pieces>
}

/** The longest attempt that the breaker of the dependency may see: a probe that takes longer hangs. */
const longestAttempt = ({ operations, slots }: Settings): number | undefined => {
  const sharing = [...operations.values()].filter((own) => own.circuitBreaker === undefined)
  let longest = 0
  for (const { attemptTimeout } of [slots, ...sharing.map((own) => ({ ...slots, ...own }))]) {
    const limit = attemptTimeout?.on === true ? Duration.decodeUnknown(attemptTimeout.options) : Option.none()
    if (Option.isNone(limit)) {
      return undefined
    }
    longest = Math.max(longest, Duration.toMillis(limit.value))
  }
  return longest
}

const basePlace = (dependency: string, settings: Settings, findings: Array<Finding>): Place => ({
  dependency,
  prefix: dependency,
  at: "",
  classify: settings.classify,
  findings,
  attempt: longestAttempt(settings),
  sharedBudget: undefined
})

const placeOf = (base: Place, operation: string, settings: Settings, sharedBudget: Pieces["retryBudget"]): Place => {
  const own = settings.operations.get(operation)
  return {
    ...base,
    prefix: `${base.dependency}.${operation}`,
    at: `operations.${operation}.`,
    attempt: longestAttempt({ ...settings, slots: { ...settings.slots, ...own }, operations: new Map() }),
    sharedBudget
  }
}

/**
 * Makes every piece; what is wrong with the settings is added to the findings, and such a piece is missing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeStack = (dependency: string, settings: Settings, findings: Array<Finding>): Effect.Effect<Stack> =>
  Effect.gen(function*() {
    const place = basePlace(dependency, settings, findings)
    const base = yield* makePieces(settings.slots, place)
    const operations = new Map<string, Pieces>()
    for (const [operation, own] of settings.operations) {
      operations.set(operation, yield* makePieces(own, placeOf(place, operation, settings, base.retryBudget)))
    }
    return { base, operations }
  })

/** What holds no state is the fresh one. */
const carryPieces = (live: Pieces, fresh: Pieces, before: Slots, next: Slots, place: Place): Effect.Effect<Pieces> =>
  Effect.gen(function*() {
    const isNew = (slot: keyof Slots) => before[slot]?.options !== next[slot]?.options
    const { bulkhead, circuitBreaker, rateLimiter, retryBudget } = live
    if (bulkhead !== undefined && isNew("bulkhead")) {
      yield* bulkhead.resize({ maxQueue: 0, ...effective(next.bulkhead!) })
    }
    if (circuitBreaker !== undefined) {
      const { classify: _, when: __, ...numbers } = breakerOptions(next.circuitBreaker!, place)
      yield* circuitBreaker.renumber(numbers)
    }
    if (rateLimiter !== undefined && isNew("rateLimiter")) {
      const options = effective(next.rateLimiter!)
      yield* rateLimiter.reconfigure(
        Object.fromEntries(changeable.rateLimiter!.filter((key) => key in options).map((key) => [key, options[key]]))
      )
    }
    if (retryBudget?.reconfigure !== undefined && before.retry?.options.budget !== next.retry?.options.budget) {
      yield* retryBudget.reconfigure(next.retry!.options.budget)
    }
    return {
      ...fresh,
      bulkhead,
      circuitBreaker,
      rateLimiter,
      retryBudget,
      retry: next.retry?.options === undefined ? undefined : makeRetry(next.retry, retryBudget, place)
    }
  })

/**
 * The live pieces with the numbers of the next settings: what holds state goes on with it, the rest is taken from the fresh ones.
 *
 * @since 0.1.0
 * @category combinators
 */
export const carryOver = (
  live: Stack,
  fresh: Stack,
  dependency: string,
  before: Settings,
  next: Settings
): Effect.Effect<Stack> =>
  Effect.gen(function*() {
    const place = basePlace(dependency, next, [])
    const base = yield* carryPieces(live.base, fresh.base, before.slots, next.slots, place)
    const operations = new Map<string, Pieces>()
    for (const [operation, own] of next.operations) {
      operations.set(
        operation,
        yield* carryPieces(
          live.operations.get(operation)!,
          fresh.operations.get(operation)!,
          before.operations.get(operation)!,
          own,
          placeOf(place, operation, next, base.retryBudget)
        )
      )
    }
    return { base, operations }
  })

// -- policies ----------------------------------------------------------------

/**
 * The policies of a dependency, compiled.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policies {
  readonly base: Policy.Policy.Any
  readonly operations: ReadonlyMap<string, Policy.Policy.Any>
}

/** A slot that an operation has for itself takes the place of the dependency's. */
const policyOf = (slots: Slots, pieces: Pieces, declared?: DeclaredFacts): Policy.Policy.Any => {
  const on = (slot: keyof Slots): Policy.Policy.Any | undefined => slots[slot]?.on === true ? pieces[slot] : undefined
  return Standard.inOrder(
    {
      totalTimeout: on("totalTimeout"),
      bulkhead: on("bulkhead"),
      circuitBreaker: on("circuitBreaker"),
      retry: on("retry"),
      rateLimiter: on("rateLimiter"),
      attemptTimeout: on("attemptTimeout"),
      chaos: on("chaos")
    },
    scopeOf(slots.circuitBreaker, "call"),
    scopeOf(slots.rateLimiter, "attempt"),
    declared
  )
}

const overlay = (base: Pieces, own: Pieces, slots: Slots): Pieces => {
  const pieces: any = { ...base }
  for (const slot of slotNames) {
    if (slot in slots) {
      pieces[slot] = own[slot]
    }
  }
  return pieces
}

/**
 * Composes the policy of the dependency and those of its operations.
 *
 * @since 0.1.0
 * @category constructors
 */
export const policiesOf = (settings: Settings, stack: Stack): Policies => ({
  base: policyOf(settings.slots, stack.base, { operations: settings.facts }),
  operations: new Map(
    [...settings.operations].map(([operation, own]) => [
      operation,
      policyOf(
        { ...settings.slots, ...own },
        overlay(stack.base, stack.operations.get(operation)!, own),
        settings.facts.get(operation)
      )
    ])
  )
})

/**
 * Lints all policies: errors fail, warnings are logged; what several have in common is said once.
 *
 * @since 0.1.0
 * @category combinators
 */
export const lintAll = (
  dependency: string,
  settings: Settings,
  policies: Policies
): Effect.Effect<void, UnsafePolicy> =>
  Effect.suspend(() => {
    const all = new Map<string, Lint.Finding>()
    for (const [operation, policy] of [[undefined, policies.base] as const, ...policies.operations]) {
      for (const finding of Lint.lint(policy, settings.around(operation))) {
        all.set(JSON.stringify(finding), finding)
      }
    }
    const of = (severity: Lint.Finding["severity"]) =>
      [...all.values()].filter((finding) => finding.severity === severity)
    const errors = of("error")
    const warnings = Effect.forEach(
      of("warning"),
      ({ at, because, instead, rule }) =>
        Effect.annotateLogs(Effect.logWarning(`${rule} at ${at}: ${because}; ${instead}`), { dependency, rule }),
      { discard: true }
    )
    return errors.length === 0
      ? warnings
      : Effect.zipRight(warnings, new UnsafePolicy({ dependency, findings: errors }))
  })
