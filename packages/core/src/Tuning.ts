/**
 * Recommends numbers from what was measured, with the arithmetic: timeouts from latencies, retries from a promise, the size of a
 * bulkhead from traffic. With too few samples it recommends nothing, and says so.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Backoff from "./Backoff.js"
import * as DependencyRegistry from "./DependencyRegistry.js"
import * as Figures from "./Figures.js"
import { spelled } from "./internal/lintRules.js"
import { checkOwn, ownNames } from "./internal/own.js"
import { ownValue } from "./internal/records.js"
import { about, aboutPercent, time } from "./internal/worstCase.js"
import * as LatencyBudget from "./LatencyBudget.js"
import * as Lint from "./Lint.js"
import { Validation, withChange } from "./Options.js"
import type * as Policy from "./Policy.js"
import * as Retry from "./Retry.js"
import * as Timeout from "./Timeout.js"

/**
 * A number, and how it comes about.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recommendation {
  /** `undefined` where the figures do not carry a recommendation. */
  readonly value: number | undefined
  /** The arithmetic, or what is missing. */
  readonly because: string
}

/**
 * What the figures of one operation recommend.
 *
 * @since 0.1.0
 * @category models
 */
export interface Advice {
  readonly dependency: string
  readonly operation: string | undefined
  /** Of attempts that were answered; `since` says how far it reaches back. */
  readonly latency: Figures.Latency
  /** For one attempt, in milliseconds: the 99th percentile x 2. */
  readonly timeoutMillis: Recommendation
  /** As many as fit into the promise, at most 2; `undefined` when no promise was told. */
  readonly maxRetries: Recommendation | undefined
  /** Calls at once: calls per second x seconds per call, by Little's law, and what chance adds. */
  readonly maxConcurrent: Recommendation
  /** Numbers in use that the figures contradict. */
  readonly findings: ReadonlyArray<Lint.Finding>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the user was promised. Default none: then no retries are recommended. */
  readonly sla?: Duration.DurationInput | undefined
  /** What the caller needs for itself. Default 0. */
  readonly overhead?: Duration.DurationInput | undefined
  /** The delays between attempts. Default those of `Retry`. */
  readonly backoff?: Duration.DurationInput | Backoff.Backoff | undefined
  /** Names that are no dependencies: under them the service limits what comes in. Default `http.server`. */
  readonly own?: ReadonlyArray<string> | undefined
  /** Answers below which nothing is recommended: of 1000, ten are beyond the 99th percentile. Default 1000. */
  readonly minimumSamples?: number | undefined
  /** The policy that an operation has, to be linted against its latency; `now` asks the registry. */
  readonly policyOf?:
    | ((dependency: string, operation: string | undefined) => Policy.Policy.Any | undefined)
    | undefined
}

const fields = ["sla", "overhead", "backoff", "own", "minimumSamples", "policyOf"]

const defaultMinimum = 1000

/** What was read from the options, in milliseconds. */
interface Wanted {
  readonly sla: number | undefined
  readonly overhead: number
  readonly backoff: Duration.DurationInput | Backoff.Backoff
  readonly minimum: number
  readonly policyOf: NonNullable<Options["policyOf"]>
}

/** Attempts that a limit cut, of those that would have been answered sooner or later. */
const cutOf = ({ attempts, limits, timeouts }: Figures.OperationFigures) => {
  const answered = attempts.Success + attempts.Permanent
  return {
    limit: limits.attemptMillis,
    cut: timeouts.attempt,
    of: answered + timeouts.attempt,
    share: timeouts.attempt / Math.max(1, answered + timeouts.attempt)
  }
}

/** Fewer than this prove nothing. */
const fewestCut = 10

/**
 * Does the limit cut good calls? Answers come right up to it, and some are beyond it. In an outage it is otherwise: most attempts are
 * cut, or those that are answered take a fraction of the limit.
 */
const cutsGoodCalls = (operation: Figures.OperationFigures): boolean => {
  const { cut, limit, share } = cutOf(operation)
  const { p95Millis } = operation.latency
  return limit !== undefined && p95Millis !== undefined && cut >= fewestCut && share >= 0.005 && share <= 0.5 &&
    p95Millis >= limit / 2
}

const tooFew = (operation: Figures.OperationFigures, minimum: number, at: number): string =>
  `${operation.latency.samples} answers in ${about(at - operation.latency.since)} are too few: it takes ${minimum}`

const timeoutOf = (operation: Figures.OperationFigures, wanted: Wanted, at: number): Recommendation => {
  const { p99Millis, samples } = operation.latency
  if (p99Millis === undefined || samples < wanted.minimum) {
    return { value: undefined, because: tooFew(operation, wanted.minimum, at) }
  }
  const { limit, share } = cutOf(operation)
  if (limit !== undefined && cutsGoodCalls(operation)) {
    return {
      value: 2 * limit,
      because:
        `the present limit of ${time(limit)} cuts ${
          aboutPercent(share)
        }, so the 99th percentile is not known and lies ` +
        `beyond it: ${time(limit)} x 2 = ${time(2 * limit)} at least; look again after that`
    }
  }
  const value = Duration.toMillis(Timeout.fromLatency({ p99: p99Millis }))
  return { value, because: `${about(p99Millis)} (p99) x 2 = ${about(value)}` }
}

