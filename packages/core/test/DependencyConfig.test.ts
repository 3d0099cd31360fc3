import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import { InvalidSettings } from "@holdfast/core/LiveDependency"
import { InvalidOptions } from "@holdfast/core/Options"
import type * as Policy from "@holdfast/core/Policy"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { variable } from "../src/internal/settingsPaths.js"

class Payments extends Dependency.Service<Payments>()("payments", {
  bulkhead: { maxConcurrent: 20, maxQueue: 5 },
  operations: { "GET /charges/:id": { attemptTimeout: "1 second", retry: { maxRetries: 4 } }, charge: {} }
}) {}

const variables = (record: Record<string, string>) =>
  ConfigProvider.fromMap(new Map(Object.entries(record)), { pathDelim: "_" })

const building = <A, E>(layer: Layer.Layer<A, E>, provider: ConfigProvider.ConfigProvider) =>
  Layer.build(layer).pipe(
    Effect.withConfigProvider(provider),
    Effect.provide(DependencyRegistry.layer),
    Effect.provide(Logger.replace(Logger.defaultLogger, Logger.none))
  )

const settingsOf = (policy: Policy.Policy.Any): Record<string, any> =>
  Object.fromEntries(policy.steps.map(({ policy, settings }) => [policy.replace(/^.*\./, ""), settings]))

const policyFrom = (record: Record<string, string>, operation?: string) =>
  Effect.scoped(Effect.gen(function*() {
    const context = yield* building(Payments.layerConfig(), variables(record))
    return settingsOf(
      yield* Effect.provide(Effect.flatMap(Payments, (payments) => payments.policy(operation)), context)
    )
  }))

const refused = (record: Record<string, string>) =>
  Effect.map(Effect.flip(policyFrom(record)), (error) => {
    assert.instanceOf(error, InvalidSettings)
    return error
  })

const allNumbers = {
  TOTAL_TIMEOUT: "20 seconds",
  ATTEMPT_TIMEOUT: "1500 millis",
  BULKHEAD_MAX_CONCURRENT: "7",
  BULKHEAD_MAX_QUEUE: "9",
  BULKHEAD_MAX_WAIT: "250 millis",
  RETRY_MAX_RETRIES: "1",
  RETRY_BACKOFF_BASE: "100 millis",
  RETRY_BACKOFF_FACTOR: "3",
  RETRY_BACKOFF_CAP: "1 second",
  RETRY_BACKOFF_JITTER: "0.2",
  RETRY_BUDGET_PERCENT: "0.1",
  RETRY_BUDGET_MINIMUM_PER_SECOND: "2",
  RETRY_BUDGET_TTL: "20 seconds",
  CIRCUIT_BREAKER_OPEN_DURATION: "15 seconds",
  CIRCUIT_BREAKER_OPEN_JITTER: "0",
  CIRCUIT_BREAKER_MAX_OPEN_DURATION: "1 minute",
  CIRCUIT_BREAKER_PROBES: "2",
  CIRCUIT_BREAKER_SUCCESS_THRESHOLD: "3",
  CIRCUIT_BREAKER_PROBE_TIMEOUT: "4 seconds",
  CIRCUIT_BREAKER_DRY_RUN: "true",
  CIRCUIT_BREAKER_CONSECUTIVE_FAILURES: "8",
  CIRCUIT_BREAKER_FAILURE_RATE_THRESHOLD: "0.4",
  CIRCUIT_BREAKER_FAILURE_RATE_WINDOW: "100 calls",
  CIRCUIT_BREAKER_FAILURE_RATE_MINIMUM_CALLS: "30",
  OPERATIONS_GET_CHARGES_ID_ATTEMPT_TIMEOUT: "700 millis",
  OPERATIONS_GET_CHARGES_ID_RETRY_MAX_RETRIES: "0"
}

const prefixed = (prefix: string, record: Record<string, string>) =>
  Object.fromEntries(Object.entries(record).map(([name, text]) => [`${prefix}_${name}`, text]))

