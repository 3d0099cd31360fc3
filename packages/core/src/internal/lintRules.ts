/**
 * The rules of lint about one policy by itself: order, limits, retries. Rules about breakers stand in
 * `lintBreakerRules`, those that need to know what lies around the policy in `lintContextRules`.
 */
import type { Step } from "../Step.js"
import { delays } from "./explainWords.js"
import { retriesThatFit, retriesThatFitCautiously, sum, time } from "./worstCase.js"

/** @internal */
export type Severity = "error" | "warning" | "info"

/**
 * What the caller of lint told, in milliseconds.
 *
 * @internal
 */
export interface Told {
  readonly sla: number | undefined
  readonly overhead: number
  readonly pool: { readonly size: number; readonly maxWait: number | undefined } | undefined
  readonly callerTimeout: number | undefined
  readonly downstreamTimeout: number | undefined
  readonly processCapacity: number | undefined
  readonly p99: number | undefined
  readonly retriesAround: ReadonlyArray<number>
  readonly health: { readonly dependsOn: ReadonlyArray<string>; readonly instances: number | undefined } | undefined
}

/**
 * One step with what rules ask about it.
 *
 * @internal
 */
export interface Placed {
  readonly step: Step
  readonly index: number
  /** The durations and numbers of the step. */
  readonly settings: Record<string, any>
  /** The longest that what is inside can take, in milliseconds. */
  readonly inside: number
}

/** @internal */
export interface Retrying extends Placed {
  readonly retries: number
  /** The largest delay before a retry; `undefined` for a schedule of the user's. */
  readonly delay: ((retry: number) => number) | undefined
}

/** @internal */
export interface Subject {
  readonly steps: ReadonlyArray<Placed>
  /** Retries that do retry. */
  readonly retries: ReadonlyArray<Retrying>
  readonly told: Told
  /** The worst case of the whole, in milliseconds. */
  readonly latency: number
}

/** @internal */
export interface Found {
  readonly at: string
  readonly because: string
  readonly instead: string
}

/** @internal */
export interface Rule {
  readonly code: string
  readonly severity: Severity
  readonly title: string
  readonly why: string
  readonly check: (subject: Subject) => ReadonlyArray<Found>
}

/** @internal */
export const ofKind = (subject: Subject, kind: string): ReadonlyArray<Placed> =>
  subject.steps.filter(({ step }) => step.kind === kind)

/** A policy of its own for each key stands here: what it is made of cannot be seen, so nothing can be said to be missing. */
const hidesSteps = (subject: Subject): boolean => ofKind(subject, "Keyed").length > 0

/** @internal */
export const found = (
  at: Placed,
  because: string,
  instead: string
): ReadonlyArray<Found> => [{ at: at.step.policy, because, instead }]

/**
 * The shortest of some limits.
 *
 * @internal
 */
export const shortest = (limits: ReadonlyArray<Placed>): Placed | undefined =>
  limits.reduce<Placed | undefined>(
    (least, one) => least === undefined || one.settings.limitMillis < least.settings.limitMillis ? one : least,
    undefined
  )

type Plan = Pick<Retrying, "retries" | "inside" | "delay">

/**
 * `3 attempts x 2 s + 1 s + 2 s = 9 s`.
 *
 * @internal
 */
export const spelled = (retry: Plan): string =>
  retry.retries === 0
    ? `1 attempt x ${time(retry.inside)} = ${time(retry.inside)}`
    : `${retry.retries + 1} attempts x ${time(retry.inside)} + ${delays(retry.retries, retry.delay!)} = ${
      time(lasting(retry))
    }`

const lasting = (retry: Plan): number => (retry.retries + 1) * retry.inside + sum(retry.retries, retry.delay!)

/**
 * What would fit instead, with the cautious figure beside it that charges a delay after the last attempt as well.
 *
 * @internal
 */
export const fitting = (retry: Plan, available: number): string => {
  const delay = retry.delay!
  const fits = retriesThatFit(available, retry.inside, delay)
  if (fits === undefined) {
    return `not even one attempt of ${time(retry.inside)} fits in ${time(available)}: a shorter attempt timeout`
  }
  const cautious = retriesThatFitCautiously(available, retry.inside, delay)
  return `maxRetries ${fits}: ${fits + 1} x ${time(retry.inside)}${fits === 0 ? "" : ` + ${delays(fits, delay)}`} = ` +
    `${time((fits + 1) * retry.inside + sum(fits, delay))} fits in ${time(available)} ` +
    `(with a delay charged after the last attempt too: ${cautious}); or shorter timeouts`
}

/** @internal */
export const twice = (kind: string) => (subject: Subject, because: string, instead: string): ReadonlyArray<Found> => {
  const steps = ofKind(subject, kind)
  return steps.filter((one, index) => steps.findIndex((other) => other.step.policy === one.step.policy) < index)
    .flatMap((one) => found(one, because, instead))
}

