import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope, Stream } from "effect"
import type * as Http from "node:http"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { Backoff, Deadline, Policy, Retry, Timeout } from "../support/core.js"
import { HttpResilience, UndiciDispatcher } from "../support/modules.js"
import { serve, transports } from "../support/servers.js"

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void

const atOnce = Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) })
/** Limits that nothing here comes near, however busy the machine: what hangs for so long hangs for good. */
const patient = Policy.compose(Timeout.make("25 seconds", { scope: "total" }), atOnce, Timeout.make("20 seconds"))

/** Waits for what must come, and fails the test by its time limit if it does not. */
const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.zipRight(Effect.sleep("5 millis"), eventually(holds)))

/** A server that says how many of its answers are under way. */
const serveOpen = (answer: (response: Http.ServerResponse, index: number) => void) => {
  const state = { open: 0 }
  return Effect.map(
    serve((response, _, index) => {
      state.open++
      response.on("close", () => state.open--)
      answer(response, index)
    }),
    (server) => ({ server, state })
  )
}

for (const [transport, layer] of transports) {
  describe(`what a client under a policy opens, with ${transport}`, () => {
    const on = <A, E>(body: Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>) =>
      body.pipe(Effect.scoped, Effect.provide(layer))

    it.live("withScope under the policy: an attempt that is cut is aborted, and not when the scope ends", () =>
      on(Effect.gen(function*() {
        const { server, state } = yield* serveOpen(() => {})
        const client = HttpResilience.withPolicy(
          HttpClient.withScope(yield* HttpClient.HttpClient),
          Policy.compose(atOnce, Timeout.make("100 millis"))
        )
        const call = yield* Effect.fork(Effect.exit(client.get(server.url)))
        assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
        yield* eventually(() => state.open === 0)
      })))

    it.live("withScope over the policy: the end of the scope aborts a response that nobody has read", () =>
      on(Effect.gen(function*() {
        const { server, state } = yield* serveOpen((response) => response.write("the first of many"))
        const client = HttpClient.withScope(
          HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, { until: "headers" })
        )
        const kept = yield* Effect.scoped(Effect.tap(client.get(server.url), () => {
          assert.strictEqual(state.open, 1)
        }))
        yield* eventually(() => state.open === 0)
        assert.strictEqual(kept.status, 200)
      })))

    it.live("an error about a status keeps its own body, and says so where its attempt stopped reading", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => {
          response.statusCode = 400
          response.write("a".repeat(2_500))
          setTimeout(() => response.end("b".repeat(2_500)), 20)
        })
        const client = HttpResilience.withPolicy(HttpClient.filterStatusOk(yield* HttpClient.HttpClient), patient, {
          bodyLimit: 1_000
        })
        const error = yield* Effect.flip(client.get(server.url))
        assert(error._tag === "ResponseError" && error.reason === "StatusCode")
        const failure = yield* Effect.flip(error.response.text)
        assert.include(failure.message, "1000 bytes of its body at most")
      })))

    it.live("an error about a status is what it is when its body breaks off", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => {
          response.writeHead(429, { "content-length": "5000", "retry-after": "60" })
          response.write("half")
          setTimeout(() => response.destroy(), 20)
        })
        const client = HttpResilience.withPolicy(HttpClient.filterStatusOk(yield* HttpClient.HttpClient), patient)
        const error = yield* Effect.flip(client.get(server.url))
        assert(error._tag === "ResponseError")
        assert.deepStrictEqual([error.reason, error.response.status], ["StatusCode", 429])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(error.response.text)))
        assert.strictEqual(server.seen.length, 1, "a wait of a minute does not fit")
      })))

    it.live("a body that a tap inside the client has read is there for everybody", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => response.end("{\"id\":7}"))
        const plain = yield* HttpClient.HttpClient
        for (const read of ["text", "json", "arrayBuffer"] as const) {
          // Node's transport keeps no array buffer: there a second reader has always hung.
          if (transport === "node" && read === "arrayBuffer") continue
          const client = HttpResilience.withPolicy(HttpClient.tap(plain, (response) => response[read]), patient)
          assert.deepStrictEqual(yield* Effect.flatMap(client.get(server.url), (response) => response.json), { id: 7 })
        }
      })))

    for (const headers of [{}, { "x-length": "yes" }]) {
      const kind = "x-length" in headers ? "known" : "unknown"
      const begin = (response: Http.ServerResponse) => {
        if (response.req.headers["x-length"] !== undefined) {
          response.setHeader("content-length", 2_000)
        }
        response.write("x".repeat(1_000))
      }

      it.live(`a limit that rings in a body of ${kind} length behind a redirect ends the connection`, () =>
        on(Effect.gen(function*() {
          const { server, state } = yield* serveOpen((response) => {
            if (response.req.url === "/moved") {
              response.writeHead(302, { location: "/", "content-length": "0" })
              response.end()
            } else {
              begin(response)
            }
          })
          const client = HttpResilience.withPolicy(
            HttpClient.followRedirects(yield* HttpClient.HttpClient),
            Timeout.make("300 millis")
          )
          const exit = yield* Effect.exit(client.get(`${server.url}/moved`, { headers }))
          assert.isTrue(Exit.isFailure(exit))
          yield* eventually(() => state.open === 0)
        })))

      for (const options of [{ bodyLimit: 10 }, { until: "headers" }] as const) {
        it.live(`a body of ${kind} length that breaks off before it is read on is not whole: ${Object.keys(options)}`, () =>
          on(Effect.gen(function*() {
            const answers: Array<Http.ServerResponse> = []
            const { server, state } = yield* serveOpen((response) => {
              answers.push(response)
              begin(response)
            })
            const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, options)
            const response = yield* client.get(server.url, { headers })
            answers[0]!.destroy()
            yield* eventually(() => state.open === 0)
            // Nothing tells when the client has seen it: read sooner, the body fails as well.
            yield* Effect.sleep("50 millis")
            assert.strictEqual((yield* Effect.flip(response.text)).reason, "Decode")
          })))
      }

      it.live(`a body of ${kind} length that breaks off while a tap inside the client is busy is asked for again`, () =>
        on(Effect.gen(function*() {
          const { server, state } = yield* serveOpen((response, index) => {
            begin(response)
            if (index === 0) {
              setTimeout(() => response.destroy(), 5)
            } else {
              response.end("x".repeat(1_000))
            }
          })
          const busy = HttpClient.tap(
            yield* HttpClient.HttpClient,
            () =>
              server.seen.length > 1 ? Effect.void : Effect.zipRight(
                eventually(() => state.open === 0),
                Effect.sleep("50 millis")
              )
          )
          const { text } = yield* HttpResilience.withPolicy(busy, patient).get(server.url, { headers })
          assert.strictEqual((yield* text).length, 2_000)
          assert.strictEqual(server.seen.length, 2)
        })))
    }

    it.live("readers at once of a body that is read on get the same, and so does a later one", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => response.end("x".repeat(5_000)))
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, { bodyLimit: 10 })
        const { text } = yield* client.get(server.url)
        const texts = yield* Effect.all([text, text, text], { concurrency: 3 })
        assert.deepStrictEqual([...texts, yield* text].map(({ length }) => length), [5_000, 5_000, 5_000, 5_000])
      })))

    it.live("the request of an error may be sent again, by the plain client too", () =>
      on(
        Effect.gen(function*() {
          const { server } = yield* serveOpen((response, index) => {
            response.statusCode = index === 0 ? 400 : 200
            response.end()
          })
          const plain = yield* HttpClient.HttpClient
          const error: any = yield* Effect.flip(
            HttpResilience.withPolicy(HttpClient.filterStatusOk(plain), patient).get(server.url)
          )
          assert.strictEqual((yield* plain.execute(error.request)).status, 200)
        }).pipe(Effect.withTracerEnabled(false))
      ))

    it.live("headers set after a stream as the body are sent", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => response.end())
        const request = HttpClientRequest.put(server.url).pipe(
          HttpClientRequest.bodyStream(Stream.make(new TextEncoder().encode("a;b"))),
          HttpClientRequest.setHeader("content-type", "text/csv")
        )
        yield* HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient).execute(request)
        assert.strictEqual(server.seen[0]!.headers["content-type"], "text/csv")
        assert.strictEqual(server.seen[0]!.body, "a;b")
      })))

    it.live("a 304 with the length of what was not sent is one answer", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => {
          response.writeHead(304, { "content-length": "500" })
          response.end()
        })
        for (const until of ["body", "headers"] as const) {
          const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient, { until })
          const response = yield* client.get(server.url)
          assert.deepStrictEqual([response.status, yield* response.text], [304, ""])
        }
        assert.strictEqual(server.seen.length, 2)
      })))

    it.live("the deadline of a wrapper inside the policy is told to the server", () =>
      on(Effect.gen(function*() {
        const { server } = yield* serveOpen((response) => response.end())
        const mine = Policy.make("mine", Deadline.within("1 minute"))
        yield* HttpResilience.withPolicy(yield* HttpClient.HttpClient, mine).get(server.url)
        assert.isAbove(Number(server.seen[0]!.headers["x-deadline-remaining-ms"]), 0)
      })))
  })
}

