/**
 * Puts a policy around an `HttpClient`: what may be repeated is, what an answer asks for is honoured, and no connection is lost.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Dependency from "@holdfast/core/Dependency"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { Options } from "./HttpResilienceOptions.js"
import { type Known, knownOf, makeExchange } from "./internal/exchange.js"
import { halvesOf } from "./internal/transport.js"

export {
  /**
   * A layer around a plain client that counts, by authority, the calls made without a policy or without a timeout.
   *
   * @since 0.1.0
   * @category layers
   */
  layer as audit
} from "./HttpAudit.js"

export {
  /**
   * Follows redirects without taking credentials, the idempotency key or the deadline along to another origin.
   *
   * @since 0.1.0
   * @category combinators
   */
  followRedirects
} from "./HttpRedirects.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Options
} from "./HttpResilienceOptions.js"

type Response = HttpClientResponse.HttpClientResponse

const isClientFirst = (args: IArguments): boolean => Predicate.hasProperty(args[0], HttpClient.TypeId)

/** What is no client, and so was taken for a policy, is found here too. */
const checkPolicy = (owner: string, policy: unknown): void => {
  if (!Policy.isPolicy(policy)) {
    const allowed = "a policy, and before it an HttpClient if both are given"
    throw new InvalidOptions({ owner, findings: [{ field: "policy", value: policy, allowed }] })
  }
}

type Send<E, R> = (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<Response, E, R>

/** The client whose every call goes through `run`. */
const through = <E, R, E2, R2>(
  client: HttpClient.HttpClient.With<E, R>,
  run: (request: HttpClientRequest.HttpClientRequest, send: Send<E, R>) => Effect.Effect<Response, E2, R2>
): HttpClient.HttpClient.With<E | E2, R | R2> => {
  const { preprocess, send } = halvesOf(client)
  return HttpClient.makeWith<E, R, E | E2, R | R2>(Effect.flatMap((request) => run(request, send)), preprocess)
}

/**
 * Puts a policy around a client. Its errors are added to those of the client, and so is `HttpClientError`: the body is read inside the
 * policy, and a transport may fail while it is.
 *
 * Put it on last, after `filterStatus` and `HttpResilience.followRedirects`: what stands before it in the pipe is inside the policy, and is made anew for
 * every attempt. `mapRequest` runs once for each call, whatever the number of attempts. Leave `HttpClient.retryTransient` out: the
 * policy retries, and two that do so multiply. `HttpClient.withScope` may stand on either side.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* Policy.standard("payments", { bulkhead: { maxConcurrent: 20 } })
 *   const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.withPolicy(policy, { idempotencyKey: true }))
 *   const response = yield* client.get("https://payments.example/status")
 *   return yield* response.json
 * })
 *
 * Effect.runPromiseExit(program.pipe(Effect.provide(FetchHttpClient.layer)))
 *
 * @since 0.1.0
 * @category combinators
 */
export const withPolicy: {
  <E2, R2>(
    policy: Policy.Policy<E2, R2>,
    options?: Options
  ): <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ) => HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2>
  <E, R, E2, R2>(
    client: HttpClient.HttpClient.With<E, R>,
    policy: Policy.Policy<E2, R2>,
    options?: Options
  ): HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2>
} = dual(isClientFirst, <E, R, E2, R2>(
  client: HttpClient.HttpClient.With<E, R>,
  policy: Policy.Policy<E2, R2>,
  options: Options = {}
): HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2> => {
  checkPolicy("HttpResilience.withPolicy", policy)
  const exchange = makeExchange("HttpResilience.withPolicy", options, knownOf(policy.steps))
  return through(client, (request, send) => exchange.run(policy, request, send))
})

/**
 * How a policy is made for each authority.
 *
 * @since 0.1.0
 * @category models
 */
export interface PerOptions<E2, R2, RMake> extends Options {
  /** Names this piece in errors and events. */
  readonly name: string
  /** Builds the policy of an authority, `https://api.example:8443`, when it is first called. */
  readonly make: (authority: string) => Effect.Effect<Policy.Policy<E2, R2>, never, RMake>
  /** The most authorities that are kept; the one least recently used goes first. */
  readonly capacity: number
  /** An authority that was not called for so long is dropped. Default: never. */
  readonly idle?: Duration.DurationInput | undefined
}

/**
 * Puts a policy of its own around the calls to each authority: one host that fails takes no other with it. Keep the client: the policies
 * are its state.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const plain = yield* HttpClient.HttpClient
 *   const client = yield* HttpResilience.withPolicyPer(plain, {
 *     name: "webhooks",
 *     make: (authority) => Policy.standard(authority),
 *     capacity: 500,
 *     idle: "10 minutes"
 *   })
 *   return yield* client.get("https://example.org/hook")
 * })
 *
 * Effect.runPromiseExit(program.pipe(Effect.provide(FetchHttpClient.layer)))
 *
 * @since 0.1.0
 * @category combinators
 */
export const withPolicyPer: {
  <E2, R2, RMake = never>(
    options: PerOptions<E2, R2, RMake>
  ): <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ) => Effect.Effect<HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2>, never, RMake>
  <E, R, E2, R2, RMake = never>(
    client: HttpClient.HttpClient.With<E, R>,
    options: PerOptions<E2, R2, RMake>
  ): Effect.Effect<HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2>, never, RMake>
} = dual(isClientFirst, <E, R, E2, R2, RMake>(
  client: HttpClient.HttpClient.With<E, R>,
  { capacity, idle, make, name, ...options }: PerOptions<E2, R2, RMake>
): Effect.Effect<HttpClient.HttpClient.With<E | E2 | HttpClientError.HttpClientError, R | R2>, never, RMake> =>
  Effect.suspend(() => {
    // The policies are of one make: what is known of one holds for the others.
    const known: Known = { ...knownOf([]), keyed: true }
    const keyed = Policy.keyed({
      name,
      capacity,
      idle,
      make: (authority) =>
        Effect.tap(make(authority), (policy) =>
          Effect.sync(() => {
            known.limits = knownOf(policy.steps).limits
          }))
    })
    return Effect.map(keyed, (policy) => {
      const exchange = makeExchange("HttpResilience.withPolicyPer", options, known)
      return through(client, (request, send) => exchange.run(policy, request, send))
    })
  }))

