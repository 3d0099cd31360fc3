import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import { Effect, Logger, type Scope } from "effect"

type App = HttpApp.Default<never, Scope.Scope>
type Exempt = (request: HttpServerRequest.HttpServerRequest) => boolean

const page: App = HttpServerResponse.text("page")

/** Every middleware that refuses, in a state in which it refuses everybody. */
const refusing: Record<string, (exempt?: Exempt) => Effect.Effect<(app: App) => App, never, Scope.Scope>> = {
  "a full admission": (exempt) =>
    Effect.gen(function*() {
      const { bulkhead, middleware } = yield* HttpAdmission.make({ maxConcurrent: 1, exempt })
      yield* Effect.forkScoped(bulkhead(Effect.never))
      yield* Effect.yieldNow()
      return middleware
    }),
  "a used-up rate limit": (exempt) =>
    Effect.gen(function*() {
      const { middleware, take } = yield* HttpRateLimit.make({ rate: 1, per: "1 day", key: () => "all", exempt })
      yield* take({ key: "all" })
      return middleware
    }),
  "a deadline that has passed": (exempt) => Effect.succeed((app: App): App => HttpDeadline.middleware({ exempt })(app)),
  "a drain": (exempt) =>
    Effect.gen(function*() {
      const { drain, middleware } = yield* HttpDrain.make({ exempt })
      yield* drain
      return middleware
    })
}

refusing["all of them, as server.md has them"] = (exempt) =>
  Effect.gen(function*() {
    const [admission, rateLimit, deadline, drain] = yield* Effect.all(
      ["a full admission", "a used-up rate limit", "a deadline that has passed", "a drain"].map((name) =>
        refusing[name]!(exempt)
      )
    )
    return (app) => drain!(rateLimit!(deadline!(admission!(app))))
  })

const status = (app: App, path: string, method = "GET") =>
  Effect.map(
    Effect.provideService(
      app,
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(
        new Request(`http://server.test${path}`, { method, headers: { [HttpDeadline.defaultHeader]: "0" } })
      )
    ),
    (response) => response.status
  )

const watching = ["/health", "/health/dependencies", "/metrics", "/metrics?name=http", "/health?verbose"]

describe("what a server exempts", () => {
  for (const [name, make] of Object.entries(refusing)) {
    it.scoped(`${name} answers health and metrics, and nothing that only looks like them`, () =>
      Effect.gen(function*() {
        const app = (yield* make())(page)
        for (const path of watching) {
          assert.strictEqual(yield* status(app, path), 200, path)
          assert.strictEqual(yield* status(app, path, "HEAD"), 200, path)
          assert.isAbove(yield* status(app, path, "POST"), 400, path)
        }
        for (const path of ["/", "/metrics/", "/metrics/orders", "//metrics", "/metrics;a", "/%6detrics"]) {
          assert.isAbove(yield* status(app, path), 400, path)
        }
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.scoped(`${name} answers what exempt adds, and health and metrics still`, () =>
      Effect.gen(function*() {
        const app = (yield* make(({ originalUrl }) => new URL(originalUrl, "http://a").pathname === "/live"))(page)
        for (const path of [...watching, "/live"]) {
          assert.strictEqual(yield* status(app, path), 200, path)
        }
        assert.isAbove(yield* status(app, "/"), 400)
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  }
})
