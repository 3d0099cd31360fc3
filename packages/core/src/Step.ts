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
import type { DeclaredFacts } from "./internal/declaredFacts.js"
import * as Facts from "./internal/facts.js"
import { Entrance, type Protected } from "./internal/frame.js"
import type { FaultPlace, Gate, Link, Part, Region, Step } from "./internal/gate.js"
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

const compile = (parts: ReadonlyArray<Part>, declared: DeclaredFacts | undefined, keyed?: string): Region => {
  const dependency = parts.find((part) => part.step.dependency !== undefined)?.step.dependency
  let classify = parts.find((part) => part.classify !== undefined)?.classify ?? Failure.classify
  const empty = (next: Link | undefined): Region => ({
    _tag: "Region",
    gates: [],
    faults: undefined,
    next,
    attemptsOnly: next === undefined,
    dependency,
    keyed,
    declared,
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
    return { _tag: "Region", gates, faults, next, attemptsOnly, dependency, keyed, declared, classify: own }
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
const ChainId: unique symbol = Symbol.for("@holdfast/core/Policy/chain")

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

/** The parts of a policy, and what they are compiled to. */
class Chain {
  readonly parts: ReadonlyArray<Part>
  /** What is declared of its calls, where it is the policy of an operation. */
  readonly declared: DeclaredFacts | undefined
  private region: Region | undefined = undefined

  constructor(parts: ReadonlyArray<Part>, declared: DeclaredFacts | undefined) {
    this.parts = parts
    this.declared = declared
  }

  /** Compiled for the first call: of a piece of a stack nothing is called but the stack. */
  enter(effect: Protected, facts: Call.Facts): AnyEffect {
    return asEffect(new Entrance(this.region ??= compile(this.parts, this.declared), effect, facts, undefined))
  }

  protect(effect: AnyEffect, facts: Call.Facts): AnyEffect {
    return this.parts.length === 0 ? effect : this.enter(effect, facts)
  }
}

/** Made when it is asked for the first time, and kept. */
const lazily = (name: string, enumerable: boolean, make: (chain: Chain) => unknown): PropertyDescriptor => ({
  get(this: { readonly [ChainId]: Chain }) {
    const value = make(this[ChainId])
    Object.defineProperty(this, name, { value, enumerable })
    return value
  }
})

/**
 * What all policies have in common: a program may keep one policy for each of many keys, so nothing stands in each of them that can
 * stand here. A policy with more to it has a prototype of its own, which begins with this one.
 *
 * @internal
 */
export const prototype: object = Object.create(Function.prototype, {
  [TypeId]: { value: { _E: (_: never) => _, _R: (_: never) => _ } },
  steps: lazily("steps", true, ({ parts }) => Object.freeze(parts.map((part) => part.step))),
  with: lazily("with", false, (chain) => (given: Call.Facts) => {
    const facts = Facts.read("Policy.with", given)
    return (effect: AnyEffect): AnyEffect => chain.protect(effect, facts)
  }),
  run: lazily(
    "run",
    false,
    (chain) => (attempt: (call: Call.Call) => AnyEffect, given?: Call.Facts) =>
      chain.enter(attempt, given === undefined ? Call.none : Facts.read("Policy.run", given))
  ),
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
 * Builds a policy from its parts, outermost first. What is declared of its calls holds for each of them, however it is made.
 *
 * @internal
 */
export const policy = <E = never, R = never>(
  parts: ReadonlyArray<Part>,
  proto = prototype,
  declared?: DeclaredFacts | undefined
): Policy<E, R> => {
  const chain = new Chain(parts, declared)
  const self: any = (effect: AnyEffect): AnyEffect => chain.protect(effect, Call.none)
  return Object.setPrototypeOf(Object.defineProperty(self, ChainId, { value: chain }), proto)
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
 * The policy compiled as one of those that a keyed policy of this name keeps. What a call through it passes is this and no more: of the
 * policy itself nothing has to be kept.
 *
 * @internal
 */
export const compiledFor = (keyed: string, self: Policy<any, any>): Region =>
  compile(partsOf(self), factsOf(self), keyed)

/**
 * @internal
 */
export const partsOf = (self: Policy<any, any>): ReadonlyArray<Part> => (self as any)[ChainId].parts

/**
 * What is declared of the calls of a policy, `undefined` where nothing is.
 *
 * @internal
 */
export const factsOf = (self: Policy<any, any>): DeclaredFacts | undefined => (self as any)[ChainId].declared

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
