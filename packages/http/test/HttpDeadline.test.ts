import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "@holdfast/core/Deadline"
import * as Fallback from "@holdfast/core/Fallback"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Timeout from "@holdfast/core/Timeout"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Net from "node:net"
import { upgradeOf } from "./support/servers.js"

const send = (url: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.get(url, { headers }))

const asked = (left: string) => ({ "x-deadline-remaining-ms": left })

/** Answers with what is left, in milliseconds. */
const left = Effect.map(
  Deadline.remaining,
  (remaining) => HttpServerResponse.unsafeJson(Option.getOrNull(Option.map(remaining, Duration.toMillis)))
)

const inProcess = (
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, any, HttpServerRequest.HttpServerRequest>,
  headers: Record<string, string>
) =>
  Effect.provideService(
    app,
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(new Request("http://server.test/", { headers }))
  )

const json = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.promise(() => HttpServerResponse.toWeb(response).json())

describe("HttpDeadline", () => {
  it("reads digits only", () => {
    const read = (text: string) => Option.getOrUndefined(Option.map(HttpDeadline.parse(text), Duration.toMillis))
    assert.strictEqual(read("0"), 0)
    assert.strictEqual(read("1500"), 1500)
    assert.strictEqual(read("999999999999999"), 999_999_999_999_999)
    for (const wrong of ["", "-1", "+1", "1.5", "1e9", "0x10", " 5", "5ms", "5, 6", "Infinity", "9999999999999999"]) {
      assert.isUndefined(read(wrong), wrong)
    }
  })

  it.effect("gives the app what the caller has left, less the reserve, and never more than the limit", () =>
    Effect.gen(function*() {
      const remaining = (options: HttpDeadline.Options, headers: Record<string, string>) =>
        Effect.flatMap(inProcess(HttpDeadline.middleware({ grace: 0, ...options })(left), headers), json)
      assert.strictEqual(yield* remaining({}, asked("1500")), 1500)
      assert.strictEqual(yield* remaining({ reserve: "100 millis" }, asked("1500")), 1400)
      assert.strictEqual(yield* remaining({ limit: "1 second" }, asked("1500")), 1000)
      assert.strictEqual(yield* remaining({ limit: "1 second" }, {}), 1000)
      assert.strictEqual(yield* remaining({ limit: "1 second", reserve: "100 millis" }, {}), 900)
      assert.strictEqual(yield* remaining({ limit: "1 second", reserve: "100 millis" }, asked("1500")), 900)
      assert.strictEqual(yield* remaining({ limit: "1 second", reserve: "100 millis" }, asked("500")), 400)
      assert.strictEqual(yield* remaining({ limit: "1 second" }, asked("soon")), 1000)
      assert.strictEqual(yield* remaining({}, {}), null)
      assert.strictEqual(yield* remaining({}, asked("soon")), null)
      assert.strictEqual(yield* remaining({ header: "X-Left" }, { "x-left": "7" }), 7)
      // The deadline of the app passes a little earlier than the request ends.
      assert.strictEqual(yield* remaining({ grace: undefined }, asked("1500")), 1450)
      assert.strictEqual(yield* remaining({ grace: undefined }, asked("60")), 30)
      assert.strictEqual(yield* remaining({ grace: "200 millis", reserve: "100 millis" }, asked("1500")), 1200)
    }))

  it.effect("lets a fallback answer when the time runs out in a call", () =>
    Effect.gen(function*() {
      const quotes = Effect.never.pipe(Timeout.make("10 seconds"), Fallback.tiers(Fallback.value("from yesterday")))
      const app = Effect.map(quotes, (text) => HttpServerResponse.text(text))
      const waiting = yield* Effect.fork(inProcess(HttpDeadline.middleware()(app), asked("300")))
      yield* TestClock.adjust("249 millis")
      assert.isNull(waiting.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 200)
      // Without a fallback the rest of the time is the app's.
      const late = yield* Effect.fork(inProcess(HttpDeadline.middleware()(Effect.never), asked("300")))
      yield* TestClock.adjust("299 millis")
      assert.isNull(late.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(late)).status, 504)
    }))

  it.scoped("interrupts the handler when the time has passed, and answers 504", () =>
    Effect.gen(function*() {
      const steps = yield* Queue.unbounded<string>()
      const slow = Effect.zipRight(Queue.offer(steps, "begun"), Effect.never).pipe(
        Effect.onInterrupt(() => Queue.offer(steps, "interrupted"))
      )
      const App = Layer.mergeAll(
        HttpLayerRouter.add("GET", "/slow", slow),
        HttpLayerRouter.add("GET", "/left", left),
        HttpDeadline.layerRouter()
      )
      yield* Layer.build(HttpLayerRouter.serve(App, { disableLogger: true, disableListenLog: true }))
      const waiting = yield* Effect.fork(send("/slow", asked("2000")))
      assert.strictEqual(yield* Queue.take(steps), "begun")
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* Queue.size(steps), 0)
      yield* TestClock.adjust("1 millis")
      const answer = yield* Fiber.join(waiting)
      assert.strictEqual(answer.status, 504)
      assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      assert.deepStrictEqual(yield* answer.json, {
        type: "about:blank",
        title: "Gateway Timeout",
        status: 504,
        detail: "The time for this request has run out."
      })
      assert.strictEqual(yield* Queue.take(steps), "interrupted")
      assert.strictEqual(yield* (yield* send("/left", asked("700"))).json, 650)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("does not run the app of a request that arrives too late", () =>
    Effect.gen(function*() {
      let runs = 0
      const app = Effect.sync(() => {
        runs++
        return HttpServerResponse.text("done")
      })
      yield* HttpServer.serveEffect(HttpDeadline.middleware({ reserve: "20 millis" })(app))
      assert.strictEqual((yield* send("/", asked("0"))).status, 504)
      assert.strictEqual((yield* send("/", asked("20"))).status, 504)
      assert.strictEqual(runs, 0)
      assert.strictEqual((yield* send("/", asked("21"))).status, 200)
      assert.strictEqual(runs, 1)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("answers health checks however late they come, and nothing that only looks like one", () =>
    Effect.gen(function*() {
      yield* Layer.build(HttpLayerRouter.serve(
        Layer.mergeAll(
          HttpHealth.layerRouter(),
          HttpLayerRouter.add("GET", "/live", HttpServerResponse.text("alive")),
          HttpLayerRouter.add("GET", "/health/orders", HttpServerResponse.text("orders")),
          HttpDeadline.layerRouter({ limit: "1 second", reserve: "100 millis" })
        ),
        { disableLogger: true, disableListenLog: true }
      ))
      const status = (path: string) => Effect.map(send(path, asked("0")), (answer) => answer.status)
      assert.strictEqual(yield* status("/health"), 200)
      assert.strictEqual(yield* status("/health?verbose=1"), 200)
      assert.strictEqual(yield* status("/live"), 504)
      assert.strictEqual(yield* status("/health/orders"), 504)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.effect("has an exemption more where it is told one", () =>
    Effect.gen(function*() {
      const live = (options: HttpDeadline.Options) => inProcess(HttpDeadline.middleware(options)(left), asked("0"))
      assert.strictEqual((yield* live({ exempt: () => true })).status, 200)
      assert.strictEqual((yield* live({ exempt: () => false })).status, 504)
      assert.throws(() => HttpDeadline.middleware({ exempt: true as any }), /exempt is true/)
    }))

  it.scopedLive("bounds the time until the answer begins: a stream goes on after it", () =>
    Effect.gen(function*() {
      const bytes = new TextEncoder().encode("x")
      const streamed = Effect.sync(() =>
        HttpServerResponse.stream(Stream.concat(
          Stream.make(bytes),
          Stream.fromEffect(Effect.as(Effect.sleep("2500 millis"), bytes))
        ))
      )
      yield* HttpServer.serveEffect(HttpDeadline.middleware({ limit: "2 seconds" })(streamed))
      const answer = yield* send("/")
      assert.deepStrictEqual([answer.status, yield* answer.text], [200, "xx"])
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scopedLive("closes a WebSocket when its time has passed, since its handler runs as long as it is open", () =>
    Effect.gen(function*() {
      const open = Effect.flatMap(
        HttpServerRequest.upgrade,
        (socket) => Effect.as(socket.run(() => Effect.void), HttpServerResponse.empty())
      )
      yield* Layer.build(HttpLayerRouter.serve(
        Layer.mergeAll(
          HttpLayerRouter.add("GET", "/", Effect.orDie(open)),
          HttpDeadline.layerRouter({ limit: "300 millis" })
        ),
        { disableLogger: true, disableListenLog: true }
      ))
      const { address } = yield* HttpServer.HttpServer
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect((address as HttpServer.TcpAddress).port, "127.0.0.1")),
        (open) => Effect.sync(() => open.destroy())
      )
      socket.write(upgradeOf("/"))
      const received = yield* Effect.async<Buffer>((resume) => {
        let all = Buffer.alloc(0)
        socket.on("data", (data: Buffer) => {
          all = Buffer.concat([all, data])
          const head = all.indexOf("\r\n\r\n")
          if (head > 0 && all.length > head + 4) {
            resume(Effect.succeed(all))
          }
        })
      })
      assert.isTrue(received.toString("latin1").startsWith("HTTP/1.1 101 "))
      // The first byte of a close frame.
      assert.strictEqual(received[received.indexOf("\r\n\r\n") + 4], 0x88)
      // The client goes before the server does, which would wait for it.
    }).pipe(Effect.scoped, Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("ends a bare app in time if the app says that it can be interrupted", () =>
    Effect.gen(function*() {
      const begun = yield* Queue.unbounded<void>()
      const app = Effect.interruptible(Effect.zipRight(Queue.offer(begun, undefined), Effect.never))
      yield* HttpServer.serveEffect(HttpDeadline.middleware({ limit: "1 second" })(app))
      const waiting = yield* Effect.fork(send("/"))
      yield* Queue.take(begun)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 504)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.effect("leaves a timeout of the app's own to the app", () =>
    Effect.gen(function*() {
      const app = Effect.never.pipe(
        Timeout.make("1 second", { name: "payments" }),
        Effect.catchTag("TimedOut", (error) => Effect.succeed(HttpServerResponse.text(error.policy)))
      )
      const outer = yield* Effect.fork(inProcess(HttpDeadline.middleware({ limit: "5 seconds" })(app), {}))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(outer)).status, 200)
      const uncaught = Effect.never.pipe(Timeout.make("1 second", { name: "payments" }))
      const failed = yield* Effect.fork(
        Effect.flip(inProcess(HttpDeadline.middleware({ limit: "5 seconds" })(uncaught), {}))
      )
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(((yield* Fiber.join(failed)) as Timeout.TimedOut).policy, "payments")
    }))

  it.effect("cuts a timeout inside to what is left, and the answer is 504 all the same", () =>
    Effect.gen(function*() {
      const app = Effect.never.pipe(Timeout.make("10 seconds"), HttpProblem.middleware())
      const waiting = yield* Effect.fork(inProcess(HttpDeadline.middleware()(app), asked("300")))
      yield* TestClock.adjust("300 millis")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 504)
    }))

  it.effect("names the server as what ran out of time", () => {
    const fired: Array<string | undefined> = []
    return Effect.gen(function*() {
      const waiting = yield* Effect.fork(inProcess(HttpDeadline.middleware({ limit: "1 second" })(Effect.never), {}))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 504)
      assert.deepStrictEqual(fired, ["http.server"])
    }).pipe(ResilienceEvent.listen((event) => {
      if (event._tag === "TimeoutFired") {
        fired.push(event.call.dependency)
      }
    }))
  })

  it("refuses a reserve that leaves nothing of the limit", () => {
    assert.throws(
      () => HttpDeadline.middleware({ limit: "1 second", reserve: "1 second" }),
      /reserve is "1 second".*less than limit/
    )
    assert.doesNotThrow(() => HttpDeadline.middleware({ limit: "1 second", reserve: "999 millis" }))
    assert.throws(
      () => HttpDeadline.middleware({ limit: "1 second", reserve: "500 millis", grace: "500 millis" }),
      /grace is "500 millis".*less than what reserve leaves of limit/
    )
  })

  it("refuses bad options with all findings at once", () => {
    assert.throws(
      () => HttpDeadline.middleware({ header: "a b", limit: "0 millis", reserve: -1, max: 1 } as any),
      /max is 1.*header is "a b".*limit is "0 millis".*reserve is -1/
    )
  })
})
