/**
 * Refuses bad options with the field, the value and what is allowed, before anything is built from them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { durationText } from "./internal/durationText.js"
import { nearest } from "./internal/nearest.js"
import * as Outcome from "./Outcome.js"

/**
 * One wrong option.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  /** The path of the field, `retry.maxRetries`. */
  readonly field: string
  /** The value that was given. */
  readonly value: unknown
  /** What is allowed there, as a sentence fragment: "a whole number from 1 to 1000000". */
  readonly allowed: string
}

const written = (value: unknown): string => {
  if (typeof value === "string") {
    return JSON.stringify(value)
  }
  if (typeof value === "bigint") {
    return `${value}n`
  }
  if (typeof value === "function") {
    return "a function"
  }
  if (Duration.isDuration(value)) {
    return durationText(value)
  }
  return typeof value === "object" && value !== null
    ? JSON.stringify(value, (_, part) => typeof part === "bigint" ? `${part}n` : part) ??
      Object.prototype.toString.call(value)
    : Object.is(value, -0)
    ? "-0"
    : String(value)
}

/**
 * A value that was given, as text. It may be anything, and what it is must not throw in the place of the finding about it.
 *
 * @internal
 */
export const show = (value: unknown): string => {
  try {
    return written(value)
  } catch {
    try {
      return Object.prototype.toString.call(value)
    } catch {
      return "an object that cannot be read"
    }
  }
}

/**
 * What is said of a name that nothing reads: the name that was meant, else all names that there are.
 *
 * @example
 * import * as Options from "@holdfast/core/Options"
 *
 * console.log(Options.unknownName("field", "maxRetry", ["maxRetries", "schedule"])) // unknown field; did you mean maxRetries?
 * console.log(Options.unknownName("field", "tries", ["maxRetries", "schedule"])) // unknown field; the fields are maxRetries, schedule
 *
 * @since 0.1.0
 * @category validation
 */
export const unknownName = (kind: "field" | "setting", name: string, known: ReadonlyArray<string>): string => {
  const meant = nearest(name, known)
  return meant === undefined
    ? `unknown ${kind}; the ${kind}s are ${known.join(", ")}`
    : `unknown ${kind}; did you mean ${meant}?`
}

/**
 * Says what is wrong with a value. Of a name that nothing reads no value is allowed.
 *
 * @internal
 */
export const describeFinding = (field: string, shown: string, allowed: string): string =>
  `${field} is ${shown}${allowed.startsWith("unknown ") ? ":" : ", allowed is"} ${allowed}`

/**
 * The options given to `owner` are wrong. Literal options end as this defect at `make` (a bug in the program); the same from a
 * `Config` is a typed error. All wrong fields are reported at once.
 *
 * @example
 * import { InvalidOptions } from "@holdfast/core/Options"
 * import * as Timeout from "@holdfast/core/Timeout"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.sync(() => Timeout.make("0 seconds")).pipe(
 *   Effect.catchAllDefect((bug) => Effect.succeed(bug instanceof InvalidOptions ? bug.findings[0]?.field : undefined))
 * )
 *
 * Effect.runPromise(program).then(console.log) // "limit"
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOptions extends Data.TaggedError("InvalidOptions")<{
  readonly owner: string
  readonly findings: ReadonlyArray<Finding>
}> {
  override get message(): string {
    return `${this.owner}: ` + this.findings
      .map(({ allowed, field, value }) => describeFinding(field, show(value), allowed))
      .join("; ")
  }
}

/**
 * The options with those of a change in their place. `undefined` is "left out" there, as in every record of options: it resets nothing.
 * What is no record, or cannot be read, is handed on, for the validation to refuse.
 *
 * @internal
 */
export const withChange = <A extends object>(present: A, change: Partial<A>): A => {
  if (typeof change !== "object" || change === null || Array.isArray(change)) {
    return change as A
  }
  try {
    return { ...present, ...Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) }
  } catch {
    return change as A
  }
}

const isNegative = (value: unknown): boolean =>
  typeof value === "string"
    ? value.startsWith("-")
    : Array.isArray(value)
    ? value.some(isNegative)
    : (typeof value === "number" || typeof value === "bigint") && value < 0

/**
 * The milliseconds of what may be a duration; `NaN` if it is none. What is below zero is `-1`, where `Duration` makes it 0: a setting with
 * a minus must not count as "none".
 *
 * @example
 * import * as Options from "@holdfast/core/Options"
 *
 * console.log(Options.millisOf("2 seconds"), Options.millisOf("-2 seconds"), Options.millisOf("soon")) // 2000 -1 NaN
 *
 * @since 0.1.0
 * @category validation
 */
export const millisOf = (value: unknown): number => {
  const decoded = typeof value === "number" && Number.isNaN(value) ? Option.none() : Duration.decodeUnknown(value)
  // `-0` is 0.
  return Option.isNone(decoded) ? NaN : isNegative(value) ? -1 : Duration.toMillis(decoded.value) + 0
}

const inRange = (minimum: number, maximum: number): string =>
  maximum === Infinity ? `${minimum} or more` : `from ${minimum} to ${maximum}`

