/** Protected clients: the standard policy over every transport, a policy per key, a fallback with cache and deferral. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Backoff from "@holdfast/core/Backoff"
import * as Fallback from "@holdfast/core/Fallback"
import * as Policy from "@holdfast/core/Policy"
import * as HttpResilience from "@holdfast/http/HttpResilience"
import * as UndiciDispatcher from "@holdfast/http/UndiciDispatcher"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { AsyncLocalStorage } from "node:async_hooks"
import { oneOf } from "./seeded.js"
import type { Upstream } from "./upstream.js"

/** One call: how it ended. */
export type Call = () => Promise<string>

export interface Held {
  readonly permits: number
  readonly waiting: number
  readonly probes: number
  readonly alarms: number
  readonly deferred: number
  /** Budgets that grant less, or more, than an unused one: what calls deposit and retries withdraw is forgotten in a second. */
  readonly budgets: number
}

export interface Clients {
  readonly kinds: ReadonlyArray<readonly [name: string, call: Call]>
  /** What the policies hold. */
  readonly held: Effect.Effect<Held>
  /** Async contexts of calls that something still refers to. */
  readonly contexts: () => number
}

const transports: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["node", NodeHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici],
  ["UndiciDispatcher", UndiciDispatcher.layerClient({ connections: 20, connectTimeout: "1 second" })]
]

/** Short limits, and a circuit that opens and probes often; the total limit is one that no call comes near. */
const options = {
  totalTimeout: "1 minute",
  attemptTimeout: "500 millis",
  bulkhead: { maxConcurrent: 4, maxQueue: 4, maxWait: "100 millis" },
  circuitBreaker: { openDuration: "300 millis", probeTimeout: "1 second" },
  retry: {
    maxRetries: 2,
    schedule: Backoff.exponential("5 millis", { cap: "40 millis" }),
    budget: { ttl: "1 second" }
  },
  rateLimiter: { rate: 2_000, maxWait: "50 millis" }
} as const

const endOf = (exit: Exit.Exit<string, unknown>): string =>
  Exit.match(exit, {
    onSuccess: (end) => end,
    onFailure: (cause) =>
      Option.match(Cause.failureOption(cause), {
        onNone: () => Cause.isInterruptedOnly(cause) ? "interrupted" : "defect",
        onSome: (error) => (error as { readonly _tag?: string })._tag ?? "error"
      })
  })

export const make = (upstream: Upstream, random: () => number): Effect.Effect<Clients, never, Scope.Scope> =>
  Effect.gen(function*() {
    const storage = new AsyncLocalStorage<object>()
    let contexts = 0
    const collected = new FinalizationRegistry<void>(() => {
      contexts--
    })

    /** Runs a call in an async context of its own; one in six is interrupted on its way. */
    const inContext = (call: Effect.Effect<string, unknown>): Promise<string> => {
      const store = { request: random() }
      contexts++
      collected.register(store, undefined)
      const limited = random() < 1 / 6
        ? Effect.raceFirst(call, Effect.delay(Effect.interrupt, random() * 60))
        : call
      return storage.run(store, () => Effect.runPromiseExit(limited)).then(endOf)
    }

    const url = () => oneOf(random, [upstream.proxied, upstream.proxied, upstream.direct])
    const request = () =>
      random() < 0.7 ? HttpClientRequest.get(`${url()}/any`) : HttpClientRequest.put(`${url()}/any`).pipe(
        HttpClientRequest.bodyUnsafeJson({ amount: 1 })
      )
    const read = <E>(client: HttpClient.HttpClient.With<E>) =>
      Effect.flatMap(client.execute(request()), (response) => Effect.as(response.text, String(response.status)))

    const plain = Context.get(
      yield* Layer.build(UndiciDispatcher.layerClient({ connections: 20, connectTimeout: "1 second" })),
      HttpClient.HttpClient
    )
    const standard = yield* Effect.forEach(transports, ([name, layer]) =>
      Effect.gen(function*() {
        const client = Context.get(yield* Layer.build(layer), HttpClient.HttpClient)
        const policy = yield* Policy.standard(`soak.${name}`, options)
        return { name, policy, client: HttpResilience.withPolicy(client, policy) }
      }))

    const per = yield* HttpResilience.withPolicyPer(plain, {
      name: "soak.per",
      make: (authority) => Policy.standard(`soak.per ${authority}`, { ...options, bulkhead: { maxConcurrent: 20 } }),
      capacity: 2
    })
    const keyed = yield* Policy.keyed({
      name: "soak.keyed",
      make: (tenant) => Policy.standard(`soak.keyed ${tenant}`, options),
      capacity: 20,
      idle: "2 seconds"
    })

    const fallenBack = yield* Policy.standard("soak.fallback", options)
    const cached = yield* Fallback.cached<string>({ key: (user) => user, capacity: 50, serveFor: "1 second" })
    const queue = yield* Fallback.DeferralQueue.make({
      capacity: 200,
      settle: (_job: string) => Effect.scoped(Effect.asVoid(plain.get(`${upstream.direct}/good`))),
      schedule: Backoff.exponential("10 millis", { cap: "100 millis" }),
      maxRetries: 20,
      concurrency: 2
    })
    const fallback = Fallback.tiers(cached.tier, Fallback.defer(queue))
    const withFallback = read(HttpResilience.withPolicy(plain, fallenBack))
    const policies = [...standard.map(({ policy }) => policy), fallenBack]
    const whole = yield* Effect.forEach(policies, ({ retryBudget }) => retryBudget!.balance)
    const alarms = Alarm.of(yield* Effect.clock)

    return {
      kinds: [
        ...standard.map((
          { client, name }
        ): readonly [string, Call] => [`standard, ${name}`, () => inContext(read(client))]),
        ["policy per authority", () => inContext(read(per))],
        [
          "policy per tenant",
          () => inContext(read(plain).pipe(keyed.with({ key: `tenant ${Math.floor(random() * 60)}` })))
        ],
        [
          "fallback: cache, then deferral",
          () =>
            inContext(
              withFallback.pipe(
                fallback.with(`user ${Math.floor(random() * 100)}`),
                Effect.map((answer) => typeof answer === "string" ? answer : "deferred")
              )
            )
        ]
      ],
      contexts: () => contexts,
      held: Effect.gen(function*() {
        let permits = 0
        let waiting = 0
        let probes = 0
        let budgets = 0
        for (const [index, policy] of policies.entries()) {
          const bulkhead = yield* policy.bulkhead!.snapshot
          permits += bulkhead.active
          waiting += bulkhead.queued + (yield* policy.rateLimiter!.queued)
          probes += (yield* policy.circuitBreaker!.snapshot).probesInFlight
          if ((yield* policy.retryBudget!.balance) !== whole[index]) budgets++
        }
        return { permits, waiting, probes, budgets, alarms: alarms.size, deferred: yield* queue.pending }
      })
    }
  })
