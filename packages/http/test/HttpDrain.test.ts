import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpHealth from "@holdfast/http/HttpHealth"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Http from "node:http"
import * as Net from "node:net"
import { upgradeOf } from "./support/servers.js"

interface Answer {
  readonly status: number
  readonly connection: string | undefined
  readonly retryAfter: string | undefined
  readonly text: string
}

/** A client of its own with keep-alive, since it is the idle connections that matter here. */
const client = Effect.acquireRelease(
  Effect.sync(() => new Http.Agent({ keepAlive: true })),
  (agent) => Effect.sync(() => agent.destroy())
).pipe(Effect.map((kept) => (port: number, path: string, fresh: boolean) =>
  Effect.async<Answer, Error>((resume) => {
    const request = Http.get({ host: "127.0.0.1", port, path, agent: fresh ? false : kept }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () =>
        resume(Effect.succeed({
          status: response.statusCode!,
          connection: response.headers.connection,
          retryAfter: response.headers["retry-after"],
          text: Buffer.concat(chunks).toString()
        })))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => request.destroy())
  })
))

/** Waits for a condition of a real server, by the real clock whatever clock the test has; the limit of the test ends it. */
const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (done) => done ? Effect.void : Effect.zipRight(pause, until(condition)))

const pause = Effect.async<void>((resume) => {
  setTimeout(() => resume(Effect.void), 2)
})

const connect = (port: number, text: string) =>
  Effect.gen(function*() {
    const closed = yield* Deferred.make<void>()
    let received = ""
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect(port, "127.0.0.1")),
      (socket) => Effect.sync(() => socket.destroy())
    )
    socket.on("error", () => {})
    socket.on("data", (data) => {
      received += String(data)
    })
    socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
    socket.write(text)
    return { received: () => received, closed: Deferred.await(closed) }
  })

/** A whole program: server, routes, drain at the end; closing the scope is the shutdown. */
const program = (options: HttpDrain.Options = {}) =>
  Effect.gen(function*() {
    const server = Http.createServer()
    // Longer than any test: what ends sooner did not wait for a connection that was kept.
    server.keepAliveTimeout = 60_000
    const begun = yield* Queue.unbounded<void>()
    const gate = yield* Deferred.make<void>()
    const held = Effect.zipRight(
      Queue.offer(begun, undefined),
      Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))
    )
    const encode = (text: string) => new TextEncoder().encode(text)
    const streamed = Effect.sync(() =>
      HttpServerResponse.stream(Stream.concat(
        Stream.make(encode("first ")),
        Stream.fromEffect(
          Effect.zipRight(Queue.offer(begun, undefined), Effect.as(Deferred.await(gate), encode("last")))
        )
      ))
    )
    const Routes = Layer.mergeAll(
      HttpLayerRouter.add("GET", "/slow", held),
      HttpLayerRouter.add("GET", "/stream", streamed),
      HttpLayerRouter.add(
        "GET",
        "/socket",
        Effect.flatMap(HttpServerRequest.upgrade, (socket) =>
          Effect.as(socket.run(() => Effect.void), HttpServerResponse.empty()))
      ),
      HttpLayerRouter.add("GET", "/fast", HttpServerResponse.text("fast")),
      HttpHealth.layerRouter(),
      HttpDrain.layerRouter
    )
    const Served = HttpLayerRouter.serve(Routes as Layer.Layer<never, never, HttpLayerRouter.HttpRouter>, {
      disableLogger: true,
      disableListenLog: true
    }) as Layer.Layer<never, never, HttpServer.HttpServer>
    const Main = HttpDrain.layerShutdown.pipe(
      Layer.provide(Served),
      Layer.provideMerge(HttpDrain.layer({ server, ...options })),
      Layer.provideMerge(NodeHttpServer.layerServer(() =>
        server, { port: 0, host: "127.0.0.1" }))
    )
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(Main, scope)
    const { drain, port } = yield* Effect.provide(
      Effect.all({
        drain: HttpDrain.HttpDrain,
        port: HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0))
      }),
      context
    )
    const connections = Effect.async<number>((resume) => {
      server.getConnections((_, count) => resume(Effect.succeed(count)))
    })
    const get = yield* client
    return {
      drain,
      begun,
      connections,
      /** A connection on which so much is written and nothing more; it gathers what comes back, until it is closed. */
      connect: (text: string) => connect(port, text),
      get: (path: string) => get(port, path, false),
      /** On a connection of its own: one that the server closes just now cannot be used by mistake. */
      getFresh: (path: string) => get(port, path, true),
      open: Deferred.succeed(gate, undefined),
      shutdown: Scope.close(scope, Exit.void)
    }
  })

