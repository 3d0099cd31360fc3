import * as Keyed from "@holdfast/core/Keyed"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Effect from "effect/Effect"
import * as EffectRateLimiter from "effect/RateLimiter"
import * as Scope from "effect/Scope"
import { RateLimiterMemory } from "rate-limiter-flexible"
import type { Figures, Group, Result } from "../Group.js"
import { type Contender, heldBytes, measure } from "../measure.js"
import * as styles from "../styles.js"

const { effect, promise } = styles.synchronous

const counts = [1, 100, 10_000, 100_000]

/** A policy per key holds a breaker and more, so fewer keys stand for the rest. */
const mostPolicies = 10_000

/** So slow that no bucket is full again within a run: a full bucket is as good as none, and is dropped. */
const rate = { rate: 1_000_000, per: "3650 days" } as const

const keysOf = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `tenant-${index}`)

/** A way through all keys that jumps, as callers do. */
const walker = (keys: ReadonlyArray<string>): () => string => {
  let at = 0
  return () => {
    at = (at + 7_919) % keys.length
    return keys[at]!
  }
}

interface Subject {
  readonly title: string
  /** The timed calls. */
  readonly contender: Contender
  /** Touches one key for the first time. */
  readonly touch: (key: string) => Promise<unknown>
}

const subjects = (keys: ReadonlyArray<string>): ReadonlyArray<Subject> => {
  const ofEffect = (title: string, apply: (key: string) => Effect.Effect<unknown, unknown>): Subject => {
    const next = walker(keys)
    return {
      title,
      contender: styles.inOneFiber(title, () => apply(next())),
      touch: (key) => Effect.runPromise(apply(key))
    }
  }
  const limiter = Effect.runSync(RateLimiter.make({ name: "keys", ...rate, maximumKeys: 200_000 }))
  const flexible = new RateLimiterMemory({ points: 1_000_000_000, duration: 86_400 })
  const next = walker(keys)
  const consume = async (key: string) => {
    await flexible.consume(key)
    return promise()
  }
  const limiters: ReadonlyArray<Subject> = [
    ofEffect("holdfast, keyed limiter", (key) => limiter.with({ key })(effect())),
    {
      title: "rate-limiter-flexible",
      contender: styles.awaited("rate-limiter-flexible", () => consume(next())),
      touch: consume
    }
  ]
  if (keys.length > mostPolicies) {
    return limiters
  }
  const policies = Effect.runSync(
    Keyed.make({ name: "keys", make: (key) => Policy.standard(key), capacity: mostPolicies })
  )
  const scope = Effect.runSync(Scope.make())
  const byKey = new Map<string, EffectRateLimiter.RateLimiter>()
  const limiterOf = (key: string): EffectRateLimiter.RateLimiter => {
    let known = byKey.get(key)
    if (known === undefined) {
      known = Effect.runSync(Scope.extend(EffectRateLimiter.make({ limit: 1_000_000, interval: "1 millis" }), scope))
      byKey.set(key, known)
    }
    return known
  }
  return [
    ...limiters,
    ofEffect("effect/RateLimiter, one per key", (key) => limiterOf(key)(effect())),
    ofEffect("holdfast, a standard policy per key", (key) => policies.with({ key })(effect()))
  ]
}

/** Each subject's heap per key, then the cost of a call with all keys in place. */
const measureKeys = async (count: number, settings: Parameters<Group["run"]>[0]): Promise<Result[string]> => {
  const keys = keysOf(count)
  const all = subjects(keys)
  const held = new Map<string, number>()
  for (const { title, touch } of all) {
    held.set(
      title,
      await heldBytes(async () => {
        for (const key of keys) {
          await touch(key)
        }
      }) / count
    )
  }
  const figures = await measure(all.map(({ contender }) => contender), settings)
  return Object.fromEntries(all.map(({ title }): [string, Figures] => {
    const { bytes, micros } = figures[title]!
    return [title, { micros: micros!, bytes: bytes!, heldBytes: held.get(title)! }]
  }))
}

export const titleOf = (count: number): string => count === 1 ? "1 key" : `${count.toLocaleString("en")} keys`

export const group: Group = {
  name: "keys",
  title: "a limiter, or a policy, per key: cost of a call and memory held per key, by the number of keys",
  columns: [
    { key: "micros", title: "us", digits: 2 },
    { key: "bytes", title: "bytes", digits: 0 },
    { key: "heldBytes", title: "held per key", digits: 0 }
  ],
  run: async (settings) => {
    const result: Record<string, Result[string]> = {}
    for (const count of counts) {
      result[titleOf(count)] = await measureKeys(count, settings)
    }
    return result
  }
}