describe("what stands between a policy and undici", () => {
  it.live("the first answer of a redirect, whose body never ends, is not kept open", () =>
    Effect.gen(function*() {
      const { server, state } = yield* serveOpen((response, index) => {
        if (index === 0) {
          response.writeHead(302, { location: "/next" })
          response.write("moved")
        } else {
          response.end("done")
        }
      })
      const client = HttpResilience.withPolicy(HttpClient.followRedirects(yield* HttpClient.HttpClient), patient)
      assert.strictEqual(yield* Effect.flatMap(client.get(server.url), ({ text }) => text), "done")
      yield* eventually(() => {
        collect()
        return state.open === 0
      })
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  for (const between of ["a redirect", "a policy"] as const) {
    it.live(`one connection, until headers: 3 MB that are discarded behind ${between} give it back`, () =>
      Effect.gen(function*() {
        const { server } = yield* serveOpen((response, index) => {
          if (response.req.url === "/moved") {
            response.writeHead(302, { location: "/", "content-length": "0" })
            response.end()
          } else if (index <= 1) {
            response.statusCode = 503
            response.end(Buffer.alloc(3_000_000))
          } else {
            response.end("done")
          }
        })
        const plain = yield* HttpClient.HttpClient
        const until = { until: "headers" } as const
        const client = between === "a redirect"
          ? HttpResilience.withPolicy(HttpClient.followRedirects(plain), patient, until)
          : HttpResilience.withPolicy(
            HttpResilience.withPolicy(plain, Timeout.make("20 seconds"), until),
            patient,
            until
          )
        const { text } = yield* client.get(between === "a redirect" ? `${server.url}/moved` : server.url)
        assert.strictEqual(yield* text, "done")
      }).pipe(Effect.scoped, Effect.provide(UndiciDispatcher.layerClient({ connections: 1 }))))
  }
})
