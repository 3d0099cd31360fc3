/**
 * Says what is wrong with the defences of a program: maps live figures to the eight symptoms by which outages are known, each with
 * its cause, the pattern that prevents it, and the figures that prove it.
 *
 * Every finding comes from what happened, not from settings: a timeout that is missing is one that never ended a slow call.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Figures from "./Figures.js"
import { rows } from "./internal/diagnosisRows.js"
import { checkOwn, ownNames } from "./internal/own.js"
import { Validation } from "./Options.js"

/**
 * One row of the taxonomy, as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  /** Stable, for configuration and search. */
  readonly code: string
  /** What is seen. */
  readonly symptom: string
  /** Where it comes from. */
  readonly cause: string
  /** What prevents it. */
  readonly pattern: string
}

/**
 * One thing that is wrong.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding extends Row {
  /** The dependency with its operation, or the breaker. */
  readonly at: string
  /** The figures that prove it. */
  readonly because: string
  /** What to do. */
  readonly instead: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** How long a user was promised to wait at most. Default 10 seconds. */
  readonly sla?: Duration.DurationInput | undefined
  /** The same for single dependencies. */
  readonly slaOf?: { readonly [dependency: string]: Duration.DurationInput } | undefined
  /** A dependency that fails for so long is down. Default 5 minutes. */
  readonly sustained?: Duration.DurationInput | undefined
  /** Names that are no dependencies: under them the service limits what comes in. Default `http.server`. */
  readonly own?: ReadonlyArray<string> | undefined
  /** Failures that pass within this time are cured by another try. Default 10 seconds. */
  readonly blip?: Duration.DurationInput | undefined
}

const defaults = { sla: "10 seconds", sustained: "5 minutes", blip: "10 seconds" } as const

/**
 * The taxonomy: eight symptoms, their causes, and the patterns that prevent them.
 *
 * @example
 * import * as Diagnosis from "@holdfast/core/Diagnosis"
 *
 * for (const { pattern, symptom } of Diagnosis.taxonomy) console.log(`${symptom}: ${pattern}`)
 *
 * @since 0.1.0
 * @category constructors
 */
export const taxonomy: ReadonlyArray<Row> = rows.map(({ cause, code, pattern, symptom }) => ({
  code,
  symptom,
  cause,
  pattern
}))

/**
 * What the figures show to be wrong, in the order of the taxonomy; nothing when nothing is. Pure.
 *
 * A call that never ends tells nothing, unless a bulkhead of the registry counts it: give every call a timeout.
 *
 * @example
 * import * as Diagnosis from "@holdfast/core/Diagnosis"
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const { snapshot } = yield* Figures.Figures
 *   for (const { at, because, instead, symptom } of Diagnosis.fromSnapshot(yield* snapshot, { sla: "3 seconds" })) {
 *     console.log(`${symptom}. ${at}: ${because}. Instead: ${instead}`)
 *   }
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Figures.layer())))
 *
 * @since 0.1.0
 * @category combinators
 */
export const fromSnapshot = (snapshot: Figures.Snapshot, options: Options = {}): ReadonlyArray<Finding> => {
  const check = new Validation("Diagnosis.fromSnapshot")
  check.record(options, ["sla", "slaOf", "sustained", "blip", "own"])
  check.done()
  const { blip = defaults.blip, own = ownNames, sla = defaults.sla, slaOf = {}, sustained = defaults.sustained } =
    options
  checkOwn(check, own)
  const slaMillis = check.duration("sla", sla)
  check.record(slaOf, Object.keys(slaOf))
  const promises = new Map(
    Object.entries(slaOf).map(([dependency, given]) => [dependency, check.duration(`slaOf.${dependency}`, given)])
  )
  const subject = {
    ...snapshot,
    isDependency: (name: string) => !own.includes(name),
    slaMillis: (dependency: string) => promises.get(dependency) ?? slaMillis,
    sustainedMillis: check.duration("sustained", sustained),
    blipMillis: check.duration("blip", blip)
  }
  check.done()
  return rows.flatMap(({ check: found, ...row }) => found(subject).map((one): Finding => ({ ...row, ...one })))
}

/**
 * What is wrong now, from the figures of the program.
 *
 * @example
 * import * as Diagnosis from "@holdfast/core/Diagnosis"
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Effect from "effect/Effect"
 *
 * const report = Effect.map(Diagnosis.now(), Diagnosis.format)
 *
 * Effect.runPromise(report.pipe(Effect.provide(Figures.layer()))).then(console.log) // No symptom.
 *
 * @since 0.1.0
 * @category combinators
 */
export const now = (options: Options = {}): Effect.Effect<ReadonlyArray<Finding>, never, Figures.Figures> =>
  Effect.flatMap(Figures.Figures, ({ snapshot }) => Effect.map(snapshot, (present) => fromSnapshot(present, options)))

/**
 * Findings for a reader, ending in a line break.
 *
 * @example
 * import * as Diagnosis from "@holdfast/core/Diagnosis"
 *
 * console.log(Diagnosis.format([])) // No symptom.
 *
 * @since 0.1.0
 * @category combinators
 */
export const format = (findings: ReadonlyArray<Finding>): string =>
  findings.length === 0 ?
    "No symptom.\n" :
    findings.map(({ at, because, cause, instead, pattern, symptom }) =>
      `${symptom} (${at})\n  cause:   ${cause}\n  figures: ${because}\n  pattern: ${pattern}\n  instead: ${instead}\n`
    ).join("")
