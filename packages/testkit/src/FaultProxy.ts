/**
 * A real TCP proxy that does to connections what networks do: it delays, throttles, cuts, resets and refuses, as Toxiproxy does
 * and by its names, inside the test and ended by its scope.
 *
 * Its time is that of the network: live, also under a test clock. What is random is drawn from a seed, the name of the toxic and
 * the number of the connection, so the same connections are touched in the same way each time.
 *
 * What differs from Toxiproxy 2: a connection is drawn once and stays touched or untouched while other toxics come and go; half
 * closed stays half closed and a reset stays a reset on the other side; `timeout` counts from when it took hold, not from the
 * latest data; `reset_peer` resets connections that were there before it, too.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Address from "./internal/address.js"
import { Gateway } from "./internal/gateway.js"
import { shown } from "./internal/shown.js"
import * as Toxic from "./Toxic.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Names the proxy in errors. Default `proxy`. */
  readonly name?: string | undefined
  /** Where it leads to, such as `127.0.0.1:6379`. */
  readonly upstream: string
  /** Where it listens. Default `127.0.0.1:0`: a free port of the loopback. */
  readonly listen?: string | undefined
  /** Whether it listens from the start. Default true. */
  readonly enabled?: boolean | undefined
  /** Default none. */
  readonly toxics?: ReadonlyArray<Toxic.Toxic> | undefined
  /** Decides which connections are touched, and what is drawn for them. Default 1. */
  readonly seed?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FaultProxy {
  readonly name: string
  /** Where it listens, with the port that it was given; the same again when it is enabled after it was disabled. */
  readonly address: () => string
  /** The port it listens on. */
  readonly port: () => number
  /** Where it leads to. */
  readonly upstream: () => string
  readonly enabled: () => boolean
  /** In the order in which data passes them. */
  readonly toxics: () => ReadonlyArray<Toxic.Toxic>
  /** Those that are open, by number. */
  readonly connections: () => ReadonlyArray<Connection>
  /** How many connections were accepted since it was made. */
  readonly accepted: () => number
  /** Touches connections to come and those that are open. It stands behind the toxics that are there. */
  readonly add: (toxic: Toxic.Toxic) => Effect.Effect<void, ToxicExists>
  /** What waits in the toxic is planned anew by the new numbers. */
  readonly change: (
    toxic: string,
    changes: Toxic.Changes
  ) => Effect.Effect<Toxic.Toxic, ToxicNotFound | Toxic.InvalidToxic>
  /** What waits in the toxic passes at once, in order; a `timeout` closes what it touched. */
  readonly remove: (toxic: string) => Effect.Effect<void, ToxicNotFound>
  /** Removes all toxics. */
  readonly clear: Effect.Effect<void>
  /** Down: stops listening, so that clients are refused, and closes all connections. */
  readonly disable: Effect.Effect<void>
  /** Listens again. */
  readonly enable: Effect.Effect<void, ListenFailed>
  /** Leads elsewhere, or listens elsewhere: closes all connections first. */
  readonly move: (to: {
    readonly upstream?: string | undefined
    readonly listen?: string | undefined
  }) => Effect.Effect<void, InvalidAddress | ListenFailed>
}

/**
 * An open connection, as it was when asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** From 1, in the order in which they were accepted. */
  readonly number: number
  /** The names of the toxics that touch it. */
  readonly touchedBy: ReadonlyArray<string>
  /** Bytes that came in, by the way they go. */
  readonly received: Readonly<Record<Toxic.Stream, number>>
  /** Bytes that went out. */
  readonly delivered: Readonly<Record<Toxic.Stream, number>>
  /** Bytes that toxics hold back. */
  readonly held: Readonly<Record<Toxic.Stream, number>>
}

