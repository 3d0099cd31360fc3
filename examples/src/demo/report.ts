/**
 * The two runs side by side, second by second, and the summary below; text only, from the journals of the runs.
 */
import { fold } from "../drawing.js"
import type { Figures } from "./figures.js"
import { expectations, figuresOf } from "./figures.js"
import type { Verdict } from "./promises.js"
import type { RunResult } from "./run.js"
import type { Scenario } from "./scenario.js"
import { paymentIsSlow } from "./scenario.js"
import type { Row } from "./timeline.js"
import { toRows } from "./timeline.js"

export interface Paint {
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
}

/** Colours, or none. */
export const makePaint = (coloured: boolean): Paint => {
  const code = (on: number) => (text: string) => coloured ? `\u001b[${on}m${text}\u001b[0m` : text
  return { red: code(31), green: code(32), yellow: code(33), dim: code(2), bold: code(1) }
}

/** The time on that Tuesday's clock: the first alarm came at 2:47 PM, when payment turned slow. */
export const clockTime = (scenario: Scenario, second: number): string => {
  const total = 14 * 3600 + 47 * 60 + Math.round(second) - scenario.payment.slowFrom
  const two = (value: number) => String(value).padStart(2, "0")
  return `${two(Math.floor(total / 3600))}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}

const millis = (value: number | undefined): string =>
  value === undefined ? "-" : value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`

const number = (value: number | undefined, unit = ""): string =>
  value === undefined ? "-" : `${value >= 100 ? Math.round(value) : Math.round(value * 10) / 10}${unit}`

const nothing: Row = {
  from: 0,
  ordersAnswered: 0,
  catalogAnswered: 0,
  failed: 0,
  inFlight: 0,
  catalogP99: undefined,
  breaker: undefined,
  pending: 0,
  happenings: []
}

const cells = (row: Row, paint: Paint): string => {
  const failed = String(row.failed).padStart(7)
  return [
    String(row.ordersAnswered).padStart(6),
    String(row.catalogAnswered).padStart(8),
    row.failed > 0 ? paint.red(failed) : failed,
    String(row.inFlight).padStart(7),
    millis(row.catalogP99).padStart(8)
  ].join("")
}

const breakerCell = (row: Row, paint: Paint): string => {
  const text = (row.breaker ?? "-").padEnd(9)
  return row.breaker === "open" ? paint.red(text) : row.breaker === "half-open" ? paint.yellow(text) : paint.green(text)
}

const below = (whose: string, what: string): string => {
  const mark = `         ${whose}: `
  return fold(mark + what, mark.length)
}

/** The timeline of both runs, one line a second, with what fired in that second below it. */
export const timelineText = (scenario: Scenario, unprotected: RunResult, guarded: RunResult, paint: Paint): string => {
  const left = toRows(unprotected.journal, scenario.scale)
  const right = toRows(guarded.journal, scenario.scale)
  const head = "orders catalog failed inside     p99"
  const lines = [
    paint.dim(
      "orders, catalog: answered; inside: most requests on workers and in the queue; p99: of the catalog"
    ),
    `${"".padEnd(8)} ${paint.bold("UNPROTECTED".padEnd(head.length))} ${paint.bold("PROTECTED BY HOLDFAST")}`,
    paint.dim(`${"Tuesday".padEnd(8)} ${head} ${head} circuit   pending`)
  ]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const second = index * scenario.scale
    const a = left[index] ?? nothing
    const b = right[index] ?? nothing
    const time = clockTime(scenario, second)
    lines.push(
      `${paymentIsSlow(scenario, second) ? paint.yellow(time) : time} ` +
        `${cells(a, paint)} ${cells(b, paint)} ${breakerCell(b, paint)} ${String(b.pending).padStart(7)}`
    )
    const phase = (what: string) => what.startsWith("---")
    for (const what of a.happenings) {
      lines.push(phase(what) ? paint.yellow(`         ${what}`) : paint.red(below("unprotected", what)))
    }
    for (const what of b.happenings.filter((what) => !phase(what))) {
      lines.push(paint.dim(below("protected", what)))
    }
  }
  return lines.join("\n")
}

/** The customer has what there was to have: goods, goods a little later, or the bank's no. */
const endedWell = (f: Figures): number => f.confirmed + f.settled + f.refused

const share = (part: number, whole: number): string => `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)} %`

const summaryRows: ReadonlyArray<readonly [string, (figures: Figures) => string]> = [
  ["orders sent", (f) => String(f.ordersSent)],
  ["  ended well", (f) => `${endedWell(f)} of ${f.ordersSent}, ${share(endedWell(f), f.ordersSent)}`],
  ["    confirmed at once", (f) => String(f.confirmed)],
  ["    taken as pending, settled later", (f) => f.pending === 0 ? "0" : `${f.settled} of ${f.pending}`],
  ["    refused at once (card declined)", (f) => String(f.refused)],
  ["  failed", (f) => String(f.ordersFailed)],
  ["  told \"failed\", yet charged", (f) => String(f.chargedButToldFailed)],
  ["catalog pages served", (f) => String(f.catalogServed)],
  ["  failed", (f) => String(f.catalogFailed)],
  ["  p50 / p99, whole day", (f) => `${millis(f.catalogP50)} / ${millis(f.catalogP99)}`],
  ["  p99 while payment is slow", (f) => millis(f.catalogP99WhileSlow)],
  ["  ... above an empty server", (f) => millis(f.catalogP99AboveEmptyServerWhileSlow)],
  ["order p50 / p99", (f) => `${millis(f.orderP50)} / ${millis(f.orderP99)}`],
  ["payment circuit trips", (f) => String(f.breakerTrips)],
  ["call-seconds wasted on payment", (f) => number(f.callSecondsWasted)],
  ["confirmation mails sent", (f) => String(f.mailsSent)]
]

/** The summary: figures of both runs, the arithmetic beside them, the promises. */
export const summaryText = (
  scenario: Scenario,
  unprotected: RunResult,
  guarded: RunResult,
  verdicts: ReadonlyArray<Verdict>,
  paint: Paint
): string => {
  const a = figuresOf(scenario, unprotected)
  const b = figuresOf(scenario, guarded)
  return [
    paint.bold(`${"".padEnd(38)}${"unprotected".padStart(20)}${"protected".padStart(20)}`),
    ...summaryRows.map(([name, of]) => `${name.padEnd(38)}${of(a).padStart(20)}${of(b).padStart(20)}`),
    "",
    paint.bold("Arithmetic and measurement (seconds of that Tuesday)"),
    ...expectations(scenario, a, b).map(({ arithmetic, expected, measured, unit, what }) =>
      `${what.padEnd(54)}${number(expected, ` ${unit}`).padStart(9)} expected ${
        number(measured, ` ${unit}`).padStart(9)
      } measured\n${paint.dim(`  ${arithmetic}`)}`
    ),
    "",
    paint.bold("Promises of the protected service"),
    ...verdicts.map(({ kept, measured, promise }) =>
      `${kept ? paint.green("kept  ") : paint.red("BROKEN")} ${fold(`       ${promise}: ${measured}`, 7).trimStart()}`
    )
  ].join("\n")
}
