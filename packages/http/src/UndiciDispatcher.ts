/**
 * The connection pool under undici's client, with the limits that `@effect/platform-node` leaves open: how many connections, how
 * long they take to open, how long a request waits for one, how old they get, and how long an answer may be silent.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import type * as HttpClient from "@effect/platform/HttpClient"
import { millisOf, Validation } from "@holdfast/core/Options"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { poolTimeoutCode } from "./internal/codes.js"
import { refusalOf, sturdyFactory } from "./internal/sturdyAgent.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The most connections to one origin. Default 50; keep it at or above what the bulkheads in front of it let through. */
  readonly connections?: number | undefined
  /** How long a connection may take to open. undici looks at its clock twice a second. Default 2 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** How long a request waits for a connection, its opening included. Nothing was sent then: it may be tried again. Default 3 seconds. */
  readonly poolTimeout?: Duration.DurationInput | false | undefined
  /** From the request to the headers of its answer. Default off: the attempt timeout of a policy bounds it. */
  readonly headersTimeout?: Duration.DurationInput | false | undefined
  /** Between two parts of a body. Default 30 seconds. */
  readonly bodyTimeout?: Duration.DurationInput | false | undefined
  /**
   * A connection older than this takes no new request, so that a changed address or balance is seen. Default 5 minutes.
   *
   * All connections are replaced together, at 80 to 100 % of this age, drawn once for the process so that a fleet does not reconnect
   * at once. What is under way on the old ones ends there: until then there may be more connections than `connections`.
   */
  readonly maxConnectionAge?: Duration.DurationInput | false | undefined
  /** How long an idle connection is kept. Default 10 seconds. */
  readonly keepAliveTimeout?: Duration.DurationInput | undefined
  /** Further options of undici's agent; what is set above goes over them. TLS goes into `connect`. */
  readonly agent?: Undici.Agent.Options | undefined
}

/**
 * The values of what is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaults = {
  connections: 50,
  connectTimeout: "2 seconds",
  poolTimeout: "3 seconds",
  bodyTimeout: "30 seconds",
  maxConnectionAge: "5 minutes",
  keepAliveTimeout: "10 seconds"
} as const

const fields: ReadonlyArray<keyof Options> = [
  "connections",
  "connectTimeout",
  "poolTimeout",
  "headersTimeout",
  "bodyTimeout",
  "maxConnectionAge",
  "keepAliveTimeout",
  "agent"
]

const read = (options: Options) => {
  const check = new Validation("UndiciDispatcher.make")
  check.record(options, fields)
  const millis = (field: keyof Options, fallback: Duration.DurationInput | false): number => {
    const value = options[field] ?? fallback
    const off = fallback === false || !["connectTimeout", "keepAliveTimeout"].includes(field)
    if (value === false && off) {
      return 0
    }
    const found = millisOf(value)
    if (!(found > 0 && found < Infinity)) {
      check.add(field, value, `a finite duration above zero${off ? ", or false" : ""}`)
      return 1
    }
    return found
  }
  const connections = options.connections ?? defaults.connections
  if (!Number.isInteger(connections) || connections < 1) {
    check.add("connections", connections, "a whole number 1 or more")
  }
  const settings = {
    connections,
    connect: millis("connectTimeout", defaults.connectTimeout),
    pool: millis("poolTimeout", defaults.poolTimeout),
    headers: millis("headersTimeout", false),
    body: millis("bodyTimeout", defaults.bodyTimeout),
    age: millis("maxConnectionAge", defaults.maxConnectionAge),
    keepAlive: millis("keepAliveTimeout", defaults.keepAliveTimeout)
  }
  check.done()
  return settings
}

const longestTimer = 2 ** 31 - 1

class PoolTimedOut extends Error {
  readonly code = poolTimeoutCode
  readonly neverSent = true
}

const poolTimedOut = (millis: number): PoolTimedOut => new PoolTimedOut(`no connection was free for ${millis} ms`)

/** Ends a request that found no connection in time. Its turn may still come: undici then takes it out before anything is written. */
class PoolWait {
  private readonly handler: Undici.Dispatcher.DispatchHandler
  private readonly millis: number
  private state: "waiting" | "started" | "given up" = "waiting"
  private timer: AbortSignal | undefined = undefined
  private readonly giveUp = (): void => {
    if (this.state === "waiting") {
      this.state = "given up"
      this.handler.onResponseError?.(unstarted, poolTimedOut(this.millis))
    }
  }

  constructor(handler: Undici.Dispatcher.DispatchHandler, millis: number) {
    this.handler = handler
    this.millis = millis
  }

  /** Called when the request was not taken at once, as it is while a connection is free: most requests need no timer. */
  begin(): void {
    if (this.state === "waiting") {
      // Whole numbers only, and one beyond the longest timer would ring at once.
      this.timer = AbortSignal.timeout(Math.min(Math.ceil(this.millis), longestTimer))
      this.timer.addEventListener("abort", this.giveUp, { once: true })
    }
  }

