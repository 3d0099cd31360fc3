/**
 * The standard stack of one dependency, in an order that is fixed by its slots.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Bulkhead from "./Bulkhead.js"
import * as Chaos from "./Chaos.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import type * as Failure from "./Failure.js"
import type { DeclaredFacts } from "./internal/declaredFacts.js"
import * as Keyed from "./Keyed.js"
import { InvalidOptions, Validation } from "./Options.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as RetryBudget from "./RetryBudget.js"
import * as Step from "./Step.js"
import * as Timeout from "./Timeout.js"

/**
 * The slots of the standard stack. A slot left out has its default, `false` removes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface StandardOptions<Injected extends { readonly _tag: string } = Chaos.InjectedFailure> {
  /** Bounds the call with all its attempts and waits. Default 10 seconds. */
  readonly totalTimeout?: Duration.DurationInput | false | undefined
  /** How many calls run at once. Off by default: it needs your number. */
  readonly bulkhead?: Omit<Bulkhead.Options, "name" | "dependency"> | false | undefined
  /** On by default, with `scope: "call"`: one end per call. `"attempt"` puts it inside the retry: one end per attempt. */
  readonly circuitBreaker?:
    | (Omit<CircuitBreaker.Options, "name" | "dependency" | "classify"> & {
      readonly scope?: "call" | "attempt" | undefined
    })
    | false
    | undefined
  /** Default 2 retries, exponential from 200 ms x 2 up to 5 s with full jitter, within a budget of 20 % + 1 per second. */
  readonly retry?:
    | (Omit<Retry.Options, "name" | "dependency" | "classify" | "budget"> & {
      /** A budget shared with others, the numbers of an own one, or `false` for none. */
      readonly budget?: RetryBudget.RetryBudget | RetryBudget.Options | false | undefined
    })
    | false
    | undefined
  /** Off by default: it needs your number. `scope: "attempt"` (default) lets every attempt pay, `"call"` only the call. */
  readonly rateLimiter?:
    | (Omit<RateLimiter.Options, "name" | "dependency"> & { readonly scope?: "call" | "attempt" | undefined })
    | false
    | undefined
  /** Bounds one attempt. Default 3 seconds. */
  readonly attemptTimeout?: Duration.DurationInput | false | undefined
  /** A place for injected faults, innermost. Off by default; `true` has the faults of the toolkit. Without `Chaos.layer` nothing happens there. */
  readonly chaos?: Chaos.Looks<Injected> | boolean | undefined
  /** What ends mean, for retry and breaker alike. Default `Failure.classify`. */
  readonly classify?: Failure.Classify | undefined
}

/**
 * The error that each slot adds.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotErrors {
  readonly totalTimeout: Timeout.TimedOut
  readonly bulkhead: Bulkhead.BulkheadFull
  readonly circuitBreaker: CircuitBreaker.CircuitOpen
  readonly rateLimiter: RateLimiter.RateLimited
  readonly attemptTimeout: Timeout.TimedOut
}

/** The slots that are on without being asked for. */
type OnByDefault = "totalTimeout" | "circuitBreaker" | "attemptTimeout"

type SlotsOn<O> = {
  [K in keyof SlotErrors]: K extends keyof O
    ? [Exclude<O[K], false | undefined>] extends [never] ? undefined extends O[K] ? K & OnByDefault : never
    : K
    : K & OnByDefault
}[keyof SlotErrors]

/** How the place for faults is declared. */
type PlaceOf<O> = "chaos" extends keyof O ? O["chaos" & keyof O] : false

/** A record with the known fields only: `const O extends Options` alone would accept misspelt ones. */
type Known<Given, Allowed> = {
  [K in keyof Given]: K extends keyof Allowed ? Allowed[K] : never
}

type KnownSlots<O> = {
  [K in keyof O]: K extends "bulkhead" | "circuitBreaker" | "retry" | "rateLimiter" | "chaos"
    ? O[K] extends boolean | undefined ? O[K] : Known<O[K], Exclude<StandardOptions<any>[K], boolean | undefined>>
    : K extends keyof StandardOptions ? StandardOptions[K]
    : never
}

/**
 * The standard policy of a dependency, with the pieces that hold its state.
 *
 * @since 0.1.0
 * @category models
 */
export interface Standard<E> extends Step.Policy<E> {
  readonly dependency: string
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
  readonly bulkhead: Bulkhead.Bulkhead | undefined
  readonly rateLimiter: RateLimiter.RateLimiter | undefined
  readonly retryBudget: RetryBudget.RetryBudget | undefined
}

