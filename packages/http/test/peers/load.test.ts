import { type HttpApp, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as HttpAdmission from "@holdfast/http/HttpAdmission"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import { Effect, Layer, Logger, LogLevel, type Scope } from "effect"
import * as Http from "node:http"
import { describeWith, here, run, until } from "./peer.js"

const connections = 32
const places = 8

/** What wrk was answered. `broken` counts connections that failed; those cut by its own end are in none of the numbers. */
interface Counts {
  readonly ok: number
  readonly limited: number
  readonly refused: number
  readonly other: number
  readonly broken: number
  /** 429 and 503 without `Retry-After`. */
  readonly unannounced: number
  /** Answers without the numbers of the rate limit. */
  readonly uncounted: number
}

const wrk = (url: string) =>
  run("wrk", ["-t1", `-c${connections}`, "-d30s", "--timeout", "20s", "-s", `${here}/wrk.lua`, url])

/** Sends until the server has seen enough: a machine that is busy takes longer, and sees the same. */
const load = (url: string, enough: () => boolean): Effect.Effect<Counts, never, Scope.Scope> =>
  Effect.gen(function*() {
    const process = yield* wrk(url)
    yield* until("the server has seen enough", enough, 25_000)
    // wrk ends with its report.
    process.process.kill("SIGINT")
    const code = yield* Effect.promise(() => process.exited)
    const found = /^counts (.*)$/m.exec(process.stdout())
    assert.strictEqual(code, 0, process.stderr())
    return JSON.parse(found![1]!) as Counts
  })

/** All requests that came to a server. */
const tally = () => {
  let requests = 0
  const count = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
    Effect.suspend(() => {
      requests++
      return app
    })
  return { count, atLeast: (least: number) => () => requests >= least }
}

/** A handler that counts itself, and how many run at once. */
const counted = (handler: Effect.Effect<void>) => {
  const counts = { started: 0, ended: 0, running: 0, most: 0 }
  const app = Effect.acquireUseRelease(
    Effect.sync(() => {
      counts.started++
      counts.running++
      counts.most = Math.max(counts.most, counts.running)
    }),
    () => Effect.as(Effect.interruptible(handler), HttpServerResponse.text("done")),
    () =>
      Effect.sync(() => {
        counts.running--
        counts.ended++
      })
  )
  return { app, counts }
}

const server = Layer.merge(
  NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" }),
  // The limit warns, as it should.
  Logger.minimumLogLevel(LogLevel.None)
)

const url = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : ""
)

const empty = (admission: HttpAdmission.HttpAdmission) =>
  until("nobody is in the bulkhead", async () => {
    const { active, queued } = await Effect.runPromise(admission.bulkhead.snapshot)
    return active === 0 && queued === 0
  })

/** wrk does not count the answers that it leaves behind on its connections when it ends. */
const isAbout = (ours: number, theirs: number, what: string) => {
  assert.isAtLeast(ours, theirs, what)
  assert.isAtMost(ours, theirs + connections, what)
}

