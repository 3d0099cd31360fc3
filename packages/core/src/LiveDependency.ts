/**
 * What can be read and done at a live dependency: its state, the changes that its numbers take, and the errors of both.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as PubSub from "effect/PubSub"
import type * as Call from "./Call.js"
import type * as CircuitBreaker from "./CircuitBreaker.js"
import type { State } from "./CircuitBreakerMachine.js"
import type * as Lint from "./Lint.js"
import { describeFinding } from "./Options.js"
import type * as Policy from "./Policy.js"
import type * as RateLimiter from "./RateLimiter.js"

/**
 * The slots that a dependency can declare, outermost first.
 *
 * @since 0.1.0
 * @category models
 */
export type SlotName = keyof Omit<Policy.StandardOptions, "classify">

/**
 * New numbers for the slots that a dependency or an operation declares. What is left out stays as it is; `false` switches a slot
 * off, and numbers (`{}` is enough) switch it on again.
 *
 * | slot | what is kept |
 * | --- | --- |
 * | `totalTimeout`, `attemptTimeout` | calls in progress keep the limit that they began with |
 * | `retry` | calls in progress keep their plan; retries earned in the budget stay earned, later calls earn the new share |
 * | `bulkhead` | all permits and places; more permits go to those who wait at once, with fewer nobody is stopped |
 * | `circuitBreaker` | state, generation and the end of an open period; the counts of a window that keeps its shape |
 * | `rateLimiter` | each bucket keeps its share of the capacity, those who wait go on at the new rate |
 * | `chaos` | its faults look as they were declared; it can only be switched off and on |
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotChanges {
  readonly totalTimeout?: Duration.DurationInput | false | undefined
  readonly attemptTimeout?: Duration.DurationInput | false | undefined
  readonly bulkhead?:
    | { readonly maxConcurrent?: number; readonly maxQueue?: number; readonly maxWait?: Duration.DurationInput }
    | false
    | undefined
  readonly circuitBreaker?:
    | Partial<Omit<CircuitBreaker.Options, "name" | "dependency" | "when" | "classify">>
    | false
    | undefined
  readonly retry?:
    | Pick<Exclude<Policy.StandardOptions["retry"], false | undefined>, "maxRetries" | "schedule" | "budget">
    | false
    | undefined
  readonly rateLimiter?:
    | (Partial<RateLimiter.Rate> & Pick<RateLimiter.Options, "maxWait" | "maxQueue" | "dryRun">)
    | false
    | undefined
  readonly chaos?: { readonly [number: string]: never } | false | undefined
}

/**
 * New numbers for a dependency and for its operations.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change extends SlotChanges {
  readonly operations?: { readonly [operation: string]: SlotChanges } | undefined
}

/**
 * Settings from the environment, or of a live reconfiguration, are wrong: all of them at once, each with its path, its value and
 * what is allowed. Nothing was changed.
 *
 * @example
 * import { InvalidSettings } from "@holdfast/core/LiveDependency"
 *
 * const findings = [{ path: "retry.maxRetries", value: -1, allowed: "a whole number from 0 to 1000" }]
 *
 * console.log(new InvalidSettings({ dependency: "payments", findings }).message)
 * // The settings of payments are wrong:
 * //   retry.maxRetries is -1, allowed is a whole number from 0 to 1000
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidSettings extends Data.TaggedError("InvalidSettings")<{
  readonly dependency: string
  readonly findings: ReadonlyArray<{
    /** The variable `PAYMENTS_RETRY_MAX_RETRIES`, or the field `retry.maxRetries`. */
    readonly path: string
    readonly value: unknown
    readonly allowed: string
  }>
}> {
  override get message(): string {
    return `The settings of ${this.dependency} are wrong:\n` + this.findings
      .map(({ allowed, path, value }) => `  ${describeFinding(path, show(value), allowed)}`)
      .join("\n")
  }
}

const show = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

/**
 * The linter found errors in the policy of a dependency. Nothing was built or changed.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as Effect from "effect/Effect"
 *
 * class Payments extends Dependency.Service<Payments>()("payments", { lint: { sla: "5 seconds" } }) {}
 *
 * const program = Effect.void.pipe(
 *   Effect.provide(Payments.layer),
 *   Effect.catchTag("UnsafePolicy", (error) => Effect.log(error.findings[0]?.rule)) // worst-case-beyond-sla
 * )
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category errors
 */
