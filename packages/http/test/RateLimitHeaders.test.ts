import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as RateLimitHeaders from "../src/RateLimitHeaders.js"

const millis = (wait: Duration.Duration | undefined): number | undefined =>
  wait === undefined ? undefined : Duration.toMillis(wait)

/** Wed, 21 Oct 2015 07:28:00 GMT */
const instant = Date.UTC(2015, 9, 21, 7, 28, 0)

describe("Retry-After", () => {
  const malformed = [
    "-3",
    "+3",
    "1.5",
    "1.",
    "1000abc",
    "",
    " ",
    "Infinity",
    "NaN",
    "1, 2",
    "3, 3",
    "0x10",
    "1e3",
    "٣",
    "2015-10-21T07:28:00Z",
    "Wed, 21 Oct 2015 07:28:00",
    "Wed, 21 Oct 2015 07:28:00 CET",
    "Wed, 32 Oct 2015 07:28:00 GMT",
    "21 Oct 2015 07:28:00 GMT",
    "Wed, 21 Foo 2015 07:28:00 GMT",
    "Wed, 21 Oct 2015 25:28:00 GMT"
  ]
  for (const text of malformed) {
    it(`F05: ${JSON.stringify(text)} is malformed and ignored, never read as a year`, () => {
      assert.isUndefined(RateLimitHeaders.parseRetryAfter(text, { now: instant }))
    })
  }

  for (
    const [text, expected] of [["0", 0], ["1", 1000], [" 120 ", 120_000], ["007", 7000], ["3600", 3_600_000]] as const
  ) {
    it(`reads ${JSON.stringify(text)} as ${expected} ms`, () => {
      assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter(text)), expected)
    })
  }

  it("F06: a wait beyond the bound is longer than any caller waits, and never no wait", () => {
    assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter("999999999")), Infinity)
    assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter("9".repeat(400))), Infinity)
    assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter("3601")), Infinity)
    assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter("3601", { longest: "2 hours" })), 3_601_000)
  })

  for (
    const text of [
      "Wed, 21 Oct 2015 07:28:00 GMT",
      "Wednesday, 21-Oct-15 07:28:00 GMT",
      "Wed Oct 21 07:28:00 2015"
    ]
  ) {
    it(`F03: the date ${text} is read by the clock of the caller`, () => {
      assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter(text, { now: instant - 5000 })), 5000)
    })
  }

  it("F03: the Date of the answer goes before the clock of the caller, which may be wrong", () => {
    const wait = RateLimitHeaders.parseRetryAfter("Wed, 21 Oct 2015 07:28:00 GMT", {
      now: instant + 10_000_000,
      date: "Wed, 21 Oct 2015 07:27:50 GMT"
    })
    assert.strictEqual(millis(wait), 10_000)
  })

  it("F04: a date in the past is no wait, never a negative one", () => {
    assert.strictEqual(
      millis(RateLimitHeaders.parseRetryAfter("Wed, 21 Oct 2015 07:28:00 GMT", { now: instant + 1 })),
      0
    )
  })

  it("a day that its month does not have is no date", () => {
    const read = (date: string) =>
      RateLimitHeaders.parseRetryAfter(`Fri, ${date} 00:00:00 GMT`, { now: Date.UTC(2026, 0, 1), longest: "3000 days" })
    for (const date of ["30 Feb 2026", "29 Feb 2026", "31 Apr 2026", "32 Dec 2026", "00 Jan 2026"]) {
      assert.isUndefined(read(date), date)
    }
    for (const date of ["28 Feb 2026", "29 Feb 2028", "30 Apr 2026", "31 Dec 2026"]) {
      assert.isDefined(read(date), date)
    }
  })

  it("a date without anything to read it against is ignored", () => {
    assert.isUndefined(RateLimitHeaders.parseRetryAfter("Wed, 21 Oct 2015 07:28:00 GMT"))
  })

  it("whole seconds are read back exactly, dates as their distance", () => {
    fc.assert(
      fc.property(fc.nat(3600), fc.integer({ min: 0, max: 4_102_444_799 }), (seconds, now) => {
        assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter(String(seconds))), seconds * 1000)
        const date = new Date((now + seconds) * 1000).toUTCString()
        assert.strictEqual(RateLimitHeaders.parseDate(date), (now + seconds) * 1000)
        assert.strictEqual(millis(RateLimitHeaders.parseRetryAfter(date, { now: now * 1000 })), seconds * 1000)
      }),
      { seed: 7 }
    )
  })

  it("whatever the text, the wait is absent, within bounds, or beyond all of them", () => {
    let present = 0
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[-+]?\d{1,12}(\.\d*)?[a-z]?$/), fc.nat(5000).map(String)),
        (text) => {
          for (
            const wait of [
              RateLimitHeaders.parseRetryAfter(text, { now: instant }),
              RateLimitHeaders.parseReset(text, { now: instant })
            ]
          ) {
            if (wait !== undefined) {
              present++
              const told = Duration.toMillis(wait)
              assert.isTrue(told >= 0 && told <= 3_600_000 || told === Infinity)
            }
          }
        }
      ),
      { seed: 11, numRuns: 2000 }
    )
    assert.isAbove(present, 200)
  })
})

