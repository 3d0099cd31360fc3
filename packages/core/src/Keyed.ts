/**
 * One policy per key: a tenant, a host or a shard that fails takes only its own circuit with it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import type * as Call from "./Call.js"
import type { Wrapper } from "./internal/gate.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * A key that was dropped and comes back has a policy of the same name as one that may be alive still.
 *
 * @internal
 */
export const twinsAllowed: FiberRef.FiberRef<boolean> = globalValue(
  Symbol.for("@holdfast/core/Keyed/twinsAllowed"),
  () => FiberRef.unsafeMake(false)
)

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R, RMake = never> {
  /** Names this piece in errors and events. */
  readonly name: string
  /**
   * Builds the policy of a key, when the key is first seen or comes back after it was dropped. Calls that come while it is being built
   * build one too, of which only the first that is ready is used: it should be quick, and acquire nothing.
   */
  readonly make: (key: string) => Effect.Effect<Step.Policy<E, R>, never, RMake>
  /** The key of a call. Default: the `key` of its facts; a call without one has the key `""`. */
  readonly key?: ((facts: Call.Facts) => string) | undefined
  /** The most keys that are kept; the one least recently used goes first. Its calls under way end as they would have. */
  readonly capacity: number
  /** A key unused for so long is dropped. Default: never. */
  readonly idle?: Duration.DurationInput | undefined
}

/**
 * A policy that keeps a policy per key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed<out E = never, out R = never> extends Step.Policy<E, R> {
  /** The keys that are kept, least recently used first. */
  readonly keys: Effect.Effect<ReadonlyArray<string>>
}

interface Entry<E, R> {
  readonly policy: Step.Policy<E, R>
  usedAt: number
}

/**
 * Makes a policy that keeps one policy per key, bounded, least recently used out. Keep it: it is state.
 *
 * @example
 * import * as Keyed from "@holdfast/core/Keyed"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const perHost = yield* Keyed.make({
 *     name: "hosts",
 *     make: (host) => Policy.standard(host),
 *     capacity: 100,
 *     idle: "10 minutes"
 *   })
 *   return yield* Effect.succeed("page").pipe(perHost.with({ key: "example.org" }))
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R, RMake = never>(options: Options<E, R, RMake>): Effect.Effect<Keyed<E, R>, never, RMake> =>
  Effect.map(Effect.context<RMake>(), (context) => {
    const check = new Validation("Keyed.make")
    check.record(options, ["name", "make", "key", "capacity", "idle"])
    check.done()
    check.text("name", options.name)
    check.callable("make", options.make)
    if (options.key !== undefined) {
      check.callable("key", options.key)
    }
    check.whole("capacity", options.capacity, 1)
    const idleMillis = options.idle === undefined ? Infinity : check.duration("idle", options.idle)
    check.done()
    const keyOf = options.key ?? ((facts: Call.Facts) => facts.key ?? "")
    // A Map keeps the order of insertion: the first entry is the one least recently used.
    const entries = new Map<string, Entry<E, R>>()

    const touch = (key: string, entry: Entry<E, R>, now: number): void => {
      entries.delete(key)
      entry.usedAt = now
      entries.set(key, entry)
      for (const [oldest, { usedAt }] of entries) {
        if (entries.size <= options.capacity && now - usedAt < idleMillis) {
          break
        }
        entries.delete(oldest)
      }
    }

    const wrapper: Wrapper = {
      _tag: "Wrapper",
      step: {
        kind: "Keyed",
        policy: options.name,
        dependency: undefined,
        settings: { capacity: options.capacity, idleMillis }
      },
      wrap(frame, next) {
        const key = keyOf(frame.facts)
        const now = frame.alarms.now()
        const kept = entries.get(key)
        if (kept !== undefined && now - kept.usedAt < idleMillis) {
          touch(key, kept, now)
          return Step.within(kept.policy, next, frame)
        }
        const built = Effect.locally(Effect.provide(options.make(key), context), twinsAllowed, true)
        return Effect.flatMap(built, (policy) => {
          // Somebody else may have built it while this call did.
          const entry = entries.get(key)
          const used = entry !== undefined && entry !== kept ? entry : { policy, usedAt: now }
          touch(key, used, now)
          return Step.within(used.policy, next, frame)
        })
      }
    }
    return Object.assign(Step.policy<E, R>([wrapper]), { keys: Effect.sync(() => [...entries.keys()]) })
  })
