import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as ServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Fallback from "@holdfast/core/Fallback"
import * as Health from "@holdfast/core/Health"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDependencies from "@holdfast/http/HttpDependencies"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"

const serve = (routes: Layer.Layer<never, never, any>) =>
  Layer.build(HttpLayerRouter.serve(routes, { disableLogger: true, disableListenLog: true })) as Effect.Effect<
    unknown,
    never,
    HttpServer.HttpServer | Scope.Scope
  >

const json = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.promise(() => ServerResponse.toWeb(response).json() as Promise<Record<string, unknown>>)

describe("HttpHealth", () => {
  it.effect("says status, uptime and memory, and nothing else", () =>
    Effect.gen(function*() {
      const response = yield* HttpHealth.handler
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers["cache-control"], "no-store")
      const body = yield* json(response)
      assert.deepStrictEqual(Object.keys(body), ["status", "uptime", "memory_mb"])
      assert.strictEqual(body.status, "healthy")
      assert.approximately(body.uptime as number, process.uptime(), 30)
      assert.approximately(body.memory_mb as number, process.memoryUsage.rss() / 1_048_576, 500)
    }))

  it("cannot read a breaker: it takes nothing, and needs no service", () => {
    const handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, never> = HttpHealth.handler
    assert.isTrue(Effect.isEffect(handler))
    assert.notTypeOf(HttpHealth.handler, "function")
    const path: [path?: HttpLayerRouter.PathInput] = [] satisfies Parameters<typeof HttpHealth.layerRouter>
    assert.deepStrictEqual(path, [])
  })

  it.scoped("stays healthy while every breaker is open and every limit is used up", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "payment" })
      yield* breaker.isolate
      yield* serve(Layer.mergeAll(
        HttpHealth.layerRouter(),
        HttpDependencies.layerRouter({ payment: breaker }),
        HttpLayerRouter.add("GET", "/", Effect.never),
        HttpAdmission.layerRouter({ maxConcurrent: 1 }),
        HttpRateLimit.layerRouter({ rate: 1, per: "1 day" })
      ))
      yield* Effect.forkScoped(HttpClient.get("/"))
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* HttpClient.get("/health")).status, 200)
      }
      const dependencies = yield* HttpClient.get("/health/dependencies")
      assert.strictEqual(dependencies.status, 200)
      assert.deepStrictEqual(yield* dependencies.json, { payment: "isolated" })
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.effect("answers 503 while the server drains, so that no more requests are sent there", () =>
    Effect.gen(function*() {
      const drain = yield* HttpDrain.make({ announce: "5 seconds" })
      const check = Effect.flatMap(
        Effect.provideService(HttpHealth.handler, HttpDrain.HttpDrain, drain),
        (response) => Effect.map(json(response), ({ status }) => [response.status, status])
      )
      assert.deepStrictEqual(yield* check, [200, "healthy"])
      yield* Effect.fork(drain.drain)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* drain.state, "announced")
      assert.deepStrictEqual(yield* check, [503, "draining"])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* drain.state, "draining")
      assert.deepStrictEqual(yield* check, [503, "draining"])
    }))
})

