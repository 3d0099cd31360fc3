/**
 * The options of a circuit breaker: trip policies in durations, defaults, presets and their validation.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import type { Config } from "../CircuitBreakerMachine.js"
import { Validation } from "../Options.js"
import * as TripPolicy from "../TripPolicy.js"
import * as Window from "../Window.js"
import { time } from "./worstCase.js"

export type WindowInput = Duration.DurationInput | { readonly calls: number }

const windowOf = (check: Validation, input: unknown): Window.Window => {
  if (typeof input === "object" && input !== null && "calls" in input) {
    const calls = (input as { readonly calls: unknown }).calls
    check.whole("window.calls", calls, 1)
    return Window.calls(calls as number)
  }
  return Window.time(check.duration("window", input, 10))
}

const checkRate = (
  check: Validation,
  at: string,
  { minimumCalls, threshold }: { readonly threshold: unknown; readonly minimumCalls: unknown },
  callsOfWindow: unknown
): void => {
  if (typeof threshold !== "number" || !(threshold > 0 && threshold <= 1)) {
    check.add(`${at}threshold`, threshold, "a share above 0 and up to 1; 0.5 is half")
  }
  check.whole(`${at}minimumCalls`, minimumCalls, 1)
  if (
    typeof callsOfWindow === "number" && callsOfWindow > 0 && typeof minimumCalls === "number" &&
    minimumCalls > callsOfWindow
  ) {
    check.add(`${at}minimumCalls`, minimumCalls, `at most the ${callsOfWindow} calls of the window`)
  }
}

const rateOf = (check: Validation, options: {
  readonly threshold: number
  readonly window: WindowInput
  readonly minimumCalls: number
}) => {
  const window = windowOf(check, options.window)
  checkRate(check, "", options, window._tag === "Calls" ? window.size : Infinity)
  return { threshold: options.threshold, window, minimumCalls: options.minimumCalls }
}

const tripPolicyTags: ReadonlySet<unknown> = new Set(["Consecutive", "FailureRate", "Failures", "SlowCallRate", "Any"])

const isTripPolicy = (value: unknown): value is TripPolicy.TripPolicy =>
  typeof value === "object" && value !== null && tripPolicyTags.has((value as { readonly _tag?: unknown })._tag)

const aTripPolicy = "a trip policy, such as CircuitBreaker.consecutive(5)"

const checkMillis = (check: Validation, field: string, value: unknown, minimum: number): void => {
  if (typeof value !== "number" || !(value >= minimum && value < Infinity)) {
    check.add(field, value, `finite milliseconds, ${minimum} or more`)
  }
}

/** The calls that a window of calls holds; infinitely many for one of time. */
const checkWindow = (check: Validation, field: string, window: any): unknown => {
  if (window?._tag === "Calls") {
    check.whole(`${field}.size`, window.size, 1)
    return window.size
  }
  if (window?._tag === "Time") {
    checkMillis(check, `${field}.millis`, window.millis, 10)
    check.whole(`${field}.slices`, window.slices, 1, 10_000)
  } else {
    check.add(field, window, "a window, such as Window.calls(100) or Window.time(30_000)")
  }
  return Infinity
}

/** A trip policy is plain data that anybody can write: what its constructor would refuse is refused here too. */
const checkTripPolicy = (check: Validation, field: string, policy: unknown): void => {
  if (!isTripPolicy(policy)) {
    check.add(field, policy, aTripPolicy)
    return
  }
  switch (policy._tag) {
    case "Consecutive":
      return check.whole(`${field}.failures`, policy.failures, 1)
    case "Failures":
      check.whole(`${field}.failures`, policy.failures, 1)
      return checkMillis(check, `${field}.withinMillis`, policy.withinMillis, 10)
    case "SlowCallRate":
      checkMillis(check, `${field}.slowerThanMillis`, policy.slowerThanMillis, 1)
      return checkRate(check, `${field}.`, policy, checkWindow(check, `${field}.window`, policy.window))
    case "FailureRate":
      return checkRate(check, `${field}.`, policy, checkWindow(check, `${field}.window`, policy.window))
    case "Any": {
      const policies: unknown = policy.policies
      if (!Array.isArray(policies) || policies.length === 0) {
        check.add(`${field}.policies`, policies, "a list of one or more trip policies")
        return
      }
      policies.forEach((one, place) => checkTripPolicy(check, `${field}.policies[${place}]`, one))
    }
  }
}

