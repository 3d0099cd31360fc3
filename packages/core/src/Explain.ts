/**
 * Says in figures and in words what a policy does: its plan, its worst case, and how often its breaker would open by chance.
 *
 * @since 0.1.0
 */
import type * as Backoff from "./Backoff.js"
import type * as Call from "./Call.js"
import { expectedEnds } from "./internal/chanceOpenings.js"
import * as words from "./internal/explainWords.js"
import { type Node, reckon, time } from "./internal/worstCase.js"
import { Validation } from "./Options.js"
import * as Step from "./Step.js"
import type * as TripPolicy from "./TripPolicy.js"

/**
 * A figure and how far it can be trusted.
 *
 * - `kind: "exact"`: a dependency can be imagined that gets as close to it as one likes. `Infinity` means that nothing limits it.
 * - `kind: "atMost"`: never more; whether it can be reached is not known.
 * - `kind: "unknown"`: nothing can be said, and `value` is `Infinity`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bound {
  readonly kind: "exact" | "atMost" | "unknown"
  readonly value: number
  /** What keeps it from being exact; empty if it is. */
  readonly because: ReadonlyArray<string>
}

/**
 * The worst case of one call, over every behaviour of the dependency (it hangs, fails at once, answers late) and every draw of
 * jitter. What a stopped effect needs to release its resources comes on top.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorstCase {
  /** Milliseconds until the caller has an answer. Full waiting times at bulkheads and rate limiters are counted in. */
  readonly latencyMillis: Bound
  /** How often the dependency is called. */
  readonly attempts: Bound
  /** The latency, in milliseconds, if the dependency names its delays itself (`retryAfter`), as long as it likes. */
  readonly latencyWhenAskedMillis: Bound
  /** How the latency comes about, from the innermost limit outwards. */
  readonly reckoning: ReadonlyArray<string>
}

/**
 * One step of the plan.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  readonly kind: string
  readonly policy: string
  /** Its numbers, in words. */
  readonly numbers: string
  /** What it is good for at this place. */
  readonly because: string
  /** What the caller gets when it trips. */
  readonly answers: string
}

/**
 * How often a healthy breaker would open although nothing has changed: every attempt fails with probability `failureRate`,
 * independently of the others.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChanceOpening {
  readonly policy: string
  /** What the breaker counts: inside a retry attempts, else calls. */
  readonly unit: "call" | "attempt"
  readonly failureRate: number
  /** The share of ends that fail as the breaker sees them: retries inside the breaker cure some. */
  readonly seenRate: number
  /** Ends until it opens, on average, from a clean start. `Infinity` for never. */
  readonly ends: number
  /**
   * - `"exact"`: by formula or Markov chain.
   * - `"simulated"`: an estimate from 100,000 ends on the real machine, seeded, at a steady rate.
   * - `"moreThan"`: the machine opened too seldom in these for a figure; `ends` is a floor.
   */
  readonly method: "exact" | "simulated" | "moreThan"
  /** The same without any help from retries, as when their budget is empty. */
  readonly withoutRetries: { readonly ends: number; readonly method: "exact" | "simulated" | "moreThan" }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Explanation {
  readonly dependency: string | undefined
  /** Outermost first. */
  readonly plan: ReadonlyArray<Place>
  /** What the operation declares of its calls, where the policy is that of an operation. */
  readonly declared: Pick<Call.Facts, "operation" | "repeatable" | "criticality"> | undefined
  readonly worstCase: WorstCase
  readonly chanceOpenings: ReadonlyArray<ChanceOpening>
  /** All of it for a reader, ending in a line break. */
  readonly text: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The traffic for which time windows are played. Default 10. */
  readonly callsPerSecond?: number | undefined
}

/** The failure rates that chance openings are told for. */
const failureRates = [0.1, 0.2, 0.3]

/** The traffic for which time windows are played when no number is given. */
const defaultCallsPerSecond = 10

/** How many steps at the beginning are functions of the user's: what they do with the whole is their affair. */
const outerCustoms = (steps: ReadonlyArray<Step.Step>): number => {
  const first = steps.findIndex((step) => step.kind !== "Custom")
  return first < 0 ? steps.length : first
}

const isOpaque = (step: Step.Step, index: number, steps: ReadonlyArray<Step.Step>): boolean => {
  switch (step.kind) {
    case "Timeout":
    case "Retry":
    case "CircuitBreaker":
    case "Bulkhead":
    case "RateLimiter":
      return false
    case "Custom":
      return index >= outerCustoms(steps)
    case "Chaos":
      // Innermost it plays the dependency, whose behaviour is anything as it is.
      return index < steps.length - 1
    default:
      return true
  }
}

