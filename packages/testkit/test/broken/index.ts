/** All bugs, in the order of the table in docs/injected-bugs.md. */
import type { Bug } from "./bug.js"
import { permitLost } from "./bulkhead.js"
import { lateResult, probeLeaks } from "./circuitBreaker.js"
import { staleServed } from "./fallback.js"
import { tokenLost } from "./rateLimiter.js"
import { budgetIgnored, jitterMissing, lostAnswerRepeated } from "./retry.js"
import { callAbandoned, interruptionLost } from "./timeout.js"

export const bugs: ReadonlyArray<Bug> = [
  probeLeaks,
  lateResult,
  permitLost,
  jitterMissing,
  budgetIgnored,
  lostAnswerRepeated,
  staleServed,
  interruptionLost,
  callAbandoned,
  tokenLost
]
