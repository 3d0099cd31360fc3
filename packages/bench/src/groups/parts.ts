import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Fallback from "@holdfast/core/Fallback"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Effect from "effect/Effect"
import * as EffectRateLimiter from "effect/RateLimiter"
import * as Scope from "effect/Scope"
import pLimit from "p-limit"
import pRetry from "p-retry"
import { RateLimiterMemory } from "rate-limiter-flexible"
import { breakerByHand, exponentially } from "../contenders/effects.js"
import { places } from "../contenders/holdfast.js"
import { cockatielParts, mollitiaBreaker, opossumAlone } from "../contenders/promises.js"
import { type Group, perCall, type Result } from "../Group.js"
import { type Contender, measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect, promise } = styles.asynchronous

type OfEffect = (self: Effect.Effect<number>) => Effect.Effect<unknown, unknown>
type OfPromise = (operation: typeof promise) => Promise<unknown>

const ofEffect = (title: string, apply: OfEffect): Contender => styles.inOneFiber(title, () => apply(effect()))
const ofPromise = (title: string, apply: OfPromise): Contender => styles.awaited(title, () => apply(promise))

const endless = Number.MAX_SAFE_INTEGER

/** Each policy alone, beside what others have for the same. */
const parts = (): Readonly<Record<string, ReadonlyArray<Contender>>> => {
  const { breaker, bulkhead, fallback, retry, timeout } = cockatielParts
  const theirs = {
    timeout: timeout(true),
    kept: timeout(false),
    retry: retry(),
    breaker: breaker(),
    bulkhead: bulkhead(),
    fallback: fallback()
  }
  const semaphore = Effect.unsafeMakeSemaphore(places)
  const limit = pLimit(places)
  const scope = Effect.runSync(Scope.make())
  const limiter = Effect.runSync(
    Scope.extend(EffectRateLimiter.make({ limit: 1_000_000, interval: "1 millis" }), scope)
  )
  const flexible = new RateLimiterMemory({ points: endless, duration: 3600 })
  return {
    timeout: [
      ofEffect("holdfast", Timeout.make(styles.limitMillis)),
      ofEffect("Effect.timeout", Effect.timeout(styles.limitMillis)),
      ofPromise("cockatiel", (operation) => theirs.timeout.execute(operation)),
      ofPromise("cockatiel, abortOnReturn false", (operation) => theirs.kept.execute(operation))
    ],
    retry: [
      ofEffect("holdfast", Retry.make({ maxRetries: 2 })),
      ofEffect("Effect.retry", Effect.retry({ schedule: exponentially, times: 2 })),
      ofPromise("cockatiel", (operation) => theirs.retry.execute(operation)),
      ofPromise("p-retry", (operation) => pRetry(operation, { retries: 2 }))
    ],
    "circuit breaker": [
      ofEffect("holdfast", Effect.runSync(CircuitBreaker.make({ name: "parts" }))),
      ofEffect("a Ref, by hand", breakerByHand()),
      ofPromise("cockatiel", (operation) => theirs.breaker.execute(operation)),
      ofPromise("opossum, no timeout", opossumAlone()),
      ofPromise("mollitia, window of 10", mollitiaBreaker(10))
    ],
    bulkhead: [
      ofEffect("holdfast", Effect.runSync(Bulkhead.make({ name: "parts", maxConcurrent: places }))),
      ofEffect("semaphore.withPermits", semaphore.withPermits(1)),
      ofPromise("cockatiel", (operation) => theirs.bulkhead.execute(operation)),
      ofPromise("p-limit", (operation) => limit(operation))
    ],
    "rate limiter": [
      ofEffect("holdfast", Effect.runSync(RateLimiter.make({ name: "parts", rate: 1_000_000_000 }))),
      ofEffect("effect/RateLimiter", limiter),
      ofPromise("rate-limiter-flexible", async (operation) => {
        await flexible.consume("parts")
        return operation()
      })
    ],
    fallback: [
      ofEffect("holdfast", Fallback.orElse(-1)),
      ofEffect("Effect.catchAll", Effect.catchAll(() => Effect.succeed(-1))),
      ofPromise("cockatiel", (operation) => theirs.fallback.execute(operation))
    ]
  }
}

export const group: Group = {
  name: "parts",
  title: "each policy alone around an asynchronous operation, in one fiber",
  columns: perCall,
  run: async (settings) => {
    const result: Record<string, Result[string]> = {}
    for (const [part, contenders] of Object.entries(parts())) {
      result[part] = await measure([
        styles.inOneFiber(styles.bareEffect, effect),
        styles.awaited(styles.barePromise, async () => promise()),
        ...contenders
      ], settings)
    }
    return result
  }
}
