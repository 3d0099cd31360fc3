/**
 * Reads the options of the server modules and reports all that is wrong with them at once.
 *
 * @since 0.1.0
 */
import { type Finding, InvalidOptions } from "@holdfast/core/Options"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { isToken } from "./token.js"

/** @internal */
export class OptionsCheck {
  readonly findings: Array<Finding> = []
  readonly owner: string

  constructor(owner: string) {
    this.owner = owner
  }

  add(field: string, value: unknown, allowed: string): void {
    this.findings.push({ field, value, allowed })
  }

  /** A misspelt option must not be ignored. Throws at once if there is no record to read. */
  record(options: unknown, fields: ReadonlyArray<string>): void {
    if (!this.isRecord("options", options)) {
      this.done()
      return
    }
    for (const [field, value] of Object.entries(options)) {
      if (!fields.includes(field)) {
        this.add(field, value, `no such field; the fields are ${fields.join(", ")}`)
      }
    }
  }

  isRecord(field: string, value: unknown): value is object {
    const record = typeof value === "object" && value !== null && !Array.isArray(value)
    if (!record) {
      this.add(field, value, "a record")
    }
    return record
  }

  text(field: string, value: unknown): void {
    if (typeof value !== "string" || value.length === 0) {
      this.add(field, value, "a text that is not empty")
    }
  }

  /** The name of a header: the characters that HTTP allows in a token. */
  headerName(field: string, value: unknown): void {
    if (typeof value !== "string" || !isToken(value)) {
      this.add(field, value, "the name of a header")
    }
  }

  /** What stands between quotes in a structured field: printable ASCII. */
  quotable(field: string, value: unknown): void {
    if (typeof value !== "string" || !/^[\x20-\x7e]+$/.test(value)) {
      this.add(field, value, "a text of printable ASCII characters that is not empty")
    }
  }

  whole(field: string, value: unknown, minimum: number, maximum = 1_000_000): void {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      this.add(field, value, `a whole number from ${minimum} to ${maximum}`)
    }
  }

  flag(field: string, value: unknown): void {
    if (typeof value !== "boolean") {
      this.add(field, value, "true or false")
    }
  }

  callable(field: string, value: unknown): void {
    if (typeof value !== "function") {
      this.add(field, value, "a function")
    }
  }

  /** A finite duration in milliseconds. */
  duration(field: string, value: unknown, minimum = 1): number {
    const decoded = typeof value === "number" && !(value >= 0) ? Option.none() : Duration.decodeUnknown(value)
    const millis = Option.isSome(decoded) ? Duration.toMillis(decoded.value) : NaN
    if (!(millis >= minimum && millis < Infinity)) {
      this.add(field, value, `a finite duration of ${minimum} ms or more, such as "2 seconds"`)
      return minimum
    }
    return millis
  }

  /** Checks a field only where it is given. */
  optional<A>(value: A | undefined, check: (value: A) => void): void {
    if (value !== undefined) {
      check(value)
    }
  }

  done(): void {
    if (this.findings.length > 0) {
      throw new InvalidOptions({ owner: this.owner, findings: this.findings })
    }
  }
}
