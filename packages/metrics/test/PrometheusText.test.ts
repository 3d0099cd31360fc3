import { assert, describe, it } from "@effect/vitest"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import { InvalidOptions } from "@holdfast/core/Options"
import type * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import { all, families, type Family } from "@holdfast/metrics/MetricFamilies"
import * as PrometheusText from "@holdfast/metrics/PrometheusText"
import type * as RegistryMetrics from "@holdfast/metrics/RegistryMetrics"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { describeWith, promtool } from "./support/peer.js"

const golden = Path.join(Path.dirname(fileURLToPath(import.meta.url)), "golden")

/** Compares with the file; `GOLDEN=write` writes it. */
const same = (file: string, text: string): void => {
  const path = Path.join(golden, file)
  if (process.env.GOLDEN === "write") {
    Fs.writeFileSync(path, text)
  }
  assert.strictEqual(text, Fs.readFileSync(path, "utf8"))
}

const pair = (key: MetricKey.MetricKey<any>, state: MetricState.MetricState<any>): MetricPair.MetricPair.Untyped =>
  ({ metricKey: key, metricState: state }) as MetricPair.MetricPair.Untyped

const tagged = (key: MetricKey.MetricKey<any>, tags: Readonly<Record<string, string>>): MetricKey.MetricKey<any> =>
  Object.entries(tags).reduce((tagged, [name, value]) => MetricKey.tagged(tagged, name, value), key)

const linesOf = (text: string, name: string) =>
  text.split("\n").filter((line) =>
    line.startsWith(name) || line.startsWith(`# HELP ${name}`) || line.startsWith(`# TYPE ${name}`)
  )

/** What a program does, as pairs and readings with nothing of other tests in them. */
const example = () => {
  const service = "golden payments"
  const listen = ResilienceMetrics.listener()
  const call = (operation: string, attempt = 1): ResilienceEvent.AttemptEnded["call"] => ({
    dependency: service,
    operation,
    requestId: "r-1",
    attempt,
    maxAttempts: 2,
    repeatable: true,
    key: undefined,
    criticality: "important",
    deadline: undefined
  })
  const outcome = { class: "Retryable", retryAfter: undefined, neverSent: false, status: "503" } as const
  const success = { ...outcome, class: "Success", status: "200" } as const
  const route = "POST \"quoted\"\\back\nslash"
  listen({ _tag: "AttemptEnded", at: 0, call: call(route), outcome, duration: Duration.millis(1234) })
  listen({ _tag: "AttemptEnded", at: 0, call: call(route, 2), outcome: success, duration: Duration.millis(250) })
  listen({
    _tag: "CallEnded",
    at: 0,
    call: call(route, 2),
    outcome: success,
    duration: Duration.millis(1484),
    attempts: 2
  })
  listen({
    _tag: "TimeoutFired",
    at: 0,
    call: call("GET /"),
    scope: "attempt",
    limit: Duration.seconds(1),
    inherited: false,
    delay: Duration.zero,
    late: false
  })
  const readings: ReadonlyArray<RegistryMetrics.Reading> = [
    { family: families.circuitState, labels: [service], value: 1 },
    { family: families.circuitSeconds, labels: [service, "closed"], value: 1.5 },
    { family: families.bulkheadActive, labels: [service], value: 7 },
    { family: families.retryBudget, labels: [service], value: Infinity }
  ]
  const own = Metric.unsafeSnapshot().filter(({ metricKey }) => metricKey.tags.some(({ value }) => value === service))
  return { own, readings }
}

