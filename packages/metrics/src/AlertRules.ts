/**
 * When somebody should look, as data: the recording rules and alerts of which `alerts/holdfast.rules.yml` is made.
 *
 * Rates look at two minutes, which needs a scrape every 30 seconds or more often. Limits are shares and counts per process or per
 * service; nothing has to be set for them to work.
 *
 * @since 0.1.0
 */
import { countOf, increase, kept, max, rate, select, sum } from "./internal/promql.js"
import { families } from "./MetricFamilies.js"

/**
 * An expression that is worth a name of its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recording {
  readonly record: string
  readonly expression: string
  readonly says: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Alert {
  readonly alert: string
  readonly expression: string
  /** How long it must be so before the alert fires; at once without it. */
  readonly for?: string | undefined
  /** `critical`: users notice now. `warning`: look at it today. */
  readonly severity: "critical" | "warning"
  readonly summary: string
  readonly description: string
}

/** Shorter than any `for`, so that one burst does not last until the alert fires. */
const window = "2m"

const ratio = (part: string, whole: string): string => `${part}\n/\n${whole}`

const recorded = {
  timeouts: {
    record: "service:http_client_timeouts:ratio_rate2m",
    expression: ratio(
      sum(kept, rate(select(families.timeouts), window)),
      sum(kept, rate(countOf(families.requestDuration), window))
    ),
    says: "the share of attempts that ran into a time limit"
  },
  retried: {
    record: "service:holdfast_calls_retried:ratio_rate2m",
    expression: ratio(
      // Whoever makes a second attempt is retried; the third is the same call.
      sum(kept, rate(select(families.retries, { attempt: { is: "2" } }), window)),
      sum(kept, rate(countOf(families.retriesPerCall), window))
    ),
    says: "the share of calls that were tried again"
  },
  retrySuccess: {
    record: "service:holdfast_retried_calls_success:ratio_rate2m",
    expression: ratio(
      sum(kept, rate(select(families.retriedCalls, { class: { is: "success" } }), window)),
      sum(kept, rate(select(families.retriedCalls, { class: { not: "interrupted" } }), window))
    ),
    says: "the share of retried calls that succeeded in the end"
  },
  utilization: {
    record: "service:bulkhead_active:utilization",
    expression: max(kept, `${select(families.bulkheadActive)} / ${select(families.bulkheadCapacity)}`),
    says: "how full the bulkhead is, in the process where it is fullest"
  },
  trips: {
    record: "service:circuit_breaker_trips:increase1h",
    expression: max(kept, `round(${increase(select(families.circuitTrips), "1h")})`),
    says: "trips in the last hour, in the process with most"
  },
  recoveries: {
    record: "service:holdfast_circuit_breaker_recoveries:increase1d",
    expression: max(
      kept,
      `round(${increase(select(families.circuitTransitions, { state: { is: "closed" } }), "1d")})`
    ),
    says: "times the breaker opened and closed again in the last day, in the process with most"
  }
} as const satisfies Record<string, Recording>

/**
 * The recording rules.
 *
 * @example
 * import { recordings } from "@holdfast/metrics/AlertRules"
 *
 * console.log(recordings.map(({ record }) => record))
 *
 * @since 0.1.0
 * @category rules
 */
export const recordings: ReadonlyArray<Recording> = Object.values(recorded)

/**
 * The recorded expressions by what they are about, for dashboards and rules of one's own.
 *
 * @example
 * import { record } from "@holdfast/metrics/AlertRules"
 *
 * console.log(`${record.utilization} > 0.95`) // service:bulkhead_active:utilization > 0.95
 *
 * @since 0.1.0
 * @category rules
 */
export const record = Object.fromEntries(
  Object.entries(recorded).map(([about, recording]) => [about, recording.record])
) as { readonly [About in keyof typeof recorded]: typeof recorded[About]["record"] }

const percent = "{{ $value | humanizePercentage }}"
const who = "{{ $labels.service }}"

/**
 * The alerts.
 *
 * @example
 * import { alerts } from "@holdfast/metrics/AlertRules"
 *
 * console.log(alerts.filter(({ severity }) => severity === "critical").map(({ alert }) => alert)) // [ "HoldfastCircuitOpen" ]
 *
 * @since 0.1.0
 * @category rules
 */
export const alerts: ReadonlyArray<Alert> = [
  {
    alert: "HoldfastTimeoutRate",
    expression: `${record.timeouts} > 0.05`,
    for: "5m",
    severity: "warning",
    summary: `${who}: ${percent} of the attempts time out`,
    description: `${who} is degraded: more than 5 % of the attempts have timed out for 5 minutes.`
  },
  {
    alert: "HoldfastCircuitOpen",
    expression: `${max(kept, select(families.circuitState))} > 0`,
    severity: "critical",
    summary: `${who}: the circuit is not closed`,
    description:
      `The circuit of ${who} is open or half-open: its calls fail fast and get a fallback. It is down, or somebody isolated it.`
  },
  {
    alert: "HoldfastCircuitTripsOften",
    expression: `${record.trips} > 3`,
    severity: "warning",
    summary: `${who}: the circuit opened {{ $value }} times within an hour`,
    description:
      `The circuit of ${who} opened more than 3 times within an hour: probes fail, or it recovers and fails again.`
  },
  {
    alert: "HoldfastRetryRate",
    expression: `${record.retried} > 0.2`,
    for: "5m",
    severity: "warning",
    summary: `${who}: ${percent} of the calls are tried again`,
    description: `More than 20 % of the calls of ${who} need another try: something is broken, and not transient.`
  },
  {
    alert: "HoldfastRetrySuccess",
    expression: `${record.retrySuccess} < 0.5`,
    for: "5m",
    severity: "warning",
    summary: `${who}: only ${percent} of the retried calls succeed`,
    description: `Retries do not help ${who}: fewer than half of the retried calls succeed. They only add load.`
  },
  {
    alert: "HoldfastBulkheadUtilization",
    expression: `${record.utilization} > 0.8`,
    for: "10m",
    severity: "warning",
    summary: `${who}: ${percent} of the bulkhead are in use`,
    description:
      `The bulkhead of ${who} has been more than 80 % full for 10 minutes: more traffic, or a slower dependency.`
  },
  {
    alert: "HoldfastFallbackActive",
    expression: `${sum([...kept, "fallback_type"], increase(select(families.fallbackInvocations), window))} > 0`,
    for: "5m",
    severity: "warning",
    summary: `${who}: users have been getting the fallback "{{ $labels.fallback_type }}" for 5 minutes`,
    description: `${who} does not recover by itself: its fallback has been answering for more than 5 minutes.`
  },
  {
    alert: "HoldfastCircuitFlaps",
    // 14 readings, a day apart, and every one of them bad.
    expression: `count_over_time((${record.recoveries} >= 5)[14d:1d]) >= 14`,
    severity: "warning",
    summary: `${who}: the circuit has opened and closed 5 times a day or more for two weeks`,
    description:
      `${who} is unreliable enough to trip its circuit and works well enough that nobody looks. Such a dependency becomes an outage.`
  }
]
