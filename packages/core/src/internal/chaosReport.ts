/**
 * What chaos did, as data and as a text: how often each dependency was hit, what the cap held back, and whether the run can be
 * played again.
 */
import type { Kind } from "../Fault.js"
import * as Fault from "../Fault.js"
import type { Injector } from "./chaosInjector.js"

export interface DependencyReport {
  /** Attempts that came by while a fault was aimed at the dependency. */
  readonly attempts: number
  /** Attempts that a fault hit. */
  readonly disturbed: number
  /** Attempts that would have been hit, were it not for the blast radius. */
  readonly heldBack: number
  /** Wrong answers that could not be given, since the place declares none. */
  readonly withoutAnswer: number
  readonly faults: { readonly [K in Kind]: number }
}

export interface Report {
  readonly seed: string
  /** The faults that are in force, in words. */
  readonly faults: ReadonlyArray<string>
  readonly dependencies: { readonly [dependency: string]: DependencyReport }
  /** By what the attempts were told apart for which something was drawn. */
  readonly drawn: { readonly byRequestId: number; readonly byKey: number; readonly byArrival: number }
  /** The same seed and the same calls have the same faults, in whatever order the calls come. */
  readonly replayable: boolean
  /** Dependencies that faults were aimed at, and of which no attempt ever came by. */
  readonly neverMet: ReadonlyArray<string>
}

/** @internal */
export const reportOf = (injector: Injector): Report => {
  const { byArrival, byKey, byRequestId } = injector.drawn
  const dependencies = new Map<string, DependencyReport>()
  let heldBack = 0
  for (const [dependency, account] of [...injector.accounts].sort(([left], [right]) => left < right ? -1 : 1)) {
    heldBack += account.heldBack
    dependencies.set(dependency, { ...account, faults: { ...account.faults } })
  }
  return {
    seed: injector.seed,
    faults: injector.rules.map(({ rule }) => Fault.describe(rule.fault)),
    dependencies: Object.fromEntries(dependencies),
    drawn: { byRequestId, byKey, byArrival },
    replayable: byArrival === 0 && byKey === 0 && heldBack === 0,
    neverMet: [...injector.names].filter((name) => !injector.met.has(name)).sort()
  }
}

const counted = (number: number, one: string): string => `${number} ${one}${number === 1 ? "" : "s"}`

const replayLines = ({ drawn, seed }: Report, heldBack: number): ReadonlyArray<string> => {
  const { byArrival, byKey, byRequestId } = drawn
  const lines: Array<string> = []
  if (byRequestId > 0) {
    lines.push(`${counted(byRequestId, "attempt")} drawn by request id: seed ${seed} gives the same again in any order`)
  }
  if (byKey > 0) {
    lines.push(
      `${counted(byKey, "attempt")} drawn by key and arrival: the same again only in the same order within a key`
    )
  }
  if (byArrival > 0) {
    lines.push(
      `${counted(byArrival, "attempt")} drawn by arrival, since the calls have neither request id nor key: ` +
        "the same again only in the same order"
    )
  }
  if (heldBack > 0) {
    lines.push("what the blast radius holds back depends on the order too")
  }
  return lines
}

/** @internal */
export const format = (report: Report): string => {
  const lines = [`Chaos with seed ${report.seed}`]
  let heldBack = 0
  for (const [dependency, account] of Object.entries(report.dependencies)) {
    heldBack += account.heldBack
    const faults = Object.entries(account.faults).filter(([, times]) => times > 0).map(([kind, times]) =>
      `${times} x ${kind}`
    )
    lines.push(
      `  ${dependency}: ${account.disturbed} of ${counted(account.attempts, "attempt")} disturbed` +
        (faults.length === 0 ? "" : ` (${faults.join(", ")})`) +
        (account.heldBack === 0 ? "" : `, ${account.heldBack} held back by the blast radius`) +
        (account.withoutAnswer === 0
          ? ""
          : `, ${counted(account.withoutAnswer, "wrong answer")} not given: its place declares none`)
    )
  }
  lines.push(...replayLines(report, heldBack).map((line) => `  ${line}`))
  if (report.neverMet.length > 0) {
    lines.push(`  never met: ${report.neverMet.join(", ")}. Is that the name, and does it have a place for faults?`)
  }
  return lines.join("\n")
}
