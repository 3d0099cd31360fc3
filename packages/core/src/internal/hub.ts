/**
 * What is told to subscribers, of whom there are mostly none.
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import { ofProcess } from "./asyncContext.js"

/** How many messages wait for a subscriber that is slow; older ones are dropped. */
const kept = 256

/**
 * A `PubSub` that is made for its first subscriber: it weighs more than the breaker whose transitions it tells.
 *
 * @internal
 */
export class Hub<A> {
  private made: PubSub.PubSub<A> | undefined = undefined

  /** A message before the first subscription would reach nothing in any case. No subscriber goes on in the context of the call that publishes. */
  publish(message: A): void {
    if (this.made !== undefined) {
      ofProcess.runInAsyncScope(this.made.unsafeOffer, this.made, message)
    }
  }

  get pubSub(): Effect.Effect<PubSub.PubSub<A>> {
    return Effect.suspend(() =>
      this.made === undefined
        ? Effect.map(PubSub.sliding<A>(kept), (made) => (this.made ??= made))
        : Effect.succeed(this.made)
    )
  }
}
