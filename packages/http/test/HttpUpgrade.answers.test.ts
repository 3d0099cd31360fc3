import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpDrain from "@holdfast/http/HttpDrain"
import { Deferred, Effect, Stream } from "effect"
import * as Memory from "./support/memoryServer.js"
import { upgradeOf } from "./support/servers.js"

/** Waits for what the server does; the limit of the test ends it. */
const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (met) => met ? Effect.void : Effect.delay(until(condition), "1 millis"))

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

const serve = (app: Memory.App, place = "around the app") =>
  Effect.gen(function*() {
    const memory = yield* Memory.make
    const drain = yield* HttpDrain.make()
    const { bulkhead, middleware } = yield* HttpAdmission.make({ maxConcurrent: 3 })
    yield* Memory.places[place]!(memory, app, (inner) => drain.middleware(middleware(inner)))
    const free = Effect.map(
      Effect.all([bulkhead.snapshot, drain.inFlight]),
      ([{ active }, inFlight]) => active === 0 && inFlight === 0
    )
    return { memory, free }
  })

/** Parts that are followed by nothing, for ever. */
const unending = HttpServerResponse.stream(Stream.concat(Stream.make(new Uint8Array(9)), Stream.never))

const parts = 100
const partBytes = 60_000
const large = HttpServerResponse.stream(
  Stream.map(Stream.range(1, parts), () => new TextEncoder().encode("~".repeat(partBytes)))
)

const marks = (text: string): number => text.split("~").length - 1

const byUpgrade = (ofUpgrade: Memory.App, ofOthers: Memory.App): Memory.App =>
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request) => request.headers["upgrade"] === undefined ? ofOthers : ofUpgrade
  )

const asked = {
  "a WebSocket": upgradeOf("/"),
  "another protocol": upgradeOf("/").replace("Upgrade: websocket", "Upgrade: h2c"),
  "a WebSocket, with a body": upgradeOf("/").replace("GET", "POST").replace(
    "\r\n\r\n",
    "\r\nContent-Length: 4\r\n\r\nbody"
  ),
  "a WebSocket, and to be told to go on": upgradeOf("/").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
}

