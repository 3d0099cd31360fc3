/**
 * What a group of benchmarks is, and what it answers: figures by bench and contender, taken in one process.
 */

/** How much is measured. */
export interface Settings {
  /** How often each contender is timed; the median stands. */
  readonly rounds: number
  /** CPU time that one round of a contender should take, in milliseconds. */
  readonly roundMillis: number
  /** Calls of each contender before anything is measured. */
  readonly warmUp: number
}

/**
 * Figures of one contender. `micros` and `bytes` are per call; `overMicros` and `overBytes` the same less the bare operation in the
 * same style.
 */
export type Figures = Readonly<Record<string, number>>

/** By bench, then by contender. */
export type Result = Readonly<Record<string, Readonly<Record<string, Figures>>>>

/** A column of the printed table. */
export interface Column {
  readonly key: string
  readonly title: string
  readonly digits: number
}

export interface Group {
  readonly name: string
  /** One sentence that says what is compared. */
  readonly title: string
  readonly columns: ReadonlyArray<Column>
  /** Takes so long, and comes out so evenly, that one process is enough. Default `false`. */
  readonly once?: boolean
  /** Measures everything once, in this process. */
  readonly run: (settings: Settings) => Promise<Result>
}

const cost: Column = { key: "micros", title: "us", digits: 2 }

/** What a call costs: in all, and over the bare operation. */
export const perCall: ReadonlyArray<Column> = [
  cost,
  { key: "overMicros", title: "over bare", digits: 2 },
  { key: "bytes", title: "bytes", digits: 0 },
  { key: "overBytes", title: "over bare", digits: 0 }
]

/** What a call costs where there is no bare operation to compare with. */
export const inAll: ReadonlyArray<Column> = [cost, { key: "bytes", title: "bytes", digits: 0 }]

/** The figure of one contender; a missing one is a mistake in a table, and says so. */
export const figure = (result: Result, bench: string, contender: string, key: string): number => {
  const value = result[bench]?.[contender]?.[key]
  if (value === undefined) {
    throw new Error(
      `no ${key} of ${contender} in ${bench}; there is ${JSON.stringify(Object.keys(result[bench] ?? result))}`
    )
  }
  return value
}
