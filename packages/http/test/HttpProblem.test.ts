import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import { BulkheadFull } from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import { RateLimited } from "@holdfast/core/RateLimiter"
import * as Timeout from "@holdfast/core/Timeout"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { STATUS_CODES } from "node:http"

const circuitOpen = (retryAfter: Duration.Duration | undefined) =>
  new CircuitBreaker.CircuitOpen({ policy: "payments", dependency: "payments", reason: "open", retryAfter })

const bulkheadFull = (reason: "full" | "waited" | "deadline") =>
  new BulkheadFull({ policy: "b", dependency: "payments", reason, maxConcurrent: 1, active: 1, queued: 0 })

const rateLimited = new RateLimited({
  policy: "l",
  dependency: "payments",
  key: "secret-tenant",
  retryAfter: Duration.millis(2001),
  limit: 5
})

const timedOut = new Timeout.TimedOut({
  scope: "total",
  limit: Duration.seconds(1),
  policy: "t",
  dependency: "payments",
  attempt: 1,
  maxAttempts: 1
})

const answerOf = (error: unknown, options?: HttpProblem.Options) =>
  Effect.gen(function*() {
    const response = yield* (Effect.fail(error) as Effect.Effect<never, HttpProblem.Handled>).pipe(
      HttpProblem.middleware(options),
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://s.test/"))
      )
    )
    const web = HttpServerResponse.toWeb(response)
    return {
      status: web.status,
      contentType: web.headers.get("content-type"),
      retryAfter: web.headers.get("retry-after"),
      body: (yield* Effect.promise(() => web.json())) as Record<string, unknown>
    }
  })

const capacity = {
  type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
  title: "Request cannot be satisfied due to temporary server capacity constraints",
  status: 503
}

const timeout = {
  type: "about:blank",
  title: "Gateway Timeout",
  status: 504,
  detail: "The time for this request has run out."
}

