/**
 * Knows every live dependency of the process: reads them, moves them by hand, and changes their numbers while calls run.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as CircuitBreaker from "./CircuitBreaker.js"
import type {
  Change,
  DependencyState,
  InvalidSettings,
  LiveDependency,
  SlotOff,
  UnsafePolicy
} from "./LiveDependency.js"

/**
 * A dependency of this name is live already: a second one would not see the calls of the first.
 *
 * @example
 * import { DuplicateDependency } from "@holdfast/core/DependencyRegistry"
 *
 * console.log(new DuplicateDependency({ dependency: "payments" }).message)
 * // The dependency payments is live already: provide its layer once, at the edge of the program
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateDependency extends Data.TaggedError("DuplicateDependency")<{ readonly dependency: string }> {
  override get message(): string {
    return `The dependency ${this.dependency} is live already: provide its layer once, at the edge of the program`
  }
}

/**
 * No dependency of this name is live.
 *
 * @example
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * const program = DependencyRegistry.get("payments").pipe(
 *   Effect.catchTag("UnknownDependency", (error) => Effect.succeed(error.message))
 * )
 *
 * Effect.runPromise(program).then(console.log) // The dependency payments is not live; none is
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownDependency extends Data.TaggedError("UnknownDependency")<{
  readonly dependency: string
  readonly known: ReadonlyArray<string>
}> {
  override get message(): string {
    const known = this.known.length === 0 ? "none is" : `live are ${this.known.join(", ")}`
    return `The dependency ${this.dependency} is not live; ${known}`
  }
}

/**
 * A breaker of a dependency changed its state.
 *
 * @since 0.1.0
 * @category models
 */
export interface DependencyTransition extends CircuitBreaker.Transition {
  readonly dependency: string
  /** The operation that has the breaker for itself; `undefined` for that of the dependency. */
  readonly operation: string | undefined
}

/**
 * The live dependencies, and those who listen to them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Registry {
  readonly dependencies: Effect.Effect<ReadonlyArray<LiveDependency>>
  readonly transitions: Stream.Stream<DependencyTransition>
  /** Adds a dependency until the scope closes. */
  readonly register: (live: LiveDependency) => Effect.Effect<void, DuplicateDependency, Scope.Scope>
}

/** How many transitions wait for a listener that is slow; older ones are dropped. */
const kept = 1024

/**
 * Makes a registry of its own.
 *
 * @example
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.flatMap(DependencyRegistry.make, (registry) => registry.dependencies)
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Registry> = Effect.map(PubSub.sliding<DependencyTransition>(kept), (hub) => {
  const live = new Map<string, LiveDependency>()
  const forward = (dependency: string, breaker: LiveDependency["breakers"][number]) =>
    // Subscribed before the first call can be made; only the handing over runs beside it.
    Effect.flatMap(Effect.flatMap(breaker.hub, PubSub.subscribe), (queue) =>
      Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), (transition) =>
        PubSub.publish(hub, { ...transition, dependency, operation: breaker.operation })))))
  return {
    dependencies: Effect.sync(() => [...live.values()].sort((a, b) => a.dependency < b.dependency ? -1 : 1)),
    transitions: Stream.fromPubSub(hub),
    register: (one) =>
      Effect.zipRight(
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (live.has(one.dependency)) {
              return Effect.fail(new DuplicateDependency({ dependency: one.dependency }))
            }
            live.set(one.dependency, one)
            return Effect.void
          }),
          () => Effect.sync(() => live.delete(one.dependency))
        ),
        Effect.forEach(one.breakers, (breaker) => forward(one.dependency, breaker), { discard: true })
      )
  }
})

/**
 * The registry in use. By default one for the whole process; `layer` puts another in its place, for a test or a part of a program.
 *
 * @example
 * import { DependencyRegistry } from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Effect.flatMap(DependencyRegistry, (registry) => registry.dependencies)).then(console.log) // []
 *
 * @since 0.1.0
 * @category services
 */
export class DependencyRegistry extends Context.Reference<DependencyRegistry>()("@holdfast/core/DependencyRegistry", {
  defaultValue: (): Registry => Effect.runSync(make)
}) {}

/**
 * A registry of its own for everything that is built with it.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Payments extends Dependency.Service<Payments>()("payments") {}
 *
 * // as in a test: nothing that it does is seen by the rest of the process
 * const program = DependencyRegistry.isolate("payments").pipe(
 *   Effect.provide(Payments.layer),
 *   Effect.provide(DependencyRegistry.layer)
 * )
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<DependencyRegistry> = Layer.effect(DependencyRegistry, make)

/**
 * The live dependencies, by name.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Orders extends Dependency.Service<Orders>()("orders") {}
 *
 * const names = Effect.map(DependencyRegistry.list, (all) => all.map((one) => one.dependency))
 *
 * Effect.runPromise(names.pipe(Effect.provide(Orders.layer))).then(console.log) // [ "orders" ]
 *
 * @since 0.1.0
 * @category accessors
 */
export const list: Effect.Effect<ReadonlyArray<LiveDependency>> = Effect.flatMap(
  DependencyRegistry,
  (registry) => registry.dependencies
)

export {
  /**
   * Whether the layer of a dependency of this name, with this operation, was built in this process. Metrics count these in any case.
   *
   * @example
   * import * as Dependency from "@holdfast/core/Dependency"
   * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
   * import * as Effect from "effect/Effect"
   *
   * class Mail extends Dependency.Service<Mail>()("mail") {}
   * const isDeclared = Effect.provide(Effect.sync(() => DependencyRegistry.isDeclared("mail")), Mail.layer)
   * Effect.runPromise(isDeclared).then(console.log) // true
   *
   * @since 0.1.0
   * @category guards
   */
  isDeclared
} from "./internal/declared.js"

