import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as HttpFailure from "../../src/HttpFailure.js"
import * as certificate from "../support/certificate.js"
import { closedPort, serveRaw, transports } from "../support/servers.js"

describe("HttpFailure over the three transports", () => {
  for (const [name, layer] of transports) {
    const failureOf = (url: string) =>
      HttpClient.get(url).pipe(Effect.flatMap((response) => response.text), Effect.flip, Effect.provide(layer))

    it.live(`${name}: a refused connection was never sent`, () =>
      Effect.gen(function*() {
        const error = yield* failureOf(`http://127.0.0.1:${yield* closedPort}`)
        assert.strictEqual(HttpFailure.reachOf(error), "NeverSent")
      }))

    it.live(`${name}: an unknown host was never sent`, () =>
      Effect.gen(function*() {
        assert.strictEqual(HttpFailure.reachOf(yield* failureOf("http://does-not-exist.invalid")), "NeverSent")
      }))

    for (
      const [event, breakOff] of [
        ["closed", (socket: any) => socket.end()],
        ["reset", (socket: any) => socket.resetAndDestroy()]
      ] as const
    ) {
      it.live(`${name}: a connection ${event} before the answer may have been sent`, () =>
        Effect.scoped(Effect.gen(function*() {
          const server = yield* serveRaw(breakOff)
          assert.strictEqual(HttpFailure.reachOf(yield* failureOf(server.url)), "MaybeSent")
        })))

      it.live(`${name}: a connection ${event} during the body may have been sent, and is no bad payload`, () =>
        Effect.scoped(Effect.gen(function*() {
          const server = yield* serveRaw((socket) => {
            socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            setTimeout(() => breakOff(socket), 20)
          })
          const error = yield* failureOf(server.url)
          assert.strictEqual(HttpFailure.reachOf(error), "MaybeSent")
          assert.strictEqual(HttpFailure.classify(Exit.fail(error)).class, "Retryable")
        })))
    }

    it.live(`${name}: a certificate that nobody signed is not worth another try`, () =>
      Effect.scoped(Effect.gen(function*() {
        const server = Https.createServer(certificate, (_, response) => response.end("never"))
        server.on("tlsClientError", () => {})
        const port = yield* Effect.acquireRelease(
          Effect.async<number>((resume) => {
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
          }),
          () =>
            Effect.sync(() => {
              server.closeAllConnections()
              server.close()
            })
        )
        const error = yield* failureOf(`https://127.0.0.1:${port}`)
        assert.strictEqual(HttpFailure.reachOf(error), "NotWorthRetrying")
        assert.strictEqual(HttpFailure.classify(Exit.fail(error)).class, "Unclassified")
      })))

    it.live(`${name}: TLS spoken to a plain server is not worth another try`, () =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* serveRaw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
        const error = yield* failureOf(server.url.replace("http:", "https:"))
        assert.strictEqual(HttpFailure.reachOf(error), "NotWorthRetrying")
      })))

    it.live(`${name}: a URL that is none was not sent`, () =>
      Effect.gen(function*() {
        const error = yield* failureOf("http://[")
        assert.strictEqual(HttpFailure.classify(Exit.fail(error)).class, "Rejected")
      }))
  }
})