describe("the text", () => {
  it("has every family with its help and its type, and the series in a fixed order", () => {
    const { own, readings } = example()
    same("exposition.txt", PrometheusText.format(own, readings))
  })

  it("states HELP and TYPE once for every family, also where nothing was counted", () => {
    const text = PrometheusText.format([], [])
    assert.deepStrictEqual(
      text.split("\n"),
      [
        ...all.flatMap(({ exposedAs, help, metric, type }) => [
          `# HELP ${metric} ${help}`,
          `# TYPE ${metric} ${exposedAs ?? type}`
        ]),
        ""
      ]
    )
  })

  it("a histogram is cumulative, ends with +Inf, and says its sum and its count", () => {
    const key = MetricKey.histogram("sizes", MetricBoundaries.fromIterable([1, 2.5]), "Sizes.")
    const metric = Metric.fromMetricKey(key)
    for (const size of [0.5, 1, 2, 3, 100]) {
      metric.unsafeUpdate(size, [])
    }
    const text = PrometheusText.format([pair(key, metric.unsafeValue([]))], [], { include: "all" })
    assert.deepStrictEqual(linesOf(text, "sizes"), [
      "# HELP sizes Sizes.",
      "# TYPE sizes histogram",
      "sizes_bucket{le=\"1\"} 2",
      "sizes_bucket{le=\"2.5\"} 3",
      "sizes_bucket{le=\"+Inf\"} 5",
      "sizes_sum 106.5",
      "sizes_count 5"
    ])
  })

  it("by default only Holdfast's families are told, on request all of the process", () => {
    const key = MetricKey.counter("orders", { incremental: true, description: "Orders \\ taken\nso far." })
    const pairs = [pair(key, MetricState.counter(3))]
    assert.notInclude(PrometheusText.format(pairs, []), "orders")
    assert.deepStrictEqual(linesOf(PrometheusText.format(pairs, [], { include: "all" }), "orders"), [
      "# HELP orders_total Orders \\\\ taken\\nso far.",
      "# TYPE orders_total counter",
      "orders_total 3"
    ])
  })

  it("the program's own metrics are made to fit, whatever they are called", () => {
    const text = PrometheusText.format(
      [
        pair(
          tagged(MetricKey.gauge("queue.depth/max"), { "queue-name": "a\"b", __meta: "x" }),
          MetricState.gauge(-0.5)
        ),
        pair(MetricKey.counter("5xx"), MetricState.counter(-2)),
        pair(MetricKey.counter("big", { bigint: true, incremental: true }), MetricState.counter(12n)),
        pair(MetricKey.gauge("limits"), MetricState.gauge(-Infinity)),
        pair(
          MetricKey.frequency("words"),
          MetricState.frequency(new Map([["hello", 2], ["bye", 1]]))
        ),
        pair(
          MetricKey.summary({ name: "waits", maxAge: "1 minute", maxSize: 10, error: 0.1, quantiles: [0.5] }),
          Metric.fromMetricKey(
            MetricKey.summary({ name: "waits", maxAge: "1 minute", maxSize: 10, error: 0.1, quantiles: [0.5] })
          ).unsafeValue([])
        ),
        pair(
          tagged(MetricKey.histogram("steps", MetricBoundaries.fromIterable([1])), { le: "mine" }),
          MetricState.histogram({ buckets: [[1, 1], [Infinity, 2]], count: 2, min: 0, max: 3, sum: 3 })
        )
      ],
      [],
      { include: "all" }
    )
    for (
      const line of [
        "queue_depth_max{queue_name=\"a\\\"b\",_meta=\"x\"} -0.5",
        "# HELP _5xx The metric 5xx, without a description.",
        "# TYPE _5xx gauge",
        "_5xx -2",
        "# TYPE big_total counter",
        "big_total 12",
        "limits -Inf",
        "# TYPE words_total counter",
        "words_total{key=\"hello\"} 2",
        "words_total{key=\"bye\"} 1",
        "# TYPE waits summary",
        "waits{quantile=\"0.5\"} NaN",
        "waits_sum 0",
        "waits_count 0",
        "steps_bucket{label_le=\"mine\",le=\"1\"} 1",
        "steps_bucket{label_le=\"mine\",le=\"+Inf\"} 2"
      ]
    ) {
      assert.include(text.split("\n"), line)
    }
  })

  it("what Effect keeps apart and Prometheus cannot is one series", () => {
    const histogram = (count: number) =>
      pair(
        MetricKey.histogram("spans", MetricBoundaries.fromIterable([1])),
        MetricState.histogram({ buckets: [[1, count], [Infinity, count]], count, min: 0, max: 1, sum: count / 2 })
      )
    const counter = (description: string, count: number) =>
      pair(MetricKey.counter("jobs", { description, incremental: true }), MetricState.counter(count))
    const gauge = (description: string, value: number) =>
      pair(MetricKey.gauge("level", { description }), MetricState.gauge(value))
    const text = PrometheusText.format(
      [
        histogram(2),
        counter("Jobs.", 3),
        gauge("Level.", 1),
        histogram(4),
        counter("Jobs, as somebody else sees them.", 4),
        gauge("The level.", 2)
      ],
      [],
      { include: "all" }
    )
    assert.deepStrictEqual(linesOf(text, "spans").slice(2), [
      "spans_bucket{le=\"1\"} 6",
      "spans_bucket{le=\"+Inf\"} 6",
      "spans_sum 3",
      "spans_count 6"
    ])
    assert.deepStrictEqual(linesOf(text, "jobs"), [
      "# HELP jobs_total Jobs.",
      "# TYPE jobs_total counter",
      "jobs_total 7"
    ])
    assert.deepStrictEqual(linesOf(text, "level").slice(2), ["level 2"])
  })

  it("a metric whose name is taken by another type is left out, and the text says so", () => {
    const text = PrometheusText.format(
      [pair(MetricKey.gauge(families.timeouts.metric), MetricState.gauge(1))],
      [],
      { include: "all" }
    )
    assert.deepStrictEqual(linesOf(text, "http_client_timeouts_total").slice(2), [])
    assert.include(
      text,
      "# The gauge http_client_timeouts_total is left out: http_client_timeouts_total is a counter.\n"
    )
  })

  const bounds = MetricBoundaries.fromIterable([1])
  const collisions = [
    pair(
      MetricKey.histogram("latency", bounds),
      MetricState.histogram({ buckets: [[1, 1], [Infinity, 1]], count: 1, min: 0, max: 1, sum: 1 })
    ),
    pair(MetricKey.gauge("latency_count"), MetricState.gauge(7)),
    pair(MetricKey.gauge("latency_sum"), MetricState.gauge(7)),
    pair(MetricKey.gauge("latency bucket"), MetricState.gauge(7)),
    pair(MetricKey.gauge("depth_count"), MetricState.gauge(8)),
    pair(
      MetricKey.summary({ name: "depth", maxAge: "1 minute", maxSize: 10, error: 0, quantiles: [0.5] }),
      MetricState.summary({ error: 0, quantiles: [[0.5, Option.some(1)]], count: 1, min: 1, max: 1, sum: 1 })
    ),
    pair(
      MetricKey.histogram("bulkhead_active", bounds),
      MetricState.histogram({ buckets: [[Infinity, 1]], count: 1, min: 0, max: 1, sum: 1 })
    )
  ]

  it("the lines of a histogram and of a summary have their names to themselves, whichever came first", () => {
    const text = PrometheusText.format(collisions, [], { include: "all" })
    assert.deepStrictEqual(linesOf(text, "latency"), [
      "# HELP latency The metric latency, without a description.",
      "# TYPE latency histogram",
      "latency_bucket{le=\"1\"} 1",
      "latency_bucket{le=\"+Inf\"} 1",
      "latency_sum 1",
      "latency_count 1"
    ])
    assert.deepStrictEqual(linesOf(text, "depth").slice(1), ["# TYPE depth_count gauge", "depth_count 8"])
    assert.deepStrictEqual(text.split("\n").filter((line) => line.includes("is left out")), [
      "# The gauge latency_count is left out: latency_count belongs to the histogram latency.",
      "# The gauge latency_sum is left out: latency_sum belongs to the histogram latency.",
      "# The gauge latency bucket is left out: latency_bucket belongs to the histogram latency.",
      "# The summary depth is left out: depth_count belongs to the gauge depth_count.",
      "# The histogram bulkhead_active is left out: bulkhead_active_count belongs to the untyped bulkhead_active_count."
    ])
  })

  it("whatever the names, labels and values are, every line is a comment or one sample of a series that is there once", () => {
    const text = fc.string({ unit: "binary", maxLength: 12 })
    const metric = fc.tuple(
      text,
      text,
      fc.dictionary(text, text, { maxKeys: 3 }),
      fc.double(),
      fc.constantFrom("counter", "up", "gauge", "histogram")
    )
    const sample =
      /^[a-zA-Z_][a-zA-Z0-9_]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]Inf|-?[0-9.]+(e[+-][0-9]+)?)$/
    fc.assert(
      fc.property(fc.array(metric, { maxLength: 12 }), (metrics) => {
        const pairs = metrics.map(([name, description, tags, value, type]) =>
          type === "histogram"
            ? pair(
              tagged(MetricKey.histogram(name, MetricBoundaries.fromIterable([1]), description), tags),
              MetricState.histogram({ buckets: [[1, 0], [Infinity, 1]], count: 1, min: value, max: value, sum: value })
            )
            : type === "gauge"
            ? pair(tagged(MetricKey.gauge(name, { description }), tags), MetricState.gauge(value))
            : pair(
              tagged(MetricKey.counter(name, { description, incremental: type === "counter" }), tags),
              MetricState.counter(value)
            )
        )
        const lines = PrometheusText.format(pairs, [], { include: "all" }).split("\n")
        assert.strictEqual(lines.pop(), "")
        const series = lines.filter((line) => !line.startsWith("#"))
        for (const line of series) {
          assert.match(line, sample)
        }
        const ids = series.map((line) => line.slice(0, line.lastIndexOf(" ")))
        assert.strictEqual(new Set(ids).size, ids.length)
        const types = lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[2])
        assert.strictEqual(new Set(types).size, types.length)
      }),
      { seed: 7, numRuns: 40 }
    )
  })

  it("another value of `include`, an option that is none, and what is no record are refused before anything is rendered", () => {
    for (
      const options of [{ include: "mine" }, { include: null }, { inclde: "all" }, null, "all"] as ReadonlyArray<any>
    ) {
      assert.throws(() => PrometheusText.format([], [], options), InvalidOptions)
      assert.throws(() => PrometheusText.render(options), InvalidOptions)
    }
  })
})