describe("HttpDrain", () => {
  it.scopedLive("answers what is in flight, refuses what is new, closes idle connections, then ends at once", () =>
    Effect.gen(function*() {
      const { begun, connections, drain, get, getFresh, open, shutdown } = yield* program()
      assert.strictEqual((yield* get("/fast")).connection, "keep-alive")
      const slow = yield* Effect.fork(get("/slow"))
      yield* Queue.take(begun)
      const streamed = yield* Effect.fork(get("/stream"))
      yield* Queue.take(begun)
      yield* get("/fast")
      yield* until(Effect.map(drain.inFlight, (count) => count === 2))
      assert.strictEqual(yield* connections, 3)

      const ending = yield* Effect.fork(shutdown)
      yield* until(Effect.map(drain.state, (state) => state === "draining"))
      yield* until(Effect.map(connections, (count) => count === 2))
      const refused = yield* getFresh("/fast")
      assert.deepStrictEqual(
        [refused.status, refused.connection, refused.retryAfter, JSON.parse(refused.text).detail],
        [503, "close", "1", "This server is going down; another one will answer."]
      )
      const health = yield* getFresh("/health")
      assert.deepStrictEqual([health.status, health.connection, JSON.parse(health.text).status], [
        503,
        "close",
        "draining"
      ])
      assert.strictEqual(yield* drain.inFlight, 2)

      yield* open
      const answer = yield* Fiber.join(slow)
      assert.deepStrictEqual([answer.status, answer.connection, answer.text], [200, "close", "done"])
      // Its headers went out before the drain began, so it could not say close; it is whole all the same.
      assert.strictEqual((yield* Fiber.join(streamed)).text, "first last")
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(getFresh("/fast"))))
    }))

  it.scopedLive("cuts off what does not end in time, and says how many", () =>
    Effect.gen(function*() {
      const { begun, drain, get, shutdown } = yield* program({ timeout: "150 millis" })
      const stuck = yield* Effect.fork(Effect.all([get("/slow"), get("/slow")], { concurrency: 2, mode: "either" }))
      yield* Queue.takeN(begun, 2)
      yield* shutdown
      assert.deepStrictEqual(yield* drain.drain, { complete: false, cutOff: 2 })
      const ends = yield* Fiber.join(stuck)
      assert.deepStrictEqual(ends.map((one) => one._tag), ["Left", "Left"])
      yield* until(Effect.map(drain.inFlight, (count) => count === 0))
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))

  it.scopedLive("ends at once when nothing is in flight, and a client that is gone is not waited for", () =>
    Effect.gen(function*() {
      const { begun, drain, get, shutdown } = yield* program()
      const gone = yield* Effect.fork(get("/slow"))
      yield* Queue.take(begun)
      yield* Fiber.interrupt(gone)
      yield* until(Effect.map(drain.inFlight, (count) => count === 0))
      yield* get("/fast")
      yield* shutdown
      assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
    }))

  for (const [name, text] of [["nothing", ""], ["half a request", "GET /fast HTTP/1.1\r\nHost: a\r\n"]] as const) {
    it.scopedLive(`closes a connection on which ${name} was sent, so that the server can end`, () =>
      Effect.gen(function*() {
        const { connect, connections, drain, get, shutdown } = yield* program()
        const silent = yield* connect(text)
        yield* until(Effect.map(connections, (count) => count === 1))
        yield* get("/fast")
        yield* shutdown
        yield* silent.closed
        assert.strictEqual(silent.received(), "")
        assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
      }))
  }

  it.scopedLive("closes what connects after the drain has ended and before the server is closed", () =>
    Effect.gen(function*() {
      const { connect, drain, shutdown } = yield* program()
      yield* drain.drain
      const late = yield* connect("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
      yield* late.closed
      assert.strictEqual(late.received(), "")
      yield* shutdown
    }))

  it.scopedLive("counts a WebSocket, and cuts it off when the time is over", () =>
    Effect.gen(function*() {
      const { connect, drain, shutdown } = yield* program({ timeout: "100 millis" })
      const socket = yield* connect(upgradeOf("/socket"))
      yield* until(Effect.sync(() => socket.received().startsWith("HTTP/1.1 101 ")))
      assert.strictEqual(yield* drain.inFlight, 1)
      yield* shutdown
      yield* socket.closed
      assert.deepStrictEqual(yield* drain.drain, { complete: false, cutOff: 1 })
      yield* until(Effect.map(drain.inFlight, (count) => count === 0))
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it.scoped("admits requests while it is only announced, but lets no connection stay", () =>
    Effect.gen(function*() {
      const { drain, get, shutdown } = yield* program({ announce: "10 seconds" })
      const ending = yield* Effect.fork(shutdown)
      yield* until(Effect.map(drain.state, (state) => state === "announced"))
      const answer = yield* get("/fast")
      assert.deepStrictEqual([answer.status, answer.connection], [200, "close"])
      assert.strictEqual((yield* get("/health")).status, 503)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(ending)
      assert.strictEqual(yield* drain.state, "draining")
    }))

  it.scopedLive("drains once, however often it is asked, and goes on when who asked first is gone", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const drain = yield* HttpDrain.make({
        server: { closeIdleConnections: () => closed.push("idle"), closeAllConnections: () => closed.push("all") }
      })
      const gate = yield* Deferred.make<void>()
      const handler = HttpApp.toWebHandler(
        drain.middleware(Effect.as(Deferred.await(gate), HttpServerResponse.text("done")))
      )
      const request = yield* Effect.fork(Effect.promise(() => handler(new Request("http://server.test/"))))
      yield* until(Effect.map(drain.inFlight, (count) => count === 1))
      const first = yield* Effect.fork(drain.drain)
      const second = yield* Effect.fork(drain.drain)
      yield* until(Effect.map(drain.state, (state) => state === "draining"))
      yield* Fiber.interruptFork(first)
      yield* Deferred.succeed(gate, undefined)
      const response = yield* Fiber.join(request)
      assert.strictEqual(yield* Effect.promise(() => response.text()), "done")
      assert.deepStrictEqual(yield* Fiber.join(second), { complete: true, cutOff: 0 })
      assert.deepStrictEqual(closed, ["idle", "idle", "all"])
    }))

  it.scopedLive("names the server where its wait runs out", () => {
    const fired: Array<string | undefined> = []
    return Effect.gen(function*() {
      const { begun, drain, getFresh } = yield* program({ timeout: "20 millis" })
      yield* Effect.fork(Effect.exit(getFresh("/slow")))
      yield* Queue.take(begun)
      assert.isFalse((yield* drain.drain).complete)
      assert.deepStrictEqual(fired, ["http.server"])
    }).pipe(
      ResilienceEvent.listen((event) => {
        if (event._tag === "TimeoutFired") {
          fired.push(event.call.dependency)
        }
      }),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )
  })

  it.effect("refuses bad options with all findings at once", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(HttpDrain.make({ timeout: 0, announce: -1, server: {}, grace: 1 } as any))
      const findings = exit._tag === "Failure" ? Cause.pretty(exit.cause) : ""
      for (const field of ["timeout is 0", "announce is -1", "server is", "grace is 1"]) {
        assert.include(findings, field)
      }
      const none = yield* Effect.exit(HttpDrain.make({ server: null } as any))
      assert.include(none._tag === "Failure" ? Cause.pretty(none.cause) : "", "InvalidOptions")
    }))
})
