/**
 * The one place that knows how the Effect 3 runtime is built inside: the shape of its operations, and the private fields
 * of a fiber. The operations are checked against the running version when the module loads, and an unknown one is refused
 * there; a fiber whose private fields are not as expected takes the way by a child fiber.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as RuntimeFlagsPatch from "effect/RuntimeFlagsPatch"

/** @internal */
export type AnyEffect = Effect.Effect<any, any, any>

/** @internal */
export interface AnyFiber extends Fiber.RuntimeFiber<any, any> {
  /** Private in the runtime; absent in a version that we do not know. */
  readonly _children?: Set<AnyFiber> | null
  readonly _steps?: ReadonlyArray<unknown>
  readonly _queue?: ReadonlyArray<unknown>
  readonly _stack?: Array<unknown>
  readonly currentRuntimeFlags?: RuntimeFlags.RuntimeFlags
  readonly _fiberRefs?: FiberRefs.FiberRefs
  tell?(message: unknown): void
  pushStack?(continuation: unknown): void
  setFiberRefs?(refs: FiberRefs.FiberRefs): void
  setFiberRef?<A>(ref: FiberRef.FiberRef<A>, value: A): void
  unsafeDeleteFiberRef?<A>(ref: FiberRef.FiberRef<A>): void
}

/** The bit of interruption among the runtime flags. */
const interruption = 1

/** @internal */
export const isInterruptible = (flags: RuntimeFlags.RuntimeFlags): boolean => (flags & interruption) !== 0

/**
 * The fiber that runs this very code. The runtime keeps it in a global so that tools can find it; `Fiber.getCurrentFiber` reads
 * the same place and wraps it in an `Option`.
 *
 * @internal
 */
export const currentFiber = (): AnyFiber => (globalThis as any)["effect/FiberCurrent"]

// -- operations --------------------------------------------------------------

const uninterruptible = Effect.uninterruptible(Effect.void) as any
const interruptible = Effect.interruptible(Effect.void) as any
const onFailure = () => Effect.void
const onSuccess = () => Effect.void
const matched = Effect.matchCauseEffect(Effect.void, { onFailure, onSuccess }) as any
const caught = Effect.catchAllCause(Effect.void, onFailure) as any
const mapped = Effect.flatMap(Effect.void, onSuccess) as any

/**
 * Are the operations what we take them for? A version that changed them would fail here, when the module loads, and
 * not in the middle of somebody's outage.
 *
 * @internal
 */
export const knowsOperations: boolean = uninterruptible._op === "UpdateRuntimeFlags" &&
  interruptible._op === "UpdateRuntimeFlags" &&
  typeof uninterruptible.effect_instruction_i0 === "number" &&
  typeof interruptible.effect_instruction_i0 === "number" &&
  uninterruptible.effect_instruction_i1.length === 0 &&
  matched._op === "OnSuccessAndFailure" &&
  matched.effect_instruction_i1 === onFailure &&
  matched.effect_instruction_i2 === onSuccess &&
  caught._op === "OnFailure" &&
  caught.effect_instruction_i1 === onFailure &&
  mapped._op === "OnSuccess" &&
  mapped.effect_instruction_i1 === onSuccess

if (!knowsOperations) {
  throw new Error(
    "@holdfast/core does not know the operations of this version of effect. It is built for effect 3.22; install that line."
  )
}

/** Makes the instances of a class effects of the given operation: the runtime calls their `effect_instruction_*` methods. */
const asOperation = (target: { readonly prototype: object }, template: any, fixed: object = {}): void => {
  Object.setPrototypeOf(target.prototype, Object.getPrototypeOf(template))
  Object.assign(target.prototype, { _op: template._op, [Effect.EffectTypeId]: template[Effect.EffectTypeId] }, fixed)
}

/**
 * An operation that switches interruption off and calls `begin` in the same step, so that nothing can come between; what `begin`
 * returns runs uninterruptible, and the old flags come back when it ends. It is what `Effect.uninterruptibleMask` builds,
 * less two objects and a closure.
 *
 * @internal
 */
export abstract class Masked {
  abstract begin(flags: RuntimeFlags.RuntimeFlags): AnyEffect
  effect_instruction_i1(flags: RuntimeFlags.RuntimeFlags): AnyEffect {
    return this.begin(flags)
  }
}
asOperation(Masked, uninterruptible, { effect_instruction_i0: uninterruptible.effect_instruction_i0 })

