import { Headers, HttpClientRequest, HttpClientResponse, HttpServerRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import * as ClientAddress from "../src/ClientAddress.js"
import * as HttpDeadline from "../src/HttpDeadline.js"
import * as HttpFailure from "../src/HttpFailure.js"
import * as IdempotencyKey from "../src/IdempotencyKey.js"
import { headerFault } from "../src/internal/requestFault.js"
import { contentLength, isEventStream } from "../src/internal/responseHead.js"
import { parseList } from "../src/internal/structuredFields.js"
import { isToken } from "../src/internal/token.js"
import * as RateLimitHeaders from "../src/RateLimitHeaders.js"

const get = HttpClientRequest.get("http://localhost")
const headOf = (name: string, text: string) => ({
  status: 200,
  request: get,
  headers: Headers.unsafeFromRecord({ [name]: text })
})
const clientOf = ClientAddress.make({ trustedProxies: 2 })
const requestOf = (name: string, text: string) =>
  HttpServerRequest.fromWeb(new Request("http://localhost")).modify({
    headers: Headers.unsafeFromRecord({ [name]: text })
  })

/** Every function of the package that reads the text of a header, of an answer or of a request. */
const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  "RateLimitHeaders.parseDate": RateLimitHeaders.parseDate,
  "RateLimitHeaders.parseRetryAfter": (text) => RateLimitHeaders.parseRetryAfter(text, { now: 0, date: text }),
  "RateLimitHeaders.parseReset": (text) => RateLimitHeaders.parseReset(text, { now: 0 }),
  "RateLimitHeaders.parseRateLimit": RateLimitHeaders.parseRateLimit,
  "RateLimitHeaders.parseRateLimitPolicy": RateLimitHeaders.parseRateLimitPolicy,
  "RateLimitHeaders.limits": (text) =>
    ["ratelimit", "ratelimit-reset", "ratelimit-remaining", "x-ratelimit-reset", "x-rate-limit-reset"]
      .map((name) => RateLimitHeaders.limits({ [name]: text })),
  "RateLimitHeaders.retryAfter": (text) => RateLimitHeaders.retryAfter({ age: text, "retry-after": text, date: text }),
  "structured fields": parseList,
  "HttpFailure.classify": (text) =>
    HttpFailure.classify(Exit.succeed(
      HttpClientResponse.fromWeb(get, { status: 503, headers: { ratelimit: text, "retry-after": text } } as any)
    )),
  "the length and the type of a body": (text) => [
    contentLength(headOf("content-length", text)),
    isEventStream(headOf("content-type", text))
  ],
  "the check of what is sent": (text) => [headerFault("a", text), headerFault(text, "a"), isToken(text)],
  "IdempotencyKey.isPresent": (text) =>
    IdempotencyKey.isPresent(HttpClientRequest.setHeader(get, "idempotency-key", text)),
  "ClientAddress.parse": ClientAddress.parse,
  "ClientAddress.make": (text) => clientOf(requestOf("x-forwarded-for", text)),
  "HttpDeadline.parse": HttpDeadline.parse
}

const suspects = [..." \t,;=:.-+%\"\\/[]?*0a1sh", "\n", "\r", "\0", "é", "日"]

/** The character by itself, between others, behind the beginning of what the readers take, and again and again before one that is wrong. */
const textsOf = (character: string, length: number): ReadonlyArray<string> => {
  const row = character.repeat(length)
  return [row, `a${row}a`, ` ${row}!`, `"a";r=0${row}!`, `"${row}`, `[${row}`, `1${row}!`, `${row}\n`]
}

const cpuOf = (work: () => void): number => {
  const from = process.cpuUsage()
  work()
  const { system, user } = process.cpuUsage(from)
  return user + system
}

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const shorts = suspects.map((character) => textsOf(character, 15_000))
const longs = suspects.map((character) => textsOf(character, 60_000))

/** What a square could not stay under: 60,000 characters at a step each are 1,800 million steps. */
const leastMicros = 1000

/** No linear reader comes near it, and to read a square five times would take minutes. */
const tooLongMicros = 5_000_000

/** How much more CPU the long texts take than the short ones, in the medians of five readings. */
const ratioOf = (parse: (text: string) => unknown, ofShort: ReadonlyArray<string>, ofLong: ReadonlyArray<string>) => {
  const short = () => ofShort.forEach((text) => parse(text))
  const long = () => ofLong.forEach((text) => parse(text))
  short()
  const first = [cpuOf(short), cpuOf(long)] as const
  if (first[1] > tooLongMicros) {
    return first[1] / first[0]
  }
  const readings = [first, ...Array.from({ length: 4 }, () => [cpuOf(short), cpuOf(long)] as const)]
  return median(readings.map(([, at60]) => at60)) / Math.max(leastMicros, median(readings.map(([at15]) => at15)))
}

describe("the readers of headers", () => {
  for (const [name, parse] of Object.entries(parsers)) {
    it(`${name}: four times the text costs at most six times the CPU, whatever the character`, () => {
      if (ratioOf(parse, shorts.flat(), longs.flat()) > 6) {
        // Said of each character by itself, and read anew: a collection of garbage in one reading is no square.
        const ratios = suspects.map((character, index) =>
          [character, ratioOf(parse, shorts[index]!, longs[index]!)] as const
        )
        assert.deepStrictEqual(ratios.filter(([, ratio]) => ratio > 6), [])
      }
    })
  }
})
