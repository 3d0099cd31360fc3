import { assert, describe, it } from "@effect/vitest"
import * as ToxiproxyApi from "@holdfast/testkit/ToxiproxyApi"
import * as Effect from "effect/Effect"
import { type Latency, Toxiproxy, ToxiproxyError } from "toxiproxy-node-client"
import { connect, echo, eventually, quietAddress, timed } from "../support/network.js"

const setup = Effect.gen(function*() {
  const { address } = yield* echo
  const api = yield* ToxiproxyApi.serve({ listen: "127.0.0.1:0" })
  return { address, api, client: new Toxiproxy(api.url) }
})

const promised = <A>(promise: () => Promise<A>) => Effect.promise(promise)

const refused = (promise: () => Promise<unknown>) =>
  Effect.map(Effect.flip(Effect.tryPromise({ try: promise, catch: (error) => error as ToxiproxyError })), (error) => {
    assert.instanceOf(error, ToxiproxyError)
    return error.message
  })

const roundTrip = (listen: string) =>
  Effect.gen(function*() {
    const client = yield* connect(Number(listen.split(":").at(-1)))
    client.write("a")
    yield* eventually(() => client.received().length === 1 || client.state() !== "open")
    return client
  }).pipe(Effect.scoped)

const call = (url: string, method: string, body?: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, body: text === "" ? undefined : text.startsWith("{") ? JSON.parse(text) : text }
  })

