/**
 * What the Grafana dashboard shows, as data: a row per pattern, and the expressions of every panel.
 *
 * @since 0.1.0
 */
import { record } from "./AlertRules.js"
import { bucketsOf, countOf, increase, max, rate, select, sum } from "./internal/promql.js"
import { families } from "./MetricFamilies.js"

/**
 * One curve, or one set of curves that differ in their labels.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly expression: string
  readonly legend: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Panel {
  readonly title: string
  readonly description: string
  readonly unit: "percentunit" | "s" | "short" | "reqps"
  readonly kind: "timeseries" | "stat" | "state-timeline"
  readonly targets: ReadonlyArray<Target>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly title: string
  readonly panels: ReadonlyArray<Panel>
}

const window = "$__rate_interval"

const here = { service: { matches: "$service" } } as const

/** Of a recording rule: it is a metric of its own. */
const recorded = (name: string): string => `${name}{service=~"$service"}`

const perSecond = (labels: ReadonlyArray<string>, series: string): string => sum(labels, rate(series, window))

const quantile = (share: number): Target => ({
  expression: `histogram_quantile(${share}, ${
    sum(["service", "le"], rate(bucketsOf(families.requestDuration, here), window))
  })`,
  legend: `{{service}} p${share * 100}`
})

/**
 * The rows of the dashboard.
 *
 * @example
 * import { rows } from "@holdfast/metrics/DashboardRows"
 *
 * console.log(rows.map(({ title }) => title))
 *
 * @since 0.1.0
 * @category dashboard
 */