const nodeOf = (step: Step.Step, index: number, steps: ReadonlyArray<Step.Step>, asked: boolean): Node | undefined => {
  const settings = step.settings as Record<string, any>
  switch (step.kind) {
    case "Timeout": {
      // Only the first limit of a policy, outside all wrappers, is told to the retries inside.
      const first = steps.slice(0, index).every((outer) =>
        outer.kind === "Bulkhead" || outer.kind === "CircuitBreaker" || outer.kind === "RateLimiter"
      )
      return { _tag: "Limit", millis: settings.limitMillis, deadline: settings.scope === "total" && first }
    }
    case "Bulkhead":
      return { _tag: "Wait", millis: settings.maxQueue > 0 ? settings.maxWaitMillis : 0 }
    case "RateLimiter":
      return { _tag: "Wait", millis: settings.maxWaitMillis }
    case "Retry": {
      const backoff: Backoff.Backoff | undefined = settings.backoff
      const known = backoff !== undefined && !asked
      return {
        _tag: "Retry",
        retries: settings.maxRetries,
        shortest: backoff === undefined ? () => 0 : (retry) => words.shortestDelay(backoff, retry),
        longest: known ? (retry) => backoff.largest(retry) : () => Infinity
      }
    }
    default:
      return isOpaque(step, index, steps) ? { _tag: "Unknown" } : undefined
  }
}

/**
 * The steps as the arithmetic reads them, outermost first.
 *
 * @internal
 */
export const chainOf = (steps: ReadonlyArray<Step.Step>, asked = false): ReadonlyArray<Node> =>
  steps.map((step, index) => nodeOf(step, index, steps, asked)).filter((node) => node !== undefined)

const bound = (value: number, because: ReadonlyArray<string>): Bound =>
  because.length === 0
    ? { kind: "exact", value, because }
    : { kind: value === Infinity ? "unknown" : "atMost", value, because }

/** From the innermost limit outwards: a running total that each step takes up. */
const reckoningOf = (steps: ReadonlyArray<Step.Step>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const chain = steps.map((step, index) => nodeOf(step, index, steps, false))
  for (let index = chain.length - 1; index >= 0; index--) {
    const node = chain[index]
    const name = steps[index]!.policy
    const before = reckon(chain.slice(index + 1).filter((inner) => inner !== undefined)).millis
    const after = reckon(chain.slice(index).filter((inner) => inner !== undefined)).millis
    if (node?._tag === "Limit") {
      const why = before === Infinity
        ? `a call that hangs is stopped after ${time(node.millis)}`
        : before > node.millis
        ? `${time(before)} is cut to ${time(after)}`
        : after < before
        ? `${time(after)}, since a retry gives up whose delay reaches the ${time(node.millis)}`
        : `${time(before)} fits in ${time(node.millis)}`
      lines.push(`${name}: ${why}`)
    } else if (node?._tag === "Wait" && node.millis > 0) {
      lines.push(`${name}: ${time(before)} + ${time(node.millis)} of waiting = ${time(after)}`)
    } else if (node?._tag === "Retry" && node.retries > 0) {
      const total = words.delays(node.retries, node.longest)
      lines.push(`${name}: ${node.retries + 1} attempts x ${time(before)} + ${total} = ${time(after)}`)
    } else if (node?._tag === "Unknown") {
      lines.push(`${name}: not known`)
    }
  }
  return lines
}

/** How often one call can pass the step at `index`, for the retries outside it. */
const attemptsThrough = (steps: ReadonlyArray<Step.Step>, index: number): number =>
  attemptsWithin(steps.slice(0, index), -1)

/**
 * The worst case of one call through these steps, outermost first.
 *
 * @internal
 */
export const worstCaseOf = (steps: ReadonlyArray<Step.Step>): WorstCase => {
  const reckoned = reckon(chainOf(steps))
  const opaque = steps.filter(isOpaque).map((step) =>
    `${step.policy} is a step of your own: it may do anything with what is inside`
  )
  const schedules = steps
    .filter((step) =>
      step.kind === "Retry" && Number(step.settings.maxRetries) > 0 && step.settings.backoff === undefined
    )
    .map((step) => `${step.policy} has a schedule of your own: its delays are not known`)
  // A full bucket lets so many attempts of one call pass; of further ones it depends on their instants which are refused.
  const scarce = steps.flatMap((step, index) => {
    const attempts = attemptsThrough(steps, index)
    return step.kind === "RateLimiter" && attempts > Number(step.settings.capacity)
      ? [
        `${step.policy} holds ${step.settings.capacity} at most: it may refuse some of ${attempts} attempts of one call`
      ]
      : []
  })
  const entangled = reckoned.exact || opaque.length > 0
    ? []
    : ["retries within retries share one deadline, and which of them give up early was not followed to the end"]
  const because = [...opaque, ...schedules, ...scarce, ...entangled]
  return {
    latencyMillis: bound(reckoned.millis, because),
    attempts: bound(reckoned.attempts, because),
    latencyWhenAskedMillis: bound(reckon(chainOf(steps, true)).millis, opaque),
    reckoning: reckoningOf(steps)
  }
}

/**
 * The longest that what is inside the step at `index` can take, in milliseconds.
 *
 * @internal
 */
