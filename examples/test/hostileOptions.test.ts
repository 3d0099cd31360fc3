import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { type Row, rows } from "./hostileOptionsTable.js"

type Path = ReadonlyArray<string>

const throws = () => {
  throw new Error("read me not")
}

/** What JavaScript may hand over where something else is meant. */
const hostile: Readonly<Record<string, unknown>> = {
  "5n": 5n,
  "-5n": -5n,
  "a symbol": Symbol("s"),
  "a function": () => 1,
  "a class": class {},
  NaN,
  "-0": -0,
  "-1": -1,
  Infinity,
  null: null,
  undefined,
  "true": true,
  "a text": "soon",
  "minus one second": "-1 second",
  "a list": [],
  "a list of a symbol": [Symbol("x")],
  "a list of a BigInt": [5n],
  "a record": {},
  "a record of a BigInt": { n: 5n },
  "a record without prototype": Object.assign(Object.create(null), { n: 5n }),
  "an object that cannot be text": { toString: throws, valueOf: throws, toJSON: throws },
  "a record whose field throws": Object.defineProperty({}, "name", { enumerable: true, get: throws }),
  "a function that cannot be a primitive": Object.assign(() => 1, { [Symbol.toPrimitive]: throws }),
  "a date that is none": new Date(NaN)
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null &&
  (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) &&
  Object.getOwnPropertySymbols(value).length === 0

/** Every place in the values, the records and lists themselves too. */
const pathsOf = (value: unknown, at: Path = []): ReadonlyArray<Path> => [
  ...(at.length === 0 ? [] : [at]),
  ...(isPlain(value) ? Object.keys(value).flatMap((field) => pathsOf(value[field], [...at, field])) : [])
]

const at = (value: any, path: Path): unknown => path.reduce((inner, field) => inner[field], value)

const withValue = (value: any, [field, ...rest]: Path, given: unknown): any => {
  if (field === undefined) {
    return given
  }
  const copy = Array.isArray(value) ? [...value] : { ...value }
  copy[field] = withValue(value[field], rest, given)
  return copy
}

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

/** How the function refused the values; nothing if it took them. */
const refusal = (row: Row, values: ReadonlyArray<unknown>): Option.Option<unknown> => {
  let made: unknown
  try {
    made = row.make(...values)
  } catch (error) {
    return Option.some(error)
  }
  if (!Effect.isEffect(made)) {
    return Option.none()
  }
  const exit = Effect.runSyncExit(quiet(made as Effect.Effect<unknown, unknown>))
  if (Exit.isSuccess(exit)) {
    return Option.none()
  }
  const error = Cause.squash(exit.cause)
  // It began to work, which takes time: the values were taken.
  return (error as { _tag?: unknown } | null)?._tag === "AsyncFiberException" ? Option.none() : Option.some(error)
}

/** An error of this library about what was given, whose text can be read. */
const isSaid = (error: any): boolean => {
  const told = Cause.isCause(error) ? Cause.squash(error) : error
  try {
    return /^Invalid(Options|Toxic|Address)$/.test(told._tag) && typeof told.message === "string" && told.message !== ""
  } catch {
    return false
  }
}

const textOf = (error: unknown): string => {
  try {
    return String(error)
  } catch {
    return "an error that cannot be text"
  }
}

const isDuration = (value: unknown): boolean =>
  typeof value === "string" && Option.isSome(Duration.decodeUnknown(value))

const complaints = (row: Row): ReadonlyArray<string> =>
  pathsOf(row.values).flatMap((path) => {
    const before = at(row.values, path)
    return Object.entries(hostile).flatMap(([name, value]) => {
      const error = refusal(row, withValue(row.values, path, value))
      const place = `${row.owner} ${path.join(".")} with ${name}`
      if (Option.isSome(error)) {
        return isSaid(error.value) ? [] : [`${place}: ${textOf(error.value)}`]
      }
      const meant = isDuration(before)
        ? ["a symbol", "-5n", "-1", "minus one second", "a text", "NaN"].includes(name)
        : typeof before === "number"
        ? ["a symbol", "5n", "-5n", "a text", "NaN", "an object that cannot be text"].includes(name)
        : false
      return meant ? [`${place} was taken`] : []
    })
  })

describe("wrong options of every package", () => {
  for (const [name, list] of Object.entries(rows)) {
    describe(name, () => {
      for (const row of list) {
        it(`${row.owner} takes what is right, and refuses the rest by name`, () => {
          assert.deepStrictEqual(refusal(row, row.values), Option.none(), row.owner)
          assert.deepStrictEqual(complaints(row), [])
        })
      }
    })
  }
})
