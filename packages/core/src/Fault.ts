/**
 * What can be put in the way of a call on purpose: failures, latency, hangs, defects and wrong answers, as plain data.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Call from "./Call.js"
import { Validation } from "./Options.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@holdfast/core/Fault")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * The five ways in which a dependency can be made to look bad.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "failure" | "latency" | "hang" | "defect" | "answer"

/**
 * Which attempts a fault hits. All that is said must be true of one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Aim {
  /** One dependency or several. Default: every dependency that has a place for faults. */
  readonly dependency?: string | ReadonlyArray<string> | undefined
  /** The share of attempts, from 0 to 1. Default 1: all of them. */
  readonly probability?: number | undefined
  /** Only calls of which this is true: an operation, a key, a first attempt. Must not throw; one that does is reported and hits nothing. */
  readonly when?: ((call: Call.Call) => boolean) | undefined
  /** Only for a time, counted from when the fault was put in. Default: from the beginning, and for good. */
  readonly during?:
    | { readonly from?: Duration.DurationInput | undefined; readonly to?: Duration.DurationInput | undefined }
    | undefined
}

/**
 * How long a latency is: always the same, spread evenly, or around a mean. A normal one never falls below 0 nor rises above `largest`,
 * by default the mean and four deviations.
 *
 * @since 0.1.0
 * @category models
 */
export type Delay =
  | Duration.DurationInput
  | { readonly from: Duration.DurationInput; readonly to: Duration.DurationInput }
  | {
    readonly mean: Duration.DurationInput
    readonly deviation: Duration.DurationInput
    readonly largest?: Duration.DurationInput | undefined
  }

/**
 * A delay in milliseconds, as it is drawn from.
 *
 * @since 0.1.0
 * @category models
 */
export type Spread =
  | { readonly _tag: "Fixed"; readonly millis: number }
  | { readonly _tag: "Uniform"; readonly from: number; readonly to: number }
  | { readonly _tag: "Normal"; readonly mean: number; readonly deviation: number; readonly largest: number }

/**
 * A fault, as it was checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault {
  readonly [TypeId]: TypeId
  readonly kind: Kind
  /** Only for `latency`. */
  readonly spread: Spread | undefined
  /** `undefined` for every dependency. */
  readonly dependencies: ReadonlyArray<string> | undefined
  readonly probability: number
  readonly when: ((call: Call.Call) => boolean) | undefined
  readonly fromMillis: number
  readonly toMillis: number
}

/**
 * Whether a value is a fault.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * console.log(Fault.isFault(Fault.hang())) // true
 *
 * @since 0.1.0
 * @category guards
 */
export const isFault = (value: unknown): value is Fault =>
  typeof value === "object" && value !== null && TypeId in value

const checkDependency = (check: Validation, dependency: unknown): ReadonlyArray<string> | undefined => {
  if (dependency === undefined) {
    return undefined
  }
  const names: ReadonlyArray<unknown> = Array.isArray(dependency) ? dependency : [dependency]
  if (names.length === 0 || names.some((name) => typeof name !== "string" || name === "")) {
    check.add("dependency", dependency, "the name of a dependency, or a list of names that is not empty")
  }
  return names as ReadonlyArray<string>
}

const checkWindow = (check: Validation, during: Aim["during"]) => {
  const always = { fromMillis: 0, toMillis: Infinity }
  if (during === undefined) {
    return always
  }
  const inner = new Validation(check.owner, "during.")
  if (typeof during !== "object" || during === null || Array.isArray(during)) {
    check.add("during", during, "a record of from and to")
    return always
  }
  inner.record(during, ["from", "to"])
  const fromMillis = during.from === undefined ? 0 : inner.duration("from", during.from, 0)
  const toMillis = during.to === undefined ? Infinity : inner.duration("to", during.to, 0)
  if (inner.findings.length === 0 && toMillis <= fromMillis) {
    inner.add("to", during.to, "later than from")
  }
  check.findings.push(...inner.findings)
  return { fromMillis, toMillis }
}

const aimed = (kind: Kind, spread: Spread | undefined, check: Validation, aim: Aim): Fault => {
  check.record(aim, ["dependency", "probability", "when", "during"])
  const { probability = 1, when } = aim
  const dependencies = checkDependency(check, aim.dependency)
  check.number("probability", probability, 0, 1)
  if (when !== undefined) {
    check.callable("when", when)
  }
  const window = checkWindow(check, aim.during)
  check.done()
  return { [TypeId]: TypeId, kind, spread, dependencies, probability, when, ...window }
}

/**
 * The call fails with the error that its place declares, by default `InjectedFailure`. The dependency is not called.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const outage = Fault.failure({ dependency: "recommendations" })
 * const flaky = Fault.failure({ dependency: "payments", probability: 0.1, when: (call) => call.operation === "charge" })
 *
 * console.log(outage.probability, flaky.probability) // 1 0.1
 *
 * @since 0.1.0
 * @category constructors
 */
export const failure = (aim: Aim = {}): Fault => aimed("failure", undefined, new Validation("Fault.failure"), aim)