/**
 * The address is none.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 * import * as Effect from "effect/Effect"
 *
 * const program = FaultProxy.make({ upstream: "redis" }).pipe(
 *   Effect.catchTag("InvalidAddress", (error) => Effect.succeed(error.message)),
 *   Effect.scoped
 * )
 *
 * Effect.runPromise(program).then(console.log) // upstream is "redis", allowed is host:port, such as 127.0.0.1:6379
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAddress extends Data.TaggedError("InvalidAddress")<{
  readonly field: "listen" | "upstream"
  readonly address: string
}> {
  override get message(): string {
    return `${this.field} is ${shown(this.address)}, allowed is host:port, such as 127.0.0.1:6379`
  }
}

/**
 * The proxy cannot listen where it should; `cause` says why, as a rule that the port is taken.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* FaultProxy.make({ upstream: "127.0.0.1:6379" })
 *   yield* FaultProxy.make({ upstream: "127.0.0.1:6379", listen: first.address() })
 * }).pipe(Effect.scoped, Effect.flip)
 *
 * Effect.runPromise(program).then((error) => console.log(error._tag)) // "ListenFailed"
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly proxy: string
  readonly address: string
  readonly cause: unknown
}> {
  override get message(): string {
    const because = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `The proxy ${this.proxy} cannot listen on ${this.address}: ${because}`
  }
}

/**
 * The proxy has a toxic of that name.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 *
 * console.log(new FaultProxy.ToxicExists({ proxy: "redis", toxic: "slow" }).message) // The proxy redis has a toxic slow already
 *
 * @since 0.1.0
 * @category errors
 */
export class ToxicExists extends Data.TaggedError("ToxicExists")<{ readonly proxy: string; readonly toxic: string }> {
  override get message(): string {
    return `The proxy ${this.proxy} has a toxic ${this.toxic} already`
  }
}

/**
 * The proxy has no toxic of that name.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 *
 * console.log(new FaultProxy.ToxicNotFound({ proxy: "redis", toxic: "slow" }).message) // The proxy redis has no toxic slow
 *
 * @since 0.1.0
 * @category errors
 */
export class ToxicNotFound extends Data.TaggedError("ToxicNotFound")<{
  readonly proxy: string
  readonly toxic: string
}> {
  override get message(): string {
    return `The proxy ${this.proxy} has no toxic ${this.toxic}`
  }
}

const addressOf = (field: "listen" | "upstream", text: string): Effect.Effect<Address.Address, InvalidAddress> =>
  Effect.suspend(() => {
    const address = Address.parse(text)
    return address === undefined ? Effect.fail(new InvalidAddress({ field, address: text })) : Effect.succeed(address)
  })

/** One after another, whoever asks: a listener that is half closed can be neither closed nor opened. */
const serially = () => {
  let last: Effect.Effect<void> = Effect.void
  return <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.uninterruptible(Effect.suspend(() => {
      const before = last
      const done = Deferred.unsafeMake<void>(FiberId.none)
      last = Deferred.await(done)
      return Effect.ensuring(Effect.zipRight(before, effect), Effect.sync(() => Deferred.unsafeDone(done, Exit.void)))
    }))
}

