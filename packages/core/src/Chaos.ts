/**
 * Puts faults in the way of calls on purpose, so that a test, a staging system or an experiment shows what the other policies are
 * worth: off unless a Layer provides it, seeded, capped, and told to every listener.
 *
 * A policy declares a place for faults, innermost: `chaos: true` in `Policy.standard` or `Dependency.Service`, or `Chaos.make()`. A Layer
 * decides what happens there. Without one a place costs nothing.
 *
 * @since 0.1.0
 */
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Call from "./Call.js"
import * as Failure from "./Failure.js"
import type * as Fault from "./Fault.js"
import {
  type ChaosInProduction,
  type ChaosOff,
  type Control,
  type Injection,
  started,
  switchedOff
} from "./internal/chaosControl.js"
import { Place } from "./internal/chaosPlace.js"
import { format as formatReport, type Report } from "./internal/chaosReport.js"
import { fromConfig, fromOptions } from "./internal/chaosSettings.js"
import { InvalidOptions, Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * A failure that was injected; the dependency was not called. Its class is `Retryable`, and nothing about it says that the call was
 * never sent: to the policies it looks like a connection that broke in the middle.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Fault from "@holdfast/core/Fault"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.succeed("charged").pipe(
 *   Chaos.make({ dependency: "payments" }),
 *   Effect.catchTag("InjectedFailure", (error) => Effect.succeed(error.message)),
 *   Effect.provide(Chaos.layer({ faults: [Fault.failure()] }))
 * )
 *
 * Effect.runPromise(program).then(console.log) // A failure was injected into attempt 1 at payments
 *
 * @since 0.1.0
 * @category errors
 */
export class InjectedFailure extends Failure.Retryable("InjectedFailure")<{
  readonly policy: string
  readonly dependency: string | undefined
  readonly operation: string | undefined
  readonly attempt: number
}> {
  override get message(): string {
    return `A failure was injected into attempt ${this.attempt} at ${this.dependency ?? this.policy}`
  }
}

const injectedFailure = Failure.stackless(InjectedFailure)

/**
 * The defect that `Fault.defect` dies with.
 *
 * @example
 * import { InjectedDefect } from "@holdfast/core/Chaos"
 *
 * console.log(new InjectedDefect({ policy: "chaos", dependency: "payments", attempt: 1 }).message)
 * // A defect was injected into attempt 1 at payments
 *
 * @since 0.1.0
 * @category errors
 */
export class InjectedDefect extends Data.TaggedError("InjectedDefect")<{
  readonly policy: string
  readonly dependency: string | undefined
  readonly attempt: number
}> {
  override get message(): string {
    return `A defect was injected into attempt ${this.attempt} at ${this.dependency ?? this.policy}`
  }
}

/**
 * What the faults of a place look like.
 *
 * @since 0.1.0
 * @category models
 */
export interface Looks<F extends { readonly _tag: string } = InjectedFailure, A = unknown> {
  /** The error of a `Fault.failure`. Default: `InjectedFailure`. */
  readonly failure?: ((call: Call.Call) => F) | undefined
  /** The value of a `Fault.answer`. `Dependency.Service` adds its type to that of the answer; elsewhere it must be of the answer's type. */
  readonly answer?: ((call: Call.Call) => A) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<F extends { readonly _tag: string } = InjectedFailure, A = unknown> extends Looks<F, A> {
  /** Names this piece in errors and events. Default `chaos`. */
  readonly name?: string | undefined
  /** Default: that of the policy around it. */
  readonly dependency?: string | undefined
}

/**
 * The error that a place adds, by how it was declared: none where it is not, `InjectedFailure` unless it has its own.
 *
 * @since 0.1.0
 * @category models
 */
export type FailureOf<Declared> = Declared extends false | undefined ? never
  : Declared extends { readonly failure: (call: any) => infer F } ? F
  : InjectedFailure

/**
 * The wrong answer that a place may give.
 *
 * @since 0.1.0
 * @category models
 */
export type AnswerOf<Declared> = Declared extends { readonly answer: (call: any) => infer A } ? A : never

/**
 * A place for faults. Put it innermost: what is inside it never sees one.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Failure from "@holdfast/core/Failure"
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * class PaymentBusy extends Failure.Retryable("PaymentBusy")<{}> {}
 *
 * const payments = Policy.compose(
 *   Timeout.make("2 seconds"),
 *   Chaos.make({ dependency: "payments", failure: () => new PaymentBusy() })
 * )
 *
 * Effect.runPromise(Effect.succeed("charged").pipe(payments)) // Effect<string, TimedOut | PaymentBusy>
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <F extends { readonly _tag: string } = InjectedFailure>(
  options: Options<F> = {}
): Step.Policy<F> => {
  const check = new Validation("Chaos.make")
  check.record(options, ["failure", "answer", "name", "dependency"])
  const { answer, dependency, failure, name: policy = "chaos" } = options
  for (const [field, value] of Object.entries({ failure, answer })) {
    if (value !== undefined) {
      check.callable(field, value)
    }
  }
  check.text("name", policy)
  if (dependency !== undefined) {
    check.text("dependency", dependency)
  }
  check.done()
  const step: Step.Step = { kind: "Chaos", policy, dependency, settings: { hasAnswer: answer !== undefined } }
  const where = (call: Call.Call) => ({ policy, dependency: dependency ?? call.dependency, attempt: call.attempt })
  return Step.policy<F>([
    new Place(step, {
      failure: failure ?? ((call) => injectedFailure({ ...where(call), operation: call.operation })),
      defect: (call) => new InjectedDefect(where(call)),
      answer
    })
  ])
}

export {
  /**
   * The environment says that this is production, and nobody said that chaos may run there; or somebody did, but without a cap.
   *
   * @example
   * import { ChaosInProduction } from "@holdfast/core/Chaos"
   *
   * console.log(new ChaosInProduction({ variable: "NODE_ENV", value: "production", reason: "not allowed" }).message)
   * // Chaos does not start in production (NODE_ENV is "production"). If it is meant to, say so and cap it:
   * // Chaos.layer({ inProduction: true, blastRadius: { share: 0.01 } }), or CHAOS_IN_PRODUCTION=true and
   * // CHAOS_BLAST_RADIUS_SHARE=0.01 for Chaos.layerConfig
   *
   * @since 0.1.0
   * @category errors
   */
  ChaosInProduction,
  /**
   * Chaos is switched off here, and nothing can be injected.
   *
   * @example
   * import { ChaosOff } from "@holdfast/core/Chaos"
   *
   * console.log(new ChaosOff().message) // Chaos is switched off: set CHAOS_ENABLED=true, or provide Chaos.layer
   *
   * @since 0.1.0
   * @category errors
   */
  ChaosOff
} from "./internal/chaosControl.js"

export type {
  /**
   * What can be done with a running chaos.
   *
   * @since 0.1.0
   * @category models
   */
  Control,
  /**
   * Faults that were put in while the program runs.
   *
   * @since 0.1.0
   * @category models
   */
  Injection
} from "./internal/chaosControl.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface LayerOptions {
  /** Tried in this order for every attempt. A latency that hits adds to the others; any other fault that hits ends the trying. */
  readonly faults?: Fault.Fault | ReadonlyArray<Fault.Fault> | undefined
  /** The same seed, calls and request ids have the same faults. Default: drawn, and logged. */
  readonly seed?: number | string | undefined
  /** The cap on the damage; what goes beyond it is let through and counted. Default none, but required in production. */
  readonly blastRadius?: {
    /** Calls that are delayed or hang at once, at most. */
    readonly concurrent?: number | undefined
    /** The share of the last 100 attempts that may be disturbed, above 0 and up to 1. */
    readonly share?: number | undefined
    /** Disturbed attempts in all, at most. */
    readonly injections?: number | undefined
  } | undefined
  /** Start even though the environment says that this is production. Default `false`. */
  readonly inProduction?: boolean | undefined
}

