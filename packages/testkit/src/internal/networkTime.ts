/**
 * The time of the network: live whatever clock the program runs under, since the sockets are real. The one file of this package
 * that knows timers.
 */
import type { Time } from "./pipeline.js"

/** Longer timers fire at once in JavaScript; who is called too early asks for the rest. */
const longestTimer = 2 ** 31 - 1

/** @internal */
export const networkTime: Time = {
  now: () => performance.now(),
  after: (millis, task) => {
    const timer = setTimeout(task, Math.min(Math.max(0, Math.ceil(millis)), longestTimer))
    return () => clearTimeout(timer)
  }
}
