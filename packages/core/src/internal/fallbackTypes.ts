/**
 * What the types of a fallback are computed with: which errors a tier takes away, and what several tiers need together.
 */
import type * as Effect from "effect/Effect"
import type * as Outcome from "../Outcome.js"
import type { Described, Remaining, Tier } from "./fallbackModel.js"

type IsUnion<T, U = T> = T extends unknown ? [U] extends [T] ? false : true : never

/** Only names that are known one by one narrow: of a list chosen at run time nobody knows which half is in force. */
type Listed<When> = When extends ReadonlyArray<unknown>
  ? IsUnion<When> extends false ? number extends When["length"] ? never
    : { [K in keyof When]: IsUnion<When[K]> extends false ? string extends When[K] ? never : When[K] : never }[number]
  : never
  : never

/** What the table lets a fallback act on. */
export type ByTable = "Retryable" | "Overloaded" | "Unclassified" | "Rejected"

/**
 * What an option is inferred as when it is left out. A type parameter with a default would not do: it would also stand
 * for a function whose parameters are not annotated, and take errors away that the function does not.
 */
export interface Absent {
  readonly "~holdfast/Absent": never
}

/**
 * What a tier takes out of the error type: nothing if it can fail.
 *
 * @since 0.1.0
 * @category models
 */
export type RemovedBy<E, When> = [E] extends [never]
  ? [Absent] extends [When] ? ByTable : [When] extends [undefined] ? ByTable : Listed<When>
  : never

/** A value: what has to be run first would be served as it is. */
export type NothingToRun<A> = A extends Effect.Effect<any, any, any> | ((...args: Array<any>) => unknown) ? never : A

/** Any tier. */
export type AnyTier = Tier<never, unknown, unknown, unknown>

/** All inputs at once: one call must serve every tier. */
export type InputOf<T> = (T extends Tier<infer Input, any, any, any> ? (input: Input) => void : never) extends
  (input: infer Input) => void ? Input : never

export type ValueOf<T> = T extends Tier<never, infer A, any, any> ? A : never

export type RequirementsOf<T> = T extends Tier<never, any, infer R, any> ? R : never

export type RemovesOf<T> = T extends Tier<never, any, any, infer Removes> ? Removes : never

type HandlerValue<H> = H extends (...args: Array<any>) => Effect.Effect<infer A, any, any> ? A : never
type HandlerRequirements<H> = H extends (...args: Array<any>) => Effect.Effect<any, any, infer R> ? R : never
type HandlerRemoves<H, Tag> = H extends (...args: Array<any>) => Effect.Effect<any, infer E, any>
  ? [E] extends [never] ? Tag : never
  : never

/** The values of all handlers. */
export type HandledValue<Cases> = { [K in keyof Cases]: HandlerValue<Cases[K]> }[keyof Cases]

export type HandledRequirements<Cases> = { [K in keyof Cases]: HandlerRequirements<Cases[K]> }[keyof Cases]

/** The tags whose handlers cannot fail. One with the name of a class narrows nothing: it would be taken for the class. */
export type HandledTags<Cases> = {
  [K in keyof Cases]-?: K extends Outcome.Class ? never : HandlerRemoves<Cases[K], K>
}[keyof Cases]

/** Handlers by tag of errors that are known; a tag that none of them has is refused. */
export type CasesFor<E, Cases> =
  & { [K in Extract<E, { _tag: string }>["_tag"]]+?: (error: Extract<E, { _tag: K }>) => Effect.Effect<any, any, any> }
  & (unknown extends E ? never : { [K in Exclude<keyof Cases, Extract<E, { _tag: string }>["_tag"]>]: never })

/** The fallback of a pipe: its errors are known. */
export interface Handling<in out E, in out Cases>
  extends Described<unknown, HandledValue<Cases>, HandledRequirements<Cases>, HandledTags<Cases>>
{
  <A, R>(
    primary: Effect.Effect<A, E, R>
  ): Effect.Effect<A | HandledValue<Cases>, Remaining<E, HandledTags<Cases>>, R | HandledRequirements<Cases>>
}
