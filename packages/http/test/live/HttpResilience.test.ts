import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient, Undici } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { Backoff, Policy, Retry, Timeout } from "../support/core.js"
import { HttpFailure, HttpResilience, UndiciDispatcher } from "../support/modules.js"
import { serve, serveRaw, transports } from "../support/servers.js"

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void

const atOnce = Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) })
/** Limits that nothing here comes near, however busy the machine: what hangs for so long hangs for good. */
const patient = Policy.compose(Timeout.make("25 seconds", { scope: "total" }), atOnce, Timeout.make("20 seconds"))

const oneConnection: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  [
    "node",
    Layer.provide(NodeHttpClient.layerWithoutAgent, NodeHttpClient.makeAgentLayer({ keepAlive: true, maxSockets: 1 }))
  ],
  ["undici", UndiciDispatcher.layerClient({ connections: 1 })],
  [
    "fetch",
    Layer.merge(
      FetchHttpClient.layer,
      Layer.scoped(
        FetchHttpClient.Fetch,
        Effect.map(
          UndiciDispatcher.make({ connections: 1 }),
          (dispatcher) => ((input: any, init: any) => Undici.fetch(input, { ...init, dispatcher })) as any
        )
      )
    )
  ]
]

describe("a pool of one connection", () => {
  for (const [transport, layer] of oneConnection) {
    for (const until of ["body", "headers"] as const) {
      for (const size of [10, 100_000, 2_000_000]) {
        it.live(`F08: ${transport} does not dead-lock on discarded bodies of ${size} bytes, until ${until}`, () =>
          Effect.gen(function*() {
            const server = yield* serve((response, _, index) => {
              response.statusCode = index < 2 ? 503 : 200
              response.end(Buffer.alloc(size, 97))
            })
            const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, { until })
            const response = yield* client.get(server.url)
            assert.strictEqual(response.status, 200)
            assert.strictEqual(server.seen.length, 3)
            assert.strictEqual((yield* response.text).length, size)
            assert.strictEqual(
              (yield* Effect.flatMap(client.get(server.url), (again) => again.arrayBuffer)).byteLength,
              size
            )
          }).pipe(Effect.scoped, Effect.provide(layer)))
      }
    }

    it.live(`F08: ${transport} gives its connection back when the error about a status is dropped`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response) => {
          response.statusCode = 503
          response.end(Buffer.alloc(100_000, 97))
        })
        const client = HttpResilience.withPolicy(HttpClient.filterStatusOk(yield* HttpClient.HttpClient), patient)
        for (let call = 0; call < 2; call++) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(client.get(server.url))))
        }
        assert.strictEqual(server.seen.length, 6)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} gives its connection back when a caller drops a stream after its first part`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response) => response.end(Buffer.alloc(3_000_000, 97)))
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, { until: "headers" })
        for (let call = 0; call < 3; call++) {
          const response = yield* client.get(server.url)
          assert.strictEqual(Chunk.size(yield* Stream.runCollect(Stream.take(response.stream, 1))), 1)
        }
      }).pipe(Effect.scoped, Effect.provide(layer)))
  }
})

describe("the three transports", () => {
  for (const [transport, layer] of transports) {
    const plain = HttpClient.HttpClient

    for (
      const [event, breakOff] of [
        ["closed", (socket: any) => socket.end()],
        ["reset", (socket: any) => socket.resetAndDestroy()],
        ["broken off in the body", (socket: any) => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
          setTimeout(() => socket.destroy(), 10)
        }]
      ] as const
    ) {
      it.live(`F01: ${transport} sends a POST once and a GET three times when the connection is ${event}`, () =>
        Effect.gen(function*() {
          const server = yield* serveRaw(breakOff)
          const client = HttpResilience.withPolicy(yield* plain, patient)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(client.post(server.url, { body: HttpBody.text("order") }))))
          assert.strictEqual(server.requests(), 1)
          const error = yield* Effect.flip(client.get(server.url))
          assert.strictEqual(HttpFailure.reachOf(error), "MaybeSent")
          assert.strictEqual(server.requests(), 4)
        }).pipe(Effect.scoped, Effect.provide(layer)))
    }

    it.live(`F01, F12: ${transport} sends a POST with a key again, with the same key and the same body`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response, _, index) => {
          if (index === 0) {
            response.destroy()
          } else {
            response.statusCode = index === 1 ? 503 : 200
            response.end()
          }
        })
        const client = HttpResilience.withPolicy(yield* plain, patient, { idempotencyKey: true })
        const response = yield* client.post(server.url, { body: HttpBody.unsafeJson({ order: 1 }) })
        assert.strictEqual(response.status, 200)
        assert.deepStrictEqual(server.seen.map(({ body }) => body), Array(3).fill("{\"order\":1}"))
        assert.strictEqual(new Set(server.seen.map(({ headers }) => headers["idempotency-key"])).size, 1)
        assert.isDefined(server.seen[0]!.headers["idempotency-key"])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`F07: ${transport} never sends an empty body in place of a stream that was read`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response) => {
          response.statusCode = 503
          response.end()
        })
        const client = HttpResilience.withPolicy(yield* plain, patient)
        const source = (function*() {
          yield new TextEncoder().encode("once")
        })()
        const body = HttpBody.stream(Stream.fromIterable(source))
        const response = yield* client.execute(HttpClientRequest.put(server.url).pipe(HttpClientRequest.setBody(body)))
        assert.strictEqual(response.status, 503)
        assert.deepStrictEqual(server.seen.map(({ body }) => body), ["once"])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`D02: ${transport} times out on a body that hangs, and the server sees the connection end`, () =>
      Effect.gen(function*() {
        const closed = yield* Deferred.make<void>()
        const server = yield* serve((response) => {
          response.writeHead(200, { "content-length": "100" })
          response.write("half")
          response.on("close", () => Effect.runFork(Deferred.succeed(closed, void 0)))
        })
        // On a busy machine the limit may run out before the server has seen anything: then it gets more time.
        for (let limit = 150; server.seen.length === 0 && limit < 10_000; limit *= 3) {
          const client = HttpResilience.withPolicy(yield* plain, Timeout.make(limit))
          const error = yield* Effect.flip(client.get(server.url))
          assert.strictEqual(error._tag, "TimedOut")
        }
        yield* Deferred.await(closed)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`F09: ${transport} leaves the body of the winner alone until it is read, after the policy has returned`, () =>
      Effect.gen(function*() {
        let finish = () => {}
        const server = yield* serve((response, _, index) => {
          if (index === 0) {
            response.statusCode = 503
            response.end("discarded")
          } else {
            response.write("first ")
            finish = () => response.end("second")
          }
        })
        const limit = 1500
        const policy = Policy.compose(Retry.make({ maxRetries: 5, schedule: Backoff.none }), Timeout.make(limit))
        const client = HttpResilience.withPolicy(yield* plain, policy, { until: "headers", idleTimeout: "20 seconds" })
        const response = yield* client.get(server.url)
        const text = yield* Effect.fork(response.text)
        // Longer than the limit of the attempt, which has ended.
        yield* Effect.sleep(limit + 100)
        finish()
        assert.strictEqual(yield* Fiber.join(text), "first second")
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} ends a long body that falls silent after the policy by the idle limit`, () =>
      Effect.gen(function*() {
        const closed = yield* Deferred.make<void>()
        const server = yield* serve((response) => {
          response.write(Buffer.alloc(5000, 97))
          response.on("close", () => Effect.runFork(Deferred.succeed(closed, void 0)))
        })
        const client = HttpResilience.withPolicy(yield* plain, patient, {
          bodyLimit: 1000,
          idleTimeout: "150 millis"
        })
        const response = yield* client.get(server.url)
        const error = yield* Effect.flip(response.text)
        assert.include(error.message, "150 ms")
        yield* Deferred.await(closed)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} reads a body of many parts as it was sent, wherever the limit falls`, () =>
      Effect.gen(function*() {
        const parts = Array.from({ length: 40 }, (_, index) => `${index}:${String(index % 10).repeat(4_000)};`)
        const server = yield* serve((response, { headers }) => {
          if (headers["x-length"] !== undefined) {
            response.setHeader("content-length", parts.join("").length)
          }
          const write = (index: number): unknown =>
            index === parts.length
              ? response.end()
              : response.write(parts[index]!, () => setImmediate(write, index + 1))
          write(0)
        })
        const client = yield* plain
        for (const headers of [{}, { "x-length": "yes" }]) {
          for (const bodyLimit of [0, 1, 4_003, 50_000, 200_000]) {
            const response = yield* HttpResilience.withPolicy(client, patient, { bodyLimit }).get(server.url, {
              headers
            })
            assert.strictEqual(yield* response.text, parts.join(""), `a limit of ${bodyLimit}`)
          }
        }
        assert.strictEqual(server.seen.length, 10)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} loses nothing of a body under a policy around a policy`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response, { headers }) => {
          if (headers["x-length"] !== undefined) {
            response.setHeader("content-length", 10)
          }
          response.write("01234", () => setImmediate(() => response.end("56789")))
        })
        const client = yield* plain
        for (const headers of [{}, { "x-length": "yes" }]) {
          for (const inside of [0, 3, 10, 1_000]) {
            for (const outside of [0, 3, 7, 1_000]) {
              const inner = HttpResilience.withPolicy(client, Timeout.make("20 seconds"), { bodyLimit: inside })
              const outer = HttpResilience.withPolicy(inner, patient, { bodyLimit: outside })
              const { text } = yield* outer.get(server.url, { headers })
              assert.strictEqual(yield* text, "0123456789", `limits of ${inside} and ${outside}`)
            }
          }
        }
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} tries again when a body of unknown length is cut before its end`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response, _, index) => {
          response.write("first half, ")
          setTimeout(() => index === 0 ? response.destroy() : response.end("second half"), 20)
        })
        const client = HttpResilience.withPolicy(yield* plain, patient)
        const response = yield* client.get(server.url)
        assert.strictEqual(yield* response.text, "first half, second half")
        assert.strictEqual(server.seen.length, 2)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} hands an event stream over at its headers`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response) => {
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write("data: 1\n\n")
        })
        const client = HttpResilience.withPolicy(yield* plain, Timeout.make("20 seconds"))
        const response = yield* client.get(server.url)
        const first = yield* response.stream.pipe(Stream.decodeText(), Stream.take(1), Stream.runCollect)
        assert.deepStrictEqual(Chunk.toReadonlyArray(first), ["data: 1\n\n"])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} aborts the exchange of a caller that leaves`, () =>
      Effect.gen(function*() {
        const came = yield* Deferred.make<void>()
        const closed = yield* Deferred.make<void>()
        const server = yield* serve((response) => {
          Effect.runFork(Deferred.succeed(came, void 0))
          response.on("close", () => Effect.runFork(Deferred.succeed(closed, void 0)))
        })
        const client = HttpResilience.withPolicy(yield* plain, patient)
        const fiber = yield* Effect.fork(client.get(server.url))
        yield* Deferred.await(came)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(closed)
        assert.strictEqual(server.seen.length, 1)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} gives up the connection of a response that nobody read when it is collected as garbage`, () =>
      Effect.gen(function*() {
        const closed = yield* Deferred.make<void>()
        const server = yield* serve((response) => {
          response.writeHead(200, { "content-length": "100" })
          response.write("half")
          response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        })
        const client = HttpResilience.withPolicy(yield* plain, patient, { until: "headers" })
        // On a fiber of its own: what it leaves on its stack goes with it.
        const statuses = yield* Effect.fork(Effect.map(client.get(server.url), ({ status }) => status))
        assert.strictEqual(yield* Fiber.join(statuses), 200)
        while (!(yield* Deferred.isDone(closed))) {
          collect()
          yield* Effect.sleep(5)
        }
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.live(`${transport} reads every kind of body, whether held or handed over`, () =>
      Effect.gen(function*() {
        const server = yield* serve((response, { method }) => {
          response.setHeader("content-type", "application/x-www-form-urlencoded")
          response.setHeader("set-cookie", "a=1")
          if (method !== "HEAD") {
            response.write("a=1")
          }
          response.end()
        })
        for (const until of ["body", "headers"] as const) {
          const client = HttpResilience.withPolicy(yield* plain, patient, { until })
          const read = <A, E>(
            f: (response: Effect.Effect.Success<ReturnType<typeof client.get>>) => Effect.Effect<A, E>
          ) => Effect.flatMap(client.get(server.url), f)
          assert.strictEqual(yield* read((response) => response.text), "a=1")
          assert.deepStrictEqual([...(yield* read((response) => response.urlParamsBody))], [["a", "1"]])
          assert.strictEqual((yield* read((response) => response.formData)).get("a"), "1")
          assert.strictEqual((yield* read((response) => response.arrayBuffer)).byteLength, 3)
          assert.strictEqual((yield* read((response) => Effect.flip(response.json))).reason, "Decode")
          assert.strictEqual(
            yield* read((response) => response.stream.pipe(Stream.decodeText(), Stream.mkString)),
            "a=1"
          )
          assert.strictEqual(yield* (yield* client.head(server.url)).text, "")
        }
      }).pipe(Effect.scoped, Effect.provide(layer)))
  }
})
