/**
 * The arithmetic of waiting: what a retry may cost, how timeouts line up over several hops, and what retries multiply to.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Backoff from "./Backoff.js"
import { betweenLayers, type Layer, layerNames, ofProbe } from "./internal/timeoutStack.js"
import { retriesThatFit, retriesThatFitCautiously, sum, time } from "./internal/worstCase.js"
import type { Finding } from "./Lint.js"
import { Validation } from "./Options.js"

/**
 * One dependency as it is called: attempts of a limited length, with delays between them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempts {
  /** The limit of one attempt. */
  readonly timeout: Duration.DurationInput
  /** Attempts after the first. */
  readonly maxRetries: number
  /** The delay between two attempts, or a `Backoff`, of which the largest delays count. Default none. */
  readonly backoff?: Duration.DurationInput | Backoff.Backoff | undefined
}

/**
 * What may be waited for, and with what.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Attempts {
  /** What the user was promised. */
  readonly sla: Duration.DurationInput
  /** What the caller needs for itself. Default 0. */
  readonly overhead?: Duration.DurationInput | undefined
}

/**
 * A budget, reckoned.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatencyBudget {
  /** The promise less the overhead. */
  readonly available: Duration.Duration
  /** All attempts at their limit, and the largest delays between them. */
  readonly worstCase: Duration.Duration
  readonly fits: boolean
  /** The largest `maxRetries` that fits; `undefined` if not even one attempt does. */
  readonly largestMaxRetries: number | undefined
  /** The same with a delay charged after the last attempt too, which nobody waits for: the careful figure, never below 0. */
  readonly cautiousMaxRetries: number | undefined
  /** The reckoning as a line. */
  readonly text: string
}

const attemptFields = ["timeout", "maxRetries", "backoff"]

interface Reading {
  readonly timeout: number
  readonly maxRetries: number
  readonly delay: (retry: number) => number
}

const readAttempts = (check: Validation, given: Attempts): Reading => {
  check.whole("maxRetries", given.maxRetries, 0, 1000)
  const { backoff } = given
  const millis = backoff === undefined || Backoff.isBackoff(backoff) ? 0 : check.duration("backoff", backoff, 0)
  return {
    timeout: check.duration("timeout", given.timeout),
    maxRetries: given.maxRetries,
    delay: Backoff.isBackoff(backoff) ? backoff.largest : () => millis
  }
}

const lasting = (reading: Reading): number =>
  (reading.maxRetries + 1) * reading.timeout + sum(reading.maxRetries, reading.delay)

