/**
 * Checks a policy, and what lies around it, against the ways in which resilience patterns are known to collide.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Backoff from "./Backoff.js"
import { latencyWithin, worstCaseOf } from "./Explain.js"
import { breakerRules } from "./internal/lintBreakerRules.js"
import { contextRules } from "./internal/lintContextRules.js"
import { type Placed, policyRules, type Retrying, type Subject, type Told } from "./internal/lintRules.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"

/**
 * - `"error"`: it will fail its users as soon as the dependency does.
 * - `"warning"`: it works worse than it could, or not as its numbers say.
 * - `"info"`: good to know.
 *
 * @since 0.1.0
 * @category models
 */
export type Severity = "error" | "warning" | "info"

/**
 * One thing that is wrong.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  /** The code of the rule: stable, for configuration and search. */
  readonly rule: string
  readonly severity: Severity
  /** The name of the step, or of the dependency. */
  readonly at: string
  /** What is wrong, with the numbers. */
  readonly because: string
  /** What to do instead. */
  readonly instead: string
}

/**
 * What a rule is, as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rule {
  readonly code: string
  readonly severity: Severity
  readonly title: string
  readonly why: string
}

/**
 * What a policy cannot know of itself. Rules whose part is left out are silent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Context {
  /** How long the user was promised to wait at most. */
  readonly sla?: Duration.DurationInput | undefined
  /** What the caller needs for itself, beside this policy. Default 0. */
  readonly overhead?: Duration.DurationInput | undefined
  /** The connection pool under the call: its connections, and how long it lets a call wait for one. */
  readonly pool?: { readonly size: number; readonly maxWait?: Duration.DurationInput | undefined } | undefined
  /** How long whoever calls this process waits. */
  readonly callerTimeout?: Duration.DurationInput | undefined
  /** How long the dependency works on one request before it gives up itself. */
  readonly downstreamTimeout?: Duration.DurationInput | undefined
  /** How many calls of all kinds the process can serve at once. */
  readonly processCapacity?: number | undefined
  /** The latency of good calls. */
  readonly measured?: { readonly p99: Duration.DurationInput } | undefined
  /** The `maxRetries` of layers outside: a gateway, a mesh, a client. */
  readonly retriesAround?: ReadonlyArray<number> | undefined
  /** The health check that a load balancer or an orchestrator reads: on which dependencies its answer depends, and of how many instances. */
  readonly health?:
    | { readonly dependsOn: ReadonlyArray<string>; readonly instances?: number | undefined }
    | undefined
}

const allRules = [...breakerRules, ...policyRules, ...contextRules]

/**
 * All rules.
 *
 * @example
 * ```ts
 * import * as Lint from "@holdfast/core/Lint"
 *
 * for (const { code, title } of Lint.rules) console.log(code, title)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const rules: ReadonlyArray<Rule> = allRules.map(({ code, severity, title, why }) => ({
  code,
  severity,
  title,
  why
}))

const fields = [
  "sla",
  "overhead",
  "pool",
  "callerTimeout",
  "downstreamTimeout",
  "processCapacity",
  "measured",
  "retriesAround",
  "health"
]

/** A record within the context; whether its fields may be read. */
const within = (check: Validation, field: string, value: unknown, known: ReadonlyArray<string>): boolean => {
  const inner = new Validation(check.owner, `${field}.`)
  inner.record(value, known)
  check.findings.push(...inner.findings)
  return inner.findings.length === 0
}

