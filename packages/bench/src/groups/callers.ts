import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { oneFinalizer } from "../contenders/effects.js"
import { byValue, five, standard } from "../contenders/holdfast.js"
import { cockatielFive } from "../contenders/promises.js"
import { type Group, perCall } from "../Group.js"
import { type Contender, measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect, promise } = styles.asynchronous

type Around = (loop: Effect.Effect<void, unknown>) => Effect.Effect<void, unknown>

let heard = 0

/** What a caller can be like. A child of the caller sends every time limit the way of a child fiber. */
const situations: Readonly<Record<string, Around>> = {
  "in a plain fiber": (loop) => loop,
  "caller with a forked child": (loop) => Effect.zipRight(Effect.fork(Effect.never), loop),
  "uninterruptible caller": Effect.uninterruptible,
  "one listener": ResilienceEvent.listen(() => {
    heard++
  }),
  "the metrics listener": ResilienceEvent.listen(ResilienceMetrics.listener())
}

const inSituation = (title: string, around: Around): ReadonlyArray<Contender> => {
  const ours = { five: five(`five ${title}`), standard: standard(`standard ${title}`) }
  return [
    styles.inOneFiber(styles.bareEffect, effect, around),
    styles.inOneFiber("onExit", () => oneFinalizer(effect()), around),
    styles.inOneFiber("five", () => ours.five(effect()), around),
    styles.inOneFiber("standard", () => ours.standard(effect()), around)
  ]
}

export const group: Group = {
  name: "callers",
  title: "what the caller is like, who listens, and who classifies; around an asynchronous operation, in one fiber",
  columns: perCall,
  run: async (settings) => {
    const theirs = cockatielFive(true)
    const benches = Object.entries(situations).map(([title, around]) => [title, inSituation(title, around)] as const)
    const classified = [
      styles.inOneFiber(styles.bareEffect, effect),
      ...[five("five, by value", byValue), standard("standard, by value", byValue)].map((apply, index) =>
        styles.inOneFiber(["five", "standard"][index]!, () => apply(effect()))
      )
    ]
    const peers = [
      styles.awaited(styles.barePromise, async () => promise()),
      styles.awaited("cockatiel", () => theirs(promise))
    ]
    // One interleaved run over all of them, so that any two can be compared.
    const all = [...benches, ["a classifier that looks at values", classified] as const, ["peers", peers] as const]
    const named = all.flatMap(([bench, contenders]) =>
      contenders.map((contender) => ({
        ...contender,
        title: `${bench}: ${contender.title}`,
        over: contender.over === undefined ? undefined : `${bench}: ${contender.over}`
      }))
    )
    const figures = await measure(named, settings)
    if (heard === 0 || !Metric.unsafeSnapshot().some(({ metricKey }) => metricKey.name.startsWith("holdfast_"))) {
      throw new Error("a listener heard nothing")
    }
    return Object.fromEntries(all.map(([bench, contenders]) => [
      bench,
      Object.fromEntries(contenders.map(({ title }) => [title, figures[`${bench}: ${title}`]!]))
    ]))
  }
}