  private settle(): void {
    this.timer?.removeEventListener("abort", this.giveUp)
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController, context: unknown): void {
    this.settle()
    if (this.state === "given up") {
      // Thrown, and not `controller.abort`: that would close the connection which has just become free.
      throw poolTimedOut(this.millis)
    }
    this.state = "started"
    this.handler.onRequestStart?.(controller, context)
  }
  onRequestUpgrade(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onRequestUpgrade"]>>): void {
    this.handler.onRequestUpgrade?.(...args)
  }
  onResponseStart(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseStart"]>>): void {
    this.handler.onResponseStart?.(...args)
  }
  onResponseData(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseData"]>>): void {
    this.handler.onResponseData?.(...args)
  }
  onResponseEnd(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseEnd"]>>): void {
    this.handler.onResponseEnd?.(...args)
  }
  onResponseError(controller: Undici.Dispatcher.DispatchController, error: Error): void {
    this.settle()
    if (this.state !== "given up") {
      this.state = "started"
      this.handler.onResponseError?.(controller, error)
    }
  }
}

/**
 * An agent that is replaced when it reaches an age. undici's own `clientTtl` is not used: a pool whose connections are all too old
 * at once, and as many as it may have, leaves its requests waiting for ever.
 */
class Renewed extends Undici.Dispatcher {
  private readonly makeAgent: () => Undici.Agent
  private readonly now: () => number
  private readonly age: number
  private agent: Undici.Agent
  private born: number
  private readonly closing = new Set<Undici.Agent>()
  /** Closed or destroyed: the last agent refuses what comes, and no other is made. */
  private ended = false

  constructor(makeAgent: () => Undici.Agent, now: () => number, age: number) {
    super()
    this.makeAgent = makeAgent
    this.now = now
    this.age = age
    this.agent = makeAgent()
    this.born = now()
  }

  override dispatch(
    options: Undici.Dispatcher.DispatchOptions,
    handler: Undici.Dispatcher.DispatchHandler
  ): boolean {
    if (this.age > 0 && !this.ended && this.now() - this.born >= this.age) {
      const old = this.agent
      this.agent = this.makeAgent()
      this.born = this.now()
      this.closing.add(old)
      const closed = (): void => {
        this.closing.delete(old)
      }
      old.close().then(closed, closed)
    }
    return this.agent.dispatch(options as Undici.Agent.DispatchOptions, handler)
  }

  override close(): Promise<void> {
    this.ended = true
    return Promise.all([this.agent, ...this.closing].map((agent) => agent.close().catch(() => {}))).then(() => {})
  }

  override destroy(): Promise<void> {
    this.ended = true
    return Promise.all([this.agent, ...this.closing].map((agent) => agent.destroy().catch(() => {}))).then(() => {})
  }
}

/** Stands for the controller of a request that has none yet. */
const unstarted: Undici.Dispatcher.DispatchController = {
  get aborted() {
    return true
  },
  get paused() {
    return false
  },
  get reason() {
    return null
  },
  abort() {},
  pause() {},
  resume() {}
}

/**
 * A dispatcher that lives as long as its scope.
 *
 * What undici would refuse, such as a header that cannot be sent, ends here and takes no connection.
 *
 * The platform's undici client asks for a headers timeout of an hour and for no body timeout with every request; what is set here goes
 * over that.
 *
 * @example
 * import * as UndiciDispatcher from "@holdfast/http/UndiciDispatcher"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.scoped(UndiciDispatcher.make({ connections: 20, connectTimeout: "1 second" }))
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Undici.Dispatcher, never, Scope.Scope> =>
  Effect.suspend(() => {
    const settings = read(options)
    const connect = options.agent?.connect
    const makeAgent = (): Undici.Agent =>
      new Undici.Agent({
        pipelining: 1,
        factory: sturdyFactory,
        ...options.agent,
        connections: settings.connections,
        keepAliveTimeout: settings.keepAlive,
        connect: typeof connect === "function" ? connect : { ...connect, timeout: settings.connect }
      })
    return Effect.map(
      Effect.acquireRelease(
        Effect.zipWith(
          Effect.clock,
          Random.next,
          (clock, draw) =>
            new Renewed(makeAgent, () => clock.unsafeCurrentTimeMillis(), settings.age * (0.8 + 0.2 * draw))
        ),
        (agent) => Effect.promise(() => agent.destroy())
      ),
      (agent) =>
        agent.compose((dispatch) => (request, handler) => {
          const refusal = refusalOf(request)
          if (refusal !== undefined) {
            handler.onResponseError?.(unstarted, refusal)
            return true
          }
          const limited = {
            ...request,
            ...(settings.headers > 0 ? { headersTimeout: settings.headers } : {}),
            ...(settings.body > 0 ? { bodyTimeout: settings.body } : {})
          }
          if (settings.pool === 0) {
            return dispatch(limited, handler)
          }
          const wait = new PoolWait(handler, settings.pool)
          const free = dispatch(limited, wait)
          wait.begin()
          return free
        })
    )
  })

/**
 * The dispatcher as a layer, for `NodeHttpClient.layerUndiciWithoutDispatcher`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<NodeHttpClient.Dispatcher> =>
  Layer.scoped(NodeHttpClient.Dispatcher, make(options))

/**
 * An undici client over such a dispatcher.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (options: Options = {}): Layer.Layer<HttpClient.HttpClient> =>
  Layer.provide(NodeHttpClient.layerUndiciWithoutDispatcher, layer(options))
