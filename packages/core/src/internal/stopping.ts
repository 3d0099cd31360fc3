/**
 * How a time limit stops an effect. The reference is a child fiber, as `Effect.timeoutFail` has it; the fast way runs the effect in
 * the caller's own fiber, interrupts that with a private id and takes the id back.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import * as Deadline from "../Deadline.js"
import {
  type AnyEffect,
  type AnyFiber,
  deleteFiberRef,
  isQueued,
  mayHaveChildren,
  refsWith,
  setFiberRef,
  standsAlone,
  watchInterruptions,
  watchSuccess
} from "./runtime.js"

let forced = false

/**
 * Makes every time limit take the reference way. For the tests that compare both ways.
 *
 * @internal
 */
export const forceChildFiber = (on: boolean): void => {
  forced = on
}

/** @internal */
export const sharesFiber = (fiber: AnyFiber): boolean => !forced && standsAlone(fiber)

// -- the fast way ------------------------------------------------------------

/**
 * What reached a fiber since a limit rang in it. The pending interruptions of the fiber alone cannot be trusted: a finalizer of a
 * scope puts them back to what they were when it began, and what came meanwhile is forgotten. Without us that does no harm, since
 * the fiber is interrupted anyway; but we take the first interruption back.
 */
interface Watch {
  rings: number
  readonly reached: Array<Cause.Cause<never>>
  readonly end: () => void
}

const watches = new WeakMap<AnyFiber, Watch>()

/** Which entry into a shared fiber an id was made for: a greater one lies further in. */
const entryOf = new WeakMap<FiberId.FiberId, number>()

let entries = 0

/**
 * The number of the next entry into a fiber that is shared.
 *
 * @internal
 */
export const nextEntry = (): number => ++entries

/**
 * An interruption of ours.
 *
 * @internal
 */
export interface Interruption {
  /** By which it is told from all others, and taken back. */
  readonly id: FiberId.FiberId
  /** Whether what ran uninterruptibly then has succeeded. */
  readonly passed: ReturnType<typeof watchSuccess>
}

/**
 * Interrupts the fiber with an id that no other interruption has. The signal is a message to the fiber: it is worked off before the fiber's
 * next operation, whatever that is. `isBorder` tells the continuations of the policy from those of the effect.
 *
 * @internal
 */
export const interrupt = (
  fiber: AnyFiber,
  entry: number,
  isBorder: (continuation: unknown) => boolean
): Interruption => {
  const id = FiberId.unsafeMake()
  entryOf.set(id, entry)
  let watch = watches.get(fiber)
  if (watch === undefined) {
    const reached: Array<Cause.Cause<never>> = []
    watch = { rings: 0, reached, end: watchInterruptions(fiber, (cause) => reached.push(cause)) }
    watches.set(fiber, watch)
  }
  watch.rings++
  const passed = watchSuccess(fiber, isBorder)
  fiber.unsafeInterruptAsFork(id)
  // A version of the runtime that sends its signals in another way: from now on only the reference is safe.
  forced = forced || watch.reached.length === 0
  return { id, passed }
}

/** The interruptions in a cause. A loop, not a recursion: a long-lived fiber may have collected a deep chain. */
const leavesOf = (cause: Cause.Cause<never>): Array<Cause.Cause<never>> => {
  const leaves: Array<Cause.Cause<never>> = []
  const open: Array<Cause.Cause<never>> = [cause]
  while (open.length > 0) {
    const next = open.pop()!
    if (next._tag === "Sequential" || next._tag === "Parallel") {
      open.push(next.right, next.left)
    } else if (next._tag !== "Empty") {
      leaves.push(next)
    }
  }
  return leaves
}

const isInterruptedBy = (cause: Cause.Cause<never>, id: FiberId.FiberId): boolean =>
  cause._tag === "Interrupt" && cause.fiberId === id

/**
 * Is the fiber on its way out already, for a reason that lies outside this entry? Then its alarm has nothing to say, as the
 * alarm of the reference is called off when the wait for the child is interrupted.
 *
 * @internal
 */
export const endsFromOutside = (fiber: AnyFiber, entry: number): boolean =>
  leavesOf(fiber.getFiberRef(FiberRef.interruptedCause)).some((leaf) =>
    leaf._tag === "Interrupt" && (entryOf.get(leaf.fiberId) ?? 0) < entry
  )

/**
 * Takes the private id out of the fiber's pending interruptions, in one operation: all messages sent before are worked off when it
 * begins, and none can come between its reading and its writing. Then ends the children that the effect left.
 *
 * @internal
 */
