/**
 * Says what a failure means: base classes for typed errors whose base is the classification, and classifiers for errors
 * that exist already.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Types from "effect/Types"
import { show, Validation } from "./Options.js"
import * as Outcome from "./Outcome.js"

/**
 * Tells what the end of a call says. It sees successes too, since a value can be a failure (an HTTP 503). Total: it must not
 * throw; one that throws is reported, and the end counts as `Unclassified`.
 *
 * @since 0.1.0
 * @category models
 */
export type Classify = (exit: Exit.Exit<unknown, unknown>) => Outcome.Outcome

/**
 * The class of a typed error built by this module.
 *
 * @since 0.1.0
 * @category models
 */
export type ErrorClass<Tag extends string, Class extends Outcome.Class = Outcome.Class> = new<
  Fields extends Record<string, any> = {}
>(
  fields: Types.VoidIfEmpty<{ readonly [K in keyof Fields as K extends "_tag" ? never : K]: Fields[K] }>
) => Cause.YieldableError & { readonly _tag: Tag; readonly [Outcome.ClassTypeId]: Class } & Readonly<Fields>

const errorClass = <Tag extends string, Class extends Outcome.Class>(
  tag: Tag,
  outcomeClass: Class
): ErrorClass<Tag, Class> => {
  abstract class Base extends Data.TaggedError(tag)<{}> {}
  Object.defineProperty(Base.prototype, Outcome.ClassTypeId, { value: outcomeClass, configurable: true })
  return Base as unknown as ErrorClass<Tag, Class>
}

/**
 * An error that another try may cure. A field `retryAfter` is honoured as the least delay if it is a `Duration`, and is passed over if it
 * is a number or a text; a field `neverSent: true` says that the dependency never saw the call.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 *
 * class PaymentBusy extends Failure.Retryable("PaymentBusy")<{ readonly order: string }> {}
 *
 * console.log(new PaymentBusy({ order: "o-1" })._tag) // "PaymentBusy"
 *
 * @since 0.1.0
 * @category errors
 */
export const Retryable = <Tag extends string>(tag: Tag): ErrorClass<Tag, "Retryable"> => errorClass(tag, "Retryable")

/**
 * An error by which a living dependency asks this caller to slow down. A field `retryAfter: Duration` is honoured.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 * import type * as Duration from "effect/Duration"
 *
 * class TooManyRequests extends Failure.Overloaded("TooManyRequests")<{ readonly retryAfter: Duration.Duration }> {}
 *
 * console.log(TooManyRequests.name)
 *
 * @since 0.1.0
 * @category errors
 */
export const Overloaded = <Tag extends string>(tag: Tag): ErrorClass<Tag, "Overloaded"> => errorClass(tag, "Overloaded")

/**
 * An answer that will not change: never retried, and a sign of life for the circuit breaker.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 *
 * class CardDeclined extends Failure.Permanent("CardDeclined")<{ readonly reason: string }> {}
 *
 * console.log(new CardDeclined({ reason: "expired" }).reason) // "expired"
 *
 * @since 0.1.0
 * @category errors
 */
export const Permanent = <Tag extends string>(tag: Tag): ErrorClass<Tag, "Permanent"> => errorClass(tag, "Permanent")

/**
 * The base of the toolkit's own refusals: the dependency was not called.
 *
 * @internal
 */
export const Rejected = <Tag extends string>(tag: Tag): ErrorClass<Tag, "Rejected"> => errorClass(tag, "Rejected")

/**
 * Builds errors of a class without calling `Error`: no stack is captured, which is most of what a rejection costs. The
 * result is an instance of the class with its tag, fields and message.
 *
 * @internal
 */
export const stackless = <Fields extends object, A>(constructor: new(fields: Fields) => A): (fields: Fields) => A => {
  const tag = constructor.prototype.name as string
  function Bare(this: any, fields: Fields) {
    Object.assign(this, fields)
    this._tag = tag
  }
  Bare.prototype = constructor.prototype
  return (fields) => new (Bare as any)(fields)
}

// -- the default classifier --------------------------------------------------

const neverSentCodes: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT"
])

/** They prove something only while the connection is being opened: an open one can meet them in mid-request. */
const whileConnectingCodes: ReadonlySet<unknown> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"])

const maybeSentCodes: ReadonlySet<unknown> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "UND_ERR_SOCKET",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT"
])

/** Eight links are enough for every transport, and end a cyclic chain. */
const longestChain = 8

/**
 * What the first network code in the chain of causes says: whether something may have been sent. When several addresses were tried,
 * all must prove that nothing was.
 */
