import { assert, describe, it } from "@effect/vitest"
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { connect, echo, eventually, type Peer, quietAddress, server, timed } from "../support/network.js"

/** Timers of Node may be early by a fraction of a millisecond. */
const early = 2

const through = (toxics: ReadonlyArray<Toxic.Toxic> = [], upstream = echo, listen = "127.0.0.1:0") =>
  Effect.gen(function*() {
    const { address, peers } = yield* upstream
    const proxy = yield* FaultProxy.make({ upstream: address, toxics, listen })
    return { proxy, peers, client: yield* connect(proxy.port()) }
  })

const answered = (client: Peer, bytes: number) => eventually(() => client.received().length >= bytes)

describe("FaultProxy on real sockets", () => {
  it.scopedLive("without toxics it is a wire: half closed stays half closed", () =>
    Effect.gen(function*() {
      const late = server((peer) => peer.socket.on("end", () => peer.socket.end(`${peer.received()} and goodbye`)))
      const { client, proxy } = yield* through([], late)
      client.write("hello")
      client.end()
      yield* eventually(() => client.state() === "closed")
      assert.strictEqual(String(client.received()), "hello and goodbye")
      yield* eventually(() => proxy.connections().length === 0)
      assert.strictEqual(proxy.accepted(), 1)
    }))

  it.scopedLive("a reset is passed on as a reset, both ways, and sets the proxy free", () =>
    Effect.gen(function*() {
      const one = yield* through()
      one.client.write("a")
      yield* answered(one.client, 1)
      one.client.socket.resetAndDestroy()
      yield* eventually(() => one.peers[0]?.state() === "ECONNRESET")
      const other = yield* through()
      other.client.write("a")
      yield* answered(other.client, 1)
      other.peers[0]!.socket.resetAndDestroy()
      yield* eventually(() => other.client.state() === "ECONNRESET")
      yield* eventually(() => one.proxy.connections().length + other.proxy.connections().length === 0)
    }))

  it.scopedLive("a client whose server is gone for good learns it when it goes on writing", () =>
    Effect.gen(function*() {
      const { client, peers } = yield* through([], server())
      yield* eventually(() => peers.length === 1)
      peers[0]!.socket.end()
      yield* eventually(() => client.state() === "ended")
      peers[0]!.socket.destroy()
      yield* eventually(() => {
        client.write("still there?")
        return client.state() !== "ended"
      })
      assert.include(["ECONNRESET", "EPIPE"], client.state())
    }))

  it.scopedLive("a server that nobody listens at ends the connection, and the proxy lives on", () =>
    Effect.gen(function*() {
      const proxy = yield* FaultProxy.make({ upstream: yield* quietAddress })
      const client = yield* connect(proxy.port())
      yield* eventually(() => client.state() !== "open")
      const { address } = yield* echo
      yield* proxy.move({ upstream: address })
      const next = yield* connect(proxy.port())
      next.write("a")
      yield* answered(next, 1)
      assert.deepStrictEqual([proxy.upstream(), proxy.accepted()], [address, 2])
    }))

  it.scopedLive("nothing is lost that a client sends before the server is reached", () =>
    Effect.gen(function*() {
      const { address } = yield* echo
      // A name has to be looked up first.
      const proxy = yield* FaultProxy.make({
        upstream: address.replace("127.0.0.1", "localhost"),
        toxics: [Toxic.latency({ latency: 1 }), Toxic.slicer({ averageSize: 100, stream: "upstream" })]
      })
      yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.gen(function*() {
          const client = yield* connect(proxy.port())
          client.write("x".repeat(1000))
          yield* answered(client, 1000)
        }), { concurrency: "unbounded", discard: true })
    }))

  it.scopedLive("latency holds back requests or answers, on connections that are there, too", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* through()
      client.write("a")
      yield* answered(client, 1)
      for (const stream of ["upstream", "downstream"] as const) {
        const took = yield* timed(
          Effect.suspend(() => {
            const before = client.received().length
            client.write("a")
            return answered(client, before + 1)
          }).pipe(FaultProxy.withToxic(proxy, Toxic.latency({ latency: 60, stream })))
        )
        assert.isAtLeast(took, 60 - early)
      }
      assert.deepStrictEqual(proxy.toxics(), [])
    }))

  it.scopedLive("bandwidth bounds the rate", () =>
    Effect.gen(function*() {
      const { client } = yield* through([Toxic.bandwidth({ rate: 100 })])
      const took = yield* timed(Effect.suspend(() => {
        client.write(Buffer.alloc(20_000))
        return answered(client, 20_000)
      }))
      assert.isAtLeast(took, 200 - early)
    }))

  it.scopedLive("slow_close keeps the connection open for longer", () =>
    Effect.gen(function*() {
      const { client } = yield* through([Toxic.slowClose({ delay: 60 })])
      const took = yield* timed(Effect.suspend(() => {
        client.write("a")
        client.end()
        return eventually(() => client.state() === "closed")
      }))
      assert.isAtLeast(took, 60 - early)
      assert.strictEqual(String(client.received()), "a")
    }))

  it.scopedLive("timeout lets nothing through, and closes when it is removed", () =>
    Effect.gen(function*() {
      const { client, peers, proxy } = yield* through([Toxic.timeout({ name: "hang", stream: "upstream" })])
      client.write("lost")
      yield* eventually(() => proxy.connections()[0]?.received.upstream === 4)
      assert.deepStrictEqual(proxy.connections()[0]?.delivered, { upstream: 0, downstream: 0 })
      assert.deepStrictEqual(proxy.connections()[0]?.touchedBy, ["hang"])
      yield* proxy.remove("hang")
      yield* eventually(() => client.state() === "closed" || client.state() === "ended")
      assert.strictEqual(peers[0]!.received().length + client.received().length, 0)
      yield* eventually(() => proxy.connections().length === 0)
    }))

  it.scopedLive("timeout with a time closes by itself", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* through([Toxic.timeout({ after: 50 })])
      client.write("lost")
      yield* eventually(() => proxy.connections().length === 0)
      yield* eventually(() => client.state() !== "open")
      assert.strictEqual(client.received().length, 0)
    }))

  for (const stream of ["upstream", "downstream"] as const) {
    it.scopedLive(`reset_peer ${stream}: both sides see a reset, and only what it lets pass has arrived`, () =>
      Effect.gen(function*() {
        const { client, peers, proxy } = yield* through()
        client.write("one")
        yield* answered(client, 3)
        yield* proxy.add(Toxic.resetPeer({ stream, after: 10 }))
        client.write("two")
        yield* eventually(() => client.state() === "ECONNRESET" && peers[0]!.state() === "ECONNRESET")
        assert.strictEqual(String(peers[0]!.received()), stream === "upstream" ? "one" : "onetwo")
        assert.strictEqual(String(client.received()), "one")
      }))
  }

  it.scopedLive("limit_data breaks an answer off behind the last byte", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* through([Toxic.limitData({ bytes: 1000 })])
      client.write(Buffer.alloc(5000, "x"))
      yield* eventually(() => client.state() !== "open")
      assert.strictEqual(client.received().length, 1000)
      yield* eventually(() => proxy.connections().length === 0)
    }))

  it.scopedLive("down refuses new connections, ends the open ones, and comes back at the same port", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* through([Toxic.latency({ latency: 0 })], echo, yield* quietAddress)
      client.write("a")
      yield* answered(client, 1)
      const port = proxy.port()
      const refused = yield* Effect.scoped(Effect.flip(connect(port))).pipe(FaultProxy.whileDown(proxy))
      assert.strictEqual(refused.code, "ECONNREFUSED")
      yield* eventually(() => client.state() !== "open")
      assert.deepStrictEqual([proxy.enabled(), proxy.port(), proxy.toxics().length], [true, port, 1])
      const next = yield* connect(port)
      next.write("b")
      yield* answered(next, 1)
    }))

  it.scopedLive("going down and up from many sides at once ends as the last one said", () =>
    Effect.gen(function*() {
      const { proxy } = yield* through([], echo, yield* quietAddress)
      const port = proxy.port()
      yield* Effect.all([proxy.disable, proxy.enable, proxy.disable, proxy.disable, proxy.enable, proxy.enable], {
        concurrency: "unbounded"
      })
      assert.isTrue(proxy.enabled())
      yield* Effect.all([proxy.enable, proxy.disable], { concurrency: "unbounded" })
      assert.isFalse(proxy.enabled())
      assert.strictEqual((yield* Effect.flip(connect(port))).code, "ECONNREFUSED")
    }))

  it.scopedLive("says what is wrong with an address, and with a port that is taken", () =>
    Effect.gen(function*() {
      const { proxy } = yield* through()
      const taken = yield* Effect.flip(
        FaultProxy.make({ name: "redis", upstream: "127.0.0.1:1", listen: proxy.address() })
      )
      assert.include(taken.message, `The proxy redis cannot listen on ${proxy.address()}: listen EADDRINUSE`)
      for (const address of ["redis", "redis:", ":70000", "http://redis:80", "::1:80"]) {
        const wrong = yield* Effect.flip(FaultProxy.make({ upstream: address }))
        assert.include(wrong.message, "allowed is host:port, such as 127.0.0.1:6379")
      }
      const moved = yield* Effect.flip(proxy.move({ listen: "nowhere" }))
      assert.strictEqual(moved._tag, "InvalidAddress")
      assert.isTrue(proxy.enabled())
    }))

  it.scopedLive("listens on IPv6, and at the free port that it was given before", () =>
    Effect.gen(function*() {
      const { address } = yield* echo
      const proxy = yield* FaultProxy.make({ upstream: address, listen: "[::1]:0", enabled: false })
      assert.deepStrictEqual([proxy.enabled(), proxy.address()], [false, "[::1]:0"])
      const listening = yield* Effect.exit(proxy.enable)
      // Not every machine has an IPv6 loopback.
      if (Exit.isSuccess(listening)) assert.match(proxy.address(), /^\[::1\]:[1-9]\d*$/)
    }))

  it.scopedLive("toxics have one name each", () =>
    Effect.gen(function*() {
      const { proxy } = yield* through([Toxic.latency({ latency: 1 })])
      const twice = yield* Effect.flip(proxy.add(Toxic.latency({ latency: 2 })))
      assert.strictEqual(twice.message, "The proxy proxy has a toxic latency_downstream already")
      assert.strictEqual((yield* Effect.flip(proxy.remove("slow"))).message, "The proxy proxy has no toxic slow")
      assert.strictEqual((yield* Effect.flip(proxy.change("slow", {})))._tag, "ToxicNotFound")
      assert.strictEqual(
        (yield* Effect.flip(proxy.change("latency_downstream", { attributes: { latency: -1 } })))._tag,
        "InvalidToxic"
      )
      const bug = yield* Effect.exit(proxy.add({ ...Toxic.latency({ latency: 1, name: "x" }), toxicity: 7 }))
      assert.include(Exit.isFailure(bug) ? Cause.pretty(bug.cause) : "it was added", "toxicity is 7")
      yield* proxy.change("latency_downstream", { attributes: { jitter: 3 } })
      assert.deepStrictEqual(proxy.toxics()[0]?.attributes, { latency: 1, jitter: 3 })
      yield* proxy.clear
      assert.deepStrictEqual(proxy.toxics(), [])
    }))

  it.scopedLive("toxicity touches the same connections each time for a seed, about as many as it says", () =>
    Effect.gen(function*() {
      const { address } = yield* server()
      const touched = (seed: number, toxicity: number) =>
        Effect.gen(function*() {
          const proxy = yield* FaultProxy.make({
            upstream: address,
            seed,
            toxics: [Toxic.timeout({ name: "hang", toxicity })]
          })
          yield* Effect.forEach(Array.from({ length: 40 }), () => connect(proxy.port()))
          yield* eventually(() => proxy.accepted() === 40)
          return proxy.connections().filter(({ touchedBy }) => touchedBy.length > 0).map(({ number }) => number)
        }).pipe(Effect.scoped)
      const first = yield* touched(1, 0.5)
      assert.deepStrictEqual(yield* touched(1, 0.5), first)
      assert.notDeepEqual(yield* touched(2, 0.5), first)
      assert.isAbove(first.length, 8)
      assert.isBelow(first.length, 32)
      // More toxicity touches the same ones, and others.
      const more = yield* touched(1, 0.8)
      assert.isAbove(more.length, first.length)
      assert.includeMembers(more, first)
      assert.strictEqual((yield* touched(1, 0)).length, 0)
      assert.strictEqual((yield* touched(1, 1)).length, 40)
    }))

  it.scopedLive("a change of toxicity reaches connections that are open", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* through([Toxic.bandwidth({ name: "stop", rate: 0, toxicity: 0 })])
      client.write("a")
      yield* answered(client, 1)
      yield* proxy.change("stop", { toxicity: 1 })
      client.write("b")
      yield* eventually(() => proxy.connections()[0]?.held.downstream === 1)
      assert.strictEqual(String(client.received()), "a")
      yield* proxy.change("stop", { toxicity: 0 })
      yield* answered(client, 2)
    }))

  it.scopedLive("a client that does not read holds back the server, and gets every byte when it reads", () =>
    Effect.gen(function*() {
      const size = 64 * 1024 * 1024
      let sent = 0
      const flood = server(({ socket }) => {
        const chunk = Buffer.alloc(1024 * 1024, "x")
        const more = (): void => {
          while (sent < size) {
            sent += chunk.length
            if (!socket.write(chunk)) return void socket.once("drain", more)
          }
          socket.end()
        }
        more()
      })
      const { client, proxy } = yield* through([Toxic.slicer({ averageSize: 16_384, sizeVariation: 100 })], flood)
      client.socket.pause()
      // The sockets fill up, and then nothing moves.
      const stuck = () => `${sent} ${proxy.connections()[0]?.received.downstream}`
      let before = ""
      yield* Effect.iterate(0, {
        while: (same) => same < 20,
        body: (same) =>
          Effect.map(Effect.sleep(5), () => {
            const now = stuck()
            const next = now === before && sent > 0 ? same + 1 : 0
            before = now
            return next
          })
      })
      assert.isBelow(sent, size)
      assert.isBelow(proxy.connections()[0]!.held.downstream, 200 * 1024)
      client.socket.resume()
      yield* eventually(() => client.state() === "ended")
      assert.strictEqual(client.received().length, size)
    }))

  it.scopedLive("interruption removes a toxic that was there for an effect, and brings a proxy up that was down for it", () =>
    Effect.gen(function*() {
      const { proxy } = yield* through([], echo, yield* quietAddress)
      const fiber = yield* Effect.fork(FaultProxy.withToxic(Effect.never, proxy, Toxic.latency({ latency: 1 })))
      yield* eventually(() => proxy.toxics().length === 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(proxy.toxics().length, 0)
      const down = yield* Effect.fork(FaultProxy.whileDown(Effect.never, proxy))
      yield* eventually(() => !proxy.enabled())
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(down)))
      assert.isTrue(proxy.enabled())
    }))

  it.live("the end of its scope ends its listener and every connection, whatever toxics hold", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { address, peers } = yield* Scope.extend(server(), scope)
      const own = yield* Scope.make()
      const proxy = yield* Scope.extend(
        FaultProxy.make({
          upstream: address,
          listen: yield* quietAddress,
          toxics: [Toxic.latency({ latency: "1 hour" }), Toxic.slowClose({ delay: "1 hour", stream: "upstream" })]
        }),
        own
      )
      const clients = yield* Effect.forEach([1, 2, 3], () => Scope.extend(connect(proxy.port()), scope))
      yield* eventually(() => peers.length === 3)
      for (const peer of peers) peer.write("held")
      clients[0]!.end()
      yield* eventually(() => proxy.connections().every(({ held }) => held.downstream === 4))
      yield* Scope.close(own, Exit.void)
      assert.deepStrictEqual([proxy.enabled(), proxy.connections().length], [false, 0])
      yield* eventually(() => [...clients, ...peers].every((peer) => peer.state() !== "open"))
      assert.strictEqual((yield* Effect.scoped(Effect.flip(connect(proxy.port())))).code, "ECONNREFUSED")
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("its time is the network's, in a test that runs by the test clock too", () =>
    Effect.gen(function*() {
      const { client } = yield* through([Toxic.latency({ latency: 20 })])
      client.write("a")
      yield* answered(client, 1)
    }).pipe(Effect.scoped))

  it.scopedLive("serves many connections at once", () =>
    Effect.gen(function*() {
      const { proxy } = yield* through([
        Toxic.slicer({ averageSize: 100, sizeVariation: 50 }),
        Toxic.latency({ latency: 5, jitter: 5, stream: "upstream" })
      ])
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => index),
        (index) =>
          Effect.gen(function*() {
            const client = yield* connect(proxy.port())
            const text = `${index} `.repeat(1000)
            client.write(text)
            client.end()
            yield* eventually(() => client.state() === "closed")
            assert.strictEqual(String(client.received()), text)
          }).pipe(Effect.scoped),
        { concurrency: "unbounded" }
      )
    }))
})
