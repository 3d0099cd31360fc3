/**
 * Functions of every package that read options, each with values that it accepts.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Core from "@holdfast/core"
import * as Http from "@holdfast/http"
import * as UndiciDispatcher from "@holdfast/http/UndiciDispatcher"
import * as Metrics from "@holdfast/metrics"
import * as Testkit from "@holdfast/testkit"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"

/** JavaScript knows no types: everything may be given. */
type Make = (...values: ReadonlyArray<any>) => unknown

/** A function with arguments that it accepts, every option given. */
export interface Row {
  readonly owner: string
  readonly make: Make
  readonly values: ReadonlyArray<unknown>
}

const row = (owner: string, make: unknown, ...values: ReadonlyArray<unknown>): Row => ({
  owner,
  make: make as Make,
  values
})

const built = (layer: unknown) => Effect.scoped(Layer.build(layer as Layer.Layer<unknown>))

const layered = (make: unknown): Make => (...values) => built((make as Make)(...values))

const when = () => true
const text = () => "key"
const policy = Core.Timeout.make("1 second")
const bulkhead = { maxConcurrent: 2, maxQueue: 1, maxWait: "1 second" }
const breaker = {
  tripPolicy: { _tag: "FailureRate", threshold: 0.5, window: { _tag: "Calls", size: 10 }, minimumCalls: 5 },
  openDuration: "10 seconds",
  maxOpenDuration: "1 minute",
  openJitter: 0.1,
  probes: 1,
  successThreshold: 1,
  probeTimeout: "1 second",
  when: ["Retryable"],
  dryRun: false
}
const circuitBreaker = { ...breaker, scope: "call" }
const rate = { rate: 5, per: "1 second", capacity: 5 }
const standard = {
  totalTimeout: "10 seconds",
  rateLimiter: { ...rate, maxWait: "1 second", scope: "call" },
  bulkhead,
  circuitBreaker,
  retry: { maxRetries: 1, budget: { percent: 0.2, minimumPerSecond: 1, ttl: "10 seconds" }, when: ["Retryable"] },
  attemptTimeout: "1 second",
  chaos: false,
  classify: Core.Failure.classify
}
const draw = { probability: 0.5, dependency: ["a"], when, during: { from: "0 seconds", to: "1 minute" } }

let names = 0

