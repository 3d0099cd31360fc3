import { HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Exit } from "effect"
import * as HttpFailure from "../src/HttpFailure.js"
import type { Outcome } from "./support/core.js"
import { CircuitBreaker } from "./support/core.js"

const request = HttpClientRequest.get("http://localhost")
const coded = (code: string, fields: object = {}) => Object.assign(new Error(code), { code, ...fields })
const transport = (cause: unknown) => new HttpClientError.RequestError({ request, reason: "Transport", cause })
const answer = (status: number, headers: Record<string, string> = {}) =>
  HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
const decode = (cause: unknown) =>
  new HttpClientError.ResponseError({ request, response: answer(200), reason: "Decode", cause })

describe("how far an exchange came", () => {
  const table: ReadonlyArray<readonly [string, unknown, HttpFailure.Reach | undefined, Outcome.Class]> = [
    ["refused", transport(coded("ECONNREFUSED")), "NeverSent", "Retryable"],
    [
      "refused, as fetch says it",
      transport(new TypeError("fetch failed", { cause: coded("ECONNREFUSED") })),
      "NeverSent",
      "Retryable"
    ],
    ["unknown host", transport(coded("ENOTFOUND")), "NeverSent", "Retryable"],
    ["name service busy", transport(coded("EAI_AGAIN")), "NeverSent", "Retryable"],
    ["connect timeout", transport(coded("UND_ERR_CONNECT_TIMEOUT")), "NeverSent", "Retryable"],
    [
      "connect timed out by the system",
      transport(coded("ETIMEDOUT", { syscall: "connect" })),
      "NeverSent",
      "Retryable"
    ],
    [
      "open connection timed out by the system",
      transport(coded("ETIMEDOUT", { syscall: "read" })),
      "MaybeSent",
      "Retryable"
    ],
    ["no route while connecting", transport(coded("EHOSTUNREACH", { syscall: "connect" })), "NeverSent", "Retryable"],
    ["no route any more", transport(coded("EHOSTUNREACH", { syscall: "write" })), "MaybeSent", "Retryable"],
    [
      "all addresses refused",
      transport(
        Object.assign(new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]), { code: "ECONNREFUSED" })
      ),
      "NeverSent",
      "Retryable"
    ],
    [
      "one address refused, one reset",
      transport(new AggregateError([coded("ECONNREFUSED"), coded("ECONNRESET")])),
      "MaybeSent",
      "Retryable"
    ],
    ["reset", transport(coded("ECONNRESET")), "MaybeSent", "Retryable"],
    ["broken pipe", transport(coded("EPIPE")), "MaybeSent", "Retryable"],
    ["headers timeout", transport(coded("UND_ERR_HEADERS_TIMEOUT")), "MaybeSent", "Retryable"],
    ["unknown transport error", transport(new TypeError("Failed to fetch")), "MaybeSent", "Retryable"],
    ["self-signed certificate", transport(coded("DEPTH_ZERO_SELF_SIGNED_CERT")), "NotWorthRetrying", "Unclassified"],
    ["expired certificate", transport(coded("CERT_HAS_EXPIRED")), "NotWorthRetrying", "Unclassified"],
    ["wrong name", transport(coded("ERR_TLS_CERT_ALTNAME_INVALID")), "NotWorthRetrying", "Unclassified"],
    ["no TLS at all", transport(coded("ERR_SSL_WRONG_VERSION_NUMBER")), "NotWorthRetrying", "Unclassified"],
    ["header that cannot be sent", transport(coded("ERR_INVALID_CHAR")), "NotWorthRetrying", "Rejected"],
    ["bad URL", new HttpClientError.RequestError({ request, reason: "InvalidUrl" }), "NotWorthRetrying", "Rejected"],
    ["bad body", new HttpClientError.RequestError({ request, reason: "Encode" }), "NotWorthRetrying", "Permanent"],
    ["reset during the body", decode(coded("ECONNRESET")), "MaybeSent", "Retryable"],
    [
      "closed during the body, as fetch says it",
      decode(new TypeError("terminated", { cause: coded("UND_ERR_SOCKET") })),
      "MaybeSent",
      "Retryable"
    ],
    ["refused cannot be said of a body", decode(coded("ECONNREFUSED")), "MaybeSent", "Retryable"],
    ["bad JSON", decode(new SyntaxError("Unexpected token")), "Answered", "Permanent"],
    ["no HTTP", new Error("other"), undefined, "Unclassified"]
  ]
  for (const [name, error, reach, outcomeClass] of table) {
    it(`${name}: ${reach ?? "not about HTTP"}, ${outcomeClass}`, () => {
      assert.strictEqual(HttpFailure.reachOf(error), reach)
      const outcome = HttpFailure.classify(Exit.fail(error))
      assert.strictEqual(outcome.class, outcomeClass)
      assert.strictEqual(outcome.neverSent, reach === "NeverSent" || outcomeClass === "Rejected")
    })
  }

  it("a cyclic chain of causes ends", () => {
    const cyclic = new Error("a", { cause: undefined })
    cyclic.cause = cyclic
    assert.strictEqual(HttpFailure.reachOf(transport(cyclic)), "MaybeSent")
  })

  it("an error of a policy behind a RequestError says for itself what it is", () => {
    const open = new CircuitBreaker.CircuitOpen({
      policy: "p",
      dependency: undefined,
      reason: "open",
      retryAfter: Duration.seconds(1)
    } as any)
    assert.strictEqual(HttpFailure.classify(Exit.fail(transport(open))).class, "Rejected")
  })
})

