/**
 * The verdict of an experiment for a reader: the five steps, each with what was seen.
 */
import * as Duration from "effect/Duration"

interface Line {
  readonly says: string
  readonly held: boolean
  readonly saw: string
}

interface Concluded {
  readonly result: string
  readonly because: string
  readonly name: string
  readonly hypothesis: string
  readonly faults: ReadonlyArray<string>
  readonly steadyState: ReadonlyArray<Line>
  readonly expectations: ReadonlyArray<Line>
  readonly hits: number
  readonly probes: number
  readonly recoveredAfter: Duration.Duration | undefined
}

const listed = (lines: ReadonlyArray<Line>): ReadonlyArray<string> =>
  lines.map(({ held, saw, says }) => `     ${held ? "yes" : "NO "}  ${says}: ${saw}`)

/** @internal */
export const textOf = (verdict: Concluded): string => {
  const { because, expectations, faults, hits, hypothesis, name, probes, recoveredAfter, result, steadyState } = verdict
  const lines = [`Experiment: ${name}`, `  1. Hypothesis: ${hypothesis}`, "  2. Steady state", ...listed(steadyState)]
  if (probes > 0) {
    lines.push(
      `  3. Injected: ${faults.join("; ")}. It hit ${hits} ${hits === 1 ? "time" : "times"}`,
      `  4. Observed, ${probes} ${probes === 1 ? "probe" : "probes"}`,
      ...listed(expectations),
      recoveredAfter === undefined
        ? "     The fault was taken out, and the steady state did not come back in time"
        : `     The fault was taken out, and the steady state was back ${
          Duration.toMillis(recoveredAfter) === 0 ? "at once" : `after ${Duration.format(recoveredAfter)}`
        }`
    )
  }
  lines.push(`  ${probes > 0 ? "5. " : ""}Verdict: ${result.toUpperCase()}. ${because}`)
  return lines.join("\n")
}
