/**
 * What happens when a pending payment has its end: the user gets the mail that was promised, and the demo writes it down.
 */
import type * as Fallback from "@holdfast/core/Fallback"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Order } from "./clients.js"

/** How an order ended that was pending. A declined card is an end as well. */
export type Settlement = "charged" | "declined"

/** Follows the queue until the scope closes. */
export const followSettlements = <E>(
  queue: Fallback.DeferralQueue<Order, Settlement, E>,
  notify: (order: Order) => Effect.Effect<unknown>
): Effect.Effect<ReadonlyMap<string, Settlement>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const settled = new Map<string, Settlement>()
    const follow = Stream.runForEach(queue.settlements, ({ exit, id, job }) => {
      if (Exit.isSuccess(exit)) {
        settled.set(id, exit.value)
      }
      return notify(job)
    })
    yield* Effect.forkScoped(follow)
    return settled
  })