describe("HttpDependencies", () => {
  it.effect("tells the state of every breaker by name", () =>
    Effect.gen(function*() {
      const make = (name: string) =>
        CircuitBreaker.make({
          name,
          tripPolicy: CircuitBreaker.consecutive(1),
          openDuration: "10 seconds",
          openJitter: 0
        })
      const breakers = {
        payment: yield* make("payment"),
        inventory: yield* make("inventory"),
        search: yield* make("search"),
        mail: yield* make("mail"),
        push: yield* make("push")
      }
      const trip = (breaker: CircuitBreaker.CircuitBreaker) => Effect.ignore(breaker(Effect.fail("down")))
      yield* trip(breakers.inventory)
      yield* TestClock.adjust("10 seconds")
      yield* trip(breakers.payment)
      yield* Effect.fork(breakers.inventory(Effect.never))
      yield* Effect.yieldNow()
      yield* breakers.mail.isolate
      yield* breakers.push.disable
      const response = yield* HttpDependencies.make(breakers)
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers["cache-control"], "no-store")
      assert.deepStrictEqual(yield* json(response), {
        payment: "open",
        inventory: "half_open",
        search: "closed",
        mail: "isolated",
        push: "disabled"
      })
    }))

  it.effect("without breakers tells of every dependency that is registered, and of operations with a breaker of their own", () =>
    Effect.gen(function*() {
      class Payment
        extends Dependency.Service<Payment>()("payment", { operations: { charge: { circuitBreaker: {} } } })
      {}
      class Search extends Dependency.Service<Search>()("search", { circuitBreaker: false }) {}
      const page = Effect.flatMap(HttpDependencies.make(), json)
      assert.deepStrictEqual(yield* page, {})
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* page, { payment: "closed", "payment.charge": "closed" })
        yield* DependencyRegistry.isolate("payment")
        assert.deepStrictEqual(yield* page, { payment: "isolated", "payment.charge": "isolated" })
        yield* DependencyRegistry.reconfigure("payment", { circuitBreaker: false })
        assert.deepStrictEqual(yield* page, { "payment.charge": "isolated" })
      }).pipe(Effect.provide(Layer.merge(Payment.layer, Search.layer)))
      assert.deepStrictEqual(yield* page, {})
    }).pipe(Effect.provide(DependencyRegistry.layer)))

  it.effect("an operation that reads like a dependency, or like another operation, hides no breaker", () =>
    Effect.gen(function*() {
      const own = { circuitBreaker: {} } as const
      class Payment extends Dependency.Service<Payment>()("payment", {
        operations: { charge: own, "v2.charge": own }
      }) {}
      class Charge extends Dependency.Service<Charge>()("payment.charge") {}
      class Second extends Dependency.Service<Second>()("payment.v2", { operations: { charge: own } }) {}
      yield* Effect.gen(function*() {
        yield* DependencyRegistry.isolate("payment")
        assert.deepStrictEqual(yield* Effect.flatMap(HttpDependencies.make(), json), {
          payment: "isolated",
          "payment.charge": "closed",
          "payment.v2": "closed",
          "payment.charge [\"payment\",\"charge\"]": "isolated",
          "payment.v2.charge [\"payment\",\"v2.charge\"]": "isolated",
          "payment.v2.charge [\"payment.v2\",\"charge\"]": "closed"
        })
      }).pipe(Effect.provide(Layer.mergeAll(Payment.layer, Charge.layer, Second.layer)))
    }).pipe(Effect.provide(DependencyRegistry.layer)))

  it.effect("leaves out a name that has no breaker", () =>
    Effect.gen(function*() {
      const payment = yield* CircuitBreaker.make({ name: "payment" })
      const response = yield* HttpDependencies.make({ payment, search: undefined })
      assert.deepStrictEqual(yield* json(response), { payment: "closed" })
    }))

  it.effect("asks anew each time where the breakers are an effect", () =>
    Effect.gen(function*() {
      const live: Record<string, CircuitBreaker.CircuitBreaker> = {}
      const page = Effect.flatMap(HttpDependencies.make(Effect.sync(() => ({ ...live }))), json)
      assert.deepStrictEqual(yield* page, {})
      live.payment = yield* CircuitBreaker.make({ name: "payment" })
      assert.deepStrictEqual(yield* page, { payment: "closed" })
    }))

  it.effect("tells the whole where the program has a Health", () =>
    Effect.gen(function*() {
      const payment = yield* CircuitBreaker.make({
        name: "payment",
        tripPolicy: CircuitBreaker.consecutive(2),
        openDuration: "30 seconds",
        openJitter: 0
      })
      const fallback = Fallback.make({ name: "pay later", dependency: "payment", tiers: [Fallback.value("pending")] })
      const charge = payment.with({ criticality: "critical" })(Effect.fail("down"))
      yield* Effect.exit(charge)
      yield* charge.pipe(fallback)
      yield* TestClock.adjust("12500 millis")
      const search = yield* CircuitBreaker.make({ name: "search" })
      const page = yield* Effect.flatMap(HttpDependencies.make({ search, payment }), json)
      assert.deepStrictEqual(page, {
        status: "down",
        dependencies: {
          payment: {
            status: "down",
            criticality: "critical",
            says:
              "payment is down: its circuit opened 13 s ago after 2 failures in a row, the last: down; calls fail fast, the next " +
              "may probe it in 18 s; the fallback pay later answers in its place. Its calls are critical.",
            since: "1970-01-01T00:00:00.000Z",
            retry_after: 18,
            circuits: [{
              breaker: "payment",
              state: "open",
              since: "1970-01-01T00:00:00.000Z",
              trips_last_hour: 1,
              trips_last_day: 1
            }],
            fallbacks: [{
              fallback: "pay later",
              active: true,
              active_for: 0,
              last_served: "1970-01-01T00:00:00.000Z"
            }]
          }
        },
        circuits: { search: "closed", payment: "open" },
        problems: []
      })
    }).pipe(Effect.provide(Health.layer())))

  it.effect("tells of fallbacks that stand in for nobody known", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      yield* Effect.fail("down").pipe(Fallback.make({ name: "prices", tiers: [Fallback.value(0)] }))
      const page = yield* Effect.flatMap(HttpDependencies.make(), json)
      assert.deepStrictEqual([page.status, page.dependencies], ["degraded", {}])
      assert.deepStrictEqual(page.fallbacks, [{
        fallback: "prices",
        active: true,
        active_for: 0,
        last_served: "1970-01-01T00:01:00.000Z"
      }])
    }).pipe(Effect.provide(Health.layer())))

  it.effect("leaves out an instant that no calendar has", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "payment" })
      const report: Health.Report = {
        at: 0,
        status: "healthy",
        dependencies: [],
        fallbacks: [1.7e18, Infinity, NaN, 8.64e15].map((lastRehearsed) => ({
          fallback: "prices",
          dependency: undefined,
          active: false,
          activeFor: Duration.zero,
          lastServed: undefined,
          lastRehearsed
        })),
        problems: []
      }
      const health = yield* Health.make()
      const response = yield* Effect.provideService(HttpDependencies.make({ breaker }), Health.Health, {
        ...health,
        report: Effect.succeed(report)
      })
      const page: any = yield* json(response)
      assert.deepStrictEqual(page.fallbacks.map((one: any) => one.last_rehearsed), [
        undefined,
        undefined,
        undefined,
        "+275760-09-13T00:00:00.000Z"
      ])
    }))

  it.scoped("needs no breakers then, and /health knows nothing of it", () =>
    Effect.gen(function*() {
      const payment = yield* CircuitBreaker.make({ name: "payment" })
      yield* payment.isolate
      yield* serve(Layer.mergeAll(HttpHealth.layerRouter(), HttpDependencies.layerRouter()))
      const health = yield* HttpClient.get("/health")
      assert.deepStrictEqual([health.status, ((yield* health.json) as any).status], [200, "healthy"])
      const page: any = yield* (yield* HttpClient.get("/health/dependencies")).json
      assert.deepStrictEqual([page.status, page.dependencies.payment.status], ["degraded", "down"])
      assert.deepStrictEqual(page.problems.map(({ problem }: Health.Problem) => problem), ["isolated"])
      assert.notProperty(page, "circuits")
    }).pipe(Effect.provide(Health.layer()), Effect.provide(NodeHttpServer.layerTest)))
})