export const consecutive = (failures: number): TripPolicy.TripPolicy => {
  const check = new Validation("CircuitBreaker.consecutive")
  check.whole("failures", failures, 1)
  check.done()
  return TripPolicy.consecutive(failures)
}

export const failureRate = (options: {
  /** From above 0 to 1; 0.5 is half. */
  readonly threshold: number
  /** A duration for a time window, `{ calls: 100 }` for the last hundred calls. */
  readonly window: WindowInput
  /** Fewer calls than this never open it. */
  readonly minimumCalls: number
}): TripPolicy.TripPolicy => {
  const check = new Validation("CircuitBreaker.failureRate")
  check.record(options, ["threshold", "window", "minimumCalls"])
  const rate = rateOf(check, options)
  check.done()
  return TripPolicy.failureRate(rate)
}

export const failures = (
  count: number,
  options: { readonly within: Duration.DurationInput }
): TripPolicy.TripPolicy => {
  const check = new Validation("CircuitBreaker.failures")
  check.whole("failures", count, 1)
  check.record(options, ["within"])
  const within = check.duration("within", options?.within, 10)
  check.done()
  return TripPolicy.failures(count, { within })
}

export const slowCallRate = (options: {
  /** A call that takes longer is slow. */
  readonly slowerThan: Duration.DurationInput
  /** From above 0 to 1. */
  readonly threshold: number
  /** A duration for a time window, `{ calls: 100 }` for the last hundred calls. */
  readonly window: WindowInput
  /** Fewer calls than this never open it. */
  readonly minimumCalls: number
}): TripPolicy.TripPolicy => {
  const check = new Validation("CircuitBreaker.slowCallRate")
  check.record(options, ["slowerThan", "threshold", "window", "minimumCalls"])
  const slowerThan = check.duration("slowerThan", options.slowerThan)
  const rate = rateOf(check, options)
  check.done()
  return TripPolicy.slowCallRate({ slowerThan, ...rate })
}

export const any = (...policies: ReadonlyArray<TripPolicy.TripPolicy>): TripPolicy.TripPolicy => {
  const check = new Validation("CircuitBreaker.any")
  check.whole("policies.length", policies.length, 1)
  policies.forEach((policy, place) => checkTripPolicy(check, `policies[${place}]`, policy))
  check.done()
  return TripPolicy.any(...policies)
}

export const defaultTripPolicy: TripPolicy.TripPolicy = TripPolicy.any(
  TripPolicy.failureRate({ threshold: 0.5, window: Window.time(30_000), minimumCalls: 20 }),
  TripPolicy.consecutive(10)
)

export const lowTraffic: TripPolicy.TripPolicy = TripPolicy.consecutive(5)

export const lastTen: TripPolicy.TripPolicy = TripPolicy.failureRate({
  threshold: 0.5,
  window: Window.calls(10),
  minimumCalls: 10
})

/** @internal */
export const defaults = {
  openDuration: Duration.seconds(30),
  openJitter: 0.1,
  maxOpenDuration: Duration.hours(1),
  probes: 1
} as const

/** The fields a breaker knows. */
const fields = [
  "name",
  "dependency",
  "tripPolicy",
  "openDuration",
  "openJitter",
  "maxOpenDuration",
  "probes",
  "successThreshold",
  "probeTimeout",
  "when",
  "classify",
  "dryRun"
]

/** A schedule of the user's is played once, when the breaker is made: so many failed probes in a row have delays of their own. */
const playedProbes = 32

const playSchedule = (schedule: Schedule.Schedule<unknown>): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const delays: Array<number> = []
    let state = schedule.initial
    let now = 0
    while (delays.length < playedProbes) {
      const [next, , decision] = yield* schedule.step(now, undefined, state)
      // The step that ends a schedule has no delay: from there on the last one before it stays.
      if (ScheduleDecision.isDone(decision)) {
        break
      }
      const start = ScheduleIntervals.start(decision.intervals)
      delays.push(start - now)
      state = next
      now = start
    }
    return delays
  })

