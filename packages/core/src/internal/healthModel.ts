/**
 * What the health of dependencies is told as, and the sentences for a person on call. Instants are in milliseconds since 1970.
 */
import * as Duration from "effect/Duration"
import type * as Call from "../Call.js"
import type { CircuitState } from "./circuitWords.js"

/**
 * - `healthy`: nothing is to be done.
 * - `degraded`: it works, but not as it should: a fallback answers, a circuit is probed, one of its operations is cut off.
 * - `down`: calls to it fail.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "healthy" | "degraded" | "down"

/**
 * One circuit breaker of a dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitHealth {
  readonly breaker: string
  /** The operation that has the breaker for itself. */
  readonly operation: string | undefined
  readonly state: CircuitState
  /** When the state began. */
  readonly since: number
  /** When it was last closed, if it is not: failed probes do not count anew. */
  readonly troubledSince: number | undefined
  /** When a probe may pass; `undefined` where nobody knows. */
  readonly retryAfter: Duration.Duration | undefined
  /** Openings from closed, of the last hour and the last day, as far as they were heard and up to 64. */
  readonly trips: { readonly lastHour: number; readonly lastDay: number }
  /** What opened it, and the last error. */
  readonly because: string | undefined
}

/**
 * One fallback.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackHealth {
  readonly fallback: string
  readonly dependency: string | undefined
  /** It answered within the last minute, or nothing else has answered since it did. */
  readonly active: boolean
  /** From its first answer to its last, without a break; zero when it is not active. */
  readonly activeFor: Duration.Duration
  readonly lastServed: number | undefined
  readonly lastRehearsed: number | undefined
}

/**
 * Something that somebody should look at, although everything may work.
 *
 * - `flapping-circuit`: it opens again and again, and nobody notices.
 * - `stuck-fallback`: it has answered for minutes, the dependency does not recover by itself.
 * - `failing-fallback`: it was needed, and could not answer.
 * - `unproven-fallback`: it was neither needed nor rehearsed for weeks.
 * - `isolated`, `disabled`: a breaker was moved by hand, and not back.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly problem:
    | "flapping-circuit"
    | "stuck-fallback"
    | "failing-fallback"
    | "unproven-fallback"
    | "isolated"
    | "disabled"
  /** The breaker or the fallback. */
  readonly at: string
  readonly says: string
}

/**
 * The health of one dependency.
 *
 * @since 0.1.0
 * @category models
 */
export interface DependencyHealth {
  readonly dependency: string
  readonly status: Status
  /** Since when the status is so; `undefined` where that is not known. */
  readonly since: number | undefined
  /** The highest of its calls, those that its operations declare included. */
  readonly criticality: Call.Criticality
  readonly retryAfter: Duration.Duration | undefined
  readonly circuits: ReadonlyArray<CircuitHealth>
  readonly fallbacks: ReadonlyArray<FallbackHealth>
  readonly problems: ReadonlyArray<Problem>
  /** The whole in one sentence or two. */
  readonly says: string
}

/**
 * The health of all dependencies. `down` when a critical one is, `degraded` when any other is not healthy.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly at: number
  readonly status: Status
  readonly dependencies: ReadonlyArray<DependencyHealth>
  /** Fallbacks of which nobody says whom they stand in for. */
  readonly fallbacks: ReadonlyArray<FallbackHealth>
  /** Of all dependencies and fallbacks. */
  readonly problems: ReadonlyArray<Problem>
}

/**
 * A time as somebody says it who was woken by it.
 *
 * @internal
 */
export const spoken = (millis: number): string => {
  const rounded = Math.max(0, Math.round(millis / 1000))
  return rounded < 120
    ? `${rounded} s`
    : rounded < 7200
    ? `${Math.round(rounded / 60)} min`
    : rounded < 172_800
    ? `${Math.round(rounded / 3600)} h`
    : `${Math.round(rounded / 86_400)} days`
}