const read = (context: Context): Told => {
  const check = new Validation("Policy.lint")
  check.record(context, fields)
  check.done()
  const duration = (field: string, value: unknown, minimum = 1) =>
    value === undefined ? undefined : check.duration(field, value, minimum)
  const { health, measured, pool, processCapacity, retriesAround = [] } = context
  if (pool !== undefined && within(check, "pool", pool, ["size", "maxWait"])) {
    check.whole("pool.size", pool.size, 1)
  }
  if (processCapacity !== undefined) {
    check.whole("processCapacity", processCapacity, 1)
  }
  if (measured !== undefined) {
    within(check, "measured", measured, ["p99"])
  }
  if (Array.isArray(retriesAround)) {
    retriesAround.forEach((retries, index) => check.whole(`retriesAround[${index}]`, retries, 0, 1000))
  } else {
    check.add("retriesAround", retriesAround, "a list of whole numbers")
  }
  if (health !== undefined && within(check, "health", health, ["dependsOn", "instances"])) {
    if (!Array.isArray(health.dependsOn) || !health.dependsOn.every((name: unknown) => typeof name === "string")) {
      check.add("health.dependsOn", health.dependsOn, "a list of names of dependencies")
    }
    if (health.instances !== undefined) {
      check.whole("health.instances", health.instances, 1)
    }
  }
  const told: Told = {
    sla: duration("sla", context.sla),
    overhead: duration("overhead", context.overhead, 0) ?? 0,
    pool: pool === undefined ? undefined : { size: pool.size, maxWait: duration("pool.maxWait", pool?.maxWait, 0) },
    callerTimeout: duration("callerTimeout", context.callerTimeout),
    downstreamTimeout: duration("downstreamTimeout", context.downstreamTimeout),
    processCapacity,
    p99: measured === undefined ? undefined : check.duration("measured.p99", measured?.p99, 0),
    retriesAround,
    health: health === undefined ? undefined : { dependsOn: health.dependsOn, instances: health.instances }
  }
  check.done()
  return told
}

const subjectOf = (policy: Step.Policy<any, any>, told: Told): Subject => {
  const steps = policy.steps.map((step, index): Placed => ({
    step,
    index,
    settings: step.settings,
    inside: latencyWithin(policy.steps, index)
  }))
  const retries = steps.filter(({ settings, step }) => step.kind === "Retry" && settings.maxRetries > 0)
    .map((retry): Retrying => {
      const backoff: Backoff.Backoff | undefined = retry.settings.backoff
      return {
        ...retry,
        retries: retry.settings.maxRetries,
        delay: backoff === undefined ? undefined : backoff.largest
      }
    })
  return { steps, retries, told, latency: worstCaseOf(policy.steps).latencyMillis.value }
}

const ranks = { error: 0, warning: 1, info: 2 }

/**
 * Checks a policy. Pure: nothing is called. The worst findings come first. What a policy cannot know (the promise to the user, the
 * pool under it, its callers) comes with the context.
 *
 * @example
 * ```ts
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* Policy.standard("payments", { bulkhead: { maxConcurrent: 10 } })
 *   for (const finding of Policy.lint(payments, { sla: "5 seconds", pool: { size: 5 } })) {
 *     console.log(`${finding.severity} ${finding.rule} at ${finding.at}: ${finding.because}. Instead: ${finding.instead}`)
 *   }
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const lint = (policy: Step.Policy<any, any>, context: Context = {}): ReadonlyArray<Finding> => {
  if (!Step.isPolicy(policy)) {
    const check = new Validation("Policy.lint")
    check.add("policy", policy, "a policy, such as Policy.standard(\"payments\") makes")
    check.done()
  }
  const subject = subjectOf(policy, read(context))
  return allRules
    .flatMap(({ check, code, severity }) => check(subject).map((one): Finding => ({ rule: code, severity, ...one })))
    .sort((left, right) => ranks[left.severity] - ranks[right.severity])
}

/**
 * Findings for a reader, ending in a line break.
 *
 * @example
 * ```ts
 * import * as Lint from "@holdfast/core/Lint"
 * import * as Retry from "@holdfast/core/Retry"
 *
 * console.log(Lint.format(Lint.lint(Retry.make({ maxRetries: 10 }), { sla: "1 second" })))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const format = (findings: ReadonlyArray<Finding>): string =>
  findings.length === 0 ?
    "Nothing to object to.\n" :
    findings.map(({ at, because, instead, rule, severity }) =>
      `${severity} ${rule} at ${at}\n  because: ${because}\n  instead: ${instead}\n`
    ).join("")