const core: ReadonlyArray<Row> = [
  row("Backoff.constant", Core.Backoff.constant, "1 second", { jitter: { factor: 0.1 } }),
  row("Backoff.decorrelated", Core.Backoff.decorrelated, "1 second", { cap: "1 minute" }),
  row("Backoff.exponential", Core.Backoff.exponential, "1 second", { factor: 2, cap: "1 minute", jitter: "none" }),
  row("Bulkhead.make", Core.Bulkhead.make, { name: "b", dependency: "d", ...bulkhead }),
  row(
    "Bulkhead.resize",
    (limits: any) => Effect.flatMap(Core.Bulkhead.make({ name: "b", maxConcurrent: 1 }), (one) => one.resize(limits)),
    bulkhead
  ),
  row("Chaos.make", Core.Chaos.make, { name: "c", dependency: "d", failure: () => 1, answer: () => 1 }),
  row("Chaos.layer", layered(Core.Chaos.layer), {
    faults: [Core.Fault.hang()],
    seed: "seed",
    inProduction: false,
    blastRadius: { concurrent: 1, share: 0.5, injections: 5 }
  }),
  row(
    "Chaos.inject",
    (faults: any) => Effect.scoped(Core.Chaos.inject(faults)).pipe(Effect.provide(Core.Chaos.layer())),
    [Core.Fault.hang()]
  ),
  row("ChaosCheck.check", Core.ChaosCheck.check, "says", when),
  row("ChaosCheck.every", Core.ChaosCheck.every, "says", when),
  row("ChaosCheck.most", Core.ChaosCheck.most, "says", 0.9, when),
  row("ChaosCheck.moreThan", Core.ChaosCheck.moreThan, "says", 3, when),
  row("ChaosCheck.within", Core.ChaosCheck.within, "says", "1 second", 0.5),
  row("ChaosExperiment.make", Core.ChaosExperiment.make, "experiment", {
    hypothesis: "it holds",
    faults: [Core.Fault.hang()],
    steadyState: [Core.ChaosCheck.every("says", when)],
    expect: [Core.ChaosCheck.every("says", when)],
    abortWhen: [Core.ChaosCheck.moreThan("says", 3, when)],
    probes: 2,
    every: "1 second",
    longest: "1 minute",
    recoverWithin: "1 minute"
  }),
  row("CircuitBreaker.any", Core.CircuitBreaker.any, { _tag: "Consecutive", failures: 5 }),
  row("CircuitBreaker.consecutive", Core.CircuitBreaker.consecutive, 5),
  row("CircuitBreaker.failures", Core.CircuitBreaker.failures, 5, { within: "1 minute" }),
  row("CircuitBreaker.failureRate", Core.CircuitBreaker.failureRate, {
    threshold: 0.5,
    window: { calls: 10 },
    minimumCalls: 5
  }),
  row("CircuitBreaker.failureRate", Core.CircuitBreaker.failureRate, {
    threshold: 0.5,
    window: "10 seconds",
    minimumCalls: 5
  }),
  row("CircuitBreaker.slowCallRate", Core.CircuitBreaker.slowCallRate, {
    threshold: 0.5,
    window: "10 seconds",
    minimumCalls: 5,
    slowerThan: "1 second"
  }),
  row("CircuitBreaker.make", Core.CircuitBreaker.make, {
    ...breaker,
    name: "b",
    dependency: "d",
    classify: Core.Failure.classify
  }),
  row(
    "CircuitBreaker.reconfigure",
    (change: any) => Effect.flatMap(Core.CircuitBreaker.make({ name: "b" }), (one) => one.reconfigure(change)),
    { openDuration: "1 second", dryRun: true }
  ),
  row(
    "Dependency.Service",
    (name: any, options: any) =>
      built((class Payments extends Core.Dependency.Service<Payments>()(name, options) {}).layer),
    "d",
    {
      ...standard,
      operations: { charge: { repeatable: true, criticality: "critical", retry: { maxRetries: 1 }, bulkhead } }
    }
  ),
  row("Diagnosis.now", (context: any) => Core.Diagnosis.now(context).pipe(Effect.provide(Core.Figures.layer())), {
    sla: "1 second",
    slaOf: { d: "1 second" },
    sustained: "1 minute",
    blip: "1 second"
  }),
  row("Failure.byTag", Core.Failure.byTag, { Busy: "Retryable" }),
  row("Fallback.make", Core.Fallback.make, {
    name: "f",
    dependency: "d",
    tiers: [Core.Fallback.value(1)],
    classify: Core.Failure.classify
  }),
  row("Fallback.value", (options: any) => Core.Fallback.value(1, options), { name: "v", notice: text, when }),
  row("Fallback.cached", Core.Fallback.cached, {
    name: "c",
    key: text,
    capacity: 5,
    serveFor: "1 minute",
    freshFor: "1 second",
    notice: text,
    when
  }),
  row("Fault.failure", Core.Fault.failure, draw),
  row("Fault.hang", Core.Fault.hang, draw),
  row("Fault.answer", Core.Fault.answer, draw),
  row("Fault.latency", Core.Fault.latency, { mean: "5 millis", deviation: "1 millis", largest: "20 millis" }, draw),
  row("Fault.latency", Core.Fault.latency, { from: "5 millis", to: "10 millis" }, draw),
  row("Figures.make", Core.Figures.make, { window: "1 minute", latencyWindow: "1 hour", slowerThan: "1 second" }),
  row("Health.make", (options: any) => Core.Health.make(options), {
    stuckAfter: "1 minute",
    unprovenAfter: "1 hour",
    fallbacks: []
  }),
  row("Keyed.make", Core.Keyed.make, { name: "k", capacity: 5, idle: "1 minute", make: () => Effect.succeed(policy) }),
  row("LatencyBudget.make", Core.LatencyBudget.make, {
    sla: "5 seconds",
    overhead: "1 second",
    timeout: "1 second",
    maxRetries: 1,
    backoff: "1 second"
  }),
  row("LatencyBudget.worstCase", Core.LatencyBudget.worstCase, {
    timeout: "1 second",
    maxRetries: 1,
    backoff: "1 second"
  }),
  row("LatencyBudget.amplification", Core.LatencyBudget.amplification, [1, 2]),
  row("LatencyBudget.cascade", Core.LatencyBudget.cascade, [{
    name: "a",
    overhead: "0 seconds",
    timeout: "1 second",
    maxRetries: 1,
    backoff: "1 milli"
  }]),
  row("LatencyBudget.checkStack", Core.LatencyBudget.checkStack, {
    cdn: "10 seconds",
    loadBalancer: "10 seconds",
    proxy: "10 seconds",
    app: "10 seconds",
    database: "1 second",
    probes: [{ name: "p", timeout: "1 second", period: "10 seconds", failureThreshold: 3 }]
  }),
  row("Policy.lint", Core.Policy.lint, policy, {
    sla: "5 seconds",
    overhead: "1 second",
    pool: { size: 5, maxWait: "1 second" },
    callerTimeout: "10 seconds",
    downstreamTimeout: "1 second",
    processCapacity: 100,
    measured: { p99: "1 second" },
    retriesAround: [1],
    health: { dependsOn: ["d"], instances: 3 }
  }),
  row("Policy.make", Core.Policy.make, "p", (effect: unknown) => effect),
  row("Policy.compose", Core.Policy.compose, policy),
  row(
    "Policy.standard",
    (name: any, options: any) =>
      Core.Policy.standard(typeof name === "string" && name !== "" ? `${name}${names++}` : name, options),
    "s",
    standard
  ),
  row("RateLimiter.make", Core.RateLimiter.make, {
    name: "r",
    ...rate,
    maxWait: "1 second",
    maxQueue: 5,
    maximumKeys: 10,
    tiers: { gold: rate },
    tierOf: () => "gold",
    bypass: when,
    dryRun: false,
    dependency: "d"
  }),
  row("ResilienceLog.make", (options: any) => Effect.scoped(Core.ResilienceLog.make(options)), { every: "1 minute" }),
  row("Retry.make", Core.Retry.make, {
    maxRetries: 1,
    schedule: Core.Backoff.constant(1),
    when: ["Retryable"],
    classify: Core.Failure.classify,
    maxRetryAfter: "1 minute",
    name: "r",
    dependency: "d",
    discard: () => Effect.void
  }),
  row("RetryBudget.make", Core.RetryBudget.make, { percent: 0.2, minimumPerSecond: 1, ttl: "10 seconds" }),
  row("RetryBudget.throttle", Core.RetryBudget.throttle, { maxTokens: 10, tokenRatio: 0.1 }),
  row("Timeout.make", Core.Timeout.make, "1 second", { scope: "total", disconnect: true, name: "t", dependency: "d" }),
  row("Timeout.fromLatency", Core.Timeout.fromLatency, { p99: "1 second" }),
  row("Tuning.now", (context: any) => Core.Tuning.now(context).pipe(Effect.provide(Core.Figures.layer())), {
    sla: "1 second",
    overhead: "0 seconds",
    backoff: "1 milli"
  })
]

