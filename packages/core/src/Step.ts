/**
 * The building blocks of a policy: gates, wrappers, and the callable value that is compiled from a list of them.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { suspend } from "effect/Effect"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type * as Types from "effect/Types"
import * as Call from "./Call.js"
import * as Failure from "./Failure.js"
import type { Around } from "./internal/callState.js"
import * as Facts from "./internal/facts.js"
import { Entrance, type Protected } from "./internal/frame.js"
import type { FaultPlace, Gate, Link, Next, Part, Passage, Region, Step } from "./internal/gate.js"
import type { AnyEffect } from "./internal/runtime.js"
import { asEffect } from "./internal/runtime.js"

export type {
  /**
   * What a step of a policy is, as data: read by `explain`, `lint`, dashboards and tests.
   *
   * @since 0.1.0
   * @category models
   */
  Step
} from "./internal/gate.js"

const compile = (parts: ReadonlyArray<Part>): Region => {
  const dependency = parts.find((part) => part.step.dependency !== undefined)?.step.dependency
  let classify = parts.find((part) => part.classify !== undefined)?.classify ?? Failure.classify
  const empty = (next: Link | undefined): Region => ({
    _tag: "Region",
    gates: [],
    faults: undefined,
    next,
    attemptsOnly: next === undefined,
    dependency,
    classify
  })
  const linkFrom = (index: number): Link | undefined => {
    const part = parts[index]
    switch (part?._tag) {
      case undefined:
        return undefined
      case "Wrapper":
        classify = part.classify ?? classify
        return { _tag: "Border", wrapper: part, next: behind(index + 1) }
      case "Repeater": {
        classify = part.classify ?? classify
        const loop = { _tag: "Loop" as const, repeater: part, next: behind(index + 1), alone: undefined as any }
        loop.alone = empty(loop)
        return loop
      }
      default:
        return regionFrom(index, false)
    }
  }
  /** What a border or a loop runs is always a region, if need be an empty one. */
  const behind = (index: number): Region => index === parts.length ? empty(undefined) : regionFrom(index, false)
  const regionFrom = (index: number, first: boolean): Region => {
    const gates: Array<Gate> = []
    let limited = false
    let end = index
    for (let part = parts[end]; part?._tag === "Gate"; part = parts[++end]) {
      if (limited && part.expire !== undefined) {
        break
      }
      limited = limited || part.expire !== undefined
      classify = part.classify ?? classify
      gates.push(part)
    }
    let faults: FaultPlace | undefined
    const last = parts[end]
    if (last?._tag === "FaultPlace") {
      faults = last
      end++
    }
    const own = classify
    const next = linkFrom(end)
    const attemptsOnly = !first && gates.length === 0 && next === undefined
    return { _tag: "Region", gates, faults, next, attemptsOnly, dependency, classify: own }
  }
  return regionFrom(0, true)
}

// -- the policy --------------------------------------------------------------

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@holdfast/core/Policy")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/** The parts hide behind this key: in public, `steps` is the description. */
const PartsId: unique symbol = Symbol.for("@holdfast/core/Policy/parts")

/** How a policy is entered from within another one. */
const WithinId: unique symbol = Symbol.for("@holdfast/core/Policy/within")

/**
 * A function from effect to effect that carries its own description. It adds `E` to the errors and `R` to the requirements of
 * what it protects, and never changes the value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy<out E = never, out R = never> extends Pipeable {
  readonly [TypeId]: {
    readonly _E: Types.Covariant<E>
    readonly _R: Types.Covariant<R>
  }
  /** Outermost first. */
  readonly steps: ReadonlyArray<Step>
  <A, E1, R1>(effect: Effect.Effect<A, E1, R1>): Effect.Effect<A, E1 | E, R1 | R>
  /** The same policy with facts about one call: the operation, whether it may be repeated, its key. */
  readonly with: (
    facts: Call.Facts
  ) => <A, E1, R1>(effect: Effect.Effect<A, E1, R1>) => Effect.Effect<A, E1 | E, R1 | R>
  /** Protects what a function makes for every attempt from the call in progress: its number, its deadline. */
  readonly run: <A, E1, R1>(
    attempt: (call: Call.Call) => Effect.Effect<A, E1, R1>,
    facts?: Call.Facts
  ) => Effect.Effect<A, E1 | E, R1 | R>
}