describe("what is rendered now", () => {
  class Warehouse extends Dependency.Service<Warehouse>()("rendered warehouse", { bulkhead: { maxConcurrent: 3 } }) {}

  it.effect("has the gauges of the registry in use, without a listener and without a call", () =>
    Effect.gen(function*() {
      const text = yield* PrometheusText.render()
      for (
        const line of [
          "circuit_breaker_state{service=\"rendered warehouse\"} 0",
          "circuit_breaker_trips_total{service=\"rendered warehouse\"} 0",
          "bulkhead_active_count{service=\"rendered warehouse\"} 0",
          "bulkhead_rejected_total{service=\"rendered warehouse\"} 0",
          "holdfast_bulkhead_capacity{service=\"rendered warehouse\"} 3"
        ]
      ) {
        assert.include(text.split("\n"), line)
      }
    }).pipe(Effect.provide(Layer.provideMerge(Warehouse.layer, DependencyRegistry.layer))))

  it.effect("has no gauge of a dependency that is gone, and keeps what was counted", () =>
    Effect.gen(function*() {
      class Gone extends Dependency.Service<Gone>()("rendered and gone") {}
      yield* Effect.provide(Effect.zipRight(PrometheusText.render(), Gone.call(Effect.void)), [
        Gone.layer,
        ResilienceMetrics.layer()
      ])
      const text = yield* PrometheusText.render()
      assert.notInclude(text, "circuit_breaker_state{service=\"rendered and gone\"}")
      assert.include(
        text,
        "holdfast_calls_total{service=\"rendered and gone\",endpoint=\"unnamed\",class=\"success\"} 1"
      )
    }).pipe(Effect.provide(DependencyRegistry.layer)))
})