describe("toxiproxy-node-client against the HTTP API", () => {
  it.scopedLive("creates a proxy at a free port, shows it, and removes it with its connections", () =>
    Effect.gen(function*() {
      const { address, client } = yield* setup
      const proxy = yield* promised(() =>
        client.createProxy({ name: "redis", listen: "localhost:0", upstream: address })
      )
      assert.match(proxy.listen, /^(127\.0\.0\.1|\[::1\]):[1-9]\d*$/)
      assert.deepStrictEqual([proxy.name, proxy.upstream, proxy.enabled], ["redis", address, true])
      assert.deepStrictEqual((yield* promised(() => client.get("redis"))).toJson(), proxy.toJson())
      assert.deepStrictEqual(Object.keys(yield* promised(() => client.getAll())), ["redis"])
      assert.strictEqual(
        yield* refused(() => client.createProxy({ name: "redis", listen: "localhost:0", upstream: address })),
        "Request failed with status code 409"
      )
      yield* promised(() => proxy.remove())
      assert.deepStrictEqual(yield* promised(() => client.getAll()), {})
      assert.strictEqual(yield* refused(() => client.get("redis")), "Request failed with status code 404")
      assert.strictEqual(yield* refused(() => proxy.remove()), "Request failed with status code 404")
    }))

  it.scopedLive("adds, reads, changes and removes a toxic, and the connection feels it", () =>
    Effect.gen(function*() {
      const { address, client } = yield* setup
      const proxy = yield* promised(() =>
        client.createProxy({ name: "redis", listen: "127.0.0.1:0", upstream: address })
      )
      const toxic = yield* promised(() =>
        proxy.addToxic<Latency>({
          name: "slow",
          type: "latency",
          stream: "downstream",
          toxicity: 1,
          attributes: { latency: 50, jitter: 0 }
        })
      )
      assert.isAtLeast(yield* timed(roundTrip(proxy.listen)), 48)
      assert.deepStrictEqual((yield* promised(() => proxy.getToxic("slow"))).toJson(), toxic.toJson())
      const changed = yield* promised(() =>
        toxic.update({ ...toxic.toJson(), toxicity: 0.5, attributes: { latency: 1, jitter: 1 } })
      )
      assert.deepStrictEqual([changed.toxicity, changed.attributes], [0.5, { latency: 1, jitter: 1 }])
      assert.strictEqual(yield* refused(() => proxy.addToxic(toxic.toJson())), "Request failed with status code 409")
      yield* promised(() => toxic.remove())
      assert.strictEqual(yield* refused(() => proxy.getToxic("slow")), "Request failed with status code 404")
      assert.strictEqual(yield* refused(() => toxic.remove()), "Request failed with status code 404")
      const unnamed = { type: "slow_close", attributes: { delay: 1 } }
      const named = yield* promised(() => proxy.addToxic<unknown>(unnamed as never))
      assert.deepStrictEqual([named.name, named.stream, named.toxicity], ["slow_close_downstream", "downstream", 1])
    }))

  it.scopedLive("takes a proxy down and up, moves it, and resets all of it", () =>
    Effect.gen(function*() {
      const { address, client } = yield* setup
      const listen = yield* quietAddress
      const proxy = yield* promised(() => client.createProxy({ name: "redis", listen, upstream: address }))
      const to = (changes: { readonly enabled?: boolean; readonly upstream?: string; readonly listen?: string }) =>
        promised(() => proxy.update(changes as never))
      assert.isFalse((yield* to({ enabled: false })).enabled)
      assert.strictEqual((yield* Effect.flip(roundTrip(listen))).code, "ECONNREFUSED")
      yield* promised(() => proxy.addToxic({ type: "timeout", attributes: { timeout: 0 } } as never))
      yield* promised(() => client.reset())
      assert.strictEqual(String((yield* roundTrip(listen)).received()), "a")
      // What stays the same restarts nothing.
      const open = yield* connect(Number(listen.split(":")[1]))
      yield* to({ listen, upstream: address, enabled: true })
      open.write("a")
      yield* eventually(() => open.received().length === 1)
      const other = yield* quietAddress
      const moved = yield* to({ listen: other, upstream: yield* quietAddress })
      assert.deepStrictEqual([moved.listen, moved.enabled], [other, true])
      assert.strictEqual(String((yield* roundTrip(other)).received()), "")
    }))

  it.scopedLive("populates again and again without touching what is as it should be", () =>
    Effect.gen(function*() {
      const { address, api, client } = yield* setup
      const list = [
        { name: "redis", listen: "127.0.0.1:0", upstream: address },
        { name: "sql", listen: "127.0.0.1:0", upstream: address, enabled: false }
      ]
      const first = yield* promised(() => client.populate(list))
      assert.deepStrictEqual(Object.values(first).map(({ enabled, name }) => [name, enabled]), [
        ["redis", true],
        ["sql", false]
      ])
      yield* promised(() => first["redis"]!.addToxic({ type: "limit_data", attributes: { bytes: 1 } } as never))
      const again = yield* promised(() => client.populate(list))
      assert.deepStrictEqual(again["redis"]!.toJson(), first["redis"]!.toJson())
      assert.strictEqual((yield* api.proxies.get("redis")).toxics().length, 1)
      const upstream = yield* quietAddress
      const replaced = yield* promised(() => client.populate([{ ...list[0]!, upstream }]))
      assert.strictEqual(replaced["redis"]!.upstream, upstream)
      assert.strictEqual((yield* api.proxies.get("redis")).toxics().length, 0)
      const taken = { name: "third", listen: replaced["redis"]!.listen, upstream: address }
      const failed = yield* call(`${api.url}/populate`, "POST", [list[1], taken, { ...list[0], name: "fourth" }])
      assert.strictEqual(failed.status, 500)
      assert.include(failed.body.error, "EADDRINUSE")
      assert.deepStrictEqual(failed.body.proxies.map(({ name }: { readonly name: string }) => name), ["sql"])
    }))

  it.scopedLive("says its version, and what is wrong with a request, with Toxiproxy's status", () =>
    Effect.gen(function*() {
      const { address, api, client } = yield* setup
      assert.deepStrictEqual(JSON.parse(yield* promised(() => client.getVersion())), { version: ToxiproxyApi.version })
      yield* promised(() => client.createProxy({ name: "redis", listen: "127.0.0.1:0", upstream: address }))
      const say = (method: string, path: string, body?: unknown) =>
        Effect.map(call(`${api.url}${path}`, method, body), ({ body, status }) => [status, body?.error])
      const toxics = "/proxies/redis/toxics"
      assert.deepStrictEqual(yield* say("POST", "/proxies", { name: "sql" }), [400, "missing required field: upstream"])
      assert.deepStrictEqual(yield* say("POST", "/populate", [{ upstream: address }]), [
        400,
        "missing required field: name at proxy 1"
      ])
      assert.deepStrictEqual(yield* say("POST", "/proxies", { name: 3, upstream: address }), [
        400,
        "bad request body: name Expected string, actual 3"
      ])
      const [, unread] = yield* say("POST", "/proxies", "{")
      assert.match(unread, /^bad request body: /)
      assert.deepStrictEqual(yield* say("POST", "/proxies", { name: "sql", upstream: "sql" }), [
        400,
        "upstream is \"sql\", allowed is host:port, such as 127.0.0.1:6379"
      ])
      const [badType, type] = yield* say("POST", toxics, { type: "down" })
      assert.strictEqual(badType, 400)
      assert.match(type, /^invalid toxic type: The toxic is not valid: type is "down"/)
      const [badStream, stream] = yield* say("POST", toxics, { type: "latency", stream: "sideways" })
      assert.strictEqual(badStream, 400)
      assert.match(stream, /^stream was invalid, can be either upstream or downstream/)
      assert.deepStrictEqual(yield* say("POST", `${toxics}/slow`, { attributes: {} }), [404, "toxic not found"])
      assert.deepStrictEqual(yield* say("GET", "/proxies/sql/toxics"), [404, "proxy not found"])
      assert.deepStrictEqual(yield* say("PATCH", "/proxies/redis", { enabled: null }), [200, undefined])
      assert.deepStrictEqual((yield* call(`${api.url}${toxics}`, "GET")).body, "[]")
      yield* call(`${api.url}${toxics}`, "POST", { type: "bandwidth", name: "slow", attributes: { rate: 1 } })
      const patched = yield* call(`${api.url}${toxics}/slow`, "PATCH", { attributes: { rate: 2 } })
      assert.deepStrictEqual(patched.body.attributes, { rate: 2 })
      const [badAttribute, attribute] = yield* say("PATCH", `${toxics}/slow`, { attributes: { rate: "fast" } })
      assert.strictEqual(badAttribute, 400)
      assert.include(attribute, "attributes.rate is \"fast\", allowed is a number of kilobytes a second, 0 or more")
    }))

  it.scopedLive("refuses a browser, whose pages must not move the proxies of this machine", () =>
    Effect.gen(function*() {
      const { api } = yield* setup
      const { status } = yield* call(`${api.url}/proxies`, "GET", undefined, { "user-agent": "Mozilla/5.0 (X11)" })
      assert.strictEqual(status, 403)
    }))

  it.live("an address that is none is a bug, and the end of the scope ends the server and its proxies", () =>
    Effect.gen(function*() {
      const bug = yield* Effect.exit(Effect.scoped(ToxiproxyApi.serve({ listen: "8474" })))
      assert.include(String(JSON.stringify(bug)), "allowed is host:port")
      const listen = yield* quietAddress
      const served = yield* Effect.scoped(Effect.gen(function*() {
        const { address, api, client } = yield* setup
        yield* promised(() => client.createProxy({ name: "redis", listen, upstream: address }))
        yield* roundTrip(listen)
        return api
      }))
      assert.strictEqual((yield* Effect.flip(roundTrip(listen))).code, "ECONNREFUSED")
      assert.deepStrictEqual(Array.from(served.proxies.all().values(), (proxy) => proxy.enabled()), [false])
    }))
})