/**
 * What all policies have in common: a program may keep one policy for each of many keys, so nothing stands in each of them that can
 * stand here. A policy with more to it has a prototype of its own, which begins with this one.
 *
 * @internal
 */
export const prototype: object = Object.create(Function.prototype, {
  [TypeId]: { value: { _E: (_: never) => _, _R: (_: never) => _ } },
  steps: {
    get(this: Policy<any, any>) {
      const value = Object.freeze(partsOf(this).map((part) => part.step))
      Object.defineProperty(this, "steps", { value, enumerable: true })
      return value
    }
  },
  pipe: {
    value(this: Policy<any, any>) {
      return pipeArguments(this, arguments)
    }
  },
  toJSON: {
    value(this: Policy<any, any>) {
      return { _id: "@holdfast/core/Policy", steps: this.steps }
    }
  }
})

/**
 * Builds a policy from its parts, outermost first. It is compiled by its first call: of a piece of a stack nothing is called but the stack.
 *
 * @internal
 */
export const policy = <E = never, R = never>(parts: ReadonlyArray<Part>, proto = prototype): Policy<E, R> => {
  const identity = parts.length === 0
  let link: Region | undefined
  const enter = (effect: Protected, facts: Call.Facts, outer?: Around): AnyEffect =>
    asEffect(new Entrance(link ??= compile(parts), effect, facts, undefined, outer))
  const self: any = (effect: AnyEffect): AnyEffect => identity ? effect : enter(effect, Call.none)
  Object.setPrototypeOf(self, proto)
  const fixed = {
    [PartsId]: parts,
    [WithinId]: enter,
    with: (given: Call.Facts) => {
      const facts = Facts.read("Policy.with", given)
      return (effect: AnyEffect): AnyEffect => identity ? effect : enter(effect, facts)
    },
    run: (attempt: (call: Call.Call) => AnyEffect, given?: Call.Facts) =>
      enter(attempt, given === undefined ? Call.none : Facts.read("Policy.run", given))
  }
  for (const key of Reflect.ownKeys(fixed)) {
    Object.defineProperty(self, key, { value: fixed[key as keyof typeof fixed] })
  }
  return self
}

/**
 * A policy from a function. What it wraps is the rest of the chain, which is run anew each time.
 *
 * @internal
 */
export const fromFunction = <E, R>(
  name: string,
  f: (effect: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>
): Policy<E, R> =>
  policy([{
    _tag: "Wrapper",
    step: { kind: "Custom", policy: name, dependency: undefined, settings: {} },
    wrap: (_, next) => f(suspend(() => next()))
  }])

/**
 * Runs what is behind a passage under one more policy, which has a call of its own, with attempts of its own. The limits around the
 * passage are around that call too.
 *
 * @internal
 */
export const within = (self: Policy<any, any>, next: Next, passage: Passage): AnyEffect =>
  (self as any)[WithinId](next, passage.facts, passage)

/**
 * @internal
 */
export const partsOf = (self: Policy<any, any>): ReadonlyArray<Part> => (self as any)[PartsId]

/**
 * Whether a value is a policy; any other function is not.
 *
 * @example
 * import * as Step from "@holdfast/core/Step"
 * import * as Timeout from "@holdfast/core/Timeout"
 *
 * console.log(Step.isPolicy(Timeout.make("2 seconds"))) // true
 *
 * @since 0.1.0
 * @category guards
 */
export const isPolicy = (value: unknown): value is Policy<unknown, unknown> =>
  typeof value === "function" && TypeId in value