const client = HttpClient.make(() => Effect.never)
const admission = { name: "a", ...bulkhead, retryAfter: "1 second", exempt: when }
const problem = { statuses: { CircuitOpen: 503 }, expose: false, retryAfter: "1 second" }
const address = { trustedProxies: 1, header: "x-forwarded-for" }

const http: ReadonlyArray<Row> = [
  row("ClientAddress.make", Http.ClientAddress.make, address),
  row("ClientAddress.middleware", Http.ClientAddress.middleware, address),
  row("HttpAdmission.make", Http.HttpAdmission.make, admission),
  row("HttpDeadline.middleware", Http.HttpDeadline.middleware, {
    limit: "10 seconds",
    reserve: "1 second",
    header: "x-d"
  }),
  row("HttpDrain.make", (o: any) => Effect.scoped(Http.HttpDrain.make(o) as any), {
    timeout: "1 second",
    announce: "1 second",
    retryAfter: "1 second",
    exempt: when
  }),
  row("HttpFailure.make", Http.HttpFailure.make, {
    statuses: { 404: "Retryable" },
    longestRetryAfter: "1 hour",
    otherwise: Core.Failure.classify
  }),
  row("HttpProblem.make", Http.HttpProblem.make, problem),
  row("HttpProblem.middleware", Http.HttpProblem.middleware, problem),
  row("HttpRateLimit.make", Http.HttpRateLimit.make, {
    ...rate,
    name: "default",
    key: text,
    trustedProxies: 1,
    maximumKeys: 10,
    tiers: { gold: rate },
    tierOf: () => "gold",
    cost: 1,
    exempt: when,
    maxWait: "1 second",
    dryRun: false,
    logEvery: "1 second",
    showKey: text
  }),
  row("HttpResilience.withPolicy", (options: any) => Http.HttpResilience.withPolicy(client, policy, options), {
    until: "body",
    bodyLimit: 5,
    idleTimeout: "1 second",
    headersTimeout: "1 second",
    idempotencyKey: {
      header: "idempotency-key",
      form: "bare",
      create: Effect.succeed("x"),
      methods: ["POST"],
      retryConflict: true
    },
    replayableBody: true,
    operation: text,
    key: text,
    facts: () => ({}),
    statuses: { 404: "Retryable" },
    classify: Core.Failure.classify,
    longestRetryAfter: "1 hour",
    headers: { deadline: "x-d", attempt: "x-a" }
  }),
  row("UndiciDispatcher.make", (o: any) => Effect.scoped(UndiciDispatcher.make(o) as any), {
    connections: 5,
    connectTimeout: "1 second",
    poolTimeout: "1 second",
    headersTimeout: "1 second",
    bodyTimeout: "1 second",
    maxConnectionAge: "1 minute",
    keepAliveTimeout: "1 second"
  })
]

