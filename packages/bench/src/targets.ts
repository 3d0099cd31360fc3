/**
 * What Holdfast must reach, as data: each row reads one figure out of what one process measured.
 */
import { figure, type Result } from "./Group.js"
import { titleOf as inFlight } from "./groups/flight.js"
import { titleOf as regionOf } from "./groups/gates.js"
import { titleOf as keysOf } from "./groups/keys.js"
import { type Spread, spread } from "./statistics.js"

export interface Target {
  readonly figure: string
  /** The group whose results it reads. */
  readonly group: string
  readonly target: number
  readonly stretch: number
  /** `false`: the value must be at least the target. */
  readonly atMost: boolean
  /** How the value is printed. */
  readonly unit: "ratio" | "bytes"
  readonly value: (result: Result) => number
}

/** The synchronous and the asynchronous operation. */
const sync = "synchronous operation"
const async = "asynchronous operation"

type Read = (result: Result) => number

const of = (bench: string, contender: string, key: string): Read => (result) => figure(result, bench, contender, key)

const over = (above: Read, below: Read): Read => (result) => above(result) / below(result)

const ratio = (bench: string, ours: string, theirs: string, key = "overMicros"): Read =>
  over(of(bench, ours, key), of(bench, theirs, key))

const row = (
  name: string,
  group: string,
  limits: readonly [target: number, stretch: number],
  value: Read,
  unit: Target["unit"] = "ratio"
): Target => ({ figure: name, group, target: limits[0], stretch: limits[1], atMost: true, unit, value })

const open = "open circuit"
const failing = "three failing attempts"
const windows = "windows"
const most = inFlight(100_000)
const keys = keysOf(100_000)

export const targets: ReadonlyArray<Target> = [
  row("O(five) / O(cockatiel), synchronous, one fiber", "stack", [0.30, 0.16], ratio(sync, "five", "cockatiel")),
  row("O(five) / O(cockatiel), asynchronous, one fiber", "stack", [0.45, 0.25], ratio(async, "five", "cockatiel")),
  row(
    "O(standard) / O(cockatiel), asynchronous, one fiber",
    "stack",
    [0.60, 0.35],
    ratio(async, "standard", "cockatiel")
  ),
  row(
    "O(standard) / O(cockatiel), asynchronous, 1,000 fibers",
    "fibers",
    [0.35, 0.20],
    ratio(async, "standard", "cockatiel")
  ),
  row(
    "five / cockatiel, one runPromise per call, totals, synchronous",
    "promises",
    [0.50, 0.35],
    ratio(sync, "five", "cockatiel", "micros")
  ),
  row(
    "five / cockatiel, one runPromise per call, totals, asynchronous",
    "promises",
    [0.50, 0.35],
    ratio(async, "five", "cockatiel", "micros")
  ),
  row("O(five) / O(the built-ins), synchronous", "stack", [1 / 12, 1 / 25], ratio(sync, "five", "built-ins")),
  row("O(five) / O(the built-ins), asynchronous", "stack", [1 / 12, 1 / 25], ratio(async, "five", "built-ins")),
  row("O(five) / O(onExit), synchronous", "stack", [2.5, 1.5], ratio(sync, "five", "onExit")),
  row("O(five) / O(onExit), asynchronous", "stack", [2.5, 1.5], ratio(async, "five", "onExit")),
  row(
    "each further gate in a region / a region of one",
    "gates",
    [0.25, 0.10],
    (result) => (ratio(sync, regionOf(10), regionOf(1))(result) - 1) / 9
  ),
  row(
    "five, caller with a forked child / cockatiel, totals",
    "callers",
    [1.6, 1.0],
    over(of("caller with a forked child", "five", "micros"), of("peers", "cockatiel", "micros"))
  ),
  row(
    "bytes over bare, five / cockatiel, synchronous",
    "stack",
    [0.40, 0.25],
    ratio(sync, "five", "cockatiel", "overBytes")
  ),
  row(
    "bytes over bare, five / cockatiel, asynchronous",
    "stack",
    [0.40, 0.25],
    ratio(async, "five", "cockatiel", "overBytes")
  ),
  row(
    "bytes over bare, five / the built-ins, synchronous",
    "stack",
    [1 / 15, 1 / 25],
    ratio(sync, "five", "built-ins", "overBytes")
  ),
  row(
    "bytes over bare, five / the built-ins, asynchronous",
    "stack",
    [1 / 15, 1 / 25],
    ratio(async, "five", "built-ins", "overBytes")
  ),
  row(
    "rejected by an open circuit, caught / cockatiel",
    "rejected",
    [0.30, 0.12],
    ratio(open, "breaker", "cockatiel", "micros")
  ),
  row(
    "rejected by an open circuit, caught, one listener / cockatiel",
    "rejected",
    [0.30, 0.12],
    ratio(open, "breaker, one listener", "cockatiel", "micros")
  ),
  row(
    "three failing attempts, no delay / Effect.retry",
    "attempts",
    [1 / 10, 1 / 30],
    ratio(failing, "holdfast", "Effect.retry", "micros")
  ),
  row(
    "100,000 in flight: bytes per call of five over a bare fiber",
    "flight",
    [1_500, 600],
    (result) => figure(result, most, "five", "heldBytes") - figure(result, most, "bare fiber", "heldBytes"),
    "bytes"
  ),
  row(
    "CPU per call of five, 100,000 in flight / 10,000",
    "flight",
    [1.5, 1.1],
    over(of(most, "five", "micros"), of(inFlight(10_000), "five", "micros"))
  ),
  row(
    "window of 10,000 / window of 10",
    "windows",
    [1.3, 1.1],
    over(
      of(windows, "holdfast, last 10,000 calls", "overMicros"),
      of(windows, "holdfast, last 10 calls", "overMicros")
    )
  ),
  row(
    "keyed limiter, 100,000 keys: bytes per key",
    "keys",
    [150, 100],
    of(keys, "holdfast, keyed limiter", "heldBytes"),
    "bytes"
  ),
  row(
    "keyed limiter, 100,000 keys: time / rate-limiter-flexible",
    "keys",
    [1.0, 0.75],
    ratio(keys, "holdfast, keyed limiter", "rate-limiter-flexible", "micros")
  ),
  row(
    "a standard policy per key, 10,000 keys: bytes per key",
    "keys",
    [14_000, 6_000],
    of(keysOf(10_000), "holdfast, a standard policy per key", "heldBytes"),
    "bytes"
  ),
  row(
    "standard, metrics listener on / off, totals",
    "callers",
    [1.25, 1.05],
    over(of("the metrics listener", "standard", "micros"), of("in a plain fiber", "standard", "micros"))
  ),
  {
    ...row(
      "HTTP requests per second, standard / the plain client",
      "http",
      [0.95, 0.98],
      ratio("loopback", "standard", "plain client", "perSecond")
    ),
    atMost: false
  }
]

