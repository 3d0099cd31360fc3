/**
 * Tells an example as a story: every line begins with the second at which it happens. Time is virtual, so that half a minute is
 * over in a moment, and chance is seeded, so that a story ends the same way each time. In a program of your own the last line
 * would be `Effect.runPromise(program)`, and nothing else would change.
 */
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { fold } from "../drawing.js"

/** One line of a story. */
export const line = (millis: number, text: string): string =>
  fold(`${(millis / 1000).toFixed(2).padStart(7)} s  ${text}`, 11)

export const say = (text: string): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (millis) => Console.log(line(millis, text)))

export const tell = <A, E>(story: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(VirtualClock.run(Effect.withRandom(story, Random.make("patterns"))))