export type {
  /**
   * What chaos did so far.
   *
   * @since 0.1.0
   * @category models
   */
  Report
} from "./internal/chaosReport.js"

/**
 * The running chaos, for experiments that put faults in and take them out.
 *
 * @example
 * import { Chaos, layer } from "@holdfast/core/Chaos"
 * import * as Effect from "effect/Effect"
 *
 * const seed = Effect.flatMap(Chaos, (chaos) => chaos.report).pipe(Effect.map((report) => report.seed))
 *
 * Effect.runPromise(seed.pipe(Effect.provide(layer({ seed: "monday" })))).then(console.log) // "monday"
 *
 * @since 0.1.0
 * @category services
 */
export class Chaos extends Context.Tag("@holdfast/core/Chaos")<Chaos, Control>() {}

/**
 * Switches chaos on for everything that is run with it, and lets faults be put in later (`inject`). Two such layers add to each other.
 *
 * Fails with `ChaosInProduction` when the environment says production (`NODE_ENV`, `APP_ENV`, `ENVIRONMENT`, `ENV`,
 * `DEPLOYMENT_ENVIRONMENT`, `DEPLOY_ENV`, `VERCEL_ENV`, or `deployment.environment.name` of `OTEL_RESOURCE_ATTRIBUTES`), unless
 * `inProduction` says otherwise.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const Staging = Chaos.layer({
 *   seed: 7,
 *   faults: [
 *     Fault.failure({ dependency: "payments", probability: 0.1 }),
 *     Fault.latency({ from: "0 millis", to: "3 seconds" }, { probability: 0.2 })
 *   ],
 *   blastRadius: { share: 0.25, concurrent: 20 }
 * })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: LayerOptions = {}): Layer.Layer<Chaos, ChaosInProduction> =>
  Layer.scoped(Chaos, Effect.suspend(() => started(fromOptions(options))))

/**
 * Chaos from the environment: off, unless `CHAOS_ENABLED` is `true`. Then `CHAOS_FAILURE_RATE`, `CHAOS_LATENCY_MS` (evenly from 0 to that),
 * `CHAOS_HANG_RATE`, `CHAOS_DEFECT_RATE` and `CHAOS_ANSWER_RATE` are for every dependency, `CHAOS_PAYMENT_FAILURE_RATE` for one. All
 * wrong values are reported at once as `InvalidOptions`; a `ConfigError` says that the provider itself failed.
 *
 * With `dependencies`, variables of any other dependency are refused; a provider that cannot list its names needs them.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 *
 * const environment = ConfigProvider.fromMap(new Map([["CHAOS_ENABLED", "true"], ["CHAOS_FAILURE_RATE", "0.1"]]), {
 *   pathDelim: "_"
 * })
 *
 * const program = Effect.flatMap(Chaos.Chaos, (chaos) => chaos.report).pipe(
 *   Effect.provide(Chaos.layerConfig()),
 *   Effect.withConfigProvider(environment)
 * )
 *
 * Effect.runPromise(program).then((report) => console.log(report.faults))
 * // [ "failure in 10 % of the attempts at every dependency" ]
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (options: {
  /** Default `CHAOS`. */
  readonly prefix?: string | undefined
  readonly dependencies?: ReadonlyArray<string> | undefined
} = {}): Layer.Layer<Chaos, ChaosInProduction | InvalidOptions | ConfigError.ConfigError> =>
  Layer.scoped(
    Chaos,
    Effect.gen(function*() {
      const { findings, start } = yield* fromConfig(options.prefix ?? "CHAOS", options.dependencies)
      if (findings.length > 0) {
        const shown = findings.map(({ allowed, path, value }) => ({ field: path, value, allowed }))
        return yield* new InvalidOptions({ owner: "Chaos.layerConfig", findings: shown })
      }
      return start.on ? yield* started(start) : switchedOff()
    })
  )

