import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as TripPolicy from "@holdfast/core/TripPolicy"
import * as Window from "@holdfast/core/Window"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { mollitiaBreaker } from "../contenders/promises.js"
import { type Group, perCall } from "../Group.js"
import { type Contender, measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect, promise } = styles.asynchronous

export const sizes = [10, 100, 1_000, 10_000]

/** Beyond this, a call of the others costs milliseconds. */
const largestOfOthers = 1_000

const breakerOver = (window: Window.Window, minimumCalls: number) =>
  Effect.runSync(CircuitBreaker.make({
    name: "windows",
    tripPolicy: TripPolicy.failureRate({ threshold: 0.5, window, minimumCalls })
  }))

/** A window that is kept as an immutable list, as a first version by hand does it. */
const chunkOf = (size: number) => {
  const window = Effect.runSync(Ref.make(Chunk.empty<boolean>()))
  return <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.tap(self, () => Ref.update(window, (results) => Chunk.takeRight(Chunk.append(results, true), size)))
}

const contendersFor = (size: number): ReadonlyArray<Contender> => {
  const breaker = breakerOver(Window.calls(size), size)
  const title = size.toLocaleString("en")
  const ours = styles.inOneFiber(`holdfast, last ${title} calls`, () => breaker(effect()))
  if (size > largestOfOthers) {
    return [ours]
  }
  const chunk = chunkOf(size)
  const mollitia = mollitiaBreaker(size)
  return [
    ours,
    styles.inOneFiber(`a Chunk by hand, last ${title} calls`, () => chunk(effect())),
    styles.awaited(`mollitia, last ${title} calls`, () => mollitia(promise))
  ]
}

export const group: Group = {
  name: "windows",
  title: "a circuit breaker by the size of its window, around an asynchronous operation, in one fiber",
  columns: perCall,
  run: async (settings) => {
    const inTime = [10, 100].map((slices) => {
      const breaker = breakerOver(Window.time(30_000, slices), 20)
      return styles.inOneFiber(`holdfast, last 30 s in ${slices} slices`, () => breaker(effect()))
    })
    return {
      windows: await measure([
        styles.inOneFiber(styles.bareEffect, effect),
        styles.awaited(styles.barePromise, async () => promise()),
        ...sizes.flatMap(contendersFor),
        ...inTime
      ], settings)
    }
  }
}