describe("RateLimit", () => {
  it("reads the limits of the structured field", () => {
    assert.deepStrictEqual(
      RateLimitHeaders.parseRateLimit("\"burst\";r=0;t=3, \"daily\";r=500;pk=:cHg=:;t=60")?.map((limit) => ({
        ...limit,
        reset: millis(limit.reset)
      })),
      [{ policy: "burst", remaining: 0, reset: 3000 }, { policy: "daily", remaining: 500, reset: 60_000 }]
    )
    assert.deepStrictEqual(RateLimitHeaders.parseRateLimit("\"a\\\"b\";r=1"), [
      { policy: "a\"b", remaining: 1, reset: undefined }
    ])
  })

  for (
    const text of [
      "\"a\"",
      "\"a\";r",
      "\"a\";r=-1",
      "\"a\";r=1.5",
      "\"a\";r=1;t=-1",
      "\"a\";r=1;t=x",
      "\"a;r=1",
      "\"a\";r=1,",
      "12;r=1",
      "\"a\";r=\"1\"",
      "\"a\" ;r=1",
      "\"a\";R=1",
      "\"a\";r=1 \"b\";r=1",
      "r=1;t=2;"
    ]
  ) {
    it(`F13: ${text} is malformed and refused as a whole`, () => {
      assert.isUndefined(RateLimitHeaders.parseRateLimit(text))
      assert.isUndefined(RateLimitHeaders.retryAfter({ ratelimit: text }))
    })
  }

  it("reads the policies that a server states", () => {
    const policies = RateLimitHeaders.parseRateLimitPolicy("\"burst\";q=100;w=60;qu=\"requests\",\"daily\";q=5000")
    assert.deepStrictEqual(policies?.map(({ window, ...rest }) => ({ ...rest, window: millis(window) })), [
      { policy: "burst", quota: 100, window: 60_000 },
      { policy: "daily", quota: 5000, window: undefined }
    ])
    assert.isUndefined(RateLimitHeaders.parseRateLimitPolicy("\"burst\";q=100;w=0"))
    assert.isUndefined(RateLimitHeaders.parseRateLimitPolicy("\"burst\""))
  })

  it("what is written as a structured field is read back", () => {
    const limit = fc.record({
      policy: fc.stringMatching(/^[ !#-[\]-~]{0,12}$/),
      r: fc.nat(),
      t: fc.option(fc.nat(3600))
    })
    fc.assert(
      fc.property(fc.array(limit, { minLength: 1, maxLength: 4 }), (given) => {
        const text = given.map(({ policy, r, t }) => `"${policy}";r=${r}${t === null ? "" : `;t=${t}`}`).join(", ")
        assert.deepStrictEqual(
          RateLimitHeaders.parseRateLimit(text)?.map((
            { policy, remaining, reset }
          ) => [policy, remaining, millis(reset)]),
          given.map(({ policy, r, t }) => [policy, r, t === null ? undefined : t * 1000])
        )
      }),
      { seed: 3 }
    )
  })
})

describe("the wait that an answer asks for", () => {
  const now = 1_706_540_390_000
  const table: ReadonlyArray<readonly [string, RateLimitHeaders.Fields, number | undefined]> = [
    ["nothing said", {}, undefined],
    ["Retry-After", { "retry-after": "2" }, 2000],
    ["F13: Retry-After wins over RateLimit", { "retry-after": "2", ratelimit: "\"a\";r=0;t=9" }, 2000],
    [
      "F13: a malformed Retry-After leaves the word to RateLimit",
      { "retry-after": "-2", ratelimit: "\"a\";r=0;t=9" },
      9000
    ],
    ["the longest of the limits that are used up", { ratelimit: "\"a\";r=0;t=3, \"b\";r=0;t=5, \"c\";r=1;t=60" }, 5000],
    ["nothing is used up", { ratelimit: "\"a\";r=1;t=3" }, undefined],
    ["an answer from a cache", { ratelimit: "\"a\";r=0;t=3", age: "5" }, undefined],
    ["the single field of older drafts", { ratelimit: "limit=100, remaining=0, reset=5" }, 5000],
    ["RateLimit-Reset in seconds", { "ratelimit-remaining": "0", "ratelimit-reset": "7" }, 7000],
    ["RateLimit-Reset with calls left", { "ratelimit-remaining": "3", "ratelimit-reset": "7" }, undefined],
    ["RateLimit-Reset malformed", { "ratelimit-remaining": "0", "ratelimit-reset": "-7" }, undefined],
    [
      "X-RateLimit-Reset as an instant in seconds",
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1706540400" },
      10_000
    ],
    ["X-RateLimit-Reset as an instant in milliseconds", {
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": "1706540400250"
    }, 10_250],
    ["X-RateLimit-Reset as an instant with a fraction", {
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": "1706540400.5"
    }, 10_500],
    ["X-RateLimit-Reset in the past", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1706540000" }, 0],
    ["X-RateLimit-Reset as a delay", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" }, 30_000],
    ["X-RateLimit-Reset as a fraction", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.25" }, 250],
    ["X-RateLimit-Reset as a text", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1m30s" }, 90_000],
    [
      "X-RateLimit-Reset in milliseconds as a text",
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "120ms" },
      120
    ],
    ["X-RateLimit-Reset-After", { "x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.5" }, 1500],
    ["X-Rate-Limit-Reset", { "x-rate-limit-remaining": "0", "x-rate-limit-reset": "1706540400" }, 10_000],
    ["an instant years from now", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800" }, Infinity],
    ["a reset of the structured field in years", { ratelimit: "\"a\";r=0;t=999999999" }, Infinity],
    ["a daily quota's reset", { ratelimit: "\"minute\";r=0;t=30, \"day\";r=0;t=50000" }, Infinity],
    ["a negative reset", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "-1" }, undefined]
  ]
  for (const [name, fields, expected] of table) {
    it(`${name}: ${expected === undefined ? "none" : `${expected} ms`}`, () => {
      assert.strictEqual(millis(RateLimitHeaders.retryAfter(fields, { now })), expected)
    })
  }
})