export class UnsafePolicy extends Data.TaggedError("UnsafePolicy")<{
  readonly dependency: string
  readonly findings: ReadonlyArray<Lint.Finding>
}> {
  override get message(): string {
    return `The policy of ${this.dependency} is not safe:\n` + this.findings
      .map(({ at, because, instead, rule }) => `  ${rule} at ${at}: ${because}; ${instead}`)
      .join("\n")
  }
}

/**
 * The dependency has no such slot, or it is switched off.
 *
 * @example
 * import { SlotOff } from "@holdfast/core/LiveDependency"
 *
 * console.log(new SlotOff({ dependency: "payments", slot: "circuitBreaker" }).message)
 * // The dependency payments has no circuitBreaker that is on
 *
 * @since 0.1.0
 * @category errors
 */
export class SlotOff extends Data.TaggedError("SlotOff")<{ readonly dependency: string; readonly slot: SlotName }> {
  override get message(): string {
    return `The dependency ${this.dependency} has no ${this.slot} that is on`
  }
}

/**
 * What the pieces of a dependency, or the own pieces of an operation, hold now. `undefined` where there is no such piece; `on` is
 * `false` for one that is switched off.
 *
 * @since 0.1.0
 * @category models
 */
export interface PieceStates {
  readonly circuitBreaker: {
    readonly on: boolean
    readonly state: State
    /** When the state began, in milliseconds since 1970. */
    readonly since: number
    readonly inState: Duration.Duration
    readonly trips: number
    /** Milliseconds that the breaker has spent in each state since it was made. */
    readonly millisIn: Readonly<Record<State["_tag"], number>>
    readonly calls: number
    readonly failures: number
    readonly dryRun: boolean
    /** Calls let through in a dry run that would have been rejected. */
    readonly wouldHaveRejected: number
  } | undefined
  readonly bulkhead: {
    readonly on: boolean
    readonly active: number
    readonly queued: number
    readonly maxConcurrent: number
    readonly maxQueue: number
    readonly rejected: number
  } | undefined
  readonly rateLimiter: {
    readonly on: boolean
    /** Tokens in the bucket; with keys, in that of a call without a key. */
    readonly remaining: number
    readonly limit: number
    readonly queued: number
    readonly dryRun: boolean
    /** Calls let through in a dry run that would have been refused. */
    readonly wouldHaveRefused: number
    readonly decisions: RateLimiter.Decisions
  } | undefined
  readonly retryBudget: { readonly balance: number } | undefined
}

/**
 * A dependency as it is now.
 *
 * @since 0.1.0
 * @category models
 */
export interface DependencyState extends PieceStates {
  readonly dependency: string
  /** The highest that its operations declare; `undefined` where none is declared. */
  readonly criticality: Call.Criticality | undefined
  /** The operations that have pieces of their own. */
  readonly operations: { readonly [operation: string]: PieceStates }
}

/**
 * What can be read and done at a live dependency. `isolate`, `disable` and `reset` act on its breaker and on those that its operations
 * have for themselves.
 *
 * @since 0.1.0
 * @category models
 */
export interface LiveDependency {
  readonly dependency: string
  readonly state: Effect.Effect<DependencyState>
  /** The policy that the next call will have; an operation without settings of its own has the one of the dependency. */
  readonly policy: (operation?: string) => Effect.Effect<Policy.Policy.Any>
  /** Refuses every call until `reset`, in a dry run too. */
  readonly isolate: Effect.Effect<void, SlotOff>
  /** Lets every call through the breaker and counts nothing until `reset`. */
  readonly disable: Effect.Effect<void, SlotOff>
  readonly reset: Effect.Effect<void, SlotOff>
  /** All or nothing: the new numbers are checked and linted as a whole before any of them counts. */
  readonly reconfigure: (change: Change) => Effect.Effect<void, InvalidSettings | UnsafePolicy>
  /** @internal */
  readonly breakers: ReadonlyArray<{
    readonly operation: string | undefined
    readonly hub: Effect.Effect<PubSub.PubSub<CircuitBreaker.Transition>>
  }>
}
