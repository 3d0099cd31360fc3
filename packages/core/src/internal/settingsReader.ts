/**
 * Reads settings from Effect's `Config`, text by text: what is wrong is collected, so that all of it can be told at once.
 */
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOptions, millisOf, unknownName } from "../Options.js"
import { type Path, pathsBelow, textAt, variable } from "./settingsPaths.js"

/** What a text says, or what would be allowed in its place. */
type Parsed = { readonly value: unknown } | { readonly allowed: string }

/** @internal */
export type Parse = (text: string) => Parsed

/** @internal */
export const duration: Parse = (text) => {
  const value = Duration.decodeUnknown(text)
  return Option.isNone(value) || millisOf(text) < 0
    ? { allowed: "a duration, such as \"2 seconds\"" }
    : { value: value.value }
}

/** As people write numbers: `0x10` and `1e3` are as likely to be a slip, and the one or the other reader would take them for 0 or 1. */
const decimal = /^-?(\d+(\.\d*)?|\.\d+)$/

/** @internal */
export const number: Parse = (text) =>
  decimal.test(text.trim()) ? { value: Number(text) } : { allowed: "a number in digits, such as 20 or 0.5" }

/** @internal */
export const flag: Parse = (text) =>
  text === "true" || text === "false" ? { value: text === "true" } : { allowed: "true or false" }

/**
 * A variable with a wrong value.
 *
 * @internal
 */
export interface WrongText {
  readonly path: string
  readonly value: unknown
  readonly allowed: string
}

/**
 * Reads one text after the other, and remembers which variables it knows.
 *
 * @internal
 */
export class Reader {
  readonly prefix: string
  /** Every name below the prefix that the provider lists, with the paths at which it may be. */
  private readonly listed: ReadonlyMap<string, ReadonlyArray<Path>>
  readonly texts = new Map<string, string>()
  readonly known = new Set<string>()
  readonly findings: Array<WrongText> = []

  private constructor(prefix: string, listed: ReadonlyMap<string, ReadonlyArray<Path>>) {
    this.prefix = prefix
    this.listed = listed
  }

  static make(prefix: string): Effect.Effect<Reader> {
    return Effect.map(pathsBelow(prefix), (listed) => new Reader(prefix, listed))
  }

  /** The names that the provider lists, in order; none, if it cannot list them. */
  get names(): ReadonlyArray<string> {
    return [...this.listed.keys()].sort()
  }

  path(name: string): string {
    return `${this.prefix}_${name}`
  }

  text(field: string): Effect.Effect<string | undefined, ConfigError.ConfigError> {
    return this.named(variable(field))
  }

  named(name: string): Effect.Effect<string | undefined, ConfigError.ConfigError> {
    this.known.add(name)
    return Effect.map(this.raw(name), (text) => {
      if (text !== undefined) {
        this.texts.set(this.path(name), text)
      }
      return text
    })
  }

  /** However the provider splits the name: as one word, as a nested record, or with the prefix in it. */
  raw(name: string): Effect.Effect<string | undefined, ConfigError.ConfigError> {
    const paths = [[this.prefix, name], ...this.listed.get(name) ?? []]
    return Effect.map(Effect.forEach(paths, textAt), (texts) => {
      const found = new Set(texts.filter((text) => text !== undefined))
      if (found.size > 1) {
        this.findings.push({
          path: this.path(name),
          value: [...found],
          allowed: "one value; the provider has several, by different ways of writing the name"
        })
      }
      return found.values().next().value
    })
  }

  /** What is said of a name that nothing reads. */
  unknown(name: string, text: string, near: ReadonlyArray<string>): void {
    const path = this.path(name)
    this.findings.push({ path, value: text, allowed: unknownName("setting", path, near.map((one) => this.path(one))) })
  }

  add(field: string, value: unknown, allowed: string): void {
    this.findings.push({ path: this.path(variable(field)), value, allowed })
  }

  /** The fields that are there and can be read. */
  record(
    at: string,
    fields: Readonly<Record<string, Parse>>
  ): Effect.Effect<Record<string, any>, ConfigError.ConfigError> {
    return Effect.gen(this, function*() {
      const found: Record<string, unknown> = {}
      for (const [field, parse] of Object.entries(fields)) {
        const text = yield* this.text(`${at}.${field}`)
        if (text === undefined) continue
        const parsed = parse(text.trim())
        if ("value" in parsed) {
          found[field] = parsed.value
        } else {
          this.add(`${at}.${field}`, text, parsed.allowed)
        }
      }
      return found
    })
  }

  /** Builds a value from numbers of the environment; numbers out of range are findings. */
  build<A>(at: string, make: () => A): A | undefined {
    try {
      return make()
    } catch (defect) {
      if (!(defect instanceof InvalidOptions)) throw defect
      for (const { allowed, field, value } of defect.findings) {
        const path = `${at}.${field === "delay" ? "base" : field.replace(/\..*/, "")}`
        this.add(path, this.texts.get(this.path(variable(path))) ?? value, allowed)
      }
      return undefined
    }
  }
}

/** @internal */
export const isOff = (text: string): boolean => text.trim().toLowerCase() === "off"
