import { assert, describe } from "@effect/vitest"
import * as Chaos from "@holdfast/core/Chaos"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import * as Fault from "@holdfast/core/Fault"
import { InvalidSettings } from "@holdfast/core/LiveDependency"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { virtual } from "./support/virtual.js"

class QuoteGone extends Failure.Permanent("QuoteGone")<{ readonly operation: string | undefined }> {}

class Prices extends Dependency.Service<Prices>()("prices", {
  retry: false,
  chaos: { failure: (call) => new QuoteGone({ operation: call.operation }) },
  operations: {
    quote: {},
    list: { chaos: { answer: (): ReadonlyArray<string> => [] } },
    ping: { chaos: false }
  }
}) {}

class Search extends Dependency.Service<Search>()("search", { retry: false }) {}

const own = Layer.provide(DependencyRegistry.layer)
const on = (...faults: ReadonlyArray<Fault.Fault>) => Effect.provide(Chaos.layer({ seed: 1, faults }))
const environment = (variables: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))

describe("A dependency with a place for faults", () => {
  virtual(
    "fails as it declares, by operation, and not at all where it declares no place",
    () =>
      Effect.gen(function*() {
        const quote = yield* Effect.flip(Effect.succeed(5).pipe(Prices.call({ operation: "quote" })))
        assert.instanceOf(quote, QuoteGone)
        assert.strictEqual((quote as QuoteGone).operation, "quote")
        const list = yield* Effect.flip(Effect.succeed(["a"]).pipe(Prices.call({ operation: "list" })))
        assert.instanceOf(list, Chaos.InjectedFailure)
        assert.deepInclude(list, { policy: "prices.list.chaos", dependency: "prices", operation: "list" })
        assert.strictEqual(yield* Effect.succeed("pong").pipe(Prices.call({ operation: "ping" })), "pong")
        assert.strictEqual(yield* Effect.succeed("found").pipe(Search.call), "found")
        assert.deepStrictEqual(Object.keys((yield* Chaos.report).dependencies), ["prices"])
      }).pipe(on(Fault.failure()), Effect.provide(own(Layer.merge(Prices.layer, Search.layer))))
  )

  virtual("answers wrong, where it says how", () =>
    Effect.gen(function*() {
      const list: ReadonlyArray<string> = yield* Effect.succeed(["a"]).pipe(Prices.call({ operation: "list" }))
      assert.deepStrictEqual(list, [])
      assert.strictEqual(yield* Effect.succeed(5).pipe(Prices.call({ operation: "quote" })), 5)
    }).pipe(on(Fault.answer()), Effect.provide(own(Prices.layer))))

  virtual("is reached wherever its layer was built: chaos goes with the calls", () =>
    Effect.gen(function*() {
      const call = Effect.succeed(5).pipe(Prices.call({ operation: "quote" }))
      assert.strictEqual(yield* call, 5)
      assert.strictEqual((yield* Effect.flip(call.pipe(on(Fault.failure()))))._tag, "QuoteGone")
      assert.strictEqual(yield* call, 5)
    }).pipe(Effect.provide(own(Prices.layer))))

  virtual("can be switched off and on while it lives, and keeps how its faults look", () =>
    Effect.gen(function*() {
      const call = Effect.succeed(5).pipe(Prices.call({ operation: "quote" }))
      yield* DependencyRegistry.reconfigure("prices", { chaos: false })
      assert.strictEqual(yield* call, 5)
      yield* DependencyRegistry.reconfigure("prices", { chaos: {} })
      assert.strictEqual((yield* Effect.flip(call))._tag, "QuoteGone")
      const change = { chaos: { probability: 0.1 } } as never
      const refused = yield* Effect.flip(DependencyRegistry.reconfigure("prices", change))
      assert.instanceOf(refused, InvalidSettings)
      assert.deepStrictEqual(refused.findings, [
        { path: "chaos.probability", value: 0.1, allowed: "nothing: it can only be switched off and on" }
      ])
    }).pipe(on(Fault.failure()), Effect.provide(Layer.provideMerge(Prices.layer, DependencyRegistry.layer))))

  virtual("can be switched off by the environment, and never be added by it", () =>
    Effect.gen(function*() {
      const call = Effect.succeed(5).pipe(Prices.call({ operation: "quote" }))
      const off = call.pipe(Effect.provide(own(Prices.layerConfig())), environment({ PRICES_CHAOS: "off" }))
      assert.strictEqual(yield* off, 5)
      const search = Effect.succeed(5).pipe(Search.call, Effect.provide(own(Search.layerConfig())))
      const refused = yield* Effect.flip(search.pipe(environment({ SEARCH_CHAOS: "on" })))
      assert.instanceOf(refused, InvalidSettings)
      assert.include(refused.message, "search does not declare chaos, and only its declaration can add a slot")
    }).pipe(on(Fault.failure())))

  virtual("has it innermost in its policy", () =>
    Effect.gen(function*() {
      const { steps } = yield* Effect.flatMap(Prices, (prices) => prices.policy("quote"))
      assert.deepInclude(steps[steps.length - 1], { kind: "Chaos", policy: "prices.chaos", dependency: "prices" })
      const ping = yield* Effect.flatMap(Prices, (prices) => prices.policy("ping"))
      assert.isFalse(ping.steps.some(({ kind }) => kind === "Chaos"))
    }).pipe(Effect.provide(own(Prices.layer))))
})
