/**
 * What the end of a call says: seven classes, and one table that tells what each policy does with each of them.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * The seven things the end of a call can say.
 *
 * - `Success`: it worked.
 * - `Retryable`: it failed, and another try may work (network, timeout, 5xx).
 * - `Overloaded`: the dependency lives and asks this caller to slow down (429).
 * - `Permanent`: it answered, and the answer will not change (a declined card, 4xx).
 * - `Unclassified`: nobody said what this error means; defects are of this class too.
 * - `Rejected`: the dependency was not called, one of our own policies refused.
 * - `Interrupted`: nobody wants the answer any more.
 *
 * @since 0.1.0
 * @category models
 */
export type Class =
  | "Success"
  | "Retryable"
  | "Overloaded"
  | "Permanent"
  | "Unclassified"
  | "Rejected"
  | "Interrupted"

/**
 * What a classifier answers: the class, how long the dependency asked to be left alone, whether it is certain that
 * nothing was sent, and whether the caller itself is at fault.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly class: Class
  /**
   * How long the answer asks the caller to wait before it comes back. `Duration.infinity` is a wait beyond every bound: Retry gives up, and
   * a circuit breaker that opens stays open for its `maxOpenDuration`.
   */
  readonly retryAfter: Duration.Duration | undefined
  /** `true` only when it is proved that the dependency never saw the call: such a call may always be repeated. */
  readonly neverSent: boolean
  /** What the dependency answered, as its protocol names it, such as `"503"`; `undefined` where it names nothing. */
  readonly status?: string | undefined
  /** `"caller"` when the request itself is at fault, so that the end says nothing about the dependency: see `callerFault`. */
  readonly fault?: "caller" | undefined
}

/**
 * Errors carry their class under this key, on the prototype or as a getter. `Failure.Retryable`, `Failure.Overloaded` and
 * `Failure.Permanent` put it there.
 *
 * @since 0.1.0
 * @category symbols
 */
export const ClassTypeId: unique symbol = Symbol.for("@holdfast/core/Outcome/Class")

/**
 * @since 0.1.0
 * @category symbols
 */
export type ClassTypeId = typeof ClassTypeId

/**
 * Builds an outcome. Without details, the shared constant of the class comes back; with a status alone, one shared value for each class
 * and status.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 * import * as Duration from "effect/Duration"
 *
 * const busy = Outcome.make("Overloaded", { retryAfter: Duration.seconds(2), status: "429" })
 *
 * console.log(busy.class) // "Overloaded"
 * console.log(Outcome.make("Success", { status: "200" }) === Outcome.make("Success", { status: "200" })) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  outcomeClass: Class,
  details?: {
    readonly retryAfter?: Duration.Duration | undefined
    readonly neverSent?: boolean | undefined
    readonly status?: string | undefined
    readonly fault?: "caller" | undefined
  }
): Outcome => {
  if (details === undefined) {
    return constants[outcomeClass]
  }
  const { fault, neverSent, retryAfter, status } = details
  if (retryAfter === undefined && neverSent !== true && fault === undefined) {
    return status === undefined ? constants[outcomeClass] : answered(outcomeClass, status)
  }
  const outcome = { class: outcomeClass, retryAfter, neverSent: neverSent === true, status }
  return fault === undefined ? outcome : { ...outcome, fault }
}

const constant = (outcomeClass: Class, neverSent = false, status?: string): Outcome =>
  Object.freeze({ class: outcomeClass, retryAfter: undefined, neverSent, status })

/** A protocol has fewer words than this; beyond it they are data, and are not kept. */
const mostStatuses = 200
const answers = new Map<string, Map<Class, Outcome>>()

const answered = (outcomeClass: Class, status: string): Outcome => {
  let byClass = answers.get(status)
  if (byClass === undefined) {
    byClass = new Map()
    if (answers.size < mostStatuses) {
      answers.set(status, byClass)
    }
  }
  let outcome = byClass.get(outcomeClass)
  if (outcome === undefined) {
    outcome = constant(outcomeClass, constants[outcomeClass].neverSent, status)
    byClass.set(outcomeClass, outcome)
  }
  return outcome
}

/**
 * It worked.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.make("Success") === Outcome.success) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const success: Outcome = constant("Success")

/**
 * It failed; another try may work.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.retryable.class) // "Retryable"
 *
 * @since 0.1.0
 * @category constructors
 */
export const retryable: Outcome = constant("Retryable")

/**
 * It lives and asks this caller to slow down.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.table[Outcome.overloaded.class].circuitBreaker) // "ignored": it is not down
 *
 * @since 0.1.0
 * @category constructors
 */
export const overloaded: Outcome = constant("Overloaded")

/**
 * It answered; the answer will not change.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.table[Outcome.permanent.class].retry) // false
 *
 * @since 0.1.0
 * @category constructors
 */
export const permanent: Outcome = constant("Permanent")

/**
 * Nobody said what this error means.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.table[Outcome.unclassified.class].circuitBreaker) // "failure"
 *
 * @since 0.1.0
 * @category constructors
 */
