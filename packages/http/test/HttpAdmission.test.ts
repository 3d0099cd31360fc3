import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"

const send = (url: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.get(url, { headers }))

const status = (url: string) => Effect.map(send(url), (answer) => answer.status)

/** Waits for a condition of a real server, by the real clock whatever clock the test has; the limit of the test ends it. */
const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (done) => done ? Effect.void : Effect.zipRight(pause, until(condition)))

const pause = Effect.async<void>((resume) => {
  setTimeout(() => resume(Effect.void), 2)
})

const load = (admission: HttpAdmission.HttpAdmission, active: number, queued: number) =>
  until(Effect.map(admission.bulkhead.snapshot, (now) => now.active === active && now.queued === queued))

/** A handler that says when it began, and ends when it is told to. */
const held = Effect.gen(function*() {
  const begun = yield* Queue.unbounded<string>()
  const gate = yield* Deferred.make<void>()
  const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.zipRight(
      Queue.offer(begun, request.url),
      Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))
    ))
  return { begun, app, open: Deferred.succeed(gate, undefined) }
})

const serveRoutes = <A, E, R>(routes: Layer.Layer<A, E, R>) =>
  Layer.build(HttpLayerRouter.serve(routes as any, { disableLogger: true, disableListenLog: true })) as Effect.Effect<
    unknown,
    never,
    HttpServer.HttpServer | Scope.Scope
  >

