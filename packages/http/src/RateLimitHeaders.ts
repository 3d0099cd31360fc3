/**
 * Reads how long a server asks its callers to wait: `Retry-After`, the structured `RateLimit` fields, and the older
 * `RateLimit-*` and `X-RateLimit-*` families.
 *
 * Servers write these by hand, so every reader here is strict: what is malformed or negative counts as absent. What is well formed and
 * longer than the caller ever waits is `Duration.infinity`: it says "not now", and never "at once".
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as StructuredFields from "./internal/structuredFields.js"

/**
 * Header fields by lower-case name, as `@effect/platform` keeps them.
 *
 * @since 0.1.0
 * @category models
 */
export type Fields = { readonly [name: string]: string | undefined }

/**
 * What the readers need to know beside the header itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Context {
  /** Milliseconds since 1970 when the answer came. Dates are read against the `Date` of the answer where it has one, else this. */
  readonly now?: number | undefined
  /** The `Date` of the answer. */
  readonly date?: string | undefined
  /** Waits beyond this are longer than the caller waits, and read as `Duration.infinity`. Default 1 hour. */
  readonly longest?: Duration.DurationInput | undefined
}

/**
 * What one service limit has left.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceLimit {
  /** The name of the limit; `default` in the older families, which have only one. */
  readonly policy: string
  /** `undefined` where an older family leaves it out. */
  readonly remaining: number | undefined
  /** Until the limit is full again. */
  readonly reset: Duration.Duration | undefined
}

/**
 * A limit as the server states it in `RateLimit-Policy`.
 *
 * @since 0.1.0
 * @category models
 */
export interface QuotaPolicy {
  readonly policy: string
  readonly quota: number
  readonly window: Duration.Duration | undefined
}

/**
 * The longest wait that is told in numbers when no other is given.
 *
 * @since 0.1.0
 * @category constructors
 */
export const longestWait: Duration.Duration = Duration.hours(1)

// -- instants ----------------------------------------------------------------

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const fixdate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const rfc850 =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

/** Days since 1970 in the Gregorian calendar; years begin in March, so that the leap day is the last of its year. */
const daysSinceEpoch = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

const daysOfMonth = (year: number, month: number): number =>
  (month === 12 ? daysSinceEpoch(year + 1, 1, 1) : daysSinceEpoch(year, month + 1, 1)) - daysSinceEpoch(year, month, 1)

