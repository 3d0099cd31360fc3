/**
 * What is written down while a run goes on, and the arithmetic that makes a timeline of it. All times are seconds of that
 * Tuesday since the run began, except where a name says milliseconds.
 */

export type Route = "order" | "catalog"

export type Result = "served" | "confirmed" | "pending" | "refused" | "failed"

/** One request of a user, as the user saw it. */
export interface Sample {
  readonly route: Route
  readonly startedAt: number
  readonly endedAt: number
  /** As the user's watch shows it in the demo, in milliseconds. */
  readonly latencyMillis: number
  /** What the same wait took on an empty server in the same moment, in milliseconds; only catalog pages have such a twin. */
  readonly twinMillis: number | undefined
  readonly result: Result
  readonly orderId: string | undefined
  /** Of a failure: the status, or what the connection did. */
  readonly because: string | undefined
}

export type BreakerState = "closed" | "open" | "half-open"

/** The gauges of the service at one moment. */
export interface Reading {
  readonly at: number
  readonly busy: number
  readonly queued: number
  readonly breaker: BreakerState | undefined
  readonly pending: number
}

/** Something that fired. Counted ones are told as a number per row, the others one by one. */
export interface Happening {
  readonly at: number
  readonly what: string
  readonly counted: boolean
}

export interface Journal {
  readonly samples: Array<Sample>
  readonly readings: Array<Reading>
  readonly happenings: Array<Happening>
  /** What the service waited for payment, attempt by attempt. */
  readonly paymentAttempts: Array<{ readonly startedAt: number; readonly seconds: number }>
}

export const emptyJournal = (): Journal => ({ samples: [], readings: [], happenings: [], paymentAttempts: [] })

/** Forgets all that was written down. */
export const clear = (journal: Journal): void => {
  for (const list of [journal.samples, journal.readings, journal.happenings, journal.paymentAttempts]) {
    list.length = 0
  }
}

/** One row of the timeline: one second of the demo. */
export interface Row {
  /** Seconds of that Tuesday at which it begins. */
  readonly from: number
  readonly ordersAnswered: number
  readonly catalogAnswered: number
  readonly failed: number
  /** The most requests on workers and in the accept queue at once. */
  readonly inFlight: number
  /** Of the route that does not need payment; `undefined` when it answered nobody. */
  readonly catalogP99: number | undefined
  readonly breaker: BreakerState | undefined
  readonly pending: number
  readonly happenings: ReadonlyArray<string>
}

/** The nearest-rank quantile: the smallest value that at least this share of all values does not exceed. */
export const quantile = (values: ReadonlyArray<number>, share: number): number | undefined => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

const singulars: Readonly<Record<string, string>> = {
  calls: "call",
  orders: "order",
  retries: "retry",
  timeouts: "timeout"
}

/** So many of what is told in the plural: "2 payment retries", "1 payment retry". */
export const times = (count: number, what: string): string =>
  `${count} ${count === 1 ? what.replace(/\b(?:calls|orders|retries|timeouts)\b/, (many) => singulars[many]!) : what}`

/** What happened, in order; at the end, in one line, how often each of the counted things did. */
export const summariseHappenings = (happenings: ReadonlyArray<Happening>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { counted, what } of happenings) {
    if (counted) {
      counts.set(what, (counts.get(what) ?? 0) + 1)
    }
  }
  const totals = Array.from(counts, ([what, count]) => times(count, what))
  return [
    ...happenings.filter(({ counted }) => !counted).map(({ what }) => what),
    ...totals.length === 0 ? [] : [totals.join(", ")]
  ]
}

/** Cuts a journal into rows of `step` seconds, from the beginning to the last thing that happened. */
export const toRows = (journal: Journal, step: number): ReadonlyArray<Row> => {
  const last = Math.max(
    0,
    ...journal.samples.map(({ endedAt }) => endedAt),
    ...journal.readings.map(({ at }) => at)
  )
  const rows: Array<Row> = []
  for (let from = 0; from <= last; from += step) {
    const within = (at: number) => at >= from && at < from + step
    const samples = journal.samples.filter(({ endedAt }) => within(endedAt))
    const readings = journal.readings.filter(({ at }) => within(at))
    const good = samples.filter(({ result }) => result !== "failed")
    const before = readings.at(-1)
    rows.push({
      from,
      ordersAnswered: good.filter(({ route }) => route === "order").length,
      catalogAnswered: good.filter(({ route }) => route === "catalog").length,
      failed: samples.length - good.length,
      inFlight: Math.max(0, ...readings.map(({ busy, queued }) => busy + queued)),
      catalogP99: quantile(
        samples.filter(({ route }) => route === "catalog").map(({ latencyMillis }) => latencyMillis),
        0.99
      ),
      breaker: before?.breaker,
      pending: before?.pending ?? 0,
      happenings: summariseHappenings(journal.happenings.filter(({ at }) => within(at)))
    })
  }
  return rows
}

/** Latencies, in milliseconds, of a route's requests that began in a span of time, failed ones included: their users waited too. */
export const latencies = (journal: Journal, route: Route, from: number, until: number): ReadonlyArray<number> =>
  journal.samples
    .filter((sample) => sample.route === route && sample.startedAt >= from && sample.startedAt < until)
    .map(({ latencyMillis }) => latencyMillis)

/**
 * Catalog pages that began in a span of time, each with its twin, in milliseconds. With `longestGap`, in seconds of that Tuesday, pages
 * are left out during which the whole process stood still: not even the gauges were read for longer than that.
 */
export const twins = (
  journal: Journal,
  from: number,
  until: number,
  longestGap = Infinity
): ReadonlyArray<{ readonly page: number; readonly twin: number }> => {
  const gaps = journal.readings.flatMap(({ at }, index) => {
    const next = journal.readings[index + 1]?.at ?? at
    return next - at > longestGap ? [{ from: at, until: next }] : []
  })
  return journal.samples.flatMap(({ endedAt, latencyMillis, startedAt, twinMillis }) =>
    twinMillis === undefined || startedAt < from || startedAt >= until ||
      gaps.some((gap) => startedAt < gap.until && endedAt > gap.from)
      ? []
      : [{ page: latencyMillis, twin: twinMillis }]
  )
}

/** When all workers were busy at once for the first time after `from`. */
export const firstExhausted = (journal: Journal, workers: number, from: number): number | undefined =>
  journal.readings.find(({ at, busy }) => at >= from && busy >= workers)?.at