/** A delay that overflowed is no number, and is capped. */
const openMillisOf = (delays: ReadonlyArray<number>, maxOpenMillis: number) => (failedProbes: number): number =>
  delays[Math.min(failedProbes, delays.length - 1)] ?? maxOpenMillis

interface Numbers {
  readonly delays: ReadonlyArray<number>
  readonly config: Config
}

interface Checked {
  readonly config: Config
  /** The same as data, for the step. */
  readonly described: Readonly<Record<string, unknown>>
}

let last: (Checked & Numbers) | undefined

const sameNumbers = (one: Numbers, two: Numbers): boolean =>
  one.delays.length === two.delays.length && one.delays.every((delay, place) => delay === two.delays[place]) &&
  Object.entries(one.config).every(([field, value]) =>
    field === "openMillis" || value === two.config[field as keyof Config]
  )

/** Of many breakers with the same numbers, as a keyed policy makes them, all share what is made of the numbers. */
const shared = (numbers: Numbers): Checked => {
  if (last === undefined || !sameNumbers(last, numbers)) {
    const { openMillis, tripPolicy, ...others } = numbers.config
    last = { ...numbers, described: Object.freeze({ tripPolicy, openMillis: openMillis(0), ...others }) }
  }
  return last
}

/** @internal */
export const check = (options: any): Effect.Effect<Checked> =>
  Effect.suspend(() => {
    const findings = new Validation("CircuitBreaker.make")
    findings.record(options, fields)
    findings.done()
    findings.text("name", options.name)
    if (options.dependency !== undefined) {
      findings.text("dependency", options.dependency)
    }
    const openDuration = options.openDuration ?? defaults.openDuration
    const scheduled = Schedule.isSchedule(openDuration)
    const fixed = scheduled ? 0 : findings.duration("openDuration", openDuration)
    const maxOpenMillis = findings.duration("maxOpenDuration", options.maxOpenDuration ?? defaults.maxOpenDuration)
    if (!scheduled && maxOpenMillis < fixed) {
      if (options.maxOpenDuration === undefined) {
        findings.add(
          "openDuration",
          openDuration,
          `at most ${time(maxOpenMillis)}, or a maxOpenDuration that is longer`
        )
      } else {
        findings.add("maxOpenDuration", options.maxOpenDuration, "a duration not shorter than openDuration")
      }
    }
    const openJitter = options.openJitter ?? defaults.openJitter
    findings.number("openJitter", openJitter, 0, 1)
    const probes = options.probes ?? defaults.probes
    findings.whole("probes", probes, 1, 1000)
    const successThreshold = options.successThreshold ?? probes
    if (options.successThreshold !== undefined) {
      findings.whole("successThreshold", successThreshold, 1, 1000)
    }
    const probeTimeout = options.probeTimeout === undefined
      ? undefined
      : findings.duration("probeTimeout", options.probeTimeout)
    if (options.when !== undefined) {
      findings.when("when", options.when)
    }
    if (options.classify !== undefined) {
      findings.callable("classify", options.classify)
    }
    if (options.dryRun !== undefined) {
      findings.flag("dryRun", options.dryRun)
    }
    const tripPolicy = options.tripPolicy ?? defaultTripPolicy
    checkTripPolicy(findings, "tripPolicy", tripPolicy)
    findings.done()
    return Effect.map(
      scheduled ? playSchedule(openDuration as Schedule.Schedule<unknown>) : Effect.succeed([fixed]),
      (delays) => {
        if (delays.length === 0 || delays.some((delay) => delay < 1)) {
          findings.add(
            "openDuration",
            delays.slice(0, 4),
            "a schedule with at least one delay, and none shorter than 1ms"
          )
          findings.done()
        }
        return shared({
          delays,
          config: {
            tripPolicy,
            openMillis: openMillisOf(delays, maxOpenMillis),
            openJitter,
            maxOpenMillis,
            probes,
            successThreshold,
            probeTimeoutMillis: probeTimeout ?? Math.min(delays[0]!, maxOpenMillis),
            dryRun: options.dryRun === true
          }
        })
      }
    )
  })
