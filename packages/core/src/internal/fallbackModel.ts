/**
 * The words of a fallback: what a tier is told, what an answer knows of itself, and which errors a tier takes away.
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Types from "effect/Types"
import type * as Outcome from "../Outcome.js"

/**
 * What sort of answer a tier gives; a metric label.
 *
 * - `cache`: an earlier answer.
 * - `default`: a fixed value, such as an empty list.
 * - `degrade`: a poorer answer from somewhere else, such as popular instead of personal.
 * - `defer`: accepted for later.
 * - `disable`: the feature is off for now.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "cache" | "default" | "degrade" | "defer" | "disable"

/**
 * What a tier is told of the failure that it covers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failed<out Input = unknown> {
  /** The whole cause of the primary. */
  readonly cause: Cause.Cause<unknown>
  /** The typed error, `undefined` when there is none. */
  readonly error: unknown
  readonly outcome: Outcome.Outcome
  /** The tag of the error, or the class of the outcome where there is no tag. */
  readonly reason: string
  /** What the call was made with: `fallback.with(input)`. */
  readonly input: Input
  /** `true` when nothing has failed and `Fallback.rehearse` asks: a tier with side effects holds them back. */
  readonly rehearsal: boolean
}

/**
 * A value that knows where it comes from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<out A> {
  readonly value: A
  /** `primary`, or the name of the tier. */
  readonly source: string
  /** How old a remembered answer is; `undefined` for one that was made just now. */
  readonly age: Duration.Duration | undefined
  /** Less than the primary would have answered: show it. */
  readonly degraded: boolean
  /** What to tell the user. */
  readonly notice: string | undefined
}

/**
 * What one tier of a fallback is, as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Description {
  readonly name: string
  readonly kind: Kind
  /** The classes and tags it acts on; `"predicate"` for a function. */
  readonly when: ReadonlyArray<string> | "predicate"
  /** `undefined` where nothing can take time. */
  readonly withinMillis: number | undefined
  readonly notice: string | undefined
}

/**
 * @since 0.1.0
 * @category symbols
 */
export const TierTypeId: unique symbol = Symbol.for("@holdfast/core/Fallback/Tier")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TierTypeId = typeof TierTypeId

/**
 * One step of the hierarchy. `Removes` are the tags and classes of the errors that cannot come out behind it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tier<in Input, out A, out R, out Removes> extends Description {
  readonly [TierTypeId]: {
    readonly _Input: Types.Contravariant<Input>
    readonly _A: Types.Covariant<A>
    readonly _R: Types.Covariant<R>
    readonly _Removes: Types.Covariant<Removes>
  }
}

/**
 * The errors left of `E` behind tiers that remove these tags and classes: a tag by the error's `_tag`, a class by the
 * class in the error's type. A tag that is not a literal and a class that is not known stay.
 *
 * @since 0.1.0
 * @category models
 */
export type Remaining<E, Removes> = "*" extends Removes ? never
  : E extends { readonly _tag: infer Tag }
    ? [Tag] extends [Exclude<Removes, Outcome.Class>] ? never : ByClass<E, Removes>
  : ByClass<E, Removes>

type ByClass<E, Removes> = E extends { readonly [Outcome.ClassTypeId]: infer Class }
  ? [Class] extends [Extract<Removes, Outcome.Class>] ? never : E
  : E

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@holdfast/core/Fallback")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What every fallback is: named, and readable as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Described<in Input, out A, out R, out Removes> {
  readonly [TypeId]: {
    readonly _Input: Types.Contravariant<Input>
    readonly _A: Types.Covariant<A>
    readonly _R: Types.Covariant<R>
    readonly _Removes: Types.Covariant<Removes>
  }
  /** Named in events and findings. */
  readonly name: string
  /** In order: the first that acts on the failure and answers, wins. */
  readonly tiers: ReadonlyArray<Description>
}

/**
 * A function from effect to effect that answers when the effect fails.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plain<in Input, out A, out R, out Removes> extends Described<Input, A, R, Removes> {
  <A1, E1, R1>(primary: Effect.Effect<A1, E1, R1>): Effect.Effect<A1 | A, Remaining<E1, Removes>, R1 | R>
  /** The same with the input of the call, for tiers that need to know for whom. */
  readonly with: (input: Input) => <A1, E1, R1>(
    primary: Effect.Effect<A1, E1, R1>
  ) => Effect.Effect<A1 | A, Remaining<E1, Removes>, R1 | R>
}

/**
 * A fallback that must be given the input of the call first: `fallback.with(input)(effect)`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForInput<in Input, out A, out R, out Removes> extends Described<Input, A, R, Removes> {
  readonly with: Plain<Input, A, R, Removes>["with"]
}

/**
 * Tiers that need to know for whom (a cache, a queue) make `Input` something else than `unknown`, and the fallback one
 * that is given it first.
 *
 * @since 0.1.0
 * @category models
 */
export type Fallback<Input = unknown, A = never, R = never, Removes = never> = [unknown] extends [Input]
  ? Plain<Input, A, R, Removes>
  : ForInput<Input, A, R, Removes>

/**
 * A fallback whose value is an `Answer`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainWithSource<in Input, out A, out R, out Removes> extends Described<Input, A, R, Removes> {
  <A1, E1, R1>(primary: Effect.Effect<A1, E1, R1>): Effect.Effect<Answer<A1 | A>, Remaining<E1, Removes>, R1 | R>
  /** The same with the input of the call, for tiers that need to know for whom. */
  readonly with: (input: Input) => <A1, E1, R1>(
    primary: Effect.Effect<A1, E1, R1>
  ) => Effect.Effect<Answer<A1 | A>, Remaining<E1, Removes>, R1 | R>
}

/**
 * A fallback whose value is an `Answer`, and that must be given the input of the call first.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForInputWithSource<in Input, out A, out R, out Removes> extends Described<Input, A, R, Removes> {
  readonly with: PlainWithSource<Input, A, R, Removes>["with"]
}

/**
 * A fallback whose value is an `Answer`.
 *
 * @since 0.1.0
 * @category models
 */
export type WithSource<Input = unknown, A = never, R = never, Removes = never> = [unknown] extends [Input]
  ? PlainWithSource<Input, A, R, Removes>
  : ForInputWithSource<Input, A, R, Removes>