/**
 * Starts a proxy. When the scope closes it stops listening and ends every connection.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 * import * as Toxic from "@holdfast/testkit/Toxic"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const redis = yield* FaultProxy.make({ upstream: "127.0.0.1:6379" })
 *   yield* redis.add(Toxic.latency({ latency: "2 seconds", jitter: "500 millis" }))
 *   // let the client connect to this port, and see whether its policy holds
 *   return redis.port()
 * }).pipe(Effect.scoped)
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<FaultProxy, InvalidAddress | ListenFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const name = options.name ?? "proxy"
    const gateway = new Gateway(
      `${options.seed ?? 1} ${name}`,
      yield* addressOf("listen", options.listen ?? "127.0.0.1:0"),
      yield* addressOf("upstream", options.upstream)
    )
    for (const toxic of options.toxics ?? []) gateway.add(yield* Effect.orDie(Toxic.decode(toxic)))
    const inOrder = serially()
    const notFound = (toxic: string) => new ToxicNotFound({ proxy: name, toxic })

    const open = Effect.suspend(() =>
      Effect.async<void, ListenFailed>((resume) =>
        gateway.open((cause) =>
          resume(
            cause === undefined
              ? Effect.void
              : Effect.fail(new ListenFailed({ proxy: name, address: Address.format(gateway.listen), cause }))
          )
        )
      )
    )
    const close = Effect.async<void>((resume) => gateway.close(() => resume(Effect.void)))
    const proxy: FaultProxy = {
      name,
      address: () => Address.format(gateway.listen),
      port: () => gateway.listen.port,
      upstream: () => Address.format(gateway.upstream),
      enabled: () => gateway.listening,
      toxics: () => Array.from(gateway.toxics.values()),
      connections: () =>
        Array.from(gateway.relays, (relay) => ({
          number: relay.number,
          touchedBy: relay.touchedBy,
          received: { ...relay.received },
          delivered: { ...relay.delivered },
          held: relay.held
        })),
      accepted: () => gateway.accepted,
      add: (toxic) =>
        Effect.suspend(() => {
          const decoded = Toxic.decode(toxic)
          // A literal that no constructor has seen: a bug of the program.
          if (Either.isLeft(decoded)) return Effect.die(decoded.left)
          return gateway.add(decoded.right)
            ? Effect.void
            : Effect.fail(new ToxicExists({ proxy: name, toxic: decoded.right.name }))
        }),
      change: (toxic, changes) =>
        Effect.gen(function*() {
          const known = gateway.toxics.get(toxic)
          if (known === undefined) return yield* notFound(toxic)
          const changed = yield* Toxic.change(known, changes)
          gateway.change(changed)
          return changed
        }),
      remove: (toxic) => Effect.suspend(() => gateway.remove(toxic) ? Effect.void : Effect.fail(notFound(toxic))),
      clear: Effect.sync(() => {
        for (const toxic of Array.from(gateway.toxics.keys())) gateway.remove(toxic)
      }),
      disable: inOrder(close),
      enable: inOrder(open),
      move: (to) =>
        Effect.gen(function*() {
          const listen = to.listen === undefined ? undefined : yield* addressOf("listen", to.listen)
          const upstream = to.upstream === undefined ? undefined : yield* addressOf("upstream", to.upstream)
          yield* inOrder(Effect.suspend(() => {
            const wasOpen = gateway.listening
            return Effect.zipRight(
              close,
              Effect.suspend(() => {
                gateway.listen = listen ?? gateway.listen
                gateway.upstream = upstream ?? gateway.upstream
                return wasOpen ? open : Effect.void
              })
            )
          }))
        })
    }
    yield* Effect.acquireRelease(
      options.enabled === false ? Effect.void : proxy.enable,
      () => proxy.disable
    )
    return proxy
  })

/**
 * Touches connections with a toxic for as long as the effect runs.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 * import * as Toxic from "@holdfast/testkit/Toxic"
 * import * as Effect from "effect/Effect"
 *
 * const underLoss = (redis: FaultProxy.FaultProxy, query: Effect.Effect<string>) =>
 *   query.pipe(FaultProxy.withToxic(redis, Toxic.timeout({})))
 *
 * console.log(typeof underLoss) // "function"
 *
 * @since 0.1.0
 * @category combinators
 */
export const withToxic: {
  (
    proxy: FaultProxy,
    toxic: Toxic.Toxic
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ToxicExists, R>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    proxy: FaultProxy,
    toxic: Toxic.Toxic
  ): Effect.Effect<A, E | ToxicExists, R>
} = dual(
  3,
  <A, E, R>(self: Effect.Effect<A, E, R>, proxy: FaultProxy, toxic: Toxic.Toxic) =>
    Effect.acquireUseRelease(
      proxy.add(toxic),
      () => self,
      // The effect may have removed it itself.
      () => Effect.ignore(proxy.remove(toxic.name))
    )
)

/**
 * The proxy refuses connections for as long as the effect runs. Fails with `ListenFailed` if somebody took the port meanwhile.
 *
 * @example
 * import * as FaultProxy from "@holdfast/testkit/FaultProxy"
 * import * as Effect from "effect/Effect"
 *
 * const outage = (redis: FaultProxy.FaultProxy, query: Effect.Effect<string>) => query.pipe(FaultProxy.whileDown(redis))
 *
 * console.log(typeof outage) // "function"
 *
 * @since 0.1.0
 * @category combinators
 */
export const whileDown: {
  (proxy: FaultProxy): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ListenFailed, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, proxy: FaultProxy): Effect.Effect<A, E | ListenFailed, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, proxy: FaultProxy): Effect.Effect<A, E | ListenFailed, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.zipRight(proxy.disable, Effect.exit(restore(self))),
        (exit) => Effect.zipRight(proxy.enable, exit)
      )
    )
)
