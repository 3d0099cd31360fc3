import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { HttpFailure, UndiciDispatcher } from "../support/modules.js"
import { serve } from "../support/servers.js"

const connections = 2

const withClient = <A, E, R>(f: (client: HttpClient.HttpClient) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.provide(
    Effect.flatMap(HttpClient.HttpClient, f),
    UndiciDispatcher.layerClient({ connections, poolTimeout: "1 second" })
  ))

const text = (client: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest) =>
  Effect.flatMap(client.execute(request), (response) => response.text)

type Spoil = (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest

const header = (name: string, value: string): Spoil => HttpClientRequest.setHeader(name, value)

const seenBeforehand: ReadonlyArray<readonly [what: string, spoil: Spoil]> = [
  ["Expect: 100-continue", header("expect", "100-continue")],
  ["Upgrade", header("upgrade", "h2c")],
  ["Keep-Alive", header("keep-alive", "timeout=5")],
  ["Transfer-Encoding", header("transfer-encoding", "chunked")],
  ["a Connection that is no list of tokens", header("connection", "a b")],
  ["a Content-Length that is no number", header("content-length", "ten")],
  ["a line break in a header", header("x-user", "a\nb")],
  ["a NUL in a header", header("x-user", "a\0b")],
  ["a character beyond Latin-1", header("x-user", "日本太郎")],
  ["a header name with a space", header("x user", "a")],
  ["a header without a name", header("", "a")],
  ["a method that is none", (request) => ({ ...request, method: "BAD METHOD" }) as any]
]

/** Looked at by undici alone, when the request has reached the pool. */
const missed: ReadonlyArray<readonly [what: string, spoil: Spoil]> = [
  ["a body that is none", HttpClientRequest.setBody(HttpBody.raw({ amount: 1 }))],
  ["two values for Host", (request) => ({ ...request, headers: { ...request.headers, host: ["a", "b"] } }) as any]
]

describe("UndiciDispatcher and requests that undici refuses", () => {
  for (const [what, spoil] of [...seenBeforehand, ...missed]) {
    it.live(`${what}: more refusals than connections leave the pool as it was`, () =>
      withClient((client) =>
        Effect.gen(function*() {
          const server = yield* serve((response) => response.end("ok"))
          const good = HttpClientRequest.post(server.url)
          for (let index = 0; index < connections + 1; index++) {
            const exit = yield* Effect.exit(client.execute(spoil(good)))
            const outcome = HttpFailure.classify(exit)
            assert.strictEqual(outcome.class, "Rejected")
            assert.strictEqual(outcome.fault, "caller")
          }
          assert.strictEqual(server.seen.length, 0)
          assert.strictEqual(yield* text(client, good), "ok")
          const both = yield* Effect.all([text(client, good), text(client, good)], { concurrency: 2 })
          assert.deepStrictEqual(both, ["ok", "ok"])
        })
      ))
  }

  for (const [what, spoil] of missed) {
    it.live(`${what}: a refusal that waited for a connection does not keep it from the next`, () =>
      withClient((client) =>
        Effect.gen(function*() {
          const holding: Array<() => void> = []
          const full = yield* Deferred.make<void>()
          const server = yield* serve((response, { body }) => {
            if (body !== "hold") {
              response.end("ok")
              return
            }
            holding.push(() => response.end("held"))
            if (holding.length === connections) {
              Deferred.unsafeDone(full, Effect.void)
            }
          })
          const good = HttpClientRequest.post(server.url)
          const hold = text(client, HttpClientRequest.bodyText(good, "hold"))
          const held = yield* Effect.fork(Effect.all([hold, hold], { concurrency: connections }))
          yield* Deferred.await(full)
          const waiting = yield* Effect.forEach(
            Array.from({ length: connections + 1 }),
            () => Effect.fork(client.execute(spoil(good)))
          )
          const next = yield* Effect.fork(text(client, good))
          yield* Effect.yieldNow()
          holding.forEach((release) => release())
          for (const fiber of waiting) {
            assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
          }
          assert.deepStrictEqual(yield* Fiber.join(held), ["held", "held"])
          assert.strictEqual(yield* Fiber.join(next), "ok")
          assert.strictEqual(yield* text(client, good), "ok")
        })
      ))
  }
})
