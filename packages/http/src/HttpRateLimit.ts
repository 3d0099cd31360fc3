/**
 * Limits how many requests a client may send per time, and tells every client how much it has left.
 *
 * | header | value | on |
 * | --- | --- | --- |
 * | `Retry-After` | whole seconds, rounded up, until the same request would pass | 429 |
 * | `X-RateLimit-Limit` | the most requests at once | every answer |
 * | `X-RateLimit-Remaining` | requests left, rounded down | every answer |
 * | `X-RateLimit-Reset` | seconds since 1970, rounded up, when all of them are there again | every answer |
 * | `RateLimit-Policy` | `"name";q=100;w=60`: quota and seconds in which an empty bucket fills | every answer |
 * | `RateLimit` | `"name";r=42;t=30`: left, and seconds until all are there again | every answer |
 *
 * Exempt requests carry none of them. Where two limits apply, the structured fields list both, and `X-RateLimit-*` tells of the one
 * with less left.
 *
 * @since 0.1.0
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpProblem from "./HttpProblem.js"
import { watchDeparture } from "./internal/departure.js"
import { exemption } from "./internal/exemption.js"
import { LimitedKeys } from "./internal/limitedKeys.js"
import { withDecision } from "./internal/rateLimitAnswer.js"
import { ownKey } from "./internal/rateLimitKeys.js"
import { checkRateLimit, checkRoute, type Numbers } from "./internal/rateLimitOptions.js"
import { costReader, keyReader, keyShower } from "./internal/rateLimitUse.js"

type Request = HttpServerRequest.HttpServerRequest

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends RateLimiter.Rate {
  /** Names the limit in the structured fields, events, metrics and logs. Printable ASCII. Default `default`. */
  readonly name?: string | undefined
  /**
   * Whose rate a request uses. Default, and where it says `undefined`: the client's address, of IPv6 its /64 network. It is kept in
   * memory and shown in logs and events: not a secret, or hide it with `showKey`. One of more than 256 UTF-16 units, or that begins with
   * `sha256:`, is kept as `sha256:` and its SHA-256; one of your own that reads like an address or begins with `own:`, with `own:` before it.
   */
  readonly key?: ((request: Request) => string | undefined) | undefined
  /** For the default key: how many proxies of yours stand before the server, as in `ClientAddress`. Default 0. */
  readonly trustedProxies?: number | undefined
  /** The most keys that are remembered, per tier; the one least recently used goes first and starts full again. Default 100,000. */
  readonly maximumKeys?: number | undefined
  /** Rates that take the place of the default rate, by name. */
  readonly tiers?: { readonly [tier: string]: RateLimiter.Rate } | undefined
  /** Which tier a request has; an unknown name means the default rate. By what the client has proven, not by what it says. */
  readonly tierOf?: ((request: Request) => string | undefined) | undefined
  /** What a request costs; 0 is free. Default 1, and so is what a function says that is no finite number of 0 or more. */
  readonly cost?: number | ((request: Request) => number) | undefined
  /** More requests that are not limited, beside `GET` and `HEAD` of `/health`, `/health/dependencies` and `/metrics`. */
  readonly exempt?: ((request: Request) => boolean) | undefined
  /** The longest wait for a turn, in order. Default 0: refuse at once. */
  readonly maxWait?: Duration.DurationInput | undefined
  /** Counts and tells listeners what it would have refused, but refuses nobody. Default `false`. */
  readonly dryRun?: boolean | undefined
  /** At most one warning per this time tells how many requests were limited, and the keys limited most. Default 10 seconds. */
  readonly logEvery?: Duration.DurationInput | undefined
  /**
   * How a key is shown in logs. Default: as it is kept; one of more than 64 characters by its beginning and its hash. One that throws shows
   * nothing of the key.
   */
  readonly showKey?: ((key: string) => string) | undefined
}

/**
 * One use of the rate.
 *
 * @since 0.1.0
 * @category models
 */
export interface Use {
  readonly key: string
  /** Default: the default rate. */
  readonly tier?: string | undefined
  /** Default 1. */
  readonly cost?: number | undefined
  /** The route template, for events and logs. */
  readonly operation?: string | undefined
}

/**
 * What the limit says to one request.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decision {
  readonly allowed: boolean
  /** The name of the tier, or of the limit. */
  readonly policy: string
  readonly limit: number
  readonly remaining: number
  /** Until the bucket is full again if nobody calls. */
  readonly resetAfter: Duration.Duration
  /** Until the same request would pass; `undefined` when it was allowed, and when it costs more than the limit. */
  readonly retryAfter: Duration.Duration | undefined
  /** All headers of the answer, `Retry-After` among them. */
  readonly headers: { readonly [name: string]: string }
}

/**
 * A key that was limited.
 *
 * @since 0.1.0
 * @category models
 */
