import { HttpBody, HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { Backoff, InvalidOptions, Retry } from "../support/core.js"
import { HttpFailure, HttpResilience, UndiciDispatcher } from "../support/modules.js"
import { serve } from "../support/servers.js"

const withClient = <A, E, R>(
  options: UndiciDispatcher.Options,
  f: (client: HttpClient.HttpClient) => Effect.Effect<A, E, R>
) => Effect.scoped(Effect.provide(Effect.flatMap(HttpClient.HttpClient, f), UndiciDispatcher.layerClient(options)))

const text = (client: HttpClient.HttpClient, url: string) =>
  Effect.flatMap(client.get(url), (response) => response.text)

const nextTurn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

describe("UndiciDispatcher", () => {
  it.live("a request that finds no connection in time was never sent, and may be tried again whatever its method", () =>
    withClient({ connections: 1, poolTimeout: "1 second" }, (client) =>
      Effect.gen(function*() {
        const came = yield* Deferred.make<void>()
        let release = () => {}
        const server = yield* serve((response, { body }) => {
          if (body !== "slow") {
            response.end(body)
          } else {
            release = () => response.end(body)
            Deferred.unsafeDone(came, Effect.void)
          }
        })
        const post = (to: HttpClient.HttpClient.With<any>, body: string) =>
          Effect.flatMap(to.post(server.url, { body: HttpBody.text(body) }), (response) => response.text)
        assert.strictEqual(yield* post(client, "first"), "first")
        const slow = yield* Effect.fork(post(client, "slow"))
        yield* Deferred.await(came)
        const error = yield* Effect.flip(post(client, "refused"))
        assert.strictEqual(HttpFailure.reachOf(error), "NeverSent")

        const refused = yield* Deferred.make<void>()
        const retry = Retry.make({ maxRetries: 5, schedule: Backoff.constant("50 millis", { jitter: "none" }) })
        const patient = yield* Effect.fork(
          post(HttpResilience.withPolicy(client, retry), "patient").pipe(
            ResilienceEvent.listen((event) => {
              if (event._tag === "RetryScheduled") Deferred.unsafeDone(refused, Effect.void)
            })
          )
        )
        yield* Deferred.await(refused)
        release()
        assert.strictEqual(yield* Fiber.join(patient), "patient")
        assert.strictEqual(yield* Fiber.join(slow), "slow")
        assert.strictEqual(yield* post(client, "last"), "last")
        assert.deepStrictEqual(server.seen.map(({ body }) => body), ["first", "slow", "patient", "last"])
        assert.strictEqual(server.connections, 1)
      })))

  it.live("opens no more connections than it was given", () =>
    withClient({ connections: 2 }, (client) =>
      Effect.gen(function*() {
        const server = yield* serve((response) => setTimeout(() => response.end("ok"), 20))
        yield* Effect.all(Array.from({ length: 10 }, () => text(client, server.url)), { concurrency: "unbounded" })
        assert.strictEqual(server.connections, 2)
      })))

  it.effect("takes a new connection for a request once the old one is past its age, and lets what is under way end", () =>
    withClient({ connections: 1, maxConnectionAge: "5 minutes" }, (client) =>
      Effect.gen(function*() {
        const answers: Array<() => void> = []
        const server = yield* serve((response, { method }) => {
          if (method === "POST") {
            answers.push(() => response.end("slow"))
          } else {
            response.end("ok")
          }
        })
        yield* text(client, server.url)
        yield* text(client, server.url)
        const slow = yield* Effect.fork(Effect.flatMap(client.post(server.url), (response) => response.text))
        while (answers.length === 0) {
          yield* nextTurn
        }
        assert.strictEqual(server.connections, 1)
        yield* TestClock.adjust("5 minutes")
        yield* text(client, server.url)
        assert.strictEqual(server.connections, 2)
        answers[0]!()
        assert.strictEqual(yield* Fiber.join(slow), "slow")
      })))

  it.live("ends a body that falls silent, which the platform's client leaves to the caller", () =>
    withClient({ bodyTimeout: "300 millis", headersTimeout: "300 millis" }, (client) =>
      Effect.gen(function*() {
        const server = yield* serve((response, { method }) => {
          if (method === "GET") {
            response.writeHead(200, { "content-length": "10" })
            response.write("half")
          }
        })
        const [body, headers] = yield* Effect.all([
          Effect.flip(text(client, server.url)),
          Effect.flip(client.post(server.url))
        ], { concurrency: 2 })
        assert.strictEqual(HttpFailure.reachOf(body), "MaybeSent")
        assert.strictEqual(HttpFailure.reachOf(headers), "MaybeSent")
        assert.strictEqual((headers as any).cause.code, "UND_ERR_HEADERS_TIMEOUT")
      })))

  for (const poolTimeout of ["1500.5 millis", "30 days", "60 days"] as const) {
    it.live(`a request waits for its connection with a pool timeout of ${poolTimeout}`, () =>
      withClient({ connections: 1, poolTimeout }, (client) =>
        Effect.gen(function*() {
          const server = yield* serve((response) => setImmediate(() => response.end("answer")))
          const answers = yield* Effect.all(Array.from({ length: 4 }, () => text(client, server.url)), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(answers, ["answer", "answer", "answer", "answer"])
        })).pipe(Effect.scoped))
  }

  it.live("refuses what comes after its scope has closed, whatever the age of its connections", () =>
    Effect.gen(function*() {
      const server = yield* serve((response) => response.end("answer"))
      const scope = yield* Scope.make()
      const layer = UndiciDispatcher.layerClient({ maxConnectionAge: "1 milli" })
      const client = Context.get(yield* Layer.buildWithScope(layer, scope), HttpClient.HttpClient)
      assert.strictEqual(yield* text(client, server.url), "answer")
      yield* Scope.close(scope, Exit.void)
      // Older than its connections may be.
      yield* Effect.sleep(5)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(text(client, server.url))))
      assert.strictEqual(server.seen.length, 1)
    }).pipe(Effect.scoped))

  it.effect("wrong options are refused, all at once", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.scoped(
          UndiciDispatcher.make({ connections: 0, poolTimeout: "never", connectTimeout: -1, size: 3 } as any)
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      const defect = Exit.isFailure(exit) && exit.cause._tag === "Die" ? exit.cause.defect : undefined
      assert.instanceOf(defect, InvalidOptions)
      assert.deepStrictEqual((defect as InvalidOptions).findings.map(({ field }) => field).sort(), [
        "connectTimeout",
        "connections",
        "poolTimeout",
        "size"
      ])
    }))
})
