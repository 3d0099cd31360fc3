import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Diagnosis from "@holdfast/core/Diagnosis"
import * as Figures from "@holdfast/core/Figures"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ResilienceLog from "@holdfast/core/ResilienceLog"
import * as Tuning from "@holdfast/core/Tuning"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Http from "node:http"
import * as v8 from "node:v8"
import * as vm from "node:vm"

const hello = HttpServerResponse.text("hello")

const send = (url: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.get(url, { headers }))

const serve = (routes: Layer.Layer<never, never, any>) =>
  Layer.build(HttpLayerRouter.serve(routes, { disableLogger: true, disableListenLog: true })) as Effect.Effect<
    unknown,
    never,
    HttpServer.HttpServer | Scope.Scope
  >

/** The headers that this module writes. */
const written = (headers: { readonly [name: string]: string | undefined }) =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.includes("ratelimit") || name === "retry-after")
  )

const recorder = () => {
  const lines: Array<{ level: string; message: string; annotations: Record<string, unknown> }> = []
  const logger = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
    lines.push({
      level: logLevel.label,
      message: String(Array.isArray(message) ? message[0] : message),
      annotations: Object.fromEntries(HashMap.toEntries(annotations))
    })
  })
  return {
    lines,
    layer: Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug))
  }
}

describe("HttpRateLimit", () => {
  it.scoped("answers 429 with every header exact, and counts down until then", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_706_540_000_250)
      const limit = yield* HttpRateLimit.make({ rate: 2, per: "1 minute" })
      yield* HttpServer.serveEffect(limit.middleware(hello))

      const first = yield* send("/")
      assert.strictEqual(first.status, 200)
      assert.deepStrictEqual(written(first.headers), {
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": "1706540031",
        "ratelimit-policy": "\"default\";q=2;w=60",
        "ratelimit": "\"default\";r=1;t=30"
      })
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* send("/")).status, 200)

      const refused = yield* send("/")
      assert.strictEqual(refused.status, 429)
      assert.deepStrictEqual(written(refused.headers), {
        "retry-after": "29",
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1706540061",
        "ratelimit-policy": "\"default\";q=2;w=60",
        "ratelimit": "\"default\";r=0;t=59"
      })
      assert.strictEqual(refused.headers["content-type"], "application/problem+json")
      assert.strictEqual(refused.headers["cache-control"], "no-store")
      assert.deepStrictEqual(yield* refused.json, {
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        title: "Request cannot be satisfied as assigned quota has been exceeded",
        status: 429,
        detail: "The limit of 2 is used up; try again in 29 s.",
        "violated-policies": ["default"]
      })
      // Who waits exactly as long as told is let through; rounding down would send it back.
      yield* TestClock.adjust("28900 millis")
      assert.strictEqual((yield* send("/")).status, 429)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* send("/")).status, 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("rounds a wait below a second up to one", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 10, capacity: 1 })
      yield* limit.take({ key: "a" })
      const refused = yield* limit.take({ key: "a" })
      assert.isFalse(refused.allowed)
      assert.strictEqual(Duration.toMillis(refused.retryAfter!), 100)
      assert.strictEqual(refused.headers["retry-after"], "1")
    }))

  it.scoped("has one bucket per client, and spoofed entries of X-Forwarded-For make no new client", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 hour", trustedProxies: 1 })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const from = (forwarded: string) =>
        Effect.map(send("/", { "x-forwarded-for": forwarded }), ({ status }) => status)
      assert.strictEqual(yield* from("203.0.113.9"), 200)
      assert.strictEqual(yield* from("203.0.113.9"), 429)
      assert.strictEqual(yield* from("6.6.6.6, 203.0.113.9"), 429)
      assert.strictEqual(yield* from("7.7.7.7, 203.0.113.9"), 429)
      assert.strictEqual(yield* from("203.0.113.10"), 200)
      assert.strictEqual(yield* from("2001:db8::1"), 200)
      assert.strictEqual(yield* from("2001:db8::2"), 429)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("has a rate per tier, and the default rate for a tier that it does not know", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        name: "free",
        rate: 1,
        per: "1 hour",
        tiers: { paid: { rate: 3, per: "1 minute" } },
        tierOf: (request) => request.headers["x-plan"]
      })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const paid = yield* send("/", { "x-plan": "paid" })
      assert.strictEqual(paid.headers["ratelimit-policy"], "\"paid\";q=3;w=60")
      assert.strictEqual(paid.headers["ratelimit"], "\"paid\";r=2;t=20")
      assert.strictEqual((yield* send("/", { "x-plan": "gold" })).headers["ratelimit-policy"], "\"free\";q=1;w=3600")
      assert.strictEqual((yield* send("/")).status, 429)
      assert.strictEqual((yield* send("/", { "x-plan": "paid" })).status, 200)
      assert.deepStrictEqual([...limit.tiers.keys()], ["paid"])
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("charges a route what it costs, from the same buckets", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 10, per: "10 seconds" })
      const Routes = Layer.mergeAll(
        HttpLayerRouter.add("GET", "/cheap", hello).pipe(
          Layer.provide(HttpLayerRouter.middleware(limit.middleware).layer)
        ),
        HttpLayerRouter.add("GET", "/search", hello).pipe(
          Layer.provide(HttpLayerRouter.middleware(limit.at({ cost: 6 })).layer)
        ),
        HttpLayerRouter.add("GET", "/dump", hello).pipe(
          Layer.provide(HttpLayerRouter.middleware(limit.at({ cost: 11 })).layer)
        ),
        HttpLayerRouter.add("GET", "/free", hello).pipe(
          Layer.provide(HttpLayerRouter.middleware(limit.at({ cost: 0 })).layer)
        )
      )
      yield* serve(Routes)
      assert.strictEqual((yield* send("/search")).headers["x-ratelimit-remaining"], "4")
      assert.strictEqual((yield* send("/cheap")).headers["x-ratelimit-remaining"], "3")
      const refused = yield* send("/search")
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers["retry-after"], "3")
      assert.strictEqual(refused.headers["x-ratelimit-remaining"], "3")
      // What can never pass says so instead of naming a time.
      const never = yield* send("/dump")
      assert.strictEqual(never.status, 429)
      assert.isUndefined(never.headers["retry-after"])
      assert.strictEqual(
        ((yield* never.json) as { readonly detail: string }).detail,
        "This request costs more than the limit of 10."
      )
      assert.deepStrictEqual(written((yield* send("/free")).headers), {})
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("takes the cost from the request where a function says so", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        rate: 10,
        cost: (request) => request.url.startsWith("/export") ? 5 : 1
      })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      assert.strictEqual((yield* send("/export")).headers["x-ratelimit-remaining"], "5")
      assert.strictEqual((yield* send("/")).headers["x-ratelimit-remaining"], "4")
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("never limits health checks", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 hour" })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      yield* send("/")
      assert.strictEqual((yield* send("/healthy")).status, 429)
      for (const path of ["/health", "/health?verbose=1", "/health/dependencies", "/health"]) {
        const answer = yield* send(path)
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(written(answer.headers), {})
      }
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("counts for the client's address where the key says nothing", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        rate: 1,
        per: "1 hour",
        trustedProxies: 1,
        key: (request) => request.headers["x-tenant"]
      })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const status = (headers: Record<string, string>) => Effect.map(send("/", headers), (answer) => answer.status)
      assert.strictEqual(yield* status({ "x-forwarded-for": "192.0.2.1" }), 200)
      assert.strictEqual(yield* status({ "x-forwarded-for": "192.0.2.2" }), 200)
      assert.strictEqual(yield* status({ "x-forwarded-for": "192.0.2.1" }), 429)
      assert.strictEqual(yield* status({ "x-forwarded-for": "192.0.2.1", "x-tenant": "a" }), 200)
      assert.strictEqual(yield* status({ "x-forwarded-for": "192.0.2.3", "x-tenant": "a" }), 429)
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Logger.withMinimumLogLevel(LogLevel.None)))

  it.scoped("counts a cost that is none as 1, and tells so once", () => {
    const { layer, lines } = recorder()
    return Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        rate: 10,
        per: "1 hour",
        cost: (request) => Number(request.headers["x-cost"])
      })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const remaining = []
      for (const cost of ["all", "Infinity", "-5", "2", "0"]) {
        const answer = yield* send("/", { "x-cost": cost })
        assert.strictEqual(answer.status, 200)
        remaining.push(answer.headers["x-ratelimit-remaining"])
      }
      assert.deepStrictEqual(remaining, ["9", "8", "7", "5", undefined])
      const warnings = lines.filter(({ level }) => level === "WARN")
      assert.deepStrictEqual(warnings, [{
        level: "WARN",
        message: "The cost of a request is not a finite number of 0 or more, and counts as 1. This is told once",
        annotations: { limit: "default", cost: "NaN" }
      }])
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.provide(layer))
  })

  it.scopedLive("limits what only looks like a health check", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 hour", key: (request) => request.originalUrl })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const { address } = yield* HttpServer.HttpServer
      // A client of its own: the one of the platform resolves the dots before it sends them.
      const limited = (path: string, method = "GET") =>
        Effect.async<boolean>((resume) => {
          Http.request({ port: (address as HttpServer.TcpAddress).port, path, method, agent: false }, (answer) => {
            answer.resume()
            resume(Effect.succeed("ratelimit" in answer.headers))
          }).end()
        })
      for (
        const path of [
          "/health/../z",
          "/health/%2e%2e/z",
          "/health/dependencies/../../z",
          "/health%2f..%2fz",
          "/health/..\\z",
          "/health#/../z",
          "/health/orders",
          "/health/",
          "//health",
          "/Health",
          "/health;a"
        ]
      ) {
        assert.isTrue(yield* limited(path), path)
      }
      assert.isTrue(yield* limited("/health", "POST"))
      for (const path of ["/health", "/health?a=/../z", "/health/dependencies"]) {
        assert.isFalse(yield* limited(path), path)
        assert.isFalse(yield* limited(path, "HEAD"), path)
      }
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("puts its headers on errors too, in every place where it can stand", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 10, key: () => "everybody" })
      const broken = Effect.die(new Error("bug"))
      yield* HttpServer.serveEffect(broken, limit.middleware)
      const answer = yield* send("/")
      assert.strictEqual(answer.status, 500)
      assert.strictEqual(answer.headers["x-ratelimit-remaining"], "9")
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("limits a whole HttpLayerRouter, paths that it does not know included", () =>
    Effect.gen(function*() {
      const App = Layer.mergeAll(
        HttpLayerRouter.add("GET", "/", hello),
        HttpRateLimit.layerRouter({ rate: 2, per: "1 hour" })
      )
      yield* serve(App)
      assert.strictEqual((yield* send("/")).status, 200)
      const unknown = yield* send("/unknown")
      assert.strictEqual(unknown.status, 404)
      assert.strictEqual(unknown.headers["x-ratelimit-remaining"], "0")
      assert.strictEqual((yield* send("/")).status, 429)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("lists two limits in the structured fields, and tells of the tighter one in the others", () =>
    Effect.gen(function*() {
      const wide = yield* HttpRateLimit.make({ name: "day", rate: 100, per: "1 day" })
      const narrow = yield* HttpRateLimit.make({ name: "burst", rate: 2, per: "1 second" })
      const orders: ReadonlyArray<HttpApp.Default> = [
        wide.middleware(narrow.middleware(hello)),
        narrow.middleware(wide.middleware(hello))
      ]
      for (const app of orders) {
        const answer = yield* HttpServer.serveEffect(app).pipe(Effect.zipRight(send("/")), Effect.scoped)
        assert.strictEqual(answer.headers["x-ratelimit-limit"], "2")
        assert.sameMembers(
          answer.headers["ratelimit-policy"]!.split(", "),
          ["\"day\";q=100;w=86400", "\"burst\";q=2;w=1"]
        )
        assert.strictEqual(answer.headers["ratelimit"]!.split(", ").length, 2)
      }
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("writes whole numbers of 15 digits at most, however slow the rate is", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_706_540_000_250)
      const limit = yield* HttpRateLimit.make({ rate: 1e-6, per: "365 days", capacity: 1e9 })
      yield* limit.take({ key: "a", cost: 1e9 })
      const { headers } = yield* limit.take({ key: "a", cost: 1e9 })
      assert.deepStrictEqual(written(headers), {
        "x-ratelimit-limit": "1000000000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "999999999999999",
        "ratelimit-policy": "\"default\";q=1000000000;w=999999999999999",
        "ratelimit": "\"default\";r=0;t=999999999999999",
        "retry-after": "2147483647"
      })
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))

  it.scoped("escapes its name in the structured fields", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ name: "a \"b\" \\c", rate: 1 })
      const { headers } = yield* limit.take({ key: "k" })
      assert.strictEqual(headers["ratelimit-policy"], "\"a \\\"b\\\" \\\\c\";q=1;w=1")
    }))

  it.scoped("admits exactly the limit of requests that come at the same time", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 10, per: "1 hour" })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const answers = yield* Effect.all(Array.from({ length: 50 }, () => send("/")), { concurrency: 50 })
      assert.strictEqual(answers.filter(({ status }) => status === 200).length, 10)
      assert.strictEqual(answers.filter(({ status }) => status === 429).length, 40)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.scoped("refuses nobody in a dry run, and counts what it would have refused", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 hour", dryRun: true })
      for (let i = 0; i < 3; i++) {
        assert.isTrue((yield* limit.take({ key: "a" })).allowed)
      }
      assert.strictEqual(yield* limit.limiter.wouldHaveRefused, 2)
    }))

  it.scoped("is no dependency that a diagnosis would find at fault: it guards the service itself, tiers included", () =>
    Effect.gen(function*() {
      const figures = yield* Figures.make()
      yield* Effect.gen(function*() {
        const limit = yield* HttpRateLimit.make({
          rate: 10,
          per: "1 minute",
          tiers: { paid: { rate: 20, per: "1 minute" } },
          tierOf: () => "paid"
        })
        yield* Effect.repeatN(limit.take({ key: "a" }), 59)
        yield* Effect.repeatN(limit.take({ key: "a", tier: "paid" }), 59)
      }).pipe(ResilienceEvent.listen(figures.listener), Logger.withMinimumLogLevel(LogLevel.None))
      const snapshot = yield* figures.snapshot
      assert.deepStrictEqual(snapshot.dependencies.map(({ dependency }) => dependency), ["http.server"])
      assert.strictEqual(snapshot.dependencies[0]?.operations[0]?.rejections.rateLimit, 90)
      assert.deepStrictEqual(Diagnosis.fromSnapshot(snapshot), [])
      assert.deepStrictEqual(Tuning.fromSnapshot(snapshot), [])
    }))

  it.scoped("logs limited requests: one warning per period with the most limited keys, each one at debug level", () => {
    const { layer, lines } = recorder()
    return Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        rate: 1,
        per: "1 day",
        showKey: (key) => `<${key}>`,
        logEvery: "10 seconds"
      })
      const spend = (key: string, times: number) =>
        Effect.repeatN(limit.take({ key, operation: "GET /orders/:id" }), times)
      yield* spend("busy", 1)
      assert.deepStrictEqual(lines.map(({ level }) => level), ["DEBUG", "WARN"])
      assert.deepStrictEqual(lines[0]!.annotations, { limit: "default", key: "<busy>", operation: "GET /orders/:id" })
      assert.deepStrictEqual(lines[1]!.annotations, {
        limit: "default",
        limited: 1,
        withinMillis: 0,
        mostLimited: "<busy>: 1"
      })
      yield* spend("abuser", 50)
      yield* spend("busy", 4)
      yield* spend("quiet", 1)
      assert.strictEqual(lines.filter(({ level }) => level === "WARN").length, 1)
      yield* TestClock.adjust("10 seconds")
      yield* limit.take({ key: "abuser" })
      const warnings = lines.filter(({ level }) => level === "WARN")
      assert.strictEqual(warnings.length, 2)
      assert.deepStrictEqual(warnings[1]!.annotations, {
        limit: "default",
        limited: 57,
        withinMillis: 10_000,
        mostLimited: "<abuser>: 51, <busy>: 5, <quiet>: 1"
      })
      assert.strictEqual(lines.filter(({ level }) => level === "DEBUG").length, 58)
      assert.deepStrictEqual((yield* limit.mostLimited)[0], { key: "abuser", count: 25, error: 0 })
    }).pipe(Effect.provide(layer))
  })

  it.scoped("warns once of one limited request, also where every event is logged", () => {
    const { layer, lines } = recorder()
    return Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 day", key: () => "all" })
      yield* Effect.repeatN(limit.take({ key: "all" }), 1)
      assert.deepStrictEqual(lines.filter(({ level }) => level === "WARN").map(({ message }) => message), [
        "Requests were rate limited"
      ])
      // What it would refuse is told by the event alone.
      const trial = yield* HttpRateLimit.make({ name: "trial", rate: 1, per: "1 day", dryRun: true })
      yield* Effect.repeatN(trial.take({ key: "all" }), 1)
      assert.strictEqual(lines.filter(({ level }) => level === "WARN").length, 2)
    }).pipe(Effect.provide(ResilienceLog.layer()), Effect.provide(layer))
  })

  for (
    const [what, showKey] of [
      ["throws", () => {
        throw new Error("no such tenant")
      }],
      ["gives a symbol", () => Symbol("tenant")],
      ["gives nothing", () => undefined]
    ] as const
  ) {
    it.scoped(`answers 429 and shows no key where showKey ${what}`, () => {
      const { layer, lines } = recorder()
      return Effect.gen(function*() {
        const limit = yield* HttpRateLimit.make({
          rate: 1,
          per: "1 day",
          key: () => "secret",
          showKey: showKey as unknown as (key: string) => string
        })
        yield* HttpServer.serveEffect(limit.middleware(hello))
        assert.strictEqual((yield* send("/")).status, 200)
        assert.strictEqual((yield* send("/")).status, 429)
        assert.strictEqual(lines.filter(({ message }) => message === "Requests were rate limited").length, 1)
        assert.notInclude(JSON.stringify(lines.map(({ annotations }) => annotations)), "secret")
      }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.provide(layer))
    })
  }

  it.scopedLive("finds the worst client among 2,000 others in a list of bounded length", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 day" })
      for (let i = 0; i < 2000; i++) {
        yield* Effect.repeatN(limit.take({ key: `one-${i}` }), 1)
        yield* limit.take({ key: "abuser" })
      }
      const list = yield* limit.mostLimited
      assert.strictEqual(list[0]!.key, "abuser")
      assert.isAtMost(list.length, 100)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))

  it.scopedLive(
    "E07: a flood of 1,000,000 keys stays bounded, and the oldest key starts full again",
    () =>
      Effect.gen(function*() {
        v8.setFlagsFromString("--expose-gc")
        const collect = vm.runInNewContext("gc") as () => void
        const limit = yield* HttpRateLimit.make({ rate: 1, per: "1 day", maximumKeys: 10_000 })
        yield* limit.take({ key: "first" })
        assert.isFalse((yield* limit.take({ key: "first" })).allowed)
        collect()
        const before = process.memoryUsage().heapUsed
        const padding = "x".repeat(4_000)
        for (let i = 0; i < 1_000_000; i++) {
          if (i % 10 > 0) {
            yield* limit.limiter.with({ key: `flood-${i}` })(Effect.void)
          } else {
            // A piece of a header of 4,000 characters: the key must not keep the header. Every second one is refused.
            const header = Buffer.from(`client-of-the-flood-${i},${padding}`, "latin1").toString("latin1")
            yield* limit.take({ key: header.slice(0, header.indexOf(",")), cost: i % 20 === 0 ? 1 : 2 })
          }
        }
        collect()
        const grown = process.memoryUsage().heapUsed - before
        assert.isBelow(grown, 20_000_000)
        assert.isAtMost((yield* limit.mostLimited).length, 100)
        assert.isTrue((yield* limit.take({ key: "first" })).allowed)
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    120_000
  )

  it.scoped("refuses bad options with all findings at once", () =>
    Effect.gen(function*() {
      const bad = (options: unknown) =>
        Effect.map(
          Effect.exit(HttpRateLimit.make(options as HttpRateLimit.Options)),
          (exit) => exit._tag === "Failure" ? Cause.pretty(exit.cause) : ""
        )
      const findings = yield* bad({ rate: 0, name: "grün", tiers: { a: { rate: -1, burst: 2 } }, cost: -1, limit: 1 })
      for (
        const field of [
          "rate is 0",
          "name is",
          "tiers.a.rate is -1",
          "tiers.a.burst is 2",
          "cost is -1",
          "limit is 1",
          "tierOf is"
        ]
      ) {
        assert.include(findings, field)
      }
      for (const cost of [Infinity, NaN, "1"]) {
        assert.include(yield* bad({ rate: 1, cost }), "cost is")
        const limit = yield* HttpRateLimit.make({ rate: 1 })
        assert.throws(() => limit.at({ cost: cost as number }), /HttpRateLimit\.at.*cost is/s)
      }
      assert.include(yield* bad({ rate: 1, tiers: null, tierOf: () => "" }), "tiers is null")
      assert.include(yield* bad({ rate: 1, capacity: 0.5 }), "capacity is 0.5")
      assert.include(yield* bad(undefined), "options is undefined")
    }))

  // -- HttpApi ---------------------------------------------------------------

  class TooManyRequests extends Schema.TaggedError<TooManyRequests>()(
    "TooManyRequests",
    { retryAfterSeconds: Schema.Number },
    HttpApiSchema.annotations({ status: 429 })
  ) {}

  class Limited extends HttpApiMiddleware.Tag<Limited>()("Limited", { failure: TooManyRequests }) {}

  const Api = HttpApi.make("api").add(
    HttpApiGroup.make("orders")
      .add(HttpApiEndpoint.get("list", "/orders").addSuccess(Schema.String))
      .middleware(Limited)
  )

  it.scoped("works as an HttpApiMiddleware with a typed error and the same headers", () =>
    Effect.gen(function*() {
      const LimitedLive = Layer.effect(
        Limited,
        Effect.map(HttpRateLimit.make({ name: "orders", rate: 1, per: "30 seconds" }), (limit) =>
          Limited.of(Effect.gen(function*() {
            const request = yield* HttpServerRequest.HttpServerRequest
            const decision = yield* limit.take({
              key: request.headers["x-tenant"] ?? "nobody",
              operation: "GET /orders"
            })
            yield* HttpRateLimit.announce(decision)
            if (!decision.allowed) {
              const wait = decision.retryAfter ?? Duration.infinity
              return yield* new TooManyRequests({ retryAfterSeconds: Math.ceil(Duration.toSeconds(wait)) })
            }
          })))
      )
      const Orders = HttpApiBuilder.group(Api, "orders", (handlers) =>
        handlers.handle("list", () =>
          Effect.succeed("o-1")))
      const ApiLive = HttpApiBuilder.api(Api).pipe(Layer.provide(Orders), Layer.provide(LimitedLive))
      yield* Layer.build(HttpApiBuilder.serve().pipe(Layer.provide(ApiLive)))
      const first = yield* send("/orders", { "x-tenant": "a" })
      assert.strictEqual(first.status, 200)
      assert.strictEqual(first.headers["ratelimit"], "\"orders\";r=0;t=30")
      const second = yield* send("/orders", { "x-tenant": "a" })
      assert.strictEqual(second.status, 429)
      assert.deepStrictEqual(yield* second.json, { _tag: "TooManyRequests", retryAfterSeconds: 30 })
      assert.strictEqual(second.headers["retry-after"], "30")
      assert.strictEqual(second.headers["x-ratelimit-remaining"], "0")
      assert.strictEqual((yield* send("/orders", { "x-tenant": "b" })).status, 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))
})