/**
 * Reckons a budget. The worst case is `attempts x timeout + the delays between them`, and the largest number of retries that fits
 * is, for equal delays, `floor((sla - overhead + backoff) / (timeout + backoff)) - 1`.
 *
 * @example
 * ```ts
 * import * as LatencyBudget from "@holdfast/core/LatencyBudget"
 *
 * const budget = LatencyBudget.make({ sla: "5 seconds", timeout: "2 seconds", maxRetries: 2, backoff: "1 second" })
 *
 * console.log(budget.fits) // false: 3 x 2 s + 1 s + 1 s = 8 s
 * console.log(budget.largestMaxRetries) // 1: 2 x 2 s + 1 s = 5 s
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): LatencyBudget => {
  const check = new Validation("LatencyBudget.make")
  check.record(options, ["sla", "overhead", ...attemptFields])
  check.done()
  const sla = check.duration("sla", options.sla)
  const overhead = options.overhead === undefined ? 0 : check.duration("overhead", options.overhead, 0)
  const reading = readAttempts(check, options)
  if (overhead >= sla) {
    check.add("overhead", options.overhead, "less than the sla")
  }
  check.done()
  const { delay, maxRetries, timeout } = reading
  const available = sla - overhead
  const worst = lasting(reading)
  const largest = retriesThatFit(available, timeout, delay)
  const cautious = retriesThatFitCautiously(available, timeout, delay)
  return {
    available: Duration.millis(available),
    worstCase: Duration.millis(worst),
    fits: worst <= available,
    largestMaxRetries: largest,
    cautiousMaxRetries: cautious,
    text: `${maxRetries + 1} x ${time(timeout)} + ${time(sum(maxRetries, delay))} of delays = ${time(worst)}, ` +
      `${worst <= available ? "within" : "beyond"} ${time(available)}; ` +
      (largest === undefined
        ? "not even one attempt fits"
        : `maxRetries up to ${largest} fits (cautiously: ${cautious})`)
  }
}

/**
 * The longest that these attempts can take, delays between them included.
 *
 * @example
 * ```ts
 * import * as LatencyBudget from "@holdfast/core/LatencyBudget"
 * import * as Duration from "effect/Duration"
 *
 * const longest = LatencyBudget.worstCase({ timeout: "3 seconds", maxRetries: 2, backoff: "500 millis" })
 *
 * console.log(Duration.toMillis(longest)) // 10000
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const worstCase = (attempts: Attempts): Duration.Duration => {
  const check = new Validation("LatencyBudget.worstCase")
  check.record(attempts, attemptFields)
  check.done()
  const reading = readAttempts(check, attempts)
  check.done()
  return Duration.millis(lasting(reading))
}

// -- several layers ------------------------------------------------------------

/**
 * The calls to the last dependency that one call of a user can cause, if every layer has so many retries: 3 layers with 2 retries
 * each make 27.
 *
 * @example
 * ```ts
 * import * as LatencyBudget from "@holdfast/core/LatencyBudget"
 *
 * console.log(LatencyBudget.amplification([2, 2, 2])) // 27
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const amplification = (maxRetries: ReadonlyArray<number>): number => {
  const check = new Validation("LatencyBudget.amplification")
  check.list("maxRetries", maxRetries).forEach((retries, index) => check.whole(`[${index}]`, retries, 0, 1000))
  check.done()
  return maxRetries.reduce((product, retries) => product * (retries + 1), 1)
}

/**
 * One hop of a chain of services.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hop extends Attempts {
  /** Who calls whom: "checkout > payments". */
  readonly name: string
  /** What the caller of this hop needs for itself, per request. Default 0. */
  readonly overhead?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Cascade {
  /** What each hop can take with all its attempts, and how often it can be called for one call of the first. */
  readonly hops: ReadonlyArray<{ readonly name: string; readonly worstCase: Duration.Duration; readonly calls: number }>
  /** Nothing, if each hop is over before the one outside it gives up. */
  readonly findings: ReadonlyArray<Finding>
}

/**
 * Checks timeouts over several hops, outermost first: all attempts of a hop together must be over before one attempt of the hop
 * outside it is given up. Otherwise the caller has left while the callee still works, and perhaps asks again.
 *
 * @example
 * ```ts
 * import * as LatencyBudget from "@holdfast/core/LatencyBudget"
 *
 * const { findings } = LatencyBudget.cascade([
 *   { name: "web > checkout", timeout: "5 seconds", maxRetries: 0 },
 *   { name: "checkout > payments", timeout: "3 seconds", maxRetries: 1, backoff: "200 millis" }
 * ])
 *
 * console.log(findings[0]?.because) // 2 x 3 s + 0.2 s take 6.2 s, and "web > checkout" waits 5 s
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const cascade = (hops: ReadonlyArray<Hop>): Cascade => {
  const list = new Validation("LatencyBudget.cascade")
  const known = list.list("hops", hops)
  list.done()
  const readings = known.map((hop, index) => {
    const check = new Validation("LatencyBudget.cascade", `[${index}].`)
    check.record(hop, ["name", "overhead", ...attemptFields])
    check.text("name", hop.name)
    const reading = readAttempts(check, hop)
    const overhead = hop.overhead === undefined ? 0 : check.duration("overhead", hop.overhead, 0)
    check.done()
    return { ...reading, name: hop.name, overhead, worst: overhead + lasting(reading) }
  })
  return {
    hops: readings.map(({ name, worst }, index) => ({
      name,
      worstCase: Duration.millis(worst),
      calls: readings.slice(0, index + 1).reduce((product, outer) => product * (outer.maxRetries + 1), 1)
    })),
    findings: readings.slice(1).flatMap((hop, index): ReadonlyArray<Finding> => {
      const outer = readings[index]!
      const delays = sum(hop.maxRetries, hop.delay)
      return hop.worst < outer.timeout ? [] : [{
        rule: "hop-not-shorter-than-caller",
        severity: "error",
        at: hop.name,
        because: `${hop.maxRetries + 1} x ${time(hop.timeout)}${delays > 0 ? ` + ${time(delays)}` : ""}${
          hop.overhead > 0 ? ` + ${time(hop.overhead)} of overhead` : ""
        } take ${time(hop.worst)}, and ${JSON.stringify(outer.name)} waits ${time(outer.timeout)}`,
        instead: `shorter timeouts or fewer retries at ${JSON.stringify(hop.name)}, or more than ${
          time(hop.worst)
        } at ${JSON.stringify(outer.name)}`
      }]
    })
  }
}

// -- the timeout stack ---------------------------------------------------------

/**
 * The timeouts of all that stands between a user and the data, as far as there are any, and the probes of the orchestrator.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimeoutStack {
  readonly cdn?: Duration.DurationInput | undefined
  readonly loadBalancer?: Duration.DurationInput | undefined
  readonly proxy?: Duration.DurationInput | undefined
  readonly app?: Duration.DurationInput | undefined
  readonly database?: Duration.DurationInput | undefined
  readonly probes?: ReadonlyArray<Probe> | undefined
}

/**
 * A health check of a load balancer or an orchestrator.
 *
 * @since 0.1.0
 * @category models
 */
