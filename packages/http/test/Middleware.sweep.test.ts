import type { HttpApp } from "@effect/platform"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import { Effect, Exit, Logger, type Scope } from "effect"
import { Timeout } from "./support/core.js"
import { ring } from "./support/ring.js"

type App = HttpApp.Default<unknown, Scope.Scope>
type Middleware = (app: App) => App

interface World {
  readonly alarms: Alarm.Alarms
  readonly admission: HttpAdmission.HttpAdmission
  readonly drain: HttpDrain.Drain
  readonly limit: HttpRateLimit.HttpRateLimit
  inside: number
}

/** A server whose only place somebody else has for 3 ms more. */
const makeWorld = Effect.gen(function*() {
  const admission = yield* HttpAdmission.make({ maxConcurrent: 1, maxQueue: 2 })
  yield* Effect.forkDaemon(admission.bulkhead(Effect.sleep("3 millis")))
  yield* Effect.yieldNow()
  const world: World = {
    alarms: Alarm.of(yield* Effect.clock),
    admission,
    drain: yield* HttpDrain.make(),
    limit: yield* HttpRateLimit.make({ rate: 1, per: "1 hour", capacity: 10, key: () => "everybody" }),
    inside: 0
  }
  return world
})

/** Every middleware of the server side. */
const middleware: Readonly<Record<string, (world: World) => Middleware>> = {
  "HttpAdmission": ({ admission }) => (app) => admission.middleware(app),
  "HttpDrain": ({ drain }) => (app) => drain.middleware(app),
  "HttpRateLimit": ({ limit }) => (app) => limit.middleware(app),
  "HttpDeadline": () => HttpDeadline.middleware({ limit: "1 hour" }) as Middleware,
  "HttpProblem": () => (app) => HttpProblem.middleware()(app.pipe(Timeout.make("1 hour"))),
  "all of them": ({ admission, drain, limit }) => (app) =>
    drain.middleware(limit.middleware(
      HttpDeadline.middleware({ limit: "1 hour" })(admission.middleware(HttpProblem.middleware()(app)))
    ))
}

const handler = (world: World): App =>
  Effect.acquireUseRelease(
    Effect.sync(() => world.inside++),
    () => Effect.as(Effect.sleep("5 millis"), HttpServerResponse.text("done")),
    () => Effect.sync(() => world.inside--)
  )

const request = HttpServerRequest.fromWeb(new Request("http://server.test/"))

describe("every middleware of the server side", () => {
  for (const [name, of] of Object.entries(middleware)) {
    for (
      const [what, at] of [["interrupted from outside", "interrupt"], ["rung by the next alarm", ring]] as const
    ) {
      it.live(
        `${name}: wherever it is ${what}, every place is given back, and no request counts as in flight`,
        () =>
          Effect.map(
            OperationSweep.run<World, number, unknown>({
              make: () => makeWorld,
              fibers: "body",
              at,
              body: (world) =>
                Effect.scoped(of(world)(handler(world))).pipe(
                  Effect.map(({ status }) => status),
                  Effect.provideService(HttpServerRequest.HttpServerRequest, request)
                ),
              check: ({ admission, alarms, drain, inside }, exit) =>
                Effect.gen(function*() {
                  const { active, queued } = yield* admission.bulkhead.snapshot
                  const inFlight = yield* drain.inFlight
                  const expected = Exit.isSuccess(exit) ? [200, 503, 504].includes(exit.value) : at === "interrupt" &&
                    Exit.isInterrupted(exit)
                  return [
                    ...(active + queued === 0 ? [] : [`${active} places are out, ${queued} wait`]),
                    ...(inFlight === 0 ? [] : [`${inFlight} are in flight`]),
                    ...(inside === 0 ? [] : ["the handler has not been left"]),
                    ...(alarms.size === 0 ? [] : [`${alarms.size} alarms are left`]),
                    ...(expected ? [] : [`ended with ${String(exit)}`])
                  ]
                })
            }),
            (report) => {
              OperationSweep.assertClean(report)
              assert.isAbove(report.operations, 10)
            }
          ).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
        120_000
      )
    }
  }
})
