import type { HttpClientError } from "@effect/platform"
import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import type { Call, Policy } from "./support/core.js"
import { Backoff, Dependency, DependencyRegistry, InvalidOptions, ResilienceEvent } from "./support/core.js"
import { scripted } from "./support/scripted.js"

class Payments extends Dependency.Service<Payments>()("payments", {
  retry: { maxRetries: 1, schedule: Backoff.constant(0, { jitter: "none" }) },
  operations: {
    charge: { repeatable: false, criticality: "critical" },
    read: { repeatable: true, criticality: "optional" },
    plain: {}
  }
}) {}

type Operation = "charge" | "read" | "plain"

const live = Layer.provideMerge(Payments.layer, DependencyRegistry.layer)

type Made = Effect.Effect<HttpClient.HttpClient.With<unknown, Payments>, never, Payments>

/** Every way in which a client gets to the operation of a dependency. */
const ways: Record<
  string,
  (client: HttpClient.HttpClient, operation: Operation, options: HttpResilience.Options) => Made
> = {
  "withDependency and its operation": (client, operation, options) =>
    Effect.succeed(HttpResilience.withDependency(client, Payments, { ...options, operation: () => operation })),
  "withDependency and the operation of its facts": (client, operation, { facts, operation: _, ...options }) =>
    Effect.succeed(HttpResilience.withDependency(client, Payments, {
      ...options,
      facts: (request) => ({ ...facts?.(request), operation })
    })),
  "withPolicy and the policy of the operation": (client, operation, options) =>
    Effect.flatMap(
      Payments,
      (payments) =>
        Effect.map(payments.policy(operation), (policy) => HttpResilience.withPolicy(client, policy, options))
    ),
  "withPolicyPer and the policy of the operation": (client, operation, options) =>
    HttpResilience.withPolicyPer(client, {
      ...options,
      name: "hosts",
      capacity: 2,
      make: () =>
        Effect.flatMap(Payments, (payments): Effect.Effect<Policy.Policy<unknown>> => payments.policy(operation))
    }),
  "layer and the policy of the operation": (client, operation, options) =>
    Effect.flatMap(Payments, (payments) =>
      Effect.flatMap(payments.policy(operation), (policy) =>
        Effect.provide(
          HttpClient.HttpClient,
          HttpResilience.layer(policy, options).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
        )))
}

const requestOf = (method: string, withKey: boolean) =>
  HttpClientRequest.make(method as "GET")("http://payments.test/charges").pipe(
    withKey ? HttpClientRequest.setHeader("idempotency-key", "\"order-7\"") : (request) => request
  )

/** What the request, the call and the declaration say, and how often the request is sent when its answer is a 503. */
const rows: ReadonlyArray<
  readonly [operation: Operation, method: string, withKey: boolean, said: boolean | undefined, sent: number]
> = [
  ["charge", "GET", false, undefined, 1],
  ["charge", "PUT", false, undefined, 1],
  ["charge", "DELETE", false, true, 1],
  ["charge", "POST", false, undefined, 1],
  ["charge", "POST", true, undefined, 1],
  ["charge", "POST", true, true, 1],
  ["read", "GET", false, undefined, 2],
  ["read", "POST", false, undefined, 2],
  ["read", "PATCH", false, undefined, 2],
  ["read", "POST", false, false, 1],
  ["read", "GET", false, false, 1],
  ["plain", "GET", false, undefined, 2],
  ["plain", "PUT", false, false, 1],
  ["plain", "POST", false, undefined, 1],
  ["plain", "POST", true, undefined, 2],
  ["plain", "POST", true, false, 1],
  ["plain", "POST", false, true, 2]
]

const told = (events: ReadonlyArray<ResilienceEvent.ResilienceEvent>): ReadonlyArray<Call.Call> =>
  events.flatMap((event) => event._tag === "AttemptEnded" ? [event.call] : [])

describe("facts of an operation over HTTP", () => {
  for (const [way, make] of Object.entries(ways)) {
    it.effect(`every source of them counts as it should, by ${way}`, () =>
      Effect.forEach(rows, ([operation, method, withKey, said, sent]) =>
        Effect.gen(function*() {
          const row = `${operation} ${method}${withKey ? " with a key" : ""}, said ${said}`
          const { client, requests } = scripted(503)
          const events: Array<ResilienceEvent.ResilienceEvent> = []
          const resilient = yield* make(client, operation, { facts: () => ({ repeatable: said }) })
          yield* Effect.exit(resilient.execute(requestOf(method, withKey))).pipe(
            ResilienceEvent.listen((event) => events.push(event)),
            Effect.scoped
          )
          assert.strictEqual(requests.length, sent, row)
          const { criticality, operation: named } = told(events)[0]!
          assert.deepStrictEqual(
            { criticality, named },
            { criticality: { charge: "critical", read: "optional", plain: "important" }[operation], named: operation },
            row
          )
          // Each row begins with a closed breaker.
        }).pipe(Effect.provide(live)), { discard: true }))
  }

  it.effect("a body that can be sent once is sent once, whatever is declared", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503)
      const resilient = HttpResilience.withDependency(client, Payments, { operation: () => "read" })
      const body = new ReadableStream({ start: (controller) => controller.close() })
      yield* Effect.exit(resilient.execute(requestOf("PUT", false).pipe(HttpClientRequest.bodyUnsafeJson({}))))
      assert.strictEqual(requests.length, 2)
      yield* Effect.exit(resilient.execute(HttpClientRequest.setBody(requestOf("PUT", false), HttpBody.raw(body))))
      assert.strictEqual(requests.length, 3)
    }).pipe(Effect.provide(live)))

  it.effect("a fact that is there but undefined is not given", () =>
    Effect.gen(function*() {
      const events: Array<ResilienceEvent.ResilienceEvent> = []
      const { client } = scripted(200)
      const resilient = HttpResilience.withDependency(client, Payments, {
        operation: () => "charge",
        key: "origin",
        facts: () => ({ operation: undefined, key: undefined, criticality: undefined })
      })
      yield* resilient.get("http://payments.test/").pipe(ResilienceEvent.listen((event) => events.push(event)))
      const { criticality, key, operation } = told(events)[0]!
      assert.deepStrictEqual({ criticality, key, operation }, {
        criticality: "critical",
        key: "http://payments.test",
        operation: "charge"
      })
    }).pipe(Effect.provide(live)))

  it("wrong options of withDependency are found when the client is made", () => {
    const make = () =>
      HttpResilience.withDependency(
        scripted(200).client as HttpClient.HttpClient.With<HttpClientError.HttpClientError>,
        Payments,
        { constructor: () => 1 } as any
      )
    assert.throws(make, InvalidOptions as any, /unknown field/)
  })
})