export interface Probe {
  readonly name: string
  /** How long one check may take. */
  readonly timeout: Duration.DurationInput
  /** The time from the start of one check to the start of the next. */
  readonly period: Duration.DurationInput
  /** The failed checks in a row that take the instance out: `failureThreshold` of Kubernetes, the unhealthy threshold of AWS. */
  readonly failureThreshold?: number | undefined
}

/**
 * Checks a timeout stack: CDN >= load balancer >= proxy >= app >= database, each layer only a little longer than the one it hands
 * requests to, and every probe is over before the next one begins.
 *
 * - An outer layer that is shorter cuts off requests which the layer inside it still processes.
 * - An outer layer that is much longer (twice as long, and more than 5 seconds longer) holds a connection for nothing when the layer
 *   inside it has given up. Between the application and its database this is not looked at: one request asks a database several times.
 * - A probe whose timeout is `period x failureThreshold` or more is slower than the verdict that it is asked for.
 *
 * @example
 * ```ts
 * import * as LatencyBudget from "@holdfast/core/LatencyBudget"
 *
 * const findings = LatencyBudget.checkStack({
 *   loadBalancer: "60 seconds",
 *   proxy: "15 seconds",
 *   app: "10 seconds",
 *   database: "500 millis",
 *   probes: [{ name: "readiness", timeout: "3 seconds", period: "10 seconds", failureThreshold: 3 }]
 * })
 *
 * console.log(findings.map(({ because }) => because))
 * // loadBalancer waits 1 min and proxy gives up after 15 s: when proxy does not answer, loadBalancer holds the connection 45 s longer
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const checkStack = (stack: TimeoutStack): ReadonlyArray<Finding> => {
  const check = new Validation("LatencyBudget.checkStack")
  check.record(stack, [...layerNames, "probes"])
  check.done()
  const layers = layerNames.flatMap((name): ReadonlyArray<Layer> => {
    const given = stack[name]
    return given === undefined ? [] : [{ name, millis: check.duration(name, given) }]
  })
  const probes = check.list("probes", stack.probes ?? []).map((probe: Probe, index) => {
    const at = `probes[${index}].`
    const inner = new Validation(check.owner, at)
    inner.record(probe, ["name", "timeout", "period", "failureThreshold"])
    inner.done()
    check.text(`${at}name`, probe.name)
    if (probe.failureThreshold !== undefined) {
      check.whole(`${at}failureThreshold`, probe.failureThreshold, 1)
    }
    return {
      name: probe.name,
      timeout: check.duration(`${at}timeout`, probe.timeout),
      period: check.duration(`${at}period`, probe.period),
      failureThreshold: probe.failureThreshold
    }
  })
  check.done()
  return [
    ...layers.slice(1).flatMap((layer, index) => betweenLayers(layers[index]!, layer)),
    ...probes.flatMap(ofProbe)
  ]
}
