/**
 * A plain time limit for what goes on beside a policy, where listeners of policies must hear nothing.
 */
import * as Effect from "effect/Effect"

/**
 * Ends the effect with a failure when it takes longer. It forks: nothing on the path of a short answer may use it.
 *
 * @internal
 */
export const within = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.raceFirst(effect, Effect.zipRight(Effect.sleep(millis), Effect.failSync(onTimeout)))