/** What is the matter with a circuit, without its name; nothing if it is closed. */
const circuitSays = (circuit: CircuitHealth, at: number): string | undefined => {
  const whose = circuit.operation === undefined ? "its circuit" : `the circuit of ${circuit.operation}`
  const ago = `${spoken(at - (circuit.troubledSince ?? circuit.since))} ago`
  const because = circuit.because === undefined ? "" : ` after ${circuit.because}`
  const wait = circuit.retryAfter === undefined ? 0 : Duration.toMillis(circuit.retryAfter)
  switch (circuit.state) {
    case "closed":
      return undefined
    case "open":
      return `${whose} opened ${ago}${because}; ` +
        (wait > 0 ? `calls fail fast, the next may probe it in ${spoken(wait)}` : "the next call probes it")
    case "half_open":
      return `${whose} opened ${ago}${because}, and a probe is finding out whether it is back`
    case "isolated":
      return `${whose} was isolated by hand ${ago}; every call fails`
    case "disabled":
      return `${whose} was disabled by hand ${ago}; nothing would stop calls if it failed`
  }
}

/**
 * The sentence about a dependency. `answeredSince` says of a fallback whether the dependency has answered itself since.
 *
 * @internal
 */
export const dependencySays = (
  health: Omit<DependencyHealth, "says">,
  failing: { readonly inRow: number; readonly since: number } | undefined,
  answeredSince: (fallback: string) => boolean,
  at: number
): string => {
  const { circuits, criticality, dependency, fallbacks, status } = health
  const whys = circuits.flatMap((circuit) => circuitSays(circuit, at) ?? [])
  if (failing !== undefined) {
    whys.push(`no call has succeeded for ${spoken(at - failing.since)}, ${failing.inRow} failed in a row`)
  }
  for (const { active, activeFor, fallback, lastServed } of fallbacks) {
    if (active) {
      const millis = Duration.toMillis(activeFor)
      const long = millis < 1000 ? "" : spoken(millis)
      whys.push(
        answeredSince(fallback)
          ? `the fallback ${fallback} answered in its place${long === "" ? "" : ` for ${long}`}, the last time ${
            spoken(at - lastServed!)
          } ago`
          : `the fallback ${fallback} answers in its place${long === "" ? "" : `, for ${long} now`}`
      )
    }
  }
  const trips = circuits.reduce((sum, circuit) => sum + circuit.trips.lastHour, 0)
  const often = trips > 1 ? `. It opened ${trips} times in the last hour` : ""
  const weight = status === "healthy" ? "" : `. Its calls are ${criticality}`
  return `${dependency} is ${status}${whys.length === 0 ? "" : `: ${whys.join("; ")}`}${often}${weight}.`
}

/**
 * The sentences about what somebody should look at.
 *
 * @internal
 */
export const problemSays = {
  flapping: (dependency: string, trips: number) =>
    `The circuit of ${dependency} opened ${trips} times in the last day: unreliable enough to be cut off, not long enough for ` +
    "anybody to look. Find out why before it is an outage.",
  stuck: (fallback: string, dependency: string | undefined, millis: number) =>
    `The fallback ${fallback} has answered for ${spoken(millis)} without a break: ${
      dependency ?? "what it stands in for"
    } does not recover by itself.`,
  failing: (fallback: string, ago: number, error: string) =>
    `The fallback ${fallback} was needed ${spoken(ago)} ago and could not answer: ${error}.`,
  unproven: (fallback: string, millis: number) =>
    `The fallback ${fallback} has neither answered nor been rehearsed for ${
      spoken(millis)
    }: it may not work any more. Run Fallback.rehearse in CI or when the process starts.`,
  byHand: (dependency: string, state: "isolated" | "disabled", millis: number) =>
    `The circuit of ${dependency} was ${state} by hand ${spoken(millis)} ago, and is so until somebody resets it.`
} as const