/**
 * One live dependency.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Search extends Dependency.Service<Search>()("search") {}
 *
 * const breakers = Effect.map(DependencyRegistry.get("search"), (one) => one.breakers.length)
 *
 * Effect.runPromise(breakers.pipe(Effect.provide(Search.layer))).then(console.log) // 1
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (dependency: string): Effect.Effect<LiveDependency, UnknownDependency> =>
  Effect.flatMap(list, (all) => {
    const found = all.find((one) => one.dependency === dependency)
    return found === undefined
      ? Effect.fail(new UnknownDependency({ dependency, known: all.map((one) => one.dependency) }))
      : Effect.succeed(found)
  })

/**
 * What every live dependency holds now, by name.
 *
 * @example
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(DependencyRegistry.states).then(console.log) // [] until the layer of a dependency is built
 *
 * @since 0.1.0
 * @category accessors
 */
export const states: Effect.Effect<ReadonlyArray<DependencyState>> = Effect.flatMap(
  list,
  Effect.forEach((one) => one.state)
)

/**
 * What one dependency holds now.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Inventory extends Dependency.Service<Inventory>()("inventory") {}
 *
 * const breaker = Effect.map(DependencyRegistry.state("inventory"), (held) => held.circuitBreaker?.state._tag)
 *
 * Effect.runPromise(breaker.pipe(Effect.provide(Inventory.layer))).then(console.log) // "Closed"
 *
 * @since 0.1.0
 * @category accessors
 */
export const state = (dependency: string): Effect.Effect<DependencyState, UnknownDependency> =>
  Effect.flatMap(get(dependency), (one) => one.state)

/**
 * The changes of state of all breakers from now on, those of dependencies that come later included.
 *
 * @example
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const watch = Stream.runForEach(DependencyRegistry.transitions, (one) => Effect.log(one.dependency, one.to._tag))
 *
 * Effect.runPromise(Effect.scoped(Effect.forkScoped(watch)))
 *
 * @since 0.1.0
 * @category accessors
 */
export const transitions: Stream.Stream<DependencyTransition> = Stream.unwrap(
  Effect.map(DependencyRegistry, (registry) => registry.transitions)
)

/**
 * Takes a dependency out by hand: every call fails with `CircuitOpen` until `reset`.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Shipping extends Dependency.Service<Shipping>()("shipping") {}
 *
 * Effect.runPromise(DependencyRegistry.isolate("shipping").pipe(Effect.provide(Shipping.layer)))
 *
 * @since 0.1.0
 * @category operations
 */
export const isolate = (dependency: string): Effect.Effect<void, UnknownDependency | SlotOff> =>
  Effect.flatMap(get(dependency), (one) => one.isolate)

/**
 * Lets every call through the breaker of a dependency and counts nothing until `reset`.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Catalogue extends Dependency.Service<Catalogue>()("catalogue") {}
 *
 * Effect.runPromise(DependencyRegistry.disable("catalogue").pipe(Effect.provide(Catalogue.layer)))
 *
 * @since 0.1.0
 * @category operations
 */
export const disable = (dependency: string): Effect.Effect<void, UnknownDependency | SlotOff> =>
  Effect.flatMap(get(dependency), (one) => one.disable)

/**
 * Closes the breaker of a dependency, with clean counts.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Mail extends Dependency.Service<Mail>()("mail") {}
 *
 * Effect.runPromise(DependencyRegistry.reset("mail").pipe(Effect.provide(Mail.layer)))
 *
 * @since 0.1.0
 * @category operations
 */
export const reset = (dependency: string): Effect.Effect<void, UnknownDependency | SlotOff> =>
  Effect.flatMap(get(dependency), (one) => one.reset)

/**
 * Changes the numbers of a live dependency; `SlotChanges` says what is kept.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Reports extends Dependency.Service<Reports>()("reports") {}
 *
 * const change = DependencyRegistry.reconfigure("reports", { attemptTimeout: "1 second", circuitBreaker: false })
 *
 * Effect.runPromise(change.pipe(Effect.provide(Reports.layer)))
 *
 * @since 0.1.0
 * @category operations
 */
export const reconfigure = (
  dependency: string,
  change: Change
): Effect.Effect<void, UnknownDependency | InvalidSettings | UnsafePolicy> =>
  Effect.flatMap(get(dependency), (one) => one.reconfigure(change))

/**
 * Switches the dry run of the breaker or the limiter of a dependency: they count and tell what they would have refused, and refuse
 * nobody. `isolate` is no decision of the breaker's, and refuses in a dry run too.
 *
 * @example
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
 * import * as Effect from "effect/Effect"
 *
 * class Geocoding extends Dependency.Service<Geocoding>()("geocoding") {}
 *
 * const program = DependencyRegistry.dryRun("geocoding", { circuitBreaker: true })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Geocoding.layer)))
 *
 * @since 0.1.0
 * @category operations
 */
export const dryRun = (
  dependency: string,
  on: { readonly circuitBreaker?: boolean; readonly rateLimiter?: boolean }
): Effect.Effect<void, UnknownDependency | InvalidSettings | UnsafePolicy> =>
  reconfigure(dependency, {
    ...(on.circuitBreaker === undefined ? {} : { circuitBreaker: { dryRun: on.circuitBreaker } }),
    ...(on.rateLimiter === undefined ? {} : { rateLimiter: { dryRun: on.rateLimiter } })
  })