export const takeBack = (id: FiberId.FiberId): Effect.Effect<void> =>
  Effect.withFiberRuntime((running) => {
    const fiber = running as AnyFiber
    const pending = leavesOf(fiber.getFiberRef(FiberRef.interruptedCause))
    const watch = watches.get(fiber)!
    for (const cause of watch.reached) {
      if (!pending.includes(cause) && !isQueued(fiber, cause)) {
        pending.push(cause)
      }
    }
    watch.rings--
    if (watch.rings === 0) {
      watch.end()
      watches.delete(fiber)
    } else {
      watch.reached.splice(0, Infinity, ...watch.reached.filter((cause) => !isInterruptedBy(cause, id)))
    }
    const kept = pending.filter((leaf) => !isInterruptedBy(leaf, id))
    if (kept.length === 0) {
      // Not set to "none": a scope that was opened before would see a change, and undo what comes while it is closed.
      deleteFiberRef(fiber, FiberRef.interruptedCause)
    } else {
      setFiberRef(fiber, FiberRef.interruptedCause, kept.reduce((left, right) => Cause.sequential(left, right)))
    }
    return interruptChildren
  })

/** @internal */
export const mayLeaveChildren = mayHaveChildren

/**
 * Interrupts and awaits every child of the running fiber: the effect had none when it began, so all of them are its own.
 *
 * @internal
 */
export const interruptChildren: Effect.Effect<void> = Effect.withFiberRuntime((fiber) => {
  const children = (fiber as AnyFiber)._children
  return children == null || children.size === 0
    ? Effect.void
    : Fiber.interruptAllAs(Array.from(children), fiber.id())
})

// -- the reference -----------------------------------------------------------

/**
 * A body that runs in a fiber of its own.
 *
 * @internal
 */
export class Child {
  /** What the caller waits for. */
  readonly join: AnyEffect
  private readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  private readonly parent: AnyFiber
  private readonly disconnect: boolean
  private resume: ((effect: AnyEffect) => void) | undefined = undefined
  private stopped = false
  private passed: ReturnType<typeof watchSuccess> = undefined

  constructor(parent: AnyFiber, fiber: Fiber.RuntimeFiber<unknown, unknown>, disconnect: boolean) {
    this.parent = parent
    this.fiber = fiber
    this.disconnect = disconnect
    this.join = Effect.async((resume) => {
      if (this.stopped && disconnect) {
        resume(Effect.interrupt)
        return
      }
      this.resume = resume
      fiber.addObserver((exit) => resume(exit as AnyEffect))
    })
  }

  /** The limit is over: the body is interrupted, and awaited unless it is to be disconnected. */
  stop(): void {
    this.stopped = true
    this.passed ??= watchSuccess(this.fiber as AnyFiber, () => false)
    this.fiber.unsafeInterruptAsFork(this.parent.id())
    if (this.disconnect) {
      this.resume?.(Effect.interrupt)
    }
  }

  /** What ran uninterruptibly when the limit was over has succeeded. */
  get succeededLate(): boolean {
    return this.passed?.success === true
  }

  /**
   * The end of the body, once the wait for it has ended. If the wait ended before the body, the caller was interrupted: the body
   * is too, and awaited, so that nothing it holds outlives the call.
   */
  settle(waited: Exit.Exit<unknown, unknown>): Effect.Effect<Exit.Exit<unknown, unknown>> {
    const ended = this.fiber.unsafePoll()
    if (ended !== null) {
      return this.inherit(ended)
    }
    if (this.disconnect) {
      this.fiber.unsafeInterruptAsFork(this.parent.id())
      return Effect.succeed(waited)
    }
    return Effect.flatMap(Fiber.interruptAs(this.fiber, this.parent.id()), (exit) => this.inherit(exit))
  }

  private inherit(exit: Exit.Exit<unknown, unknown>): Effect.Effect<Exit.Exit<unknown, unknown>> {
    const end: Effect.Effect<Exit.Exit<unknown, unknown>> = Effect.succeed(exit)
    return exit._tag === "Success" ? Effect.zipRight(this.fiber.inheritAll, end) : end
  }
}

/**
 * Starts the body in a child fiber on the same stack. It is no child in the runtime's books: the region awaits it itself.
 *
 * @internal
 */
export const start = (
  parent: AnyFiber,
  flags: RuntimeFlags.RuntimeFlags,
  body: AnyEffect,
  deadline: Deadline.Deadline | undefined,
  disconnect: boolean
): Child => {
  const runtime = Runtime.make({
    context: parent.currentContext,
    runtimeFlags: flags,
    fiberRefs: deadline === undefined ? parent.getFiberRefs() : refsWith(parent, Deadline.current, deadline)
  })
  return new Child(parent, Runtime.runFork(runtime)(body as Effect.Effect<unknown, unknown>), disconnect)
}
