/**
 * `/health/dependencies`: the state of every circuit breaker by name, for dashboards and people, never for a load balancer.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Effect from "effect/Effect"

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

const names = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open",
  Isolated: "isolated",
  Disabled: "disabled"
} as const

type States = ReadonlyArray<readonly [name: string, state: CircuitBreaker.State]>

const given = <E, R>(breakers: Breakers | Effect.Effect<Breakers, E, R>): Effect.Effect<States, E, R> =>
  Effect.flatMap(
    Effect.isEffect(breakers) ? breakers : Effect.succeed(breakers),
    (present) =>
      Effect.forEach(
        Object.entries(present).flatMap(([name, breaker]) => breaker === undefined ? [] : [{ name, breaker }]),
        ({ breaker, name }) => Effect.map(breaker.state.get, (state) => [name, state] as const)
      )
  )

/** Breakers that are switched on, those that operations have for themselves as `payments.charge`. */
const registered: Effect.Effect<States> = Effect.map(
  DependencyRegistry.states,
  (states) =>
    states.flatMap(({ circuitBreaker, dependency, operations }) =>
      [
        { name: dependency, breaker: circuitBreaker },
        ...Object.entries(operations).map(([operation, own]) => ({
          name: `${dependency}.${operation}`,
          breaker: own.circuitBreaker
        }))
      ].flatMap(({ breaker, name }) => breaker?.on === true ? [[name, breaker.state] as const] : [])
    )
)

/**
 * Answers 200 with a state per dependency, whatever the states are: an open breaker is an answer and no failure of this page.
 *
 * The breakers are given as values, or as an effect where they come and go while the program runs. Without any, they are those of the
 * `DependencyRegistry`.
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
  Effect.map(
    breakers === undefined ? registered : given(breakers),
    (states) =>
      HttpServerResponse.unsafeJson(Object.fromEntries(states.map(([name, { _tag }]) => [name, names[_tag]])), {
        headers: { "cache-control": "no-store" }
      })
  )

/**
 * `GET /health/dependencies` for an `HttpLayerRouter`. It names what stands behind the service: do not show it to strangers.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRouter = <E = never, R = never>(
  breakers?: Breakers | Effect.Effect<Breakers, E, R> | undefined,
  path: HttpLayerRouter.PathInput = "/health/dependencies"
) => HttpLayerRouter.add("GET", path, make(breakers))
