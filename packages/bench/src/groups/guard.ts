import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Failure from "@holdfast/core/Failure"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Effect from "effect/Effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { oneFinalizer } from "../contenders/effects.js"
import { byValue, five, standard } from "../contenders/holdfast.js"
import type { Group } from "../Group.js"
import { inAll } from "../Group.js"
import { type Contender, measure } from "../measure.js"
import * as styles from "../styles.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const busy = new Busy()

const caught = (self: Effect.Effect<number, unknown>) => Effect.catchAll(self, () => Effect.succeed(-1))

/** A request's name and a trace, as a service has them. */
const request = new AsyncLocalStorage<string>()
const trace = new AsyncLocalStorage<string>()

const inStores = (contender: Contender): Contender => ({
  ...contender,
  title: `${contender.title}, two stores`,
  run: (calls) => request.run("request", () => trace.run("trace", () => contender.run(calls)))
})

/**
 * What the async context of a call costs. A process of its own: the first store makes all promises of its process slower on Node 20.
 */
export const stores: Group = {
  name: "guardStores",
  title: "what the regression guard watches where two stores are active",
  columns: inAll,
  run: async (settings) => {
    const async = styles.asynchronous.effect
    const ours = { five: five("guard five"), standard: standard("guard standard") }
    const figures = await measure(
      [
        styles.inOneFiber(styles.bareEffect, async),
        styles.inOneFiber("onExit", () => oneFinalizer(async())),
        styles.inOneFiber("five", () => ours.five(async())),
        styles.inOneFiber("standard", () => ours.standard(async()))
      ].map((contender) => inStores({ ...contender, over: undefined })),
      settings
    )
    return { guardStores: figures }
  }
}

/** The shapes of the hot path, each once: small enough for every build. */
export const group: Group = {
  name: "guard",
  title: "what the regression guard watches",
  columns: inAll,
  run: async (settings) => {
    const [sync, async] = [styles.synchronous.effect, styles.asynchronous.effect]
    const ours = {
      five: five("guard five"),
      standard: standard("guard standard"),
      classified: five("guard, by value", byValue)
    }
    const isolated = Effect.runSync(CircuitBreaker.make({ name: "guard, isolated" }))
    Effect.runSync(isolated.isolate)
    const retry = Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) })
    const limiter = Effect.runSync(RateLimiter.make({ name: "guard", rate: 1_000_000_000, maximumKeys: 10 }))
    let heard = 0
    const figures = await measure([
      styles.inOneFiber(styles.bareEffect, sync),
      styles.inOneFiber("onExit", () => oneFinalizer(sync())),
      styles.inOneFiber("five", () => ours.five(sync())),
      styles.inOneFiber("standard", () => ours.standard(sync())),
      styles.inOneFiber("keyed limiter", () => limiter.with({ key: "one" })(sync())),
      styles.inOneFiber("rejected", () => caught(isolated(sync()))),
      styles.inOneFiber("three failing attempts", () => caught(retry(Effect.fail(busy)))),
      styles.inOneFiber("bare, asynchronous", async),
      styles.inOneFiber("onExit, asynchronous", () => oneFinalizer(async())),
      styles.inOneFiber("five, asynchronous", () => ours.five(async())),
      styles.inOneFiber("standard, asynchronous", () => ours.standard(async())),
      styles.inOneFiber("five, by value", () => ours.classified(sync())),
      styles.inOneFiber(
        "standard, one listener",
        () => ours.standard(sync()),
        ResilienceEvent.listen(() => {
          heard++
        })
      ),
      styles.inOneFiber(
        "five, forked child",
        () => ours.five(sync()),
        (loop) => Effect.zipRight(Effect.fork(Effect.never), loop)
      )
    ], settings)
    if (heard === 0) {
      throw new Error("the listener heard nothing")
    }
    return { guard: figures }
  }
}
