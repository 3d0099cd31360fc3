/**
 * What all the passages of one call share: attempts, deadline, listeners, and whoever waits.
 */
import type * as Exit from "effect/Exit"
import type * as HashSet from "effect/HashSet"
import type * as Call from "../Call.js"
import type * as Outcome from "../Outcome.js"
import * as ResilienceEvent from "../ResilienceEvent.js"
import { type AsyncContext, capture } from "./asyncContext.js"

/**
 * Whoever waits within a call: a frame at a gate, or a retry in its backoff.
 *
 * @internal
 */
export interface Sleeper {
  /** The innermost passage around the wait. */
  readonly passage: unknown
  wake(end: () => Exit.Exit<never, unknown>): void
}

/**
 * The passage of another call around this one.
 *
 * @internal
 */
export interface Around {
  readonly callState: CallState
  admittedAsProbe(): void
}

/** Pieces of the user's that may throw within a call. */
export const classifier = 1
export const listener = 2

/** @internal */
export class CallState {
  /** Attempts started so far. */
  attempts = 0
  maxAttempts = 1
  /** How often the protected effect was started. */
  sends = 0
  /** A time limit stood somewhere around it. */
  limited = false
  /** The call was admitted as a probe: it makes one attempt. */
  probe = false
  /** A deadline from outside, nearer than a limit of ours, cut an attempt. */
  cutFromOutside = false
  /** The outcome of the last attempt that ended by itself. */
  lastOutcome: Outcome.Outcome | undefined = undefined
  /** Whoever waits within this call can be woken before its time, even where it cannot be interrupted: several, if a step makes copies. */
  sleepers: Array<Sleeper> | undefined = undefined
  /** The passage of the call around this one, where the policy is one that `Policy.keyed` keeps: its limits ring for what is in here too. */
  outer: Around | undefined = undefined
  /** The attempts are counted by a policy further in, as `Policy.keyed` does it. */
  inner: Call.Call | undefined = undefined
  /** The call as it was described last: most events of one call are about the same attempt. */
  described: Call.Call | undefined = undefined
  /** The async context of the call, from its first limit or wait on. */
  private context: AsyncContext | undefined = undefined
  /** The pieces of the user's that threw in this call, as bits: one field, since every call has it. */
  private thrown = 0
  readonly listeners: HashSet.HashSet<ResilienceEvent.Listener>

  constructor(listeners: HashSet.HashSet<ResilienceEvent.Listener>) {
    this.listeners = listeners
  }

  /** From here on something outside the caller's fiber may make the call go on: the context in which it has to is this one. */
  keepContext(): AsyncContext {
    return this.context ??= this.outer === undefined ? capture() : this.outer.callState.keepContext()
  }

  /** Runs code on behalf of the call, in a step that belongs to a timer or to another call. Only once the context is kept. */
  within<This, A>(f: (this: This, arg: A) => void, thisArg: This, arg: A): void {
    this.context!.runInAsyncScope(f, thisArg, arg)
  }

  /** A piece threw. Answers whether that is to be reported: once per call and piece. */
  threw(piece: typeof classifier | typeof listener): boolean {
    const before = this.thrown
    this.thrown |= piece
    return this.thrown !== before
  }

  /** The call is over. */
  releaseContext(): void {
    if (this.outer === undefined) {
      this.context?.emitDestroy()
    }
  }

  /** Somebody waits within this call, and within those around it. */
  sleeps(sleeper: Sleeper): void {
    this.keepContext()
    this.sleepers ??= []
    this.sleepers.push(sleeper)
    this.outer?.callState.sleeps(sleeper)
  }

  /** The wait is over. */
  rises(sleeper: Sleeper): void {
    const at = this.sleepers?.indexOf(sleeper) ?? -1
    if (at >= 0) {
      this.sleepers!.splice(at, 1)
    }
    this.outer?.callState.rises(sleeper)
  }

  /** Does anybody listen? Without listeners no event is built. */
  get observed(): boolean {
    return this.listeners !== ResilienceEvent.noListeners
  }
}
