import { HttpBody, HttpClient, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, type Scope } from "effect"
import { Backoff, Policy, Retry, Timeout } from "../support/core.js"
import { HttpFailure, HttpResilience } from "../support/modules.js"
import { type Seen, serve, type Server } from "../support/servers.js"
import { type Haproxy, haproxy } from "./haproxy.js"
import { describeWith, until } from "./peer.js"
import { pools } from "./pools.js"

/** The origin behind HAProxy: it does the work of every request that reaches it, and then answers as the path says. */
const origin: Effect.Effect<Server & { readonly work: Array<string> }, never, Scope.Scope> = Effect.gen(function*() {
  const work: Array<string> = []
  const server = yield* serve((response, seen) => {
    work.push(seen.body)
    switch (response.req.url) {
      case "/worked-then-silent":
      case "/worked-then-504":
        return
      case "/worked-then-502":
        response.destroy()
        return
      case "/worked-then-cut":
        response.writeHead(200, { "content-length": "100" })
        response.write("half")
        setTimeout(() => response.destroy(), 20)
        return
      case "/narrow":
        setTimeout(() => response.end("done"), 70)
        return
      default:
        response.end(`done by attempt ${String(seen.headers["x-request-attempt"])}`)
    }
  })
  return Object.assign(server, { work })
})

const threeAttempts = (millis: number) =>
  Policy.compose(
    Timeout.make("60 seconds", { scope: "total" }),
    Retry.make({ maxRetries: 2, schedule: Backoff.constant(0, { jitter: "none" }) }),
    Timeout.make(millis)
  )

/** Cuts nothing that comes at all, however busy the machine. */
const policy = threeAttempts(20_000)