/** Longer than anybody would wait for an experiment, and far from what a timer can hold. */
const longest = Duration.toMillis("1 day")

const spreadOf = (check: Validation, delay: any): Spread => {
  if (typeof delay !== "object" || delay === null || Duration.isDuration(delay) || Array.isArray(delay)) {
    return { _tag: "Fixed", millis: check.duration("delay", delay, 0, longest) }
  }
  if (!("mean" in delay || "deviation" in delay)) {
    check.record(delay, ["from", "to"])
    const from = check.duration("from", delay.from, 0, longest)
    return { _tag: "Uniform", from, to: check.duration("to", delay.to, from, longest) }
  }
  check.record(delay, ["mean", "deviation", "largest"])
  const mean = check.duration("mean", delay.mean, 0, longest)
  const deviation = check.duration("deviation", delay.deviation, 0, longest)
  const largest = delay.largest === undefined
    ? Math.min(longest, mean + 4 * deviation)
    : check.duration("largest", delay.largest, mean, longest)
  return { _tag: "Normal", mean, deviation, largest }
}

/**
 * The call is made later. The wait is part of what the policies protect: limits, deadlines and interruption end it as they would end
 * the call.
 *
 * Several latencies add up. Faults are tried in the order in which they stand: what stands behind a latency that hit comes after it.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const fixed = Fault.latency("2 seconds")
 * const uniform = Fault.latency({ from: "0 millis", to: "3 seconds" }, { probability: 0.2 })
 * const normal = Fault.latency({ mean: "300 millis", deviation: "100 millis" }, { dependency: ["search", "prices"] })
 *
 * console.log([fixed, uniform, normal].map(({ spread }) => spread?._tag)) // [ "Fixed", "Uniform", "Normal" ]
 *
 * @since 0.1.0
 * @category constructors
 */
export const latency = (delay: Delay, aim: Aim = {}): Fault => {
  const check = new Validation("Fault.latency")
  const spread = spreadOf(check, delay)
  return aimed("latency", spread, check, aim)
}

/**
 * The call gets no answer, ever: what ends it is a limit, a deadline, or that its caller goes away.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const stuck = Fault.hang({ dependency: "inventory", probability: 0.05 })
 *
 * console.log(stuck.kind) // "hang"
 *
 * @since 0.1.0
 * @category constructors
 */
export const hang = (aim: Aim = {}): Fault => aimed("hang", undefined, new Validation("Fault.hang"), aim)

/**
 * The call dies with an `InjectedDefect`, as if the client had a bug.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const bug = Fault.defect({ during: { from: "10 seconds", to: "20 seconds" } })
 *
 * console.log(bug.fromMillis, bug.toMillis) // 10000 20000
 *
 * @since 0.1.0
 * @category constructors
 */
export const defect = (aim: Aim = {}): Fault => aimed("defect", undefined, new Validation("Fault.defect"), aim)

/**
 * The call succeeds with the wrong answer that its place declares. A place that declares none is left alone, and the report says so.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * const wrong = Fault.answer({ dependency: "prices", probability: 0.01 })
 *
 * console.log(wrong.dependencies) // [ "prices" ]
 *
 * @since 0.1.0
 * @category constructors
 */
export const answer = (aim: Aim = {}): Fault => aimed("answer", undefined, new Validation("Fault.answer"), aim)

const between = (from: number, to: number): string =>
  `${Duration.format(Duration.millis(from))} to ${Duration.format(Duration.millis(to))}`

const delayWords = (spread: Spread): string => {
  switch (spread._tag) {
    case "Fixed":
      return `latency of ${Duration.format(Duration.millis(spread.millis))}`
    case "Uniform":
      return `latency of ${between(spread.from, spread.to)}`
    case "Normal":
      return `latency around ${Duration.format(Duration.millis(spread.mean))} (deviation ${
        Duration.format(Duration.millis(spread.deviation))
      })`
  }
}

/**
 * A fault in words, for logs and reports.
 *
 * @example
 * import * as Fault from "@holdfast/core/Fault"
 *
 * console.log(Fault.describe(Fault.failure({ dependency: "payments", probability: 0.1 })))
 * // failure in 10 % of the attempts at payments
 *
 * @since 0.1.0
 * @category getters
 */
export const describe = (fault: Fault): string => {
  const what = fault.spread === undefined
    ? fault.kind === "answer" ? "wrong answer" : fault.kind
    : delayWords(fault.spread)
  const where = fault.dependencies === undefined ? "every dependency" : fault.dependencies.join(", ")
  const share = fault.probability === 1
    ? "every attempt"
    : `${Number((fault.probability * 100).toPrecision(3))} % of the attempts`
  const which = fault.when === undefined ? "" : ", where its condition is true"
  const window = fault.fromMillis === 0 && fault.toMillis === Infinity
    ? ""
    : fault.toMillis === Infinity
    ? `, from ${Duration.format(Duration.millis(fault.fromMillis))} on`
    : `, from ${between(fault.fromMillis, fault.toMillis)}`
  return `${what} in ${share} at ${where}${which}${window}`
}