describeWith(["wrk"], "a server under the load of wrk", "sequential", () => {
  it.live(
    "admission runs as many as it says, refuses the rest with 503, and gives every place back",
    () =>
      Effect.gen(function*() {
        const admission = yield* HttpAdmission.make({ maxConcurrent: places })
        const { app, counts } = counted(Effect.sleep("5 millis"))
        const { atLeast, count } = tally()
        yield* HttpServer.serveEffect(count(admission.middleware(app)))
        const seen = yield* load(yield* url, atLeast(600))
        yield* empty(admission)
        assert.strictEqual(counts.most, places)
        assert.strictEqual(counts.running, 0)
        assert.isAtLeast(seen.ok, 50)
        assert.isAtLeast(seen.refused, 50)
        assert.deepStrictEqual([seen.limited, seen.other, seen.broken, seen.unannounced], [0, 0, 0, 0])
        isAbout(counts.started, seen.ok, "200")
        isAbout((yield* admission.bulkhead.snapshot).rejected, seen.refused, "503")
      }).pipe(Effect.scoped, Effect.provide(server)),
    60_000
  )

  it.live(
    "admission with a queue that is long enough answers everybody, and still runs no more than it says",
    () =>
      Effect.gen(function*() {
        const admission = yield* HttpAdmission.make({ maxConcurrent: places, maxQueue: connections })
        const { app, counts } = counted(Effect.sleep("2 millis"))
        const { atLeast, count } = tally()
        yield* HttpServer.serveEffect(count(admission.middleware(app)))
        const seen = yield* load(yield* url, atLeast(600))
        yield* empty(admission)
        assert.strictEqual(counts.most, places)
        assert.isAtLeast(seen.ok, 100)
        assert.deepStrictEqual([seen.refused, seen.other, seen.broken], [0, 0, 0])
        isAbout(counts.started, seen.ok, "200")
      }).pipe(Effect.scoped, Effect.provide(server)),
    60_000
  )

  it.live(
    "a rate limit lets through what its bucket holds, and answers the rest with 429 and its numbers",
    () =>
      Effect.gen(function*() {
        const capacity = 100
        const rate = 20
        const limit = yield* HttpRateLimit.make({ rate, capacity, logEvery: "1 minute" })
        const { app, counts } = counted(Effect.void)
        let [first, last] = [Infinity, 0]
        const timed = Effect.zipRight(
          Effect.sync(() => {
            last = performance.now()
            first = Math.min(first, last)
          }),
          app
        )
        const { atLeast, count } = tally()
        yield* HttpServer.serveEffect(count(limit.middleware(timed)))
        const seen = yield* load(yield* url, atLeast(600))
        const refilled = rate * (last - first) / 1000
        assert.isAtLeast(seen.limited, 100)
        // Half a second of slack: the limiter reads the clock before the handler does, and others may have the processor between.
        assert.approximately(counts.started, capacity + refilled, 1 + rate / 2)
        assert.deepStrictEqual([seen.refused, seen.other, seen.broken], [0, 0, 0])
        assert.deepStrictEqual([seen.unannounced, seen.uncounted], [0, 0])
        isAbout(counts.started, seen.ok, "200")
        const [most] = yield* limit.mostLimited
        assert.strictEqual(most?.key, "127.0.0.1")
      }).pipe(Effect.scoped, Effect.provide(server)),
    60_000
  )

  it.live(
    "a rate limit around an admission gives 200, 429 and 503 that add up, and spares the health check",
    () =>
      Effect.gen(function*() {
        const capacity = 400
        const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 hour", capacity, logEvery: "1 minute" })
        const admission = yield* HttpAdmission.make({ maxConcurrent: places })
        const { app, counts } = counted(Effect.sleep("5 millis"))
        const routed = Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          (request) => request.url === "/health" ? HttpServerResponse.text("up") : app
        )
        const { atLeast, count } = tally()
        yield* HttpServer.serveEffect(count(limit.middleware(admission.middleware(routed))))
        const address = yield* url
        const health = Effect.promise(() => fetch(`${address}/health`).then(({ status }) => status))
        const [seen, checks] = yield* Effect.all(
          [load(address, atLeast(600)), Effect.replicateEffect(Effect.delay(health, "10 millis"), 20)],
          { concurrency: 2 }
        )
        yield* empty(admission)
        const { rejected } = yield* admission.bulkhead.snapshot
        // Every token bought a place or a 503: none is lost, none is spent twice.
        assert.strictEqual(counts.started + rejected, capacity)
        assert.strictEqual(counts.most, places)
        assert.isAtLeast(counts.started, 20)
        assert.isAtLeast(rejected, 20)
        assert.isAtLeast(seen.limited, 100)
        assert.deepStrictEqual([seen.other, seen.broken, seen.unannounced, seen.uncounted], [0, 0, 0, 0])
        isAbout(counts.started, seen.ok, "200")
        isAbout(rejected, seen.refused, "503")
        assert.isTrue(checks.every((status) => status === 200))
      }).pipe(Effect.scoped, Effect.provide(server)),
    60_000
  )

  it.live(
    "when all clients are gone at once, running and waiting requests give every place back",
    () =>
      Effect.gen(function*() {
        const admission = yield* HttpAdmission.make({ maxConcurrent: places, maxQueue: connections })
        const { app, counts } = counted(Effect.never)
        yield* HttpServer.serveEffect(admission.middleware(app))
        const { exited, process } = yield* wrk(yield* url)
        const full = until("every connection runs or waits", async () => {
          const { active, queued } = await Effect.runPromise(admission.bulkhead.snapshot)
          return active === places && queued === connections - places
        })
        yield* full
        assert.strictEqual(counts.running, places)
        process.kill("SIGKILL")
        yield* Effect.promise(() => exited)
        yield* empty(admission)
        assert.deepStrictEqual([counts.running, counts.most], [0, places])
      }).pipe(Effect.scoped, Effect.provide(server)),
    60_000
  )
})
