import * as Backoff from "@holdfast/core/Backoff"
import * as Failure from "@holdfast/core/Failure"
import * as Retry from "@holdfast/core/Retry"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import pRetry from "p-retry"
import { cockatielNoDelay } from "../contenders/promises.js"
import { type Group, inAll } from "../Group.js"
import { measure } from "../measure.js"
import * as styles from "../styles.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const busy = new Busy()
const failing = (): Effect.Effect<number, Busy> => Effect.fail(busy)
const rejecting = (): Promise<number> => Promise.reject(busy)

const caught = (self: Effect.Effect<number, unknown>) => Effect.catchAll(self, () => Effect.succeed(-1))

/** What the fastest program without a policy does. */
const byHand = (): Effect.Effect<number, Busy> => {
  let made = 0
  const attempt = (): Effect.Effect<number, Busy> =>
    Effect.catchAll(failing(), (error) => ++made < 3 ? attempt() : Effect.fail(error))
  return attempt()
}

export const group: Group = {
  name: "attempts",
  title: "three attempts that all fail, without delay, the last failure caught by the caller",
  columns: inAll,
  run: async (settings) => {
    const retry = Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) })
    const bySchedule = Retry.make({ maxRetries: 2, schedule: Schedule.recurs(2) })
    const theirs = cockatielNoDelay()
    return {
      "three failing attempts": await measure([
        styles.inOneFiber("holdfast", () => caught(retry(failing()))),
        styles.inOneFiber("holdfast, a schedule of Effect's", () => caught(bySchedule(failing()))),
        styles.inOneFiber("by hand", () => caught(byHand())),
        styles.inOneFiber("Effect.retry", () => caught(Effect.retry(failing(), { times: 2 }))),
        styles.awaited("cockatiel", () => theirs(rejecting).catch(() => -1)),
        styles.awaited("p-retry", () => pRetry(rejecting, { retries: 2, minTimeout: 0, maxTimeout: 0 }).catch(() => -1))
      ], settings)
    }
  }
}