describe("an answer in place of an upgrade", () => {
  for (const [what, text] of Object.entries(asked)) {
    for (const place of Object.keys(Memory.places)) {
      for (const leave of ["finish", "reset"] as const) {
        it.scopedLive(`to ${what} that goes on for ever ends when its client leaves by ${leave}, ${place}`, () =>
          Effect.gen(function*() {
            const { free, memory } = yield* serve(Effect.interruptible(unending), place)
            const client = memory.connect()
            client.send(text)
            yield* client.answered(1)
            client[leave]()
            yield* until(Effect.sync(() => client.closed))
            yield* until(free)
          }))
      }
    }

    it.scopedLive(`to ${what} arrives whole, however large, and the connection ends`, () =>
      Effect.gen(function*() {
        const { free, memory } = yield* serve(Effect.interruptible(large))
        const client = memory.connect()
        client.send(text)
        yield* until(free)
        yield* until(Effect.sync(() => client.writableFinished))
        assert.strictEqual(marks(client.received), parts * partBytes)
        client.finish()
        yield* until(Effect.sync(() => client.closed))
      }))
  }

  it.scopedLive("that its client does not read ends when the client leaves", () =>
    Effect.gen(function*() {
      const { free, memory } = yield* serve(Effect.interruptible(large))
      const client = memory.connect(false)
      client.send(upgradeOf("/"))
      yield* until(Effect.sync(() => client.writableNeedDrain))
      client.finish()
      yield* until(free)
      yield* until(Effect.sync(() => client.closed))
    }))

  it.scopedLive("is not begun for a client that has left while its handler ran", () =>
    Effect.gen(function*() {
      const entered = yield* Deferred.make<void>()
      const { free, memory } = yield* serve(
        Effect.zipRight(Deferred.succeed(entered, undefined), Effect.interruptible(Effect.never))
      )
      const client = memory.connect()
      client.send(upgradeOf("/"))
      yield* Deferred.await(entered)
      client.finish()
      yield* until(free)
      yield* until(Effect.sync(() => client.closed))
    }))

  for (const answer of [HttpServerResponse.text("no"), HttpServerResponse.empty(), large]) {
    it.scopedLive(`comes after those before it, and the connection ends: ${answer.body._tag}`, () =>
      Effect.gen(function*() {
        const release = yield* Deferred.make<void>()
        const { free, memory } = yield* serve(byUpgrade(
          Effect.succeed(answer),
          Effect.as(Deferred.await(release), HttpServerResponse.text("first", { status: 201 }))
        ))
        const client = memory.connect()
        client.send(get + get + upgradeOf("/"))
        yield* Effect.yieldNow()
        assert.deepStrictEqual(client.statuses, [])
        yield* Deferred.succeed(release, undefined)
        yield* client.answered(3)
        yield* until(free)
        yield* until(Effect.sync(() => client.writableFinished))
        assert.deepStrictEqual(client.statuses, [201, 201, answer.status])
        assert.strictEqual(marks(client.received), answer === large ? parts * partBytes : 0)
        client.finish()
        yield* until(Effect.sync(() => client.closed))
      }))
  }

  it.scopedLive("lets a large answer before it arrive whole", () =>
    Effect.gen(function*() {
      const { free, memory } = yield* serve(byUpgrade(
        Effect.succeed(HttpServerResponse.text("no")),
        Effect.interruptible(large)
      ))
      const client = memory.connect()
      client.send(get + upgradeOf("/"))
      yield* client.answered(2)
      yield* until(free)
      assert.strictEqual(marks(client.received), parts * partBytes)
    }))

  it.scopedLive("ends with the connection that an answer before it closes", () =>
    Effect.gen(function*() {
      const release = yield* Deferred.make<void>()
      const { free, memory } = yield* serve(byUpgrade(
        Effect.interruptible(unending),
        Effect.as(
          Deferred.await(release),
          HttpServerResponse.text("first", { headers: { connection: "close" } })
        )
      ))
      const client = memory.connect()
      client.send(get + upgradeOf("/"))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(release, undefined)
      yield* until(Effect.sync(() => client.closed))
      yield* until(free)
      assert.deepStrictEqual(client.statuses, [200])
    }))

  it.scopedLive("is left with those before it when the client leaves", () =>
    Effect.gen(function*() {
      const { free, memory } = yield* serve(
        byUpgrade(Effect.succeed(HttpServerResponse.text("no")), Effect.interruptible(Effect.never))
      )
      const client = memory.connect()
      client.send(get + upgradeOf("/"))
      yield* until(Effect.map(free, (none) => !none))
      client.finish()
      yield* until(Effect.sync(() => client.closed))
      yield* until(free)
    }))
})

describe("a WebSocket", () => {
  const chat = (heard: Array<string>): Memory.App =>
    Effect.flatMap(HttpServerRequest.upgrade, (socket) =>
      Effect.as(
        socket.run((data) => {
          heard.push(new TextDecoder().decode(data))
        }),
        HttpServerResponse.empty()
      ))

  /** A masked frame of text, whose mask changes nothing. */
  const frame = (text: string) => `\x81${String.fromCharCode(0x80 + text.length)}\0\0\0\0${text}`

  it.scopedLive("is opened after the answers before it, and hears what was sent early", () =>
    Effect.gen(function*() {
      const release = yield* Deferred.make<void>()
      const heard: Array<string> = []
      const { free, memory } = yield* serve(byUpgrade(
        chat(heard),
        Effect.as(Deferred.await(release), HttpServerResponse.text("first"))
      ))
      const client = memory.connect()
      client.send(get + upgradeOf("/") + frame("one"))
      yield* until(Effect.map(free, (none) => !none))
      client.send(frame("two"))
      yield* Effect.yieldNow()
      client.send(frame("three"))
      yield* Effect.sleep("5 millis")
      assert.deepStrictEqual(client.statuses, [])
      yield* Deferred.succeed(release, undefined)
      yield* until(Effect.sync(() => heard.length >= 3))
      client.send(frame("four"))
      yield* until(Effect.sync(() => heard.length >= 4))
      assert.deepStrictEqual(client.statuses, [200, 101])
      assert.deepStrictEqual(heard, ["one", "two", "three", "four"])
      client.finish()
      yield* until(free)
      yield* until(Effect.sync(() => client.closed))
    }))
})
