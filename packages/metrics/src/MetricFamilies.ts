/**
 * Every metric family of Holdfast as data: its name, type, help, labels and buckets. The listener, the Prometheus text, the alert
 * rules, the dashboard and the docs all take their names from here.
 *
 * @since 0.1.0
 */

/**
 * One metric family.
 *
 * @since 0.1.0
 * @category models
 */
export interface Family {
  readonly metric: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly help: string
  /** The labels of every series of the family, in this order. */
  readonly labels: ReadonlyArray<string>
  /** The upper bounds of a histogram, without the last, which is infinite. */
  readonly buckets?: ReadonlyArray<number>
  /**
   * Where its values come from: counted from the events that the listener hears, read at the `DependencyRegistry` at the moment of a
   * scrape, or both, in series that differ in their labels.
   */
  readonly source: "events" | "registry" | "both"
  /** The type that the Prometheus text states, where it is not `type`. */
  readonly exposedAs?: "untyped"
}

/**
 * The families by what they are about. The first eight carry their names from outside and keep them; the names of the others begin with
 * `holdfast_`.
 *
 * @example
 * import { families } from "@holdfast/metrics/MetricFamilies"
 *
 * console.log(families.timeouts.metric, families.timeouts.labels) // http_client_timeouts_total [ "service", "endpoint" ]
 *
 * @since 0.1.0
 * @category models
 */
