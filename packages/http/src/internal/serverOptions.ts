/**
 * Reads the options of the server modules and reports all that is wrong with them at once.
 *
 * @since 0.1.0
 */
import { Validation } from "@holdfast/core/Options"
import * as Outcome from "@holdfast/core/Outcome"
import { isToken } from "./token.js"

/** @internal */
export class OptionsCheck extends Validation {
  /** A value that must be a record, of whatever fields. */
  isRecord(field: string, value: unknown): value is object {
    const record = typeof value === "object" && value !== null && !Array.isArray(value)
    if (!record) {
      this.add(field, value, "a record")
    }
    return record
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

  statuses(field: string, value: unknown): void {
    if (
      this.isRecord(field, value) &&
      !this.entries(field, value).every(([, one]) => Outcome.classes.includes(one as Outcome.Class))
    ) {
      this.add(field, value, `a record of classes by status: ${Outcome.classes.join(", ")}`)
    }
  }

  /** Checks a field only where it is given. */
  optional<A>(value: A | undefined, check: (value: A) => void): void {
    if (value !== undefined) {
      check(value)
    }
  }
}
