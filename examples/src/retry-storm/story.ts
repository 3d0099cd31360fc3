/**
 * What happens in the storm, and what is measured of it.
 */
import * as Backoff from "@holdfast/core/Backoff"
import type * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Effect from "effect/Effect"

export interface Story {
  readonly clients: number
  readonly capacityPerSecond: number
  /** Shortens everything alike: 0.1 makes a second of the story a tenth of a second. */
  readonly scale: number
}

export const names = ["no jitter", "full jitter", "full jitter, retry budget"] as const

export type Name = (typeof names)[number]

/** The three ways to retry. They differ in nothing but what their name says. */
export const retryOptions = (name: Name, { scale }: Story): Effect.Effect<Retry.Options> =>
  Effect.map(
    // One budget for all calls of the process: a fifth of the calls of the last ten seconds, and one per second.
    name === "full jitter, retry budget"
      ? RetryBudget.make({ percent: 0.2, minimumPerSecond: 1 / scale, ttl: Math.max(1000, 10_000 * scale) })
      : Effect.succeed(undefined),
    (budget) => ({
      maxRetries: 30,
      // 1, 2, 4, 8, 8, 8, ... seconds
      schedule: Backoff.exponential(1000 * scale, {
        cap: 8000 * scale,
        jitter: name === "no jitter" ? "none" : "full"
      }),
      budget
    })
  )

/** What was seen, in seconds of the story since the restart. */
export interface Storm {
  readonly name: Name
  /** When each retry arrived at the server. */
  readonly arrivals: ReadonlyArray<number>
  readonly answered: number
  readonly gaveUp: number
  /** When the last client had its answer, or had given up. */
  readonly overAfter: number
}

/** The most arrivals within one slot of time. */
export const peak = ({ arrivals }: Storm, slotSeconds: number): number => Math.max(...perSlot(arrivals, slotSeconds))

/** Arrivals counted in slots of time, from second 0 on. */
export const perSlot = (arrivals: ReadonlyArray<number>, slotSeconds: number): ReadonlyArray<number> => {
  const slots: Array<number> = [0]
  for (const at of arrivals) {
    const slot = Math.floor(at / slotSeconds + 1e-9)
    while (slots.length <= slot) {
      slots.push(0)
    }
    slots[slot]!++
  }
  return slots
}
