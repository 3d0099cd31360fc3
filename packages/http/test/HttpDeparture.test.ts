import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Net from "node:net"

type App = HttpApp.Default<any, any>
type Middleware = (app: App) => App

interface Protection {
  readonly deadline: Middleware
  readonly admission: Middleware
  readonly drain: Middleware
}

type Serve = (app: App, protection: Protection) => Effect.Effect<unknown, any, any>

const router = (app: App) => HttpRouter.empty.pipe(HttpRouter.get("*", app)) as unknown as App

const serve = (app: App) => HttpServer.serveEffect(app as HttpApp.Default)

/** All places in which the three may stand. */
const layouts: ReadonlyArray<readonly [name: string, serve: Serve]> = [
  [
    "the deadline outside, in one global layer",
    (app, { admission, deadline, drain }) =>
      Layer.build(HttpLayerRouter.serve(
        Layer.mergeAll(
          HttpLayerRouter.add("GET", "*", app),
          HttpLayerRouter.middleware(
            Effect.succeed((inner: App) => drain(deadline(admission(inner)))) as any,
            { global: true }
          ) as any
        ) as any,
        { disableLogger: true, disableListenLog: true }
      ) as Layer.Layer<never, never, never>)
  ],
  [
    "the deadline outside, around the app",
    (app, { admission, deadline, drain }) => serve(drain(deadline(admission(router(app)))))
  ],
  [
    "the deadline inside the admission",
    (app, { admission, deadline, drain }) => serve(drain(admission(deadline(router(app)))))
  ],
  [
    "the deadline per route",
    (app, { admission, deadline, drain }) => serve(drain(router(deadline(admission(app)))))
  ],
  ["the deadline around a bare app", (app, { admission, deadline, drain }) => serve(drain(deadline(admission(app))))],
  ["no deadline, a bare app", (app, { admission, drain }) => serve(drain(admission(app)))],
  [
    "admission and drain around the server",
    (app, { admission, deadline, drain }) =>
      HttpServer.serveEffect(deadline(router(app)) as HttpApp.Default, (inner) => drain(admission(inner as App)) as any)
  ]
]

const large = new Uint8Array(4_000_000)

const paths = ["/sleep", "/stubborn", "/large", "/stream", "/fail", "/die"]

/** Handlers of every kind: those that can be stopped, those that cannot, and answers that take long to write. */
const handler: App = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): App => {
  const url = new URL(request.url, "http://server.test")
  const pause = Effect.sleep(Number(url.searchParams.get("pause") ?? 0))
  switch (url.pathname) {
    case "/sleep":
      return Effect.as(pause, HttpServerResponse.text("done"))
    case "/stubborn":
      return Effect.uninterruptible(Effect.as(pause, HttpServerResponse.text("done")))
    case "/large":
      return Effect.as(pause, HttpServerResponse.uint8Array(large))
    case "/stream":
      return Effect.succeed(HttpServerResponse.stream(
        Stream.fromIterable(Array.from({ length: 20 }, () => large.subarray(0, 200_000))).pipe(
          Stream.tap(() => Effect.sleep("2 millis"))
        )
      ))
    case "/fail":
      return Effect.zipRight(pause, Effect.fail("wrong"))
    default:
      return Effect.zipRight(pause, Effect.die(new Error("bug")))
  }
})

type End = "answered" | "left before the answer" | "left in the answer"

interface Visitor {
  readonly method?: string
  /** Milliseconds until it goes, whatever has come by then. */
  readonly leaveAfter: number
  /** They count from the first byte of the answer. */
  readonly fromAnswer?: boolean
  /** It waits for this before the milliseconds begin. */
  readonly after?: Deferred.Deferred<void>
  /** It reads the answer. */
  readonly reads?: boolean
}

const visit = (
  port: number,
  path: string,
  { after, fromAnswer = false, leaveAfter, method = "GET", reads = true }: Visitor
) =>
  Effect.async<End>((resume) => {
    let begun = false
    const request = Http.request({ host: "127.0.0.1", port, path, method, agent: false }, (response) => {
      begun = true
      if (fromAnswer) {
        leave()
      }
      if (reads) {
        response.resume()
        response.on("end", () => resume(Effect.succeed("answered")))
      }
      response.on("error", () => {})
    })
    let timer: NodeJS.Timeout | undefined
    const leave = () => {
      timer = setTimeout(() => request.destroy(), leaveAfter)
    }
    if (after !== undefined) {
      Effect.runFork(Effect.zipRight(Deferred.await(after), Effect.sync(leave)))
    } else if (!fromAnswer) {
      leave()
    }
    request.on("error", () => {})
    request.on("close", () => {
      clearTimeout(timer)
      resume(Effect.succeed(begun ? "left in the answer" : "left before the answer"))
    })
    request.end()
  })

