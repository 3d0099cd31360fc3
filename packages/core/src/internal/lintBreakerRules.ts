/**
 * The rules of lint about circuit breakers.
 */
import * as TripPolicy from "../TripPolicy.js"
import { tripWords } from "./explainWords.js"
import { found, ofKind, type Rule, twice } from "./lintRules.js"
import { time } from "./worstCase.js"

/** The fewest failures that can open a breaker. */
const fewestFailures = (policy: TripPolicy.TripPolicy): number =>
  Math.min(
    ...TripPolicy.flatten(policy).map((one) => {
      switch (one._tag) {
        case "Consecutive":
        case "Failures":
          return one.failures
        case "FailureRate":
          return Math.ceil(one.threshold * one.minimumCalls)
        default:
          return Infinity
      }
    })
  )

/** The fewest ends that can open a breaker when all of them fail. */
const fewestEnds = (policy: TripPolicy.TripPolicy): number =>
  Math.min(
    ...TripPolicy.flatten(policy).map((one) => one._tag === "FailureRate" ? one.minimumCalls : fewestFailures(one))
  )

/** @internal */
export const breakerRules: ReadonlyArray<Rule> = [
  {
    code: "breaker-counts-retries",
    severity: "error",
    title: "Two calls with their retries open the breaker",
    why:
      "Inside the retry every attempt is a sample: few calls look like many failures, and two users open the circuit for all.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").flatMap((breaker) => {
        const attempts = subject.retries.filter((retry) => retry.index < breaker.index)
          .reduce((product, retry) => product * (retry.retries + 1), 1)
        const enough = fewestEnds(breaker.settings.tripPolicy)
        return attempts === 1 || 2 * attempts < enough ? [] : found(
          breaker,
          `2 calls x ${attempts} attempts = ${2 * attempts} failures, and it opens at ${
            tripWords(breaker.settings.tripPolicy)
          }: ` +
            "two calls open it",
          `put it outside the retry (scope "call"), where 2 calls are 2 failures, or let it open only at more than ${
            2 * attempts
          } failures`
        )
      })
  },
  {
    code: "same-breaker-twice",
    severity: "error",
    title: "The same breaker twice",
    why: "Every end is counted twice, and a probe meets the same breaker again, which has given away its only slot.",
    check: (subject) =>
      twice("CircuitBreaker")(
        subject,
        "it stands in the policy twice: each failure counts twice, and a probe is rejected by the second place",
        "one place for each breaker; a second breaker needs a name and a state of its own"
      )
  },
  {
    code: "breaker-threshold-low",
    severity: "warning",
    title: "A breaker that opens at two or three failures",
    why: "A blip of the network cuts off a dependency that is well.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").flatMap((breaker) => {
        const failures = fewestFailures(breaker.settings.tripPolicy)
        return failures > 3 ? [] : found(
          breaker,
          `${failures} failed ${failures === 1 ? "end opens" : "ends can open"} it (${
            tripWords(breaker.settings.tripPolicy)
          })`,
          "5 to 10 failures, or half of at least 10 ends"
        )
      })
  },
  {
    code: "breaker-threshold-high",
    severity: "warning",
    title: "A breaker that opens only beyond fifty failures",
    why: "By then whatever it should have protected is used up.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").flatMap((breaker) => {
        const failures = fewestFailures(breaker.settings.tripPolicy)
        return failures <= 50 || failures === Infinity ? [] : found(
          breaker,
          `at least ${failures} failures before it opens` + (
            breaker.inside < Infinity
              ? `; if each takes its ${time(breaker.inside)}, that is ${time(failures * breaker.inside)} of waiting`
              : ""
          ),
          "5 to 10 failures, or half of at least 10 ends"
        )
      })
  },
  {
    code: "open-duration-short",
    severity: "warning",
    title: "A breaker that stays open for less than 5 seconds",
    why: "It probes before the dependency can have recovered, and opens again, over and over.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").filter((breaker) => breaker.settings.openMillis < 5000).flatMap((breaker) =>
        found(breaker, `it probes again after ${time(breaker.settings.openMillis)}`, "15 to 60 seconds")
      )
  },
  {
    code: "open-duration-long",
    severity: "warning",
    title: "A breaker that stays open for more than 5 minutes",
    why: "The dependency is long back, and its callers do not know.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").filter((breaker) => breaker.settings.openMillis > 300_000).flatMap((breaker) =>
        found(
          breaker,
          `a dependency that is back after 30 s is left alone for another ${
            time(breaker.settings.openMillis - 30_000)
          }`,
          "15 to 60 seconds, or a schedule that grows while probes fail"
        )
      )
  },
  {
    code: "several-probes",
    severity: "warning",
    title: "Several probes at once",
    why: "A dependency that struggles is hit by all of them.",
    check: (subject) =>
      ofKind(subject, "CircuitBreaker").filter((breaker) => breaker.settings.probes > 1).flatMap((breaker) =>
        found(
          breaker,
          `${breaker.settings.probes} probes go out at once while it is half-open`,
          "probes: 1; to be surer of the recovery, a successThreshold above 1"
        )
      )
  }
]