const reachOf = (error: unknown, depth = 0): "never sent" | "maybe sent" | undefined => {
  let current: any = error
  for (let link = depth; link < longestChain && typeof current === "object" && current !== null; link++) {
    if (Array.isArray(current.errors) && current.errors.length > 0) {
      const reaches = current.errors.map((one: unknown) => reachOf(one, link + 1))
      return reaches.every((reach: unknown) => reach === "never sent")
        ? "never sent"
        : reaches.some((reach: unknown) => reach !== undefined)
        ? "maybe sent"
        : undefined
    }
    const { code } = current
    if (neverSentCodes.has(code) || (whileConnectingCodes.has(code) && current.syscall === "connect")) {
      return "never sent"
    }
    if (maybeSentCodes.has(code) || whileConnectingCodes.has(code)) {
      return "maybe sent"
    }
    current = current.cause
  }
  return undefined
}

/**
 * Does this error prove that nothing was sent? True for a refused connection, an unknown host, and a host that could not be reached
 * or a time that ran out while the connection was opened, found anywhere in the chain of `cause`s; and for errors that say so by a field `neverSent: true`.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 *
 * console.log(Failure.neverSent(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }))) // true
 * console.log(Failure.neverSent(Object.assign(new Error("reset"), { code: "ECONNRESET" }))) // false
 *
 * @since 0.1.0
 * @category classification
 */
export const neverSent = (error: unknown): boolean =>
  (typeof error === "object" && error !== null && (error as any).neverSent === true) || reachOf(error) === "never sent"

/**
 * The outcome of a typed error: its own class where it carries one, with its `retryAfter`, `neverSent` and `fault: "caller"`;
 * `Retryable` for network errors and for Effect's `TimeoutException`, else `Unclassified`.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 *
 * console.log(Failure.classifyError(Object.assign(new Error("reset"), { code: "ECONNRESET" })).class) // "Retryable"
 * console.log(Failure.classifyError("who knows").class) // "Unclassified"
 *
 * @since 0.1.0
 * @category classification
 */
export const classifyError = (error: unknown): Outcome.Outcome => {
  if (typeof error !== "object" || error === null) {
    return Outcome.unclassified
  }
  const own = (error as any)[Outcome.ClassTypeId] as Outcome.Class | undefined
  if (own !== undefined) {
    const { fault, neverSent, retryAfter: wait } = error as any
    return own === "Rejected" && wait === undefined && fault !== "caller" ? Outcome.rejected : Outcome.make(own, {
      retryAfter: Duration.isDuration(wait) ? wait : undefined,
      neverSent: own === "Rejected" || neverSent === true,
      fault: fault === "caller" ? fault : undefined
    })
  }
  const reach = reachOf(error)
  if (reach !== undefined) {
    return reach === "never sent" ? Outcome.make("Retryable", { neverSent: true }) : Outcome.retryable
  }
  return Cause.isTimeoutException(error) ? Outcome.retryable : Outcome.unclassified
}

/**
 * What a cause is about: a defect outranks a typed failure, and a typed failure outranks interruption.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 * import * as Cause from "effect/Cause"
 * import * as FiberId from "effect/FiberId"
 *
 * console.log(Failure.classifyCause(Cause.interrupt(FiberId.none)).class) // "Interrupted"
 * console.log(Failure.classifyCause(Cause.die(new Error("bug"))).class) // "Unclassified"
 *
 * @since 0.1.0
 * @category classification
 */
export const classifyCause = (
  cause: Cause.Cause<unknown>,
  ofError: (error: unknown) => Outcome.Outcome = classifyError
): Outcome.Outcome => {
  switch (cause._tag) {
    case "Fail":
      return ofError(cause.error)
    case "Die":
      return Outcome.unclassified
    case "Interrupt":
      return Outcome.interrupted
  }
  if (Cause.isDie(cause)) {
    return Outcome.unclassified
  }
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) {
    return ofError(failure.value)
  }
  return Cause.isInterrupted(cause) ? Outcome.interrupted : Outcome.unclassified
}

/**
 * The default classifier: every value is a `Success`, errors by `classifyError`, causes by `classifyCause`.
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 * import * as Exit from "effect/Exit"
 *
 * class CardDeclined extends Failure.Permanent("CardDeclined")<{}> {}
 *
 * console.log(Failure.classify(Exit.fail(new CardDeclined())).class) // "Permanent"
 * console.log(Failure.classify(Exit.die(new Error("bug"))).class) // "Unclassified"
 *
 * @since 0.1.0
 * @category classification
 */
export const classify: Classify = (exit) => exit._tag === "Success" ? Outcome.success : classifyCause(exit.cause)

/**
 * Asks a classifier; what it answers must be an outcome.
 *
 * @internal
 */
export const answerOf = (classifier: Classify, exit: Exit.Exit<unknown, unknown>): Outcome.Outcome => {
  const answer = classifier(exit)
  if (classifier !== classify && !Outcome.isOutcome(answer)) {
    throw new TypeError(`A classifier answered ${show(answer)}, which is no Outcome`)
  }
  return answer
}