/**
 * `Effect.interruptible(body)` without a closure: used inside a `Masked` whose caller was interruptible.
 *
 * @internal
 */
export class Restored {
  readonly body: AnyEffect
  constructor(body: AnyEffect) {
    this.body = body
  }
  effect_instruction_i1(): AnyEffect {
    return this.body
  }
}
asOperation(Restored, interruptible, { effect_instruction_i0: interruptible.effect_instruction_i0 })

/**
 * `Effect.matchCauseEffect` whose two continuations are methods of the object itself.
 *
 * @internal
 */
export abstract class Matched {
  effect_instruction_i0: AnyEffect = Effect.void
  abstract effect_instruction_i1(cause: any): AnyEffect
  abstract effect_instruction_i2(value: unknown): AnyEffect
}
asOperation(Matched, matched)

/**
 * `Effect.catchAllCause` whose continuation is a method of the object itself.
 *
 * @internal
 */
export abstract class Caught {
  effect_instruction_i0: AnyEffect = Effect.void
  abstract effect_instruction_i1(cause: any): AnyEffect
}
asOperation(Caught, caught)

/**
 * Goes on with a body over which this continuation stands. It is all that the runtime does when it meets the continuation as an operation
 * of its own, a push and a return, one turn of its loop earlier; so it may be called only where an operation of the running fiber
 * answers with what is to come next.
 *
 * @internal
 */
export const goOn = (continuation: Matched, body: AnyEffect): AnyEffect => {
  const fiber = currentFiber()
  if (fiber.pushStack === undefined) {
    continuation.effect_instruction_i0 = body
    return asEffect(continuation)
  }
  fiber.pushStack(continuation)
  return body
}

/** A continuation that sees a success pass, and nothing else. */
class Passed {
  success = false
  effect_instruction_i1(value: unknown): AnyEffect {
    this.success = true
    return Exit.succeed(value)
  }
}
asOperation(Passed, mapped)

/** @internal */
export const asEffect = (operation: Masked | Restored | Matched | Caught): AnyEffect =>
  operation as unknown as AnyEffect

// -- fibers ------------------------------------------------------------------

/** Where forks go instead of to their fiber: set by the concurrent forms of `Effect.all` and `Effect.forEach` for what they run. */
const forkScope = globalValue<FiberRef.FiberRef<Option.Option<unknown>> | undefined>(
  Symbol.for("effect/FiberRef/currentForkScopeOverride"),
  () => undefined
)

/**
 * From now on forks of the running fiber are its own children, as they are in a fiber of their own. Answers how it was before, to be
 * put back; `undefined` when nothing had to be changed.
 *
 * @internal
 */
export const keepForks = (fiber: AnyFiber): Option.Option<unknown> | undefined => {
  const before = fiber.getFiberRef(forkScope!)
  if (Option.isNone(before)) {
    return undefined
  }
  fiber.setFiberRef!(forkScope!, Option.none())
  return before
}

/**
 * @internal
 */
export const releaseForks = (fiber: AnyFiber, before: Option.Option<unknown>): void => {
  fiber.setFiberRef!(forkScope!, before)
}

/**
 * Can an effect of this fiber be stopped by interrupting the fiber itself? Only if nothing else would be hit: no children
 * (an interruption is passed on to them), and no open request-batching step (it moves continuations to other fibers).
 *
 * @internal
 */
export const standsAlone = (fiber: AnyFiber): boolean =>
  (fiber._children === null || fiber._children?.size === 0) &&
  fiber._steps?.length === 0 &&
  fiber._queue !== undefined &&
  forkScope !== undefined &&
  fiber._fiberRefs !== undefined &&
  fiber.setFiberRefs !== undefined &&
  fiber.setFiberRef !== undefined &&
  fiber.unsafeDeleteFiberRef !== undefined &&
  fiber.tell !== undefined

/**
 * May the fiber have children? Messages count, since a fork registers its child by one.
 *
 * @internal
 */
export const mayHaveChildren = (fiber: AnyFiber): boolean =>
  (fiber._children != null && fiber._children.size > 0) || fiber._queue!.length > 0

/**
 * Tells every interruption that reaches the fiber from now on, as it is sent; answers how to end that. The messages of a fiber
 * come through one method, which is put over its own for as long.
 *
 * @internal
 */
