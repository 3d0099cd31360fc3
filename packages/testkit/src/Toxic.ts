/**
 * What can be wrong with a connection, as data: Toxiproxy's toxics with Toxiproxy's names and numbers, so that what is written
 * for the one works with the other.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { shown } from "./internal/shown.js"
import { types, Wire } from "./internal/toxicSchema.js"

/**
 * Which way the bytes go that a toxic touches: `upstream` from the client to the server, `downstream` back.
 *
 * @since 0.1.0
 * @category models
 */
export type Stream = "upstream" | "downstream"

/**
 * What every toxic has.
 *
 * @since 0.1.0
 * @category models
 */
export interface Common {
  /** Unique in a proxy. Default: the type and the stream, `latency_downstream`. */
  readonly name: string
  /** Default `downstream`. */
  readonly stream: Stream
  /** The share of the connections that it touches, from 0 to 1; decided once for each connection. Default 1. */
  readonly toxicity: number
}

/**
 * Each part of the data is held for `latency` plus or minus `jitter` milliseconds; the order stays.
 *
 * @since 0.1.0
 * @category models
 */
export interface Latency extends Common {
  readonly type: "latency"
  readonly attributes: { readonly latency: number; readonly jitter: number }
}

/**
 * At most `rate` kilobytes (1,000 bytes) a second pass; 0 holds everything back until the toxic is changed or removed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bandwidth extends Common {
  readonly type: "bandwidth"
  readonly attributes: { readonly rate: number }
}

/**
 * The end of the stream is held for `delay` milliseconds: the connection stays open that much longer.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowClose extends Common {
  readonly type: "slow_close"
  readonly attributes: { readonly delay: number }
}

/**
 * All data is thrown away, and the connection is closed after `timeout` milliseconds; with 0 it stays open. Removing the toxic
 * closes what it touched too, since a stream with a hole in it is nothing that TCP ever delivers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timeout extends Common {
  readonly type: "timeout"
  readonly attributes: { readonly timeout: number }
}

/**
 * The connection is reset (RST, both ways) `timeout` milliseconds after the first data; the data is lost.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResetPeer extends Common {
  readonly type: "reset_peer"
  readonly attributes: { readonly timeout: number }
}

/**
 * Data passes in slices of `average_size` plus or minus `size_variation` bytes, `delay` microseconds apart.
 *
 * @since 0.1.0
 * @category models
 */
export interface Slicer extends Common {
  readonly type: "slicer"
  readonly attributes: { readonly average_size: number; readonly size_variation: number; readonly delay: number }
}

/**
 * The connection is closed once `bytes` bytes have passed.
 *
 * @since 0.1.0
 * @category models
 */
export interface LimitData extends Common {
  readonly type: "limit_data"
  readonly attributes: { readonly bytes: number }
}

/**
 * @since 0.1.0
 * @category models
 */
export type Toxic = Latency | Bandwidth | SlowClose | Timeout | ResetPeer | Slicer | LimitData

/**
 * A toxic as it stands in JSON: all but the type may be left out where it has a default.
 *
 * @since 0.1.0
 * @category models
 */
export type Encoded = typeof Wire.Encoded

/**
 * The text or record given is no toxic. All that is wrong is reported at once.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 * import * as Either from "effect/Either"
 *
 * const misspelt = Toxic.decode({ type: "latency", attributes: { latency: -5 } })
 *
 * if (Either.isLeft(misspelt)) console.log(misspelt.left instanceof Toxic.InvalidToxic) // true
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidToxic extends Data.TaggedError("InvalidToxic")<{
  /** The path of each wrong field, and what is wrong with it. */
  readonly findings: ReadonlyArray<{ readonly field: string; readonly problem: string }>
}> {
  override get message(): string {
    return `The toxic is not valid: ${this.findings.map(({ field, problem }) => `${field} ${problem}`).join("; ")}`
  }
}

const invalid = (field: string, problem: string) => new InvalidToxic({ findings: [{ field, problem }] })

/**
 * Reads a toxic, such as one that came as JSON: fills in what is left out, and refuses what it does not know.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 * import * as Either from "effect/Either"
 *
 * const toxic = Toxic.decode({ type: "latency", toxicity: 0.5, attributes: { latency: 2000 } })
 *
 * console.log(Either.getOrThrow(toxic).name) // "latency_downstream"
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (input: unknown): Either.Either<Toxic, InvalidToxic> => {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return Either.left(invalid("the toxic", `is ${shown(input)}, allowed is a record`))
  }
  const { type } = input as { readonly type?: unknown }
  if (!types.includes(type as Toxic["type"])) {
    return Either.left(invalid("type", `is ${shown(type)}, allowed is one of ${types.join(", ")}`))
  }
  return Schema.decodeUnknownEither(Wire, { errors: "all", onExcessProperty: "error" })({ attributes: {}, ...input })
    .pipe(
      Either.mapLeft((error) => {
        const findings = new Map<string, string>()
        for (const { message, path } of ParseResult.ArrayFormatter.formatErrorSync(error)) {
          const field = path.join(".")
          if (!findings.has(field)) findings.set(field, message)
        }
        return new InvalidToxic({ findings: Array.from(findings, ([field, problem]) => ({ field, problem })) })
      }),
      Either.map((wire): Toxic => ({ ...wire, name: wire.name ?? `${wire.type}_${wire.stream}` })),
      Either.filterOrLeft(
        (toxic) => toxic.type !== "slicer" || toxic.attributes.size_variation < toxic.attributes.average_size,
        (toxic) =>
          invalid(
            "attributes.size_variation",
            `is ${(toxic as Slicer).attributes.size_variation}, allowed is less than average_size`
          )
      )
    )
}

/**
 * The same toxic with another toxicity or with some attributes changed; its name, type and stream stay.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 * import * as Either from "effect/Either"
 *
 * const slower = Toxic.change(Toxic.latency({ latency: "1 second" }), { attributes: { latency: 3000 } })
 *
 * console.log(Either.getOrThrow(slower).attributes) // { latency: 3000, jitter: 0 }
 *
 * @since 0.1.0
 * @category decoding
 */
