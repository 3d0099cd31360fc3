import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Policy from "@holdfast/core/Policy"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import { oneFinalizer } from "../contenders/effects.js"
import { places } from "../contenders/holdfast.js"
import { type Group, perCall } from "../Group.js"
import { measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect } = styles.synchronous

const gates = [1, 2, 5, 10, 20]
const limits = [1, 2, 3]

/** Bulkheads and breakers by turns: all in one region. */
const regionOf = (size: number): Policy.Policy<unknown> =>
  Policy.compose(
    ...Array.from({ length: size }, (_, place) =>
      Effect.runSync<Policy.Policy<unknown>, never>(
        place % 2 === 0
          ? Bulkhead.make({ name: `gate ${place}`, maxConcurrent: places })
          : CircuitBreaker.make({ name: `gate ${place}` })
      ))
  )

/** Time limits, of which each has a region of its own. */
const limitsOf = (count: number): Policy.Policy<unknown> =>
  Policy.compose(...Array.from({ length: count }, (_, place) => Timeout.make(`${3 - place} seconds`)))

export const titleOf = (size: number): string => size === 1 ? "region of 1 gate" : `region of ${size} gates`

export const group: Group = {
  name: "gates",
  title: "how cost grows with the number of gates in a region, and of regions; synchronous operation, in one fiber",
  columns: perCall,
  run: async (settings) => {
    const policies = [
      ...gates.map((size) => [titleOf(size), regionOf(size)] as const),
      ...limits.map((count) => [count === 1 ? "1 time limit" : `${count} time limits`, limitsOf(count)] as const)
    ]
    return {
      "synchronous operation": await measure([
        styles.inOneFiber(styles.bareEffect, effect),
        styles.inOneFiber("onExit", () => oneFinalizer(effect())),
        ...policies.map(([title, policy]) => styles.inOneFiber(title, () => policy(effect())))
      ], settings)
    }
  }
}
