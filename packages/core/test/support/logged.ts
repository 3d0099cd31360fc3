/** What is logged, as text: level, message, and the annotations in the order of their names. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as List from "effect/List"
import * as Logger from "effect/Logger"

const show = (value: unknown): string => /^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(value)

const lineOf = ({ annotations, cause, logLevel, message, spans }: Logger.Logger.Options<unknown>): string =>
  [
    logLevel.label,
    (Array.isArray(message) ? message : [message]).map(String).join(" "),
    ...[...HashMap.entries(annotations)].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) =>
      `${key}=${show(value)}`
    ),
    ...List.toArray(spans).map(({ label }) => `span:${label}`),
    ...(Cause.isEmpty(cause) ? [] : [`cause: ${Cause.pretty(cause).split("\n")[0]}`])
  ].join(" ")

/** Runs an effect whose log lines go into a list, and no where else. */
export const loggedInto = (lines: Array<string>) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(
    effect,
    Logger.replace(Logger.defaultLogger, Logger.make((entry) => void lines.push(lineOf(entry))))
  )