/**
 * Milliseconds since 1970 of an HTTP date in one of the three forms that RFC 9110 asks recipients to read. `Date.parse` takes `-3` and
 * `1.5` for dates.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseDate = (text: string): number | undefined => {
  const plain = fixdate.exec(text)
  const short = plain === null ? rfc850.exec(text) : null
  const c = plain === null && short === null ? asctime.exec(text) : null
  const parts = plain !== null
    ? [plain[3], plain[2], plain[1], plain[4], plain[5], plain[6]]
    : short !== null
    // Two digits mean the years from 1970 to 2069: nobody has sent this form for years that are further away.
    ? [
      String(Number(short[3]) + (Number(short[3]) < 70 ? 2000 : 1900)),
      short[2],
      short[1],
      short[4],
      short[5],
      short[6]
    ]
    : c !== null
    ? [c[6], c[1], c[2], c[3], c[4], c[5]]
    : undefined
  if (parts === undefined) {
    return undefined
  }
  const month = months.indexOf(parts[1]!) + 1
  const [year, , day, hour, minute, second] = parts.map(Number) as [number, number, number, number, number, number]
  if (month === 0 || day < 1 || day > daysOfMonth(year, month) || hour > 23 || minute > 59 || second > 60) {
    return undefined
  }
  return daysSinceEpoch(year, month, day) * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000
}

const present = (context: Context): number | undefined =>
  (context.date === undefined ? undefined : parseDate(context.date.trim())) ?? context.now

const bounded = (millis: number, context: Context): Duration.Duration =>
  millis <= Duration.toMillis(context.longest ?? longestWait) ? Duration.millis(Math.max(0, millis)) : Duration.infinity

// -- Retry-After -------------------------------------------------------------

/**
 * Reads a `Retry-After`: whole seconds, or an HTTP date. A date in the past is no wait at all. A wait beyond `longest` is
 * `Duration.infinity`. Signs, fractions, units and two values are refused: `undefined`.
 *
 * @example
 * import * as RateLimitHeaders from "@holdfast/http/RateLimitHeaders"
 *
 * console.log(RateLimitHeaders.parseRetryAfter("2")) // 2 seconds
 * console.log(RateLimitHeaders.parseRetryAfter("-3")) // undefined
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseRetryAfter = (text: string, context: Context = {}): Duration.Duration | undefined => {
  const trimmed = text.trim()
  if (/^\d+$/.test(trimmed)) {
    return bounded(Number(trimmed) * 1000, context)
  }
  const at = parseDate(trimmed)
  const now = present(context)
  return at === undefined || now === undefined ? undefined : bounded(at - now, context)
}

// -- RateLimit, structured ---------------------------------------------------

const wholeNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0

/**
 * Reads a `RateLimit` field, `"default";r=50;t=30`: what each limit has left, and in how many seconds it is full again. A
 * malformed field is refused as a whole, as the draft asks.
 *
 * @example
 * import * as RateLimitHeaders from "@holdfast/http/RateLimitHeaders"
 *
 * console.log(RateLimitHeaders.parseRateLimit("\"burst\";r=0;t=3")?.[0]?.remaining) // 0
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseRateLimit = (text: string): ReadonlyArray<ServiceLimit> | undefined => {
  const items = StructuredFields.parseList(text)
  const limits = items?.map(({ parameters, value }) => {
    const remaining = parameters.get("r")
    const seconds = parameters.get("t")
    return typeof value === "string" && wholeNumber(remaining) && (seconds === undefined || wholeNumber(seconds))
      ? { policy: value, remaining, reset: seconds === undefined ? undefined : Duration.seconds(seconds) }
      : undefined
  })
  return limits === undefined || limits.includes(undefined) ? undefined : limits as Array<ServiceLimit>
}

/**
 * Reads a `RateLimit-Policy` field, `"burst";q=100;w=60`: the limits that the server keeps.
 *
 * @example
 * import * as RateLimitHeaders from "@holdfast/http/RateLimitHeaders"
 *
 * console.log(RateLimitHeaders.parseRateLimitPolicy("\"burst\";q=100;w=60")?.[0]?.quota) // 100
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseRateLimitPolicy = (text: string): ReadonlyArray<QuotaPolicy> | undefined => {
  const items = StructuredFields.parseList(text)
  const policies = items?.map(({ parameters, value }) => {
    const quota = parameters.get("q")
    const seconds = parameters.get("w")
    return typeof value === "string" && wholeNumber(quota) &&
        (seconds === undefined || (wholeNumber(seconds) && seconds > 0))
      ? { policy: value, quota, window: seconds === undefined ? undefined : Duration.seconds(seconds) }
      : undefined
  })
  return policies === undefined || policies.includes(undefined) ? undefined : policies as Array<QuotaPolicy>
}

// -- the older families ------------------------------------------------------

/** From here on a number of seconds is an instant (2001 and later); as a delay it would be 31 years. */
const firstEpochSecond = 1_000_000_000
/** From here on an instant is in milliseconds. */
const firstEpochMillis = 1_000_000_000_000