describe("answers", () => {
  it("F10: 408, 425, 500, 502, 503 and 504 may be cured, 429 asks to slow down, 501 and 505 and other 4xx will not change", () => {
    const classOf = (status: number) => HttpFailure.classify(Exit.succeed(answer(status))).class
    for (const status of [408, 425, 500, 502, 503, 504]) {
      assert.strictEqual(classOf(status), "Retryable")
    }
    for (const status of [400, 401, 403, 404, 409, 422, 501, 505]) {
      assert.strictEqual(classOf(status), "Permanent")
    }
    assert.strictEqual(classOf(429), "Overloaded")
    assert.strictEqual(classOf(200), "Success")
    assert.strictEqual(classOf(304), "Success")
  })

  it("an answer carries its status, and the same status is the same value every time", () => {
    for (const [status, outcomeClass] of [[200, "Success"], [404, "Permanent"], [503, "Retryable"]] as const) {
      const outcome = HttpFailure.classify(Exit.succeed(answer(status)))
      assert.strictEqual(outcome.class, outcomeClass)
      assert.strictEqual(outcome.status, String(status))
      assert.strictEqual(outcome, HttpFailure.classify(Exit.succeed(answer(status))))
    }
  })

  it("a status that is another class keeps its name, and so does one with a wait", () => {
    const classify = HttpFailure.make({ statuses: { 404: "Retryable" } })
    assert.strictEqual(classify(Exit.succeed(answer(404))).status, "404")
    const waits = classify(Exit.succeed(answer(503, { "retry-after": "2" })))
    assert.strictEqual(waits.status, "503")
    assert.strictEqual(Duration.toMillis(waits.retryAfter!), 2000)
  })

  it("what ended without an answer has no status, and neither has a payload that could not be read", () => {
    assert.strictEqual(HttpFailure.classify(Exit.fail(transport(coded("ECONNREFUSED")))).status, undefined)
    assert.strictEqual(HttpFailure.classify(Exit.fail(decode(new SyntaxError("Unexpected token")))).status, undefined)
  })

  it("statuses can be given another class", () => {
    const classify = HttpFailure.make({ statuses: { 404: "Retryable", 503: "Permanent" } })
    assert.strictEqual(classify(Exit.succeed(answer(404))).class, "Retryable")
    assert.strictEqual(classify(Exit.succeed(answer(503))).class, "Permanent")
    assert.strictEqual(classify(Exit.succeed(answer(500))).class, "Retryable")
  })

  it("an error about a status is read like the answer itself, with its wait", () => {
    const error = new HttpClientError.ResponseError({
      request,
      response: answer(429, { "retry-after": "3" }),
      reason: "StatusCode"
    })
    const outcome = HttpFailure.classify(Exit.fail(error))
    assert.strictEqual(outcome.class, "Overloaded")
    assert.strictEqual(Duration.toMillis(outcome.retryAfter!), 3000)
  })
})
