/**
 * The public face of the last good answers: a tier that serves them, and the state behind it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Failure from "../Failure.js"
import { Validation } from "../Options.js"
import { CacheMiss, type Key, LastGood } from "./fallbackCache.js"
import { fault, nowOf } from "./fallbackFault.js"
import type { Tier } from "./fallbackModel.js"
import { checkCommon, makeTier } from "./fallbackTier.js"
import { currentFiber } from "./runtime.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface CachedOptions<in Input> {
  /** Tells answers apart. All that changes the answer belongs into it: the user, the language, the page. */
  readonly key: (input: Input) => Key
  /** The most answers that are kept, 1 to 1,000,000; the least recently used goes first. */
  readonly capacity: number
  /** No answer older than this is served. */
  readonly serveFor: Duration.DurationInput
  /**
   * An answer up to this age counts as good as the primary's: served without a notice and not as degraded. Default
   * zero. It never spares the primary a call.
   */
  readonly freshFor?: Duration.DurationInput | undefined
  /** Default `cached`. */
  readonly name?: string | undefined
  /** Default: as the outcome table says. */
  readonly when?: Failure.When | undefined
  /** What to tell the user when the answer is not fresh. */
  readonly notice?: string | undefined
}

/**
 * The last good answers of one operation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cached<in Input> {
  /**
   * Serves what is remembered; a fallback that has it remembers the successes of its primary, under the input it is
   * given.
   */
  readonly tier: Tier<Input, never, never, never>
  /** Remembers the success of an effect that runs without the fallback, such as a warm-up. */
  readonly remember: (input: Input) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Forgets one answer, and what calls under way would bring. */
  readonly forget: (input: Input) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
  readonly size: Effect.Effect<number>
}

/**
 * Makes a cache of last good answers. Its `tier` goes into a fallback, which is then given the input of each call:
 * `fallback.with(input)(effect)`.
 *
 * The primary is asked every time; the cache serves only when it failed. Use one cache per operation: what one
 * operation remembers would be served as the answer of another. A `key` that throws, or gives an empty or missing key,
 * is told as a `PolicyFault`: nothing is remembered or served for that call.
 *
 * @example
 * ```ts
 * import * as Fallback from "@holdfast/core/Fallback"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const lastGood = yield* Fallback.cached({
 *     key: (user: string) => user,
 *     capacity: 10_000,
 *     serveFor: "1 hour"
 *   })
 *   const fallback = Fallback.tiers(lastGood.tier, Fallback.value([]))
 *   const recommendations = (user: string) => Effect.succeed([`for ${user}`]).pipe(fallback.with(user))
 *   return yield* recommendations("u-1")
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const cached = <Input>(options: CachedOptions<Input>): Effect.Effect<Cached<Input>> =>
  Effect.sync(() => {
    const check = new Validation("Fallback.cached")
    check.record(options, ["key", "capacity", "serveFor", "freshFor", "name", "when", "notice"])
    check.callable("key", options?.key)
    check.whole("capacity", options?.capacity, 1)
    const serveFor = check.duration("serveFor", options?.serveFor, 0)
    const freshFor = check.duration("freshFor", options?.freshFor ?? Duration.zero, 0)
    if (freshFor > serveFor) {
      check.add("freshFor", options?.freshFor, "a duration not longer than serveFor")
    }
    checkCommon(check, options)
    check.done()
    const name = options.name ?? "cached"
    const store = new LastGood(name, options.key, options.capacity, freshFor, serveFor, fault)
    return {
      tier: makeTier({
        name,
        kind: "cache",
        when: options.when,
        withinMillis: undefined,
        notice: options.notice,
        run: (failed) => Exit.map(store.find(failed.input, nowOf(currentFiber())), (found) => found.value),
        // An empty cache is no fault at start-up; a key that cannot be told is.
        rehearse: (failed) =>
          store.keyOf(failed.input) === undefined
            ? Exit.fail(new CacheMiss({ cache: name, reason: "key" }))
            : Exit.void,
        constant: false,
        store
      }),
      remember: (input) => (effect) =>
        Effect.suspend(() => {
          const ticket = store.ticket()
          return Effect.map(effect, (value) => {
            store.remember(input, value, ticket, nowOf(currentFiber()))
            return value
          })
        }),
      forget: (input) => Effect.sync(() => store.forget(input)),
      clear: Effect.sync(() => store.clear()),
      size: Effect.sync(() => store.size)
    }
  })