/**
 * The numbers of the standard stack. They pass our own arithmetic: 3 attempts x 3 s + 0.2 s + 0.4 s = 9.6 s within 10 s.
 *
 * @example
 * import * as Standard from "@holdfast/core/Standard"
 *
 * console.log(Standard.defaults.attemptTimeout) // "3 seconds"
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaults = {
  totalTimeout: "10 seconds",
  attemptTimeout: "3 seconds"
} as const

const scopes = ["call", "attempt"] as const

/** The options of a slot that is on. What the policy names itself is no field of a slot. */
const slot = <O extends object>(check: Validation, given: O | false | undefined, name: string): O | undefined => {
  if (given === undefined || given === false) {
    return undefined
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    check.add(name, given, "a record of options, or false")
    return {} as O
  }
  check.entries(name, given)
  for (const field of ["name", "dependency", "classify"]) {
    if (field in given) {
      check.add(`${name}.${field}`, given[field as keyof O], "left out: the policy sets it for all its slots")
    }
  }
  return given
}

/** Makes the piece of one slot; what is wrong with it is a finding about the slot, beside those about the others. */
const part = <A>(check: Validation, slot: string, make: Effect.Effect<A>): Effect.Effect<A | undefined> =>
  Effect.catchAllDefect(make, (defect) => {
    if (!(defect instanceof InvalidOptions)) {
      return Effect.die(defect)
    }
    for (const { allowed, field, value } of defect.findings) {
      // Given by the policy to several slots, and found already.
      if (field === "classify") {
        continue
      }
      const path = field === "limit" || field === "options" ? slot : `${slot}.${field}`
      if (!check.findings.some((finding) => finding.field === path || finding.field === slot)) {
        check.add(path, value, allowed)
      }
    }
    return Effect.succeed(undefined)
  })

const slotNames = [
  "totalTimeout",
  "bulkhead",
  "circuitBreaker",
  "retry",
  "rateLimiter",
  "attemptTimeout",
  "chaos",
  "classify"
]

/**
 * A probe that hangs ends with its attempt timeout. Its slot is taken back a quarter later, so that its failure still counts:
 * taken back in the same millisecond, it would be a late result.
 *
 * @internal
 */
export const probeTimeoutAfter = (attempt: Duration.DurationInput): Duration.Duration =>
  Duration.times(Duration.decode(attempt), 1.25)

type Place = "call" | "attempt"

/**
 * Composes the pieces of a stack in the one order there is, outermost first.
 *
 * @internal
 */
export const inOrder = (
  pieces: {
    readonly totalTimeout?: Step.Policy<any, any> | undefined
    readonly bulkhead?: Step.Policy<any, any> | undefined
    readonly circuitBreaker?: Step.Policy<any, any> | undefined
    readonly retry?: Step.Policy<any, any> | undefined
    readonly rateLimiter?: Step.Policy<any, any> | undefined
    readonly attemptTimeout?: Step.Policy<any, any> | undefined
    readonly chaos?: Step.Policy<any, any> | undefined
  },
  breakerScope: Place,
  limiterScope: Place,
  declared?: DeclaredFacts
): Step.Policy<any, any> => {
  const layers = [
    pieces.totalTimeout,
    limiterScope === "call" ? pieces.rateLimiter : undefined,
    pieces.bulkhead,
    breakerScope === "call" ? pieces.circuitBreaker : undefined,
    pieces.retry,
    breakerScope === "attempt" ? pieces.circuitBreaker : undefined,
    limiterScope === "attempt" ? pieces.rateLimiter : undefined,
    pieces.attemptTimeout,
    pieces.chaos
  ]
  return Step.policy(layers.flatMap((layer) => layer === undefined ? [] : Step.partsOf(layer)), undefined, declared)
}

/** The policies that are alive, by name: a second one of the same name shares nothing with the first. */
const alive = globalValue(
  Symbol.for("@holdfast/core/Policy/alive"),
  () => new Map<string, { readonly policy: WeakRef<Step.Policy<any, any>>; readonly warned: boolean }>()
)

/** From so many names on those of policies that are gone are taken out. */
let mostAlive = 1000

const forgetTheDead = (): void => {
  for (const [name, { policy }] of alive) {
    if (policy.deref() === undefined) {
      alive.delete(name)
    }
  }
  // Twice as many as live: however many do, a name costs the same.
  mostAlive = Math.max(1000, 2 * alive.size)
}

const warnOfTwins = (name: string, policy: Step.Policy<any, any>): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(Keyed.isBuilding), (keyed) => {
    // A weak reference that was made or read holds its target for the rest of the turn: with many new keys in one turn, all of them.
    if (keyed) {
      return Effect.void
    }
    const known = alive.get(name)
    const twin = known?.policy.deref() !== undefined
    const quiet = !twin || known?.warned === true
    alive.delete(name)
    // Said once: whoever builds one per call would fill the log with it.
    alive.set(name, { policy: new WeakRef(policy), warned: twin })
    if (alive.size > mostAlive) {
      forgetTheDead()
    }
    return quiet ? Effect.void : Effect.logWarning(
      `Policy.standard(${
        JSON.stringify(name)
      }) was built again while the first one is alive: their breakers and bulkheads ` +
        "do not see each other's calls, and a policy that is built per call never trips. Build it once and keep it"
    )
  })

