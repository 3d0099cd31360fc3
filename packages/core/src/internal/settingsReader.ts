/**
 * Reads settings from Effect's `Config`, text by text: what is wrong is collected, so that all of it can be told at once.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOptions, millisOf } from "../Options.js"

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

/** @internal */
export const number: Parse = (text) => {
  const value = text.trim() === "" ? NaN : Number(text)
  return Number.isNaN(value) ? { allowed: "a number" } : { value }
}

/** @internal */
export const flag: Parse = (text) =>
  text === "true" || text === "false" ? { value: text === "true" } : { allowed: "true or false" }

/**
 * The name of the variable for a field: `retry.maxRetries` is `RETRY_MAX_RETRIES`.
 *
 * @internal
 */
export const variable = (field: string): string =>
  field.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/[^A-Za-z0-9]+/g, "_").replace(/^_|_$/g, "").toUpperCase()

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
  readonly texts = new Map<string, string>()
  readonly known = new Set<string>()
  readonly findings: Array<WrongText> = []

  constructor(prefix: string) {
    this.prefix = prefix
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

  raw(name: string): Effect.Effect<string | undefined, ConfigError.ConfigError> {
    return Effect.map(Config.option(Config.nested(Config.string(name), this.prefix)), Option.getOrUndefined)
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

/**
 * Every name below the prefix, as the provider splits it. A provider that cannot list them is not asked again.
 *
 * @internal
 */
export const namesBelow = (prefix: string): Effect.Effect<ReadonlySet<string>> =>
  Effect.configProviderWith(({ flattened }) => {
    const names = new Set<string>()
    const walk = (root: ReadonlyArray<string>, path: ReadonlyArray<string>): Effect.Effect<void> =>
      Effect.flatMap(
        Effect.orElseSucceed(flattened.enumerateChildren([...root, ...path]), (): Iterable<string> => []),
        (found) => {
          const children = [...found]
          if (path.length > 0) {
            names.add(path.join("_"))
          }
          return path.length > 12
            ? Effect.void
            : Effect.forEach(children, (child) => walk(root, [...path, child]), { discard: true })
        }
      )
    const roots = prefix.includes("_") ? [[prefix], prefix.split("_")] : [[prefix]]
    return Effect.as(Effect.forEach(roots, (root) => walk(root, []), { discard: true }), names)
  })
