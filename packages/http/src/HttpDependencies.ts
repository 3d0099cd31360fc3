/**
 * `/health/dependencies`: the state of every circuit breaker by name, for dashboards and people, never for a load balancer.
 *
 * Where the program has a `Health`, the page tells it whole: since when, until when, how much it matters, what nobody has noticed.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Health from "@holdfast/core/Health"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * Breakers by the name that the page shows. A name without a breaker, such as an optional part of a dependency, is left out.
 *
 * @since 0.1.0
 * @category models
 */
export type Breakers = { readonly [dependency: string]: Pick<CircuitBreaker.CircuitBreaker, "state"> | undefined }

/**
 * How a state is written.
 *
 * @since 0.1.0
 * @category models
 */
export type StateName = "closed" | "open" | "half_open" | "isolated" | "disabled"

/**
 * A fallback on the page.
 *
 * @since 0.1.0
 * @category models
 */
export interface PageFallback {
  readonly fallback: string
  readonly active: boolean
  readonly active_for: number
  readonly last_served?: string
  readonly last_rehearsed?: string
}

/**
 * The page of a program with a `Health`. Instants are written as in ISO 8601, durations in seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly status: Health.Status
  readonly dependencies: {
    readonly [dependency: string]: {
      readonly status: Health.Status
      readonly criticality: Health.DependencyHealth["criticality"]
      readonly says: string
      readonly since?: string
      readonly retry_after?: number
      readonly circuits: ReadonlyArray<{
        readonly breaker: string
        readonly operation?: string
        readonly state: StateName
        readonly since: string
        readonly trips_last_hour: number
        readonly trips_last_day: number
      }>
      readonly fallbacks: ReadonlyArray<PageFallback>
    }
  }
  /** Fallbacks of which nobody says whom they stand in for; left out where there are none. */
  readonly fallbacks?: ReadonlyArray<PageFallback>
  /** The breakers that were given by hand. */
  readonly circuits?: { readonly [dependency: string]: StateName }
  readonly problems: ReadonlyArray<Health.Problem>
}

const names = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open",
  Isolated: "isolated",
  Disabled: "disabled"
} as const

interface States {
  readonly [name: string]: StateName
}

const given = <E, R>(breakers: Breakers | Effect.Effect<Breakers, E, R>): Effect.Effect<States, E, R> =>
  Effect.flatMap(
    Effect.isEffect(breakers) ? breakers : Effect.succeed(breakers),
    (present) =>
      Effect.map(
        Effect.forEach(
          Object.entries(present).flatMap(([name, breaker]) => breaker === undefined ? [] : [{ name, breaker }]),
          ({ breaker, name }) => Effect.map(breaker.state.get, (state) => [name, names[state._tag]] as const)
        ),
        (all) => Object.fromEntries(all)
      )
  )

/**
 * Breakers that are switched on, those that operations have for themselves as `payments.charge`. Where a dependency or another operation
 * reads like that too, the names of the operation stand behind it.
 */
const registered: Effect.Effect<States> = Effect.map(DependencyRegistry.states, (states) => {
  const page = new Map(states.map(({ circuitBreaker, dependency }) => [dependency, circuitBreaker] as const))
  const owned = states.flatMap(({ dependency, operations }) =>
    Object.entries(operations).map(([operation, { circuitBreaker }]) => ({
      name: `${dependency}.${operation}`,
      both: JSON.stringify([dependency, operation]),
      circuitBreaker
    }))
  )
  for (const { both, circuitBreaker, name } of owned) {
    const isAmbiguous = page.has(name) || owned.some((other) => other.name === name && other.both !== both)
    let told = isAmbiguous ? `${name} ${both}` : name
    while (page.has(told)) {
      told += "'"
    }
    page.set(told, circuitBreaker)
  }
  return Object.fromEntries(
    [...page].flatMap(([name, breaker]) => breaker?.on === true ? [[name, names[breaker.state._tag]] as const] : [])
  )
})

/** The last instant that a `Date` can hold. */
const lastInstant = 8.64e15

/** One that no calendar has is left out: a number that was given by hand must not take the whole page away. */
const instant = <K extends string>(key: K, millis: number | undefined): { readonly [_ in K]?: string } =>
  (millis === undefined || !(Math.abs(millis) <= lastInstant)
    ? {}
    : { [key]: new Date(millis).toISOString() }) as { readonly [_ in K]?: string }

const seconds = (duration: Duration.Duration): number => Math.ceil(Duration.toSeconds(duration))

const fallbackOf = (
  { active, activeFor, fallback, lastRehearsed, lastServed }: Health.FallbackHealth
): PageFallback => ({
  fallback,
  active,
  active_for: seconds(activeFor),
  ...instant("last_served", lastServed),
  ...instant("last_rehearsed", lastRehearsed)
})

const pageOf = (report: Health.Report, circuits: Page["circuits"] & {}): Page => ({
  status: report.status,
  dependencies: Object.fromEntries(report.dependencies.map((one) => [one.dependency, {
    status: one.status,
    criticality: one.criticality,
    says: one.says,
    ...instant("since", one.since),
    ...(one.retryAfter === undefined ? {} : { retry_after: seconds(one.retryAfter) }),
    circuits: one.circuits.map(({ breaker, operation, since, state, trips }) => ({
      breaker,
      ...(operation === undefined ? {} : { operation }),
      state,
      since: new Date(since).toISOString(),
      trips_last_hour: trips.lastHour,
      trips_last_day: trips.lastDay
    })),
    fallbacks: one.fallbacks.map(fallbackOf)
  }])),
  ...(report.fallbacks.length === 0 ? {} : { fallbacks: report.fallbacks.map(fallbackOf) }),
  ...(Object.keys(circuits).length === 0 ? {} : { circuits }),
  problems: report.problems
})

/**
 * Answers 200 with a state per dependency, whatever the states are: an open breaker is an answer and no failure of this page. Where
 * there is a `Health`, the answer is a `Page`.
 *
 * The breakers are given as values, or as an effect where they come and go while the program runs. Without any, they are those of the
 * `DependencyRegistry`, which a `Health` reports on anyway.
 *
 * @example
 * ```ts
 * import * as HttpDependencies from "@holdfast/http/HttpDependencies"
 * import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payment = yield* CircuitBreaker.make({ name: "payment" })
 *   const response = yield* HttpDependencies.make({ payment })
 *   return response.status // 200, the body is {"payment":"closed"}
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  breakers?: Breakers | Effect.Effect<Breakers, E, R> | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
  Effect.gen(function*() {
    const circuits = breakers === undefined ? undefined : yield* given(breakers)
    const health = yield* Effect.serviceOption(Health.Health)
    const body = Option.isSome(health)
      ? pageOf(yield* health.value.report, circuits ?? {})
      : circuits ?? (yield* registered)
    return HttpServerResponse.unsafeJson(body, { headers: { "cache-control": "no-store" } })
  })

/**
 * `GET /health/dependencies` for an `HttpLayerRouter`. It names what stands behind the service: do not show it to strangers.
 * On another path it is a request like any other to the middleware of this package, unless their `exempt` knows it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = <E = never, R = never>(
  breakers?: Breakers | Effect.Effect<Breakers, E, R> | undefined,
  path: HttpLayerRouter.PathInput = "/health/dependencies"
) =>
  HttpLayerRouter.use((router) =>
    Effect.flatMap(Effect.serviceOption(Health.Health), (health) =>
      router.add(
        "GET",
        path,
        Option.isNone(health) ? make(breakers) : Effect.provideService(make(breakers), Health.Health, health.value)
      ))
  )