export const families = {
  // -- of everybody ------------------------------------------------------------

  requestDuration: {
    metric: "http_client_request_duration_seconds",
    type: "histogram",
    help: "How long attempts took, one exchange each. The status is what the dependency answered, " +
      "or the class of the outcome where it answered nothing.",
    labels: ["service", "endpoint", "status"],
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 10],
    source: "events"
  },
  timeouts: {
    metric: "http_client_timeouts_total",
    type: "counter",
    help: "Time limits that ran out, of attempts and of whole calls.",
    labels: ["service", "endpoint"],
    source: "events"
  },
  retries: {
    metric: "http_client_retries_total",
    type: "counter",
    help: "Attempts after the first of a call, by their number and the class of their outcome.",
    labels: ["service", "attempt", "result"],
    source: "events"
  },
  circuitState: {
    metric: "circuit_breaker_state",
    type: "gauge",
    help: "State of the circuit breaker: 0 closed, 1 open, 2 half-open. Isolated reads 1, disabled 0.",
    labels: ["service"],
    source: "registry"
  },
  circuitTrips: {
    metric: "circuit_breaker_trips_total",
    type: "counter",
    help: "Times the circuit breaker opened, after a failed probe too.",
    labels: ["service"],
    source: "events"
  },
  bulkheadActive: {
    metric: "bulkhead_active_count",
    type: "gauge",
    help: "Calls that run in the bulkhead now (a gauge).",
    labels: ["service"],
    source: "registry",
    // The ending _count is reserved for histograms and summaries, and `promtool check metrics` refuses a gauge with it. The name
    // is given; Prometheus uses the stated type for nothing but display.
    exposedAs: "untyped"
  },
  bulkheadRejected: {
    metric: "bulkhead_rejected_total",
    type: "counter",
    help: "Calls that the bulkhead refused.",
    labels: ["service"],
    source: "events"
  },
  fallbackInvocations: {
    metric: "fallback_invocations_total",
    type: "counter",
    help: "Answers given by a fallback in place of the dependency, by the kind of its tier.",
    labels: ["service", "fallback_type"],
    source: "events"
  },

  // -- calls and attempts ------------------------------------------------------

  calls: {
    metric: "holdfast_calls_total",
    type: "counter",
    help: "Whole calls that ended, by the class of their outcome.",
    labels: ["service", "endpoint", "class"],
    source: "events"
  },
  attempts: {
    metric: "holdfast_attempts_total",
    type: "counter",
    help: "Attempts that ended, by the class of their outcome.",
    labels: ["service", "endpoint", "class"],
    source: "events"
  },
  lateAnswers: {
    metric: "holdfast_late_answers_total",
    type: "counter",
    help: "Successes that came after the time limit had run out: the work was done, the answer is lost.",
    labels: ["service"],
    source: "events"
  },

  // -- retries -----------------------------------------------------------------

  retriesPerCall: {
    metric: "holdfast_retries_per_call",
    type: "histogram",
    help: "Retries of each call that was sent at all.",
    labels: ["service"],
    buckets: [0, 1, 2, 3, 5, 10],
    source: "events"
  },
  retriedCalls: {
    metric: "holdfast_retried_calls_total",
    type: "counter",
    help: "Calls that made more than one attempt, by the class of their outcome: success is a success after retry.",
    labels: ["service", "class"],
    source: "events"
  },
  retriesGivenUp: {
    metric: "holdfast_retries_given_up_total",
    type: "counter",
    help: "Calls that were not tried again although another try might have cured them, by the reason.",
    labels: ["service", "reason"],
    source: "events"
  },
  retryBudget: {
    metric: "holdfast_retry_budget_balance",
    type: "gauge",
    help: "Retries that the budget would pay for now.",
    labels: ["service"],
    source: "registry"
  },

  // -- circuit breakers --------------------------------------------------------

  circuitTransitions: {
    metric: "holdfast_circuit_breaker_transitions_total",
    type: "counter",
    help: "Changes of the circuit breaker, by the state that it came to.",
    labels: ["service", "state"],
    source: "events"
  },
  circuitSeconds: {
    metric: "holdfast_circuit_breaker_state_seconds_total",
    type: "counter",
    help: "Time that the circuit breaker has spent in each state.",
    labels: ["service", "state"],
    source: "registry"
  },
  circuitAge: {
    metric: "holdfast_circuit_breaker_state_age_seconds",
    type: "gauge",
    help: "How long the circuit breaker has been in its present state.",
    labels: ["service"],
    source: "registry"
  },
  circuitRejected: {
    metric: "holdfast_circuit_breaker_rejected_total",
    type: "counter",
    help: "Calls that the circuit breaker refused, by the reason; in a dry run those that it would have refused.",
    labels: ["service", "reason"],
    source: "events"
  },
  circuitLateResults: {
    metric: "holdfast_circuit_breaker_late_results_total",
    type: "counter",
    help: "Results of calls that were admitted in an earlier state of the circuit breaker: they changed nothing.",
    labels: ["service"],
    source: "events"
  },

  // -- bulkheads and limiters --------------------------------------------------

  bulkheadCapacity: {
    metric: "holdfast_bulkhead_capacity",
    type: "gauge",
    help: "Calls that may run in the bulkhead at once.",
    labels: ["service"],
    source: "registry"
  },
  bulkheadQueued: {
    metric: "holdfast_bulkhead_queue_depth",
    type: "gauge",
    help: "Calls that wait for a place in the bulkhead now.",
    labels: ["service"],
    source: "registry"
  },
  limiterDecisions: {
    metric: "holdfast_rate_limiter_decisions_total",
    type: "counter",
    help: "What the rate limiter decided: admitted, waited, refused, or would_refuse in a dry run. " +
      "Admitted and waited are told of dependencies only.",
    labels: ["service", "decision"],
    source: "both"
  },

  // -- fallbacks, chaos, faults ------------------------------------------------

  fallbackSeconds: {
    metric: "holdfast_fallback_seconds_total",
    type: "counter",
    help: "Time in fallback: between answers of a fallback that followed one another within a minute, " +
      "with no success of the dependency between them.",
    labels: ["service"],
    source: "events"
  },
  fallbackFailures: {
    metric: "holdfast_fallback_failures_total",
    type: "counter",
    help: "Tiers of a fallback that could not answer, by their kind.",
    labels: ["service", "fallback_type"],
    source: "events"
  },
  chaosInjections: {
    metric: "holdfast_chaos_injections_total",
    type: "counter",
    help: "Faults put in the way of calls on purpose, by their kind.",
    labels: ["service", "fault"],
    source: "events"
  },
  unclassified: {
    metric: "holdfast_unclassified_failures_total",
    type: "counter",
    help: "Error tags of which nobody said what they mean, told once for each tag and circuit breaker.",
    labels: ["service", "tag"],
    source: "events"
  },
  policyFaults: {
    metric: "holdfast_policy_faults_total",
    type: "counter",
    help: "What threw where nothing may: a piece of a policy (a classifier, a predicate, a listener), " +
      "or a finalizer of a timed-out effect.",
    labels: ["service", "kind"],
    source: "events"
  }
} as const satisfies Record<string, Family>

/**
 * The families as a list, in the order of the Prometheus text.
 *
 * @example
 * import { all } from "@holdfast/metrics/MetricFamilies"
 *
 * console.log(all.filter((family) => family.type === "gauge").length) // 7
 *
 * @since 0.1.0
 * @category models
 */
export const all: ReadonlyArray<Family> = Object.values(families)

/**
 * A value for each label of a family.
 *
 * @since 0.1.0
 * @category models
 */
export type Labels<F extends Family> = { readonly [Label in F["labels"][number]]: string }

/**
 * What a label says when there is nothing to say: a call without a dependency, or without an operation.
 *
 * @example
 * import { families, unnamed } from "@holdfast/metrics/MetricFamilies"
 *
 * console.log(`${families.calls.metric}{endpoint="${unnamed}"}`) // calls that were made without an operation
 *
 * @since 0.1.0
 * @category constants
 */
export const unnamed = "unnamed"

/**
 * What a label says once it has as many values as it may have.
 *
 * @example
 * import { families, other } from "@holdfast/metrics/MetricFamilies"
 *
 * console.log(`${families.calls.metric}{endpoint="${other}"}`) // above 0: an operation is named by data, not by a route
 *
 * @since 0.1.0
 * @category constants
 */
export const other = "other"
