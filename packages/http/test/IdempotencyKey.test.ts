import { HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, FastCheck, Option } from "effect"
import * as HttpResilience from "../src/HttpResilience.js"
import * as IdempotencyKey from "../src/IdempotencyKey.js"
import { InvalidOptions } from "./support/core.js"
import { retry, scripted } from "./support/scripted.js"

const marker = IdempotencyKey.encodedMarker

/** The header that goes out for a key of the program's own. */
const sent = (key: string, form?: "quoted" | "bare") =>
  Effect.map(
    IdempotencyKey.ensure(HttpClientRequest.post("http://payments.test/charges"), {
      form,
      create: () => Effect.succeed(key)
    }),
    ({ headers }) => headers["idempotency-key"]!
  )

const findingsOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  return defect instanceof InvalidOptions ? defect.message : assert.fail(`no InvalidOptions: ${defect}`)
}

/** What a server reads: the header without the spaces around it, and in the quoted form without the quotes. */
const read = {
  quoted: (header: string): string => header.trim().slice(1, -1).replace(/\\(["\\])/g, "$1"),
  bare: (header: string): string => header.trim()
}

/** Keys as people have them, and those that an encoding is most likely to confuse. */
const keys = FastCheck.oneof(
  FastCheck.string({ unit: "grapheme", maxLength: 20 }),
  FastCheck.string({ unit: "binary", maxLength: 20 }),
  FastCheck.string({ unit: FastCheck.constantFrom(" ", "\"", "\\", "%", "'", "2", "E", "\u00e9", "\n"), maxLength: 8 }),
  FastCheck.string({ maxLength: 20 }).map((text) => marker + text),
  FastCheck.string({ unit: "grapheme", maxLength: 8 }).map((text) => marker + encodeURIComponent(text))
)

describe("idempotency keys", () => {
  it.effect("orders whose names differ beyond ASCII keep different keys", () =>
    Effect.gen(function*() {
      const pairs = [["注文-7", "配達-7"], ["Müller/7", "Mller/7"], ["日本", "本日"], ["a\nb", "ab"], [
        "é",
        "e\u0301"
      ]] as const
      for (const [one, other] of pairs) {
        for (const form of ["quoted", "bare"] as const) {
          assert.notStrictEqual(yield* sent(one, form), yield* sent(other, form), `${one} and ${other}, ${form}`)
        }
      }
      assert.strictEqual(yield* sent("Müller/7"), `"${marker}M%C3%BCller%2F7"`)
    }))

  it.effect("printable ASCII of up to 255 bytes is sent as it is, unless it begins with the marker", () =>
    Effect.gen(function*() {
      const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join("")
      for (const key of ["order-7", printable, "x".repeat(255), "utf-8''a", `a${marker}`]) {
        assert.strictEqual(IdempotencyKey.encode(key), key)
        assert.strictEqual(read.quoted(yield* sent(key)), key)
      }
      assert.strictEqual(IdempotencyKey.encode(`${marker}a`), `${marker}UTF-8%27%27a`)
    }))

  it.effect("a bare key keeps its spaces", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (const key of ["a", " a", "a ", " a ", " "]) {
        const header = yield* sent(key, "bare")
        seen.add(read.bare(header))
        assert.strictEqual(IdempotencyKey.decode(read.bare(header)), key)
      }
      assert.strictEqual(seen.size, 5)
    }))

  it.effect("an empty key that a program creates is refused: it would be one for all requests", () =>
    Effect.gen(function*() {
      const post = HttpClientRequest.post("http://a.test")
      const exit = yield* Effect.exit(IdempotencyKey.ensure(post, { create: () => Effect.succeed("") }))
      assert.isTrue(Exit.isFailure(exit))
      assert.instanceOf(Exit.isFailure(exit) && Cause.squash(exit.cause), InvalidOptions)
    }))

  it("every key comes back from what is sent, so no two keys are sent alike", () => {
    FastCheck.assert(
      FastCheck.property(keys, FastCheck.constantFrom("quoted" as const, "bare" as const), (key, form) => {
        const header = IdempotencyKey[form](key)
        assert.match(header, /^[\x20-\x7e]+$/)
        assert.strictEqual(IdempotencyKey.decode(read[form](header)), key)
      }),
      { seed: 11, numRuns: 2000 }
    )
  })

  it("no key that is sent as it is equals an encoded one", () => {
    FastCheck.assert(
      FastCheck.property(keys, (key) => {
        const encoded = IdempotencyKey.encode(key)
        assert.strictEqual(encoded.startsWith(marker), encoded !== key)
      }),
      { seed: 11, numRuns: 2000 }
    )
  })

  it.effect("a key that is too long, or has half of a surrogate pair, is refused and nothing is sent", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [key: string, says: RegExp]> = [
        ["x".repeat(256), /at most 255 bytes, as it is sent; this one has 256/],
        ["é".repeat(42), /at most 255 bytes, as it is sent; this one has 259/],
        [`${marker}${"x".repeat(250)}`, /at most 255 bytes/],
        ["a\ud800", /half of a surrogate pair/],
        ["\udc00a", /half of a surrogate pair/],
        [7 as never, /allowed is a text/]
      ]
      for (const [key, says] of wrong) {
        for (const form of ["quoted", "bare"] as const) {
          const { client, requests } = scripted(200)
          const resilient = HttpResilience.withPolicy(client, retry(), {
            idempotencyKey: { form, create: () => Effect.succeed(key) }
          })
          assert.match(findingsOf(yield* Effect.exit(resilient.post("http://payments.test/"))), says)
          assert.strictEqual(requests.length, 0)
        }
      }
      assert.strictEqual((yield* sent("é".repeat(41))).length, marker.length + 41 * 6 + 2)
    }))

  it.effect("all attempts of a call carry one key, encoded once", () =>
    Effect.gen(function*() {
      const { client, requests } = scripted(503, 503, 200)
      const resilient = HttpResilience.withPolicy(client, retry(), {
        idempotencyKey: { create: () => Effect.succeed("注文-7") }
      })
      yield* resilient.post("http://payments.test/")
      const header = `"${marker}%E6%B3%A8%E6%96%87-7"`
      assert.deepStrictEqual(requests.map(({ headers }) => headers["idempotency-key"]), [header, header, header])
    }))
})
