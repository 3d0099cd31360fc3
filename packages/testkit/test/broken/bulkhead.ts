import * as Core from "@holdfast/core/Bulkhead"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { bug, ofSweep, type Protect } from "./bug.js"

export const permitLost = bug<Protect>({
  policy: "Bulkhead",
  title: "a permit is lost (it stands on `Effect.makeSemaphore`)",
  tool: "OperationSweep",
  broken: () => Effect.map(Effect.makeSemaphore(1), (semaphore): Protect => semaphore.withPermits(1)),
  real: () => Core.make({ name: "payments", maxConcurrent: 1, maxQueue: 1 }),
  check: (make) =>
    Effect.map(
      OperationSweep.run({
        make,
        body: (protect) => protect(Effect.sleep(10)),
        check: (protect) =>
          Effect.map(
            Effect.timeoutOption(Effect.orDie(protect(Effect.void)), "1 hour"),
            (served) => Option.isSome(served) ? "" : "the next call waits for ever: the permit is lost"
          )
      }),
      ofSweep
    )
})