/**
 * Collects the findings of one options record; `done` throws them all at once. For policies and middleware of your own.
 *
 * @example
 * import { Validation } from "@holdfast/core/Options"
 *
 * const make = (options: { readonly size: number; readonly every: string }) => {
 *   const check = new Validation("Shedder.make")
 *   check.record(options, ["size", "every"])
 *   check.whole("size", options.size, 1)
 *   const everyMillis = check.duration("every", options.every)
 *   check.done()
 *   return everyMillis
 * }
 *
 * console.log(make({ size: 1, every: "2 seconds" })) // 2000
 *
 * @since 0.1.0
 * @category validation
 */
export class Validation {
  readonly findings: Array<Finding> = []
  readonly owner: string
  readonly path: string
  constructor(owner: string, path = "") {
    this.owner = owner
    this.path = path
  }

  /** One finding for each field: the later one knows more. */
  add(field: string, value: unknown, allowed: string): void {
    const finding = { field: this.path + field, value, allowed }
    const known = this.findings.findIndex((one) => one.field === finding.field)
    this.findings.splice(known < 0 ? this.findings.length : known, 1, finding)
  }

  /**
   * The record itself must be an object with known fields only: a misspelt option must not be ignored, and `null` is not "left out".
   * Throws at once if it is none, since there is nothing more to read then.
   */
  record(options: unknown, fields: ReadonlyArray<string>): void {
    if (typeof options !== "object" || options === null || Array.isArray(options)) {
      this.add("options", options, "a record")
      this.done()
      return
    }
    for (const [field, value] of this.entries("options", options)) {
      if (!fields.includes(field)) {
        this.add(field, value, unknownName("field", field, fields))
      } else if (value === null) {
        this.add(field, null, "a value; leave it out for the default")
      }
    }
  }

  /** The fields of a record with their values. Throws at once where one cannot be read: a getter or a proxy may throw. */
  entries(field: string, record: object): ReadonlyArray<readonly [field: string, value: unknown]> {
    let at = field
    try {
      return Object.keys(record).map((one) => {
        at = one
        return [one, (record as { readonly [field: string]: unknown })[one]] as const
      })
    } catch (error) {
      this.add(at, error, "a value that can be read without an error")
      this.done()
      return []
    }
  }

  text(field: string, value: unknown): void {
    if (typeof value !== "string" || value.length === 0) {
      this.add(field, value, "a text that is not empty")
    }
  }

  whole(field: string, value: unknown, minimum: number, maximum = 1_000_000): void {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      this.add(field, value, `a whole number ${inRange(minimum, maximum)}`)
    }
  }

  number(field: string, value: unknown, minimum: number, maximum = Infinity): void {
    if (typeof value !== "number" || Number.isNaN(value) || value < minimum || value > maximum) {
      this.add(field, value, `a number ${inRange(minimum, maximum)}`)
    }
  }

  flag(field: string, value: unknown): void {
    if (typeof value !== "boolean") {
      this.add(field, value, "true or false")
    }
  }

  oneOf(field: string, value: unknown, allowed: ReadonlyArray<unknown>): void {
    if (!allowed.includes(value)) {
      this.add(field, value, `one of ${allowed.map(show).join(", ")}`)
    }
  }

  callable(field: string, value: unknown): void {
    if (typeof value !== "function") {
      this.add(field, value, "a function")
    }
  }

  /** A list, or none if it is none. */
  list<A>(field: string, value: ReadonlyArray<A>): ReadonlyArray<A> {
    if (!Array.isArray(value)) {
      this.add(field, value, "a list")
      return []
    }
    return value
  }

  /** A duration in milliseconds. Numbers count as milliseconds, as everywhere in Effect. */
  duration(field: string, value: unknown, minimum = 1, maximum = Infinity): number {
    const millis = millisOf(value)
    if (!(millis >= minimum && millis <= maximum && millis < Infinity)) {
      this.add(
        field,
        value,
        maximum === Infinity
          ? `a finite duration of ${Duration.format(Duration.millis(minimum))} or more, such as "2 seconds"`
          : `a duration from ${Duration.format(Duration.millis(minimum))} to ${
            Duration.format(Duration.millis(maximum))
          }, such as "2 seconds"`
      )
      return minimum
    }
    return millis
  }

  /** What a `when` option may be. */
  when(field: string, value: unknown): void {
    const names = Array.isArray(value) && value.length > 0 &&
      value.every((one) => typeof one === "string" && one.length > 0)
    if (typeof value !== "function" && !names) {
      this.add(field, value, "a predicate, or a list of classes and error tags that is not empty")
    } else if (names) {
      for (const one of value) {
        const meant = Outcome.classes.find((known) => known !== one && known.toLowerCase() === one.toLowerCase())
        if (meant !== undefined) {
          this.add(field, value, `the class ${meant} as it is written, in place of ${one}`)
        }
      }
    }
  }

  done(): void {
    if (this.findings.length > 0) {
      throw new InvalidOptions({ owner: this.owner, findings: this.findings })
    }
  }
}