export const latencyWithin = (steps: ReadonlyArray<Step.Step>, index: number): number =>
  reckon(
    steps.map((step, place) => place > index ? nodeOf(step, place, steps, false) : undefined).filter((node) =>
      node !== undefined
    )
  ).millis

/**
 * The attempts that one end of a gate at `index` can stand for: the product of the retries inside it.
 *
 * @internal
 */
export const attemptsWithin = (steps: ReadonlyArray<Step.Step>, index: number): number =>
  steps.slice(index + 1).reduce(
    (product, step) => step.kind === "Retry" ? product * (Number(step.settings.maxRetries) + 1) : product,
    1
  )

const chanceOpeningsOf = (steps: ReadonlyArray<Step.Step>, perSecond: number): ReadonlyArray<ChanceOpening> =>
  steps.flatMap((step, index) => {
    if (step.kind !== "CircuitBreaker") {
      return []
    }
    const tripPolicy = step.settings.tripPolicy as TripPolicy.TripPolicy
    const attempts = attemptsWithin(steps, index)
    const unit = steps.slice(0, index).some((outer) => outer.kind === "Retry") ? "attempt" : "call"
    return failureRates.map((failureRate): ChanceOpening => {
      const seenRate = failureRate ** attempts
      const withoutRetries = expectedEnds(tripPolicy, failureRate, perSecond)
      const seen = attempts === 1 ? withoutRetries : expectedEnds(tripPolicy, seenRate, perSecond)
      return { policy: step.policy, unit, failureRate, seenRate, ...seen, withoutRetries }
    })
  })

const sentence = (figure: Bound, show: (value: number) => string): string =>
  figure.kind === "unknown"
    ? "unknown"
    : figure.kind === "atMost"
    ? `at most ${show(figure.value)}`
    : figure.value === Infinity
    ? "no limit"
    : show(figure.value)

const textOf = (explanation: Omit<Explanation, "text">, callsPerSecond: number): string => {
  const { chanceOpenings, declared, dependency, plan, worstCase } = explanation
  const lines = [`The plan${dependency === undefined ? "" : ` of ${dependency}`}, outermost first`, ""]
  plan.forEach((place, index) => {
    lines.push(
      `${index + 1}. ${place.policy}: ${place.numbers}`,
      `   Place: ${place.because}.`,
      `   Trips: ${place.answers}.`
    )
  })
  if (plan.length === 0) {
    lines.push("Nothing: the call is made as it is.")
  }
  if (declared !== undefined) {
    lines.push("", words.declaredLine(declared))
  }
  const { attempts, latencyMillis, latencyWhenAskedMillis } = worstCase
  lines.push(
    "",
    "Worst case of one call",
    "",
    `- latency: ${sentence(latencyMillis, time)}`,
    ...worstCase.reckoning.map((line) => `    ${line}`),
    `- calls to the dependency: ${sentence(attempts, String)}`
  )
  if (plan.some((place) => place.kind === "Retry")) {
    lines.push(
      `- latency if the dependency names its own delays (Retry-After): ${sentence(latencyWhenAskedMillis, time)}`
    )
  }
  lines.push(...latencyMillis.because.map((reason) => `- ${reason}`))
  if (chanceOpenings.length > 0) {
    lines.push(
      "",
      "Openings by chance, while nothing has changed",
      "",
      ...words.chanceLines(chanceOpenings, callsPerSecond)
    )
  }
  return lines.join("\n") + "\n"
}

/**
 * Explains a policy: the plan with the reason of each place, the worst-case latency and attempts, what each layer answers when it
 * trips, and how often a dependency that fails at 10, 20 and 30 % would open the breaker by chance. Pure: nothing is called.
 *
 * A step of your own (`Policy.make`) makes the figures unknown, or upper bounds where a timeout stands around it. Outside everything it
 * does not: then they hold for one run of what is inside it.
 *
 * @example
 * ```ts
 * import * as Policy from "@holdfast/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const payments = yield* Policy.standard("payments")
 *   const { text, worstCase } = Policy.explain(payments)
 *   console.log(worstCase.latencyMillis.value) // 9600
 *   console.log(text)
 * })
 *
 * Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const explain = (policy: Step.Policy<any, any>, options: Options = {}): Explanation => {
  const check = new Validation("Policy.explain")
  check.record(options, ["callsPerSecond"])
  const callsPerSecond = options?.callsPerSecond ?? defaultCallsPerSecond
  check.number("callsPerSecond", callsPerSecond, 1e-6, 1e6)
  check.done()
  const { steps } = policy
  const declared = Step.factsOf(policy)
  const explanation = {
    dependency: steps.find((step) => step.dependency !== undefined)?.dependency,
    plan: steps.map((step, index): Place => ({
      kind: step.kind,
      policy: step.policy,
      ...words.describe(steps, index)
    })),
    declared: declared?.operation === undefined ? undefined : declared,
    worstCase: worstCaseOf(steps),
    chanceOpenings: chanceOpeningsOf(steps, callsPerSecond)
  }
  return { ...explanation, text: textOf(explanation, callsPerSecond) }
}