export const watchInterruptions = (fiber: AnyFiber, told: (cause: Cause.Cause<never>) => void): () => void => {
  const watched = fiber as { tell?: (message: any) => void }
  const tell = watched.tell!
  watched.tell = (message) => {
    if (message._tag === "InterruptSignal") {
      told(message.cause)
    }
    tell.call(fiber, message)
  }
  return () => {
    delete watched.tell
  }
}

/**
 * Watches whether what the fiber runs uninterruptibly at this moment succeeds. The fiber is about to be interrupted, and where interruption
 * is possible again, the runtime forgets the value. `undefined` where nothing of the kind runs above the first of `borders`.
 *
 * @internal
 */
export const watchSuccess = (
  fiber: AnyFiber,
  isBorder: (continuation: unknown) => boolean
): { readonly success: boolean } | undefined => {
  const { _stack: stack, currentRuntimeFlags: flags } = fiber
  if (stack === undefined || flags === undefined || isInterruptible(flags)) {
    return undefined
  }
  for (let place = stack.length - 1; place >= 0 && !isBorder(stack[place]); place--) {
    const { _op, patch } = stack[place] as {
      readonly _op: string
      readonly patch?: RuntimeFlagsPatch.RuntimeFlagsPatch
    }
    if (_op === "RevertFlags" && patch !== undefined && RuntimeFlagsPatch.isEnabled(patch, RuntimeFlags.Interruption)) {
      const passed = new Passed()
      stack.splice(place + 1, 0, passed)
      return passed
    }
  }
  return undefined
}

/**
 * Is this interruption sent, but not yet worked off?
 *
 * @internal
 */
export const isQueued = (fiber: AnyFiber, cause: Cause.Cause<never>): boolean =>
  fiber._queue!.some((message) => (message as { readonly cause?: unknown }).cause === cause)

/**
 * Sets a FiberRef of the running fiber in place: `FiberRef.set` without its operation.
 *
 * @internal
 */
export const setFiberRef = <A>(fiber: AnyFiber, ref: FiberRef.FiberRef<A>, value: A): void => {
  fiber.setFiberRef!(ref, value)
}

/**
 * All FiberRefs of the running fiber. A value: every change of one of them makes another.
 *
 * @internal
 */
export const refsOf = (fiber: AnyFiber): FiberRefs.FiberRefs => fiber._fiberRefs!

/**
 * Puts all FiberRefs back to what they were `before` they were `changed`, if nothing has changed them since.
 *
 * @internal
 */
export const putBackRefs = (fiber: AnyFiber, changed: FiberRefs.FiberRefs, before: FiberRefs.FiberRefs): boolean => {
  if (fiber._fiberRefs !== changed) {
    return false
  }
  fiber.setFiberRefs!(before)
  return true
}

/**
 * Puts one FiberRef back to what it was `before`. One that was not there is taken out again: it would be compared whenever a fiber ends.
 *
 * @internal
 */
export const putBackRef = <A>(fiber: AnyFiber, ref: FiberRef.FiberRef<A>, before: FiberRefs.FiberRefs): void => {
  const value = FiberRefs.get(before, ref)
  if (Option.isSome(value)) {
    setFiberRef(fiber, ref, value.value)
  } else {
    deleteFiberRef(fiber, ref)
  }
}

/**
 * Takes a FiberRef out of the running fiber, as if it had never been set.
 *
 * @internal
 */
export const deleteFiberRef = <A>(fiber: AnyFiber, ref: FiberRef.FiberRef<A>): void => {
  fiber.unsafeDeleteFiberRef!(ref)
}

/**
 * The fiber's refs with one value changed, for a child that is about to start.
 *
 * @internal
 */
export const refsWith = <A>(fiber: AnyFiber, ref: FiberRef.FiberRef<A>, value: A): FiberRefs.FiberRefs =>
  FiberRefs.updateAs(fiber.getFiberRefs(), { fiberId: fiber.id(), fiberRef: ref, value })

/**
 * What the fiber will go on with, innermost last; empty in a version that does not show it.
 *
 * @internal
 */
export const continuationsOf = (fiber: Fiber.RuntimeFiber<any, any>): ReadonlyArray<unknown> =>
  (fiber as AnyFiber)._stack ?? []
