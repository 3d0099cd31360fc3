import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as ClientAddress from "@holdfast/http/ClientAddress"
import * as HttpRateLimit from "@holdfast/http/HttpRateLimit"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Crypto from "node:crypto"
import { ownKey, shownKey } from "../src/internal/rateLimitKeys.js"

const hello = HttpServerResponse.text("hello")

const status = (headers: Record<string, string>) =>
  Effect.map(HttpClient.execute(HttpClientRequest.get("/", { headers })), (answer) => answer.status)

const quiet = Logger.withMinimumLogLevel(LogLevel.None)

/** The hash, reckoned in another way. */
const hashOf = (key: string): string => {
  const units = Buffer.alloc(key.length * 2)
  for (let index = 0; index < key.length; index++) {
    units.writeUInt16LE(key.charCodeAt(index), index * 2)
  }
  return `sha256:${Crypto.createHash("sha256").update(units).digest("base64url")}`
}

describe("keys of a rate limit", () => {
  it.effect("bearer tokens that begin alike have buckets of their own", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({ rate: 5, per: "1 hour" })
      const tokens = Array.from({ length: 30 }, (_, index) => `Bearer ${"e".repeat(300)}${index}`)
      const decisions = yield* Effect.forEach(tokens, (key) => limit.take({ key }))
      assert.deepStrictEqual(decisions.filter(({ allowed }) => !allowed).length, 0)
      yield* Effect.repeatN(limit.take({ key: tokens[7]! }), 3)
      assert.isFalse((yield* limit.take({ key: tokens[7]! })).allowed)
      assert.isTrue((yield* limit.take({ key: tokens[8]! })).allowed)
    }).pipe(quiet))

  it.scoped("a key of one's own that reads like a client's address is another key", () =>
    Effect.gen(function*() {
      const limit = yield* HttpRateLimit.make({
        rate: 1,
        per: "1 hour",
        trustedProxies: 1,
        key: (request) => request.headers["x-tenant"]
      })
      yield* HttpServer.serveEffect(limit.middleware(hello))
      const from = { "x-forwarded-for": "192.0.2.1" }
      const tenants = ["192.0.2.1", "own:192.0.2.1", "own:own:192.0.2.1", "unknown", hashOf("192.0.2.1")]
      assert.strictEqual(yield* status(from), 200)
      for (const tenant of tenants) {
        assert.strictEqual(yield* status({ ...from, "x-tenant": tenant }), 200, tenant)
      }
      assert.strictEqual(yield* status(from), 429)
      for (const tenant of tenants) {
        assert.strictEqual(yield* status({ ...from, "x-tenant": tenant }), 429, tenant)
      }
      // The first refusal is told at once and forgotten.
      assert.strictEqual(yield* status(from), 429)
      const kept = (yield* limit.mostLimited).map(({ key }) => key).sort()
      assert.deepStrictEqual(
        kept,
        ["192.0.2.1", ...tenants.slice(0, 4).map((tenant) => `own:${tenant}`), hashOf(tenants[4]!)].sort()
      )
    }).pipe(Effect.provide(NodeHttpServer.layerTest), quiet))

  it("up to 256 UTF-16 units a key is kept as it is, a longer one or one with a marker as its hash", () => {
    for (const key of ["", "a", "x".repeat(256), "日本".repeat(128), "\ud800", "Own:1", "sha256", "42", "10.0.0"]) {
      assert.strictEqual(ownKey(key), key)
    }
    for (const key of ["x".repeat(257), "sha256:", hashOf("a"), `${"x".repeat(256)}\ud800`]) {
      assert.strictEqual(ownKey(key), hashOf(key))
    }
    for (const key of ["own:", "192.0.2.1", "2001:db8::/64", "::/64", "unknown"]) {
      assert.strictEqual(ownKey(key), `own:${key}`)
    }
    assert.notStrictEqual(ownKey(`${"x".repeat(256)}\ud800`), ownKey(`${"x".repeat(256)}\udc00`))
  })

  it("no two keys become one, however they begin and whatever characters they have", () => {
    const seen = new Map<string, string>()
    const addresses = FastCheck.oneof(FastCheck.ipV4(), FastCheck.ipV6()).map((address) =>
      Option.getOrElse(ClientAddress.network(address), () => "unknown")
    )
    const key = FastCheck.oneof(
      FastCheck.string({ unit: FastCheck.nat(0xffff).map((unit) => String.fromCharCode(unit)), maxLength: 300 }),
      FastCheck.string({ unit: FastCheck.constantFrom("a", "b"), minLength: 250, maxLength: 262 }),
      FastCheck.constantFrom("own:", "sha256:", "own:own:").chain((marker) =>
        FastCheck.string().map((text) => marker + text)
      ),
      FastCheck.string().map(hashOf),
      addresses,
      addresses.map((address) => `own:${address}`)
    )
    FastCheck.assert(
      FastCheck.property(key, (one) => {
        const kept = ownKey(one)
        assert.strictEqual(seen.get(kept) ?? one, one)
        assert.isAtMost(kept.length, 256 + "own:".length)
        assert.isTrue(Option.isNone(ClientAddress.network(kept.replace(/\/64$/, ""))), "it is no client's address")
        assert.notStrictEqual(kept, "unknown")
        seen.set(kept, one)
      }),
      { seed: 11, numRuns: 2000 }
    )
  })

  it("logs tell long keys apart", () => {
    const long = "Bearer ".padEnd(200, "e")
    assert.strictEqual(shownKey("x".repeat(64)), "x".repeat(64))
    assert.notStrictEqual(shownKey(`${long}1`), shownKey(`${long}2`))
    assert.match(shownKey(`${long}1`), /^Bearer eeee\.\.\.sha256:[\w-]{43}$/)
  })
})
