import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { Backoff, InvalidOptions, Policy, Retry, Timeout } from "../support/core.js"
import { HttpFailure, HttpResilience, UndiciDispatcher } from "../support/modules.js"
import { type Seen, serve, transports } from "../support/servers.js"

const secrets = {
  authorization: "Bearer secret",
  cookie: "session=secret",
  "proxy-authorization": "Basic secret",
  "x-api-key": "secret",
  "idempotency-key": "\"k\"",
  "order-key": "\"k\""
}

const policy = Policy.compose(
  Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) }),
  Timeout.make("20 seconds", { scope: "attempt" })
)

const redirecting = (client: HttpClient.HttpClient, options: HttpResilience.Options = {}) =>
  client.pipe(
    HttpResilience.followRedirects({ maxRedirects: 3, strip: ["X-Api-Key"] }),
    HttpResilience.withPolicy(policy, options)
  )

const namesOf = ({ headers }: Seen, names: ReadonlyArray<string>) => names.filter((name) => headers[name] !== undefined)

const given = [...Object.keys(secrets), "x-deadline-remaining-ms", "x-request-attempt", "x-trace"]

describe("redirects", () => {
  for (const [name, layer] of transports) {
    const run = <A, E>(f: (client: HttpClient.HttpClient) => Effect.Effect<A, E, any>) =>
      Effect.scoped(Effect.flatMap(HttpClient.HttpClient, f)).pipe(Effect.provide(layer)) as Effect.Effect<A, E>

    it.live(`${name}: another origin gets no credentials, no key and no deadline, the same origin gets all of them`, () =>
      run((client) =>
        Effect.gen(function*() {
          const other = yield* serve((response) => response.end("there"))
          const server = yield* serve((response, _, index) => {
            response.writeHead(307, { location: index === 0 ? "/second?page=2" : `${other.url}/third` })
            response.end("moved")
          })
          const request = HttpClientRequest.post(server.url).pipe(
            HttpClientRequest.setHeaders({ ...secrets, "x-trace": "t" }),
            HttpClientRequest.bodyText("order")
          )
          // A header of ours under a name of your own is ours all the same.
          const own = redirecting(client, { idempotencyKey: { header: "Order-Key" } })
          const response = yield* own.execute(request)
          assert.strictEqual(yield* response.text, "there")
          assert.deepStrictEqual(server.seen.map((seen) => namesOf(seen, given)), [given, given])
          assert.deepStrictEqual(namesOf(other.seen[0]!, given), ["x-trace"])
          assert.strictEqual(other.seen[0]!.headers.host, new URL(other.url).host)
          assert.deepStrictEqual([...server.seen, ...other.seen].map(({ body, method }) => [method, body]), [
            ["POST", "order"],
            ["POST", "order"],
            ["POST", "order"]
          ])
        })
      ))

    it.live(`${name}: a loop is one attempt, a failure that no retry cures, and no fault of the caller`, () =>
      run((client) =>
        Effect.gen(function*() {
          const server = yield* serve((response) => {
            response.writeHead(302, { location: "/again" })
            response.end()
          })
          const exit = yield* Effect.exit(redirecting(client).get(server.url))
          assert.strictEqual(server.seen.length, 4)
          const outcome = HttpFailure.classify(exit)
          assert.deepStrictEqual([outcome.class, outcome.fault, outcome.neverSent], ["Permanent", undefined, false])
          assert.isTrue(Exit.isFailure(exit))
        })
      ))

    it.live(`${name}: an address that is none of HTTP is not followed`, () =>
      run((client) =>
        Effect.forEach(["ftp://127.0.0.1/a", "http://[", "file:///etc/passwd"], (location) =>
          Effect.gen(function*() {
            const server = yield* serve((response) => {
              response.writeHead(302, { location })
              response.end()
            })
            const exit = yield* Effect.exit(redirecting(client).get(server.url))
            assert.strictEqual(HttpFailure.classify(exit).class, "Permanent")
            assert.strictEqual(server.seen.length, 1)
          }))
      ))

    it.live(`${name}: a hop that never left is no proof that nothing was sent, and the call is not made again`, () =>
      run((client) =>
        Effect.gen(function*() {
          const closed = yield* Effect.scoped(Effect.map(serve(() => {}), ({ url }) => url))
          const server = yield* serve((response) => {
            response.writeHead(303, { location: closed })
            response.end()
          })
          const request = HttpClientRequest.bodyText(HttpClientRequest.post(server.url), "order")
          const exit = yield* Effect.exit(redirecting(client).execute(request))
          const outcome = HttpFailure.classify(exit)
          assert.deepStrictEqual([outcome.class, outcome.fault, outcome.neverSent], ["Retryable", undefined, false])
          assert.strictEqual(server.seen.length, 1)
        })
      ))

    it.live(`${name}: a POST is not posted to another address, unless the server says so`, () =>
      run((client) =>
        Effect.gen(function*() {
          const seen = (status: number) =>
            Effect.gen(function*() {
              const server = yield* serve((response, _, index) => {
                response.writeHead(index === 0 ? status : 200, index === 0 ? { location: "/next" } : {})
                response.end()
              })
              const request = HttpClientRequest.bodyText(HttpClientRequest.post(server.url), "order", "text/x-order")
              yield* redirecting(client).execute(request)
              const { body, headers, method } = server.seen[1]!
              return [method, body, headers["content-type"]]
            })
          for (const status of [301, 302, 303]) {
            assert.deepStrictEqual(yield* seen(status), ["GET", "", undefined])
          }
          for (const status of [307, 308]) {
            assert.deepStrictEqual(yield* seen(status), ["POST", "order", "text/x-order"])
          }
        })
      ))

    it.live(`${name}: a body that can be sent once is not sent on, one that can be run again is`, () =>
      run((client) =>
        Effect.gen(function*() {
          const server = yield* serve((response, { headers }, index) => {
            response.writeHead(index % 2 === 0 ? 307 : 200, { location: "/next" })
            response.end(String(headers["x-request-attempt"]))
          })
          const request = HttpClientRequest.setBody(
            HttpClientRequest.post(server.url),
            HttpBody.stream(Stream.make(new TextEncoder().encode("order")))
          )
          const exit = yield* Effect.exit(redirecting(client).execute(request))
          assert.strictEqual(HttpFailure.classify(exit).class, "Permanent")
          assert.strictEqual(server.seen.length, 1)
          server.seen.length = 0
          yield* redirecting(client, { replayableBody: true }).execute(request)
          assert.deepStrictEqual(server.seen.map(({ body }) => body), ["order", "order"])
        })
      ))
  }

  for (
    const [how, wrap] of [
      ["by itself", HttpResilience.withPolicy(policy)],
      ["with redirects followed", redirecting]
    ] as const
  ) {
    for (const location of ["http://127.0.0.1:6000/", "http://user:secret@127.0.0.1:1/"]) {
      it.live(`fetch ${how}: an address that it does not call, ${location}, is no fault of the caller, nor worth a retry`, () =>
        Effect.scoped(Effect.gen(function*() {
          const server = yield* serve((response) => {
            response.writeHead(302, { location })
            response.end()
          })
          const client = wrap(yield* HttpClient.HttpClient)
          const outcome = HttpFailure.classify(yield* Effect.exit(client.get(server.url)))
          assert.deepStrictEqual([outcome.class, outcome.fault, outcome.neverSent], ["Permanent", undefined, false])
          assert.strictEqual(server.seen.length, 1)
        })).pipe(Effect.provide(transports[0]![1])))
    }
  }

  it.live("fetch by itself: its own end of a loop is one attempt too", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* serve((response) => {
        response.writeHead(302, { location: "/again" })
        response.end()
      })
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.withPolicy(policy))
      const exit = yield* Effect.exit(client.get(server.url))
      assert.strictEqual(HttpFailure.classify(exit).class, "Permanent")
      assert.strictEqual(HttpFailure.classify(exit).fault, undefined)
      // As many as fetch follows, once.
      assert.strictEqual(server.seen.length, 21)
    })).pipe(Effect.provide(transports[0]![1])))

  for (const [form, length] of [["with its length", true], ["without its length", false]] as const) {
    for (
      const [where, wrap] of [
        ["no policy around them", HttpResilience.followRedirects()],
        ["a policy around them", (client: HttpClient.HttpClient) => redirecting(client)]
      ] as const
    ) {
      it.live(`a large body ${form} gives its connection back before the next hop, with ${where}`, () =>
        Effect.gen(function*() {
          const server = yield* serve((response, _, index) => {
            const body = "x".repeat(1_000_000)
            response.writeHead(index % 2 === 0 ? 302 : 200, {
              ...(index % 2 === 0 ? { location: "/there" } : {}),
              ...(length && index % 2 === 0 ? { "content-length": body.length } : {})
            })
            response.end(index % 2 === 0 ? body : "there")
          })
          const client = wrap(yield* HttpClient.HttpClient)
          // One connection: the next hop needs the very one that the hop before it had.
          for (let call = 0; call < 4; call++) {
            assert.strictEqual(yield* Effect.flatMap(client.get(server.url), (response) => response.text), "there")
          }
        }).pipe(Effect.scoped, Effect.provide(UndiciDispatcher.layerClient({ connections: 1 }))))
    }
  }

  it.live("the server of the next hop is told what is left then", () =>
    Effect.gen(function*() {
      const server = yield* serve((response, _, index) => {
        setTimeout(() => {
          response.writeHead(index === 0 ? 302 : 200, { location: "/there" }).end()
        }, index === 0 ? 300 : 0)
      })
      yield* redirecting(yield* HttpClient.HttpClient).get(server.url)
      const [first, second] = server.seen.map(({ headers }) => Number(headers["x-deadline-remaining-ms"]))
      assert.isAtMost(second!, first! - 290)
      assert.isAtLeast(second!, 0)
    }).pipe(Effect.scoped, Effect.provide(UndiciDispatcher.layerClient())))

  it("wrong options are refused, all at once", () => {
    let findings: ReadonlyArray<string> = []
    try {
      HttpResilience.followRedirects({ maxRedirects: -1, strip: ["a b"], hops: 3 } as never)(undefined as never)
    } catch (error) {
      findings = error instanceof InvalidOptions ? error.findings.map(({ field }) => field).sort() : []
    }
    assert.deepStrictEqual(findings, ["hops", "maxRedirects", "strip"])
  })
})
