/**
 * A running chaos: whether it may start, what it injects now, and how faults are put in and taken out.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Alarm from "../Alarm.js"
import * as Fault from "../Fault.js"
import { Validation } from "../Options.js"
import { active, Injector, type LiveRule, ruleOf } from "./chaosInjector.js"
import { format, type Report, reportOf } from "./chaosReport.js"
import { checkFaults, noCaps, productionSign, type Start } from "./chaosSettings.js"

/** Nobody said that chaos may run here in production; or somebody did, but without a cap. */
export class ChaosInProduction extends Data.TaggedError("ChaosInProduction")<{
  readonly variable: string
  readonly value: string
  readonly reason: "not allowed" | "no blast radius"
}> {
  override get message(): string {
    const here = `(${this.variable} is ${JSON.stringify(this.value)})`
    return (this.reason === "not allowed"
      ? `Chaos does not start in production ${here}. If it is meant to, say so and cap it: `
      : `Chaos does not start in production ${here} without a blast radius: `) +
      "Chaos.layer({ inProduction: true, blastRadius: { share: 0.01 } }), or CHAOS_IN_PRODUCTION=true and " +
      "CHAOS_BLAST_RADIUS_SHARE=0.01 for Chaos.layerConfig"
  }
}

export class ChaosOff extends Data.TaggedError("ChaosOff")<{}> {
  override get message(): string {
    return "Chaos is switched off: set CHAOS_ENABLED=true, or provide Chaos.layer"
  }
}

export interface Injection {
  /** How often these faults hit. */
  readonly hits: Effect.Effect<number>
}

export interface Control {
  /** Puts faults in until the scope closes. */
  readonly inject: (
    faults: Fault.Fault | ReadonlyArray<Fault.Fault>
  ) => Effect.Effect<Injection, ChaosOff, Scope.Scope>
  readonly report: Effect.Effect<Report>
}

const now = Effect.clockWith((clock) => Effect.sync(() => Alarm.of(clock).now()))

const inWords = (rules: ReadonlyArray<LiveRule>): string =>
  rules.map(({ rule }) => Fault.describe(rule.fault)).join("; ") || "nothing so far"

const controlOf = (injector: Injector): Control => ({
  inject: (faults) =>
    Effect.gen(function*() {
      if (!injector.isOpen) {
        return yield* new ChaosOff()
      }
      const check = new Validation("Chaos.inject")
      const checked = checkFaults(check, faults)
      check.done()
      const rules = yield* Effect.acquireRelease(
        Effect.map(now, (instant) => injector.add(checked.map(ruleOf), instant)),
        (rules) => Effect.sync(() => injector.remove(rules))
      )
      yield* Effect.logWarning(`CHAOS: injecting ${inWords(rules)}`)
      return { hits: Effect.sync(() => rules.reduce((total, rule) => total + rule.hits, 0)) }
    }),
  report: Effect.sync(() => reportOf(injector))
})

const guarded = ({ caps, inProduction }: Start): Effect.Effect<void, ChaosInProduction> =>
  Effect.flatMap(productionSign, (sign) =>
    sign === undefined || (inProduction && caps !== undefined)
      ? Effect.void
      : new ChaosInProduction({ ...sign, reason: inProduction ? "no blast radius" : "not allowed" }))

/** @internal */
export const started = (start: Start): Effect.Effect<Control, ChaosInProduction, Scope.Scope> =>
  Effect.gen(function*() {
    yield* guarded(start)
    const seed = start.seed ?? String(yield* Random.nextIntBetween(0, 2 ** 31))
    const injector = yield* Effect.acquireRelease(
      Effect.map(now, (instant) => {
        const made = new Injector(seed, start.caps ?? noCaps)
        made.add(start.rules, instant)
        return made
      }),
      (made) =>
        Effect.suspend(() => {
          made.close()
          return Effect.logWarning(`CHAOS: off. ${format(reportOf(made))}`)
        })
    )
    yield* Effect.locallyScopedWith(active, HashSet.add(injector))
    yield* Effect.logWarning(`CHAOS: on, with seed ${seed}: ${inWords(injector.rules)}`)
    return controlOf(injector)
  })

/**
 * What there is when chaos is switched off.
 *
 * @internal
 */
export const switchedOff = (): Control => {
  const injector = new Injector("", noCaps)
  injector.close()
  return controlOf(injector)
}
