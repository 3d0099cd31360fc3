/**
 * A toxic as it stands in JSON: what may be left out, and what each number may be.
 */
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Toxic from "../Toxic.js"
import { shown } from "./shown.js"

const said = (allowed: string) => ({
  message: (issue: ParseResult.ParseIssue) => ({
    message: `is ${shown(issue.actual)}, allowed is ${allowed}`,
    override: true
  })
})

const number = (allowed: string, holds: (value: number) => boolean) =>
  Schema.Number.pipe(Schema.filter((value) => Number.isFinite(value) && holds(value))).annotations(said(allowed))

const whole = (allowed: string, least: number) => number(allowed, (value) => Number.isInteger(value) && value >= least)

const millis = number("a number of milliseconds, 0 or more", (value) => value >= 0)

const orZero = <I, R>(schema: Schema.Schema<number, I, R>) =>
  Schema.optionalWith(schema, { exact: true, default: () => 0 })

const common = {
  name: Schema.optionalWith(Schema.NonEmptyString.annotations(said("a text that is not empty")), { exact: true }),
  stream: Schema.optionalWith(Schema.Literal("upstream", "downstream").annotations(said("upstream or downstream")), {
    exact: true,
    default: () => "downstream" as const
  }),
  toxicity: Schema.optionalWith(number("a share from 0 to 1", (value) => value >= 0 && value <= 1), {
    exact: true,
    default: () => 1
  })
}

const ofType = <const Type extends Toxic.Toxic["type"], Fields extends Schema.Struct.Fields>(
  type: Type,
  fields: Fields
) => Schema.Struct({ type: Schema.Literal(type), ...common, attributes: Schema.Struct(fields) })

// Not marked as internal: the types of `Toxic` speak of it, and what is marked is stripped from the package.
export const Wire = Schema.Union(
  ofType("latency", { latency: orZero(millis), jitter: orZero(millis) }),
  ofType("bandwidth", { rate: orZero(number("a number of kilobytes a second, 0 or more", (value) => value >= 0)) }),
  ofType("slow_close", { delay: orZero(millis) }),
  ofType("timeout", { timeout: orZero(millis) }),
  ofType("reset_peer", { timeout: orZero(millis) }),
  ofType("slicer", {
    average_size: whole("a whole number of bytes, 1 or more", 1),
    size_variation: orZero(whole("a whole number of bytes, 0 or more", 0)),
    delay: orZero(number("a number of microseconds, 0 or more", (value) => value >= 0))
  }),
  ofType("limit_data", { bytes: orZero(whole("a whole number of bytes, 0 or more", 0)) })
)

/** The names of all types. */
export const types = Wire.members.map((member) => member.fields.type.literals[0])