describe("Dependency.layerConfig", () => {
  it.effect("without any variable it is the declaration", () =>
    Effect.gen(function*() {
      const settings = yield* policyFrom({})
      assert.strictEqual(settings.totalTimeout.limitMillis, 10_000)
      assert.strictEqual(settings.bulkhead.maxConcurrent, 20)
    }))

  it.scoped("environment variables alone set every number", () =>
    Effect.gen(function*() {
      // The real environment, under a prefix that nobody else has.
      const names = prefixed("HOLDFAST_TEST_EVERY", allNumbers)
      yield* Effect.acquireRelease(
        Effect.sync(() => Object.assign(process.env, names)),
        () => Effect.sync(() => Object.keys(names).forEach((name) => delete process.env[name]))
      )
      const context = yield* building(Payments.layerConfig("HOLDFAST_TEST_EVERY"), ConfigProvider.fromEnv())
      const { policy } = yield* Effect.provide(Payments, context)
      const settings = settingsOf(yield* policy())
      assert.strictEqual(settings.totalTimeout.limitMillis, 20_000)
      assert.strictEqual(settings.attemptTimeout.limitMillis, 1500)
      assert.deepStrictEqual(settings.bulkhead, { maxConcurrent: 7, maxQueue: 9, maxWaitMillis: 250 })
      const { backoff, ...retry } = settings.retry
      assert.deepStrictEqual(retry, {
        maxRetries: 1,
        budget: { percent: 0.1, minimumPerSecond: 2, ttlMillis: 20_000 }
      })
      assert.deepStrictEqual(
        [backoff.kind, backoff.baseMillis, backoff.factor, backoff.capMillis, backoff.jitter],
        ["exponential", 100, 3, 1000, { factor: 0.2 }]
      )
      assert.deepStrictEqual(settings.circuitBreaker, {
        tripPolicy: CircuitBreaker.any(
          CircuitBreaker.failureRate({ threshold: 0.4, window: { calls: 100 }, minimumCalls: 30 }),
          CircuitBreaker.consecutive(8)
        ),
        openMillis: 15_000,
        openJitter: 0,
        maxOpenMillis: 60_000,
        probes: 2,
        successThreshold: 3,
        probeTimeoutMillis: 4000,
        dryRun: true
      })
      const lookup = settingsOf(yield* policy("GET /charges/:id"))
      assert.strictEqual(lookup.attemptTimeout.limitMillis, 700)
      assert.strictEqual(lookup.retry.maxRetries, 0)
    }))

  it.effect("numbers of other trip policies and backoffs have variables too", () =>
    Effect.scoped(Effect.gen(function*() {
      class Search extends Dependency.Service<Search>()("search", {
        circuitBreaker: {
          tripPolicy: CircuitBreaker.any(
            CircuitBreaker.failures(5, { within: "10 seconds" }),
            CircuitBreaker.slowCallRate({
              slowerThan: "1 second",
              threshold: 0.5,
              window: { calls: 10 },
              minimumCalls: 5
            }),
            CircuitBreaker.consecutive(9),
            CircuitBreaker.consecutive(11)
          )
        },
        retry: { schedule: Backoff.decorrelated("100 millis", { cap: "1 second" }) },
        rateLimiter: { rate: 10 },
        operations: { poll: { retry: { schedule: Backoff.constant("1 second") } } }
      }) {}
      const context = yield* building(
        Search.layerConfig("S"),
        variables({
          S_CIRCUIT_BREAKER_FAILURES_FAILURES: "6",
          S_CIRCUIT_BREAKER_FAILURES_WITHIN: "20 seconds",
          S_CIRCUIT_BREAKER_SLOW_CALL_RATE_SLOWER_THAN: "2 seconds",
          S_CIRCUIT_BREAKER_SLOW_CALL_RATE_WINDOW: "1 minute",
          S_CIRCUIT_BREAKER_CONSECUTIVE2_FAILURES: "12",
          S_RETRY_BACKOFF_BASE: "50 millis",
          S_RATE_LIMITER_RATE: "600",
          S_RATE_LIMITER_PER: "1 minute",
          S_RATE_LIMITER_CAPACITY: "20",
          S_RATE_LIMITER_MAX_WAIT: "1 second",
          S_RATE_LIMITER_MAX_QUEUE: "3",
          S_OPERATIONS_POLL_RETRY_BACKOFF_BASE: "2 seconds",
          S_OPERATIONS_POLL_RETRY_BACKOFF_JITTER: "none"
        })
      )
      const { policy } = yield* Effect.provide(Search, context)
      const settings = settingsOf(yield* policy())
      assert.deepStrictEqual(
        settings.circuitBreaker.tripPolicy,
        CircuitBreaker.any(
          CircuitBreaker.failures(6, { within: "20 seconds" }),
          CircuitBreaker.slowCallRate({ slowerThan: "2 seconds", threshold: 0.5, window: "1 minute", minimumCalls: 5 }),
          CircuitBreaker.consecutive(9),
          CircuitBreaker.consecutive(12)
        )
      )
      assert.strictEqual(settings.retry.backoff.kind, "decorrelated")
      assert.strictEqual(settings.retry.backoff.baseMillis, 50)
      assert.deepStrictEqual(settings.rateLimiter, {
        capacity: 20,
        perSecond: 10,
        maxWaitMillis: 1000,
        maxQueue: 3,
        maximumKeys: undefined
      })
      const { backoff } = settingsOf(yield* policy("poll")).retry
      assert.deepStrictEqual([backoff.kind, backoff.baseMillis, backoff.jitter], ["constant", 2000, "none"])
    })))

  it.effect("a declared slot can be switched off", () =>
    Effect.gen(function*() {
      const settings = yield* policyFrom({
        PAYMENTS_BULKHEAD: "off",
        PAYMENTS_CIRCUIT_BREAKER: "OFF",
        PAYMENTS_TOTAL_TIMEOUT: "off",
        PAYMENTS_RETRY: "on",
        PAYMENTS_RATE_LIMITER: "off"
      })
      assert.deepStrictEqual(Object.keys(settings), ["retry", "attemptTimeout"])
    }))

  it.effect("wrong values are reported all at once, with path, value and what is allowed", () =>
    Effect.gen(function*() {
      const error = yield* refused({
        PAYMENTS_TOTAL_TIMEOUT: "2 secnds",
        PAYMENTS_ATTEMPT_TIMEOUT: "0 millis",
        PAYMENTS_BULKHEAD: "maybe",
        PAYMENTS_BULKHEAD_MAX_CONCURRENT: "twenty",
        PAYMENTS_BULKHEAD_MAX_QUEUE: "-1",
        PAYMENTS_RETRY_MAX_RETRIES: "1.5",
        PAYMENTS_RETRY_MAX_RETRYS: "2",
        PAYMENTS_RETRY_BACKOFF_FACTOR: "0",
        PAYMENTS_RETRY_BACKOFF_JITTER: "some",
        PAYMENTS_RETRY_BUDGET_TTL: "1 hour",
        PAYMENTS_CIRCUIT_BREAKER_DRY_RUN: "yes",
        PAYMENTS_CIRCUIT_BREAKER_FAILURE_RATE_THRESHOLD: "50",
        PAYMENTS_CIRCUIT_BREAKER_FAILURE_RATE_WINDOW: "100 call-ups",
        PAYMENTS_RATE_LIMITER_RATE: "10",
        PAYMENTS_OPERATIONS_GET_CHARGES_ID_ATTEMPT_TIMEOUT: "soon",
        PAYMENTS_OPERATIONS_CHARGE_ATTEMPT_TIMEOUT: "1 second",
        PAYMENTS_URL: "https://payments.example"
      })
      assert.strictEqual(
        error.message,
        `The settings of payments are wrong:
  PAYMENTS_TOTAL_TIMEOUT is "2 secnds", allowed is a duration, such as "2 seconds", or off
  PAYMENTS_BULKHEAD_MAX_CONCURRENT is "twenty", allowed is a number in digits, such as 20 or 0.5
  PAYMENTS_BULKHEAD is "maybe", allowed is on or off; its numbers have variables of their own
  PAYMENTS_CIRCUIT_BREAKER_DRY_RUN is "yes", allowed is true or false
  PAYMENTS_CIRCUIT_BREAKER_FAILURE_RATE_WINDOW is "100 call-ups", allowed is a duration or a number of calls, such as "30 seconds" or "100 calls"
  PAYMENTS_CIRCUIT_BREAKER_FAILURE_RATE_THRESHOLD is "50", allowed is a share above 0 and up to 1; 0.5 is half
  PAYMENTS_RETRY_BACKOFF_JITTER is "some", allowed is full, equal, none, or a share such as 0.2
  PAYMENTS_RETRY_BACKOFF_FACTOR is "0", allowed is a number from 1 to 1000
  PAYMENTS_OPERATIONS_GET_CHARGES_ID_ATTEMPT_TIMEOUT is "soon", allowed is a duration, such as "2 seconds", or off
  PAYMENTS_OPERATIONS_CHARGE_ATTEMPT_TIMEOUT is "1 second", allowed is nothing: the operation charge does not declare attemptTimeout, and only its declaration can add a slot
  PAYMENTS_RATE_LIMITER_RATE is "10", allowed is nothing: payments does not declare rateLimiter, and only its declaration can add a slot
  PAYMENTS_RETRY_MAX_RETRYS is "2": unknown setting; did you mean PAYMENTS_RETRY_MAX_RETRIES?
  PAYMENTS_BULKHEAD_MAX_QUEUE is "-1", allowed is a whole number from 0 to 1000000
  PAYMENTS_RETRY_BUDGET_TTL is "1 hour", allowed is a duration from 1s to 1m, such as "2 seconds"
  PAYMENTS_RETRY_MAX_RETRIES is "1.5", allowed is a whole number from 0 to 1000
  PAYMENTS_ATTEMPT_TIMEOUT is "0 millis", allowed is a finite duration of 1ms or more, such as "2 seconds"`
      )
      assert.deepStrictEqual(error.findings[0], {
        path: "PAYMENTS_TOTAL_TIMEOUT",
        value: "2 secnds",
        allowed: "a duration, such as \"2 seconds\", or off"
      })
    }))

  it.effect("numbers are written in digits: what another reader would take for 0 or 1 is refused", () =>
    Effect.gen(function*() {
      for (const text of ["0x10", "1e3", "0b1", "0o7", "Infinity", "+7", "1_000", "7 calls", ""]) {
        const { findings } = yield* refused({ PAYMENTS_BULKHEAD_MAX_CONCURRENT: text })
        assert.deepStrictEqual(findings, [
          {
            path: "PAYMENTS_BULKHEAD_MAX_CONCURRENT",
            value: text,
            allowed: "a number in digits, such as 20 or 0.5"
          }
        ])
      }
      const { circuitBreaker } = yield* policyFrom({ PAYMENTS_CIRCUIT_BREAKER_OPEN_JITTER: ".25" })
      assert.strictEqual(circuitBreaker.openJitter, 0.25)
    }))

  it.effect("a setting that nothing knows is told with the full name of the one that was meant, else of all", () =>
    Effect.gen(function*() {
      const allowed = (record: Record<string, string>) =>
        Effect.map(refused(record), ({ findings }) => findings.map((finding) => finding.allowed))
      assert.deepStrictEqual(yield* allowed({ PAYMENTS_BULKHEAD_MAXCONCURRENT: "7" }), [
        "unknown setting; did you mean PAYMENTS_BULKHEAD_MAX_CONCURRENT?"
      ])
      assert.deepStrictEqual(yield* allowed({ PAYMENTS_BULKHEAD_COLOUR: "red" }), [
        "unknown setting; the settings are PAYMENTS_BULKHEAD, PAYMENTS_BULKHEAD_MAX_CONCURRENT, PAYMENTS_BULKHEAD_MAX_QUEUE, " +
        "PAYMENTS_BULKHEAD_MAX_WAIT"
      ])
    }))

  describe("the documented names are read, however the provider splits them", () => {
    const flat = { PAYMENTS_BULKHEAD_MAX_CONCURRENT: "7", PAYMENTS_RETRY_BACKOFF_BASE: "50 millis" }
    const nested = { PAYMENTS: { BULKHEAD: { MAX_CONCURRENT: "7" }, RETRY: { BACKOFF: { BASE: "50 millis" } } } }
    const providers: Record<string, ConfigProvider.ConfigProvider> = {
      "a map": ConfigProvider.fromMap(new Map(Object.entries(flat))),
      "a map with a delimiter": variables(flat),
      "a flat record": ConfigProvider.fromJson(flat),
      "a nested record": ConfigProvider.fromJson(nested),
      "a record below the prefix": ConfigProvider.fromJson({
        PAYMENTS: { BULKHEAD_MAX_CONCURRENT: "7", RETRY: { BACKOFF_BASE: "50 millis" } }
      }),
      "one provider behind another": ConfigProvider.orElse(
        ConfigProvider.fromMap(new Map()),
        () => ConfigProvider.fromJson(nested)
      )
    }
    for (const [name, provider] of Object.entries(providers)) {
      it.effect(name, () =>
        Effect.scoped(Effect.gen(function*() {
          const context = yield* building(Payments.layerConfig(), provider)
          const policy = yield* Effect.provide(Effect.flatMap(Payments, (payments) => payments.policy()), context)
          const { bulkhead, retry } = settingsOf(policy)
          assert.strictEqual(bulkhead.maxConcurrent, 7)
          assert.strictEqual(retry.backoff.baseMillis, 50)
        })))
    }

    it.effect("a wrong value and a misspelt name are refused in each of them", () =>
      Effect.gen(function*() {
        const wrong = [
          ConfigProvider.fromMap(new Map([["PAYMENTS_TOTAL_TIMEOUT", "soon"], ["PAYMENTS_RETRY_MAX_RETRYS", "2"]])),
          ConfigProvider.fromJson({ PAYMENTS: { TOTAL: { TIMEOUT: "soon" }, RETRY: { MAX: { RETRYS: "2" } } } })
        ]
        for (const provider of wrong) {
          const error = yield* Effect.flip(Effect.scoped(building(Payments.layerConfig(), provider)))
          assert.instanceOf(error, InvalidSettings)
          assert.deepStrictEqual(error.findings.map(({ path }) => path), [
            "PAYMENTS_TOTAL_TIMEOUT",
            "PAYMENTS_RETRY_MAX_RETRYS"
          ])
        }
      }))

    it.effect("two values of one setting are refused", () =>
      Effect.gen(function*() {
        const provider = ConfigProvider.fromJson({ ...nested, PAYMENTS_BULKHEAD_MAX_CONCURRENT: "9" })
        const error = yield* Effect.flip(Effect.scoped(building(Payments.layerConfig(), provider)))
        assert.include(String(error.message), "PAYMENTS_BULKHEAD_MAX_CONCURRENT is [\"7\",\"9\"], allowed is one value")
      }))
  })

  describe("the provider may call the names otherwise than the program", () => {
    const flat = (spell: (name: string) => string) => (name: string, text: string) =>
      ConfigProvider.fromMap(new Map([[spell(name), text]]))
    const record =
      (spell: (word: string) => string, split: (name: string) => ReadonlyArray<string>) =>
      (name: string, text: string): ConfigProvider.ConfigProvider =>
        ConfigProvider.fromJson(split(name).reduceRight<unknown>((inner, word) => ({ [spell(word)]: inner }), text))
    const words = (name: string) => name.split("_")
    const whole = (name: string) => [name]
    const sections = (name: string) => name.split(/_(?=BULKHEAD|MAX)/)
    const same = (name: string) => name
    const lower = (name: string) => name.toLowerCase()
    const kebab = (name: string) => lower(name).replaceAll("_", "-")
    const billing = (name: string) => name.replace("PAYMENTS", "billing")
    const nest = ConfigProvider.nested("APP")
    const below = (name: string) => ["APP", ...words(name)]

    const providers: Record<string, (name: string, text: string) => ConfigProvider.ConfigProvider> = {
      "nested, in one word": (name, text) => nest(record(same, () => ["APP", name])(name, text)),
      "nested, word by word": (name, text) => nest(record(same, below)(name, text)),
      "nested, a map with a delimiter": (name, text) => nest(variables({ [`APP_${name}`]: text })),
      "nested twice": (name, text) =>
        nest(ConfigProvider.nested(record(same, () => ["APP", "SITE", ...words(name)])(name, text), "SITE")),
      "unnested": (name, text) =>
        ConfigProvider.unnested(record(same, () => words(name).slice(1))(name, text), "PAYMENTS"),
      "small letters, in one word": (name, text) => ConfigProvider.lowerCase(flat(lower)(name, text)),
      "small letters, word by word": (name, text) => ConfigProvider.lowerCase(record(lower, words)(name, text)),
      "kebab case, by section": (name, text) => ConfigProvider.kebabCase(record(kebab, sections)(name, text)),
      "constant case": (name, text) => ConfigProvider.constantCase(record(same, sections)(name, text)),
      "snake case below a name": (name, text) =>
        nest(ConfigProvider.snakeCase(record(lower, below)(name, text))).pipe(ConfigProvider.lowerCase),
      "a head of every name": (name, text) =>
        ConfigProvider.mapInputPath(record((word) => `x-${word}`, words)(name, text), (word) => `x-${word}`),
      "another word for the prefix": (name, text) =>
        ConfigProvider.mapInputPath(record(billing, words)(name, text), billing),
      "behind an empty provider, nested": (name, text) =>
        ConfigProvider.orElse(variables({}), () => nest(record(same, below)(name, text))),
      "behind an empty provider, in small letters": (name, text) =>
        ConfigProvider.orElse(variables({}), () => ConfigProvider.lowerCase(record(lower, words)(name, text))),
      "in one word behind a provider": (name, text) =>
        ConfigProvider.orElse(variables({}), () => nest(record(same, () => ["APP", ...whole(name)])(name, text)))
    }
    for (const [title, provider] of Object.entries(providers)) {
      it.effect(title, () =>
        Effect.scoped(Effect.gen(function*() {
          const read = yield* building(Payments.layerConfig(), provider("PAYMENTS_BULKHEAD_MAX_CONCURRENT", "7"))
          const { state } = yield* Effect.provide(Payments, read)
          assert.strictEqual((yield* state).bulkhead?.maxConcurrent, 7)
          for (const [name, text] of [["MAX_CONCURENT", "7"], ["MAX_CONCURRENT", "1,5"]] as const) {
            const path = `PAYMENTS_BULKHEAD_${name}`
            const error = yield* Effect.flip(building(Payments.layerConfig(), provider(path, text)))
            assert.instanceOf(error, InvalidSettings)
            assert.deepStrictEqual(error.findings.map(({ path, value }) => [path, value]), [[path, text]])
          }
        })))
    }

    it.effect("a name that only reads like a setting is refused beside it", () =>
      Effect.gen(function*() {
        const provider = ConfigProvider.fromJson({
          PAYMENTS: { BULKHEAD: { MAX_CONCURRENT: "7", maxConcurrent: "9" } }
        })
        const error = yield* Effect.flip(Effect.scoped(building(Payments.layerConfig(), provider)))
        assert.match(String(error), /PAYMENTS_BULKHEAD_maxConcurrent is "9"/)
      }))
  })

  it.effect("a duration below zero is refused, and is not taken for none", () =>
    Effect.gen(function*() {
      const { findings } = yield* refused({
        PAYMENTS_RETRY_BACKOFF_BASE: "-5 seconds",
        PAYMENTS_BULKHEAD_MAX_WAIT: "-3 seconds"
      })
      assert.deepStrictEqual(findings.map(({ path, value }) => [path, value]), [
        ["PAYMENTS_BULKHEAD_MAX_WAIT", "-3 seconds"],
        ["PAYMENTS_RETRY_BACKOFF_BASE", "-5 seconds"]
      ])
    }))

  it.effect("a queue that the environment takes away takes its declared wait with it, and gives it back", () =>
    Effect.scoped(Effect.gen(function*() {
      class Waiting extends Dependency.Service<Waiting>()("waiting", {
        bulkhead: { maxConcurrent: 2, maxQueue: 5, maxWait: "1 second" },
        rateLimiter: { rate: 10, maxQueue: 5, maxWait: "2 seconds" }
      }) {}
      const context = yield* building(
        Waiting.layerConfig(),
        variables({ WAITING_BULKHEAD_MAX_QUEUE: "0", WAITING_RATE_LIMITER_MAX_QUEUE: "0" })
      )
      const waiting = yield* Effect.provide(Waiting, context)
      const waits = Effect.map(waiting.policy(), (policy) => {
        const { bulkhead, rateLimiter } = settingsOf(policy)
        return [bulkhead.maxQueue, bulkhead.maxWaitMillis, rateLimiter.maxWaitMillis]
      })
      assert.deepStrictEqual(yield* waits, [0, Infinity, 0])
      yield* waiting.reconfigure({ rateLimiter: { rate: 11 }, bulkhead: { maxConcurrent: 3 } })
      yield* waiting.reconfigure({ rateLimiter: { maxQueue: 4 }, bulkhead: { maxQueue: 3 } })
      assert.deepStrictEqual(yield* waits, [3, 1000, 2000])
      yield* waiting.reconfigure({ rateLimiter: { maxQueue: 0 }, bulkhead: { maxQueue: 0 } })
      const error = yield* Effect.flip(waiting.reconfigure({ bulkhead: { maxWait: "3 seconds" } }))
      assert.match(error.message, /bulkhead\.maxWait is "3 seconds", allowed is nothing/)
    })))

  it.effect("a variable of another dependency with a longer prefix is left to it", () =>
    Effect.scoped(Effect.gen(function*() {
      class Orders extends Dependency.Service<Orders>()("orders") {}
      class OrdersRetry extends Dependency.Service<OrdersRetry>()("orders-retry") {}
      const provider = variables({ ORDERS_RETRY_TOTAL_TIMEOUT: "5 seconds", ORDERS_RETRY_MAX_RETRIES: "1" })
      const alone = yield* Effect.flip(building(Orders.layerConfig(), provider))
      assert.match(alone.message, /ORDERS_RETRY_TOTAL_TIMEOUT/)
      const context = yield* building(Layer.merge(Orders.layerConfig(), OrdersRetry.layerConfig()), provider)
      const orders = settingsOf(yield* Effect.provide(Effect.flatMap(Orders, (one) => one.policy()), context))
      const retries = settingsOf(yield* Effect.provide(Effect.flatMap(OrdersRetry, (one) => one.policy()), context))
      assert.strictEqual(orders["retry"].maxRetries, 1)
      assert.strictEqual(retries["totalTimeout"].limitMillis, 5000)
    })))

  it.effect("operations that share a variable, and prefixes that are none, are defects", () =>
    Effect.gen(function*() {
      class Users extends Dependency.Service<Users>()("users", {
        operations: { getUser: {}, get_user: { attemptTimeout: "2 seconds" } }
      }) {}
      const defect = (layer: Layer.Layer<any, unknown>) =>
        Effect.map(Effect.exit(Effect.scoped(building(layer, variables({})))), (exit) => {
          const bug = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.instanceOf(bug, InvalidOptions)
          return bug
        })
      const shared = yield* defect(Users.layerConfig())
      assert.deepStrictEqual(shared.findings.map(({ field }) => field), ["operations.get_user"])
      assert.match(shared.message, /GET_USER, is not that of getUser too/)
      for (const prefix of ["", "PAY_", "_PAY"]) {
        assert.deepStrictEqual((yield* defect(Payments.layerConfig(prefix))).findings.map(({ field }) => field), [
          "prefix"
        ])
      }
    }))

  it.effect("an open duration above the longest one is told by the variable that was set", () =>
    Effect.gen(function*() {
      const { findings } = yield* refused({ PAYMENTS_CIRCUIT_BREAKER_OPEN_DURATION: "2 hours" })
      assert.deepStrictEqual(findings.map(({ path, value }) => [path, value]), [
        ["PAYMENTS_CIRCUIT_BREAKER_OPEN_DURATION", "2 hours"]
      ])
      class Declared extends Dependency.Service<Declared>()("declared", {
        circuitBreaker: { maxOpenDuration: "1 minute" }
      }) {}
      const error = yield* Effect.flip(Effect.scoped(building(
        Declared.layerConfig(),
        variables({ DECLARED_CIRCUIT_BREAKER_OPEN_DURATION: "2 minutes" })
      )))
      assert.match(error.message, /DECLARED_CIRCUIT_BREAKER_OPEN_DURATION is "2 minutes", allowed is at most/)
    }))

  it.effect("the environment may not give an operation a slot that it does not have for itself", () =>
    Effect.gen(function*() {
      const error = yield* refused({ PAYMENTS_OPERATIONS_GET_CHARGES_ID_BULKHEAD_MAX_CONCURRENT: "1" })
      assert.deepStrictEqual(error.findings.map((finding) => finding.path), [
        "PAYMENTS_OPERATIONS_GET_CHARGES_ID_BULKHEAD_MAX_CONCURRENT"
      ])
    }))

  it.effect("a prefix with several words and a provider of nested records both work", () =>
    Effect.scoped(Effect.gen(function*() {
      const fromWords = yield* building(
        Payments.layerConfig("ACME_BILLING"),
        variables({
          ACME_BILLING_BULKHEAD_MAX_CONCURRENT: "3"
        })
      )
      const fromRecord = yield* building(
        Payments.layerConfig("payments"),
        ConfigProvider.fromJson({ payments: { BULKHEAD_MAX_CONCURRENT: 4, TOTAL_TIMEOUT: "7 seconds" } })
      )
      const state = Effect.flatMap(Payments, (payments) => payments.state)
      assert.strictEqual((yield* Effect.provide(state, fromWords)).bulkhead?.maxConcurrent, 3)
      assert.strictEqual((yield* Effect.provide(state, fromRecord)).bulkhead?.maxConcurrent, 4)
      const misspelt = yield* Effect.flip(building(
        Payments.layerConfig("ACME_BILLING"),
        variables({ ACME_BILLING_BULKHEAD_MAX_CONCURENT: "3" })
      ))
      assert.match(misspelt.message, /ACME_BILLING_BULKHEAD_MAX_CONCURENT is "3"/)
      const nested = yield* Effect.flip(building(
        Payments.layerConfig("payments"),
        ConfigProvider.fromJson({ payments: { BULKHEAD_MAX_CONCURENT: 4 } })
      ))
      assert.match(nested.message, /payments_BULKHEAD_MAX_CONCURENT is "4"/)
    })))

  it.effect("a provider that fails is a ConfigError, and one that cannot list its names is still read", () =>
    Effect.scoped(Effect.gen(function*() {
      const broken = ConfigProvider.fromFlat(ConfigProvider.makeFlat({
        load: (path) => Effect.fail(ConfigError.SourceUnavailable([...path], "the vault is sealed", Cause.empty)),
        enumerateChildren: () => Effect.succeed(HashSet.empty()),
        patch: ConfigProvider.fromMap(new Map()).flattened.patch
      }))
      const error = yield* Effect.flip(building(Payments.layerConfig(), broken))
      assert.isTrue(ConfigError.isConfigError(error))
      const { flattened } = variables({ PAYMENTS_BULKHEAD_MAX_CONCURRENT: "6" })
      const blind = ConfigProvider.fromFlat({
        ...flattened,
        enumerateChildren: (path) => Effect.fail(ConfigError.Unsupported([...path], "no listing"))
      })
      const context = yield* building(Payments.layerConfig(), blind)
      const { state } = yield* Effect.provide(Payments, context)
      assert.strictEqual((yield* state).bulkhead?.maxConcurrent, 6)
    })))

  it.effect("a wrong declaration is a defect, whatever the environment says", () =>
    Effect.gen(function*() {
      class Wrong extends Dependency.Service<Wrong>()("wrong", { bulkhead: { maxConcurrent: 0 } }) {}
      const exit = yield* Effect.exit(
        Effect.scoped(building(Wrong.layerConfig(), variables({ WRONG_TOTAL_TIMEOUT: "?" })))
      )
      assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, InvalidOptions)
    }))

  it("the name of a variable is the path of the field in capitals", () => {
    assert.strictEqual(variable("retry.maxRetries"), "RETRY_MAX_RETRIES")
    assert.strictEqual(
      variable("operations.GET /orders/:id.totalTimeout"),
      "OPERATIONS_GET_ORDERS_ID_TOTAL_TIMEOUT"
    )
    assert.strictEqual(variable("user-service"), "USER_SERVICE")
  })
})