const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (done) => done ? Effect.void : Effect.delay(until(condition), "5 millis"))

/** A server in one of the layouts, with what its protection holds. */
const running = (layout: Serve, app: App, limit: number) =>
  Effect.gen(function*() {
    const node = Http.createServer()
    const server = yield* NodeHttpServer.make(() => node, { port: 0, host: "127.0.0.1" })
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    const drain = yield* HttpDrain.make({ server: node, timeout: "20 seconds" })
    const admission = yield* HttpAdmission.make({ maxConcurrent: 12, maxQueue: 10 })
    yield* Effect.provideService(
      layout(app, {
        deadline: HttpDeadline.middleware({ limit }) as Middleware,
        admission: admission.middleware as Middleware,
        drain: drain.middleware as Middleware
      }),
      HttpServer.HttpServer,
      server
    ) as Effect.Effect<unknown, never, Scope.Scope>
    const held = Effect.gen(function*() {
      const { active, queued } = yield* admission.bulkhead.snapshot
      return { inFlight: yield* drain.inFlight, active, queued }
    })
    const empty = Effect.map(held, ({ active, inFlight, queued }) => active + inFlight + queued === 0)
    return { port: (node.address() as Net.AddressInfo).port, drain, held, empty }
  })

/** Drain and admission around an app that may be interrupted, as a route may be. */
const pipelined = (app: App) =>
  running((bare, { admission, drain }) => serve(drain(admission(router(bare)))), app, 1000)

/** Requests written at once on one connection, without waiting for an answer. */
const send = (port: number, paths: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = Net.connect(port, "127.0.0.1")
      socket.on("error", () => {})
      socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""))
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const nothing = { inFlight: 0, active: 0, queued: 0 }