export const rows: ReadonlyArray<Row> = [
  {
    title: "Calls",
    panels: [
      {
        title: "Calls by outcome",
        description: "Whole calls, after all their attempts.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "class"], select(families.calls, here)),
          legend: "{{service}} {{class}}"
        }]
      },
      {
        title: "Attempts by outcome",
        description:
          "What the dependency gets to see: more than calls where there are retries, fewer where calls are refused.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "class"], select(families.attempts, here)),
          legend: "{{service}} {{class}}"
        }]
      },
      {
        title: "Attempts by status",
        description: "What the dependency answered, or the class of the outcome where it answered nothing.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "status"], countOf(families.requestDuration, here)),
          legend: "{{service}} {{status}}"
        }]
      }
    ]
  },
  {
    title: "Timeouts",
    panels: [
      {
        title: "Timeout rate",
        description: "The share of attempts that ran into a time limit. Alert: above 5 % for 5 minutes.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{ expression: recorded(record.timeouts), legend: "{{service}}" }]
      },
      {
        title: "Latency of attempts",
        description: "An attempt timeout of twice the 99th percentile cuts hardly any good call.",
        unit: "s",
        kind: "timeseries",
        targets: [quantile(0.5), quantile(0.99)]
      },
      {
        title: "Timeouts by endpoint",
        description: "Time limits that ran out, of attempts and of whole calls.",
        unit: "reqps",
        kind: "timeseries",
        targets: [
          {
            expression: perSecond(["service", "endpoint"], select(families.timeouts, here)),
            legend: "{{service}} {{endpoint}}"
          },
          {
            expression: perSecond(["service"], select(families.lateAnswers, here)),
            legend: "{{service}} answered too late"
          }
        ]
      }
    ]
  },
  {
    title: "Retries",
    panels: [
      {
        title: "Retry rate",
        description: "The share of calls that were tried again. Alert: above 20 %.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{ expression: recorded(record.retried), legend: "{{service}}" }]
      },
      {
        title: "Success after retry",
        description: "The share of retried calls that succeeded in the end. Alert: below 50 %.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{ expression: recorded(record.retrySuccess), legend: "{{service}}" }]
      },
      {
        title: "Retries by attempt and result",
        description: "Attempts after the first, and why calls were not tried again.",
        unit: "reqps",
        kind: "timeseries",
        targets: [
          {
            expression: perSecond(["service", "attempt", "result"], select(families.retries, here)),
            legend: "{{service}} attempt {{attempt}} {{result}}"
          },
          {
            expression: perSecond(["service", "reason"], select(families.retriesGivenUp, here)),
            legend: "{{service}} given up: {{reason}}"
          }
        ]
      },
      {
        title: "Retry budget",
        description: "Retries that the budget would pay for, in the process with the fewest.",
        unit: "short",
        kind: "timeseries",
        targets: [{ expression: `min by (service) (${select(families.retryBudget, here)})`, legend: "{{service}}" }]
      }
    ]
  },
  {
    title: "Circuit breakers",
    panels: [
      {
        title: "State",
        description: "0 closed, 1 open or isolated, 2 half-open. Alert: not closed, at once.",
        unit: "short",
        kind: "state-timeline",
        targets: [{ expression: max(["service"], select(families.circuitState, here)), legend: "{{service}}" }]
      },
      {
        title: "Trips in the last hour",
        description: "Alert: more than 3.",
        unit: "short",
        kind: "timeseries",
        targets: [{ expression: recorded(record.trips), legend: "{{service}}" }]
      },
      {
        title: "Share of time not closed",
        description: "By state, over all processes.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{
          expression: `avg by (service, state) (${
            rate(select(families.circuitSeconds, { ...here, state: { not: "closed" } }), window)
          })`,
          legend: "{{service}} {{state}}"
        }]
      },
      {
        title: "Refused calls, and results that came too late",
        description: "Open: it is down. Probing: a probe is on its way.",
        unit: "reqps",
        kind: "timeseries",
        targets: [
          {
            expression: perSecond(["service", "reason"], select(families.circuitRejected, here)),
            legend: "{{service}} {{reason}}"
          },
          {
            expression: perSecond(["service"], select(families.circuitLateResults, here)),
            legend: "{{service}} late results"
          }
        ]
      }
    ]
  },
  {
    title: "Bulkheads",
    panels: [
      {
        title: "Utilization",
        description: "In the process where it is fullest. Alert: above 80 % for 10 minutes.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{ expression: recorded(record.utilization), legend: "{{service}}" }]
      },
      {
        title: "Running and waiting calls",
        description: "Over all processes.",
        unit: "short",
        kind: "timeseries",
        targets: [
          { expression: sum(["service"], select(families.bulkheadActive, here)), legend: "{{service}} running" },
          { expression: sum(["service"], select(families.bulkheadQueued, here)), legend: "{{service}} waiting" },
          { expression: sum(["service"], select(families.bulkheadCapacity, here)), legend: "{{service}} capacity" }
        ]
      },
      {
        title: "Refused calls",
        description: "The pool is too small, or the dependency too slow.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service"], select(families.bulkheadRejected, here)),
          legend: "{{service}}"
        }]
      }
    ]
  },
  {
    title: "Fallbacks",
    panels: [
      {
        title: "Answers by type",
        description: "What users get in place of the real thing. Alert: any type for more than 5 minutes.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "fallback_type"], select(families.fallbackInvocations, here)),
          legend: "{{service}} {{fallback_type}}"
        }]
      },
      {
        title: "Share of time in fallback",
        description: "1 where nothing but the fallback has answered.",
        unit: "percentunit",
        kind: "timeseries",
        targets: [{
          expression: max(["service"], rate(select(families.fallbackSeconds, here), window)),
          legend: "{{service}}"
        }]
      },
      {
        title: "Tiers that could not answer",
        description: "A fallback that fails when it is needed was never rehearsed.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "fallback_type"], select(families.fallbackFailures, here)),
          legend: "{{service}} {{fallback_type}}"
        }]
      }
    ]
  },
  {
    title: "Rate limits, chaos and faults",
    panels: [
      {
        title: "Rate limiter decisions",
        description: "Admitted, waited, refused, or would have been refused in a dry run.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "decision"], select(families.limiterDecisions, here)),
          legend: "{{service}} {{decision}}"
        }]
      },
      {
        title: "Faults put in on purpose",
        description: "While this is not empty, the other panels show an experiment.",
        unit: "reqps",
        kind: "timeseries",
        targets: [{
          expression: perSecond(["service", "fault"], select(families.chaosInjections, here)),
          legend: "{{service}} {{fault}}"
        }]
      },
      {
        title: "Unclassified errors and pieces that threw, today",
        description: "Both are mistakes in the program: say what the tag means with Failure.byTag, mend what throws.",
        unit: "short",
        kind: "stat",
        targets: [
          {
            expression: sum(["service", "tag"], increase(select(families.unclassified, here), "1d")),
            legend: "{{service}} {{tag}}"
          },
          {
            expression: sum(["service", "kind"], increase(select(families.policyFaults, here), "1d")),
            legend: "{{service}} {{kind}} threw"
          }
        ]
      }
    ]
  }
]