/** Whoever waits for an answer is not helped by more. */
const mostRetries = 2

const retriesOf = (timeout: Recommendation, wanted: Wanted): Recommendation | undefined => {
  const { backoff, overhead, sla } = wanted
  if (sla === undefined) {
    return undefined
  }
  if (timeout.value === undefined) {
    return { value: undefined, because: "without a timeout there is nothing to reckon with" }
  }
  const attempts = { timeout: timeout.value, backoff }
  const { available, largestMaxRetries } = LatencyBudget.make({ sla, overhead, maxRetries: 0, ...attempts })
  const within = time(Duration.toMillis(available))
  if (largestMaxRetries === undefined) {
    return { value: undefined, because: `not even one attempt of ${time(timeout.value)} fits into ${within}` }
  }
  const value = Math.min(mostRetries, largestMaxRetries)
  const fixed = Backoff.isBackoff(backoff) ? undefined : Duration.toMillis(backoff)
  const delay = (retry: number) => Backoff.isBackoff(backoff) ? backoff.largest(retry) : fixed!
  const plan = (retries: number) => spelled({ retries, inside: timeout.value!, delay })
  return {
    value,
    because: value < largestMaxRetries
      ? `${plan(value)}, within ${within}; more than ${mostRetries} help nobody who waits`
      : `${plan(value)}, within ${within}; one more makes ${
        time(Duration.toMillis(LatencyBudget.worstCase({ maxRetries: value + 1, ...attempts })))
      }`
  }
}

const placesOf = (operation: Figures.OperationFigures, wanted: Wanted, at: number): Recommendation => {
  const { busiestSecond, latency: { meanMillis, samples } } = operation
  if (meanMillis === undefined || samples < wanted.minimum || busiestSecond === 0) {
    return { value: undefined, because: tooFew(operation, wanted.minimum, at) }
  }
  const average = Number(((busiestSecond * meanMillis) / 1000).toPrecision(3))
  // Calls that come independently of each other are Poisson distributed around their average, however long each one takes.
  const value = Math.max(1, Math.ceil(average + 3 * Math.sqrt(average)))
  return {
    value,
    because:
      `${busiestSecond} calls in the busiest second x ${about(meanMillis)} each = ${average} at once on average; ` +
      `+ 3 x √${average} for what chance adds = ${value}`
  }
}

const findingsOf = (
  operation: Figures.OperationFigures,
  places: Recommendation,
  wanted: Wanted,
  live: Figures.DependencyFigures["live"]
): ReadonlyArray<Lint.Finding> => {
  const at = operation.operation === undefined
    ? operation.dependency
    : `${operation.dependency} ${operation.operation}`
  const findings: Array<Lint.Finding> = []
  const { latency, rejections } = operation
  const { cut, limit, of, share } = cutOf(operation)
  const policy = wanted.policyOf(operation.dependency, operation.operation)
  if (limit !== undefined && cutsGoodCalls(operation)) {
    findings.push({
      rule: "timeout-cuts-good-calls",
      severity: "warning",
      at,
      because:
        `${time(limit)} cuts ${
          aboutPercent(share)
        } of good calls: ${cut} of ${of} attempts, while answers come right up to it ` +
        `(half within ${about(latency.p50Millis!)}, 95 % within ${about(latency.p95Millis!)})`,
      instead: `at least ${time(2 * limit)}`
    })
  } else if (policy !== undefined && latency.p99Millis !== undefined && latency.samples >= wanted.minimum) {
    const measured = { p99: latency.p99Millis }
    findings.push(...Lint.lint(policy, { measured }).filter(({ rule }) => rule === "timeout-cuts-good-calls"))
  }
  const own = operation.operation === undefined ? undefined : ownValue(live?.operations ?? {}, operation.operation)
  const bulkhead = own?.bulkhead ?? live?.bulkhead
  if (
    bulkhead?.on === true && places.value !== undefined && rejections.bulkhead >= fewestCut &&
    bulkhead.maxConcurrent < places.value
  ) {
    findings.push({
      rule: "bulkhead-below-need",
      severity: "warning",
      at,
      because:
        `it refused ${rejections.bulkhead} calls, and has ${bulkhead.maxConcurrent} places where ${places.because}`,
      instead: `maxConcurrent ${places.value}, if the pool under it is as large`
    })
  }
  return findings
}

/**
 * What the figures recommend, an advice for each operation that was called. Pure.
 *
 * @example
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Tuning from "@holdfast/core/Tuning"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const { snapshot } = yield* Figures.Figures
 *   for (const { operation, timeoutMillis } of Tuning.fromSnapshot(yield* snapshot, { sla: "5 seconds" })) {
 *     console.log(operation, timeoutMillis.value, timeoutMillis.because) // "0.5 s (p99) x 2 = 1 s"
 *   }
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Figures.layer())))
 *
 * @since 0.1.0
 * @category combinators
 */
