/** A bug that was put into a policy on purpose, and the tool that sees it. */
import * as OperationSweep from "@holdfast/testkit/OperationSweep"
import * as Effect from "effect/Effect"

export type Protect = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>

export type Tool = "OperationSweep" | "ScriptedDependency" | "MachineLaws" | "VirtualClock" | "FaultProxy"

export interface Bug {
  readonly policy: string
  /** What is wrong with the broken one, in a few words. */
  readonly title: string
  readonly tool: Tool
  /** What the tool says of the broken policy, and of the one of Holdfast: nothing, if it has no complaint. */
  readonly ofBroken: Effect.Effect<string>
  readonly ofReal: Effect.Effect<string>
}

/** One check, asked of both. */
export const bug = <Subject>(options: {
  readonly policy: string
  readonly title: string
  readonly tool: Tool
  readonly broken: () => Effect.Effect<Subject>
  readonly real: () => Effect.Effect<Subject>
  /** A fresh subject for each world that the check needs. */
  readonly check: (make: () => Effect.Effect<Subject>) => Effect.Effect<string>
}): Bug => ({
  policy: options.policy,
  title: options.title,
  tool: options.tool,
  ofBroken: Effect.suspend(() => options.check(options.broken)),
  ofReal: Effect.suspend(() => options.check(options.real))
})

/** What a sweep has to complain about, and in how many of its runs. */
export const ofSweep = (report: OperationSweep.Report): string => {
  if (report.runs - report.notReached <= 1) throw new Error(OperationSweep.format(report))
  const [first] = [...report.failures, ...report.hangs]
  if (first === undefined) return ""
  const wrong = report.failures.length + report.hangs.length
  return `${first.complaints.join("; ")} (${wrong} of ${report.runs} runs)`
}