/** Reported without a target: cockatiel that does not abort its signal on return, and what is of interest beside a row above. */
export const reported: ReadonlyArray<Pick<Target, "figure" | "group" | "value" | "unit">> = [
  [
    "O(five) / O(cockatiel, abortOnReturn false), synchronous",
    "stack",
    ratio(sync, "five", "cockatiel, abortOnReturn false")
  ],
  [
    "O(five) / O(cockatiel, abortOnReturn false), asynchronous",
    "stack",
    ratio(async, "five", "cockatiel, abortOnReturn false")
  ],
  [
    "O(standard) / O(cockatiel, abortOnReturn false), 1,000 fibers",
    "fibers",
    ratio(async, "standard", "cockatiel, abortOnReturn false")
  ],
  ["O(standard) / O(the built-ins), asynchronous", "stack", ratio(async, "standard", "built-ins")],
  [
    "bytes over bare, standard, metrics listener on / off",
    "callers",
    over(of("the metrics listener", "standard", "overBytes"), of("in a plain fiber", "standard", "overBytes"))
  ],
  [
    "HTTP requests per second, length not told, standard / the plain client",
    "http",
    ratio("loopback, length not told", "standard", "plain client", "perSecond")
  ],
  ["CPU per HTTP request, standard / the plain client", "http", ratio("loopback", "standard", "plain client", "micros")]
].map(([name, group, value]) => ({
  figure: name as string,
  group: group as string,
  value: value as Read,
  unit: "ratio"
}))

export type Verdict = "stretch" | "reached" | "missed"

export interface Judged {
  readonly figure: string
  readonly measured: Spread
  readonly unit: Target["unit"]
  readonly target?: number | undefined
  readonly stretch?: number | undefined
  readonly atMost?: boolean | undefined
  readonly verdict?: Verdict | undefined
}

/** One result per process, of one group. */
export type Runs = ReadonlyArray<Result>

/** Reads the rows of the groups that were run. */
export const judge = (runs: ReadonlyMap<string, Runs>): ReadonlyArray<Judged> => {
  const measuredIn = <A extends { readonly group: string; readonly value: Read }>(row: A): Spread =>
    spread(runs.get(row.group)!.map(row.value))
  return [
    ...targets.filter(({ group }) => runs.has(group)).map((row): Judged => {
      const measured = measuredIn(row)
      const within = (limit: number) => row.atMost ? measured.median <= limit : measured.median >= limit
      return {
        figure: row.figure,
        measured,
        unit: row.unit,
        target: row.target,
        stretch: row.stretch,
        atMost: row.atMost,
        verdict: within(row.stretch) ? "stretch" : within(row.target) ? "reached" : "missed"
      }
    }),
    ...reported.filter(({ group }) => runs.has(group)).map((row): Judged => ({
      figure: row.figure,
      measured: measuredIn(row),
      unit: row.unit
    }))
  ]
}
