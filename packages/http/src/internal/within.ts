/**
 * A plain time limit for what goes on beside a policy, where listeners of policies must hear nothing.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Ends the effect with a failure when it takes longer. It forks: nothing on the path of a short answer may use it.
 *
 * Not `Effect.raceFirst`, which hangs for good when its fiber is interrupted at the wrong one of its operations.
 *
 * @internal
 */
export const within = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      let late = false
      const working = yield* Effect.fork(Effect.interruptible(effect))
      const ring = Effect.suspend(() => {
        late = true
        return Fiber.interruptFork(working)
      })
      const alarm = yield* Effect.fork(Effect.interruptible(Effect.zipRight(Effect.sleep(millis), ring)))
      const exit = yield* Effect.onInterrupt(
        restore(Fiber.await(working)),
        () => Effect.zipRight(Fiber.interrupt(alarm), Fiber.interrupt(working))
      )
      yield* Fiber.interrupt(alarm)
      yield* Fiber.inheritAll(working)
      return yield* late && exit._tag === "Failure" ? Effect.failSync(onTimeout) : exit
    })
  )