/**
 * The standard stack of one dependency. The order is fixed by the slots, outermost first: total timeout, bulkhead, circuit breaker,
 * retry, rate limiter, attempt timeout, place for faults, call. A fallback goes outside all of it.
 *
 * It is an effect because breaker, bulkhead, limiter and budget are state: build it once per dependency and keep it. The error
 * type has exactly the errors of the slots that are on.
 *
 * @example
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* Policy.standard("payments", { bulkhead: { maxConcurrent: 20 } })
 *   return yield* Effect.succeed("charged").pipe(
 *     payments,
 *     Effect.catchTag("CircuitOpen", () => Effect.succeed("pending"))
 *   )
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const O extends StandardOptions<any> = {}>(
  name: string,
  options?: O & KnownSlots<O>
): Effect.Effect<Standard<SlotErrors[SlotsOn<O>] | Chaos.FailureOf<PlaceOf<O>>>> =>
  Effect.gen(function*() {
    const given: StandardOptions<any> = options === undefined ? {} : options
    const check = new Validation("Policy.standard")
    check.text("name", name)
    check.record(given, slotNames)
    if (given.classify !== undefined) {
      check.callable("classify", given.classify)
    }
    const { classify } = given
    const known = check.findings.some((finding) => finding.field === "name") ? "policy" : name
    const piece = (slot: string) => ({ name: `${known}.${slot}`, dependency: known })
    const limits = {
      total: given.totalTimeout ?? defaults.totalTimeout,
      attempt: given.attemptTimeout ?? defaults.attemptTimeout
    }
    const totalTimeout = limits.total === false
      ? undefined
      : yield* part(
        check,
        "totalTimeout",
        Effect.sync(() =>
          Timeout.make(limits.total as Duration.DurationInput, { scope: "total", ...piece("totalTimeout") })
        )
      )
    const attemptTimeout = limits.attempt === false
      ? undefined
      : yield* part(
        check,
        "attemptTimeout",
        Effect.sync(() => Timeout.make(limits.attempt as Duration.DurationInput, piece("attemptTimeout")))
      )
    const bulkheadOptions = slot(check, given.bulkhead, "bulkhead")
    const bulkhead = bulkheadOptions === undefined
      ? undefined
      : yield* part(check, "bulkhead", Bulkhead.make({ ...bulkheadOptions, ...piece("bulkhead") }))
    const { scope: breakerScope = "call", ...breakerOptions } =
      slot(check, given.circuitBreaker ?? {}, "circuitBreaker") ?? {}
    check.oneOf("circuitBreaker.scope", breakerScope, scopes)
    const circuitBreaker = given.circuitBreaker === false
      ? undefined
      : yield* part(
        check,
        "circuitBreaker",
        CircuitBreaker.make({
          ...breakerOptions,
          probeTimeout: breakerOptions.probeTimeout ??
            (attemptTimeout === undefined ? undefined : probeTimeoutAfter(limits.attempt as Duration.DurationInput)),
          classify,
          ...piece("circuitBreaker")
        })
      )
    const { budget, ...retryOptions } = slot(check, given.retry ?? {}, "retry") ?? {}
    const retryBudget = given.retry === false || budget === false
      ? undefined
      : RetryBudget.isRetryBudget(budget)
      ? budget
      : yield* part(check, "retry.budget", RetryBudget.make(budget))
    const retry = given.retry === false ?
      undefined :
      yield* part(
        check,
        "retry",
        Effect.sync(() => Retry.make({ ...retryOptions, budget: retryBudget, classify, ...piece("retry") }))
      )
    const limiterSlot = slot(check, given.rateLimiter, "rateLimiter")
    const { scope: limiterScope = "attempt", ...limiterOptions } = limiterSlot ?? {}
    check.oneOf("rateLimiter.scope", limiterScope, scopes)
    const rateLimiter = limiterSlot === undefined
      ? undefined
      : yield* part(
        check,
        "rateLimiter",
        RateLimiter.make({
          ...(limiterOptions as RateLimiter.Rate),
          ...piece("rateLimiter")
        })
      )
    const looks = slot(check, given.chaos === true ? {} : given.chaos, "chaos")
    const chaos = looks === undefined
      ? undefined
      : yield* part(check, "chaos", Effect.sync(() => Chaos.make({ ...looks, ...piece("chaos") })))
    check.done()
    const policy = Object.assign(
      inOrder(
        { totalTimeout, bulkhead, circuitBreaker, retry, rateLimiter, attemptTimeout, chaos },
        breakerScope,
        limiterScope
      ),
      { dependency: name, circuitBreaker, bulkhead, rateLimiter, retryBudget }
    )
    yield* warnOfTwins(name, policy)
    return policy as any
  })
