/**
 * What the protected service promised its users, checked against what they saw and what the bank wrote down.
 */
import type { RunResult } from "./run.js"
import type { Scenario } from "./scenario.js"
import type { Sample } from "./timeline.js"
import { latencies, quantile, times, twins } from "./timeline.js"

export interface Verdict {
  readonly promise: string
  readonly kept: boolean
  readonly measured: string
}

/** Below this a page feels instant, and a factor between two such figures means nothing. In milliseconds of the demo. */
export const instantMillis = 20

/** The gauges are read every 50 ms; when nothing read them for so long, nothing else ran either. In milliseconds of the demo. */
export const standstillMillis = 100

/** A route is unaffected when its p99 stays within twice the healthy one, or is instant all the same. */
export const latencyLimit = (healthyP99: number): number => Math.max(2 * healthyP99, instantMillis)

const orders = (run: RunResult): ReadonlyArray<Sample> => run.journal.samples.filter(({ route }) => route === "order")

/**
 * The plain figures first. On a machine that is busy with other things they say little: it may have been idle before and starved
 * after. So the twins are asked too, by the same rule: a page may take twice as long as an empty server of the same process
 * in the same moment, or 20 ms longer; pages during which the whole process stood still do not count. A page that waits for a worker is late by a hundred times that.
 */
const unaffectedRoute = (scenario: Scenario, run: RunResult): Verdict => {
  const { slowFrom, slowUntil } = scenario.payment
  // Without the first second of the demo: Node still compiles then, and a baseline that is too slow would judge too mildly.
  const healthy = quantile(latencies(run.journal, "catalog", scenario.scale, slowFrom), 0.99)
  const slow = quantile(latencies(run.journal, "catalog", slowFrom, slowUntil), 0.99)
  const all = twins(run.journal, slowFrom, slowUntil).length
  const pairs = twins(run.journal, slowFrom, slowUntil, standstillMillis / 1000 * scenario.scale)
  const empty = quantile(pairs.map(({ twin }) => twin), 0.99)
  const added = quantile(pairs.map(({ page, twin }) => page - twin), 0.99)
  const kept = healthy !== undefined && slow !== undefined && empty !== undefined && added !== undefined &&
    (slow <= latencyLimit(healthy) || (pairs.length >= all / 2 && added <= Math.max(instantMillis, empty)))
  return {
    promise: `GET /catalog does not notice: p99 within twice the healthy one, or within ${instantMillis} ms`,
    kept,
    measured:
      `${show(slow)} while payment was slow, ${show(healthy)} before, ${show(added)} more than an empty server` +
      (pairs.length === all ? "" : ` (${all - pairs.length} of ${all} pages set aside: the machine stood still)`)
  }
}

const show = (millis: number | undefined) => millis === undefined ? "nothing" : `${millis.toFixed(1)} ms`

const noOrderLost = (run: RunResult): Verdict => {
  const count = (result: Sample["result"]) => orders(run).filter((sample) => sample.result === result).length
  const confirmed = count("confirmed")
  const pending = count("pending")
  const refused = count("refused")
  const reasons = [...new Set(orders(run).flatMap(({ because }) => because === undefined ? [] : [because]))]
  return {
    promise: "no order is lost: confirmed + pending + refused = sent",
    kept: confirmed + pending + refused === run.ordersSent && run.ordersSent > 0,
    measured: `${confirmed} + ${pending} + ${refused} = ${confirmed + pending + refused} of ${run.ordersSent} sent${
      reasons.length === 0 ? "" : `; lost by: ${reasons.join(", ")}`
    }`
  }
}

const pendingSettled = (run: RunResult): Verdict => {
  const pending = orders(run).filter(({ result }) => result === "pending")
  const settled = pending.filter(({ orderId }) => orderId !== undefined && run.settled.has(orderId))
  return {
    promise: "every pending order is settled once payment is back",
    kept: settled.length === pending.length,
    measured: `${settled.length} of ${pending.length} settled`
  }
}

/** Orders whose number of charges is not what the user was told, by the bank's own book. */
export const wrongCharges = (run: RunResult): ReadonlyArray<string> =>
  orders(run).flatMap(({ orderId, result }) => {
    if (orderId === undefined) {
      return []
    }
    const paid = result === "confirmed" || (result === "pending" && run.settled.get(orderId) === "charged")
    return (run.charges.get(orderId) ?? 0) === (paid ? 1 : 0) ? [] : [orderId]
  })

const chargedOnce = (run: RunResult): Verdict => {
  const wrong = wrongCharges(run)
  return {
    promise: "whoever was told so was charged exactly once, and nobody else",
    kept: wrong.length === 0,
    measured: wrong.length === 0
      ? `${run.charges.size} charges, ${run.duplicatesAbsorbed} repeated requests answered without a second one`
      : `${times(wrong.length, "orders")} charged wrongly, such as ${wrong[0]}`
  }
}

/** Judges the protected run. */
export const judge = (scenario: Scenario, run: RunResult): ReadonlyArray<Verdict> => [
  unaffectedRoute(scenario, run),
  noOrderLost(run),
  pendingSettled(run),
  chargedOnce(run)
]
