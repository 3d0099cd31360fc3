import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDeadline from "@holdfast/http/HttpDeadline"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import * as HttpProblem from "@holdfast/http/HttpProblem"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import { Deferred, Effect, Exit, Logger, Scope } from "effect"
import * as Memory from "./support/memoryServer.js"
import { upgradeOf } from "./support/servers.js"

/** Waits for what the server does; the limit of the test ends it. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.delay(until(condition), "1 millis"))

const chat: Memory.App = Effect.flatMap(
  HttpServerRequest.upgrade,
  (socket) => Effect.as(socket.run(() => {}), HttpServerResponse.empty())
)

const admission = HttpAdmission.make({ maxConcurrent: 1, maxQueue: 1 })

/** A client that an admission has queued or refused, behind others that hold the place and wait. */
const behind = (others: number) => (memory: Memory.Memory) =>
  Effect.gen(function*() {
    const { bulkhead, middleware } = yield* admission
    yield* Memory.places["around the app"]!(memory, chat, middleware)
    for (let index = 0; index < others; index++) {
      yield* Effect.forkScoped(bulkhead(Effect.never))
    }
    yield* Effect.yieldNow()
  })

const around = (middleware: Effect.Effect<unknown>) => (memory: Memory.Memory) =>
  Effect.flatMap(middleware, (made) => Memory.places["around the app"]!(memory, chat, made as Memory.Middleware))

/** Every answer in place of an upgrade, and the wait for one. */
const refusals: ReadonlyArray<
  readonly [
    what: string,
    status: number | undefined,
    serve: (memory: Memory.Memory) => Effect.Effect<void, never, Scope.Scope>
  ]
> = [
  ["queued by the admission", undefined, behind(1)],
  ["refused by a full admission", 503, behind(2)],
  [
    "refused by a used-up limit",
    429,
    around(
      Effect.tap(
        Effect.map(
          HttpRateLimit.make({ rate: 1, per: "1 hour", capacity: 1, key: () => "all" }),
          (limit) => ({ limit })
        ),
        ({ limit }) => limit.take({ key: "all" })
      ).pipe(Effect.map(({ limit }) => limit.middleware))
    )
  ],
  [
    "refused by a drain",
    503,
    around(Effect.tap(HttpDrain.make(), (drain) => drain.drain).pipe(Effect.map((drain) => drain.middleware)))
  ],
  [
    "refused for want of time",
    504,
    around(Effect.succeed((app: Memory.App) =>
      HttpDeadline.middleware()(app).pipe(
        Effect.updateService(HttpServerRequest.HttpServerRequest, (request) =>
          request.modify({ headers: { ...request.headers, [HttpDeadline.defaultHeader]: "0" } as any }))
      )
    ))
  ],
  [
    "refused by the app",
    504,
    around(
      Effect.succeed(() =>
        HttpProblem.middleware()(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, () =>
            Effect.succeed(HttpServerResponse.empty({ status: 504 })))
        )
      )
    )
  ]
]

describe("a request to upgrade", () => {
  for (const [what, status, serve] of refusals) {
    it.scopedLive(`${what}: a client that resets does not end the process, and one that ends is let go`, () =>
      Effect.gen(function*() {
        const memory = yield* Memory.make
        yield* serve(memory)
        for (const leave of ["reset", "finish"] as const) {
          const client = memory.connect()
          client.send(upgradeOf("/"))
          if (status === undefined) {
            yield* Effect.sleep("5 millis")
          } else {
            yield* client.answered(1)
            assert.deepStrictEqual(client.statuses, [status])
          }
          // Without a listener the error is thrown where nothing catches it.
          assert.isAbove(client.listenerCount("error"), 0)
          client[leave]()
          yield* until(() => client.closed)
        }
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  }

  const spoilt = {
    "has no key": upgradeOf("/").replace(/Sec-WebSocket-Key.*\r\n/, ""),
    "has a bad key": upgradeOf("/").replace(/(Sec-WebSocket-Key: ).*\r\n/, "$1short\r\n"),
    "has an unknown version": upgradeOf("/").replace(/(Sec-WebSocket-Version: ).*\r\n/, "$17\r\n"),
    "asks for another protocol": upgradeOf("/").replace("Upgrade: websocket", "Upgrade: h2c"),
    "is no GET": upgradeOf("/").replace("GET", "POST")
  }
  for (const [what, text] of Object.entries(spoilt)) {
    for (const place of ["around the app", "around a router", "around a route", "around the server"]) {
      it.scopedLive(`whose handshake ${what} gives its place back, and the server ends, ${place}`, () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const memory = yield* Scope.extend(Memory.make, scope)
          const { bulkhead, middleware } = yield* admission
          const drain = yield* HttpDrain.make({ server: memory.node })
          const failed = yield* Deferred.make<void>()
          const app = Effect.onError(chat, () => Deferred.succeed(failed, undefined))
          yield* Scope.extend(
            Memory.places[place]!(memory, app, (inner) => drain.middleware(middleware(inner))),
            scope
          )
          for (let round = 0; round < 3; round++) {
            const client = memory.connect()
            client.send(text)
            yield* until(() => client.closed)
            assert.isBelow(Math.max(...client.statuses), 500)
          }
          yield* Deferred.await(failed)
          while ((yield* drain.inFlight) > 0) {
            yield* Effect.sleep("1 millis")
          }
          assert.strictEqual((yield* bulkhead.snapshot).active, 0)
          assert.deepStrictEqual(yield* drain.drain, { complete: true, cutOff: 0 })
          yield* Scope.close(scope, Exit.void)
        }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
    }
  }

  it.scopedLive("whose handshake goes on for ever is freed by a deadline", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.make
      const { bulkhead, middleware } = yield* admission
      yield* Memory.places["around the app"]!(memory, chat, (app) =>
        HttpDeadline.middleware({ limit: "30 millis" })(middleware(app)))
      // It does not read the refusal, so its connection stays.
      const client = memory.connect(false)
      client.send(spoilt["has no key"])
      yield* until(() =>
        client.closed
      )
      while ((yield* bulkhead.snapshot).active > 0) {
        yield* Effect.sleep("1 millis")
      }
    }))

  it.scopedLive("that was accepted is closed by a deadline as before", () =>
    Effect.gen(function*() {
      const memory = yield* Memory.make
      yield* Memory.places["around the app"]!(memory, chat, HttpDeadline.middleware({ limit: "30 millis" }))
      const client = memory.connect()
      client.send(upgradeOf("/"))
      yield* client.answered(1)
      assert.deepStrictEqual(client.statuses, [101])
      // The frame that closes a WebSocket.
      yield* until(() => client.received.includes("\x88"))
      client.reset()
    }))
})