/** Timeouts with the first one outside of them of which the lengths, outer before inner, are so. */
const innerTimeouts = (
  subject: Subject,
  are: (outer: number, inner: number) => boolean
): ReadonlyArray<readonly [outer: Placed, inner: Placed]> => {
  const limits = ofKind(subject, "Timeout")
  return limits.flatMap((inner) => {
    const outer = limits.find((one) =>
      one.index < inner.index && are(one.settings.limitMillis, inner.settings.limitMillis)
    )
    return outer === undefined ? [] : [[outer, inner] as const]
  })
}

/** @internal */
export const policyRules: ReadonlyArray<Rule> = [
  {
    code: "worst-case-beyond-total",
    severity: "warning",
    title: "The retries do not fit in the total timeout",
    why: "The last attempts are cut before they can answer: they burden the dependency and help nobody.",
    check: (subject) =>
      subject.retries.flatMap((retry) => {
        const limit = shortest(ofKind(subject, "Timeout").filter((one) => one.index < retry.index))
        return limit === undefined || retry.delay === undefined || retry.inside === Infinity ||
            lasting(retry) <= limit.settings.limitMillis
          ? []
          : found(
            retry,
            `${spelled(retry)}, beyond the ${time(limit.settings.limitMillis)} of ${limit.step.policy}`,
            fitting(retry, limit.settings.limitMillis)
          )
      })
  },
  {
    code: "no-attempt-timeout",
    severity: "warning",
    title: "No timeout around one attempt",
    why:
      "A dependency that hangs takes the whole time of the call: no attempt is left, and nothing limits what it holds.",
    check: (subject) => {
      const last = subject.retries[subject.retries.length - 1]
      const limits = ofKind(subject, "Timeout")
      if (last !== undefined && !limits.some((limit) => limit.index > last.index)) {
        return hidesSteps(subject) ? [] : found(
          last,
          `inside ${last.step.policy} nothing stops an attempt that hangs: its ${last.retries + 1} attempts are one`,
          "a timeout inside the retry, twice the 99th percentile of the latency (Timeout.fromLatency)"
        )
      }
      return limits.length > 0 || subject.steps.length === 0 || hidesSteps(subject) ? [] : found(
        subject.steps[subject.steps.length - 1]!,
        "no timeout anywhere: a call that hangs is never given up",
        "a timeout around the call, twice the 99th percentile of the latency (Timeout.fromLatency)"
      )
    }
  },
  {
    code: "retry-without-total",
    severity: "warning",
    title: "Retries without a total timeout",
    why:
      "Attempts and delays add up, and a dependency may ask for longer delays (Retry-After): only a total timeout ends it.",
    check: (subject) =>
      subject.retries.slice(0, 1).flatMap((retry) =>
        ofKind(subject, "Timeout").some((limit) => limit.index < retry.index) ? [] : found(
          retry,
          retry.delay === undefined || retry.inside === Infinity
            ? "nothing limits its attempts and delays together"
            : `${spelled(retry)}, and longer if the dependency asks for longer delays`,
          "a total timeout outside the retry: Timeout.make(limit, { scope: \"total\" })"
        )
      )
  },
  {
    code: "retry-without-jitter",
    severity: "warning",
    title: "Retries without jitter",
    why: "Clients that failed together come back together, and the wave that broke the dependency hits it again.",
    check: (subject) =>
      subject.retries.flatMap((retry) => {
        const jitter = retry.settings.backoff?.jitter
        return jitter !== "none" && !(typeof jitter === "object" && jitter.factor === 0) ? [] : found(
          retry,
          `all clients that failed in one instant come back ${
            retry.delay!(0) === 0 ? "at once" : `after exactly ${time(retry.delay!(0))}`
          }, as one wave`,
          "a Backoff with jitter: \"full\" (the default)"
        )
      })
  },
  {
    code: "nested-retries",
    severity: "warning",
    title: "Retries within retries",
    why: "They multiply: when the dependency is down, each layer repeats all that the layers inside it have repeated.",
    check: (subject) => {
      const around = subject.told.retriesAround.filter((retries) => retries > 0).map((retries) => retries + 1)
      const factors = [...around, ...subject.retries.map((retry) => retry.retries + 1)]
      const last = subject.retries[subject.retries.length - 1]
      return last === undefined || factors.length < 2 ? [] : found(
        last,
        `${factors.join(" x ")} = ${
          factors.reduce((product, one) => product * one, 1)
        } calls to the dependency for one call` +
          (around.length === 0
            ? ""
            : `, ${around.length === 1 ? "one layer" : `${around.length} layers`} outside counted in`),
        "retries in one layer only, the innermost that can decide; a retry budget where that cannot be had"
      )
    }
  },
  {
    code: "retry-without-budget",
    severity: "info",
    title: "Retries without a budget",
    why:
      "When a dependency is down every call is retried in full: retries multiply the load that it must recover under.",
    check: (subject) =>
      subject.retries.filter((retry) => retry.settings.budget === undefined).flatMap((retry) =>
        found(
          retry,
          `in an outage every call is sent ${retry.retries + 1} times`,
          "a RetryBudget shared by all calls to the dependency: 20 % and 1 per second make it 1.2 times"
        )
      )
  },
  {
    code: "chaos-not-innermost",
    severity: "error",
    title: "Chaos is not innermost",
    why: "What stands inside the chaos never sees its faults: the experiment shows nothing about it.",
    check: (subject) =>
      ofKind(subject, "Chaos").filter((chaos) => chaos.index < subject.steps.length - 1).flatMap((chaos) =>
        found(
          chaos,
          `${subject.steps.slice(chaos.index + 1).map(({ step }) => step.policy).join(", ")} ${
            chaos.index === subject.steps.length - 2 ? "stands" : "stand"
          } inside it and never see a fault`,
          "chaos last in Policy.compose, next to the call"
        )
      )
  },
  {
    code: "same-bulkhead-twice",
    severity: "error",
    title: "The same bulkhead twice",
    why: "Every call takes two places, and calls that hold one each can wait for one another until they time out.",
    check: (subject) =>
      twice("Bulkhead")(
        subject,
        "it stands in the policy twice: every call takes two of its places",
        "one place for each bulkhead"
      )
  },
  {
    code: "inner-timeout-equal",
    severity: "error",
    title: "A timeout inside another of the same length",
    why:
      "Both ring at once: the first attempt that hangs is the whole call, and no retry is ever made after a timeout.",
    check: (subject) =>
      innerTimeouts(subject, (outer, inner) => outer === inner).flatMap(([outer, inner]) =>
        found(
          inner,
          `its ${time(inner.settings.limitMillis)} and those of ${outer.step.policy} end in the same moment`,
          "the inner timeout shorter than the outer one, or only one of them"
        )
      )
  },
  {
    code: "inner-timeout-not-shorter",
    severity: "warning",
    title: "A timeout inside a shorter one",
    why: "The outer one rings first: the inner one never does, and is only there to mislead.",
    check: (subject) =>
      innerTimeouts(subject, (outer, inner) => outer < inner).flatMap(([outer, inner]) =>
        found(
          inner,
          `its ${time(inner.settings.limitMillis)} are never reached within the ${
            time(outer.settings.limitMillis)
          } of ` +
            outer.step.policy,
          "the inner timeout shorter than the outer one, or only one of them"
        )
      )
  },
  {
    code: "wait-not-shorter-than-timeout",
    severity: "warning",
    title: "A wait that can use up the timeout around it",
    why: "A call that waits that long is cut before, or right after, it is sent: it takes up the queue for nothing.",
    check: (subject) =>
      subject.steps.flatMap((gate) => {
        const waits = gate.step.kind === "RateLimiter" || (gate.step.kind === "Bulkhead" && gate.settings.maxQueue > 0)
        const limit = shortest(ofKind(subject, "Timeout").filter((one) => one.index < gate.index))
        const wait: number = gate.settings.maxWaitMillis
        if (!waits || (limit !== undefined && (wait === Infinity || wait < limit.settings.limitMillis))) {
          return []
        }
        return limit !== undefined
          ? found(
            gate,
            `a wait of up to ${time(wait)} within the ${time(limit.settings.limitMillis)} of ${limit.step.policy}`,
            "a maxWait that leaves time for the call itself"
          )
          : wait === Infinity
          ? found(
            gate,
            "its queue has no maxWait, and no timeout stands around it: a call may wait for ever",
            "a maxWait, or a timeout outside"
          )
          : []
      })
  },
  {
    code: "bulkhead-off",
    severity: "info",
    title: "No bulkhead",
    why: "A dependency that is slow may hold as many calls as come: it needs your number.",
    check: (subject) =>
      subject.steps.length === 0 || ofKind(subject, "Bulkhead").length > 0 || hidesSteps(subject) ? [] : [{
        at: subject.steps[0]!.step.dependency ?? subject.steps[0]!.step.policy,
        because: "nothing limits how many calls to it run at once",
        instead:
          "bulkhead: { maxConcurrent }, at least calls per second x seconds per call, at most the connections of the pool"
      }]
  },
  {
    code: "worst-case-unknown",
    severity: "info",
    title: "A worst case that cannot be reckoned",
    why: "A schedule or a step of your own says nothing about its delays and attempts.",
    check: (subject) => [
      ...subject.retries.filter((retry) => retry.delay === undefined).flatMap((retry) =>
        found(retry, "the delays of a schedule of your own are unknown", "a Backoff, which carries its numbers")
      ),
      ...ofKind(subject, "Custom")
        .filter((custom) => subject.steps.slice(0, custom.index).some(({ step }) => step.kind !== "Custom"))
        .flatMap((custom) =>
          found(
            custom,
            "what a step of your own does with what is inside it is unknown",
            "the step outside everything, if it can be there"
          )
        )
    ]
  }
]
