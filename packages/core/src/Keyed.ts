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
import { type Family, KeyedEntrance } from "./internal/keyedCall.js"
import { KeyedMembers } from "./internal/keyedMembers.js"
import { asEffect } from "./internal/runtime.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * Is a policy being built that a keyed policy will keep? A key that was dropped and comes back has a policy of the same name as one that
 * may be alive still, and that is as it should be.
 *
 * @internal
 */
export const isBuilding: FiberRef.FiberRef<boolean> = globalValue(
  Symbol.for("@holdfast/core/Keyed/isBuilding"),
  () => FiberRef.unsafeMake(false)
)

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R, RMake = never> {
  /** Names this piece in errors and events. Metrics count the calls of all keys as those of a service of this name. */
  readonly name: string
  /**
   * Builds the policy of a key, when the key is first seen or comes back after it was dropped. Calls that come while it is being built
   * wait for it: it should be quick, and acquire nothing.
   */
  readonly make: (key: string) => Effect.Effect<Step.Policy<E, R>, never, RMake>
  /** The key of a call. Default: the `key` of its facts; a call without one has the key `""`. */
  readonly key?: ((facts: Call.Facts) => string) | undefined
  /**
   * The most keys that are kept; the one least recently used goes first. While calls of it are under way its policy stays, beyond the
   * capacity, and calls that come meanwhile use it.
   */
  readonly capacity: number
  /** A key unused for so long is dropped. A key is in use while a call of it is under way. Default: never. */
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
    const members = new KeyedMembers(options.capacity, idleMillis)
    const family: Family = {
      members,
      builds: new Map(),
      build: (key) =>
        Effect.map(
          Effect.locally(Effect.provide(options.make(key), context), isBuilding, true),
          (policy) => {
            if (!Step.isPolicy(policy)) {
              check.add("make", policy, "a function whose effect gives a policy")
              check.done()
            }
            return Step.compiledFor(options.name, policy)
          }
        )
    }

    const wrapper: Wrapper = {
      _tag: "Wrapper",
      step: {
        kind: "Keyed",
        policy: options.name,
        dependency: undefined,
        settings: { capacity: options.capacity, idleMillis }
      },
      wrap: (frame, next) => asEffect(new KeyedEntrance(family, keyOf(frame.facts), frame, next))
    }
    return Object.assign(Step.policy<E, R>([wrapper]), { keys: Effect.sync(() => members.keys) })
  })