describe("HttpAdmission", () => {
  it.scopedLive("admits so many requests at once and answers the rest with 503, headers and body exact", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 2, retryAfter: "1500 millis" })
      const { app, begun, open } = yield* held
      yield* HttpServer.serveEffect(admission.middleware(app))
      const first = yield* Effect.fork(Effect.all([send("/1"), send("/2")], { concurrency: 2 }))
      yield* Queue.takeN(begun, 2)

      const refused = yield* send("/3")
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers["retry-after"], "2")
      assert.strictEqual(refused.headers["content-type"], "application/problem+json")
      assert.deepStrictEqual(yield* refused.json, {
        type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        title: "Request cannot be satisfied due to temporary server capacity constraints",
        status: 503,
        detail: "Too many requests are in progress."
      })
      yield* open
      assert.deepStrictEqual((yield* Fiber.join(first)).map((answer) => answer.status), [200, 200])
      yield* load(admission, 0, 0)
      assert.strictEqual(yield* status("/4"), 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("lets requests wait in order, and refuses who waits too long", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 1, maxQueue: 2, maxWait: "150 millis" })
      const { app, begun, open } = yield* held
      yield* HttpServer.serveEffect(admission.middleware(app))
      const first = yield* Effect.fork(status("/1"))
      yield* Queue.take(begun)
      const late = yield* Effect.fork(status("/late"))
      yield* load(admission, 1, 1)
      yield* TestClock.adjust("149 millis")
      yield* load(admission, 1, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(late), 503)
      const second = yield* Effect.fork(status("/2"))
      yield* load(admission, 1, 1)
      const third = yield* Effect.fork(status("/3"))
      yield* load(admission, 1, 2)
      assert.strictEqual(yield* status("/4"), 503)
      yield* open
      assert.deepStrictEqual(yield* Effect.all([first, second, third].map(Fiber.join)), [200, 200, 200])
      assert.deepStrictEqual([yield* Queue.take(begun), yield* Queue.take(begun)], ["/2", "/3"])
      yield* load(admission, 0, 0)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  for (const place of ["around the app", "around a route", "around the server"] as const) {
    it.scopedLive(`gives the place of a client back that is gone, running or waiting: ${place}`, () =>
      Effect.gen(function*() {
        const admission = yield* HttpAdmission.make({ maxConcurrent: 1, maxQueue: 5 })
        const { app, begun } = yield* held
        if (place === "around the app") {
          yield* HttpServer.serveEffect(admission.middleware(Effect.interruptible(app)))
        } else if (place === "around the server") {
          yield* HttpServer.serveEffect(Effect.interruptible(app), admission.middleware)
        } else {
          yield* serveRoutes(
            HttpLayerRouter.add("GET", "*", app).pipe(
              Layer.provide(HttpLayerRouter.middleware(admission.middleware).layer)
            )
          )
        }
        const running = yield* Effect.fork(send("/1"))
        yield* Queue.take(begun)
        const waiting = yield* Effect.fork(send("/2"))
        yield* load(admission, 1, 1)
        yield* Fiber.interrupt(waiting)
        yield* load(admission, 1, 0)
        yield* Fiber.interrupt(running)
        yield* load(admission, 0, 0)
        const next = yield* Effect.fork(send("/3"))
        assert.strictEqual(yield* Queue.take(begun), "/3")
        yield* Fiber.interrupt(next)
        yield* load(admission, 0, 0)
      }).pipe(Effect.provide(NodeHttpServer.layerTest)))
  }

  it.scopedLive("keeps the place until the last byte of a streamed answer", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 1 })
      const gate = yield* Deferred.make<void>()
      const body = Stream.concat(
        Stream.make(new TextEncoder().encode("first ")),
        Stream.fromEffect(Effect.as(Deferred.await(gate), new TextEncoder().encode("last")))
      )
      yield* HttpServer.serveEffect(admission.middleware(Effect.sync(() => HttpServerResponse.stream(body))))
      const answer = yield* send("/")
      assert.strictEqual(yield* status("/"), 503)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* answer.text, "first last")
      yield* load(admission, 0, 0)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("gives the place back after errors and defects", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 1 })
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        request.url === "/die" ? Effect.die(new Error("bug")) : Effect.fail("wrong"))
      yield* HttpServer.serveEffect(admission.middleware(app))
      for (const path of ["/die", "/fail", "/die", "/fail"]) {
        assert.strictEqual(yield* status(path), 500)
        yield* load(admission, 0, 0)
      }
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("never runs more at once than it may, under 200 requests, and loses no place", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 5, maxQueue: 20 })
      const full = yield* Deferred.make<void>()
      let running = 0
      let most = 0
      const app = Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++running)
          if (running === 5) {
            Deferred.unsafeDone(full, Effect.void)
          }
        }),
        // nobody leaves before every place was taken once, however slow the machine
        () => Effect.zipRight(Deferred.await(full), Effect.sleep("3 millis")),
        () =>
          Effect.sync(() => {
            running--
          })
      ).pipe(Effect.as(HttpServerResponse.text("done")))
      yield* HttpServer.serveEffect(admission.middleware(app))
      const answers = yield* Effect.all(Array.from({ length: 200 }, () => status("/")), { concurrency: 40 })
      assert.strictEqual(most, 5)
      assert.includeMembers([200, 503], answers)
      assert.isAtLeast(answers.filter((one) => one === 200).length, 25)
      yield* load(admission, 0, 0)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("answers 504 where the deadline of the request ends its wait", () =>
    Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 1, maxQueue: 5 })
      const { app, begun, open } = yield* held
      yield* HttpServer.serveEffect(HttpDeadline.middleware()(admission.middleware(app)))
      const first = yield* Effect.fork(status("/1"))
      yield* Queue.take(begun)
      const late = yield* send("/2", { "x-deadline-remaining-ms": "60" })
      assert.strictEqual(late.status, 504)
      yield* load(admission, 1, 0)
      yield* open
      assert.strictEqual(yield* Fiber.join(first), 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("asks nothing of health checks, and has a bulkhead per route where it stands around routes", () =>
    Effect.gen(function*() {
      const { app, begun, open } = yield* held
      yield* serveRoutes(Layer.mergeAll(
        HttpLayerRouter.add("GET", "/report", app).pipe(
          Layer.provide(HttpAdmission.forRoutes({ name: "reports", maxConcurrent: 1 }).layer)
        ),
        HttpLayerRouter.add("GET", "/page", HttpServerResponse.text("page")),
        HttpLayerRouter.add("GET", "/health", HttpServerResponse.text("well")),
        HttpAdmission.layerRouter({ maxConcurrent: 2 })
      ))
      const one = yield* Effect.fork(status("/report"))
      yield* Queue.take(begun)
      assert.strictEqual(yield* status("/report"), 503)
      assert.strictEqual(yield* status("/page"), 200)
      const all = yield* Effect.all(Array.from({ length: 10 }, () => status("/health")), { concurrency: 10 })
      assert.deepStrictEqual(all, Array.from({ length: 10 }, () => 200))
      yield* open
      assert.strictEqual(yield* Fiber.join(one), 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("tells listeners of a request as one call that lasts until the answer", () => {
    const seen: Array<string> = []
    return Effect.gen(function*() {
      const admission = yield* HttpAdmission.make({ maxConcurrent: 1, name: "front" })
      const { app, begun, open } = yield* held
      yield* HttpServer.serveEffect(admission.middleware(app))
      const first = yield* Effect.fork(status("/1"))
      yield* Queue.take(begun)
      yield* status("/2")
      assert.deepStrictEqual(seen, ["BulkheadRejected:front", "CallEnded:Rejected"])
      yield* open
      yield* Fiber.join(first)
      yield* load(admission, 0, 0)
      assert.deepStrictEqual(seen.slice(2), ["CallEnded:Success"])
    }).pipe(
      ResilienceEvent.listen((event) => {
        if (event._tag === "BulkheadRejected") {
          seen.push(`BulkheadRejected:${event.bulkhead}`)
        } else if (event._tag === "CallEnded") {
          seen.push(`CallEnded:${event.outcome.class}`)
        }
      }),
      Effect.provide(NodeHttpServer.layerTest)
    )
  })

  it.effect("refuses bad options with all findings at once", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        HttpAdmission.make({ maxConcurrent: 0, maxWait: "1 second", retryAfter: -1, queue: 3 } as any)
      )
      const findings = exit._tag === "Failure" ? Cause.pretty(exit.cause) : ""
      for (const field of ["maxConcurrent is 0", "maxWait is", "retryAfter is -1", "queue is 3"]) {
        assert.include(findings, field)
      }
    }))
})
