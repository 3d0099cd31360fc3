import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as ClientAddress from "@holdfast/http/ClientAddress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

const request = (remote: string | undefined, headers: Record<string, string> = {}) => {
  const base = HttpServerRequest.fromWeb(new Request("http://server.test/", { headers }))
  return remote === undefined ? base : base.modify({ remoteAddress: remote })
}

const clientOf = (
  trustedProxies: number,
  remote: string | undefined,
  forwarded?: string
) =>
  Option.getOrUndefined(
    ClientAddress.make({ trustedProxies })(
      request(remote, forwarded === undefined ? {} : { "x-forwarded-for": forwarded })
    )
  )

describe("ClientAddress", () => {
  it("believes nobody by default: the peer of the socket is the client", () => {
    assert.strictEqual(clientOf(0, "192.0.2.1", "203.0.113.9"), "192.0.2.1")
    assert.strictEqual(Option.getOrUndefined(ClientAddress.make()(request("192.0.2.1"))), "192.0.2.1")
  })

  it("counts the trusted proxies from the right, whatever the client wrote on the left", () => {
    assert.strictEqual(clientOf(1, "10.0.0.1", "203.0.113.9"), "203.0.113.9")
    assert.strictEqual(clientOf(1, "10.0.0.1", "6.6.6.6, 203.0.113.9"), "203.0.113.9")
    assert.strictEqual(clientOf(1, "10.0.0.1", "6.6.6.6,7.7.7.7 ,  203.0.113.9"), "203.0.113.9")
    assert.strictEqual(clientOf(2, "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2"), "203.0.113.9")
    assert.strictEqual(clientOf(2, "10.0.0.1", "203.0.113.9, 10.0.0.2"), "203.0.113.9")
  })

  it("takes the peer when the header is missing or too short for the proxies", () => {
    assert.strictEqual(clientOf(1, "192.0.2.1"), "192.0.2.1")
    assert.strictEqual(clientOf(2, "192.0.2.1", "6.6.6.6"), "192.0.2.1")
    assert.strictEqual(clientOf(3, "192.0.2.1", "6.6.6.6, 7.7.7.7"), "192.0.2.1")
  })

  it("stops before an entry that is no IP address", () => {
    assert.strictEqual(clientOf(1, "192.0.2.1", "unknown"), "192.0.2.1")
    assert.strictEqual(clientOf(1, "192.0.2.1", ""), "192.0.2.1")
    assert.strictEqual(clientOf(2, "192.0.2.1", "_hidden, 10.0.0.2"), "10.0.0.2")
    assert.strictEqual(clientOf(2, "192.0.2.1", "6.6.6.6, <script>"), "192.0.2.1")
  })

  it("is nobody when not even the peer is known", () => {
    assert.strictEqual(clientOf(0, undefined), undefined)
    assert.strictEqual(clientOf(1, undefined, "203.0.113.9"), "203.0.113.9")
  })

  it("reads another header when it is told to", () => {
    const read = ClientAddress.make({ trustedProxies: 1, header: "X-Real-Chain" })
    assert.deepStrictEqual(read(request("10.0.0.1", { "x-real-chain": "203.0.113.9" })), Option.some("203.0.113.9"))
  })

  it("brings every address into one form", () => {
    const forms: ReadonlyArray<readonly [string, string | undefined]> = [
      ["192.0.2.1", "192.0.2.1"],
      [" 192.0.2.1 ", "192.0.2.1"],
      ["192.0.2.1:8080", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::FFFF:c000:0201", "192.0.2.1"],
      ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
      ["[2001:db8::1]:443", "2001:db8::1"],
      ["[2001:db8::1]", "2001:db8::1"],
      ["fe80::1%eth0", "fe80::1"],
      ["::", "::"],
      ["::1", "::1"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
      ["", undefined],
      ["unknown", undefined],
      ["256.0.0.1", undefined],
      ["1.2.3", undefined],
      ["01.2.3.4", undefined],
      ["1:2:3:4:5:6:7", undefined],
      ["1:2:3:4:5:6:7:8:9", undefined],
      ["1::2::3", undefined],
      [":1:2:3:4:5:6:7", undefined],
      ["12345::", undefined],
      ["1:2:3:4:5:6:7::8", undefined],
      ["[192.0.2.1]", undefined],
      ["192.0.2.1::", undefined]
    ]
    for (const [written, canonical] of forms) {
      assert.strictEqual(Option.getOrUndefined(ClientAddress.parse(written)), canonical, written)
    }
  })

  it("takes a /64 network of IPv6 for one client, since one client has all of it", () => {
    const network = (text: string) => Option.getOrUndefined(ClientAddress.network(text))
    assert.strictEqual(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
    assert.strictEqual(network("2001:db8:1:2:ffff::"), "2001:db8:1:2::/64")
    assert.notStrictEqual(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"))
    assert.strictEqual(network("::ffff:192.0.2.1"), "192.0.2.1")
    assert.strictEqual(network("nobody"), undefined)
  })

  it.effect("puts the client in the place of the remote address, and leaves the host alone", () =>
    Effect.gen(function*() {
      const app = Effect.map(
        HttpServerRequest.HttpServerRequest,
        (request) =>
          HttpServerResponse.unsafeJson([Option.getOrNull(request.remoteAddress), request.headers["host"] ?? null])
      )
      const seen = yield* ClientAddress.middleware({ trustedProxies: 1 })(app).pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          request("10.0.0.1", { "x-forwarded-for": "6.6.6.6, 203.0.113.9", "x-forwarded-host": "evil.test" })
        )
      )
      const body = yield* Effect.promise(() => HttpServerResponse.toWeb(seen).json())
      assert.strictEqual(body[0], "203.0.113.9")
      assert.notStrictEqual(body[1], "evil.test")
    }))

  it("refuses bad options with all findings", () => {
    const bad = (options: unknown) => () => ClientAddress.make(options as ClientAddress.Options)
    assert.throws(
      bad({ trustedProxies: -1, header: "no header" }),
      "trustedProxies is -1, allowed is a whole number from 0 to 100; header is"
    )
    assert.throws(bad({ trustProxies: 1 }), "unknown field")
    assert.throws(bad(null), "a record")
  })
})