// One storm at a time: on a busy machine everybody would leave before anything is answered.
describe.sequential("clients that leave", () => {
  for (const [name, layout] of layouts) {
    it.scopedLive(`hold nothing soon after, whenever 300 of them leave: ${name}`, () =>
      Effect.gen(function*() {
        const { drain, empty, held, port } = yield* running(layout, handler, 25)
        const random = Random.make(`leaving: ${name}`)
        const visits: Array<Effect.Effect<End>> = []
        for (let index = 0; index < 300; index++) {
          const kind = paths[index % paths.length]!
          const pause = yield* random.nextIntBetween(0, 40)
          // Every fifth stays to the end and every fifth sees the answer begin: what is left is mixed with what is answered.
          const leaveAfter = index % 5 === 0
            ? 30_000
            : yield* random.nextIntBetween(0, index % 5 === 1 ? 5 : 50)
          visits.push(visit(port, `${kind}?pause=${pause}`, {
            method: (yield* random.nextIntBetween(0, 6)) === 0 ? "HEAD" : "GET",
            leaveAfter,
            fromAnswer: index % 5 === 1,
            reads: index % 5 === 0 || (index % 5 > 1 && (yield* random.nextBoolean))
          }))
        }
        const ends = yield* Effect.all(visits, { concurrency: 30 })
        const count = (end: End) => ends.filter((one) => one === end).length
        assert.isAtLeast(count("left before the answer"), 30)
        assert.isAtLeast(count("left in the answer"), 30)
        assert.isAtLeast(count("answered"), 30)
        yield* Effect.timeoutOption(until(empty), "10 seconds")
        assert.deepStrictEqual(yield* held, nothing)
        assert.strictEqual(yield* visit(port, "/sleep", { leaveAfter: 30_000 }), "answered")
        assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))), 60_000)

    it.scopedLive(`stop the handler long before its deadline: ${name}`, () =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        const stopped = yield* Deferred.make<void>()
        const app = Effect.interruptible(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)).pipe(
          Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
        )
        const { empty, held, port } = yield* running(layout, app, 60_000)
        yield* visit(port, "/", { after: begun, leaveAfter: 20 })
        yield* Effect.timeout(Deferred.await(stopped), "20 seconds")
        yield* Effect.timeoutOption(until(empty), "10 seconds")
        assert.deepStrictEqual(yield* held, nothing)
      }))
  }

  for (const second of ["/ok", "/slow", "/never"]) {
    it.scopedLive(`hold nothing when they cut a connection with /slow and ${second} sent ahead on it`, () =>
      Effect.gen(function*() {
        let running = 0
        const gate = yield* Deferred.make<void>()
        const app: App = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): App =>
          Effect.acquireUseRelease(
            Effect.sync(() => running++),
            () =>
              request.url === "/ok"
                ? Effect.succeed(HttpServerResponse.text("ok"))
                : Effect.interruptible(
                  Effect.as(
                    request.url === "/never" ? Effect.never : Deferred.await(gate),
                    HttpServerResponse.text("done")
                  )
                ),
            () => Effect.sync(() => running--)
          ))
        const { drain, empty, held, port } = yield* pipelined(app)
        for (let round = 0; round < 3; round++) {
          const socket = yield* send(port, ["/slow", second])
          yield* until(Effect.map(held, ({ active, inFlight }) => active === 2 && inFlight === 2))
          socket.destroy()
          yield* Effect.timeoutOption(until(empty), "10 seconds")
          assert.deepStrictEqual(yield* held, nothing)
        }
        yield* until(Effect.sync(() => running === 0))
        // Handlers that have ended without a client, and connections that were cut, leave the next client its place.
        assert.strictEqual(yield* visit(port, "/ok", { leaveAfter: 30_000 }), "answered")
        assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
      }))
  }

  it.scopedLive("stop a handler that was asked ahead, under a deadline alone", () =>
    Effect.gen(function*() {
      let begun = 0
      let stopped = 0
      const app = Effect.interruptible(Effect.zipRight(Effect.sync(() => begun++), Effect.never)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => stopped++))
      )
      const { port } = yield* running((bare, { deadline }) => serve(deadline(router(bare))), app, 600_000)
      const socket = yield* send(port, ["/1", "/2", "/3"])
      yield* until(Effect.sync(() => begun === 3))
      socket.destroy()
      yield* until(Effect.sync(() => stopped === 3))
    }))

  it.scopedLive("give every answer that was sent ahead on one connection its place back, without a listener each", () =>
    Effect.gen(function*() {
      const warnings: Array<Error> = []
      const warn = (warning: Error) => warnings.push(warning)
      process.on("warning", warn)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("warning", warn)))
      const { empty, held, port } = yield* pipelined(Effect.as(Effect.sleep("5 millis"), HttpServerResponse.text("ok")))
      const socket = yield* send(port, Array.from({ length: 12 }, () => "/ok"))
      let text = ""
      socket.on("data", (data) => {
        text += String(data)
      })
      yield* until(Effect.sync(() => text.split("HTTP/1.1 200 OK").length === 13))
      yield* Effect.timeoutOption(until(empty), "10 seconds")
      assert.deepStrictEqual(yield* held, nothing)
      assert.deepStrictEqual(warnings, [])
    }))

  it.scopedLive("keep the place as long as a handler runs that cannot be stopped, and not longer", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const app = Effect.uninterruptible(
        Effect.zipRight(
          Deferred.succeed(begun, undefined),
          Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))
        )
      )
      const { empty, held, port } = yield* running(
        (bare, { admission, drain }) => serve(drain(admission(bare))),
        app,
        1000
      )
      assert.strictEqual(yield* visit(port, "/", { after: begun, leaveAfter: 20 }), "left before the answer")
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(yield* held, { inFlight: 1, active: 1, queued: 0 })
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.timeoutOption(until(empty), "10 seconds")
      assert.deepStrictEqual(yield* held, nothing)
    }))

  it.scopedLive("leave no scope of a request open, even where the handler cannot be stopped", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const app = Effect.addFinalizer(() => Deferred.succeed(closed, undefined)).pipe(
        Effect.zipRight(Deferred.succeed(begun, undefined)),
        Effect.zipRight(Effect.as(Deferred.await(gate), HttpServerResponse.text("done")))
      )
      const { port } = yield* running((bare, { drain }) => serve(drain(bare)), app, 1000)
      yield* visit(port, "/", { after: begun, leaveAfter: 20 })
      yield* Effect.sleep("50 millis")
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.timeout(Deferred.await(closed), "20 seconds")
    }))
})
