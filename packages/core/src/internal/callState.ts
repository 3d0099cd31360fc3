/**
 * What all the passages of one call share: attempts, deadline, listeners, and whoever waits.
 */
import type * as Exit from "effect/Exit"
import type * as HashSet from "effect/HashSet"
import type * as Call from "../Call.js"
import type * as Outcome from "../Outcome.js"
import * as ResilienceEvent from "../ResilienceEvent.js"

/**
 * Whoever waits within a call: a frame at a gate, or a retry in its backoff.
 *
 * @internal
 */
export interface Sleeper {
  /** The innermost passage around the wait. */
  readonly passage: unknown
  wake(exit: Exit.Exit<never, unknown>): void
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
  /** A classifier threw: it is reported once per call. */
  classifierThrew = false
  /** A listener threw: it is logged once per call. */
  listenerThrew = false
  readonly listeners: HashSet.HashSet<ResilienceEvent.Listener>

  constructor(listeners: HashSet.HashSet<ResilienceEvent.Listener>) {
    this.listeners = listeners
  }

  /** Somebody waits within this call, and within those around it. */
  sleeps(sleeper: Sleeper): void {
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