const metrics: ReadonlyArray<Row> = [
  row("RegistryMetrics.layer", layered(Metrics.RegistryMetrics.layer), { every: "5 seconds" }),
  row("ResilienceMetrics.layer", layered(Metrics.ResilienceMetrics.layer), { maximumLabelValues: 5 })
]

const testkit: ReadonlyArray<Row> = [
  row("FaultProxy.make", (upstream: any) => Effect.scoped(Testkit.FaultProxy.make({ upstream })), "127.0.0.1:1"),
  row("Toxic.bandwidth", (rate: any, toxicity: any) => Testkit.Toxic.bandwidth({ rate, toxicity }), 1, 0.5),
  row(
    "Toxic.latency",
    (latency: any, jitter: any) => Testkit.Toxic.latency({ latency, jitter }),
    "1 second",
    "1 second"
  ),
  row("Toxic.limitData", (bytes: any) => Testkit.Toxic.limitData({ bytes }), 1),
  row("Toxic.resetPeer", (after: any) => Testkit.Toxic.resetPeer({ after }), "1 second"),
  row(
    "Toxic.slicer",
    (averageSize: any, sizeVariation: any, delay: any) => Testkit.Toxic.slicer({ averageSize, sizeVariation, delay }),
    5,
    1,
    "1 millis"
  ),
  row("Toxic.slowClose", (delay: any) => Testkit.Toxic.slowClose({ delay }), "1 second"),
  row("Toxic.timeout", (after: any) => Testkit.Toxic.timeout({ after }), "1 second"),
  row(
    "Toxic.decode",
    (type: any, latency: any, name: any, stream: any, toxicity: any) =>
      Either.getOrThrowWith(
        Testkit.Toxic.decode({ type, name, stream, toxicity, attributes: { latency } }),
        (error) => error
      ),
    "latency",
    5,
    "t",
    "upstream",
    0.5
  )
]

/** By package. */
export const rows = { core, http, metrics, testkit }