export const fromSnapshot = (snapshot: Figures.Snapshot, options: Options = {}): ReadonlyArray<Advice> => {
  const check = new Validation("Tuning.fromSnapshot")
  check.record(options, fields)
  check.done()
  const {
    backoff = Retry.defaultBackoff,
    minimumSamples = defaultMinimum,
    overhead = 0,
    own = ownNames,
    policyOf,
    sla
  } = options
  const slaMillis = sla === undefined ? undefined : check.duration("sla", sla)
  const overheadMillis = check.duration("overhead", overhead, 0)
  if (slaMillis !== undefined && overheadMillis >= slaMillis) {
    check.add("overhead", overhead, "less than the sla")
  }
  if (!Backoff.isBackoff(backoff)) {
    check.duration("backoff", backoff, 0)
  }
  checkOwn(check, own)
  check.whole("minimumSamples", minimumSamples, 1)
  if (policyOf !== undefined) {
    check.callable("policyOf", policyOf)
  }
  check.done()
  const wanted: Wanted = {
    sla: slaMillis,
    overhead: overheadMillis,
    backoff,
    minimum: minimumSamples,
    policyOf: policyOf ?? (() => undefined)
  }
  return snapshot.dependencies.filter(({ dependency }) => !own.includes(dependency)).flatMap(({ live, operations }) =>
    operations.map((operation): Advice => {
      const timeoutMillis = timeoutOf(operation, wanted, snapshot.at)
      const maxConcurrent = placesOf(operation, wanted, snapshot.at)
      return {
        dependency: operation.dependency,
        operation: operation.operation,
        latency: operation.latency,
        timeoutMillis,
        maxRetries: retriesOf(timeoutMillis, wanted),
        maxConcurrent,
        findings: findingsOf(operation, maxConcurrent, wanted, live)
      }
    })
  )
}

/**
 * What the figures of the program recommend now; policies in use come from the registry.
 *
 * @example
 * import * as Figures from "@holdfast/core/Figures"
 * import * as Tuning from "@holdfast/core/Tuning"
 * import * as Effect from "effect/Effect"
 *
 * const report = Effect.map(Tuning.now({ sla: "5 seconds" }), Tuning.format)
 *
 * Effect.runPromise(report.pipe(Effect.provide(Figures.layer()))).then(console.log) // Nothing was measured.
 *
 * @since 0.1.0
 * @category combinators
 */
export const now = (
  options: Omit<Options, "policyOf"> = {}
): Effect.Effect<ReadonlyArray<Advice>, never, Figures.Figures> =>
  Effect.gen(function*() {
    const { snapshot } = yield* Figures.Figures
    const present = yield* snapshot
    const policies = new Map<string, Policy.Policy.Any>()
    const keyOf = (dependency: string, operation: string | undefined) => JSON.stringify([dependency, operation])
    const figures = new Map(present.dependencies.map((one) => [one.dependency, one.operations]))
    for (const live of yield* DependencyRegistry.list) {
      for (const { operation } of figures.get(live.dependency) ?? []) {
        policies.set(keyOf(live.dependency, operation), yield* live.policy(operation))
      }
    }
    return fromSnapshot(
      present,
      withChange<Options>({ policyOf: (dependency, operation) => policies.get(keyOf(dependency, operation)) }, options)
    )
  })

const numberOf = ({ because, value }: Recommendation, show: (value: number) => string): string =>
  value === undefined ? `none: ${because}` : `${show(value)}: ${because}`

/**
 * Advice for a reader, ending in a line break.
 *
 * @example
 * import * as Tuning from "@holdfast/core/Tuning"
 *
 * console.log(Tuning.format([])) // Nothing was measured.
 *
 * @since 0.1.0
 * @category combinators
 */
export const format = (advice: ReadonlyArray<Advice>): string =>
  advice.length === 0 ? "Nothing was measured.\n" : advice.map((one) => {
    const { latency, maxConcurrent, maxRetries, timeoutMillis } = one
    const lines = [
      one.operation === undefined ? one.dependency : `${one.dependency} ${one.operation}`,
      `  latency:  ` +
      (latency.samples === 0 ?
        "no answer yet" :
        `p50 ${about(latency.p50Millis!)}, p95 ${about(latency.p95Millis!)}, p99 ${
          about(latency.p99Millis!)
        } of ${latency.samples} answers since ${new Date(latency.since).toISOString()}`),
      `  timeout:  ${numberOf(timeoutMillis, about)}`,
      ...(maxRetries === undefined ? [] : [`  retries:  ${numberOf(maxRetries, String)}`]),
      `  bulkhead: ${numberOf(maxConcurrent, String)}`,
      ...one.findings.map(({ because, instead, rule, severity }) =>
        `  ${severity} ${rule}: ${because}; instead ${instead}`
      )
    ]
    return `${lines.join("\n")}\n`
  }).join("")
