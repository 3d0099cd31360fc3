/**
 * The summary of a run in figures, and beside them what plain arithmetic said before anything ran.
 */
import { limits } from "./orderService.js"
import { wrongCharges } from "./promises.js"
import type { RunResult } from "./run.js"
import type { Scenario } from "./scenario.js"
import type { Route } from "./timeline.js"
import { firstExhausted, latencies, quantile, toRows, twins } from "./timeline.js"

export interface Figures {
  readonly ordersSent: number
  readonly confirmed: number
  readonly pending: number
  readonly settled: number
  readonly refused: number
  readonly ordersFailed: number
  readonly catalogServed: number
  readonly catalogFailed: number
  /** Of users who were told that their order had failed, those who paid all the same. */
  readonly chargedButToldFailed: number
  /** Milliseconds of the demo. */
  readonly catalogP50: number | undefined
  readonly catalogP99: number | undefined
  readonly catalogP99WhileSlow: number | undefined
  /** What the service added to the same wait on an empty server in the same moment. */
  readonly catalogP99AboveEmptyServerWhileSlow: number | undefined
  readonly orderP50: number | undefined
  readonly orderP99: number | undefined
  readonly breakerTrips: number
  /** Waiting for payment while it was slow, over all callers, in seconds of that Tuesday. */
  readonly callSecondsWasted: number
  /** From the moment payment turned slow, in seconds of that Tuesday; `undefined` when it never came to that. */
  readonly workersExhaustedAfter: number | undefined
  readonly circuitOpenedAfter: number | undefined
  readonly mailsSent: number
}

const isPaymentTrip = (what: string): boolean => what.startsWith("payment circuit OPEN")

export const figuresOf = (scenario: Scenario, run: RunResult): Figures => {
  const { journal } = run
  const { slowFrom, slowUntil } = scenario.payment
  const count = (route: Route, ...results: ReadonlyArray<string>) =>
    journal.samples.filter((sample) => sample.route === route && results.includes(sample.result)).length
  const whole = (route: Route, share: number) => quantile(latencies(journal, route, 0, Infinity), share)
  const trips = journal.happenings.filter(({ what }) => isPaymentTrip(what))
  const since = (at: number | undefined) => at === undefined ? undefined : at - slowFrom
  const failedOrders = new Set(
    journal.samples.filter(({ result, route }) => route === "order" && result === "failed").map(({ orderId }) =>
      orderId
    )
  )
  return {
    ordersSent: run.ordersSent,
    confirmed: count("order", "confirmed"),
    pending: count("order", "pending"),
    settled:
      journal.samples.filter(({ orderId, result }) => result === "pending" && run.settled.has(orderId ?? "")).length,
    refused: count("order", "refused"),
    ordersFailed: failedOrders.size,
    catalogServed: count("catalog", "served"),
    catalogFailed: count("catalog", "failed"),
    chargedButToldFailed: wrongCharges(run).filter((id) => failedOrders.has(id)).length,
    catalogP50: whole("catalog", 0.5),
    catalogP99: whole("catalog", 0.99),
    catalogP99WhileSlow: quantile(latencies(journal, "catalog", slowFrom, slowUntil), 0.99),
    catalogP99AboveEmptyServerWhileSlow: quantile(
      twins(journal, slowFrom, slowUntil).map(({ page, twin }) => page - twin),
      0.99
    ),
    orderP50: whole("order", 0.5),
    orderP99: whole("order", 0.99),
    breakerTrips: trips.length,
    callSecondsWasted: journal.paymentAttempts
      .filter(({ startedAt }) => startedAt >= slowFrom && startedAt < slowUntil)
      .reduce((sum, { seconds }) => sum + seconds, 0),
    workersExhaustedAfter: since(firstExhausted(journal, scenario.service.workers, slowFrom)),
    circuitOpenedAfter: since(trips.find(({ at }) => at >= slowFrom)?.at),
    mailsSent: run.mailsSent
  }
}

export interface Expectation {
  readonly what: string
  readonly arithmetic: string
  readonly expected: number
  readonly measured: number | undefined
  readonly unit: string
}

/**
 * The arithmetic of a slow dependency, with the demo's own numbers: workers / rate until none is left, workers x time held;
 * and with protection: what the bulkhead admits x the worst case of a call until the circuit opens, one attempt per probe after it.
 */
export const expectations = (
  scenario: Scenario,
  unprotected: Figures,
  guarded: Figures
): ReadonlyArray<Expectation> => {
  const { load, payment, scale, service } = scenario
  const ordersPerTuesdaySecond = load.ordersPerSecond / scale
  const untilExhausted = service.workers / ordersPerTuesdaySecond
  const slowFor = payment.slowUntil - payment.slowFrom
  // The calls that began while payment was slow: the first fill the workers, then each worker starts one every slowLatency.
  const callsStarted = service.workers * slowFor / payment.slowLatency
  const { attempt, backoff, failures, maxConcurrent, maxRetries } = limits.payment
  const attempts = maxRetries + 1
  const untilLast = failures / ordersPerTuesdaySecond
  const probes = Math.max(0, guarded.breakerTrips - 1)
  return [
    {
      what: "unprotected: until every worker waits for payment",
      arithmetic: `${service.workers} workers / ${ordersPerTuesdaySecond} orders a second`,
      expected: untilExhausted,
      measured: unprotected.workersExhaustedAfter,
      unit: "s"
    },
    {
      what: "unprotected: call-seconds spent waiting for payment",
      arithmetic: `${service.workers} workers x ${slowFor} s / ${payment.slowLatency} s x ${payment.slowLatency} s`,
      expected: callsStarted * payment.slowLatency,
      measured: unprotected.callSecondsWasted,
      unit: "s"
    },
    {
      what: "protected: until the circuit opens, at most",
      arithmetic: `${failures} failures: order ${failures} comes after ${
        untilLast.toFixed(1)
      } s and waits ${attempt} s + ${backoff / 2} s + ${attempt} s`,
      expected: untilLast + attempts * attempt + backoff / 2,
      measured: guarded.circuitOpenedAfter,
      unit: "s"
    },
    {
      what: "protected: call-seconds spent waiting for payment",
      arithmetic: `${maxConcurrent} in the bulkhead x ${attempts} x ${attempt} s + ${probes} failed probe${
        probes === 1 ? "" : "s"
      } x ${attempt} s`,
      expected: maxConcurrent * attempts * attempt + probes * attempt,
      measured: guarded.callSecondsWasted,
      unit: "s"
    }
  ]
}

/** All that `--json` writes. */
export const toJson = (scenario: Scenario, runs: ReadonlyArray<RunResult>, verdicts: ReadonlyArray<unknown>) => ({
  scenario,
  runs: Object.fromEntries(runs.map((run) => [
    run.variant,
    { figures: figuresOf(scenario, run), timeline: toRows(run.journal, scenario.scale), diagnosis: run.diagnosis }
  ])),
  promises: verdicts
})
