/**
 * Several fault proxies under their names, made and removed while a program runs: one for each dependency.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as FaultProxy from "./FaultProxy.js"

/**
 * A proxy that has a name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Named extends FaultProxy.Options {
  readonly name: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FaultProxies {
  /** By name, in the order in which they were made. */
  readonly all: () => ReadonlyMap<string, FaultProxy.FaultProxy>
  readonly get: (name: string) => Effect.Effect<FaultProxy.FaultProxy, ProxyNotFound>
  readonly create: (
    options: Named
  ) => Effect.Effect<FaultProxy.FaultProxy, ProxyExists | FaultProxy.InvalidAddress | FaultProxy.ListenFailed>
  /**
   * Makes those that are not there. One that is there stays untouched with its toxics if it listens and leads where it is told
   * to, and is replaced if not. Safe to call again and again.
   */
  readonly populate: (
    all: ReadonlyArray<Named>
  ) => Effect.Effect<ReadonlyArray<FaultProxy.FaultProxy>, PopulateFailed>
  /** Ends the connections of a proxy and forgets it. */
  readonly remove: (name: string) => Effect.Effect<void, ProxyNotFound>
  /** Enables every proxy and removes every toxic. */
  readonly reset: Effect.Effect<void, FaultProxy.ListenFailed>
}

/**
 * There is a proxy of that name.
 *
 * @example
 * import * as FaultProxies from "@holdfast/testkit/FaultProxies"
 *
 * console.log(new FaultProxies.ProxyExists({ proxy: "redis" }).message) // There is a proxy redis already
 *
 * @since 0.1.0
 * @category errors
 */
export class ProxyExists extends Data.TaggedError("ProxyExists")<{ readonly proxy: string }> {
  override get message(): string {
    return `There is a proxy ${this.proxy} already`
  }
}

/**
 * There is no proxy of that name.
 *
 * @example
 * import * as FaultProxies from "@holdfast/testkit/FaultProxies"
 *
 * console.log(new FaultProxies.ProxyNotFound({ proxy: "redis" }).message) // There is no proxy redis
 *
 * @since 0.1.0
 * @category errors
 */
export class ProxyNotFound extends Data.TaggedError("ProxyNotFound")<{ readonly proxy: string }> {
  override get message(): string {
    return `There is no proxy ${this.proxy}`
  }
}

/**
 * One of the proxies could not be made; those before it were.
 *
 * @example
 * import * as FaultProxies from "@holdfast/testkit/FaultProxies"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const proxies = yield* FaultProxies.make()
 *   yield* proxies.populate([{ name: "redis", upstream: "127.0.0.1:6379" }, { name: "sql", upstream: "sql" }])
 * }).pipe(Effect.scoped, Effect.flip)
 *
 * Effect.runPromise(program).then((error) => console.log(error.made.length)) // 1
 *
 * @since 0.1.0
 * @category errors
 */
export class PopulateFailed extends Data.TaggedError("PopulateFailed")<{
  readonly made: ReadonlyArray<FaultProxy.FaultProxy>
  readonly cause: ProxyExists | FaultProxy.InvalidAddress | FaultProxy.ListenFailed
}> {
  override get message(): string {
    return this.cause.message
  }
}

interface Entry {
  readonly proxy: FaultProxy.FaultProxy
  readonly scope: Scope.CloseableScope
  /** Where it was told to listen: a free port, or a name that stands for an address. */
  readonly listen: string
}

const defaultListen = "127.0.0.1:0"

/**
 * Makes an empty set. When the scope closes every proxy ends.
 *
 * @example
 * import * as FaultProxies from "@holdfast/testkit/FaultProxies"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const proxies = yield* FaultProxies.make({ seed: 7 })
 *   const redis = yield* proxies.create({ name: "redis", upstream: "127.0.0.1:6379" })
 *   yield* redis.disable
 *   yield* proxies.reset // up again
 *   return redis.enabled()
 * }).pipe(Effect.scoped)
 *
 * Effect.runPromise(program).then(console.log) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: { readonly seed?: number | undefined } = {}
): Effect.Effect<FaultProxies, never, Scope.Scope> =>
  Effect.gen(function*() {
    const whole = yield* Effect.scope
    const entries = new Map<string, Entry>()
    /** Names whose proxies are about to listen. */
    const coming = new Set<string>()

    const all = () => new Map(Array.from(entries, ([name, { proxy }]) => [name, proxy]))

    const start = (named: Named) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const scope = yield* Scope.fork(whole, { _tag: "Sequential" })
          const made = yield* Effect.exit(
            restore(Scope.extend(FaultProxy.make({ seed: options.seed, ...named }), scope))
          )
          if (Exit.isFailure(made)) {
            yield* Scope.close(scope, made)
            return yield* made
          }
          entries.set(named.name, { proxy: made.value, scope, listen: named.listen ?? defaultListen })
          return made.value
        })
      )

    const create: FaultProxies["create"] = (named) =>
      Effect.gen(function*() {
        if (entries.has(named.name) || coming.has(named.name)) return yield* new ProxyExists({ proxy: named.name })
        coming.add(named.name)
        return yield* Effect.ensuring(start(named), Effect.sync(() => coming.delete(named.name)))
      })

    const entry = (name: string): Effect.Effect<Entry, ProxyNotFound> =>
      Effect.suspend(() => {
        const found = entries.get(name)
        return found === undefined ? Effect.fail(new ProxyNotFound({ proxy: name })) : Effect.succeed(found)
      })

    const remove = (name: string) =>
      Effect.uninterruptible(Effect.flatMap(entry(name), ({ scope }) => {
        entries.delete(name)
        return Scope.close(scope, Exit.void)
      }))

    const createOrKeep = (named: Named) =>
      Effect.suspend(() => {
        const known = entries.get(named.name)
        if (known === undefined) return create(named)
        const listen = named.listen ?? defaultListen
        const same = (listen === known.listen || listen === known.proxy.address()) &&
          named.upstream === known.proxy.upstream()
        return same
          ? Effect.succeed(known.proxy)
          : Effect.zipRight(Effect.ignore(remove(named.name)), create(named))
      })

    return {
      all,
      get: (name) => Effect.map(entry(name), ({ proxy }) => proxy),
      create,
      populate: (list) =>
        Effect.suspend(() => {
          const made: Array<FaultProxy.FaultProxy> = []
          return Effect.forEach(
            list,
            (named) => Effect.map(createOrKeep(named), (proxy) => made.push(proxy)),
            { discard: true }
          ).pipe(
            Effect.mapError((cause) => new PopulateFailed({ made, cause })),
            Effect.as(made)
          )
        }),
      remove,
      reset: Effect.suspend(() =>
        Effect.forEach(entries.values(), ({ proxy }) => Effect.zipRight(proxy.enable, proxy.clear), { discard: true })
      )
    }
  })