type OperationErrors<O> = O extends { readonly operations: infer Operations } ? Dependency.ErrorOf<O, keyof Operations>
  : never

/**
 * How a client finds its place among the operations of a dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface DependencyOptions<O> extends Omit<Options, "operation"> {
  /**
   * Which of the declared operations a request is; without any, a route template such as `GET /orders/:id`. The call has the slots and
   * the facts that the operation declares: one declared `repeatable: false` is sent once, whatever its method and its key. An operation
   * that `facts` names goes before this one.
   */
  readonly operation?:
    | ((
      request: HttpClientRequest.HttpClientRequest
    ) => (O extends { readonly operations: infer Operations } ? keyof Operations & string : string) | undefined)
    | undefined
}

/**
 * Puts a declared dependency around a client: its policy is looked up at every call, so that numbers changed while the process
 * runs hold from the next call on.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Dependency from "@holdfast/core/Dependency"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Effect from "effect/Effect"
 *
 * class Payments extends Dependency.Service<Payments>()("payments", { bulkhead: { maxConcurrent: 20 } }) {}
 *
 * const client = Effect.map(HttpClient.HttpClient, HttpResilience.withDependency(Payments))
 *
 * console.log(Effect.isEffect(client))
 *
 * @since 0.1.0
 * @category combinators
 */
export const withDependency: {
  <Self, Name extends string, O>(
    dependency: Dependency.ServiceClass<Self, Name, O>,
    options?: DependencyOptions<O>
  ): <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ) => HttpClient.HttpClient.With<
    E | Dependency.ErrorOf<O> | OperationErrors<O> | HttpClientError.HttpClientError,
    R | Self
  >
  <E, R, Self, Name extends string, O>(
    client: HttpClient.HttpClient.With<E, R>,
    dependency: Dependency.ServiceClass<Self, Name, O>,
    options?: DependencyOptions<O>
  ): HttpClient.HttpClient.With<
    E | Dependency.ErrorOf<O> | OperationErrors<O> | HttpClientError.HttpClientError,
    R | Self
  >
} = dual(isClientFirst, <E, R, Self, Name extends string, O>(
  client: HttpClient.HttpClient.With<E, R>,
  dependency: Dependency.ServiceClass<Self, Name, O>,
  options: DependencyOptions<O> = {}
): HttpClient.HttpClient.With<any, R | Self> => {
  const exchange = makeExchange("HttpResilience.withDependency", options)
  return through(
    client,
    (request, send): Effect.Effect<Response, unknown, R | Self> =>
      Effect.flatMap(dependency, (live) => exchange.run({ by: live.policy }, request, send))
  )
})

// -- behind the plain tag ----------------------------------------------------

const isPlain = (error: unknown): error is HttpClientError.HttpClientError => HttpClientError.isHttpClientError(error)

/**
 * Makes a client with errors of its own fit the plain `HttpClient` tag, which knows `HttpClientError` only. Every other error becomes
 * a `RequestError` with the reason `Transport`, its message as the description and the error itself as the `cause`.
 *
 * `HttpClient.retryTransient` takes such an error for a broken connection and would retry an open circuit: do not put it outside.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Effect from "effect/Effect"
 *
 * const client = Effect.map(HttpClient.HttpClient, (client): HttpClient.HttpClient =>
 *   client.pipe(HttpResilience.withPolicy(Timeout.make("2 seconds")), HttpResilience.toRequestErrors)
 * )
 *
 * console.log(Effect.isEffect(client))
 *
 * @since 0.1.0
 * @category combinators
 */
export const toRequestErrors = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<HttpClientError.HttpClientError, R> =>
  HttpClient.transform(
    client,
    (effect, request) => Effect.mapError(effect, (error) => asRequestError(error, request))
  ) as HttpClient.HttpClient.With<HttpClientError.HttpClientError, R>

const asRequestError = (
  error: unknown,
  request: HttpClientRequest.HttpClientRequest
): HttpClientError.HttpClientError =>
  isPlain(error) ? error : new HttpClientError.RequestError({
    request,
    reason: "Transport",
    description: error instanceof Error ? error.message : String(error),
    cause: error
  })

/**
 * A layer that puts a policy around the client of the context, behind the same tag, with its errors mapped as by `toRequestErrors`:
 * for code that asks for the plain `HttpClient` and cannot be changed. The policy may be one that is there, or the effect that makes it.
 *
 * @example
 * import * as HttpResilience from "@holdfast/http/HttpResilience"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Layer from "effect/Layer"
 *
 * const Client = HttpResilience.layer(Policy.standard("search")).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * console.log(Layer.isLayer(Client))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E2, EMake = never, RMake = never>(
  policy: Policy.Policy<E2> | Effect.Effect<Policy.Policy<E2>, EMake, RMake>,
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient, EMake, HttpClient.HttpClient | RMake> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      Effect.all([
        HttpClient.HttpClient,
        Policy.isPolicy(policy) ? Effect.succeed(policy as Policy.Policy<E2>) : policy
      ]),
      ([client, made]) => toRequestErrors(withPolicy(client, made, options))
    )
  )
