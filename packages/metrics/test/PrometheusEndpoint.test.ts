import { HttpClient, HttpLayerRouter, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import { InvalidOptions } from "@holdfast/core/Options"
import * as PrometheusEndpoint from "@holdfast/metrics/PrometheusEndpoint"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import { Effect, Layer, Metric } from "effect"

class Payments extends Dependency.Service<Payments>()("served payments", { bulkhead: { maxConcurrent: 6 } }) {}

const dependencies = Layer.provideMerge(Payments.layer, DependencyRegistry.layer)

const scrape = (path = "/metrics") =>
  Effect.gen(function*() {
    const response = yield* HttpClient.get(path)
    return { status: response.status, headers: response.headers, text: yield* response.text }
  })

const check = ({ headers, status, text }: Effect.Effect.Success<ReturnType<typeof scrape>>) => {
  assert.strictEqual(status, 200)
  assert.strictEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
  assert.strictEqual(headers["cache-control"], "no-store")
  assert.include(text, "\nholdfast_bulkhead_capacity{service=\"served payments\"} 6\n")
}

describe("the page that Prometheus scrapes", () => {
  it("refuses wrong options when it is built, not when it is scraped", () => {
    assert.throws(() => PrometheusEndpoint.make({ include: "al" as "all" }), InvalidOptions)
    assert.throws(() => PrometheusEndpoint.layerRouter("/metrics", { include: "al" as "all" }), InvalidOptions)
    assert.throws(() => PrometheusEndpoint.layerRouter("/metrics", { inclde: "all" } as any), InvalidOptions)
  })

  it.scopedLive("is an app by itself", () =>
    Effect.gen(function*() {
      yield* HttpServer.serveEffect(PrometheusEndpoint.make())
      check(yield* scrape("/"))
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.provide(dependencies)))

  it.scopedLive("is a handler for HttpRouter, and counts what was called since", () =>
    Effect.gen(function*() {
      yield* HttpRouter.empty.pipe(
        HttpRouter.get("/pay", Payments.call({ operation: "GET /pay" })(HttpServerResponse.empty())),
        HttpRouter.get("/metrics", PrometheusEndpoint.make()),
        HttpServer.serveEffect()
      )
      yield* scrape("/pay")
      yield* scrape("/pay")
      const page = yield* scrape()
      check(page)
      assert.include(
        page.text,
        "\nholdfast_calls_total{service=\"served payments\",endpoint=\"GET /pay\",class=\"success\"} 2\n"
      )
    }).pipe(
      Effect.provide(NodeHttpServer.layerTest),
      Effect.provide(ResilienceMetrics.layer()),
      Effect.provide(dependencies)
    ))

  it.scopedLive("is a route for HttpLayerRouter, with the program's own metrics on request", () =>
    Effect.gen(function*() {
      yield* Metric.increment(Metric.counter("served_pages", { incremental: true }))
      const app = Layer.mergeAll(
        PrometheusEndpoint.layerRouter(),
        PrometheusEndpoint.layerRouter("/metrics/all", { include: "all" })
      )
      yield* Layer.build(HttpLayerRouter.serve(app, { disableListenLog: true, disableLogger: true }))
      const page = yield* scrape()
      check(page)
      assert.notInclude(page.text, "served_pages")
      const whole = yield* scrape("/metrics/all")
      check(whole)
      assert.include(whole.text, "\nserved_pages_total 1\n")
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.provide(dependencies)))
})