describe("HttpProblem", () => {
  it.effect("takes the toolkit's errors out of the error type and leaves the others as they are", () =>
    Effect.gen(function*() {
      class Unauthorized extends Data.TaggedError("Unauthorized")<{}> {}
      const failing = Effect.fail(new Unauthorized()) as Effect.Effect<never, Unauthorized | HttpProblem.Handled>
      const answered: Effect.Effect<number, Unauthorized> = Effect.catchIf(
        failing,
        HttpProblem.isHandled,
        (error) => Effect.succeed(HttpProblem.make()(error).status)
      )
      assert.deepStrictEqual(yield* Effect.flip(answered), new Unauthorized())
      const caught: unknown = new Unauthorized()
      const handled: HttpProblem.Handled | undefined = HttpProblem.isHandled(caught) ? caught : undefined
      assert.isUndefined(handled)
    }))

  it.effect("answers each error of the toolkit with its status, Retry-After and problem details", () =>
    Effect.gen(function*() {
      const rows: ReadonlyArray<readonly [unknown, string | null, Record<string, unknown>]> = [
        [circuitOpen(Duration.millis(29_001)), "30", {
          type: "about:blank",
          title: "Service Unavailable",
          status: 503,
          detail: "A part that this request needs is out of order."
        }],
        [circuitOpen(Duration.zero), "1", {
          type: "about:blank",
          title: "Service Unavailable",
          status: 503,
          detail: "A part that this request needs is out of order."
        }],
        [circuitOpen(undefined), null, {
          type: "about:blank",
          title: "Service Unavailable",
          status: 503,
          detail: "A part that this request needs is out of order."
        }],
        [bulkheadFull("full"), "1", { ...capacity, detail: "Too many requests are in progress." }],
        [bulkheadFull("waited"), "1", { ...capacity, detail: "Too many requests are in progress." }],
        [bulkheadFull("deadline"), null, timeout],
        [rateLimited, "3", { ...capacity, detail: "A rate is used up." }],
        [timedOut, null, timeout]
      ]
      for (const [error, retryAfter, body] of rows) {
        const answer = yield* answerOf(error)
        assert.deepStrictEqual(answer, {
          status: body.status as number,
          contentType: "application/problem+json",
          retryAfter,
          body
        })
      }
    }))

  it.effect("says nothing of what stands behind the service unless it is told to", () =>
    Effect.gen(function*() {
      for (const error of [circuitOpen(undefined), bulkheadFull("full"), rateLimited, timedOut]) {
        const closed = JSON.stringify((yield* answerOf(error)).body)
        assert.notInclude(closed, "payments")
        assert.notInclude(closed, "secret-tenant")
      }
      const open = yield* answerOf(circuitOpen(Duration.seconds(2)), { expose: true })
      assert.deepStrictEqual(open.body, {
        type: "about:blank",
        title: "Service Unavailable",
        status: 503,
        detail: "The circuit of payments is open; try again in 2s",
        error: "CircuitOpen",
        dependency: "payments"
      })
    }))

  it.effect("takes other statuses by tag, with the title of the status", () =>
    Effect.gen(function*() {
      const answer = yield* answerOf(rateLimited, { statuses: { RateLimited: 429 } })
      assert.deepStrictEqual([answer.status, answer.retryAfter, answer.body.type, answer.body.title], [
        429,
        "3",
        "about:blank",
        "Too Many Requests"
      ])
      assert.strictEqual((yield* answerOf(bulkheadFull("full"), { retryAfter: "5 seconds" })).retryAfter, "5")
    }))

  it.effect("lets every other error, and every defect, through", () =>
    Effect.gen(function*() {
      class Mine extends Error {
        readonly _tag = "CircuitOpen"
      }
      const run = <E>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E>) =>
        Effect.exit(HttpProblem.middleware()(app)).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://s.test/"))
          )
        )
      const mine = yield* run(Effect.fail(new Mine("not the toolkit's")))
      assert.isTrue(mine._tag === "Failure" && mine.cause._tag === "Fail" && mine.cause.error instanceof Mine)
      const bug = yield* run(Effect.die(timedOut))
      assert.isTrue(bug._tag === "Failure" && bug.cause._tag === "Die")
    }))

  it("rounds Retry-After up to whole seconds, at least one", () => {
    const of = (millis: number) => HttpProblem.retryAfter(Duration.millis(millis))
    assert.deepStrictEqual([0, 0.1, 1, 999, 1000, 1001, 29_999.5, 30_000].map(of), [
      "1",
      "1",
      "1",
      "1",
      "1",
      "2",
      "30",
      "30"
    ])
  })

  it("writes a Retry-After that every client can read, and none for a wait without end", () => {
    assert.strictEqual(HttpProblem.retryAfter(Duration.infinity), "2147483647")
    assert.strictEqual(HttpProblem.retryAfter(Duration.millis(1e27)), "2147483647")
    const header = (retryAfter: Duration.Duration) =>
      HttpProblem.response({ status: 503, retryAfter }).headers["retry-after"]
    assert.strictEqual(header(Duration.millis(1e27)), "2147483647")
    assert.isUndefined(header(Duration.infinity))
  })

  it("has the phrase of every status of an error for a title", async () => {
    const titleOf = async (status: number) =>
      (await HttpServerResponse.toWeb(HttpProblem.response({ status })).json()).title as string | undefined
    // As RFC 9110 has them; Node's names are older. 418, 509 and 510 are no statuses of IANA any more.
    const renamed: Record<string, string> = { 413: "Content Too Large", 422: "Unprocessable Content" }
    const statuses = Object.entries(STATUS_CODES).filter(([status]) =>
      Number(status) >= 400 && !["418", "509", "510"].includes(status)
    )
    assert.isAtLeast(statuses.length, 35)
    for (const [status, phrase] of statuses) {
      assert.strictEqual(await titleOf(Number(status)), renamed[status] ?? phrase, status)
    }
    assert.isUndefined(await titleOf(599))
  })

  it("refuses options that are none", () => {
    for (const statuses of [null, "ab", []]) {
      assert.throws(() => HttpProblem.make({ statuses: statuses as any }), /statuses is .*a record/s)
    }
  })

  it("writes problem details of one's own, extensions included, and leaves out what is not given", async () => {
    const response = HttpServerResponse.toWeb(HttpProblem.response({
      status: 402,
      type: "https://shop.test/problems/card",
      title: "The card was declined",
      instance: "/orders/7",
      extensions: { balance: 30 }
    }))
    assert.strictEqual(response.status, 402)
    assert.strictEqual(response.headers.get("cache-control"), "no-store")
    assert.deepStrictEqual(await response.json(), {
      type: "https://shop.test/problems/card",
      title: "The card was declined",
      status: 402,
      instance: "/orders/7",
      balance: 30
    })
  })

  it.scoped("answers for a whole router, for routes, and for a bare app", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "payments" })
      yield* breaker.isolate
      const pay = breaker(Effect.succeed(HttpServerResponse.text("paid")))
      const status = (path: string) => Effect.map(HttpClient.get(path), (answer) => answer.status)

      const Routes = Layer.mergeAll(
        HttpLayerRouter.add("GET", "/pay", pay).pipe(Layer.provide(HttpProblem.forRoutes().layer)),
        HttpLayerRouter.add("GET", "/bare", pay)
      )
      const serve = (routes: any) =>
        Layer.build(HttpLayerRouter.serve(routes, { disableLogger: true, disableListenLog: true })) as Effect.Effect<
          unknown,
          never,
          HttpServer.HttpServer
        >
      yield* Effect.scoped(Effect.gen(function*() {
        yield* serve(Routes)
        assert.strictEqual(yield* status("/pay"), 503)
        assert.strictEqual(yield* status("/bare"), 500)
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* serve(Layer.mergeAll(Routes, HttpProblem.layerRouter()))
        assert.strictEqual(yield* status("/bare"), 503)
        assert.strictEqual(yield* status("/nowhere"), 404)
      }))
      yield* HttpServer.serveEffect(pay.pipe(HttpProblem.middleware()))
      assert.strictEqual(yield* status("/"), 503)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it("refuses bad options with all findings at once", () => {
    assert.throws(
      () => HttpProblem.make({ statuses: { TimedOut: 200, Nope: 500 }, expose: 1, retryAfter: NaN } as any),
      /retryAfter is NaN.*expose is 1.*statuses\.TimedOut is 200.*statuses\.Nope is 500/
    )
  })
})