export interface MostLimited {
  readonly key: string
  /** How often, recent times counting more; never less than the truth, and too much by `error` at most. */
  readonly count: number
  readonly error: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface HttpRateLimit {
  readonly middleware: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>
  /** The same limit where a route has a cost of its own: `Layer.provide(HttpLayerRouter.middleware(limit.at({ cost: 10 })).layer)`. */
  readonly at: (
    route: { readonly cost?: number | undefined; readonly operation?: string | undefined }
  ) => <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>
  /** Takes from the rate without answering: for an `HttpApiMiddleware`, or where the key is known later. */
  readonly take: (use: Use) => Effect.Effect<Decision>
  /** The keys limited most, bounded, most limited first. */
  readonly mostLimited: Effect.Effect<ReadonlyArray<MostLimited>>
  /** The limiter of the default rate. */
  readonly limiter: RateLimiter.RateLimiter
  /** The limiters of the tiers, by name. */
  readonly tiers: ReadonlyMap<string, RateLimiter.RateLimiter>
}

/** Keys that the sketch follows, and keys that a log line shows. */
const followed = 100
const shown = 10

/** A number of a structured field has 15 digits at most, and never an exponent. */
const integer = (value: number): number => Math.min(999_999_999_999_999, value)

/** A string of a structured field. */
const quoted = (name: string): string => `"${name.replace(/[\\"]/g, "\\$&")}"`

interface Limit {
  readonly name: string
  readonly limiter: RateLimiter.RateLimiter
  /** The value of `RateLimit-Policy`. */
  readonly described: string
}

const decide = (
  limit: Limit,
  refused: RateLimiter.RateLimited | undefined,
  key: string,
  clock: Clock.Clock
): Effect.Effect<Decision> =>
  Effect.map(limit.limiter.level({ key }), (level) => {
    const now = clock.unsafeCurrentTimeMillis()
    const remaining = Math.floor(level.remaining)
    const resetMillis = Duration.toMillis(level.resetAfter)
    const reset = integer(Math.ceil(resetMillis / 1000))
    return {
      allowed: refused === undefined,
      policy: limit.name,
      limit: Math.floor(level.limit),
      remaining,
      resetAfter: level.resetAfter,
      retryAfter: refused?.retryAfter,
      headers: {
        "x-ratelimit-limit": String(Math.floor(level.limit)),
        "x-ratelimit-remaining": String(remaining),
        "x-ratelimit-reset": String(integer(Math.ceil((now + resetMillis) / 1000))),
        "ratelimit-policy": limit.described,
        "ratelimit": `${quoted(limit.name)};r=${remaining};t=${reset}`,
        ...(refused?.retryAfter === undefined ? {} : { "retry-after": HttpProblem.retryAfter(refused.retryAfter) })
      }
    }
  })

/**
 * Puts the headers of a decision on the answer of the request in progress, whatever it will be.
 *
 * @since 0.1.0
 * @category combinators
 */
export const announce = (decision: Decision): Effect.Effect<void> =>
  HttpApp.appendPreResponseHandler((_, response) => Effect.sync(() => withDecision(response, decision)))

/**
 * The 429 of a refused request: its headers, and problem details that name the limit and not the key.
 *
 * @since 0.1.0
 * @category constructors
 */
export const response = (decision: Decision): HttpServerResponse.HttpServerResponse =>
  withDecision(
    HttpProblem.response({
      status: 429,
      type: HttpProblem.types.quotaExceeded,
      title: "Request cannot be satisfied as assigned quota has been exceeded",
      detail: decision.retryAfter === undefined
        ? `This request costs more than the limit of ${decision.limit}.`
        : `The limit of ${decision.limit} is used up; try again in ${HttpProblem.retryAfter(decision.retryAfter)} s.`,
      extensions: { "violated-policies": [decision.policy] }
    }),
    decision
  )

const limitOf = (name: string, rate: RateLimiter.Rate, options: Options, read: Numbers): Effect.Effect<Limit> =>
  Effect.map(
    RateLimiter.make({
      name,
      dependency: "http.server",
      rate: rate.rate,
      per: rate.per,
      capacity: rate.capacity,
      maxWait: options.maxWait,
      dryRun: options.dryRun,
      maximumKeys: read.maximumKeys
    }),
    (limiter) => {
      const capacity = rate.capacity ?? Math.max(1, rate.rate)
      const perMillis = Duration.toMillis(rate.per ?? "1 second")
      const window = integer(Math.max(1, Math.ceil((capacity / rate.rate) * perMillis / 1000)))
      return { name, limiter, described: `${quoted(name)};q=${Math.floor(capacity)};w=${window}` }
    }
  )

/**
 * Makes a rate limit. Keep it: one made anew for every request limits nothing.
 *
 * @example
 * ```ts
 * import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Effect from "effect/Effect"
 *
 * // Who it is has been proven: a header that a client writes as it likes would give it any tier, and a new key per request.
 * const tenants = new Map([["secret-key-of-acme", { id: "acme", plan: "paid" }]])
 *
 * const program = Effect.gen(function*() {
 *   const limit = yield* HttpRateLimit.make({
 *     rate: 100,
 *     per: "1 minute",
 *     trustedProxies: 1,
 *     key: (request) => tenants.get(request.headers["x-api-key"] ?? "")?.id,
 *     tiers: { paid: { rate: 1000, per: "1 minute" } },
 *     tierOf: (request) => tenants.get(request.headers["x-api-key"] ?? "")?.plan
 *   })
 *   return limit.middleware(HttpServerResponse.text("hello"))
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<HttpRateLimit> =>
  Effect.gen(function*() {
    const read = checkRateLimit(options)
    const standard = yield* limitOf(read.name, options, options, read)
    const tiers = new Map<string, Limit>()
    for (const [name, rate] of Object.entries(options.tiers ?? {})) {
      tiers.set(name, yield* limitOf(name, rate, options, read))
    }
    const keyOf = keyReader(options)
    const exempt = exemption(options.exempt)
    const costOf = costReader(options, read.name)
    const show = keyShower(options)

    const sketch = new LimitedKeys(followed)
    let limited = 0
    let since = 0
    let warnedAt = -Infinity
    const note = (use: Use, now: number): Effect.Effect<void> => {
      sketch.add(use.key)
      const first = limited++ === 0
      if (first) {
        since = now
      }
      const each = Effect.logDebug("A request was rate limited").pipe(
        Effect.annotateLogs({ limit: use.tier ?? read.name, key: show(use.key), operation: use.operation ?? "" })
      )
      // A clock that was set back must not silence the log.
      if (now >= warnedAt && now - warnedAt < read.logEveryMillis) {
        return each
      }
      const told = {
        limit: read.name,
        limited,
        withinMillis: Math.max(0, now - since),
        mostLimited: sketch.top(shown).map((one) => `${show(one.key)}: ${one.count}`).join(", ")
      }
      sketch.fade()
      limited = 0
      warnedAt = now
      return Effect.zipRight(each, Effect.annotateLogs(Effect.logWarning("Requests were rate limited"), told))
    }

    const taken = (use: Use): Effect.Effect<Decision> => {
      const limit = (use.tier === undefined ? undefined : tiers.get(use.tier)) ?? standard
      const turn = limit.limiter.with({ key: use.key, cost: use.cost, operation: use.operation })(Effect.void)
      return Clock.clockWith((clock) =>
        Effect.matchEffect(turn, {
          onFailure: (error) =>
            Effect.zipRight(
              Effect.suspend(() => note(use, clock.unsafeCurrentTimeMillis())),
              decide(limit, error, use.key, clock)
            ),
          onSuccess: () => decide(limit, undefined, use.key, clock)
        })
      )
    }

    const at = (route: { readonly cost?: number | undefined; readonly operation?: string | undefined }) => {
      checkRoute(route)
      const ofRoute = route.cost === undefined ? costOf : costReader({ cost: route.cost }, read.name)
      return <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): HttpApp.Default<E, R> => {
          watchDeparture(request)
          return exempt(request) ? app : Effect.flatMap(ofRoute(request), (cost): HttpApp.Default<E, R> => {
            if (cost === 0) {
              return app
            }
            const use = { key: keyOf(request), tier: options.tierOf?.(request), cost, operation: route.operation }
            return Effect.flatMap(taken(use), (decision): HttpApp.Default<E, R> =>
              decision.allowed ? Effect.zipRight(announce(decision), app) : Effect.succeed(response(decision)))
          })
        })
    }

    return {
      middleware: at({}),
      at,
      take: (use) =>
        taken({ ...use, key: ownKey(use.key) }),
      mostLimited: Effect.sync(() =>
        sketch.top(followed)
      ),
      limiter: standard.limiter,
      tiers: new Map([...tiers].map(([name, { limiter }]) => [name, limiter]))
    }
  })

/**
 * One rate limit for all routes of an `HttpLayerRouter`, unknown paths included.
 *
 * @example
 * ```ts
 * import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 *
 * const Routes = HttpLayerRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const App = Layer.mergeAll(Routes, HttpRateLimit.layerRouter({ rate: 100, per: "1 minute" }))
 *
 * console.log(typeof App)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = (options: Options) =>
  HttpLayerRouter.middleware(Effect.map(make(options), ({ middleware }) => middleware), { global: true })

/**
 * One rate limit for those routes of an `HttpLayerRouter` that its `layer` is provided to.
 *
 * @since 0.1.0
 * @category layers
 */
export const forRoutes = (options: Options) =>
  HttpLayerRouter.middleware(Effect.map(make(options), ({ middleware }) => middleware))