describeWith("promtool", "promtool check metrics", () => {
  const check = async (text: string) =>
    assert.deepStrictEqual(await promtool(["check", "metrics"], text), { code: 0, output: "" })

  it("finds nothing wrong with the families that were not counted in yet", () => check(PrometheusText.format([], [])))

  it("finds nothing wrong with what a program counted, every family with a series", async () => {
    const { own, readings } = example()
    const missing = all.filter((family: Family) =>
      !readings.some((reading) => reading.family === family) &&
      !own.some(({ metricKey }) => metricKey.name === family.metric)
    )
    const rest = missing.map((family) => ({ family, labels: family.labels.map((label) => `a ${label}`), value: 1 }))
    const text = PrometheusText.format(own, [...readings, ...rest.filter(({ family }) => family.type !== "histogram")])
    assert.deepStrictEqual(rest.filter(({ family }) => family.type === "histogram"), [])
    await check(text)
  })

  it("finds a name that it does not like, and a family without help, so that its silence means something", async () => {
    const text = PrometheusText.format([], [{ family: families.bulkheadActive, labels: ["a"], value: 1 }])
    const gauge = await promtool(
      ["check", "metrics"],
      text.replace("bulkhead_active_count untyped", "bulkhead_active_count gauge")
    )
    assert.strictEqual(gauge.code, 3)
    assert.include(gauge.output, "bulkhead_active_count")
    const helpless = await promtool(["check", "metrics"], text.replace(/# HELP bulkhead_active_count.*\n/, ""))
    assert.strictEqual(helpless.code, 3)
  })
})