/** An attempt is cut soon; on a busy machine that may be before it got anywhere, and then the whole story is told again, with more time. */
const withMoreTime = <A, E, R>(story: (limitMillis: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  [500, 1500].reduceRight(
    (later, limit) => Effect.catchAllCause(story(limit), () => later),
    story(5000)
  )

const setting = Effect.gen(function*() {
  const behind = yield* origin
  const upstream = yield* haproxy(behind.url)
  return { behind, upstream }
})

/** Every request has its line in the log when it has ended. */
const ended = (upstream: Haproxy, requests: number): Effect.Effect<void> =>
  until(`HAProxy has logged ${requests} requests`, () => upstream.arrived().length >= requests)

const idle = (upstream: Haproxy): Effect.Effect<void> =>
  until("HAProxy has no open request", async () => (await Effect.runPromise(upstream.open)) === 0)

/** What fails after the request may have been sent, and whether the origin had the work by then. */
const lateFailures: ReadonlyArray<readonly [path: string, what: string, reachesOrigin: boolean]> = [
  ["/reset", "a reset before the answer", false],
  ["/closed", "an end of the connection before the answer", false],
  ["/unavailable", "a 503 of the proxy", false],
  ["/worked-then-502", "a 502, since the origin broke off", true],
  ["/worked-then-503", "a 503 in place of the origin's answer", true],
  ["/worked-then-504", "a 504, since the origin was silent", true],
  ["/worked-then-cut", "a connection cut in the body", true],
  ["/worked-then-silent", "silence, ended by the attempt timeout", true]
]

describeWith(["haproxy"], "HAProxy as an upstream", "concurrent", () => {
  for (const [transport, pool] of pools) {
    it.live(`${transport}: a GET is tried three times against 503, and the last answer comes out as it came`, () =>
      Effect.gen(function*() {
        const { upstream } = yield* setting
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
        const response = yield* client.get(`${upstream.url}/unavailable`)
        assert.strictEqual(response.status, 503)
        assert.strictEqual(yield* response.text, "unavailable")
        yield* ended(upstream, 3)
        assert.deepStrictEqual(upstream.arrived().map(({ attempt, status }) => [attempt, status]), [
          ["1", 503],
          ["2", 503],
          ["3", 503]
        ])
      }).pipe(Effect.scoped, Effect.provide(pool(2))))

    it.live(`${transport}: a 503 that asks for a longer wait than is left comes out at once`, () =>
      Effect.gen(function*() {
        const { upstream } = yield* setting
        const short = Policy.compose(Timeout.make("20 seconds", { scope: "total" }), Retry.make())
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, short)
        const response = yield* client.get(`${upstream.url}/busy`)
        assert.strictEqual(response.status, 503)
        yield* ended(upstream, 1)
        assert.strictEqual(upstream.arrived().length, 1)
      }).pipe(Effect.scoped, Effect.provide(pool(2))))

    it.live(
      `${transport}: a first attempt that is slow is cut, and the second one answers`,
      () =>
        withMoreTime((limit) =>
          Effect.gen(function*() {
            const { upstream } = yield* setting
            const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, threeAttempts(limit))
            const response = yield* client.get(`${upstream.url}/slow-once`)
            assert.strictEqual(response.status, 200)
            assert.strictEqual(yield* response.text, "done by attempt 2")
            yield* idle(upstream)
          }).pipe(Effect.scoped, Effect.provide(pool(2)))
        ),
      60_000
    )

    it.live(
      `${transport}: a silent upstream ends as TimedOut, and every connection down to the origin is given up`,
      () =>
        withMoreTime((limit) =>
          Effect.gen(function*() {
            const { behind, upstream } = yield* setting
            const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, threeAttempts(limit))
            const error = yield* Effect.flip(client.get(`${upstream.url}/worked-then-silent`))
            assert.strictEqual(error._tag, "TimedOut")
            assert.strictEqual(behind.seen.length, 3)
            yield* idle(upstream)
            yield* until("the origin has no open connection", () => behind.sockets.size === 0)
          }).pipe(Effect.scoped, Effect.provide(pool(2)))
        ),
      60_000
    )

    it.live(`${transport}: a reset is a failure that may have been sent, and the next attempt takes a new connection`, () =>
      Effect.gen(function*() {
        const { upstream } = yield* setting
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
        const error = yield* Effect.flip(client.get(`${upstream.url}/reset`))
        assert.strictEqual(HttpFailure.reachOf(error), "MaybeSent")
        assert.include(codes(error), "ECONNRESET")
        yield* ended(upstream, 3)
        const response = yield* client.get(`${upstream.url}/reset-once`)
        assert.strictEqual(response.status, 200)
        yield* ended(upstream, 5)
        assert.strictEqual((yield* upstream.counts).dropped, 4)
      }).pipe(Effect.scoped, Effect.provide(pool(1))))

    it.live(`F01: ${transport} sends a POST once when a kept-alive connection is closed in place of an answer`, () =>
      Effect.gen(function*() {
        const { behind, upstream } = yield* setting
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, policy)
        assert.strictEqual((yield* client.get(`${upstream.url}/fine`)).status, 200)
        const error = yield* Effect.flip(
          client.post(`${upstream.url}/worked-then-502`, { body: HttpBody.text("order") })
        )
        assert.strictEqual(HttpFailure.reachOf(error), "MaybeSent")
        yield* idle(upstream)
        assert.deepStrictEqual(behind.work, ["", "order"])
      }).pipe(Effect.scoped, Effect.provide(pool(1))))

    it.live(`${transport}: 503s from a queue that is too long are made up for by retries, and none is lost`, () =>
      Effect.gen(function*() {
        const { behind, upstream } = yield* setting
        const patient = Policy.compose(
          Timeout.make("60 seconds", { scope: "total" }),
          Retry.make({ maxRetries: 100, schedule: Backoff.constant("20 millis", { jitter: "none" }) })
        )
        const client = HttpResilience.withPolicy(yield* HttpClient.HttpClient, patient)
        const all = yield* Effect.all(
          Array.from({ length: 6 }, () => Effect.map(client.get(`${upstream.url}/narrow`), ({ status }) => status)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(all, Array(6).fill(200))
        assert.strictEqual(behind.seen.length, 6)
        yield* ended(upstream, 7)
        assert.isAtLeast(upstream.arrived().filter(({ status }) => status === 503).length, 1)
      }).pipe(Effect.scoped, Effect.provide(pool(6))))

    it.live(
      `F01: ${transport} sends a POST once, and with a key three times under that key, whatever fails late`,
      () =>
        withMoreTime((limit) =>
          Effect.gen(function*() {
            const { behind, upstream } = yield* setting
            const plain = yield* HttpClient.HttpClient
            const limited = threeAttempts(limit)
            const bare = HttpResilience.withPolicy(plain, limited)
            const keyed = HttpResilience.withPolicy(plain, limited, { idempotencyKey: true })
            const post = (kind: string, path: string) => {
              const headers = { "x-call": `${kind}${path}` }
              return HttpClientRequest.post(`${upstream.url}${path}`, { body: HttpBody.text(kind + path), headers })
            }
            const exits = yield* Effect.forEach(lateFailures, ([path]) =>
              Effect.all(
                [Effect.exit(bare.execute(post("bare", path))), Effect.exit(keyed.execute(post("keyed", path)))],
                { concurrency: 2 }
              ), { concurrency: "unbounded" })
            // Whoever aborts does not wait until the peer has seen it.
            yield* idle(upstream)
            for (const [index, [path, what, reachesOrigin]] of lateFailures.entries()) {
              const arrived = (kind: string) =>
                (reachesOrigin ? behind.seen.map(asArrived) : upstream.arrived()).filter(({ call }) =>
                  call === kind + path
                )
              const all = () => arrived("keyed").length >= 3 && arrived("bare").length >= 1
              yield* until(`every attempt has arrived: ${what}`, all, 5000)
              const once = arrived("bare")
              const often = arrived("keyed")
              assert.isTrue(exits[index]!.every(failed), what)
              assert.deepStrictEqual(once.map(({ attempt, key }) => [attempt, isKey(key)]), [["1", false]], what)
              // A first attempt that was cut at once may reach the origin after the second one.
              assert.deepStrictEqual(often.map(({ attempt }) => attempt).sort(), ["1", "2", "3"], what)
              assert.isTrue(often.every(({ key }) => isKey(key) && key === often[0]!.key), what)
              assert.strictEqual(
                behind.work.filter((work) => work === `bare${path}`).length,
                reachesOrigin ? 1 : 0,
                what
              )
              assert.strictEqual(
                behind.work.filter((work) => work === `keyed${path}`).length,
                reachesOrigin ? 3 : 0,
                what
              )
            }
          }).pipe(Effect.scoped, Effect.provide(pool(16)))
        ),
      120_000
    )
  }
})

/**
 * What HAProxy passed on. It logs nothing where it closes a reused connection because the origin broke off: by its reading of HTTP
 * the client has to try again then.
 */
const asArrived = ({ headers }: Seen) => ({
  call: String(headers["x-call"]),
  key: String(headers["idempotency-key"]),
  attempt: String(headers["x-request-attempt"])
})

const failed = (exit: Exit.Exit<HttpClientResponse.HttpClientResponse, unknown>): boolean =>
  Exit.isFailure(exit) || exit.value.status >= 500

const isKey = (key: string | undefined): boolean => /^"[0-9a-f-]{36}"$/.test(key ?? "")

/** The codes in the chain of causes. */
const codes = (error: unknown): ReadonlyArray<unknown> => {
  const found: Array<unknown> = []
  for (let current = error as any, link = 0; current != null && link < 8; current = current.cause, link++) {
    found.push(current.code)
  }
  return found
}