export const change = (toxic: Toxic, changes: Changes): Either.Either<Toxic, InvalidToxic> =>
  decode({
    ...toxic,
    toxicity: changes.toxicity ?? toxic.toxicity,
    attributes: { ...toxic.attributes, ...changes.attributes }
  })

/**
 * @since 0.1.0
 * @category models
 */
export interface Changes {
  readonly toxicity?: number | undefined
  /** By their names in JSON; those left out stay. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * What may be said of every toxic when it is made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Unique in a proxy. Default: the type and the stream, `latency_downstream`. */
  readonly name?: string | undefined
  /** Default `downstream`. */
  readonly stream?: Stream | undefined
  /** The share of the connections that it touches, from 0 to 1. Default 1. */
  readonly toxicity?: number | undefined
}

const milliseconds = (value: Duration.DurationInput | undefined): unknown => {
  if (value === undefined) return 0
  // What is no duration is left as it is, and so is one below zero, which `Duration` makes 0: the finding shows what was given.
  const decoded = typeof value === "number" ? Option.none() : Duration.decodeUnknown(value)
  const negative = typeof value === "bigint" ? value < 0 : typeof value === "string" && value.startsWith("-")
  return Option.isNone(decoded) || negative ? value : Duration.toMillis(decoded.value)
}

const build = <T extends Toxic>(
  type: T["type"],
  options: Options,
  attributes: Record<keyof T["attributes"], unknown>
): T =>
  Either.getOrThrowWith(
    decode({
      type,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.stream === undefined ? {} : { stream: options.stream }),
      ...(options.toxicity === undefined ? {} : { toxicity: options.toxicity }),
      attributes
    }),
    (error) => error
  ) as T

/**
 * Holds the data back: a dependency that is slow. Throws `InvalidToxic`, as all constructors do.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * // a third of all connections answer two seconds late, give or take half a second
 * const slow = Toxic.latency({ latency: "2 seconds", jitter: "500 millis", toxicity: 0.3 })
 *
 * console.log(slow.attributes) // { latency: 2000, jitter: 500 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const latency = (
  options: Options & { readonly latency: Duration.DurationInput; readonly jitter?: Duration.DurationInput | undefined }
): Latency =>
  build<Latency>("latency", options, { latency: milliseconds(options.latency), jitter: milliseconds(options.jitter) })

/**
 * Lets at most `rate` kilobytes (1,000 bytes) a second through; 0 lets nothing through and loses nothing.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * console.log(Toxic.bandwidth({ rate: 64, stream: "upstream" }).name) // "bandwidth_upstream"
 *
 * @since 0.1.0
 * @category constructors
 */
export const bandwidth = (options: Options & { readonly rate: number }): Bandwidth =>
  build<Bandwidth>("bandwidth", options, { rate: options.rate })

/**
 * Delays the end of the stream.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * console.log(Toxic.slowClose({ delay: "1 second" }).attributes) // { delay: 1000 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowClose = (options: Options & { readonly delay: Duration.DurationInput }): SlowClose =>
  build<SlowClose>("slow_close", options, { delay: milliseconds(options.delay) })

/**
 * Throws all data away: a dependency that hangs. Without `after` the connection stays open until the toxic is removed.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * console.log(Toxic.timeout({}).attributes) // { timeout: 0 }
 * console.log(Toxic.timeout({ after: "5 seconds" }).attributes) // { timeout: 5000 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const timeout = (options: Options & { readonly after?: Duration.DurationInput | undefined }): Timeout =>
  build<Timeout>("timeout", options, { timeout: milliseconds(options.after) })

/**
 * Resets the connection, at once or some time after the first data: a process that crashed.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * // the request arrives, and its answer is lost
 * console.log(Toxic.resetPeer({ stream: "downstream" }).attributes) // { timeout: 0 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const resetPeer = (options: Options & { readonly after?: Duration.DurationInput | undefined }): ResetPeer =>
  build<ResetPeer>("reset_peer", options, { timeout: milliseconds(options.after) })

/**
 * Cuts the data into small parts, as networks do: code that reads one message per read breaks.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * const slices = Toxic.slicer({ averageSize: 8, sizeVariation: 4, delay: "50 micros" })
 *
 * console.log(slices.attributes) // { average_size: 8, size_variation: 4, delay: 50 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const slicer = (
  options: Options & {
    readonly averageSize: number
    /** Less than `averageSize`. Default 0. */
    readonly sizeVariation?: number | undefined
    /** Between two slices. A number counts as milliseconds here too. Default 0. */
    readonly delay?: Duration.DurationInput | undefined
  }
): Slicer => {
  const delay = milliseconds(options.delay)
  return build<Slicer>("slicer", options, {
    average_size: options.averageSize,
    size_variation: options.sizeVariation ?? 0,
    delay: typeof delay === "number" ? delay * 1000 : delay
  })
}

/**
 * Closes the connection after so many bytes: an answer that breaks off.
 *
 * @example
 * import * as Toxic from "@holdfast/testkit/Toxic"
 *
 * console.log(Toxic.limitData({ bytes: 1024 }).attributes) // { bytes: 1024 }
 *
 * @since 0.1.0
 * @category constructors
 */
export const limitData = (options: Options & { readonly bytes: number }): LimitData =>
  build<LimitData>("limit_data", options, { bytes: options.bytes })