/**
 * Reads a reset of the `X-RateLimit-*` family, of which nobody agreed what it counts: an instant in seconds or milliseconds since
 * 1970, or seconds from now, each with or without a fraction, or a text such as `1m30s` and `250ms`.
 *
 * @example
 * import * as RateLimitHeaders from "@holdfast/http/RateLimitHeaders"
 *
 * console.log(RateLimitHeaders.parseReset("1706540400", { now: 1706540390000 })) // 10 seconds
 * console.log(RateLimitHeaders.parseReset("0.25")) // 250 ms
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseReset = (text: string, context: Context = {}): Duration.Duration | undefined => {
  const trimmed = text.trim()
  if (/^\d+(\.\d+)?$/.test(trimmed)) {
    const number = Number(trimmed)
    if (number < firstEpochSecond) {
      return bounded(Math.ceil(number * 1000), context)
    }
    const now = present(context)
    const at = number < firstEpochMillis ? number * 1000 : number
    return now === undefined ? undefined : bounded(Math.ceil(at - now), context)
  }
  const parts = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(trimmed)
  if (trimmed === "" || parts === null) {
    return undefined
  }
  const [hours, minutes, seconds, millis] = parts.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number
  ]
  return bounded(Math.ceil(hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + millis), context)
}

const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*\d+\s*$/.test(text) ? Number(text) : undefined

/** The field has three; what stands behind many others is not looked for. */
const mostMembers = 16

/** `limit=100, remaining=0, reset=5`: the single field of the drafts before the structured one. */
const parseCombined = (text: string, context: Context): ServiceLimit | undefined => {
  const members = new Map(
    text.split(",", mostMembers).map((member) => {
      const [name = "", value = ""] = member.split("=", 2)
      return [name.trim(), value.trim()] as const
    })
  )
  const remaining = whole(members.get("remaining"))
  const seconds = whole(members.get("reset"))
  return remaining === undefined || seconds === undefined
    ? undefined
    : { policy: "default", remaining, reset: bounded(seconds * 1000, context) }
}

const family = (
  fields: Fields,
  prefix: string,
  reset: (text: string) => Duration.Duration | undefined
): ServiceLimit | undefined => {
  const resetText = fields[`${prefix}-reset`] ?? fields[`${prefix}-reset-after`]
  const remaining = whole(fields[`${prefix}-remaining`])
  return resetText === undefined && remaining === undefined
    ? undefined
    : { policy: "default", remaining, reset: resetText === undefined ? undefined : reset(resetText) }
}

/**
 * All the limits that an answer tells of, by the newest family that it uses and that is well formed.
 *
 * @since 0.1.0
 * @category parsing
 */
export const limits = (fields: Fields, context: Context = {}): ReadonlyArray<ServiceLimit> => {
  const told = { ...context, date: context.date ?? fields["date"] }
  const current = fields["ratelimit"]
  const structured = current === undefined ? undefined : parseRateLimit(current)
  if (structured !== undefined) {
    return structured
  }
  const older = (current === undefined ? undefined : parseCombined(current, told)) ??
    family(fields, "ratelimit", (text) => /^\s*\d+\s*$/.test(text) ? bounded(Number(text) * 1000, told) : undefined) ??
    family(fields, "x-ratelimit", (text) => parseReset(text, told)) ??
    family(fields, "x-rate-limit", (text) => parseReset(text, told))
  return older === undefined ? [] : [older]
}

/**
 * How long an answer asks its caller to wait: its `Retry-After`; else the longest reset among the limits that have nothing left.
 * Limits on an answer from a cache (`Age` above 0) are old news and not read.
 *
 * @example
 * import * as RateLimitHeaders from "@holdfast/http/RateLimitHeaders"
 *
 * const wait = RateLimitHeaders.retryAfter({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" })
 *
 * console.log(wait) // 30 seconds
 *
 * @since 0.1.0
 * @category parsing
 */
export const retryAfter = (fields: Fields, context: Context = {}): Duration.Duration | undefined => {
  const told = { ...context, date: context.date ?? fields["date"] }
  const asked = fields["retry-after"]
  const wait = asked === undefined ? undefined : parseRetryAfter(asked, told)
  if (wait !== undefined || (whole(fields["age"]) ?? 0) > 0) {
    return wait
  }
  let longest: Duration.Duration | undefined
  for (const { remaining, reset } of limits(fields, told)) {
    if (remaining !== undefined && remaining > 0 || reset === undefined) {
      continue
    }
    const wait = bounded(Duration.toMillis(reset), told)
    if (longest === undefined || Duration.greaterThan(wait, longest)) {
      longest = wait
    }
  }
  return longest
}