/**
 * The classes that a user may give to an error of their own.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = "Retryable" | "Overloaded" | "Permanent" | "Unclassified"

const ownVerdicts: ReadonlyArray<Verdict> = ["Retryable", "Overloaded", "Permanent", "Unclassified"]

const allowedVerdicts = `one of ${ownVerdicts.map((verdict) => JSON.stringify(verdict)).join(", ")}; ` +
  "or an Outcome, or a function of the error"

/**
 * Classifies errors that exist already, by their `_tag`. A verdict is a class, an `Outcome` (to carry `retryAfter`), or a function of
 * the error. Tags that are not named, and everything that is not a typed failure, go to `otherwise` (the default
 * classifier).
 *
 * @example
 * import * as Failure from "@holdfast/core/Failure"
 * import * as Exit from "effect/Exit"
 *
 * const classify = Failure.byTag({ CardDeclined: "Permanent", DbBusy: "Retryable" })
 *
 * console.log(classify(Exit.fail({ _tag: "DbBusy" })).class) // "Retryable"
 *
 * @since 0.1.0
 * @category classification
 */
export const byTag = (
  verdicts: { readonly [tag: string]: Verdict | Outcome.Outcome | ((error: any) => Verdict | Outcome.Outcome) },
  otherwise: Classify = classify
): Classify => {
  const check = new Validation("Failure.byTag")
  if (typeof verdicts !== "object" || verdicts === null || Array.isArray(verdicts)) {
    check.add("options", verdicts, "a record of classes by tag")
  } else {
    for (const [tag, verdict] of check.entries("options", verdicts)) {
      if (typeof verdict !== "function" && !Outcome.isOutcome(verdict) && !ownVerdicts.includes(verdict as Verdict)) {
        check.add(tag, verdict, allowedVerdicts)
      }
    }
  }
  check.done()
  const byName = new Map(Object.entries(verdicts))
  const toOutcome = (verdict: Verdict | Outcome.Outcome): Outcome.Outcome =>
    typeof verdict === "string" ? Outcome.make(verdict) : verdict
  return (exit) => {
    if (exit._tag === "Success") {
      return otherwise(exit)
    }
    const failure = exit.cause._tag === "Fail" ? Option.some(exit.cause.error) : Cause.failureOption(exit.cause)
    if (Option.isNone(failure) || (exit.cause._tag !== "Fail" && Cause.isDie(exit.cause))) {
      return otherwise(exit)
    }
    const tag = (failure.value as any)?._tag
    const verdict = typeof tag === "string" ? byName.get(tag) : undefined
    return verdict === undefined
      ? otherwise(exit)
      : toOutcome(typeof verdict === "function" ? verdict(failure.value) : verdict)
  }
}

/**
 * Which ends a policy acts on, narrowed or widened from the outcome table: a list of classes and error tags, or a predicate.
 *
 * It chooses among failures: whether a value is one is for the classifier to say, and `Retry` and `CircuitBreaker` act on no
 * `Success` and no `Interrupted`, whatever stands here. A list makes `Retry` and `Fallback` act on no defect, though its class is
 * `Unclassified`: for that take a predicate. A `CircuitBreaker` counts it.
 *
 * @since 0.1.0
 * @category models
 */
export type When =
  | ReadonlyArray<Outcome.Class | (string & {})>
  | ((outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>) => boolean)

const classNames: ReadonlySet<string> = new Set(Outcome.classes)

/**
 * Does a defect take part? It outranks all else: a bug must not be tried again, nor hide behind yesterday's answer.
 *
 * @internal
 */
export const isDefect = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && exit.cause._tag !== "Fail" && Cause.isDie(exit.cause)

/**
 * Compiles a `When`. A name of a class stands for the class, every other name for an error's `_tag`. Whether a list acts on a defect,
 * which is `Unclassified`, is for the policy to say; a predicate decides for itself.
 *
 * @internal
 */
export const compileWhen = (
  when: When,
  defects: "act" | "pass"
): (outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown>) => boolean => {
  if (typeof when === "function") {
    return when
  }
  const names = new Set<string>(when)
  const hasTags = when.some((one) => !classNames.has(one))
  return (outcome, exit) => {
    if (defects === "pass" && isDefect(exit)) {
      return false
    }
    if (names.has(outcome.class)) {
      return true
    }
    // A defect outranks the typed failures beside it, whatever their tags are.
    if (!hasTags || exit._tag === "Success" || Cause.isDie(exit.cause)) {
      return false
    }
    const failure = Cause.failureOption(exit.cause)
    return Option.isSome(failure) && names.has((failure.value as any)?._tag)
  }
}
