import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Effect from "effect/Effect"
import pLimit from "p-limit"
import { cockatielParts } from "../contenders/promises.js"
import type { Figures, Group, Result } from "../Group.js"
import { collectAll, cpuMicros } from "../measure.js"
import { median } from "../statistics.js"

const places = 10

/** A call that holds its place over a turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Subject {
  readonly title: string
  /** Who takes hours with more waiters than this is left out there. */
  readonly most: number
  /** Who takes most of a minute with more waiters than this is measured there once, and not warmed up. */
  readonly mostRepeated: number
  /** Makes `count` calls at once through `places` places. */
  readonly run: (count: number) => Promise<unknown>
}

const ofEffect = (
  title: string,
  apply: (self: Effect.Effect<void>) => Effect.Effect<unknown, unknown>,
  { most, mostRepeated }: Pick<Subject, "most" | "mostRepeated"> = { most: Infinity, mostRepeated: Infinity }
): Subject => ({
  title,
  most,
  mostRepeated,
  run: (count) =>
    Effect.runPromise(
      Effect.forEach(Array.from({ length: count }), () => apply(Effect.promise(turn)), {
        concurrency: "unbounded",
        discard: true
      })
    )
})

const ofPromise = (
  title: string,
  apply: (operation: () => Promise<void>) => Promise<unknown>
): Subject => ({
  title,
  most: Infinity,
  mostRepeated: Infinity,
  run: (count) => Promise.all(Array.from({ length: count }, () => apply(turn)))
})

const subjects = (): ReadonlyArray<Subject> => {
  const theirs = cockatielParts.bulkhead(places, 100_000)
  const limit = pLimit(places)
  return [
    ofEffect("no limit", (self) => self),
    ofEffect(
      "holdfast",
      Effect.runSync(Bulkhead.make({ name: "queue", maxConcurrent: places, maxQueue: 100_000 }))
    ),
    ofEffect("semaphore.withPermits", Effect.unsafeMakeSemaphore(places).withPermits(1), {
      most: 2_000,
      mostRepeated: 500
    }),
    ofPromise("cockatiel", (operation) => theirs.execute(operation)),
    ofPromise("p-limit", (operation) => limit(operation))
  ]
}

const repeats = 3

export const titleOf = (count: number): string => `${count.toLocaleString("en")} waiters`

export const group: Group = {
  name: "queue",
  once: true,
  title: `a bulkhead of ${places} places by the number of those who wait, CPU per call`,
  columns: [{ key: "micros", title: "us", digits: 2 }],
  run: async () => {
    const result: Record<string, Result[string]> = {}
    const all = subjects()
    for (const count of [500, 2_000, 20_000]) {
      const present = all.filter(({ most }) => count <= most)
      const found = present.map((): Array<number> => [])
      for (let round = 0; round <= repeats; round++) {
        for (let place = 0; place < present.length; place++) {
          const index = (place + round) % present.length
          const subject = present[index]!
          if (count > subject.mostRepeated && round !== 1) {
            continue
          }
          collectAll()
          const before = cpuMicros()
          await subject.run(count)
          if (round > 0) {
            found[index]!.push((cpuMicros() - before) / count)
          }
        }
      }
      result[titleOf(count)] = Object.fromEntries(
        present.map(({ title }, index): [string, Figures] => [title, { micros: median(found[index]!) }])
      )
    }
    return result
  }
}
