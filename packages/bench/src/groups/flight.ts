import * as Policy from "@holdfast/core/Policy"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fiveByHand } from "../contenders/effects.js"
import { five } from "../contenders/holdfast.js"
import { cockatielFive, opossumFour } from "../contenders/promises.js"
import type { Figures, Group, Result } from "../Group.js"
import { collectAll, cpuMicros, heldBytes } from "../measure.js"
import { median } from "../statistics.js"
import { limitMillis } from "../styles.js"

/** Calls that hang until somebody releases them all. */
class Latch {
  private readonly waiting: Array<() => void> = []

  readonly effect = (): Effect.Effect<number> =>
    Effect.async<number>((resume) => {
      this.waiting.push(() => resume(Effect.succeed(1)))
    })

  readonly promise = (): Promise<number> => new Promise((resolve) => this.waiting.push(() => resolve(1)))

  get size(): number {
    return this.waiting.length
  }

  release(): void {
    for (const go of this.waiting.splice(0, Infinity)) {
      go()
    }
  }
}

interface Subject {
  readonly title: string
  /** Starts a call and answers how to wait for its end. */
  readonly start: () => () => Promise<unknown>
}

const subjects = (latch: Latch, count: number): ReadonlyArray<Subject> => {
  const ofEffect = (
    title: string,
    apply: (self: Effect.Effect<number>) => Effect.Effect<unknown, unknown>
  ): Subject => ({
    title,
    start: () => {
      const fiber = Effect.runFork(apply(latch.effect()))
      return () => Effect.runPromise(Fiber.await(fiber))
    }
  })
  const ofPromise = (title: string, call: (operation: () => Promise<number>) => Promise<unknown>): Subject => ({
    title,
    start: () => {
      const ended = call(latch.promise)
      return () => ended
    }
  })
  const always = [
    ofEffect("bare fiber", (self) => self),
    ofEffect("five", five(`five ${count}`)),
    ofEffect(
      "standard",
      Effect.runSync(
        Policy.standard(`standard ${count}`, { totalTimeout: 2 * limitMillis, attemptTimeout: limitMillis })
      )
    )
  ]
  // A hundred thousand of the others' calls fill the heap, and then it is the collector that is measured.
  return count > 10_000 ? always : [
    ...always,
    ofEffect("Effect.timeout", Effect.timeout(limitMillis)),
    ofEffect("built-ins", fiveByHand()),
    ofPromise("bare promise", (operation) => operation()),
    ofPromise("opossum", opossumFour()),
    ofPromise("cockatiel", cockatielFive(true))
  ]
}

const timersAlive = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length

/** Starts `count` calls, lets them hang, reads what they hold, lets them end; CPU time of start and end, without the reading. */
const once = async ({ start, title }: Subject, latch: Latch, count: number): Promise<Figures> => {
  const ends: Array<() => Promise<unknown>> = new Array(count)
  const timersBefore = timersAlive()
  let cpu = 0
  const held = await heldBytes(async () => {
    const before = cpuMicros()
    for (let made = 0; made < count; made++) {
      ends[made] = start()
    }
    // Where a policy starts its operation in a later turn, every turn must have come.
    while (latch.size < count) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    cpu += cpuMicros() - before
  })
  const timers = timersAlive() - timersBefore
  const before = cpuMicros()
  latch.release()
  for (const ended of ends) {
    await ended()
  }
  cpu += cpuMicros() - before
  if (latch.size !== 0) {
    throw new Error(`${title}: an operation was started twice`)
  }
  return { micros: cpu / count, heldBytes: held / count, timers }
}

const repeats = 3

export const titleOf = (count: number): string => `${count.toLocaleString("en")} calls in flight`

export const group: Group = {
  name: "flight",
  once: true,
  title: "calls in flight: memory that each holds, timers alive, CPU per call from start to end",
  columns: [
    { key: "micros", title: "us", digits: 2 },
    { key: "heldBytes", title: "held per call", digits: 0 },
    { key: "timers", title: "timers", digits: 0 }
  ],
  run: async () => {
    const result: Record<string, Result[string]> = {}
    const latch = new Latch()
    for (const count of [10_000, 100_000]) {
      const all = subjects(latch, count)
      const found = all.map((): Array<Figures> => [])
      // The first round is the warm-up.
      for (let round = 0; round <= repeats; round++) {
        for (let turn = 0; turn < all.length; turn++) {
          const index = (turn + round) % all.length
          collectAll()
          const figures = await once(all[index]!, latch, count)
          if (round > 0) {
            found[index]!.push(figures)
          }
        }
      }
      result[titleOf(count)] = Object.fromEntries(all.map(({ title }, index) => [
        title,
        Object.fromEntries(
          ["micros", "heldBytes", "timers"].map((key) => [key, median(found[index]!.map((figures) => figures[key]!))])
        )
      ]))
    }
    return result
  }
}
