/**
 * Remembers when requests to a dependency failed, to tell how many were behind an opening.
 */
import type { CircuitChanged } from "../ResilienceEvent.js"
import type * as TripPolicy from "../TripPolicy.js"

/** So many failed requests are remembered for each dependency. */
const mostFailures = 128

/** The last of a row of instants. */
class Instants {
  private readonly at = new Float64Array(mostFailures).fill(-Infinity)
  private next = 0

  add(at: number): void {
    this.at[this.next] = at
    this.next = (this.next + 1) % mostFailures
  }

  since(from: number): number {
    return this.at.reduce((count, at) => at >= from ? count + 1 : count, 0)
  }
}

/** Since when the breaker has counted what made it open. */
const reachOf = (policy: TripPolicy.Trip["policy"], at: number, lastGood: number, closedAt: number): number => {
  switch (policy._tag) {
    case "Consecutive":
      return Math.max(lastGood, closedAt)
    case "Failures":
      return Math.max(at - policy.withinMillis, closedAt)
    default:
      return policy.window._tag === "Time" ? Math.max(at - policy.window.millis, closedAt) : closedAt
  }
}

/**
 * The failed requests of a dependency: the instants of their first attempts, and of their ends.
 *
 * @internal
 */
export class FailedRequests {
  private readonly firstAttempts = new Instants()
  private readonly calls = new Instants()
  lastGood = -Infinity

  firstFailed(at: number): void {
    this.firstAttempts.add(at)
  }

  callFailed(at: number): void {
    this.calls.add(at)
  }

  /**
   * How many requests were behind an opening. A breaker that counts calls counts those that ended, although their first attempts may have
   * failed long before; one that counts attempts may open while none of the calls has ended.
   */
  behind({ at, call }: CircuitChanged, policy: TripPolicy.Trip["policy"], closedAt: number): number {
    const from = reachOf(policy, at, this.lastGood, closedAt)
    // The attempt and the call that tripped it are told of after this.
    return Math.max(
      this.firstAttempts.since(from) + (call?.attempt === 1 ? 1 : 0),
      this.calls.since(from) + (call === undefined ? 0 : 1)
    )
  }
}