export const unclassified: Outcome = constant("Unclassified")

/**
 * The dependency was not called.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.rejected.neverSent) // true
 *
 * @since 0.1.0
 * @category constructors
 */
export const rejected: Outcome = constant("Rejected", true)

/**
 * Nobody wants the answer.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.table[Outcome.interrupted.class].fallback) // false
 *
 * @since 0.1.0
 * @category constructors
 */
export const interrupted: Outcome = constant("Interrupted")

const constants: Readonly<Record<Class, Outcome>> = {
  Success: success,
  Retryable: retryable,
  Overloaded: overloaded,
  Permanent: permanent,
  Unclassified: unclassified,
  Rejected: rejected,
  Interrupted: interrupted
}

/**
 * One row of the outcome table.
 *
 * - `retry`: does `Retry` try again (if the call may be repeated at all)?
 * - `circuitBreaker`: what the breaker records; `ignored` gives the probe slot back and decides nothing.
 * - `fallback`: does `Fallback` step in?
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly says: string
  readonly retry: boolean
  readonly circuitBreaker: "success" | "failure" | "ignored"
  readonly fallback: boolean
}

/**
 * The outcome table: what every policy does with every class. Defects are `Unclassified`, but never reach a fallback.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.table.Overloaded.retry) // true
 * console.log(Outcome.table.Overloaded.circuitBreaker) // "ignored"
 *
 * @since 0.1.0
 * @category models
 */
export const table: Readonly<Record<Class, Row>> = {
  Success: { says: "it worked", retry: false, circuitBreaker: "success", fallback: false },
  Retryable: { says: "failed; another try may work", retry: true, circuitBreaker: "failure", fallback: true },
  Overloaded: {
    says: "it lives and asks this caller to slow down",
    retry: true,
    circuitBreaker: "ignored",
    fallback: true
  },
  Permanent: {
    says: "it answered; the answer will not change",
    retry: false,
    circuitBreaker: "success",
    fallback: false
  },
  Unclassified: { says: "we do not know", retry: false, circuitBreaker: "failure", fallback: true },
  Rejected: { says: "we did not call it", retry: false, circuitBreaker: "ignored", fallback: true },
  Interrupted: { says: "nobody wants the answer", retry: false, circuitBreaker: "ignored", fallback: false }
}

/**
 * What stands in the place of the table's columns where the caller itself is at fault, whatever the class: the breaker ignores the end,
 * and no fallback hides a bug of the caller. A fallback whose `when` asks for such an end acts on it.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.callerFault.circuitBreaker) // "ignored"
 *
 * @since 0.1.0
 * @category models
 */
export const callerFault: Pick<Row, "circuitBreaker" | "fallback"> = { circuitBreaker: "ignored", fallback: false }

const callerTable = Object.fromEntries(
  Object.entries(table).map(([one, row]) => [one, { ...row, ...callerFault }])
) as unknown as Readonly<Record<Class, Row>>

/**
 * The row of an outcome: that of its class, with `callerFault` over it where the caller itself is at fault.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.rowOf(Outcome.rejected).fallback) // true
 * console.log(Outcome.rowOf(Outcome.make("Rejected", { neverSent: true, fault: "caller" })).fallback) // false
 *
 * @since 0.1.0
 * @category models
 */
export const rowOf = (outcome: Outcome): Row =>
  outcome.fault === undefined ? table[outcome.class] : callerTable[outcome.class]

/**
 * Whether a value is an outcome: what a classifier may answer.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.isOutcome(Outcome.retryable)) // true
 * console.log(Outcome.isOutcome("Retryable")) // false
 *
 * @since 0.1.0
 * @category guards
 */
export const isOutcome = (value: unknown): value is Outcome =>
  typeof value === "object" && value !== null && Object.hasOwn(table, (value as { readonly class?: any }).class)

/**
 * All classes, in the order of the table.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.classes.filter((one) => Outcome.table[one].retry)) // [ "Retryable", "Overloaded" ]
 *
 * @since 0.1.0
 * @category models
 */
export const classes: ReadonlyArray<Class> = Object.keys(table) as Array<Class>

/**
 * The class of an HTTP status, by explicit lists: 408, 425, 500, 502, 503 and 504 are `Retryable`, 429 is `Overloaded`, every
 * other 4xx and 501 and 505 are `Permanent`, other 5xx are `Unclassified`, all below 400 is `Success`.
 *
 * @example
 * import * as Outcome from "@holdfast/core/Outcome"
 *
 * console.log(Outcome.ofStatus(503)) // "Retryable"
 * console.log(Outcome.ofStatus(404)) // "Permanent"
 *
 * @since 0.1.0
 * @category constructors
 */
export const ofStatus = (status: number): Class => {
  switch (status) {
    case 408:
    case 425:
    case 500:
    case 502:
    case 503:
    case 504:
      return "Retryable"
    case 429:
      return "Overloaded"
    case 501:
    case 505:
      return "Permanent"
    default:
      return status < 400 ? "Success" : status < 500 ? "Permanent" : "Unclassified"
  }
}
