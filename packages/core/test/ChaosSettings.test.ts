import { assert, describe, it } from "@effect/vitest"
import * as Chaos from "@holdfast/core/Chaos"
import * as Fault from "@holdfast/core/Fault"
import { InvalidOptions } from "@holdfast/core/Options"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

/** As the process reads its environment. */
const environment = (variables: Record<string, string>) =>
  ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" })

const within = (variables: Record<string, string>) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.withConfigProvider(environment(variables)), quiet)

const faultsOf = (variables: Record<string, string>, options?: Parameters<typeof Chaos.layerConfig>[0]) =>
  Effect.map(Chaos.report, ({ faults }) => faults).pipe(
    Effect.provide(Chaos.layerConfig(options)),
    within(variables)
  )

const wrong = (variables: Record<string, string>, options?: Parameters<typeof Chaos.layerConfig>[0]) =>
  Effect.map(Effect.flip(faultsOf(variables, options)), (error) => {
    assert.instanceOf(error, InvalidOptions, String(error))
    return error.findings.map(({ field, value }) => `${field}=${value}`)
  })

const on = { CHAOS_ENABLED: "true" }

describe("Chaos.layerConfig", () => {
  it.effect("is off without variables, and whatever the others say while it is not enabled", () =>
    Effect.gen(function*() {
      const place = Chaos.make({ dependency: "payment" })
      for (
        const variables of [{}, { CHAOS_FAILURE_RATE: "1" }, { CHAOS_ENABLED: "false", CHAOS_FAILURE_RATE: "much" }]
      ) {
        const call = Effect.gen(function*() {
          yield* place(Effect.void)
          return yield* Effect.flip(Effect.scoped(Chaos.inject(Fault.failure())))
        })
        const off = yield* call.pipe(Effect.provide(Chaos.layerConfig()), within(variables))
        assert.strictEqual(off._tag, "ChaosOff")
      }
    }))

  it.effect("reads the seed's variables: failures first, then an even latency up to the number", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* faultsOf({ ...on, CHAOS_FAILURE_RATE: "0.1", CHAOS_LATENCY_MS: "3000" }), [
        "failure in 10 % of the attempts at every dependency",
        "latency of 0 to 3s in every attempt at every dependency"
      ])
    }))

  it.effect("reads the other faults, the seed and the blast radius", () =>
    Effect.gen(function*() {
      const variables = {
        ...on,
        CHAOS_LATENCY_MS: "50",
        CHAOS_LATENCY_RATE: "0.5",
        CHAOS_HANG_RATE: "0.01",
        CHAOS_DEFECT_RATE: "0.02",
        CHAOS_ANSWER_RATE: "0.03",
        CHAOS_SEED: "monday",
        CHAOS_BLAST_RADIUS_SHARE: "0.5",
        CHAOS_BLAST_RADIUS_CONCURRENT: "10",
        CHAOS_BLAST_RADIUS_INJECTIONS: "1"
      }
      const { dependencies, report } = yield* Effect.gen(function*() {
        const report = yield* Chaos.report
        yield* Effect.scoped(Effect.zipRight(
          Chaos.inject(Fault.failure({ dependency: "payment" })),
          Effect.forEach([1, 2, 3, 4], () => Effect.exit(Chaos.make({ dependency: "payment" })(Effect.void)))
        ))
        return { report, dependencies: (yield* Chaos.report).dependencies }
      }).pipe(
        Effect.provide(Chaos.layerConfig()),
        within({ ...variables, CHAOS_LATENCY_MS: "0", CHAOS_HANG_RATE: "0", CHAOS_DEFECT_RATE: "0" })
      )
      assert.strictEqual(report.seed, "monday")
      assert.deepInclude(dependencies["payment"], { disturbed: 1, heldBack: 3 })
      assert.deepStrictEqual(yield* faultsOf(variables), [
        "latency of 0 to 50ms in 50 % of the attempts at every dependency",
        "hang in 1 % of the attempts at every dependency",
        "defect in 2 % of the attempts at every dependency",
        "wrong answer in 3 % of the attempts at every dependency"
      ])
    }))

  it.effect("has numbers of its own for a dependency: they go before those for all, 0 spares it", () =>
    Effect.gen(function*() {
      const variables = {
        ...on,
        CHAOS_FAILURE_RATE: "1",
        CHAOS_SEARCH_FAILURE_RATE: "0",
        CHAOS_PAYMENTS_API_LATENCY_MS: "100",
        CHAOS_PAYMENTS_API_FAILURE_RATE: "0"
      }
      const { failed, faults, neverMet } = yield* Effect.gen(function*() {
        const failed: Array<string> = []
        for (const dependency of ["search", "payments-api", "paymentsApi", "mail"]) {
          const exit = yield* Effect.exit(Chaos.make({ dependency })(Effect.void)).pipe(
            Effect.timeout(0),
            Effect.option
          )
          if (exit._tag === "Some" && Exit.isFailure(exit.value)) failed.push(dependency)
        }
        return { failed, ...(yield* Chaos.report) }
      }).pipe(Effect.provide(Chaos.layerConfig()), within(variables))
      assert.deepStrictEqual(failed, ["mail"])
      assert.deepStrictEqual(faults, [
        "latency of 0 to 100ms in every attempt at PAYMENTS_API",
        "failure in every attempt at every dependency"
      ])
      assert.deepStrictEqual(neverMet, [])
    }))

  it.effect("has another prefix, if told so, and a dependency whose name ends in a digit", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* faultsOf({ FAULTS_ENABLED: "true", FAULTS_S3API_FAILURE_RATE: "0.5" }, { prefix: "FAULTS" }),
        ["failure in 50 % of the attempts at S3API"]
      )
    }))

  it.effect("reports all wrong values at once, each with its variable, value and what is allowed", () =>
    Effect.gen(function*() {
      const variables = {
        ...on,
        CHAOS_FAILURE_RATE: "10",
        CHAOS_LATENCY_MS: "3s",
        CHAOS_LATENCY_RATE: "-0.1",
        CHAOS_PAYMENT_FAILURE_RATE: "often",
        CHAOS_PAYMENT_FALIURE_RATE: "0.1",
        CHAOS_LATENCY: "5",
        CHAOS_BLAST_RADIUS_SHARE: "0",
        CHAOS_IN_PRODUCTION: "perhaps"
      }
      assert.sameMembers(yield* wrong(variables), [
        "CHAOS_FAILURE_RATE=10",
        "CHAOS_LATENCY_MS=3s",
        "CHAOS_LATENCY_RATE=-0.1",
        "CHAOS_PAYMENT_FAILURE_RATE=often",
        "CHAOS_PAYMENT_FALIURE_RATE=0.1",
        "CHAOS_LATENCY=5",
        "CHAOS_BLAST_RADIUS_SHARE=0",
        "CHAOS_IN_PRODUCTION=perhaps"
      ])
      assert.deepStrictEqual(yield* wrong({ CHAOS_ENABLED: "yes" }), ["CHAOS_ENABLED=yes"])
      const error = yield* Effect.flip(faultsOf(variables))
      assert.include(String(error), "CHAOS_FAILURE_RATE is \"10\", allowed is a number from 0 to 1")
      assert.include(String(error), "CHAOS_LATENCY is \"5\": unknown setting; there are CHAOS_ENABLED, CHAOS_SEED,")
    }))

  it.effect("refuses variables of a dependency that is not named, where the names are given", () =>
    Effect.gen(function*() {
      const named = { dependencies: ["payment", "paymentsApi"] }
      assert.deepStrictEqual(yield* wrong({ ...on, CHAOS_PAYMNET_FAILURE_RATE: "0.1" }, named), [
        "CHAOS_PAYMNET_FAILURE_RATE=0.1"
      ])
      assert.deepStrictEqual(
        yield* faultsOf({ ...on, CHAOS_PAYMENT_FAILURE_RATE: "0.1", CHAOS_PAYMENTS_API_HANG_RATE: "1" }, named),
        ["failure in 10 % of the attempts at PAYMENT", "hang in every attempt at PAYMENTS_API"]
      )
    }))
})