/**
 * Puts faults into the running chaos until the scope closes.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Fault from "@holdfast/core/Fault"
 * import * as Effect from "effect/Effect"
 *
 * // for as long as the scope is open, search is down
 * const withoutSearch = Effect.scoped(
 *   Effect.zipRight(Chaos.inject(Fault.failure({ dependency: "search" })), Effect.sleep("10 millis"))
 * )
 *
 * Effect.runPromise(withoutSearch.pipe(Effect.provide(Chaos.layer())))
 *
 * @since 0.1.0
 * @category operations
 */
export const inject = (
  faults: Fault.Fault | ReadonlyArray<Fault.Fault>
): Effect.Effect<Injection, ChaosOff, Chaos | Scope.Scope> => Effect.flatMap(Chaos, (chaos) => chaos.inject(faults))

/**
 * What the running chaos did so far.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(Chaos.report.pipe(Effect.map(Chaos.format), Effect.provide(Chaos.layer({ seed: 1 })))).then(console.log)
 * // Chaos with seed 1
 *
 * @since 0.1.0
 * @category operations
 */
export const report: Effect.Effect<Report, never, Chaos> = Effect.flatMap(Chaos, (chaos) => chaos.report)

/**
 * A report as a text: what was hit, what was held back, and whether the run can be played again.
 *
 * @example
 * import * as Chaos from "@holdfast/core/Chaos"
 * import * as Effect from "effect/Effect"
 *
 * const print = Effect.flatMap(Chaos.report, (report) => Effect.log(Chaos.format(report)))
 *
 * Effect.runPromise(print.pipe(Effect.provide(Chaos.layer())))
 *
 * @since 0.1.0
 * @category getters
 */
export const format: (report: Report) => string = formatReport