/** The process of the tests has its own idea of NODE_ENV; nothing here may depend on it. */
const start = (options: Chaos.LayerOptions, variables: Record<string, string>) =>
  Effect.scoped(Layer.build(Chaos.layer(options))).pipe(Effect.either, Effect.map(Either.getLeft), within(variables))

describe("In production", () => {
  for (
    const [variable, value] of [
      ["NODE_ENV", "production"],
      ["APP_ENV", "prod"],
      ["ENVIRONMENT", "Production"],
      ["ENV", "prd"],
      ["DEPLOYMENT_ENVIRONMENT", "live"],
      ["DEPLOY_ENV", "prod-eu-1"],
      ["VERCEL_ENV", "production"],
      ["OTEL_RESOURCE_ATTRIBUTES", "service.name=orders,deployment.environment.name=production"]
    ] as const
  ) {
    it.effect(`chaos does not start when ${variable} says ${value}, and says how it would`, () =>
      Effect.gen(function*() {
        const refused = yield* start({ faults: [] }, { [variable]: value })
        assert.isTrue(refused._tag === "Some" && refused.value._tag === "ChaosInProduction")
        const { message } = (refused as any).value
        assert.include(message, `${variable} is "${value.startsWith("service") ? "production" : value}"`)
        assert.include(message, "inProduction: true, blastRadius: { share: 0.01 }")
        assert.include(message, "CHAOS_IN_PRODUCTION=true")
      }))
  }

  it.effect("starts everywhere else", () =>
    Effect.gen(function*() {
      for (
        const variables of [
          { NODE_ENV: "development" },
          { NODE_ENV: "test" },
          { APP_ENV: "staging" },
          { ENVIRONMENT: "preprod" },
          { ENV: "product-test" },
          { ENV: "liveness" },
          { OTEL_RESOURCE_ATTRIBUTES: "service.name=production" }
        ]
      ) {
        assert.deepStrictEqual((yield* start({}, variables as any))._tag, "None", JSON.stringify(variables))
      }
    }))

  it.effect("starts when it is told so and has a cap, not without one", () =>
    Effect.gen(function*() {
      const variables = { NODE_ENV: "production" }
      const uncapped = yield* start({ inProduction: true }, variables)
      assert.include((uncapped as any).value.message, "without a blast radius")
      assert.strictEqual((yield* start({ inProduction: true, blastRadius: { share: 0.01 } }, variables))._tag, "None")
      assert.strictEqual((yield* start({ blastRadius: { share: 0.01 } }, variables))._tag, "Some")
    }))

  it.effect("the process's own variables count, whatever the config provider reads", () =>
    Effect.gen(function*() {
      const before = process.env["DEPLOY_ENV"]
      yield* Effect.acquireUseRelease(
        Effect.sync(() => process.env["DEPLOY_ENV"] = "production"),
        () => Effect.map(start({}, {}), (refused) => assert.strictEqual(refused._tag, "Some")),
        () =>
          Effect.sync(() =>
            before === undefined ? delete process.env["DEPLOY_ENV"] : process.env["DEPLOY_ENV"] = before
          )
      )
    }))

  it.effect("the environment may say so too, for chaos from the environment", () =>
    Effect.gen(function*() {
      const production = { NODE_ENV: "production", CHAOS_FAILURE_RATE: "0.1" }
      assert.deepStrictEqual(yield* faultsOf(production), [])
      const refused = yield* Effect.flip(faultsOf({ ...production, ...on }))
      assert.strictEqual(refused._tag, "ChaosInProduction")
      const uncapped = yield* Effect.flip(faultsOf({ ...production, ...on, CHAOS_IN_PRODUCTION: "true" }))
      assert.deepInclude(uncapped, { _tag: "ChaosInProduction", reason: "no blast radius" })
      const allowed = { ...production, ...on, CHAOS_IN_PRODUCTION: "true", CHAOS_BLAST_RADIUS_SHARE: "0.01" }
      assert.lengthOf(yield* faultsOf(allowed), 1)
    }))
})
